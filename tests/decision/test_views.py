"""Curves along an axis with their bands, and the map of the cheapest strategy: they are the totals, taken there."""

from dataclasses import replace

import numpy
import pytest

from costmodel.cost.draws import Case, Draws, medians
from costmodel.cost.scenario import AXES
from costmodel.cost.total import total
from costmodel.decision.views import CURVE_DRAWS, Band, _crossings, sweep, winner_map
from costmodel.report.names import COST_NAMES

NAMES = ["WBNOINVD_MASK", "WBNOINVD_ALL", "CLFLUSHOPT_DM_SPTE", "VM_PAGE_FLUSH"]
TRIGGER = "ksm_replace_page"


@pytest.fixture(scope="module")
def curves(milan_ksm, milan):
    return {over: sweep(Case(TRIGGER, milan_ksm, Draws(milan, CURVE_DRAWS)), NAMES, over) for over in AXES}


def test_a_strategy_without_a_number_is_named_not_drawn(curves):
    for curve in curves.values():
        assert "VM_PAGE_FLUSH" in curve.refused
        assert set(curve.series) == set(NAMES[:3])


def test_bands_are_ordered(curves):
    for curve in curves.values():
        for band in curve.series.values():
            assert numpy.all(band.low <= band.median) and numpy.all(band.median <= band.high)


def test_a_curve_passes_through_the_total(curves, milan_ksm, milan):
    curve = curves["range_bytes"]
    draws = Draws(milan, CURVE_DRAWS)
    at = AXES["range_bytes"].at(milan_ksm, float(curve.x[20]))
    expected = numpy.median(total(Case(TRIGGER, at, draws), "CLFLUSHOPT_DM_SPTE").event.stolen_s)
    assert curve.series["CLFLUSHOPT_DM_SPTE"].median[20] == pytest.approx(expected)


def test_a_longer_range_never_costs_less(curves):
    assert numpy.all(numpy.diff(curves["range_bytes"].series["CLFLUSHOPT_DM_SPTE"].median) >= 0)


def test_more_cpus_that_ran_cost_the_mask_more_and_the_rest_nothing(curves):
    series = curves["cpus"].series
    assert numpy.all(numpy.diff(series["WBNOINVD_MASK"].median) > 0)
    assert numpy.ptp(series["WBNOINVD_ALL"].median) == 0


def test_a_larger_cache_costs_a_whole_cache_flush_more(curves):
    assert numpy.all(numpy.diff(curves["cache_bytes"].series["WBNOINVD_ALL"].median) > 0)


def test_the_loss_never_exceeds_the_host(curves, milan_ksm):
    for band in curves["rate_per_s"].series.values():
        assert band.high.max() <= milan_ksm.machine.logical_cpus


def test_a_crossing_lies_between_the_points_that_it_separates(milan_ksm, milan):
    """With eight CPUs in the mask the costs cross on the axis; with all 256 a range flush costs less throughout."""
    curve = sweep(Case(TRIGGER, replace(milan_ksm, cpus_that_ran=8.0), Draws(milan, CURVE_DRAWS)), NAMES, "range_bytes")
    assert curve.crossings
    for crossing in curve.crossings:
        i = int(numpy.searchsorted(curve.x, crossing.x))
        lower, upper = (min(curve.series, key=lambda name, j=j: curve.series[name].median[j]) for j in (i - 1, i))
        assert (lower, upper) == (crossing.cheaper_below, crossing.cheaper_above)


def test_the_map_shows_the_cheapest_at_every_point(milan_ksm, milan):
    heat = winner_map(Case(TRIGGER, milan_ksm, medians(milan)), NAMES)
    assert heat.strategies == NAMES[:3]
    assert heat.winner.shape == (len(heat.y), len(heat.x))
    at = medians(milan)
    for i, j in ((0, 0), (-1, -1), (0, -1), (5, 20)):
        there = AXES["cpus"].at(AXES["range_bytes"].at(milan_ksm, float(heat.x[j])), float(heat.y[i]))
        costs = [float(total(Case(TRIGGER, there, at), name).event.stolen_s[0]) for name in heat.strategies]
        assert costs[heat.winner[i, j]] == pytest.approx(min(costs))


def test_a_rate_is_drawn_as_a_loss_and_the_rest_as_cpu_time(curves):
    assert {over: (COST_NAMES[curve.y_unit], curve.y_unit) for over, curve in curves.items()} == {
        "range_bytes": ("CPU time taken per event", "s"),
        "cpus": ("CPU time taken per event", "s"),
        "cache_bytes": ("CPU time taken per event", "s"),
        "rate_per_s": ("host CPU-seconds lost per second", "1"),
    }
    assert "this case" not in curves["rate_per_s"].marks
    assert curves["cpus"].marks == {"this case": 256}


def test_what_costs_nothing_is_cheapest_everywhere(milan_ksm, milan):
    curve = sweep(Case(TRIGGER, milan_ksm, Draws(milan, CURVE_DRAWS)), ["WBNOINVD_MASK", "NO_FLUSH"], "range_bytes")
    assert curve.crossings == []
    assert numpy.all(curve.series["NO_FLUSH"].median == 0)


def test_a_crossing_lies_where_the_lines_between_the_points_meet():
    x = numpy.array([0.5, 2.0, 8.0])
    flat, steep = numpy.array([2.0, 2.0, 2.0]), numpy.array([0.1, 0.5, 4.0])
    band = {name: Band(y, y, y) for name, y in (("flat", flat), ("steep", steep))}
    (found,) = _crossings(x, band)
    assert (found.cheaper_below, found.cheaper_above) == ("steep", "flat")
    assert found.x == pytest.approx(2 * 4.0 ** (2 / 3))  # 0.5 to 4 is three doublings over two of x: the second meets 2
    assert _crossings(x, {"flat": band["flat"]}) == []


def test_bands_are_the_draws_without_a_twentieth_on_either_side(curves, milan_ksm, milan):
    curve = curves["cpus"]
    at = AXES["cpus"].at(milan_ksm, float(curve.x[3]))
    stolen = total(Case(TRIGGER, at, Draws(milan, CURVE_DRAWS)), "WBNOINVD_MASK").event.stolen_s
    band = curve.series["WBNOINVD_MASK"]
    assert (band.low[3], band.median[3], band.high[3]) == pytest.approx(
        tuple(numpy.quantile(stolen, (0.05, 0.5, 0.95)))
    )


def test_a_tie_is_no_crossing():
    """Above some rate both take the whole host: whoever is listed first has not become the cheaper one."""
    x = numpy.array([1.0, 10.0, 100.0, 1000.0])
    dear, cheap = numpy.array([2.0, 20.0, 256.0, 256.0]), numpy.array([1.0, 10.0, 100.0, 256.0])
    for names in (("A", "B"), ("B", "A")):
        series = {name: Band(y, y, y) for name, y in zip(names, (dear, cheap), strict=True)}
        assert _crossings(x, series) == []


def test_a_crossing_behind_a_tie_is_found():
    x = numpy.array([1.0, 10.0, 100.0])
    first, second = numpy.array([1.0, 5.0, 9.0]), numpy.array([2.0, 5.0, 6.0])
    (found,) = _crossings(x, {"A": Band(first, first, first), "B": Band(second, second, second)})
    assert (found.cheaper_below, found.cheaper_above) == ("A", "B")
    assert found.x == pytest.approx(10.0)
