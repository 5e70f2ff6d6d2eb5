"""Steady-state estimates from the batches of one long run, with Student intervals.

A ratio of two totals is estimated over all batches; its error comes from the batches' residuals (delta method), after a
regression on controls whose mean is known to be 0, such as arrivals less those expected.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy
from scipy.special import stdtrit

CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A simulated value and the half-width of its 95 % interval."""

    value: float
    half_width: float

    @property
    def relative_half_width(self) -> float:
        """Half-width over value; infinite where the value is 0."""
        return self.half_width / abs(self.value) if self.value else float("inf")


def ratio(
    numerators: numpy.ndarray, denominators: numpy.ndarray | float = 1.0, controls: numpy.ndarray | None = None
) -> Estimate:
    """Sum of `numerators` over sum of `denominators`, both (batches,); `controls` (batches,) has mean 0."""
    numerators = numpy.asarray(numerators, dtype=float)
    denominators = numpy.broadcast_to(numpy.asarray(denominators, dtype=float), numerators.shape)
    total = denominators.sum()
    if total == 0:
        return Estimate(0.0, float("inf"))
    residuals = numerators - numerators.sum() / total * denominators
    correction, used = _regressed(residuals, controls)
    residuals = residuals - correction
    value = (numerators.sum() - correction.sum()) / total
    return Estimate(float(value), half_width(residuals / denominators.mean(), used))


def half_width(residuals: numpy.ndarray, used: int = 0) -> float:
    """Half-width of the interval of a mean whose batches leave `residuals`; `used` further degrees of freedom."""
    n = len(residuals)
    free = n - 1 - used
    if free < 1:
        return float("inf")
    spread = numpy.sqrt(numpy.sum((residuals - residuals.mean()) ** 2) / free / n)
    return float(stdtrit(free, 0.5 + CONFIDENCE / 2) * spread)


def _regressed(residuals: numpy.ndarray, controls: numpy.ndarray | None) -> tuple[numpy.ndarray, int]:
    if controls is None or len(residuals) < 4 or numpy.ptp(controls) == 0:
        return numpy.zeros_like(residuals), 0
    centred = controls - controls.mean()
    slope = (centred @ residuals) / (centred @ centred)
    return slope * controls, 1
