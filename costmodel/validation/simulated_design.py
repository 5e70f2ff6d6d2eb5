"""What a simulated setting is, and points that fill a space evenly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy
from scipy.stats.qmc import LatinHypercube

SIGNIFICANT = 4
FLUSH_TIMES_S = (1e-4, 2e-2)
"""Flush times of the grid: a range of some MiB up to a whole cache."""


@dataclass(frozen=True)
class Case:
    """One setting of the simulator and the outputs to compare: {formula id: simulated output}.

    `limits` are, by formula id, the stated limits of validity beyond which the setting lies; `share` is that of a
    quantile.
    """

    id: str
    family: str
    setting: object
    outputs: dict[str, str]
    limits: dict[str, str] = field(default_factory=dict)
    share: float = 0.0


def points(seed: int, count: int, *ranges: tuple[float, float]) -> Iterator[list[float]]:
    """`count` points of a Latin hypercube over `ranges`; a range whose ends are a factor of 5 apart is logarithmic."""
    for unit in LatinHypercube(len(ranges), rng=numpy.random.default_rng(seed)).random(count):
        yield [rounded(_place(share, *ends)) for share, ends in zip(unit, ranges, strict=True)]


def _place(share: float, low: float, high: float) -> float:
    if low > 0 and high / low > 5:
        return float(low * (high / low) ** share)
    return float(low + (high - low) * share)


def rounded(value: float) -> float:
    """`value` with the digits that a setting carries."""
    return float(f"{value:.{SIGNIFICANT}g}")
