"""Least squares of a formula in logarithms, or of any sympy expression on plain residuals: both by the one solver.

The Jacobian comes from the symbolic form; error bars come last, after the diagnostics.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import ArrayLike

from costmodel import cache
from costmodel.calibration import solver
from costmodel.calibration.solver import Attempt
from costmodel.errors import BadInput, stated
from costmodel.formulas import compiled

if TYPE_CHECKING:
    import sympy


# Least squares in logarithms of a formula: Jacobian from the symbolic form, several starts, error bars last.


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


Theta = Sequence[float] | numpy.ndarray


@dataclass(frozen=True)
class Problem:
    """Rows to explain: `observed` (n positive values), `known` formula arguments (scalars or n values), `groups`."""

    formula: str
    observed: numpy.ndarray
    known: Mapping[str, ArrayLike]
    unknowns: tuple[Unknown, ...]
    groups: tuple[str, ...]
    ids: tuple[str, ...]

    @cached_property
    def _arguments(self) -> dict[str, numpy.ndarray]:
        """The known arguments, n values each."""
        n = len(self.observed)
        return {name: numpy.broadcast_to(numpy.asarray(entry, float), n) for name, entry in self.known.items()}

    @cached_property
    def _logarithms(self) -> numpy.ndarray:
        """Of the observed values."""
        return numpy.asarray(numpy.log(self.observed))

    def columns(self, theta: Theta) -> dict[str, numpy.ndarray]:
        """Formula arguments at the parameters `theta` (in fitted coordinates)."""
        n = len(self.observed)
        arguments = dict(self._arguments)
        for unknown, coordinate in zip(self.unknowns, theta, strict=True):
            value = math.exp(coordinate) if unknown.log else coordinate
            column = arguments.get(unknown.symbol, numpy.zeros(n))
            mask = numpy.ones(n, bool) if unknown.mask is None else unknown.mask
            arguments[unknown.symbol] = numpy.where(mask, value, column)
        return arguments

    def predict(self, theta: Theta) -> numpy.ndarray:
        return compiled.value(self.formula, **self.columns(theta))

    def residual(self, theta: Theta) -> numpy.ndarray:
        """ln prediction - ln observed, shape (n,)."""
        return numpy.asarray(numpy.log(self.predict(theta)) - self._logarithms)

    @property
    def size(self) -> float:
        """Norm of the logarithms that are fitted."""
        return float(numpy.linalg.norm(self._logarithms))

    def jacobian(self, theta: Theta) -> numpy.ndarray:
        """d ln prediction / d theta, shape (n, parameters)."""
        arguments = self.columns(theta)
        predicted = compiled.value(self.formula, **arguments)
        columns = []
        for unknown, coordinate in zip(self.unknowns, theta, strict=True):
            inner = math.exp(coordinate) if unknown.log else 1.0
            mask = 1.0 if unknown.mask is None else unknown.mask
            columns.append(compiled.slope(self.formula, unknown.symbol, **arguments) * inner * mask / predicted)
        return numpy.stack(columns, axis=1)

    def linearised(self, thetas: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Residuals (starts, n) and Jacobian (starts, n, parameters) at many `thetas` (starts, parameters) at once."""
        shape = len(thetas), len(self.observed)
        arguments = dict(self._arguments)
        inner = [numpy.exp(column) if u.log else column for u, column in zip(self.unknowns, thetas.T, strict=True)]
        for unknown, values in zip(self.unknowns, inner, strict=True):
            column = values[:, None]
            if unknown.mask is not None:
                column = numpy.where(unknown.mask, column, arguments.get(unknown.symbol, 0.0))
            arguments[unknown.symbol] = column
        predicted = compiled.value(self.formula, **arguments)
        slopes = numpy.zeros((*shape, len(inner)))
        by_symbol = {u.symbol: compiled.slope(self.formula, u.symbol, **arguments) / predicted for u in self.unknowns}
        for place, (unknown, values) in enumerate(zip(self.unknowns, inner, strict=True)):
            own = by_symbol[unknown.symbol]
            own = own * values[:, None] if unknown.log else own
            slopes[:, :, place] = own if unknown.mask is None else own * unknown.mask
        return numpy.log(predicted) - self._logarithms, slopes

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
        """The same problem on the rows where `keep` is true, or on those that it numbers, some perhaps twice."""
        n = len(self.observed)
        known = {k: numpy.broadcast_to(numpy.asarray(v, float), n)[keep] for k, v in self.known.items()}
        unknowns = tuple(
            Unknown(u.name, u.symbol, u.start, u.low, u.high, None if u.mask is None else u.mask[keep], u.log)
            for u in self.unknowns
        )
        pick = numpy.arange(n)[keep].tolist()
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
    """Result of a fit. `covariance` is None unless the diagnostics passed; `withheld` then says why.

    `attempts` are the answers of all starts, in their order.
    """

    problem: Problem | ExpressionProblem
    theta: numpy.ndarray
    residuals: numpy.ndarray
    rank: int
    covariance: numpy.ndarray | None
    scatter: float | None
    withheld: str | None
    attempts: tuple[Attempt, ...] = ()

    @property
    def values(self) -> dict[str, float]:
        pairs = zip(self.problem.unknowns, self.theta, strict=True)
        return {u.name: math.exp(t) if u.log else float(t) for u, t in pairs}

    @property
    def degrees_of_freedom(self) -> int:
        return len(self.residuals) - self.rank

    @property
    def root_mean_square(self) -> float:
        """Of the residuals; of logarithmic ones 0.1 reads as about 10 %."""
        return float(numpy.sqrt(numpy.mean(self.residuals**2)))


MOST_KEPT = 200
"""Fits in the user's cache: those of all regressions with one row or another left out."""
_SOLVED: dict[tuple[object, ...], Fit] = {}


def fit(problem: Problem | ExpressionProblem, starts: int = solver.STARTS) -> Fit:
    """Fit `problem` from `starts` starts (the given one first) and keep the best; error bars behind diagnostics only.

    The same problem is solved once per process: reruns with one row changed repeat most fits.
    """
    key = (*problem.key, starts)
    if key not in _SOLVED:
        _SOLVED[key] = _solve(problem, starts)
    return _SOLVED[key]


def kept(problem: Problem) -> Fit:
    """`fit` of published rows, from the user's cache where the same were fitted before: a change of other data leaves it
    as it was.
    """

    def pickled() -> bytes:
        solved = fit(problem)
        return pickle.dumps([getattr(solved, part.name) for part in fields(Fit)[1:]])

    key = cache.key_of(problem.key, ["formulas", "calibration"])
    return Fit(problem, *pickle.loads(cache.recall("fit", key, pickled, most=MOST_KEPT)))


def _solve(problem: Problem | ExpressionProblem, count: int) -> Fit:
    low, high, start = (_coordinates(problem, side) for side in ("low", "high", "start"))
    begin = solver.starts(start, low, high, count)
    together = problem.linearised if isinstance(problem, Problem) else None
    found = solver.solve(problem.residual, problem.jacobian, begin, low, high, problem.size, together)
    best = found.best
    return Fit(
        problem, best.theta, best.residuals, found.rank, found.covariance, found.scatter, found.withheld, found.attempts
    )


def _coordinates(problem: Problem | ExpressionProblem, side: str) -> numpy.ndarray:
    """Start or bounds in the coordinates that are fitted."""
    return numpy.array([math.log(getattr(u, side)) if u.log else getattr(u, side) for u in problem.unknowns])


REFITS = 1000
BOOTSTRAP_SEED = 1


def resamples(problem: Problem, refits: int = REFITS) -> numpy.ndarray:
    """How often each row is in each resample, shape (refits, n): whole groups are drawn, since rows of one machine err
    together.
    """
    names, group = numpy.unique(problem.groups, return_inverse=True)
    random = numpy.random.default_rng(BOOTSTRAP_SEED)
    drawn = random.multinomial(len(names), numpy.full(len(names), 1 / len(names)), refits)
    return drawn[:, group]


def bootstrap(result: Fit, refits: int = REFITS) -> numpy.ndarray:
    """The fitted parameters of `result` on resampled groups, in fitted coordinates, shape (refits, parameters).

    Each refit starts at the optimum of all rows. One whose rows do not tell the parameters apart, or that does not
    converge, is nan.
    """
    if not isinstance(result.problem, Problem):
        raise TypeError("only formulas are refitted")
    problem = result.problem
    low, high = (_coordinates(problem, side) for side in ("low", "high"))
    weights = resamples(problem, refits).astype(float)
    found = solver.descend(problem.linearised, numpy.tile(result.theta, (refits, 1)), low, high, weights)
    return numpy.where((found.converged & found.told_apart)[:, None], found.theta, numpy.nan)


def prediction_factor(result: Fit, gradient: numpy.ndarray) -> float:
    """Factor from the median to the 95 % point for a new run (parameter error plus between-run scatter, Student t)."""
    from scipy.special import stdtrit

    scatter = stated(result.scatter, f"the scatter of a fit: {result.withheld}")
    covariance = stated(result.covariance, f"error bars of a fit: {result.withheld}")
    variance = scatter**2 + gradient @ covariance @ gradient
    return float(math.exp(stdtrit(result.degrees_of_freedom, 0.95) * math.sqrt(variance)))


# Least squares on plain, signed residuals of any sympy expression: the same solver as the fits in logarithms.


@dataclass(frozen=True)
class ExpressionProblem:
    """Rows to explain: `observed` (n signed values), `known` (n values by name), unknowns that are fitted as they are
    (`log` false). Raises BadInput where the symbols of the expression are not just those names.
    """

    expression: sympy.Expr
    observed: numpy.ndarray
    known: Mapping[str, numpy.ndarray]
    unknowns: tuple[Unknown, ...]

    def __post_init__(self) -> None:
        free = {str(symbol) for symbol in self.expression.free_symbols}
        stray = sorted(free ^ {*self.known, *(unknown.symbol for unknown in self.unknowns)})
        if stray:
            raise BadInput(
                f"symbols {', '.join(stray)} stand on one side only",
                field="expression",
                remedy="write the model with the names of its data and parameters, each at least once",
            )

    @cached_property
    def _functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        return _compiled(self.expression, tuple(self.known), tuple(unknown.symbol for unknown in self.unknowns))

    def predict(self, theta: Theta) -> numpy.ndarray:
        """Values of the expression, shape (n,); infinite or nan where it has none."""
        with numpy.errstate(all="ignore"):
            value = self._functions[0](*self.known.values(), *theta)
        return numpy.broadcast_to(value, self.observed.shape)

    def residual(self, theta: Theta) -> numpy.ndarray:
        """Predicted minus observed, shape (n,)."""
        return numpy.asarray(self.predict(theta) - self.observed)

    def jacobian(self, theta: Theta) -> numpy.ndarray:
        """d prediction / d theta from the symbolic derivatives, shape (n, parameters)."""
        with numpy.errstate(all="ignore"):
            columns = self._functions[1](*self.known.values(), *theta)
        return numpy.stack([numpy.broadcast_to(column, self.observed.shape) for column in columns], axis=1)

    @property
    def size(self) -> float:
        """Norm of the observed values."""
        return float(numpy.linalg.norm(self.observed))

    @property
    def key(self) -> tuple[object, ...]:
        """Everything that the solution depends on, hashable."""
        known = tuple((name, numpy.asarray(column, float).tobytes()) for name, column in self.known.items())
        unknowns = tuple((u.name, u.symbol, u.start, u.low, u.high) for u in self.unknowns)
        return self.expression, self.observed.tobytes(), known, unknowns


@lru_cache(maxsize=64)
def _compiled(
    expression: sympy.Expr, known: tuple[str, ...], unknowns: tuple[str, ...]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Value and derivatives as numpy functions of the known columns and the unknowns, in this order."""
    import sympy

    symbols = {str(symbol): symbol for symbol in expression.free_symbols}
    arguments = [symbols[name] for name in (*known, *unknowns)]
    slopes = [sympy.diff(expression, symbols[name]) for name in unknowns]
    return sympy.lambdify(arguments, expression, "numpy"), sympy.lambdify(arguments, slopes, "numpy", cse=True)
