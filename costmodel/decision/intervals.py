"""From draws to the interval that a report prints."""

from __future__ import annotations

import numpy

from costmodel.decision.model import Interval


def interval_of(
    values: numpy.ndarray | None, unit: str, extrapolated: bool, most: float | None = None, at_most: bool = False
) -> Interval | None:
    """Median and central 90 % of `values` (any shape), or None; `most` is the largest that the quantity can be.

    `at_most` marks what rests on a ceiling.
    """
    if values is None:
        return None
    low, median, high = (float(x) for x in numpy.quantile(values, (0.05, 0.5, 0.95)))
    return Interval(low=low, median=median, high=high, unit=unit, extrapolated=extrapolated, most=most, at_most=at_most)
