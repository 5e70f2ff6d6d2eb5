"""Where one strategy becomes cheaper than another along an axis or a parameter, at the medians of all parameters."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy

GRID = 97


def crossings(difference: Callable[[numpy.ndarray], numpy.ndarray], low: float, high: float) -> list[float]:
    """Roots of `difference` between `low` and `high` (both positive), found on a logarithmic grid and refined.

    `difference` is asked for many values at once, shape (n,), and answers in the same shape. A cost that steps (whole
    lines, whole domains) has a crossing where the sign changes, whether or not it is zero there; the refinement then
    converges on the step. A point of the grid at which it is zero lies inside the interval of its neighbours.
    """

    def at(x: float) -> float:
        return float(difference(numpy.array([math.exp(x)]))[0])

    logs = numpy.linspace(math.log(low), math.log(high), GRID)
    values = difference(numpy.exp(logs))
    roots, last = [], None
    for x, value in zip(logs, values, strict=True):
        if not math.isfinite(value):
            last = None
        elif value != 0.0:
            if last is not None and last[1] * value < 0:
                from scipy.optimize import brentq  # most ranges hold no root, and the import costs more than the grid

                roots.append(math.exp(brentq(at, last[0], x, xtol=1e-12)))
            last = x, value
    return roots
