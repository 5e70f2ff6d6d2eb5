"""Cost curves over an axis with their bands, and the map of the cheapest strategy over two, for plots and the explorer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from costmodel.cost.axes import look_up_axis
from costmodel.cost.draws import Case, Draws, medians
from costmodel.cost.grid import Grid

CURVE_POINTS = 41
CURVE_DRAWS = 512
MAP_POINTS = 33
MAP_TIE = 1e-9
"""Logarithm of a cost ratio that is rounding only."""


@dataclass(frozen=True)
class Band:
    """5 %, 50 % and 95 % of a cost along the axis; arrays of the length of x."""

    low: numpy.ndarray
    median: numpy.ndarray
    high: numpy.ndarray


@dataclass(frozen=True)
class Crossing:
    """At `x` the cheapest strategy (median) changes."""

    x: float
    cheaper_below: str
    cheaper_above: str


@dataclass(frozen=True)
class Curves:
    """One band per strategy over an axis; `refused` maps strategies without a number to the gap."""

    trigger: str
    x: numpy.ndarray
    over: str
    x_unit: str
    y_unit: str
    series: dict[str, Band]
    crossings: list[Crossing]
    marks: dict[str, float]
    refused: dict[str, str]


@dataclass(frozen=True)
class HeatMap:
    """Index of the cheapest strategy (median) over the two axes `over`; `winner` has shape (len(y), len(x))."""

    trigger: str
    x: numpy.ndarray
    y: numpy.ndarray
    over: tuple[str, str]
    x_unit: str
    y_unit: str
    winner: numpy.ndarray
    strategies: list[str]
    mark: tuple[float, float]


def sweep(case: Case, strategies: Sequence[str], over: str) -> Curves:
    """Cost of each strategy along the axis `over`: CPU time per event, or for a rate host CPU-seconds per second."""
    axis = look_up_axis(over)
    x = axis.values(case.scenario, CURVE_POINTS)
    grid = Grid(case.over(Draws(case.parameters, CURVE_DRAWS)), strategies, {over: x})
    per_second = over == "rate_per_s"
    quantity = "host_cpus" if per_second else "cpu_time"
    series = {
        strategy: Band(*grid.intervals(grid.cost(strategy, quantity)).T)
        for strategy in strategies
        if strategy not in grid.refused
    }
    here = axis.here(case.scenario, case.trigger)
    return Curves(
        trigger=case.trigger,
        x=x,
        over=over,
        x_unit=axis.unit,
        y_unit="1" if per_second else "s",
        series=series,
        crossings=_crossings(x, series),
        marks={"this case": here} if numpy.isfinite(here) else {},
        refused=grid.refused,
    )


def _crossings(x: numpy.ndarray, series: dict[str, Band]) -> list[Crossing]:
    """Where the lowest median changes hands, interpolated in the logarithms; a tie, as where both take the whole host,
    is no change: the other one must be cheaper beyond it.
    """
    names = list(series)
    if len(names) < 2:
        return []
    medians_ = numpy.log(numpy.maximum(numpy.stack([series[name].median for name in names]), 1e-15))
    first, found = int(numpy.argmin(medians_[:, 0])), []
    for i in range(len(x) - 1):
        second = int(numpy.argmin(medians_[:, i + 1]))
        if medians_[second, i + 1] >= medians_[first, i + 1] - MAP_TIE:
            continue
        lead = medians_[second] - medians_[first]
        share = lead[i] / (lead[i] - lead[i + 1])
        where = float(numpy.exp(numpy.log(x[i]) + share * numpy.log(x[i + 1] / x[i])))
        found.append(Crossing(where, names[first], names[second]))
        first = second
    return found


def winner_map(case: Case, strategies: Sequence[str]) -> HeatMap:
    """Cheapest strategy at the medians over range length and CPUs that ran the guest."""
    x_axis, y_axis = look_up_axis("range_bytes"), look_up_axis("cpus")
    x, y = x_axis.values(case.scenario, MAP_POINTS), y_axis.values(case.scenario, MAP_POINTS)
    grid = Grid(case.over(medians(case.parameters)), strategies, {"cpus": y, "range_bytes": x})
    costed = [strategy for strategy in strategies if strategy not in grid.refused]
    costs = [grid.values(grid.cost(strategy)).reshape(len(y), len(x)) for strategy in costed]
    return HeatMap(
        case.trigger,
        x,
        y,
        (x_axis.id, y_axis.id),
        x_axis.unit,
        y_axis.unit,
        numpy.argmin(numpy.stack(costs), axis=0),
        costed,
        (x_axis.here(case.scenario, case.trigger), y_axis.here(case.scenario, case.trigger)),
    )
