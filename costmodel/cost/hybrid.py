"""HYBRID(cap): a range flush up to a cap, a whole-cache flush beyond; the cap of equal cost, draw by draw."""

from __future__ import annotations

from dataclasses import replace

import numpy

from costmodel.cost.draws import Draws
from costmodel.cost.scenario import Scenario
from costmodel.cost.totals import total

MOST_BYTES = 2.0**46
"""Far beyond any guest: a cap at this end means that the range flush always takes less."""
HALVINGS = 32
"""Of the interval in logarithms: finer than a line at any range."""


def cap_bytes(
    trigger: str, ranged: str, whole: str, scenario: Scenario, draws: Draws, by: str = "stolen_s"
) -> numpy.ndarray:
    """Range (n,) up to which `ranged` costs less than `whole`, by CPU time (`stolen_s`) or latency (`time_s`).

    Found by halving, because the lines of a range are whole and their present share falls beyond the caches.
    """
    limit_s = getattr(total(trigger, whole, scenario, draws).event, by)
    low = numpy.full(draws.n, numpy.log(scenario.machine.line_bytes))
    high = numpy.full(draws.n, numpy.log(MOST_BYTES))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        there = replace(scenario, range_bytes=numpy.exp(middle))
        dearer = getattr(total(trigger, ranged, there, draws).event, by) > limit_s
        low, high = numpy.where(dearer, low, middle), numpy.where(dearer, middle, high)
    return numpy.exp(high)
