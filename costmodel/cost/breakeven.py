"""Break-evens between two strategies, with their uncertainty: one root per draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy

from costmodel.calibration.cached import parameters_of
from costmodel.cost.axes import Axis, axis
from costmodel.cost.draws import Draws, medians
from costmodel.cost.scenario import Scenario
from costmodel.cost.totals import Total, total
from costmodel.errors import MissingNumber, UnknownName
from costmodel.evidence.store import Evidence
from costmodel.formulas.compiled import value
from costmodel.kvm.strategies import STRATEGIES

ROOT_DRAWS = 1024
GRID = 129
LOSSES = (0.01, 0.10)


@dataclass(frozen=True)
class Row:
    """One break-even: 5 %, 50 %, 95 % over the draws that have one (`share` of all), and the value at the medians."""

    label: str
    low: float
    median: float
    high: float
    at_medians: float
    unit: str
    share: float


@dataclass(frozen=True)
class BreakEven:
    """All break-evens inside [low, high] of the axis; `always` is the cheaper strategy where there is none."""

    strategies: tuple[str, str]
    over: str
    unit: str
    low: float
    high: float
    rows: tuple[Row, ...]
    always: str | None
    extrapolated: bool

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def break_even(evidence: Evidence, case: Scenario, trigger: str, strategies: Sequence[str], over: str) -> BreakEven:
    """Break-even of two strategies along the axis `over`. Raises MissingNumber where a term is unknown."""
    first, second = strategies
    for name in strategies:
        if name not in STRATEGIES:
            raise UnknownName("strategy", name, STRATEGIES)
    parameters = parameters_of(evidence, case.machine.id)
    draws, middle = Draws(parameters, ROOT_DRAWS), medians(parameters)
    line = axis(over)
    low, high = line.span(case)
    costs = [_checked(trigger, name, case, draws) for name in strategies]
    extrapolated = any(cost.extrapolated for cost in costs)
    if over == "rate_per_s":
        rows = [
            row for cost in costs for row in _loss_rates(case, cost, _checked(trigger, cost.strategy, case, middle))
        ]
        return BreakEven((first, second), over, line.unit, low, high, tuple(rows), None, extrapolated)
    roots = _roots(trigger, strategies, case, draws, line)
    found = roots[numpy.isfinite(roots)]
    centre = _roots(trigger, strategies, case, middle, line)
    if found.size == 0 or not numpy.isfinite(centre[0]):
        cheaper = min(costs, key=lambda cost: float(numpy.median(cost.event.stolen_s))).strategy
        return BreakEven((first, second), over, line.unit, low, high, (), cheaper, extrapolated)
    small, mid, large = (float(x) for x in numpy.quantile(found, (0.05, 0.5, 0.95)))
    row = Row("break-even", small, mid, large, float(centre[0]), line.unit, found.size / roots.size)
    return BreakEven((first, second), over, line.unit, low, high, (row,), None, extrapolated)


def _checked(trigger: str, strategy: str, case: Scenario, draws: Draws) -> Total:
    cost = total(trigger, strategy, case, draws)
    if cost.refused:
        raise MissingNumber(f"{strategy}: {cost.refused}")
    return cost


def _loss_rates(case: Scenario, cost: Total, centre: Total) -> list[Row]:
    """Rates at which one strategy alone costs 1 % and 10 % of the host."""
    rows = []
    for share in LOSSES:
        known = {"lost_fraction": share, "logical_cpus": case.machine.logical_cpus}
        if float(centre.event.stolen_s[0]) == 0:
            continue
        rates = value("rate_at_loss", stolen_cpu_s_per_event=cost.event.stolen_s, **known)
        at = float(value("rate_at_loss", stolen_cpu_s_per_event=centre.event.stolen_s, **known)[0])
        low, mid, high = (float(x) for x in numpy.quantile(rates, (0.05, 0.5, 0.95)))
        rows.append(Row(f"{cost.strategy} costs {share:.0%} of the host", low, mid, high, at, "1/s", 1.0))
    return rows


def _roots(trigger: str, strategies: Sequence[str], case: Scenario, draws: Draws, line: Axis) -> numpy.ndarray:
    """First sign change of the log cost ratio along the axis for every draw (NaN where there is none), interpolated."""
    low, high = line.span(case)
    grid = numpy.geomspace(low, high, GRID)
    ratio = []
    for x in grid:
        one, other = (total(trigger, name, line.at(case, float(x)), draws).event.stolen_s for name in strategies)
        ratio.append(numpy.broadcast_to(numpy.log(numpy.maximum(one, 1e-15) / numpy.maximum(other, 1e-15)), (draws.n,)))
    ratio = numpy.stack(ratio)
    change = numpy.sign(ratio[:-1]) * numpy.sign(ratio[1:]) < 0
    first = numpy.argmax(change, axis=0)
    column = numpy.arange(draws.n)
    left, right = ratio[first, column], ratio[first + 1, column]
    some = change.any(axis=0)
    share = numpy.where(some, left, 0.0) / numpy.where(some, left - right, 1.0)
    logs = numpy.log(grid)
    roots = numpy.exp(logs[first] + share * (logs[first + 1] - logs[first]))
    return numpy.where(some, roots, numpy.nan)
