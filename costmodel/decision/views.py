"""What plots and the explorer show of a recommendation: the strategies worth drawing, their costs over an axis with their
bands, and the map of the cheapest over two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy

from costmodel.calibration.parameters import ParameterSet, parameters_of
from costmodel.cost.draws import Case, Draws, medians
from costmodel.cost.grid import Grid
from costmodel.cost.scenario import AXES, Scenario, look_up_axis, scenario
from costmodel.decision.result import COUNT_OF, RATE_OF, SECONDS_OF, CostRow, Recommendation, State
from costmodel.decision.tables import is_repeated
from costmodel.evidence.records import PAGE_BYTES
from costmodel.evidence.store import Evidence, load
from costmodel.kvm.catalog import STRATEGIES
from costmodel.kvm.setup import CHOICES

DRAWN = 6
PROPERTIES = ("vmm", *CHOICES)
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
    """Cost of each strategy along the axis `over`, over the draws of `case`: CPU time per event, or for a rate host
    CPU-seconds per second.
    """
    axis = look_up_axis(over)
    x = axis.values(case.scenario, CURVE_POINTS)
    grid = Grid(case, strategies, {over: x})
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


@dataclass(frozen=True)
class View:
    """Scenario and parameters of a recommendation, at one trigger, with the strategies that have a cost there.

    `states` says of each whether it is admissible: the curves of others show what they would cost, never a choice.
    """

    scenario: Scenario
    parameters: ParameterSet
    trigger: str
    states: dict[str, State]

    @property
    def strategies(self) -> list[str]:
        return list(self.states)

    @property
    def choices(self) -> list[str]:
        """Strategies that cannot be ruled out here."""
        return [name for name, state in self.states.items() if state != "inadmissible"]

    def sweeps(self) -> list[Curves]:
        """One sweep per axis."""
        case = Case(self.trigger, self.scenario, Draws(self.parameters, CURVE_DRAWS))
        return [sweep(case, self.strategies, over) for over in AXES]

    def map(self) -> HeatMap:
        """Cheapest of the strategies that cannot be ruled out, over range length and CPUs."""
        return winner_map(Case(self.trigger, self.scenario, medians(self.parameters)), self.choices)


def worth_drawing(rows: Sequence[CostRow], chosen: str | None) -> list[CostRow]:
    """`rows` of one trigger without the whole-cache flushes that an event takes many times over, unless the kernel has
    `chosen` one or there is nothing else.
    """
    return [row for row in rows if row.strategy == chosen or not is_repeated(row)] or list(rows)


def view(result: Recommendation, evidence: Evidence | None = None) -> View | None:
    """The view at the costliest trigger, or None where nothing flushes there."""
    if not result.applicable or result.costliest_trigger is None:
        return None
    evidence = evidence or load()
    told = cast(dict[str, Any], result.scenario)
    own = {name: told[name] for name in PROPERTIES} | {name: int(told[name]) for name in ("vcpus", "cpus_that_ran")}
    case = scenario(
        evidence,
        result.guest,
        result.machine,
        result.workload,
        result.kernel_version,
        resident_bytes=told["resident_bytes"],
        event_fraction=told.get("event_fraction"),
        folio_bytes=int(result.scenario.get("folio_bytes", PAGE_BYTES)),
        noncoherent_dma=bool(result.scenario.get("noncoherent_dma", False)),
        rates=_rates(result.scenario),
        **own,
    )
    rows = [
        r
        for r in result.costs
        if r.trigger == result.costliest_trigger and r.refused is None and STRATEGIES[r.strategy].instruction != "none"
    ]
    rows = worth_drawing(rows, result.costliest_strategy)
    rows.sort(key=lambda r: (r.strategy != result.costliest_strategy, r.state != "admissible"))
    states = {r.strategy: r.state for r in rows[:DRAWN]}
    return View(case, parameters_of(evidence, result.machine), result.costliest_trigger, states) if states else None


def _rates(numbers: Mapping[str, Any]) -> dict[str, float | tuple[float, float]]:
    """The rates that the user gave, as `scenario` takes them."""
    given = {key.removeprefix(RATE_OF): rate for key, rate in numbers.items() if key.startswith(RATE_OF)}
    counted = [key.removeprefix(COUNT_OF) for key in numbers if key.startswith(COUNT_OF)]
    return given | {name: (numbers[f"{COUNT_OF}{name}"], numbers[f"{SECONDS_OF}{name}"]) for name in counted}
