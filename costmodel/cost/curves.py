"""Cost curves over an axis and the map of the cheapest strategy over two, for plots and the explorer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy

from costmodel.calibration.parameters import ParameterSet
from costmodel.cost.axes import axis as axis_of
from costmodel.cost.draws import Draws, medians
from costmodel.cost.scenario import Scenario
from costmodel.cost.totals import total

CURVE_POINTS = 41
CURVE_DRAWS = 512
MAP_POINTS = 33
TIE = 1e-9
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
    x_label: str
    x_unit: str
    y_label: str
    y_unit: str
    series: dict[str, Band]
    crossings: list[Crossing]
    marks: dict[str, float]
    refused: dict[str, str]


@dataclass(frozen=True)
class HeatMap:
    """Index of the cheapest strategy (median) over two axes; `winner` has shape (len(y), len(x))."""

    trigger: str
    x: numpy.ndarray
    y: numpy.ndarray
    x_label: str
    x_unit: str
    y_label: str
    y_unit: str
    winner: numpy.ndarray
    strategies: list[str]
    mark: tuple[float, float]


def sweep(scenario: Scenario, trigger: str, strategies: Sequence[str], parameters: ParameterSet, over: str) -> Curves:
    """Cost of each strategy along the axis `over`: CPU time per event, or for a rate host CPU-seconds per second."""
    axis = axis_of(over)
    x = axis.values(scenario, CURVE_POINTS)
    draws = Draws(parameters, CURVE_DRAWS)
    series: dict[str, Band] = {}
    refused: dict[str, str] = {}
    for strategy in strategies:
        rows = []
        for value in x:
            cost = total(trigger, strategy, axis.at(scenario, float(value)), draws)
            if cost.refused:
                refused[strategy] = cost.refused
                break
            rows.append(cost.host_cpu_s_per_s if over == "rate_per_s" else cost.event.stolen_s)
        else:
            low, median, high = numpy.quantile(numpy.stack(rows), (0.05, 0.5, 0.95), axis=1)
            series[strategy] = Band(low, median, high)
    here = axis.here(scenario, trigger)
    per_second = over == "rate_per_s"
    return Curves(
        trigger=trigger,
        x=x,
        x_label=axis.label,
        x_unit=axis.unit,
        y_label="host CPU-seconds lost per second" if per_second else "CPU time taken per event",
        y_unit="1" if per_second else "s",
        series=series,
        crossings=_crossings(x, series),
        marks={"this case": here} if numpy.isfinite(here) else {},
        refused=refused,
    )


def _crossings(x: numpy.ndarray, series: dict[str, Band]) -> list[Crossing]:
    """Where the lowest median changes hands, interpolated in the logarithms; a tie, as where both take the whole host, is no
    change: the other one must be cheaper beyond it.
    """
    names = list(series)
    if len(names) < 2:
        return []
    medians_ = numpy.log(numpy.maximum(numpy.stack([series[name].median for name in names]), 1e-15))
    first, found = int(numpy.argmin(medians_[:, 0])), []
    for i in range(len(x) - 1):
        second = int(numpy.argmin(medians_[:, i + 1]))
        if medians_[second, i + 1] >= medians_[first, i + 1] - TIE:
            continue
        lead = medians_[second] - medians_[first]
        share = lead[i] / (lead[i] - lead[i + 1])
        where = float(numpy.exp(numpy.log(x[i]) + share * numpy.log(x[i + 1] / x[i])))
        found.append(Crossing(where, names[first], names[second]))
        first = second
    return found


def winner_map(scenario: Scenario, trigger: str, strategies: Sequence[str], parameters: ParameterSet) -> HeatMap:
    """Cheapest strategy at the medians over range length and CPUs that ran the guest."""
    x_axis, y_axis = axis_of("range_bytes"), axis_of("cpus")
    x, y = x_axis.values(scenario, MAP_POINTS), y_axis.values(scenario, MAP_POINTS)
    at = medians(parameters)
    costed = [s for s in strategies if total(trigger, s, scenario, at).refused is None]
    rows = []
    for value in y:
        there = replace(y_axis.at(scenario, float(value)), range_bytes=x)
        costs = [total(trigger, s, there, at).event.stolen_s for s in costed]
        rows.append(numpy.argmin(numpy.stack([numpy.broadcast_to(cost, x.shape) for cost in costs]), axis=0))
    return HeatMap(
        trigger,
        x,
        y,
        x_axis.label,
        x_axis.unit,
        y_axis.label,
        y_axis.unit,
        numpy.stack(rows),
        costed,
        (x_axis.here(scenario, trigger), y_axis.here(scenario, trigger)),
    )
