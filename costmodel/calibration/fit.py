"""Least squares in logarithms, Jacobian from the symbolic form, several starts, rank before any error bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from costmodel.formulas import compiled

MINIMUM_DEGREES_OF_FREEDOM = 6
"""Below six samples an interval is refused (the rule of benchstat)."""
STARTS = 8
SEED = 1


@dataclass(frozen=True)
class Unknown:
    """A parameter to fit: the formula's `symbol`, on the rows of `mask` (all if None); `log` fits its logarithm."""

    name: str
    symbol: str
    start: float
    low: float
    high: float
    mask: numpy.ndarray | None = None
    log: bool = True


@dataclass(frozen=True)
class Problem:
    """Rows to explain: `observed` (n positive values), `known` formula arguments (scalars or n values), `groups`."""

    formula: str
    observed: numpy.ndarray
    known: dict[str, object]
    unknowns: tuple[Unknown, ...]
    groups: tuple[str, ...]
    ids: tuple[str, ...]

    def columns(self, theta: Sequence[float]) -> dict[str, numpy.ndarray]:
        """Formula arguments at the parameters `theta` (in fitted coordinates)."""
        n = len(self.observed)
        arguments = {k: numpy.broadcast_to(numpy.asarray(v, float), n) for k, v in self.known.items()}
        for unknown, coordinate in zip(self.unknowns, theta, strict=True):
            value = math.exp(coordinate) if unknown.log else coordinate
            column = arguments.get(unknown.symbol, numpy.zeros(n))
            mask = numpy.ones(n, bool) if unknown.mask is None else unknown.mask
            arguments[unknown.symbol] = numpy.where(mask, value, column)
        return arguments

    def predict(self, theta: Sequence[float]) -> numpy.ndarray:
        return compiled.value(self.formula, **self.columns(theta))

    def jacobian(self, theta: Sequence[float]) -> numpy.ndarray:
        """d ln prediction / d theta, shape (n, parameters)."""
        arguments = self.columns(theta)
        predicted = compiled.value(self.formula, **arguments)
        columns = []
        for unknown, coordinate in zip(self.unknowns, theta, strict=True):
            inner = math.exp(coordinate) if unknown.log else 1.0
            mask = 1.0 if unknown.mask is None else unknown.mask
            columns.append(compiled.slope(self.formula, unknown.symbol, **arguments) * inner * mask / predicted)
        return numpy.stack(columns, axis=1)

    @property
    def key(self) -> tuple[object, ...]:
        """Everything that the solution depends on, hashable."""
        known = tuple((name, numpy.asarray(entry, float).tobytes()) for name, entry in sorted(self.known.items()))
        unknowns = tuple(
            (u.name, u.symbol, u.start, u.low, u.high, None if u.mask is None else u.mask.tobytes(), u.log)
            for u in self.unknowns
        )
        return self.formula, self.observed.tobytes(), known, unknowns, self.groups, self.ids

    def take(self, keep: numpy.ndarray) -> Problem:
        """The same problem on the rows where `keep` is true."""
        n = len(self.observed)
        known = {k: numpy.broadcast_to(numpy.asarray(v, float), n)[keep] for k, v in self.known.items()}
        unknowns = tuple(
            Unknown(u.name, u.symbol, u.start, u.low, u.high, None if u.mask is None else u.mask[keep], u.log)
            for u in self.unknowns
        )
        pick = [i for i in range(n) if keep[i]]
        return Problem(
            self.formula,
            self.observed[keep],
            known,
            unknowns,
            tuple(self.groups[i] for i in pick),
            tuple(self.ids[i] for i in pick),
        )


@dataclass(frozen=True)
class Fit:
    """Result of a fit. `covariance` is None unless the diagnostics passed; `withheld` then says why."""

    problem: Problem
    theta: numpy.ndarray
    residuals: numpy.ndarray
    rank: int
    covariance: numpy.ndarray | None
    scatter: float | None
    withheld: str | None

    @property
    def values(self) -> dict[str, float]:
        pairs = zip(self.problem.unknowns, self.theta, strict=True)
        return {u.name: math.exp(t) if u.log else float(t) for u, t in pairs}

    @property
    def degrees_of_freedom(self) -> int:
        return len(self.residuals) - self.rank

    @property
    def root_mean_square(self) -> float:
        """Of the logarithmic residuals: 0.1 reads as about 10 %."""
        return float(numpy.sqrt(numpy.mean(self.residuals**2)))


_SOLVED: dict[tuple[object, ...], Fit] = {}


def fit(problem: Problem) -> Fit:
    """Fit `problem` from several starts and keep the best; error bars only behind passed diagnostics.

    The same problem is solved once per process: reruns with one row changed repeat most fits.
    """
    key = problem.key
    if key not in _SOLVED:
        _SOLVED[key] = _solve(problem)
    return _SOLVED[key]


def _solve(problem: Problem) -> Fit:
    from scipy.optimize import least_squares

    observed = numpy.log(problem.observed)
    low, high, start = (
        numpy.array([math.log(getattr(u, side)) if u.log else getattr(u, side) for u in problem.unknowns])
        for side in ("low", "high", "start")
    )
    random = numpy.random.default_rng(SEED)
    starts = [start, *(low + (high - low) * random.random(len(start)) for _ in range(STARTS - 1))]

    def residual(theta: numpy.ndarray) -> numpy.ndarray:
        return numpy.log(problem.predict(theta)) - observed

    solutions = [
        least_squares(residual, x0, jac=problem.jacobian, bounds=(low, high), x_scale="jac", xtol=1e-12, ftol=1e-12)
        for x0 in starts
    ]
    best = min(solutions, key=lambda solution: solution.cost)
    jacobian = problem.jacobian(best.x)
    rank = int(numpy.linalg.matrix_rank(jacobian))
    spare = len(observed) - rank
    withheld = None
    if rank < len(start):
        withheld = f"rank {rank} of {len(start)}: the data do not tell the parameters apart"
    elif spare < MINIMUM_DEGREES_OF_FREEDOM:
        withheld = f"{spare} degrees of freedom, fewer than {MINIMUM_DEGREES_OF_FREEDOM}"
    elif numpy.any(best.active_mask):
        withheld = "a parameter lies on its bound"
    scatter = float(numpy.sqrt(2 * best.cost / spare)) if spare > 0 else None
    covariance = None if withheld else scatter**2 * numpy.linalg.inv(jacobian.T @ jacobian)
    return Fit(problem, best.x, best.fun, rank, covariance, scatter, withheld)


def prediction_factor(result: Fit, gradient: numpy.ndarray) -> float:
    """Factor from the median to the 95 % point for a new run (parameter error plus between-run scatter, Student t)."""
    from scipy.special import stdtrit

    variance = result.scatter**2 + gradient @ result.covariance @ gradient
    return float(math.exp(stdtrit(result.degrees_of_freedom, 0.95) * math.sqrt(variance)))
