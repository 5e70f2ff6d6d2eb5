"""The JSON follows its published schema, comes back as the same answer, and names neither a time nor a path."""

import json
import re

import pytest
from pydantic import ValidationError

from costmodel.decision.result import Recommendation
from costmodel.report import jsonout
from tests.report.conftest import GUESTS, HOSTILE, MACHINES

CASES = [(guest, machine) for guest in GUESTS for machine in MACHINES]


def validator():
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(jsonout.schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def strict_loads(text):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    def unique(pairs):
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)

    return json.loads(text, parse_constant=refuse, object_pairs_hook=unique)


@pytest.mark.parametrize(("guest", "machine"), CASES)
def test_follows_the_schema_and_round_trips(answer, guest, machine):
    result = answer(guest, machine)
    text = jsonout.render(result)
    fields = strict_loads(text)
    assert [error.message for error in validator().iter_errors(fields)] == []
    again = Recommendation.model_validate_json(text)
    assert jsonout.render(again) == text
    for name in ("guest", "machine", "headline", "headline_strategy", "command", "applicable"):
        assert getattr(again, name) == getattr(result, name)
    assert [e.strategy for e in again.policy] == [e.strategy for e in result.policy]


def test_numbers_keep_what_the_intervals_carry(answer):
    result = answer("sev")
    again = Recommendation.model_validate_json(jsonout.render(result))
    pairs = [
        (one.stolen_cpu_s_per_event, two.stolen_cpu_s_per_event)
        for one, two in zip(result.costs, again.costs, strict=True)
        if one.stolen_cpu_s_per_event
    ]
    assert pairs
    for one, two in pairs:
        for name in ("low", "median", "high"):
            assert getattr(two, name) == pytest.approx(getattr(one, name), rel=1e-5)


@pytest.mark.parametrize("guest", ["sev", "tdx"])
def test_names_what_it_came_from(answer, guest):
    fields = json.loads(jsonout.render(answer(guest)))
    for name in ("data_hash", "asked_hash"):
        assert re.fullmatch(r"[0-9a-f]{16,}", fields[name])
    assert re.fullmatch(r"\d+\.\d+.*", fields["costmodel_version"])
    assert fields["schema_version"] == "2"


@pytest.mark.parametrize("guest", GUESTS)
def test_no_clock_and_no_path(answer, guest):
    text = jsonout.render(answer(guest))
    assert not re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d|\d\d:\d\d:\d\d", text)
    for place in ("/home/", "/tmp/", "/work/", "/root/", "/usr/", "file://"):
        assert place not in text
    assert text.endswith("}\n")
    assert text.isascii()


def test_schema_refuses_what_is_not_an_answer(answer):
    good = json.loads(jsonout.render(answer("sev")))
    check = validator()
    assert check.is_valid(good)
    for broken in (
        {**good, "schema_version": "0"},
        {**good, "surprise": 1},
        {**good, "costs": [{**good["costs"][0], "state": "perhaps"}]},
        {name: value for name, value in good.items() if name != "data_hash"},
    ):
        assert not check.is_valid(broken)
        with pytest.raises(ValidationError):
            Recommendation.model_validate(broken)


def test_hostile_text_is_escaped_and_comes_back(hostile):
    text = jsonout.render(hostile)
    assert "\x1b" not in text
    assert Recommendation.model_validate_json(text).headline == HOSTILE


def test_nan_is_refused(answer):
    result = answer("sev")
    row = next(r for r in result.costs if r.event_time_s)
    bad = row.model_copy(update={"event_time_s": row.event_time_s.model_copy(update={"median": float("nan")})})
    with pytest.raises(ValueError, match="(?i)nan|JSON compliant"):
        jsonout.render(result.model_copy(update={"costs": [bad]}))


def test_schema_is_the_same_each_time():
    assert jsonout.schema() == jsonout.schema()
    assert jsonout.schema().endswith("}\n")
