"""What was seen on real hosts, and what would refute it."""

import csv
import json
import re
import statistics
from dataclasses import replace

import numpy
import pytest
from scipy.stats import binomtest

from costmodel.calibration.parameters import parameters_of
from costmodel.calibration.published import checks
from costmodel.calibration.rules import Calibration
from costmodel.cost.draws import Case, Draws
from costmodel.cost.scenario import scenario
from costmodel.cost.total import total
from costmodel.errors import UnknownName
from costmodel.evidence.records import SHUTDOWNS
from costmodel.evidence.store import load
from costmodel.report.scoreboard import BECAUSE, worded
from costmodel.validation import observed
from costmodel.validation.observed import WIDEST, covers

EVIDENCE = load()
IDS = ["E01-E03", "N30", "S01-S02", "S06a", "S06b", "S06c", "S07a", "S07b", "S07c"]


def rows_of(evidence):
    return {row.id: worded(row) for row in observed.rows(evidence)}


@pytest.fixture(scope="module")
def rows():
    return rows_of(EVIDENCE)


def test_every_retrodiction_is_there(rows):
    assert list(rows) == IDS


def test_what_fails_is_known(rows):
    """The third shut-down took longer than its pages do in the two others: a constant per page is no model of it."""
    assert [row.id for row in rows.values() if row.verdict == "fail"] == ["S06c"]


def test_the_lockups_are_retrodicted(rows):
    row = rows["E01-E03"]
    assert row.verdict == "pass"
    assert row.value >= row.low > 0


def test_the_rates_are_those_of_the_rows(rows):
    """Eight chunks of ten passes per second, and the pages that a guest of 16 vCPUs moved, as huge pages of 128
    vCPUs.
    """
    pages = EVIDENCE.one("N02c").si / EVIDENCE.one("N03").si
    assert rows["E01-E03"].value == pytest.approx(8 * 10 + 128 / 16 * pages / 512)


def test_without_those_rates_there_is_no_lockup():
    calm = EVIDENCE.with_value("N17", 1e-3).with_value("N02c", 1e-4)
    assert rows_of(calm)["E01-E03"].verdict == "fail"


def test_a_host_of_fewer_cpus_needs_no_lower_rate():
    """The flush of 4 CPUs is no longer than that of 500."""
    few = rows_of(EVIDENCE.with_value("E03", 4 / EVIDENCE.one("E03").si))["E01-E03"]
    assert few.low >= rows_of(EVIDENCE)["E01-E03"].low


def test_the_shutdowns_are_all_rows_of_their_observables():
    """The report bounds a flush by the same rows, which it finds by what they are of."""
    ids = {f"{row}{guest}" for row in observed.SHUTDOWN_ROWS for guest in observed.GUESTS}
    assert ids == {row.id for name in SHUTDOWNS for row in EVIDENCE.rows(observable=name)}
    for row, name in zip(observed.SHUTDOWN_ROWS, SHUTDOWNS, strict=True):
        assert {EVIDENCE.one(f"{row}{guest}").observable for guest in observed.GUESTS} == {name}


@pytest.mark.parametrize("id", ["E01", "E03", "L02", "N02c", "N03", "N17", "S01", "S02", "S06b", "S07a"])
def test_a_row_that_is_gone_is_missed_by_name(id):
    with pytest.raises(UnknownName, match=id):
        observed.rows(EVIDENCE.without(id))


@pytest.mark.parametrize(("id", "factor"), [("S02", 100), ("S02", 0.01), ("S01", 0.01)])
def test_another_total_of_rmpupdate_is_refuted(id, factor):
    assert rows_of(EVIDENCE.with_value(id, factor))["S01-S02"].verdict == "fail"


def test_rmpupdate_of_all_pages_by_hand(rows):
    """16 GB in pages of 4 KiB at 1 us: 3.9 s, 5 s published."""
    row = rows["S01-S02"]
    pages = EVIDENCE.one("S02").range_bytes / 4096
    assert row.low < pages * EVIDENCE.one("S01").si < row.high
    assert row.low <= EVIDENCE.one("S02").si <= row.high


@pytest.mark.parametrize("id", ["S07a", "S07b", "S07c"])
def test_a_shutdown_is_foretold_from_the_two_others(rows, id):
    others = [o for o in ("S07a", "S07b", "S07c") if o != id]
    per_page = [EVIDENCE.one(o).si / EVIDENCE.one(o).range_bytes for o in others]
    middle = (per_page[0] * per_page[1]) ** 0.5 * EVIDENCE.one(id).range_bytes
    assert rows[id].verdict == "pass"
    assert (rows[id].low * rows[id].high) ** 0.5 == pytest.approx(middle)


def test_its_own_value_does_not_move_what_is_foretold(rows):
    other = rows_of(EVIDENCE.with_value("S07a", 10))["S07a"]
    assert (other.low, other.high) == pytest.approx((rows["S07a"].low, rows["S07a"].high))


def test_a_shutdown_far_off_is_not_explained_away():
    """An explanation belongs to the row that it was found for (S06c); another row that is missed fails."""
    assert rows_of(EVIDENCE.with_value("S07a", 10))["S07a"].verdict == "fail"


def test_an_interval_that_holds_anything_tests_nothing(rows):
    for row in rows.values():
        if row.id.startswith("S06") and row.high / row.low > 16.01:
            assert row.verdict == "not testable"
            assert row.low <= row.value <= row.high


def test_the_row_that_the_model_misses_says_why(rows):
    row = rows["S06c"]
    assert row.verdict == "fail"
    assert row.value > row.high
    assert "vCPUs" in row.note


def test_a_boot_without_its_duration_is_no_test(rows):
    row = rows["N30"]
    assert row.verdict == "not testable"
    assert "neither the boot's duration" in row.note
    assert "35" in row.what


# Lore and measurements beside the model: a miss fails.

CHECKS = {check.id: check for check in checks(Calibration(EVIDENCE))}


@pytest.fixture(scope="module")
def rows_published():
    return {row.id: worded(row) for row in (*observed.measured(EVIDENCE), *observed.lore(EVIDENCE))}


def test_what_fails_is_known_published(rows_published):
    """W03: 14 ms per flush on Haswell, more than on Skylake-SP with its larger caches. Nobody knows why."""
    assert [row.id for row in rows_published.values() if row.verdict == "fail"] == ["W03"]


def test_every_miss_fails(rows_published):
    assert {id for id in rows_published if CHECKS[id].verdict == "missed"} == {"W03"}


def test_all_rounds_between_vcpus_are_treated_alike(rows_published):
    """One of seven lay in the interval of a host's round, and was called met."""
    virtual = [rows_published[row.id] for row in EVIDENCE.rows(observable="broadcast.virtual_s")]
    assert len(virtual) == 7
    assert {(row.verdict, row.low, row.note) for row in virtual} == {
        ("not testable", None, "interrupts between vCPUs, whose host must schedule each: no formula is of them")
    }


def test_a_line_that_is_an_upper_bound_refutes_only_what_lies_above(rows_published):
    assert (rows_published["I08c"].verdict, rows_published["I08c"].low) == ("not testable", 0)
    assert "upper bound" in rows_published["I08c"].note
    other = EVIDENCE.with_value("I08c", 100)
    (above,) = [row for row in observed.lore(other) if row.id == "I08c"]
    assert above.verdict == "fail"


MILAN = {
    "id": "X1", "vendor": "amd", "microarchitecture": "zen3", "bound": "exact", "value": 0.02, "kind": "measured",
    "use": "check", "hardware": "2 x AMD EPYC 7763 64-Core Processor", "sockets": 2, "cpus": 256,
}  # fmt: skip


def added(**cells):
    """The row of the scoreboard for a timing like W11 but of an EPYC of the catalogue, and for `cells`."""
    row = replace(EVIDENCE.one("W11"), **{**MILAN, **cells})
    more = replace(EVIDENCE, measurements={**EVIDENCE.measurements, "X1": row})
    return worded(next(one for one in observed.measured(more) if one.id == "X1"))


def test_a_timing_of_a_catalogued_machine_is_held_against_its_event():
    """5 % to 95 % of what `cost` prints, no wider: whoever measures a WBINVD of an EPYC tests the model."""
    row = added()
    case = scenario(EVIDENCE, "sev", "epyc-7763-2s", "autonuma-default", cpus_that_ran=256)
    one = total(Case("ksm_write_protect", case, Draws(parameters_of(EVIDENCE, "epyc-7763-2s"))), "WBINVD_ALL")
    assert (row.low, row.high) == pytest.approx(tuple(numpy.quantile(one.event.time_s, (0.05, 0.95))))
    assert row.high < 100 * row.low and "epyc-7763-2s" in row.note
    unit = EVIDENCE.one("W11").si / EVIDENCE.one("W11").value
    verdicts = {seconds: added(value=seconds / unit).verdict for seconds in (row.low / 2, row.high / 1.1, row.high * 2)}
    assert list(verdicts.values()) == ["fail", "pass", "fail"]


def test_one_of_each_core_takes_less_than_both_siblings():
    assert added(cpus=128).high < added().high
    other = added(cpus=100)
    assert (other.verdict, other.low) == ("not testable", None) and "CPUs 100 are neither" in other.note


def test_a_miss_inside_fails():
    check = replace(CHECKS["W05"], verdict="missed")
    assert observed._published_row(EVIDENCE, check).verdict == "fail"


@pytest.mark.parametrize(("id", "factor"), [("W05", 0.5), ("C125", 0.01), ("T01", 1e5), ("C108", 0.01), ("I05a", 1000)])
def test_another_published_figure_fails(id, factor):
    """The model stays where it was: the figure is no input."""
    other = EVIDENCE.with_value(id, factor)
    rows_published = {row.id: worded(row) for row in (*observed.measured(other), *observed.lore(other))}
    assert rows_published[id].verdict == "fail"


def test_what_was_fitted_is_no_test(rows_published):
    assert all(EVIDENCE.one(id).use != "fit" for id, row in rows_published.items() if row.details["kind"] == "measured")


def test_measurements_and_lore_share_no_row():
    measured, lore = ({row.id for row in part(EVIDENCE)} for part in (observed.measured, observed.lore))
    assert not measured & lore
    assert {EVIDENCE.one(id).kind for id in measured} == {"measured"}
    assert {EVIDENCE.one(id).kind for id in lore} == {"claimed", "threshold"}


def test_no_claim_and_no_measurement_is_left_out(rows_published):
    wanted = {
        row.id
        for row in EVIDENCE.measurements.values()
        if row.kind in ("claimed", "threshold") or (row.kind == "measured" and row.use != "fit")
    }
    assert set(rows_published) == wanted


def test_a_met_figure_lies_in_the_interval_that_is_shown(rows_published):
    """Rows with a range or a bound of their own may reach in from outside."""
    plain = 0
    for id, row in rows_published.items():
        source = EVIDENCE.one(id)
        if row.verdict == "pass" and source.bound == "exact" and not (source.low_si or source.high_si):
            assert row.low <= row.value <= row.high, id
            plain += 1
    assert plain >= 3


def missed_inside(rows):
    """Ids of the failed rows whose figure lies in the interval, and of all failed ones: rows without a range or bound of
    their own.
    """
    plain = {
        id: row
        for id, row in rows.items()
        if row.verdict in ("fail", "disagree-explained")
        and EVIDENCE.one(id).bound == "exact"
        and not (EVIDENCE.one(id).low_si or EVIDENCE.one(id).high_si)
    }
    return [id for id, row in plain.items() if row.low <= row.value <= row.high], list(plain)


def test_a_missed_figure_lies_outside(rows_published):
    inside, looked_at = missed_inside(rows_published)
    assert looked_at and inside == []


def test_a_miss_that_lies_inside_is_found(rows_published):
    row = rows_published["W03"]
    assert missed_inside({"W03": row}) == ([], ["W03"])
    assert missed_inside({"W03": row.model_copy(update={"high": row.value * 2})}) == (["W03"], ["W03"])


@pytest.mark.parametrize(
    ("id", "figure"), [("W12", ">= 100 us"), ("W11", "<= 200 ms"), ("S02", "<= 5.0 s"), ("T03", "2.0 MiB")]
)
def test_a_bound_is_printed_as_one(rows_published, id, figure):
    assert rows_published[id].figure.startswith(f"{figure} published, model ")


def test_a_bound_of_the_source_shows_in_every_figure(rows_published):
    signs = {"exact": "", "lower": ">= ", "upper": "<= "}
    for id, row in rows_published.items():
        assert (row.figure[:3] if row.figure[0] in "<>" else "") == signs[EVIDENCE.one(id).bound], id
        assert ("bound" in row.target) == (EVIDENCE.one(id).bound != "exact")


@pytest.mark.parametrize("id", ["T01", "T03", "T05", "W12"])
def test_an_interval_that_holds_nearly_everything_decides_nothing(rows_published, id):
    assert (rows_published[id].verdict, rows_published[id].note) == (
        "not testable",
        BECAUSE["too wide"].format(widest=f"{WIDEST:.0f}"),
    )
    assert rows_published[id].high > WIDEST * rows_published[id].low


def test_no_row_passes_by_a_wide_interval(rows_published):
    for row in rows_published.values():
        if row.low is not None:
            assert row.verdict != "pass" or 0 < row.high <= WIDEST * row.low, row.id


@pytest.mark.parametrize(("factor", "verdict"), [(99.0, "pass"), (101.0, "not testable")])
def test_the_width_that_still_decides(factor, verdict):
    check = replace(CHECKS["T03"], low=1.0, high=factor)
    assert observed._published_row(EVIDENCE, check).verdict == verdict


def test_a_miss_of_a_wide_interval_is_decisive():
    check = replace(CHECKS["T03"], verdict="missed")
    assert observed._published_row(EVIDENCE, check).verdict == "fail"


def test_what_the_model_has_no_number_for_says_so(rows_published):
    for row in rows_published.values():
        if row.low is None:
            assert row.verdict == "not testable"
            assert row.figure.endswith("no number")
            assert row.note


def test_every_row_names_its_author(rows_published):
    for id, row in rows_published.items():
        assert row.source.startswith(EVIDENCE.one(id).source_author)


def test_the_known_outlier_is_haswell(rows_published):
    """14 ms per flush on a cache smaller than that of Skylake-SP with its 3.4 ms."""
    assert rows_published["W03"].verdict == "fail"
    assert "outlier" in rows_published["W03"].note


# Held-out errors of each term, and what coverage is called good.

MACHINES = "machines-foretold-by-others"


@pytest.fixture(scope="module")
def all_held_out():
    return [worded(row) for row in observed.term_rows(load())]


@pytest.fixture(scope="module")
def rows_held_out(all_held_out):
    """The rows without those that foretell one latency of one host: they have no cells, and a test of their own."""
    return [row for row in all_held_out if not row.id.startswith("latency-cl")]


@pytest.mark.parametrize(
    ("covered", "n", "low", "high", "verdict"),
    [
        (90, 99, 0.83, 0.95, "not testable"),
        (0, 99, 0.0, 0.03, "fail"),
        (3, 9, 0.07, 0.70, "fail"),
        (90, 100, 0.82, 0.95, "pass"),
        (90, 100, 0.80, 0.85, "pass"),
        (80, 100, 0.70, 0.8499, "fail"),
        (97, 100, 0.95, 0.99, "pass"),
        (100, 100, 0.9501, 1.0, "fail"),
        (0, 100, 0.0, 0.04, "fail"),
        (500, 1000, 0.0, 1.0, "pass"),
    ],
)
def test_coverage_fails_only_where_its_interval_stays_outside(covered, n, low, high, verdict):
    assert covers(covered, n, low, high) == verdict


@pytest.mark.parametrize(
    ("covered", "verdict"), [(100, "fail"), (96, "pass"), (90, "pass"), (80, "pass"), (70, "fail")]
)
def test_coverage_of_a_hundred_rows_by_the_binomial_law(covered, verdict):
    found = binomtest(covered, 100).proportion_ci(0.95)
    assert covers(covered, 100, found.low, found.high) == verdict


@pytest.mark.nightly
def test_only_what_is_known_to_fail_fails(all_held_out):
    """On Turin the interval of a range decade that was left out is too wide: it covers 97 % (96 to 98 %), not 85 to 95.
    The scoreboard says FAIL until the interpolation error of a whole decade is modelled better.
    """
    assert [row.id for row in all_held_out if row.verdict == "fail"] == ["epyc-turin-2cpu-vm-3"]
    (row,) = (row for row in all_held_out if row.verdict == "fail")
    assert "range decades" in row.what and row.details["covered"] / row.details["n"] > 0.95


@pytest.mark.nightly
def test_every_fit_and_every_host_has_its_rows(rows_held_out):
    ids = [row.id for row in rows_held_out]
    assert len(set(ids)) == len(ids)
    assert {
        "latency-of-one-flush-CLFLUSHOPT",
        "latency-of-one-flush-CLFLUSH",
        "broadcast-linear",
        "whole-cache-walk",
    } <= set(ids)
    for host in load().hosts:
        assert any(id.startswith(f"{host}-") for id in ids)
        assert f"interrupt-rounds-of-{host}" in ids


@pytest.mark.nightly
def test_machines_are_foretold_as_often_as_their_intervals_say(rows_held_out):
    """Stated in machines and quantities, with a binomial interval: a dozen and a half can refute 90 %, not narrow
    it.
    """
    (row,) = [row for row in rows_held_out if row.id == MACHINES]
    found = binomtest(int(row.details["covered"]), row.details["n"]).proportion_ci(0.95)
    assert (row.low, row.high) == (found.low, found.high)
    assert row.verdict == ("pass" if found.low <= 0.9 <= found.high else "fail") == "pass"
    assert "cpu_read of epyc-milan-2cpu-vm" in row.note


@pytest.mark.nightly
def test_the_verdict_follows_from_the_numbers_that_are_shown(rows_held_out):
    told = 0
    for row in (row for row in rows_held_out if row.id != MACHINES):
        n, covered = row.details.get("n"), row.details.get("covered")
        if n is None:
            assert row.verdict == "not testable"
        elif covered is not None:
            found = binomtest(int(covered), n).proportion_ci(0.95)
            held = "pass" if n >= 100 else "not testable"
            assert row.verdict == (held if found.low <= 0.95 and found.high >= 0.85 else "fail")
            told += n >= 100
        else:
            assert row.verdict == "not testable"
    assert told >= 4


@pytest.mark.nightly
def test_the_text_shows_the_numbers(rows_held_out):
    for row in rows_held_out:
        if row.details.get("covered") is not None:
            assert re.search(rf"\b{int(row.details['covered'])}\b", row.figure)
            assert re.search(rf"\b{row.details['n']}\b", row.figure)


@pytest.mark.nightly
def test_fewer_than_a_hundred_rows_confirm_nothing_and_say_so(rows_held_out):
    for row in (row for row in rows_held_out if row.id != MACHINES):
        if row.details.get("n", 100) < 100:
            assert row.verdict == "not testable"
            assert "100" in row.note + row.figure


@pytest.mark.nightly
def test_errors_are_shares_and_biases_small(rows_held_out):
    """The tree was refuted: its error is that of no term in use."""
    for row in (row for row in rows_held_out if row.id != MACHINES):
        if row.value is not None and "rival" not in row.id:
            assert 0 <= row.value < 0.25, row.id
            assert abs(row.details["bias"]) < 0.15, row.id


@pytest.mark.nightly
def test_the_rival_that_lost_is_worse_than_the_form_in_use(rows_held_out):
    error = {row.id: row.value for row in rows_held_out}
    assert error["broadcast-tree-(rival)"] > 3 * error["broadcast-linear"]


@pytest.mark.nightly
def test_a_rival_says_that_it_is_one(rows_held_out):
    rivals = [row for row in rows_held_out if "rival" in row.id]
    assert len(rivals) == 2
    assert all("shown beside the form that held-out rows chose" in row.note for row in rivals)


@pytest.mark.nightly
def test_the_walk_of_a_whole_cache_flush_lies_where_skylake_has_it(rows_held_out):
    """Rows W01 and W02: (with - without) over the lines of the cache, 5 to 6 ns."""
    (row,) = [row for row in rows_held_out if row.id == "whole-cache-walk"]
    assert 4e-9 < row.low < row.high < 8e-9
    assert row.verdict == "not testable"
    assert "no timing on any EPYC is public" in row.note


@pytest.mark.nightly
def test_missing_error_bars_have_a_reason(rows_held_out):
    slowest = next(row for row in rows_held_out if row.id.startswith("broadcast-slowest"))
    assert "no error bars: 5 degrees of freedom, fewer than 6" in slowest.note


@pytest.mark.parametrize("instruction", ["CLFLUSHOPT", "CLFLUSH"])
def test_the_latency_of_a_measured_host_is_held_against_what_published_rows_foretell(instruction):
    evidence = load()
    profile = evidence.hosts["epyc-milan-2cpu-vm"]
    with (profile.folder / "flush_cells.csv").open() as stream:
        told = [
            row for row in csv.DictReader(stream) if (row["instruction"], row["cell"]) == (instruction, "same_line")
        ]
    seen = statistics.median(float(row["measured_line_s"]) for row in told)
    row = observed._latency(evidence, profile, instruction)
    assert row.value == pytest.approx(seen) and row.low < seen < row.high and row.verdict == "pass"
    table = json.loads(profile.parsed["flush_cells"])
    for factor in (0.3, 3.0):
        times = [factor * each for each in table["measured_line_s"]]
        changed = {**profile.parsed, "flush_cells": json.dumps({**table, "measured_line_s": times}).encode()}
        assert observed._latency(evidence, replace(profile, parsed=changed), instruction).verdict == "fail"
