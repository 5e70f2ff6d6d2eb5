"""Joint draws of a parameter set. Each parameter has its own stream of random numbers, named by the parameter, so that
two machines or two strategies share their draws and differ only where their distributions do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import numpy

from costmodel.calibration.parameters import ParameterSet
from costmodel.cost.scenario import Scenario
from costmodel.evidence.records import Machine

CASE_DRAWS = 4096
"""Draws behind an answer about one case."""
FEW = 16
"""An array of more numbers than this is no setting of a case."""
Found = TypeVar("Found")


def generator(name: str) -> numpy.random.Generator:
    """The random numbers of the parameter `name`, from their start."""
    return numpy.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))


def uniforms(name: str, n: int) -> numpy.ndarray:
    """`n` stratified uniform numbers in (0, 1) for the parameter `name`, the same in every run."""
    random = generator(name)
    return (random.permutation(n) + random.random(n)) / n


@dataclass
class _Kept:
    """What draws that come from one another have worked out: results by their key, each with the parameters that went in,
    and arrays by their bytes.

    A key holds the addresses of the machine and of the arrays that replace a parameter; they are kept with the result,
    so that nothing else comes to lie there.
    """

    results: dict[tuple[object, ...], tuple[Any, set[str], object]] = field(default_factory=dict)
    arrays: dict[tuple[object, ...], numpy.ndarray] = field(default_factory=dict)

    def same(self, values: numpy.ndarray) -> numpy.ndarray:
        """The first array that had these values."""
        return self.arrays.setdefault((values.shape, values.dtype, values.tobytes()), values)


def _by_content(number: object) -> tuple[object, ...] | None:
    """What stands for a number, a name or a few numbers in a key; None for anything else."""
    if number is None or isinstance(number, str | bool | int | float):
        return type(number).__name__, number
    if type(number) is numpy.ndarray and number.size <= FEW:
        return number.shape, number.dtype.str, number.tobytes()
    return None


class Draws:
    """Values of the parameters, drawn when first asked for; records which were used."""

    def __init__(self, parameters: ParameterSet, n: int = CASE_DRAWS, *, fixed: dict[str, numpy.ndarray] | None = None):
        self.parameters = parameters
        self.n = n
        self.used: set[str] = set()
        self._values = dict(fixed or {})
        self._replaced: dict[str, numpy.ndarray] = {}
        self._kept = _Kept()

    def __getitem__(self, name: str) -> numpy.ndarray:
        """Values of shape (n,); raises MissingNumber with the gap if no rule gives the parameter."""
        self.used.add(name)
        if name not in self._values:
            parameter = self.parameters[name]
            self._values[name] = parameter.distribution.quantile(uniforms(name, self.n))
        return self._values[name]

    def with_values(self, **values: numpy.ndarray) -> Draws:
        """The same draws with some parameters replaced (arrays that broadcast with the rest); use is recorded in
        both.
        """
        new = {name: self._kept.same(one) if type(one) is numpy.ndarray else one for name, one in values.items()}
        other = self.tracking()
        other._values, other._replaced = {**self._values, **new}, {**self._replaced, **new}
        other.used = self.used
        return other

    def tracking(self) -> Draws:
        """The same values, those still to be drawn included, with an empty record of use."""
        twin = Draws(self.parameters, self.n)
        twin._values, twin._replaced, twin._kept = self._values, self._replaced, self._kept
        return twin

    def once(self, work: Callable[[Draws], Found], machine: Machine, *numbers: object) -> Found:
        """What `work` gives over these draws, worked out once for each `machine` and `numbers`: many triggers ask for
        the same flush. Anew each time where a number is recorded, or one for each draw.
        """
        told = [_by_content(one) for one in numbers]
        if None in told or not all(type(one) is numpy.ndarray for one in self._replaced.values()):
            return work(self)
        key = (id(machine), *told, *((name, id(one)) for name, one in self._replaced.items()))
        if key not in self._kept.results:
            twin = self.tracking()
            try:
                found = work(twin)
            finally:
                self.used |= twin.used
            self._kept.results[key] = found, twin.used, (machine, self._replaced)
        result, used, _ = self._kept.results[key]
        self.used |= used
        return cast(Found, result)

    @property
    def extrapolated(self) -> bool:
        """Whether a parameter used so far rests on a prior by rule."""
        return any(self.parameters[name].extrapolated for name in self.used)


@dataclass(frozen=True)
class Case:
    """What a cost is asked of: a trigger (its id) in a scenario, over joint draws of the machine's parameters."""

    trigger: str
    scenario: Scenario
    draws: Draws

    @property
    def parameters(self) -> ParameterSet:
        """The parameters that are drawn."""
        return self.draws.parameters

    def over(self, draws: Draws) -> Case:
        """The same over other draws."""
        return replace(self, draws=draws)

    def where(self, **changes: Any) -> Case:
        """The same in a scenario with some numbers changed."""
        return replace(self, scenario=replace(self.scenario, **changes))


def medians(parameters: ParameterSet) -> Draws:
    """A single draw at the median of every parameter."""
    values = {name: numpy.array([median]) for name, median in parameters.medians.items()}
    return Draws(parameters, 1, fixed=values)
