"""Where one strategy becomes cheaper than another: crossings at the medians, the cap of HYBRID, and break-evens.

Each is a root of a difference of two costs: along any parameter (`crossings`), along the length of the range, draw by
draw (`cap_bytes`), and along one of scenario.AXES with the interval of the root over the draws (`break_even`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy

from costmodel.calibration.parameters import parameters_of
from costmodel.cost.draws import Case, Draws, medians
from costmodel.cost.event import mixed_cost
from costmodel.cost.scenario import Axis, Scenario, look_up_axis
from costmodel.cost.total import Total, event_of, total
from costmodel.errors import BadInput, MissingNumber, UnknownName
from costmodel.evidence.records import PAGE_BYTES
from costmodel.evidence.store import Evidence
from costmodel.formulas.compiled import value
from costmodel.kvm.admissibility import judge
from costmodel.kvm.catalog import GUESTS, STRATEGIES, triggers_of

# Where one strategy becomes cheaper than another along an axis or a parameter, at the medians of all parameters.

CROSSING_GRID = 97
CROSSING_WIDTH = 1e-12
"""How narrow the logarithm of a crossing is made."""


def crossings(difference: Callable[[numpy.ndarray], numpy.ndarray], low: float, high: float) -> list[float]:
    """Roots of `difference` between `low` and `high` (both positive), found on a logarithmic grid and refined.

    `difference` is asked for many values at once, shape (n,), and answers in the same shape. A cost that steps (whole
    lines, whole domains) has a crossing where the sign changes, whether or not it is zero there; the refinement then
    converges on the step. A point of the grid at which it is zero lies inside the interval of its neighbours.
    """
    logs = numpy.linspace(math.log(low), math.log(high), CROSSING_GRID)
    values = difference(numpy.exp(logs))
    roots, last = [], None
    for x, y in zip(logs, values, strict=True):
        if not math.isfinite(y):
            last = None
        elif y != 0.0:
            if last is not None and last[1] * y < 0:
                roots.append(math.exp(_refined(difference, last[0], x, last[1], y)))
            last = x, y
    return roots


def _refined(
    difference: Callable[[numpy.ndarray], numpy.ndarray], low: float, high: float, below: float, beyond: float
) -> float:
    """Where the sign changes between the logarithms `low` and `high`, at which `difference` is `below` and `beyond`.

    A grid over what is left, again and again: one call for many points costs as much as one for a single point, so this
    is cheaper than a root finder that asks for one at a time.
    """
    while high - low > CROSSING_WIDTH:
        logs = numpy.linspace(low, high, CROSSING_GRID)
        values = numpy.array([below, *difference(numpy.exp(logs[1:-1])), beyond])
        at = int(numpy.argmax(numpy.sign(values) != numpy.sign(below)))
        low, high, below, beyond = (float(x) for x in (logs[at - 1], logs[at], values[at - 1], values[at]))
    return high


# HYBRID(cap): a range flush up to a cap, a whole-cache flush beyond; the cap of equal cost, draw by draw.

MOST_BYTES = 2.0**46
"""Far beyond any guest: a cap at this end means that the range flush always takes less."""
PAGED = ("gmem", "pinned")
"""Address sources of which a range flush goes page by page, so that its cost steps with each page."""


def cap_bytes(
    case: Case,
    ranged: str,
    whole: str,
    by: str = "stolen_s",
    found: dict[tuple[object, ...], numpy.ndarray] | None = None,
) -> numpy.ndarray:
    """Longest range (n,), in whole lines or pages, that `ranged` flushes for no more than `whole` costs, by CPU time
    (`stolen_s`) or latency (`time_s`). Raises MissingNumber where a term is unknown.

    `found` keeps caps of the same scenario and draws: triggers whose flushes cost the same share them.
    """
    grain = PAGE_BYTES if STRATEGIES[ranged].address_source in PAGED else float(case.scenario.machine.line_bytes)
    limit_s = getattr(event_of(case, STRATEGIES[whole])[0], by)

    def excess_s(grains: numpy.ndarray) -> numpy.ndarray:
        cost, _ = mixed_cost(case.where(range_bytes=grains * grain), STRATEGIES[ranged])
        return numpy.asarray(getattr(cost, by) - limit_s)

    knots = numpy.array([[1.0], [_knee(case.scenario, grain)], [MOST_BYTES / grain]])
    at_knots = numpy.broadcast_to(excess_s(knots), (len(knots), case.draws.n))
    key = (grain, limit_s.tobytes(), at_knots.tobytes())
    found = {} if found is None else found
    if key not in found:
        found[key] = grain * _last_affordable(excess_s, knots, at_knots)
    return found[key]


def _knee(scenario: Scenario, grain: float) -> float:
    """Where a range fills all caches, in grains: up to there its cost is linear in the length."""
    return max(2.0, float(numpy.floor(scenario.machine.cache_bytes / grain)))


def _last_affordable(
    excess_s: Callable[[numpy.ndarray], numpy.ndarray], knots: numpy.ndarray, at_knots: numpy.ndarray
) -> numpy.ndarray:
    """Largest whole number (n,) at which the rising `excess_s` is not above 0, between the first knot and the last.

    A bracketed root: the secant, which is exact between the first two knots; then the neighbour of the end that moved,
    which closes the bracket if the secant was exact; then a halving, because the present share falls beyond the caches.
    """
    n = at_knots.shape[1]
    low, below = numpy.full(n, knots[0, 0]), at_knots[0]
    high, beyond = numpy.full(n, knots[-1, 0]), at_knots[-1]
    fits = at_knots[1] <= 0
    low, below = numpy.where(fits, knots[1], low), numpy.where(fits, at_knots[1], below)
    high, beyond = numpy.where(fits, high, knots[1]), numpy.where(fits, beyond, at_knots[1])
    high = numpy.where(at_knots[0] > 0, low, high)
    low = numpy.where(at_knots[-1] <= 0, high, low)
    raised, step = numpy.ones(n, bool), 0
    while (unsettled := high - low > 1).any():
        if step % 3 == 0:
            middle = numpy.floor(low - below * (high - low) / numpy.where(unsettled, beyond - below, 1.0))
        elif step % 3 == 1:
            middle = numpy.where(raised, low + 1, high - 1)
        else:
            middle = numpy.floor(numpy.where(high > 4 * low, numpy.sqrt(low * high), (low + high) / 2))
        middle = numpy.where(unsettled, numpy.clip(middle, low + 1, high - 1), low)
        found = excess_s(middle)
        raised = found <= 0
        up, down = unsettled & raised, unsettled & ~raised
        low, below = numpy.where(up, middle, low), numpy.where(up, found, below)
        high, beyond = numpy.where(down, middle, high), numpy.where(down, found, beyond)
        step += 1
    return low


# Break-evens between two strategies, with their uncertainty: one root per draw.

ROOT_DRAWS = 1024
ROOT_GRID = 129
LOSSES = (0.01, 0.10)
ROOT_TIE = 1e-12
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
    line = look_up_axis(over)
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
        cheaper = min(costs, key=lambda cost: float(numpy.median(cost.priced.stolen_s))).strategy
        return BreakEven((first, second), over, line.unit, low, high, (), cheaper, extrapolated)
    centre = float(_roots(trigger, strategies, case, middle, line)[0])
    points = [*spread, centre]
    low_, median, high_, here = (point if 0 < point < numpy.inf else None for point in points)
    below, at_median, above, at_here = (
        "" if 0 < point < numpy.inf else "below" if point <= 0 else "above" for point in points
    )
    beyond = (below, at_median, above, at_here)
    row = Row("break-even", low_, median, high_, here, line.unit, float(inside.mean()), beyond)
    return BreakEven((first, second), over, line.unit, low, high, (row,), None, extrapolated)


def _quantiles(roots: numpy.ndarray) -> list[float]:
    """5 %, 50 % and 95 % of the roots, of which some lie beyond an end (0 or infinite): no mean of two of those."""
    return [float(x) for x in numpy.quantile(roots, (0.05, 0.5, 0.95), method="closest_observation")]


def _refuse_no_choice(guest: str, trigger: str, strategies: Sequence[str]) -> None:
    """Raise BadInput where a rule says that one of the two can never be used there; a condition that fails is no such
    rule.
    """
    verdicts = [judge(guest, trigger, name) for name in strategies]
    ruled_out = next(((n, v) for n, v in zip(strategies, verdicts, strict=True) if v.label == "no" and v.needed), None)
    if ruled_out is None or STRATEGIES[ruled_out[0]].skips:
        return
    name, verdict = ruled_out
    problem = f"{name} is no choice for {guest} at {trigger}: {verdict.reason}"
    raise BadInput(problem, field="--between", remedy=_open_question(guest, strategies))


def _open_question(guest: str, strategies: Sequence[str]) -> str:
    """A guest type and a trigger at which a flush is due and no rule excludes either strategy, of the same guest type
    if there is one.
    """
    remedy = "choose two of `costmodel admissible` that are not marked no"
    for name in (guest, *GUESTS):
        for trigger in triggers_of(name):
            verdicts = [judge(name, trigger.id, strategy) for strategy in strategies]
            if all(verdict.needed and verdict.label != "no" for verdict in verdicts):
                remedy = f"ask with --guest {name} --trigger {trigger.id}, where no rule excludes "
                return remedy + " or ".join(strategies)
    return remedy


def _checked(trigger: str, strategy: str, case: Scenario, draws: Draws) -> Total:
    cost = total(Case(trigger, case, draws), strategy)
    if cost.refused:
        raise MissingNumber(f"{strategy}: {cost.refused}")
    return cost


def _loss_rates(case: Scenario, cost: Total, centre: Total) -> list[Row]:
    """Rates at which one strategy alone costs 1 % and 10 % of the host."""
    rows = []
    for share in LOSSES:
        known = {"lost_fraction": share, "logical_cpus": case.machine.logical_cpus}
        if float(centre.priced.stolen_s[0]) == 0:
            continue
        rates = value("rate_at_loss", stolen_cpu_s_per_event=cost.priced.stolen_s, **known)
        at = float(value("rate_at_loss", stolen_cpu_s_per_event=centre.priced.stolen_s, **known)[0])
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
    grid = numpy.geomspace(low, high, ROOT_GRID)
    ratios = []
    for x in grid:
        one, other = (total(Case(trigger, line.at(case, float(x)), draws), name).priced.stolen_s for name in strategies)
        ratios.append(
            numpy.broadcast_to(numpy.log(numpy.maximum(one, 1e-15) / numpy.maximum(other, 1e-15)), (draws.n,))
        )
    logs = numpy.log(grid)
    return numpy.array([_root(column, logs) for column in numpy.stack(ratios).T])


def _root(ratio: numpy.ndarray, logs: numpy.ndarray) -> float:
    """The first change of sign of one draw; 0 or inf where it lies beyond an end. Equal costs throughout have none."""
    told = numpy.flatnonzero(numpy.abs(ratio) > ROOT_TIE)
    signs = numpy.sign(ratio[told])
    turns = numpy.flatnonzero(signs[:-1] != signs[1:])
    if turns.size:
        left, right = told[turns[0]], told[turns[0] + 1]
        share = ratio[left] / (ratio[left] - ratio[right])
        return float(numpy.exp(logs[left] + share * (logs[right] - logs[left])))
    return 0.0 if abs(ratio[0]) < abs(ratio[-1]) else numpy.inf
