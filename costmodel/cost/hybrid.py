"""HYBRID(cap): a range flush up to a cap, a whole-cache flush beyond; the cap of equal cost, draw by draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy

from costmodel.cost.draws import Draws
from costmodel.cost.flush import PAGE_BYTES
from costmodel.cost.scenario import Scenario
from costmodel.cost.strategy import mixed_cost
from costmodel.cost.totals import event_of
from costmodel.kvm.strategies import STRATEGIES

MOST_BYTES = 2.0**46
"""Far beyond any guest: a cap at this end means that the range flush always takes less."""
PAGED = ("gmem", "pinned")
"""Address sources of which a range flush goes page by page, so that its cost steps with each page."""


def cap_bytes(
    trigger: str,
    ranged: str,
    whole: str,
    scenario: Scenario,
    draws: Draws,
    by: str = "stolen_s",
    found: dict[tuple, numpy.ndarray] | None = None,
) -> numpy.ndarray:
    """Longest range (n,), in whole lines or pages, that `ranged` flushes for no more than `whole` costs, by CPU time
    (`stolen_s`) or latency (`time_s`). Raises MissingNumber where a term is unknown.

    `found` keeps caps of the same scenario and draws: triggers whose flushes cost the same share them.
    """
    grain = PAGE_BYTES if STRATEGIES[ranged].address_source in PAGED else float(scenario.machine.line_bytes)
    limit_s = getattr(event_of(STRATEGIES[whole], trigger, scenario, draws)[0], by)

    def excess_s(grains: numpy.ndarray) -> numpy.ndarray:
        case = replace(scenario, range_bytes=grains * grain)
        return getattr(mixed_cost(STRATEGIES[ranged], trigger, case, draws)[0], by) - limit_s

    knots = numpy.array([[1.0], [_knee(scenario, grain)], [MOST_BYTES / grain]])
    at_knots = numpy.broadcast_to(excess_s(knots), (len(knots), draws.n))
    key = (grain, limit_s.tobytes(), at_knots.tobytes())
    found = {} if found is None else found
    if key not in found:
        found[key] = grain * _last_affordable(excess_s, knots, at_knots)
    return found[key]


def _knee(scenario: Scenario, grain: float) -> float:
    """Where a range fills all caches, in grains: up to there its cost is linear in the length."""
    return max(2.0, numpy.floor(scenario.machine.cache_bytes / grain))


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
