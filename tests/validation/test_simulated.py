"""The simulation agrees with the formulas, and would not if they were wrong."""

import json
from collections import defaultdict
from dataclasses import replace

import numpy
import pytest

from costmodel.cache import key_of
from costmodel.evidence import paths
from costmodel.formulas.catalog import FORMULAS
from costmodel.simulation.engine import SimulationUnavailable
from costmodel.validation import (
    simulated,
    simulated_data,
    simulated_formulas,
    simulated_lines,
    simulated_lock,
    simulated_parts,
    simulated_results,
    simulated_whole,
    simulated_windows,
)
from costmodel.validation.simulated import TARGET_SHARE, Result, settings_that_agree
from costmodel.validation.simulated_design import points
from costmodel.validation.simulated_edges import edges
from costmodel.validation.simulated_grid import grid

SAMPLE = 12


@pytest.fixture(scope="module")
def found():
    return simulated.results()


def share(results, output=None):
    chosen = [result for result in results if output in (None, result.output) and not result.limit]
    return float(numpy.mean(list(settings_that_agree(chosen).values())))


def test_there_are_at_least_200_settings_each_with_a_name_of_its_own():
    names = [case.id for case in grid()]
    assert len(names) == len(set(names)) >= 200


@pytest.mark.parametrize(
    "module", [simulated_lock, simulated_windows, simulated_lines, simulated_parts, simulated_whole]
)
def test_every_family_of_settings_is_in_the_grid(module):
    families = [f for f in vars(module).values() if getattr(f, "__module__", "") == module.__name__]
    public = [f for f in families if not f.__name__.startswith("_")]
    assert len(public) >= 4
    for family in public:
        assert all(case in grid() for case in family())


def test_every_simulated_value_is_known_to_two_percent(found):
    assert max(result.half_width for result in found) <= simulated_results.WIDEST


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
"""Mistakes that are easily made: the half of a mean wait forgotten, a line taken for windows that overlap, a flush taken
to follow at once, a range that never widens, what comes during a window overlooked."""


@pytest.mark.parametrize("formula", BUGS)
def test_a_seeded_bug_is_found(monkeypatch, found, formula):
    right = simulated_formulas.value

    def wrong(name, /, **quantities):
        return BUGS[formula](right, **quantities) if name == formula else right(name, **quantities)

    assert share(found, formula) >= TARGET_SHARE
    monkeypatch.setattr(simulated_formulas, "value", wrong)
    assert share(simulated.results(), formula) < TARGET_SHARE


def test_the_rows_say_the_same(found):
    section = simulated.section()
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
    assert simulated.overall(bad).verdict == "fail"


def test_without_simpy_nothing_is_claimed(monkeypatch):
    def missing(progress):
        raise SimulationUnavailable("simpy is not installed")

    monkeypatch.setattr(simulated, "results", missing)
    (row,) = simulated.section().rows
    assert row.verdict == "not testable"


def result(setting="one", simulated=1.0, half_width=0.01, formula=1.0, limit=""):
    low, high = simulated - half_width, simulated + half_width
    return Result(setting, "family", "output", low, simulated, high, formula, limit)


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


def test_simulated_values_come_from_the_cache_the_second_time(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cases = tuple(case for case in grid() if case.family == "domains")[:3]
    calls = []
    first = simulated_results.simulate_all(cases, lambda: calls.append(1))
    second = simulated_results.simulate_all(cases, lambda: calls.append(1))
    assert len(calls) == 3
    assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


def test_the_design_fills_each_range():
    design = numpy.array(list(points(1, 20, (1e-4, 1e-2), (0.0, 1.0))))
    assert (numpy.diff(numpy.sort(design[:, 1])) < 0.1).all()
    assert 8 <= (design[:, 0] < 1e-3).sum() <= 12
    assert [list(row) for row in design] == list(points(1, 20, (1e-4, 1e-2), (0.0, 1.0)))


def test_the_committed_values_cover_the_grid_and_nothing_else():
    stored = simulated_data.read(paths.data_dir())
    assert set(stored) == {(case.id, simulated_data.asked(case, simulated_results.ENTROPY)) for case in grid()}
    for case in grid():
        assert set(stored[case.id, simulated_data.asked(case, simulated_results.ENTROPY)]) >= set(case.outputs.values())


def test_the_simulator_still_gives_the_committed_values():
    """A sample that another state of the simulator chooses anew; `make validation-data` runs all of them."""
    seed = int(key_of([], ["simulation"]), 16)
    chosen = numpy.random.default_rng(seed).choice(len(grid()), SAMPLE, replace=False)
    for case in (grid()[i] for i in chosen):
        stored = simulated_data.read(paths.data_dir())[case.id, simulated_data.asked(case, simulated_results.ENTROPY)]
        _, again = simulated_results.simulate(case)
        assert {name: tuple(again[name]) for name in again} == {
            name: pytest.approx(tuple(estimate), rel=1e-6) for name, estimate in stored.items()
        }


def test_a_setting_that_is_not_there_is_simulated(monkeypatch):
    (first, *_) = (case for case in grid() if case.family == "mask")
    asked_for = []
    monkeypatch.setattr(simulated_results, "simulate_all", lambda cases, _: asked_for.extend(cases) or {})
    other = replace(first, id="another")
    simulated_results.simulated((first, other))
    assert asked_for == [other]
