"""Costs along an axis: the axes, the curves with their bands, and the map of the cheapest strategy over two axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy

from costmodel.cost.draws import Case, Draws, medians
from costmodel.cost.scenario import Scenario
from costmodel.cost.total import total
from costmodel.errors import UnknownName, stated

# The axes along which a cost is swept: how each changes a scenario, its unit and its range.


@dataclass(frozen=True)
class Axis:
    """`at(scenario, value)` is the scenario with the axis set; `values(scenario)` a logarithmic grid; `here` its
    value.
    """

    id: str
    label: str
    unit: str
    at: Callable[[Scenario, float], Scenario]
    span: Callable[[Scenario], tuple[float, float]]
    here: Callable[[Scenario, str], float]
    integer: bool = False

    def values(self, scenario: Scenario, points: int) -> numpy.ndarray:
        """`points` values from the low to the high end, evenly spaced in the logarithm."""
        low, high = self.span(scenario)
        grid = numpy.geomspace(low, high, points)
        return numpy.unique(numpy.round(grid)) if self.integer else grid


def _mean_range(scenario: Scenario, trigger: str) -> float:
    return sum(size * weight for size, weight in scenario.ranges(trigger))


def _with_llc(scenario: Scenario, value: float) -> Scenario:
    return replace(scenario, machine=replace(scenario.machine, llc_bytes_per_domain=value))


def _with_cpus(scenario: Scenario, value: float) -> Scenario:
    return replace(scenario, cpus_that_ran=value)


AXES = {
    axis.id: axis
    for axis in (
        Axis(
            "range_bytes",
            "range length",
            "B",
            lambda s, v: replace(s, range_bytes=v),
            lambda s: (float(s.machine.line_bytes), 64 * 2.0**30),
            _mean_range,
        ),
        Axis(
            "cpus",
            "CPUs that ran the guest",
            "1",
            _with_cpus,
            lambda s: (1.0, float(s.machine.logical_cpus)),
            lambda s, _: s.cpus_that_ran,
            integer=True,
        ),
        Axis(
            "rate_per_s",
            "invalidations per second",
            "1/s",
            lambda s, v: replace(s, rate_per_s=v),
            lambda s: (0.01, 1e5),
            lambda s, trigger: s.rate(trigger) or float("nan"),
        ),
        Axis(
            "cache_bytes",
            "last-level cache per domain",
            "B",
            _with_llc,
            lambda s: (2.0**20, 2.0**30),
            lambda s, _: s.machine.llc_bytes_per_domain,
        ),
    )
}


def look_up_axis(name: str) -> Axis:
    """The axis called `name`; raises UnknownName."""
    if name not in AXES:
        raise UnknownName("axis", name, AXES)
    return AXES[name]


# Cost curves over an axis and the map of the cheapest strategy over two, for plots and the explorer.

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


def sweep(case: Case, strategies: Sequence[str], over: str) -> Curves:
    """Cost of each strategy along the axis `over`: CPU time per event, or for a rate host CPU-seconds per second."""
    axis = look_up_axis(over)
    x = axis.values(case.scenario, CURVE_POINTS)
    draws = Draws(case.parameters, CURVE_DRAWS)
    series: dict[str, Band] = {}
    refused: dict[str, str] = {}
    for strategy in strategies:
        rows = []
        for point in x:
            cost = total(Case(case.trigger, axis.at(case.scenario, float(point)), draws), strategy)
            if cost.refused:
                refused[strategy] = cost.refused
                break
            lost = cost.host_cpu_s_per_s if over == "rate_per_s" else cost.priced.stolen_s
            rows.append(stated(lost, f"the rate of {case.trigger}"))
        else:
            low, median, high = numpy.quantile(numpy.stack(rows), (0.05, 0.5, 0.95), axis=1)
            series[strategy] = Band(low, median, high)
    here = axis.here(case.scenario, case.trigger)
    per_second = over == "rate_per_s"
    return Curves(
        trigger=case.trigger,
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
    at = medians(case.parameters)
    costed = [s for s in strategies if total(case.over(at), s).refused is None]
    rows = []
    for point in y:
        there = Case(case.trigger, y_axis.at(case.scenario, float(point)), at).where(range_bytes=x)
        costs = [total(there, s).priced.stolen_s for s in costed]
        rows.append(numpy.argmin(numpy.stack([numpy.broadcast_to(cost, x.shape) for cost in costs]), axis=0))
    return HeatMap(
        case.trigger,
        x,
        y,
        x_axis.label,
        x_axis.unit,
        y_axis.label,
        y_axis.unit,
        numpy.stack(rows),
        costed,
        (x_axis.here(case.scenario, case.trigger), y_axis.here(case.scenario, case.trigger)),
    )
