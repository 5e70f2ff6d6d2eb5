"""Where one strategy becomes cheaper than another along an axis or a parameter, at the medians of all parameters."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy

GRID = 97


def crossings(difference: Callable[[float], float], low: float, high: float) -> list[float]:
    """Roots of `difference` between `low` and `high` (both positive), found on a logarithmic grid and refined.

    A cost that steps (whole lines, whole domains) has a crossing where the sign changes, whether or not it is zero
    there; the refinement then converges on the step.
    """
    from scipy.optimize import brentq

    logs = numpy.linspace(math.log(low), math.log(high), GRID)
    values = [difference(math.exp(x)) for x in logs]
    roots = []
    for x0, x1, f0, f1 in zip(logs, logs[1:], values, values[1:], strict=False):
        if f0 == 0.0 or not (math.isfinite(f0) and math.isfinite(f1)):
            continue
        if f0 * f1 < 0:
            roots.append(math.exp(brentq(lambda x: difference(math.exp(x)), x0, x1, xtol=1e-12)))
    return roots
