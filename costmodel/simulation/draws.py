"""Random numbers: one independent stream per purpose, the same for the same seed whatever else is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy

BLOCK = 4096


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
