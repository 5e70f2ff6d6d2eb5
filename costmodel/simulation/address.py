"""Flushes through a user address, whose mapping another invalidation may have removed before they run.

mmu_notifier_invalidate_range_start() calls are not serialised: while one event waits to flush, another that covers the
same page may clear its PTE.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from costmodel.simulation.draws import streams
from costmodel.simulation.measure import Estimate
from costmodel.simulation.sampling import mean_of

EVENTS = 20_000
"""Events per sample; samples are independent."""


@dataclass(frozen=True)
class UserAddress:
    """Independent events at `rate_per_s`, each on one of `pages` pages at random; each flushes `window_s` after its
    range_start and clears its PTE just after that."""

    rate_per_s: float
    pages: int
    window_s: float

    def missed_per_s(self, rng: numpy.random.Generator) -> float:
        """Rate of the flushes that find the mapping gone, over one sample of events."""
        begun_s = numpy.cumsum(rng.exponential(1 / self.rate_per_s, EVENTS))
        page = rng.integers(self.pages, size=EVENTS)
        order = numpy.lexsort((begun_s, page))
        # An earlier event of the page clears its PTE at its own begun_s + window_s, before this one flushes.
        before = numpy.diff(begun_s[order], prepend=-numpy.inf)
        same = numpy.diff(page[order], prepend=-1) == 0
        return float(numpy.count_nonzero(same & (before < self.window_s)) / begun_s[-1])


def simulate(setting: UserAddress, seed: int) -> dict[str, Estimate]:
    """`missed_per_s`: flushes per second whose user mapping is already gone."""
    (rng,) = streams(seed, 1)
    return {"missed_per_s": mean_of(lambda: numpy.array([setting.missed_per_s(rng) for _ in range(4)]))}
