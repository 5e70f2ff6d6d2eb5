"""Joint draws of a parameter set. Each parameter has its own stream of random numbers, named by the parameter, so that
two machines or two strategies share their draws and differ only where their distributions do.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy

from costmodel.calibration.parameters import ParameterSet
from costmodel.cost.scenario import Scenario

DRAWS = 4096


def generator(name: str) -> numpy.random.Generator:
    """The random numbers of the parameter `name`, from their start."""
    return numpy.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))


def uniforms(name: str, n: int) -> numpy.ndarray:
    """`n` stratified uniform numbers in (0, 1) for the parameter `name`, the same in every run."""
    random = generator(name)
    return (random.permutation(n) + random.random(n)) / n


class Draws:
    """Values of the parameters, drawn when first asked for; records which were used."""

    def __init__(self, parameters: ParameterSet, n: int = DRAWS, *, fixed: dict[str, numpy.ndarray] | None = None):
        self.parameters = parameters
        self.n = n
        self.used: set[str] = set()
        self._values = dict(fixed or {})

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
        other = Draws(self.parameters, self.n, fixed={**self._values, **values})
        other.used = self.used
        return other

    def tracking(self) -> Draws:
        """The same values, those still to be drawn included, with an empty record of use."""
        twin = Draws(self.parameters, self.n)
        twin._values = self._values
        return twin

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
