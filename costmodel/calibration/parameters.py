"""The parameter set of a machine: each cost parameter as a distribution, with rule, sources and the EXTRAPOLATED mark.

A distribution is kept by quantile, so that one set of common random numbers drives every parameter. The sets of the
catalogued machines and of the committed profiles lie beside this module, calibrated by `make calibration`, and name
what they follow from. Where data or code have changed since, they are calibrated anew and kept in the user's cache.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cached_property, lru_cache
from pathlib import Path
from statistics import NormalDist
from typing import Any, Literal

import numpy
from pydantic import BaseModel, ConfigDict, field_validator

from costmodel.errors import MissingNumber
from costmodel.evidence.store import Evidence
from costmodel.hashing import code_hash, value_hash
from costmodel.numbers import shortened

Z90 = 1.6448536269514722
"""Standard normal quantile at 0.95: a central 90 % interval is +- this many sigma."""

NORMAL = NormalDist()
"""The standard normal: scipy.special has its quantiles too, but takes longer to import than a recommendation to make."""

TAIL = 0.005
"""What a table leaves out at either end."""
KNOTS = 100

WALK = ("walk_start_s", "line_empty_s", "line_valid_s", "serial_exponent", "valid_exponent", "smt_factor")
"""Parameters of the walk over a domain's lines."""
ROUND = ("broadcast_start_s", "broadcast_per_cpu_s")
"""Parameters of an interrupt round."""


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


# Parameter sets.

DIGITS = 6
"""Significant digits of a parameter. No evidence carries more, and what a fit leaves behind them depends on the linear
algebra of the CPU and on the version of scipy: rounded here, all that follows is the same everywhere.
"""


class Parameter(BaseModel):
    """One parameter. `unit` is SI; `sources` are row ids of data/; `rule` says how the distribution was made."""

    model_config = ConfigDict(frozen=True)

    name: str
    unit: str
    description: str
    distribution: Distribution
    rule: str
    sources: tuple[str, ...]
    extrapolated: bool
    next_measurement: str
    share: bool = False
    """Whether it lies between 0 and 1: a share of something, or an exponent that says how much of it is serial."""

    @field_validator("distribution")
    @classmethod
    def _rounded(cls, distribution: Distribution) -> Distribution:
        return distribution.rounded(DIGITS)


class ParameterSet(BaseModel):
    """All parameters of a machine; `missing` maps a parameter that no rule can give to the gap."""

    model_config = ConfigDict(frozen=True)

    machine: str
    parameters: dict[str, Parameter]
    missing: dict[str, str]

    @cached_property
    def medians(self) -> dict[str, float]:
        """The median of every parameter."""
        return {name: parameter.distribution.median for name, parameter in self.parameters.items()}

    def __getitem__(self, name: str) -> Parameter:
        if name in self.missing:
            raise MissingNumber(self.missing[name])
        return self.parameters[name]


# Sets that were calibrated before: one line of JSON for what they follow from, then one for each machine.

SHIPPED = Path(__file__).with_name("calibrated.jsonl")
SOURCES = ("evidence", "formulas", "calibration")
"""Subpackages that a calibration follows from."""


def follows_from(evidence: Evidence) -> str:
    """Hash of the data and of the code that a calibration follows from. The libraries and the CPU are not in it: they
    change no digit that a parameter keeps.
    """
    return value_hash([evidence.data_hash, code_hash(*SOURCES)])


def shipped_text(follows: str, sets: dict[str, ParameterSet], varied: dict[str, dict[str, ParameterSet]]) -> str:
    """Content of the file beside this module: of a variation only the parameters that are not as usual."""
    lines = [_first(follows)]
    for name, usual in sets.items():
        variations = {label: _difference(usual, other) for label, other in varied[name].items()}
        entry = {**usual.model_dump(mode="json", exclude_defaults=True), "variations": variations}
        lines.append(json.dumps(entry, separators=(",", ":")))
    return "".join(f"{line}\n" for line in lines)


def _first(follows: str) -> str:
    return json.dumps({"follows_from": follows})


def _difference(usual: ParameterSet, other: ParameterSet) -> dict[str, Any]:
    changed = {
        name: parameter.model_dump(mode="json", exclude_defaults=True)
        for name, parameter in other.parameters.items()
        if parameter != usual.parameters.get(name)
    }
    without = [name for name in usual.parameters if name not in other.parameters]
    return {"parameters": changed, "without": without, "missing": other.missing}


@lru_cache(maxsize=8)
def _lines(evidence: Evidence) -> tuple[str, ...]:
    """What was shipped, a line for each machine; empty where it follows from other data or other code."""
    try:
        first, *lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return ()
    return tuple(lines) if first == _first(follows_from(evidence)) else ()


@lru_cache(maxsize=64)
def _shipped(evidence: Evidence, machine: str) -> tuple[ParameterSet, dict[str, Any]] | None:
    """The set of `machine` and its variations as they stand in the file; None where that has none for it."""
    start = f'{{"machine":{json.dumps(machine)},'
    found = next((json.loads(line) for line in _lines(evidence) if line.startswith(start)), None)
    return None if found is None else (ParameterSet.model_validate(found), found["variations"])


def parameters_of(evidence: Evidence, machine: str) -> ParameterSet:
    """The calibrated parameter set of `machine` (an id of data/machines)."""
    if (known := _shipped(evidence, machine)) is not None:
        return known[0]
    from costmodel.calibration import calibrate

    return calibrate.calibrated(evidence, machine)


def variations(evidence: Evidence, machine: str) -> dict[str, ParameterSet]:
    """Parameter sets with one row or one measured machine left out, by label ("without W01", "without
    epyc-genoa-4cpu-vm"): a decision that flips on one of them is undecided. Raises UnknownName.
    """
    name = evidence.machine(machine).id
    if (known := _shipped(evidence, name)) is not None:
        return {label: _varied(known[0], entry) for label, entry in known[1].items()}
    from costmodel.calibration import calibrate

    return calibrate.all_variations(evidence, name)


def _varied(usual: ParameterSet, entry: dict[str, Any]) -> ParameterSet:
    changed = {name: Parameter.model_validate(one) for name, one in entry["parameters"].items()}
    kept = {name: one for name, one in usual.parameters.items() if name not in entry["without"]}
    return ParameterSet(machine=usual.machine, parameters={**kept, **changed}, missing=entry["missing"])
