"""Distributions of a parameter: by quantile, so that one set of common random numbers drives every parameter."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist
from typing import Literal

import numpy
from pydantic import BaseModel, ConfigDict

from costmodel.numbers import shortened

Z90 = 1.6448536269514722
"""Standard normal quantile at 0.95: a central 90 % interval is +- this many sigma."""

NORMAL = NormalDist()
"""The standard normal: scipy.special has its quantiles too, but takes longer to import than a recommendation to make."""

TAIL = 0.005
"""What a table leaves out at either end."""
KNOTS = 100


class Distribution(BaseModel):
    """A positive parameter. `lognormal`: `a` median, `b` the factor from the median to the 5 % and 95 % points.
    `uniform`: between `a` and `b`, `loguniform`: its logarithm is. `fixed`: `a`. `tabulated`: `knots` are its quantiles
    at equally spaced probabilities, TAIL to 1 - TAIL; their logarithms are joined by straight lines.
    """

    model_config = ConfigDict(frozen=True)

    shape: Literal["lognormal", "uniform", "loguniform", "fixed", "tabulated"]
    a: float = 0.0
    b: float = 0.0
    knots: tuple[float, ...] = ()

    def quantile(self, u: numpy.ndarray | float) -> numpy.ndarray:
        """Values at the probabilities `u` (any shape, in (0, 1))."""
        u = numpy.asarray(u, dtype=float)
        if self.shape == "fixed":
            return numpy.full(u.shape, self.a)
        if self.shape == "uniform":
            return self.a + (self.b - self.a) * u
        if self.shape == "loguniform":
            return self.a * (self.b / self.a) ** u
        if self.shape == "tabulated":
            return numpy.asarray(numpy.exp(numpy.interp(u, _probabilities(len(self.knots)), numpy.log(self.knots))))
        normal = numpy.frombuffer(_normal(u.tobytes())).reshape(u.shape)
        return numpy.asarray(self.a * numpy.exp(math.log(self.b) / Z90 * normal))

    @property
    def low(self) -> float:
        return float(self.quantile(0.05))

    @property
    def median(self) -> float:
        return float(self.quantile(0.5))

    @property
    def high(self) -> float:
        return float(self.quantile(0.95))

    def rounded(self, digits: int) -> Distribution:
        """The distribution with its numbers rounded to `digits` significant digits."""
        return self.model_copy(
            update={
                "a": shortened(self.a, digits),
                "b": shortened(self.b, digits),
                "knots": tuple(shortened(knot, digits) for knot in self.knots),
            }
        )

    def scaled(self, factor: float) -> Distribution:
        """The distribution of the parameter times `factor`."""
        bound = factor if self.shape in ("uniform", "loguniform") else 1.0
        knots = tuple(knot * factor for knot in self.knots)
        return self.model_copy(update={"a": self.a * factor, "b": self.b * bound, "knots": knots})


@lru_cache(maxsize=128)
def _normal(probabilities: bytes) -> bytes:
    """Standard normal quantiles; both as the bytes of arrays. All machines ask for those of the same random numbers."""
    u = numpy.frombuffer(probabilities)
    return numpy.fromiter(map(NORMAL.inv_cdf, u.tolist()), float, u.size).tobytes()


def lognormal(median: float, factor: float) -> Distribution:
    """Log-normal with 5 % and 95 % points at median / factor and median * factor."""
    return Distribution(shape="lognormal", a=median, b=factor)


def uniform(low: float, high: float) -> Distribution:
    """Uniform between two bounds."""
    return Distribution(shape="uniform", a=low, b=high)


def loguniform(low: float, high: float) -> Distribution:
    """Uniform in the logarithm, between two bounds above 0."""
    return Distribution(shape="loguniform", a=low, b=high)


def tabulated(quantile: Callable[[numpy.ndarray], numpy.ndarray]) -> Distribution:
    """A distribution by its quantile function, which is asked at KNOTS probabilities."""
    return Distribution(shape="tabulated", knots=tuple(float(x) for x in quantile(_probabilities(KNOTS))))


def _probabilities(knots: int) -> numpy.ndarray:
    return numpy.linspace(TAIL, 1 - TAIL, knots)


def fixed(value: float) -> Distribution:
    """A value taken as exact."""
    return Distribution(shape="fixed", a=value)
