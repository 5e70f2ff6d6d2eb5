"""What boots and resumes of AMD machines leave of the prior on WBINVD: two costs per line, bounded from above.

In such a rendezvous every CPU executes WBINVD twice, one CPU at a time, and a log shows how long all of it took at
most. Nearly all of these flushes meet an empty cache: who waits only spins, and each CPU's second flush follows its
first. At boot one domain holds what the boot CPU has touched, a share v of its lines that no log tells. So a boot says

    flushes x lines x c_empty + lines x v x c_valid <= longest time,

a resume the same without the second term, and what else the machine did in that time only makes the bound weaker. The
likelihood is censored: a log tells that the sum is below its time, not by how much. Machines differ from each other, so
the bound of one is no bound of another: they are let lie apart as far as measured machines do in a range flush, with the degrees of freedom that these few leave.
What is left has an upper end only: how low the costs go is the prior's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy

from costmodel.calibration.distribution import Distribution, loguniform, tabulated
from costmodel.evidence.rendezvous import Rendezvous

DECADES_BELOW = 3.0
"""The prior starts so far below the anchor: an empty 32 MiB then takes microseconds, less than any other term."""
POINTS_PER_DECADE = 60
SPREAD_POINTS = 81
SHARES = tuple((i + 0.5) / 8 for i in range(8))
"""Shares of the boot CPU's domain that may be valid, each as likely: uniform on [0, 1]."""


@dataclass(frozen=True)
class Bounded:
    """`before` is the prior of either cost, `empty` and `valid` what is left for one machine more, in seconds per line."""

    before: Distribution
    empty: Distribution
    valid: Distribution
    used: tuple[str, ...]


def usable(rows: Iterable[Rendezvous]) -> list[Rendezvous]:
    """Zen machines whose log bounds the flushes and whose caches are known."""
    return [
        row
        for row in rows
        if row.generation.startswith("zen") and row.flush_at_most_s is not None and row.capacity_lines is not None
    ]


@lru_cache(maxsize=64)
def bounded(rows: tuple[Rendezvous, ...], anchor_s: float, factor: float, deviation: float, freedom: int) -> Bounded:
    """Prior and posterior from the logs.

    `anchor_s`: Intel's cost per line of capacity. `factor`: how far above it the prior reaches. `deviation`: standard
    deviation of the logarithm between machines, known with `freedom` degrees of freedom.
    """
    from scipy.special import stdtr

    used = usable(rows)
    low, high = anchor_s * 10.0**-DECADES_BELOW, anchor_s * factor
    grid = numpy.geomspace(low, high, round(POINTS_PER_DECADE * numpy.log10(high / low)) + 1)
    empty_s, valid_s = grid[:, None], grid[None, :]
    likelihood = numpy.ones((len(grid), len(grid)))
    for row in used:
        shares = SHARES if row.method == "boot" else (0.0,)
        below = [
            stdtr(
                freedom,
                numpy.log(row.longest_s / row.capacity_lines / (row.flushes * empty_s + share * valid_s)) / deviation,
            )
            for share in shares
        ]
        likelihood = likelihood * (sum(below) / len(below))
    return Bounded(
        before=loguniform(low, high),
        empty=_one_more(grid, likelihood.sum(axis=1), deviation, freedom),
        valid=_one_more(grid, likelihood.sum(axis=0), deviation, freedom),
        used=tuple(row.id for row in used),
    )


def _one_more(grid: numpy.ndarray, weight: numpy.ndarray, deviation: float, freedom: int) -> Distribution:
    """The level on a geometric grid, spread by what one machine more differs from it."""
    from scipy.special import stdtrit

    steps = stdtrit(freedom, (numpy.arange(SPREAD_POINTS) + 0.5) / SPREAD_POINTS) * deviation
    values = numpy.log(grid)[:, None] + steps[None, :]
    weights = numpy.broadcast_to((weight / weight.sum())[:, None] / SPREAD_POINTS, values.shape)
    order = numpy.argsort(values, axis=None, kind="stable")
    reached = numpy.cumsum(weights.ravel()[order])
    return tabulated(lambda p: numpy.exp(numpy.interp(p, reached, values.ravel()[order])))
