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
from costmodel.errors import BadInput, MissingNumber, UnknownName
from costmodel.evidence.store import Evidence
from costmodel.formulas.compiled import value
from costmodel.kvm.admissibility import judge
from costmodel.kvm.guests import GUESTS
from costmodel.kvm.strategies import STRATEGIES
from costmodel.kvm.triggers import triggers_of

ROOT_DRAWS = 1024
GRID = 129
LOSSES = (0.01, 0.10)
TIE = 1e-12
"""Logarithm of a cost ratio that is rounding only."""


@dataclass(frozen=True)
class Row:
    """One break-even: 5 %, 50 %, 95 % over all draws, and the value at the medians of the parameters.

    `share` of the draws have it inside the swept range. The others count as beyond the end at which they would have it;
    an end of the interval that lies there is None, and `beyond` says on which side (`below`, `above` or empty, of low,
    median, high and the medians).
    """

    label: str
    low: float | None
    median: float | None
    high: float | None
    at_medians: float | None
    unit: str
    share: float
    beyond: tuple[str, str, str, str] = ("", "", "", "")


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

    @property
    def ends(self) -> dict[str, float]:
        """Where the swept range ends, by the words of Row.beyond."""
        return {"below": self.low, "above": self.high}


def break_even(evidence: Evidence, case: Scenario, trigger: str, strategies: Sequence[str], over: str) -> BreakEven:
    """Break-even of two strategies along the axis `over`. Raises MissingNumber where a term is unknown."""
    first, second = strategies
    for name in strategies:
        if name not in STRATEGIES:
            raise UnknownName("strategy", name, STRATEGIES)
    _refuse_no_choice(case.guest, trigger, strategies)
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
    inside = numpy.isfinite(roots) & (roots > 0)
    spread = _quantiles(roots)
    if not any(0 < point < numpy.inf for point in spread):
        cheaper = min(costs, key=lambda cost: float(numpy.median(cost.event.stolen_s))).strategy
        return BreakEven((first, second), over, line.unit, low, high, (), cheaper, extrapolated)
    centre = float(_roots(trigger, strategies, case, middle, line)[0])
    points = [*spread, centre]
    told = [point if 0 < point < numpy.inf else None for point in points]
    beyond = tuple("" if 0 < point < numpy.inf else "below" if point <= 0 else "above" for point in points)
    row = Row("break-even", *told, line.unit, float(inside.mean()), beyond)
    return BreakEven((first, second), over, line.unit, low, high, (row,), None, extrapolated)


def _quantiles(roots: numpy.ndarray) -> list[float]:
    """5 %, 50 % and 95 % of the roots, of which some lie beyond an end (0 or infinite): no mean of two of those."""
    return [float(x) for x in numpy.quantile(roots, (0.05, 0.5, 0.95), method="closest_observation")]


def _refuse_no_choice(guest: str, trigger: str, strategies: Sequence[str]) -> None:
    """Raise BadInput where a rule says that one of the two can never be used there; a condition that fails is no such rule."""
    verdicts = [judge(guest, trigger, name) for name in strategies]
    ruled_out = next(((n, v) for n, v in zip(strategies, verdicts, strict=True) if v.label == "no" and v.needed), None)
    if ruled_out is None or STRATEGIES[ruled_out[0]].skips:
        return
    name, verdict = ruled_out
    raise BadInput(
        f"{name} is no choice for {guest} at {trigger}: {verdict.reason}",
        field="--between",
        remedy=_open_question(guest, strategies),
    )


def _open_question(guest: str, strategies: Sequence[str]) -> str:
    """A guest type and a trigger at which a flush is due and no rule excludes either strategy, of the same guest type if
    there is one.
    """
    for name in (guest, *GUESTS):
        for trigger in triggers_of(name):
            verdicts = [judge(name, trigger.id, strategy) for strategy in strategies]
            if all(verdict.needed and verdict.label != "no" for verdict in verdicts):
                return (
                    f"ask with --guest {name} --trigger {trigger.id}, where no rule excludes {' or '.join(strategies)}"
                )
    return "choose two of `costmodel admissible` that are not marked no"


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
    """First change of the cheaper strategy along the axis for every draw, interpolated.

    A draw that has none inside the axis is censored. Its cost ratio moves along the axis towards 1 or away from it: the
    change lies above the high end (inf), or below the low one (0). Points at which both cost the same belong to neither
    strategy: a change is where the sign turns, over as many of them as lie between.
    """
    low, high = line.span(case)
    grid = numpy.geomspace(low, high, GRID)
    ratio = []
    for x in grid:
        one, other = (total(trigger, name, line.at(case, float(x)), draws).event.stolen_s for name in strategies)
        ratio.append(numpy.broadcast_to(numpy.log(numpy.maximum(one, 1e-15) / numpy.maximum(other, 1e-15)), (draws.n,)))
    ratio = numpy.stack(ratio)
    logs = numpy.log(grid)
    return numpy.array([_root(column, logs) for column in ratio.T])


def _root(ratio: numpy.ndarray, logs: numpy.ndarray) -> float:
    """The first change of sign of one draw; 0 or inf where it lies beyond an end. Equal costs throughout have none."""
    told = numpy.flatnonzero(numpy.abs(ratio) > TIE)
    signs = numpy.sign(ratio[told])
    turns = numpy.flatnonzero(signs[:-1] != signs[1:])
    if turns.size:
        left, right = told[turns[0]], told[turns[0] + 1]
        share = ratio[left] / (ratio[left] - ratio[right])
        return float(numpy.exp(logs[left] + share * (logs[right] - logs[left])))
    return 0.0 if abs(ratio[0]) < abs(ratio[-1]) else numpy.inf
