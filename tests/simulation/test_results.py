"""The simulation agrees with the formulas, and would not if they were wrong."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy
import pytest

from costmodel.evidence.store import load
from costmodel.formulas.catalog import FORMULAS
from costmodel.report.scoreboard import worded
from costmodel.validation import simulation
from costmodel.validation.row import Section
from costmodel.validation.simulation import TARGET_SHARE, Result, settings_that_agree
from tests.simulation import grid as settings
from tests.simulation import predicted, results
from tests.simulation.grid import Case, edges, grid, points

SAMPLE = 12


@pytest.fixture(scope="module")
def found():
    return simulation.read(load().root)


def today():
    """The simulated values of data/ beside what the formulas say now."""
    known = {}
    for one in simulation.read(load().root):
        known.setdefault(one.setting, {})[one.output] = results.Estimate(one.simulated, one.half_width)
    cases = [replace(case, outputs={output: output for output in case.outputs}) for case in grid()]
    return results.compared(cases, known)


def share(results, output=None):
    chosen = [result for result in results if output in (None, result.output) and not result.limit]
    return float(numpy.mean(list(settings_that_agree(chosen).values())))


def test_there_are_at_least_200_settings_each_with_a_name_of_its_own():
    names = [case.id for case in grid()]
    assert len(names) == len(set(names)) >= 200


def test_every_family_of_settings_is_in_the_grid():
    families = [
        f
        for f in vars(settings).values()
        if getattr(f, "__annotations__", {}).get("return") in ("Iterator[Case]", Iterator[Case])
    ]
    assert len(families) >= 20
    for family in families:
        assert all(case in grid() for case in family())


def test_the_committed_values_of_the_formulas_are_those_of_today(found):
    for stored, now in zip(found, today(), strict=True):
        assert (stored.setting, stored.output, stored.fingerprint) == (now.setting, now.output, now.fingerprint)
        assert stored.formula == pytest.approx(now.formula, rel=1e-9)
        assert stored.limit == now.limit


def test_every_simulated_value_is_known_to_two_percent(found):
    assert max(result.relative_half_width for result in found) <= simulation.WIDEST


def test_at_least_95_percent_of_the_settings_agree(found):
    assert share(found) >= TARGET_SHARE


def test_each_formula_agrees_in_at_least_95_percent_of_its_settings(found):
    outputs = {result.output for result in found if not result.limit}
    assert {output: share(found, output) for output in outputs if share(found, output) < TARGET_SHARE} == {}


def test_the_outputs_of_the_contention_model_are_all_there(found):
    assert {result.output for result in found} >= {
        "lock_busy",
        "lock_wait",
        "lock_wait_quantile",
        "lock_saturation",
        "in_progress",
        "in_progress_closed",
        "window_stall",
        "merged_fraction",
        "fault_stall",
        "stall_quantile",
        "stall_quantile_closed",
        "retries_per_fault",
        "coalesced_batch",
        "coalesced_busy",
        "coalesced_latency",
        "queued_latency",
        "closed_rate",
        "numa_rate",
        "forced_loss",
        "dirty_at_flush",
        "dirty_at_flush_regular",
        "mask_cpus",
        "mask_after_migrations",
        "mask_between_flushes",
        "domains_touched",
        "slowest_response",
        "slowest_response_quantile",
        "missed_flushes",
    }


def test_every_limit_stands_in_the_formula_that_has_it():
    for case in edges():
        for output, limit in case.limits.items():
            assert limit in FORMULAS[output].validity


def test_beyond_the_limits_some_formula_is_off(found):
    beyond = defaultdict(list)
    for result in found:
        if result.limit:
            beyond[result.limit].append(result.agrees)
    assert set(beyond) >= {limit for case in edges() for limit in case.limits.values()}
    assert {limit for limit, agree in beyond.items() if all(agree)} == set()


BUGS = {
    "lock_wait": lambda right, **q: 2 * right("lock_wait", **q),
    "in_progress": lambda right, rate_per_s, serial_s, parallel_s: 1 - numpy.exp(-rate_per_s * (serial_s + parallel_s)),
    "coalesced_batch": lambda right, rate_per_s, flush_s: numpy.maximum(1.0, rate_per_s * flush_s),
    "merged_fraction": lambda right, range_fraction, **_: range_fraction,
    "window_stall": lambda right, rate_per_s, serial_s, parallel_s: (serial_s + parallel_s) / 2,
}
"""Mistakes that are easily made: the half of a mean wait forgotten, a line taken for windows that overlap, a flush
taken to follow at once, a range that never widens, what comes during a window overlooked.
"""


@pytest.mark.parametrize("formula", BUGS)
def test_a_seeded_bug_is_found(monkeypatch, found, formula):
    right = predicted.value

    def wrong(name, /, **quantities):
        return BUGS[formula](right, **quantities) if name == formula else right(name, **quantities)

    assert share(found, formula) >= TARGET_SHARE
    monkeypatch.setattr(predicted, "value", wrong)
    assert share(today(), formula) < TARGET_SHARE


def test_the_rows_say_the_same(found):
    section = Section(id="simulation", rows=tuple(map(worded, simulation.rows(load()))))
    assert not section.failed
    rows = {row.id: row for row in section.rows}
    assert len(rows) == len(section.rows)
    overall = rows["simulation-all"]
    assert overall.verdict == "pass"
    assert overall.value == pytest.approx(share(found))
    assert overall.details["settings"] == len(grid())
    explained = [row for row in section.rows if row.verdict == "disagree-explained"]
    assert explained and all(row.note.startswith("limit: ") for row in explained)


def test_a_formula_that_disagrees_without_a_limit_fails():
    bad = [result(str(n), formula=1.2) for n in range(10)]
    assert simulation.overall(bad).verdict == "fail"


def test_a_formula_that_has_changed_since_is_not_called_right(monkeypatch):
    own = simulation.fingerprint
    monkeypatch.setattr(simulation, "fingerprint", lambda name: "another" if name == "lock_wait" else own(name))
    rows = {row.id: worded(row) for row in simulation.rows(load())}
    assert rows["simulation-lock_wait"].verdict == "not testable"
    assert "make validation-data" in rows["simulation-lock_wait"].note
    assert rows["simulation-lock_busy"].verdict == "pass"


def test_where_every_formula_has_changed_nothing_is_compared(monkeypatch):
    monkeypatch.setattr(simulation, "fingerprint", lambda name: "another")
    rows = simulation.rows(load())
    assert rows and {row.verdict for row in rows} == {"not testable"}


def result(setting="one", simulated=1.0, half_width=0.01, formula=1.0, limit=""):
    return Result(setting, "family", "output", simulated, half_width, formula, limit)


@pytest.mark.parametrize(
    ("half_width", "formula", "agrees"),
    [
        (0.01, 1.0, True),
        (0.01, 1.035, True),
        (0.01, 1.045, False),
        (0.01, 0.965, True),
        (0.01, 0.955, False),
        (0.021, 1.0, False),
        (0.0199, 1.025, True),
        (0.0199, 1.035, False),
    ],
)
def test_the_whole_interval_must_lie_within_five_percent(half_width, formula, agrees):
    assert result(half_width=half_width, formula=formula).agrees is agrees


def test_the_design_fills_each_range():
    design = numpy.array(list(points(1, 20, (1e-4, 1e-2), (0.0, 1.0))))
    assert (numpy.diff(numpy.sort(design[:, 1])) < 0.1).all()
    assert 8 <= (design[:, 0] < 1e-3).sum() <= 12
    assert [list(row) for row in design] == list(points(1, 20, (1e-4, 1e-2), (0.0, 1.0)))


def test_the_committed_values_cover_the_grid_and_nothing_else(found):
    wanted = {(case.id, output, results.asked(case)) for case in grid() for output in case.outputs}
    assert {(one.setting, one.output, one.asked) for one in found} == wanted
    assert len(found) == len(wanted)


@pytest.mark.parametrize("sample", [2, pytest.param(SAMPLE, marks=pytest.mark.nightly)])
def test_the_simulator_still_gives_the_committed_values(found, sample):
    """A sample that another state of the simulator chooses anew; `make validation-data` runs all of them."""
    sources = sorted(Path(settings.__file__).parent.glob("*.py"))
    seed = int(hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16], 16)
    chosen = numpy.random.default_rng(seed).choice(len(grid()), sample, replace=False)
    for case in (grid()[i] for i in chosen):
        _, again = results.simulate(case)
        for one in (one for one in found if one.setting == case.id):
            assert tuple(again[case.outputs[one.output]]) == pytest.approx((one.simulated, one.half_width), rel=1e-6)


def test_the_file_says_what_was_compared(found):
    assert results.text(found) == (load().root / simulation.FILE).read_text(encoding="utf-8")
