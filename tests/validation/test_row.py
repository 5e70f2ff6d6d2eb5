"""Rows of the scoreboard: finite, frozen, counted."""

import math

import pytest
from pydantic import ValidationError

from costmodel.validation.row import VERDICTS, Row, Scoreboard, Section

ROW = {"id": "a", "what": "b", "figure": "c", "target": "d", "verdict": "pass", "source": "e"}


def section(*verdicts):
    rows = tuple(Row(**{**ROW, "verdict": verdict}) for verdict in verdicts)
    return Section(id="s", title="t", rows=rows)


def board(*sections):
    return Scoreboard(costmodel_version="1", data_hash="3", sections=sections)


@pytest.mark.parametrize("field", ["value", "low", "high"])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused(field, number):
    with pytest.raises(ValidationError, match="is not finite"):
        Row(**ROW, **{field: number})


def test_a_detail_that_is_no_number_is_refused():
    with pytest.raises(ValidationError, match="is not finite"):
        Row(**ROW, details={"bias": math.nan})


def test_an_unknown_verdict_or_field_is_refused():
    with pytest.raises(ValidationError):
        Row(**{**ROW, "verdict": "perhaps"})
    with pytest.raises(ValidationError):
        Row(**ROW, colour="red")


def test_a_row_does_not_change():
    with pytest.raises(ValidationError):
        Row(**ROW).verdict = "fail"


def test_every_verdict_is_counted():
    found = section(*VERDICTS, "pass")
    assert {verdict: found.count(verdict) for verdict in VERDICTS} == {
        "pass": 2,
        "fail": 1,
        "disagree-explained": 1,
        "not testable": 1,
    }


@pytest.mark.parametrize(
    ("verdicts", "failed"),
    [((), False), (("pass",), False), (("disagree-explained", "not testable"), False), (("pass", "fail"), True)],
)
def test_only_an_unexplained_miss_fails(verdicts, failed):
    assert section(*verdicts).failed is failed
    assert board(section("pass"), section(*verdicts)).failed is failed


def test_details_keep_their_kinds():
    details = {"n": 3, "share": 0.5, "right": True, "why": "x", "none": None}
    found = Row(**ROW, details=details).details
    assert found == details
    assert [type(value) for value in found.values()] == [int, float, bool, str, type(None)]
