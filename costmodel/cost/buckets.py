"""Counts of costs, compiled by numba: the same integers as `grid.counted_by_numpy`. Imported only where numba is asked
for.
"""

from __future__ import annotations

import numpy

from costmodel.formulas.fused import jitted

MOST_BUCKETS = 2**14
"""Buckets that are counted one by one, 64 octaves of 256; values that lie farther apart are sorted."""


@jitted
def counted(values, ranks, shift, keys, wins):  # type: ignore[no-untyped-def]  # numba reads the types of the call
    """For each point, and each row of its `values` (points, rows, draws): the buckets of the values at `ranks`, and how
    often the row is the least.
    """
    points, rows, draws = values.shape
    counts = numpy.zeros(MOST_BUCKETS, numpy.int32)
    own = numpy.empty(draws, numpy.int64)
    least = numpy.empty(draws)
    for point in range(points):
        for draw in range(draws):
            least[draw] = values[point, 0, draw]
        for row in range(1, rows):
            for draw in range(draws):
                value = values[point, row, draw]
                least[draw] = value if value < least[draw] else least[draw]
        for row in range(rows):
            won = 0
            for draw in range(draws):
                won += values[point, row, draw] <= least[draw]
            wins[point, row] = won
            bits = values[point, row].view(numpy.int64)
            for draw in range(draws):
                own[draw] = bits[draw] >> shift
            low, high = own.min(), own.max()
            if high - low < MOST_BUCKETS:
                for draw in range(draws):
                    counts[own[draw] - low] += 1
                seen, bucket = counts[0], 0
                for k in range(len(ranks)):
                    while seen <= ranks[k]:
                        bucket += 1
                        seen += counts[bucket]
                    keys[point, row, k] = low + bucket
                counts[: high - low + 1] = 0
            else:
                own.sort()
                for k in range(len(ranks)):
                    keys[point, row, k] = own[ranks[k]]
