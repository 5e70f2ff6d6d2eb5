"""Held-out errors of each term, and what coverage is called good."""

import csv
import json
import re
import statistics
from dataclasses import replace

import pytest
from scipy.stats import binomtest

from costmodel.evidence.store import load
from costmodel.report.scoreboard import worded
from costmodel.validation import terms
from costmodel.validation.terms import covers

MACHINES = "machines-foretold-by-others"


@pytest.fixture(scope="module")
def all_rows():
    return [worded(row) for row in terms.rows(load())]


@pytest.fixture(scope="module")
def rows(all_rows):
    """The rows without those that foretell one latency of one host: they have no cells, and a test of their own."""
    return [row for row in all_rows if not row.id.startswith("latency-cl")]


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
def test_only_what_is_known_to_fail_fails(all_rows):
    """On Turin the interval of a range decade that was left out is too wide: it covers 97 % (96 to 98 %), not 85 to 95.
    The scoreboard says FAIL until the interpolation error of a whole decade is modelled better.
    """
    assert [row.id for row in all_rows if row.verdict == "fail"] == ["epyc-turin-2cpu-vm-3"]
    (row,) = (row for row in all_rows if row.verdict == "fail")
    assert "range decades" in row.what and row.details["covered"] / row.details["n"] > 0.95


@pytest.mark.nightly
def test_every_fit_and_every_host_has_its_rows(rows):
    ids = [row.id for row in rows]
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
def test_machines_are_foretold_as_often_as_their_intervals_say(rows):
    """Stated in machines and quantities, with a binomial interval: a dozen and a half can refute 90 %, not narrow
    it.
    """
    (row,) = [row for row in rows if row.id == MACHINES]
    found = binomtest(int(row.details["covered"]), row.details["n"]).proportion_ci(0.95)
    assert (row.low, row.high) == (found.low, found.high)
    assert row.verdict == ("pass" if found.low <= 0.9 <= found.high else "fail") == "pass"
    assert "cpu_read of epyc-milan-2cpu-vm" in row.note


@pytest.mark.nightly
def test_the_verdict_follows_from_the_numbers_that_are_shown(rows):
    told = 0
    for row in (row for row in rows if row.id != MACHINES):
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
def test_the_text_shows_the_numbers(rows):
    for row in rows:
        if row.details.get("covered") is not None:
            assert re.search(rf"\b{int(row.details['covered'])}\b", row.figure)
            assert re.search(rf"\b{row.details['n']}\b", row.figure)


@pytest.mark.nightly
def test_fewer_than_a_hundred_rows_confirm_nothing_and_say_so(rows):
    for row in (row for row in rows if row.id != MACHINES):
        if row.details.get("n", 100) < 100:
            assert row.verdict == "not testable"
            assert "100" in row.note + row.figure


@pytest.mark.nightly
def test_errors_are_shares_and_biases_small(rows):
    """The tree was refuted: its error is that of no term in use."""
    for row in (row for row in rows if row.id != MACHINES):
        if row.value is not None and "rival" not in row.id:
            assert 0 <= row.value < 0.25, row.id
            assert abs(row.details["bias"]) < 0.15, row.id


@pytest.mark.nightly
def test_the_rival_that_lost_is_worse_than_the_form_in_use(rows):
    error = {row.id: row.value for row in rows}
    assert error["broadcast-tree-(rival)"] > 3 * error["broadcast-linear"]


@pytest.mark.nightly
def test_a_rival_says_that_it_is_one(rows):
    rivals = [row for row in rows if "rival" in row.id]
    assert len(rivals) == 2
    assert all("shown beside the form that held-out rows chose" in row.note for row in rivals)


@pytest.mark.nightly
def test_the_walk_of_a_whole_cache_flush_lies_where_skylake_has_it(rows):
    """Rows W01 and W02: (with - without) over the lines of the cache, 5 to 6 ns."""
    (row,) = [row for row in rows if row.id == "whole-cache-walk"]
    assert 4e-9 < row.low < row.high < 8e-9
    assert row.verdict == "not testable"
    assert "no timing on any EPYC is public" in row.note


@pytest.mark.nightly
def test_missing_error_bars_have_a_reason(rows):
    slowest = next(row for row in rows if row.id.startswith("broadcast-slowest"))
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
    row = terms._latency(evidence, profile, instruction)
    assert row.value == pytest.approx(seen) and row.low < seen < row.high and row.verdict == "pass"
    table = json.loads(profile.parsed["flush_cells"])
    for factor in (0.3, 3.0):
        times = [factor * each for each in table["measured_line_s"]]
        changed = {**profile.parsed, "flush_cells": json.dumps({**table, "measured_line_s": times}).encode()}
        assert terms._latency(evidence, replace(profile, parsed=changed), instruction).verdict == "fail"
