"""Independent samples until their mean is known: for what happens between two events, where nothing waits."""

from __future__ import annotations

from collections.abc import Callable

import numpy

from costmodel.simulation.measure import Estimate, half_width

FEWEST_BLOCKS = 4
MOST_BLOCKS = 400
RELATIVE_HALF_WIDTH = 0.01


def mean_of(block: Callable[[], numpy.ndarray]) -> Estimate:
    """Mean over independent samples; `block()` draws some more of them, (n,)."""
    samples = numpy.empty(0)
    for count in range(1, MOST_BLOCKS + 1):
        samples = numpy.append(samples, block())
        estimate = Estimate(float(samples.mean()), half_width(samples - samples.mean()))
        if count >= FEWEST_BLOCKS and estimate.relative_half_width <= RELATIVE_HALF_WIDTH:
            break
    return estimate
