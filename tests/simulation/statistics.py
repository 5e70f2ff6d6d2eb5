"""Random numbers, and estimates with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy
from scipy.special import stdtrit

BLOCK = 4096
"""Draws at a time: one by one they would take most of a simulation."""


def streams(seed: int, count: int) -> list[numpy.random.Generator]:
    """`count` independent generators that depend on `seed` alone."""
    return [numpy.random.default_rng(child) for child in numpy.random.SeedSequence(seed).spawn(count)]


def exponential(rng: numpy.random.Generator, mean: float) -> Callable[[], float]:
    """A function that draws exponential times of the given mean, one at a time."""
    return _from_blocks(lambda: rng.exponential(mean, BLOCK))


def uniform(rng: numpy.random.Generator) -> Callable[[], float]:
    """A function that draws uniform numbers in [0, 1), one at a time."""
    return _from_blocks(lambda: rng.random(BLOCK))


def _from_blocks(block: Callable[[], numpy.ndarray]) -> Callable[[], float]:
    def forever() -> Iterator[float]:
        while True:
            yield from block().tolist()

    return forever().__next__


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


BISECTIONS = 60


@dataclass(frozen=True)
class Pieces:
    """One batch: waits (s) at the start and at the end of each piece, the share `weight` of the events that wait, and
    the length of the batch; the moments outside the pieces wait 0."""

    start_s: numpy.ndarray
    end_s: numpy.ndarray
    weight: numpy.ndarray
    length_s: float

    @property
    def time_s(self) -> float:
        """Time covered by pieces."""
        return float(numpy.sum(self.start_s - self.end_s))

    @property
    def weighted_time_s(self) -> float:
        """The same, weighted."""
        return float(self.weight @ (self.start_s - self.end_s))

    @property
    def wait_s2(self) -> float:
        """Integral of the wait over time."""
        return float(numpy.sum(self.start_s**2 - self.end_s**2)) / 2

    @property
    def weighted_wait_s2(self) -> float:
        """The same, weighted."""
        return float(self.weight @ (self.start_s**2 - self.end_s**2)) / 2

    def longer_s(self, wait_s: float) -> float:
        """Weighted time in which the wait is above `wait_s`."""
        return float(self.weight @ numpy.maximum(0.0, self.start_s - numpy.maximum(self.end_s, wait_s)))

    def crossings(self, wait_s: float) -> float:
        """Weighted number of pieces that cross `wait_s`: minus the slope of `longer_s`."""
        return float(self.weight @ ((self.start_s > wait_s) & (self.end_s <= wait_s)))


def line_pieces(requested_s: list[float], released_s: list[float], length_s: float) -> Pieces:
    """Wait for a lock whose writers asked and let go at these times, in order; one request more than releases ends the
    last piece (without it, the piece ends with the release)."""
    released = numpy.array(released_s)
    begun = numpy.array(requested_s[: len(released)])
    following = numpy.append(requested_s[1 : len(released) + 1], numpy.inf)[: len(released)]
    start = released - begun
    return Pieces(start, numpy.maximum(0.0, released - following), numpy.ones_like(start), length_s)


def quantile(batches: list[Pieces], share: float, controls: numpy.ndarray | None = None) -> Estimate:
    """Wait that a share `share` of the events exceeds; 0 and unknown where fewer wait at all."""
    length_s = sum(batch.length_s for batch in batches)
    if sum(batch.weighted_time_s for batch in batches) <= share * length_s:
        return Estimate(0.0, float("inf"))
    low, high = 0.0, max(float(numpy.max(batch.start_s, initial=0.0)) for batch in batches)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if sum(batch.longer_s(middle) for batch in batches) > share * length_s:
            low = middle
        else:
            high = middle
    slope = sum(batch.crossings(high) for batch in batches) / len(batches)
    if slope == 0:
        return Estimate(high, float("inf"))
    excess = numpy.array([batch.longer_s(high) - share * batch.length_s for batch in batches])
    return _shifted(high, excess / slope, controls)


def _shifted(value: float, influences: numpy.ndarray, controls: numpy.ndarray | None) -> Estimate:
    correction = ratio(influences, 1.0, controls)
    return Estimate(value + correction.value, correction.half_width if controls is not None else half_width(influences))
