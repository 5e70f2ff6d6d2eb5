"""Distributions of a parameter: by quantile, so that one set of common random numbers drives every parameter."""

from __future__ import annotations

import math
from typing import Literal

import numpy
from pydantic import BaseModel, ConfigDict

from costmodel.numbers import shortened

Z90 = 1.6448536269514722
"""Standard normal quantile at 0.95: a central 90 % interval is +- this many sigma."""


class Distribution(BaseModel):
    """A positive parameter. `lognormal`: `a` median, `b` the factor from the median to the 5 % and 95 % points.
    `uniform`: between `a` and `b`. `fixed`: `a`.
    """

    model_config = ConfigDict(frozen=True)

    shape: Literal["lognormal", "uniform", "fixed"]
    a: float
    b: float = 0.0

    def quantile(self, u: numpy.ndarray | float) -> numpy.ndarray:
        """Values at the probabilities `u` (any shape, in (0, 1))."""
        u = numpy.asarray(u, dtype=float)
        if self.shape == "fixed":
            return numpy.full(u.shape, self.a)
        if self.shape == "uniform":
            return self.a + (self.b - self.a) * u
        from scipy.special import ndtri

        return self.a * numpy.exp(math.log(self.b) / Z90 * ndtri(u))

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
        return self.model_copy(update={"a": shortened(self.a, digits), "b": shortened(self.b, digits)})

    def scaled(self, factor: float) -> Distribution:
        """The distribution of the parameter times `factor`."""
        return self.model_copy(update={"a": self.a * factor, "b": self.b * (factor if self.shape == "uniform" else 1)})


def lognormal(median: float, factor: float) -> Distribution:
    """Log-normal with 5 % and 95 % points at median / factor and median * factor."""
    return Distribution(shape="lognormal", a=median, b=factor)


def uniform(low: float, high: float) -> Distribution:
    """Uniform between two bounds."""
    return Distribution(shape="uniform", a=low, b=high)


def fixed(value: float) -> Distribution:
    """A value taken as exact."""
    return Distribution(shape="fixed", a=value)
