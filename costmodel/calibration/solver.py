"""Bounded least squares from several starts, with the diagnostics that stand before any error bar.

Nothing here knows what is fitted: residuals and Jacobian are functions of the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy

MINIMUM_DEGREES_OF_FREEDOM = 6
"""Below six samples an interval is refused (the rule of benchstat)."""
STARTS = 8
SEED = 1
TOLERANCE = 1e-12
"""Relative change of the sum of squares, or of the parameters, at which an iteration ends."""
RESTARTS = 8
"""An iteration whose evaluations run out goes on this often, variables scaled anew."""
FLAT = 2e-7
"""Largest cosine between the residuals and a column of the Jacobian that the best answer keeps; else it is polished."""
POLISH = 1e-15
"""Tolerance of that last iteration."""
STEEP = 1e-4
"""From this cosine on the answer is no minimum."""
ROUNDING = 1e-10
"""Residuals below this share of the data are rounding: they have no direction."""
UNLIKE = 1e6
"""Columns of the Jacobian whose norms differ by more are scaled before they are multiplied."""
WORSE = 1e-6
"""A sum of squares that lies above that of another start by this share is not the least."""
LARGEST = 1e100
"""A start with residuals or slopes beyond this has no sum of squares in floating point."""
SPREAD = 10.0
"""Starts of a parameter without bounds lie up to this factor either way of the given one."""

Vector = numpy.ndarray
Function = Callable[[Vector], Vector]


@dataclass(frozen=True)
class Attempt:
    """Answer from one start: parameters `theta`; `cost` is half the sum of squares, as scipy counts it.

    `converged` is false where the evaluations ran out; `slope` is the largest cosine between the residuals and a
    column of the Jacobian, over the parameters inside their bounds.
    """

    theta: Vector
    residuals: Vector
    cost: float
    converged: bool
    slope: float
    on_bound: bool


@dataclass(frozen=True)
class Solution:
    """The best attempt (lowest sum of squares) and all of them, in the order of the starts; a start at which the
    model has no finite value gives none. `covariance` is None unless the diagnostics passed; `withheld` then says why.
    """

    best: Attempt
    attempts: tuple[Attempt, ...]
    rank: int
    covariance: Vector | None
    scatter: float | None
    withheld: str | None


def starts(start: Vector, low: Vector, high: Vector, count: int = STARTS) -> list[Vector]:
    """The given start, then random ones: uniform between finite bounds, else up to SPREAD either way."""
    random = numpy.random.default_rng(SEED)
    bounded = numpy.isfinite(low) & numpy.isfinite(high)
    bottom, top = numpy.where(bounded, low, 0.0), numpy.where(bounded, high, 0.0)
    found = [start]
    for _ in range(count - 1):
        drawn = random.random(len(start))
        found.append(numpy.where(bounded, bottom + (top - bottom) * drawn, start * SPREAD ** (2 * drawn - 1)))
    return found


def solve(
    residual: Function, jacobian: Function, begin: Sequence[Vector], low: Vector, high: Vector, size: float
) -> Solution:
    """Minimise the sum of squares of `residual` (n,) from each start; `jacobian` is (n, parameters).

    `size` is the norm of the data. Raises ValueError where the model is finite at no start.
    """
    attempts = [found for x0 in begin if (found := _attempt(residual, jacobian, x0, low, high, size)) is not None]
    if not attempts:
        raise ValueError("the model has no finite value at any start")
    best = min(attempts, key=lambda attempt: attempt.cost)
    if best.converged and best.slope > FLAT:
        polished = _iterate(residual, jacobian, best.theta, low, high, size, POLISH)
        best = min(best, polished, key=lambda attempt: attempt.cost)
    best = _settled(best, residual, jacobian, low, high, size)
    return judge(best, attempts, jacobian, size)


def _settled(best: Attempt, residual: Function, jacobian: Function, low: Vector, high: Vector, size: float) -> Attempt:
    """`best` moved to where the gradient vanishes.

    A sum of squares is flat at its least, so an iteration that watches it leaves parameters that are right to half of
    their digits, and the other half then depends on the linear algebra of the CPU. The root of the gradient does not.
    An answer on a bound, one without residuals, or a root that is no better stays as it was.
    """
    from scipy.optimize import root

    if best.on_bound or not best.converged or _is_rounding(best.cost, size):
        return best
    with numpy.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = root(
            lambda x: jacobian(x).T @ residual(x),
            best.theta,
            jac=lambda x: jacobian(x).T @ jacobian(x),
            options={"xtol": POLISH},
        )
        if not (numpy.all(numpy.isfinite(found.x)) and numpy.all((low < found.x) & (found.x < high))):
            return best
        settled = _at(found.x, residual, jacobian)
    return settled if settled.slope <= best.slope and settled.cost <= best.cost * (1 + WORSE) else best


def _at(theta: Vector, residual: Function, jacobian: Function) -> Attempt:
    """The attempt that ends at `theta`, inside all bounds."""
    left, columns = residual(theta), jacobian(theta)
    return Attempt(theta, left, float(left @ left) / 2, True, _slope(columns, left), False)


def _slope(columns: Vector, left: Vector) -> float:
    """Largest cosine between the residuals `left` and a column of the Jacobian."""
    return float(numpy.max(numpy.abs(columns.T @ left) / _lengths(columns)) / numpy.linalg.norm(left))


def judge(best: Attempt, attempts: Sequence[Attempt], jacobian: Function, size: float) -> Solution:
    """`best` with its diagnostics: rank, degrees of freedom, bounds, convergence, slope, the other starts."""
    slopes = jacobian(best.theta)
    scale = _scale(slopes)
    _, strengths, directions = numpy.linalg.svd(slopes * scale, full_matrices=False)
    rank = int(numpy.sum(strengths > strengths.max() * max(slopes.shape) * numpy.finfo(float).eps))
    spare, parameters = len(best.residuals) - rank, slopes.shape[1]
    withheld = None
    if rank < parameters:
        withheld = f"rank {rank} of {parameters}: the data do not tell the parameters apart"
    elif spare < MINIMUM_DEGREES_OF_FREEDOM:
        withheld = f"{spare} degrees of freedom, fewer than {MINIMUM_DEGREES_OF_FREEDOM}"
    elif best.on_bound:
        withheld = "a parameter lies on its bound"
    elif (problem := doubt(best, attempts, size)) is not None:
        withheld = problem
    scatter = float(numpy.sqrt(2 * best.cost / spare)) if spare > 0 else None
    covariance = None
    if withheld is None and scatter is not None:
        covariance = scatter**2 * (directions.T / strengths**2) @ directions * numpy.outer(scale, scale)
    return Solution(best, tuple(attempts), rank, covariance, scatter, withheld)


def doubt(attempt: Attempt, others: Sequence[Attempt], size: float) -> str | None:
    """Why `attempt` is no least-squares answer, or None."""
    if not attempt.converged:
        return "not converged: the evaluations ran out"
    if attempt.slope > STEEP:
        return f"no minimum: the residuals lean on the Jacobian by {attempt.slope:.0e}"
    least = min(other.cost for other in others)
    if attempt.cost > least * (1 + WORSE) and not _is_rounding(attempt.cost, size):
        times = f"{attempt.cost / least:.3g} times its sum of squares" if least > 0 else "it fits without residual"
        return f"a better start exists: {times}"
    return None


def _attempt(
    residual: Function, jacobian: Function, x0: Vector, low: Vector, high: Vector, size: float
) -> Attempt | None:
    if not (numpy.all(numpy.abs(residual(x0)) < LARGEST) and numpy.all(numpy.abs(jacobian(x0)) < LARGEST)):
        return None
    for _ in range(1 + RESTARTS):
        found = _iterate(residual, jacobian, x0, low, high, size, TOLERANCE)
        if found.converged:
            break
        x0 = found.theta
    return found


def _iterate(
    residual: Function, jacobian: Function, x0: Vector, low: Vector, high: Vector, size: float, tolerance: float
) -> Attempt:
    from scipy.optimize import least_squares

    settings = {"bounds": (low, high), "x_scale": "jac", "xtol": tolerance, "ftol": tolerance}
    with numpy.errstate(over="ignore", invalid="ignore", divide="ignore"):  # a trial step may leave the model's domain
        found = least_squares(residual, x0, jac=jacobian, **settings)
    free = found.active_mask == 0
    slope = 0.0
    if free.any() and not _is_rounding(found.cost, size):
        slope = _slope(found.jac[:, free], found.fun)
    return Attempt(found.x, found.fun, float(found.cost), found.status > 0, slope, not free.all())


def _is_rounding(cost: float, size: float) -> bool:
    return bool(2 * cost <= (ROUNDING * size) ** 2)


def _lengths(columns: Vector) -> Vector:
    """Norm of each column, 1 for a column of zeroes."""
    lengths = numpy.linalg.norm(columns, axis=0)
    return numpy.where(lengths > 0, lengths, 1.0)


def _scale(columns: Vector) -> Vector:
    """Factors that bring columns of unlike size together: powers of two, so that nothing is rounded."""
    lengths = _lengths(columns)
    if lengths.max() <= UNLIKE * lengths.min():
        return numpy.ones_like(lengths)
    return numpy.asarray(2.0 ** -numpy.round(numpy.log2(lengths)))
