"""Dirty lines of one cache domain: writes make lines dirty one by one, a flush leaves all of them clean.

WBINVD and WBNOINVD write back every dirty line. Between two flushes a line may also be evicted, which cleans it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from costmodel.simulation.draws import streams
from costmodel.simulation.measure import Estimate
from costmodel.simulation.sampling import mean_of

FLUSHES = 1000


@dataclass(frozen=True)
class DirtyCache:
    """Writes to random lines at `writes_per_s`, evictions of random lines at `evictions_per_s`, flushes every `gap_s`
    (exponential if `gap_random`)."""

    lines: int
    writes_per_s: float
    gap_s: float
    gap_random: bool
    evictions_per_s: float = 0.0

    def dirty_lines(self, rng: numpy.random.Generator, flushes: int) -> numpy.ndarray:
        """Dirty lines that each of `flushes` flushes in a row finds."""
        gaps_s = rng.exponential(self.gap_s, flushes) if self.gap_random else numpy.full(flushes, self.gap_s)
        total_per_s = self.writes_per_s + self.evictions_per_s
        gap_of = numpy.repeat(numpy.arange(flushes), rng.poisson(total_per_s * gaps_s))
        line_of = rng.integers(self.lines, size=len(gap_of))
        writes = rng.random(len(gap_of)) * total_per_s < self.writes_per_s
        dirty = numpy.zeros((flushes, self.lines), dtype=bool)
        dirty[gap_of, line_of] = writes
        return dirty.sum(axis=1)


def simulate(setting: DirtyCache, seed: int) -> dict[str, Estimate]:
    """`dirty_fraction`: share of the lines that a flush finds dirty."""
    (rng,) = streams(seed, 1)
    return {"dirty_fraction": mean_of(lambda: setting.dirty_lines(rng, FLUSHES) / setting.lines)}
