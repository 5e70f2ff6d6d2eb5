"""HYBRID(cap): a range flush up to a cap, a whole-cache flush beyond; the cap of equal cost, draw by draw."""

from __future__ import annotations

from dataclasses import replace

import numpy

from costmodel.cost.draws import Draws
from costmodel.cost.flush import PAGE_BYTES
from costmodel.cost.scenario import Scenario
from costmodel.cost.totals import event_of
from costmodel.kvm.strategies import STRATEGIES

MOST_BYTES = 2.0**46
"""Far beyond any guest: a cap at this end means that the range flush always takes less."""
PAGED = ("gmem", "pinned")
"""Address sources of which a range flush goes page by page, so that its cost steps with each page."""


def cap_bytes(
    trigger: str, ranged: str, whole: str, scenario: Scenario, draws: Draws, by: str = "stolen_s"
) -> numpy.ndarray:
    """Longest range (n,), in whole lines or pages, that `ranged` flushes for no more than `whole` costs, by CPU time
    (`stolen_s`) or latency (`time_s`).

    A bracketed root: the secant, because the cost is close to linear in the length; then the neighbour of the end that
    moved, which closes the bracket if the secant was exact; then a halving, because the present share falls beyond the
    caches. Raises MissingNumber where a term is unknown.
    """
    grain = PAGE_BYTES if STRATEGIES[ranged].address_source in PAGED else float(scenario.machine.line_bytes)

    limit_s = getattr(event_of(STRATEGIES[whole], trigger, scenario, draws)[0], by)

    def excess_s(grains: numpy.ndarray) -> numpy.ndarray:
        case = replace(scenario, range_bytes=grains * grain)
        return getattr(event_of(STRATEGIES[ranged], trigger, case, draws)[0], by) - limit_s

    low, high = numpy.ones(draws.n), numpy.full(draws.n, MOST_BYTES / grain)
    below, beyond = excess_s(low), excess_s(high)
    high = numpy.where(below > 0, low, high)
    low = numpy.where(beyond <= 0, high, low)
    raised, step = numpy.ones(draws.n, bool), 0
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
    return low * grain
