"""Log-linear bins: 64 per octave, so a bin is 0.8 to 1.6 % wide; counts over them add up and merge exactly.

The bin of a value >= 1 is read from the bits of its float64 form: exponent and first six bits of the mantissa. Values
below 1 (a gap of 0 ns, a wait of 0 ns) share bin 0.
"""

from __future__ import annotations

import numpy

SUB_BITS = 6
SHIFT = 52 - SUB_BITS
OFFSET = (1023 << SUB_BITS) - 1
BINS = 63 * 2**SUB_BITS + 1
"""Values up to 2^63 have a bin."""


def index(values: numpy.ndarray | float) -> numpy.ndarray:
    """Bin of each value (same shape); negative values are an error of the caller.

    >>> [int(i) for i in index([0.0, 0.5, 1.0, 1.01, 2.0])]
    [0, 0, 1, 1, 65]
    """
    bits = numpy.asarray(values, dtype=float).view(numpy.int64) >> SHIFT
    return numpy.clip(bits - OFFSET, 0, BINS - 1)


def edges() -> numpy.ndarray:
    """Lower edge of every bin and the upper edge of the last: shape (BINS + 1,)."""
    lower = ((numpy.arange(BINS + 1, dtype=numpy.int64) + OFFSET) << SHIFT).view(float)
    lower[0] = 0.0
    return lower


def middles() -> numpy.ndarray:
    """Middle of every bin, 0 for the first: shape (BINS,)."""
    bounds = edges()
    middle = (bounds[:-1] + bounds[1:]) / 2
    middle[0] = 0.0
    return middle


def quantile(
    counts: numpy.ndarray, share: float, least: numpy.ndarray | None = None, most: numpy.ndarray | None = None
) -> float:
    """The value that a share of the counted values does not exceed, linear inside its bin; nan of no values.

    `least` and `most` (as counts) are the ends of the values of each bin where they are known, else its edges.

    >>> counts = numpy.bincount(index(numpy.arange(1.0, 1001.0)), minlength=BINS)
    >>> round(quantile(counts, 0.5) / 500, 1)
    1.0
    """
    total = counts.sum()
    if total == 0:
        return float("nan")
    running = numpy.cumsum(counts)
    wanted = share * total
    at = int(numpy.searchsorted(running, wanted))
    at = min(at, int(numpy.flatnonzero(counts)[-1]))
    if at == 0:
        return 0.0
    low = edges()[at] if least is None else least[at]
    high = edges()[at + 1] if most is None else most[at]
    inside = (wanted - (running[at] - counts[at])) / counts[at]
    return float(low + (high - low) * min(max(inside, 0.0), 1.0))
