"""Lore and measurements beside the model: a miss fails."""

from dataclasses import replace

import pytest

from costmodel.calibration.parameters import Calibration
from costmodel.calibration.published import checks
from costmodel.evidence.store import load
from costmodel.validation import published
from costmodel.validation.published import TOO_WIDE, WIDEST

EVIDENCE = load()
CHECKS = {check.id: check for check in checks(Calibration(EVIDENCE))}


@pytest.fixture(scope="module")
def rows():
    return {row.id: row for row in (*published.measured(EVIDENCE), *published.lore(EVIDENCE))}


def test_what_fails_is_known(rows):
    """W03: 14 ms per flush on Haswell, more than on Skylake-SP with its larger caches. Nobody knows why."""
    assert [row.id for row in rows.values() if row.verdict == "fail"] == ["W03"]


def test_every_miss_fails(rows):
    assert {id for id in rows if CHECKS[id].verdict == "missed"} == {"W03"}


def test_all_rounds_between_vcpus_are_treated_alike(rows):
    """One of seven lay in the interval of a host's round, and was called met."""
    virtual = [rows[row.id] for row in EVIDENCE.rows(observable="broadcast.virtual_s")]
    assert len(virtual) == 7
    assert {(row.verdict, row.low, row.note) for row in virtual} == {
        ("not testable", None, "interrupts between vCPUs, whose host must schedule each: no formula is of them")
    }


def test_a_line_that_is_an_upper_bound_refutes_only_what_lies_above(rows):
    assert (rows["I08c"].verdict, rows["I08c"].low) == ("not testable", 0)
    assert "upper bound" in rows["I08c"].note
    other = EVIDENCE.with_value("I08c", 100)
    (above,) = [row for row in published.lore(other) if row.id == "I08c"]
    assert above.verdict == "fail"


def test_a_miss_inside_fails():
    check = replace(CHECKS["W05"], verdict="missed")
    assert published._row(EVIDENCE, check).verdict == "fail"


@pytest.mark.parametrize(("id", "factor"), [("W05", 0.5), ("C125", 0.01), ("T01", 1e5), ("C108", 0.01), ("I05a", 1000)])
def test_another_published_figure_fails(id, factor):
    """The model stays where it was: the figure is no input."""
    other = EVIDENCE.with_value(id, factor)
    rows = {row.id: row for row in (*published.measured(other), *published.lore(other))}
    assert rows[id].verdict == "fail"


def test_what_was_fitted_is_no_test(rows):
    assert all(EVIDENCE.one(id).use != "fit" for id, row in rows.items() if row.details["kind"] == "measured")


def test_measurements_and_lore_share_no_row():
    measured, lore = ({row.id for row in part(EVIDENCE)} for part in (published.measured, published.lore))
    assert not measured & lore
    assert {EVIDENCE.one(id).kind for id in measured} == {"measured"}
    assert {EVIDENCE.one(id).kind for id in lore} == {"claimed", "threshold"}


def test_no_claim_and_no_measurement_is_left_out(rows):
    wanted = {
        row.id
        for row in EVIDENCE.measurements.values()
        if row.kind in ("claimed", "threshold") or (row.kind == "measured" and row.use != "fit")
    }
    assert set(rows) == wanted


def test_a_met_figure_lies_in_the_interval_that_is_shown(rows):
    """Rows with a range or a bound of their own may reach in from outside."""
    plain = 0
    for id, row in rows.items():
        source = EVIDENCE.one(id)
        if row.verdict == "pass" and source.bound == "exact" and not (source.low_si or source.high_si):
            assert row.low <= row.value <= row.high, id
            plain += 1
    assert plain >= 3


def test_a_missed_figure_lies_outside(rows):
    for id, row in rows.items():
        source = EVIDENCE.one(id)
        if row.verdict == "disagree-explained" and source.bound == "exact" and not (source.low_si or source.high_si):
            assert not row.low <= row.value <= row.high, id


@pytest.mark.parametrize(
    ("id", "figure"), [("W12", ">= 100 us"), ("W11", "<= 200 ms"), ("S02", "<= 5.0 s"), ("T03", "2.0 MiB")]
)
def test_a_bound_is_printed_as_one(rows, id, figure):
    assert rows[id].figure.startswith(f"{figure} published, model ")


def test_a_bound_of_the_source_shows_in_every_figure(rows):
    signs = {"exact": "", "lower": ">= ", "upper": "<= "}
    for id, row in rows.items():
        assert (row.figure[:3] if row.figure[0] in "<>" else "") == signs[EVIDENCE.one(id).bound], id
        assert ("bound" in row.target) == (EVIDENCE.one(id).bound != "exact")


@pytest.mark.parametrize("id", ["T01", "T03", "T05", "W12"])
def test_an_interval_that_holds_nearly_everything_decides_nothing(rows, id):
    assert (rows[id].verdict, rows[id].note) == ("not testable", TOO_WIDE)
    assert rows[id].high > WIDEST * rows[id].low


def test_no_row_passes_by_a_wide_interval(rows):
    for row in rows.values():
        if row.low is not None:
            assert row.verdict != "pass" or 0 < row.high <= WIDEST * row.low, row.id


@pytest.mark.parametrize(("factor", "verdict"), [(99.0, "pass"), (101.0, "not testable")])
def test_the_width_that_still_decides(factor, verdict):
    check = replace(CHECKS["T03"], low=1.0, high=factor)
    assert published._row(EVIDENCE, check).verdict == verdict


def test_a_miss_of_a_wide_interval_is_decisive():
    check = replace(CHECKS["T03"], verdict="missed")
    assert published._row(EVIDENCE, check).verdict == "fail"


def test_what_the_model_has_no_number_for_says_so(rows):
    for row in rows.values():
        if row.low is None:
            assert row.verdict == "not testable"
            assert row.figure.endswith("no number")
            assert row.note


def test_every_row_names_its_author(rows):
    for id, row in rows.items():
        assert row.source.startswith(EVIDENCE.one(id).source_author)


def test_the_known_outlier_is_haswell(rows):
    """14 ms per flush on a cache smaller than that of Skylake-SP with its 3.4 ms."""
    assert rows["W03"].verdict == "fail"
    assert "outlier" in rows["W03"].note
