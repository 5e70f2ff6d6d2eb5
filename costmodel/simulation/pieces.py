"""Waits that fall with time, piece by piece: what an event at each moment of a run would have waited.

The wait for whoever is in line now, and the time until a period ends, both fall at slope -1 and jump when something
new comes. Integrating over the pieces gives the mean and the quantiles over all moments, without sampling them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from costmodel.simulation.measure import Estimate, half_width, ratio

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
