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


Linearised = Callable[[Vector], tuple[Vector, Vector]]
"""From parameters (starts, parameters): residuals (starts, n) and Jacobian (starts, n, parameters)."""
MOST_STEPS = 200
DAMPING = 1e-3
LEAST_DAMPING, MOST_DAMPING = 1e-12, 1e12
BOUND = 1e-10
"""Relative distance from a bound, in the span of both, at which a parameter is held there."""
TOLD_APART = 1e-10
"""Least eigenvalue of the normal equations with a unit diagonal at which they still tell the parameters apart."""


@dataclass(frozen=True)
class Descent:
    """Where each start ended: parameters, residuals and Jacobian there, whether it converged, and whether the data tell
    the parameters apart there.
    """

    theta: Vector
    residuals: Vector
    slopes: Vector
    converged: Vector
    told_apart: Vector


def descend(together: Linearised, begin: Vector, low: Vector, high: Vector, weights: Vector | None = None) -> Descent:
    """Levenberg-Marquardt from all starts (starts, parameters) at once, held inside the bounds.

    `weights` (starts, n) count the rows, another set for each start: a bootstrap is one call.
    """
    theta = numpy.clip(begin, low, high)
    count, parameters = theta.shape
    damping, done = numpy.full(count, DAMPING), numpy.zeros(count, bool)
    identity = numpy.eye(parameters)
    span = numpy.where(numpy.isfinite(high - low), high - low, 1.0)
    lowest, highest = low + BOUND * span, high - BOUND * span
    with numpy.errstate(all="ignore"):
        left, slopes = together(theta)
        weight = numpy.ones_like(left) if weights is None else weights
        cost = numpy.einsum("sn,sn->s", weight, left**2)
        done |= ~(cost < LARGEST)
        for _ in range(MOST_STEPS):
            gradient, normal = _normal(weight, left, slopes)
            held = ((theta <= lowest) & (gradient > 0)) | ((theta >= highest) & (gradient < 0))
            free = ~held
            diagonal = numpy.einsum("spp->sp", normal)
            scale = numpy.where(free & (diagonal > 0), diagonal, 1.0)
            system = normal * (free[:, :, None] & free[:, None, :])
            system = system + identity * (damping[:, None] * scale + numpy.where(free, 0.0, 1.0))[:, :, None]
            system = numpy.where(numpy.isfinite(system), system, identity)
            step = -numpy.linalg.solve(system, numpy.where(free & numpy.isfinite(gradient), gradient, 0.0)[:, :, None])
            tried = numpy.clip(theta + step[:, :, 0], low, high)
            tried = numpy.where(done[:, None], theta, tried)
            new_left, new_slopes = together(tried)
            new_cost = numpy.einsum("sn,sn->s", weight, new_left**2)
            better = (new_cost <= cost) & ~done
            moved = numpy.abs(tried - theta).max(axis=1)
            small = (moved <= TOLERANCE * (1 + numpy.abs(theta).max(axis=1))) | (
                better & (cost - new_cost <= POLISH * cost)
            )
            theta = numpy.where(better[:, None], tried, theta)
            left = numpy.where(better[:, None], new_left, left)
            slopes = numpy.where(better[:, None, None], new_slopes, slopes)
            cost = numpy.where(better, new_cost, cost)
            damping = numpy.clip(damping * numpy.where(better, 0.1, 10.0), LEAST_DAMPING, MOST_DAMPING)
            done |= small
            if done.all():
                break
        _, normal = _normal(weight, left, slopes)
        lengths = numpy.sqrt(numpy.einsum("spp->sp", normal))
        alike = normal / (lengths[:, :, None] * lengths[:, None, :])
        sound = numpy.isfinite(alike).all(axis=(1, 2))
        least = numpy.linalg.eigvalsh(numpy.where(sound[:, None, None], alike, 0.0))[:, 0]
    return Descent(theta, left, slopes, done & (cost < LARGEST), sound & (least > TOLD_APART))


def _normal(weight: Vector, left: Vector, slopes: Vector) -> tuple[Vector, Vector]:
    """Gradient (starts, parameters) and normal matrix (starts, parameters, parameters)."""
    weighted = slopes * weight[:, :, None]
    return numpy.einsum("snp,sn->sp", weighted, left), numpy.matmul(weighted.transpose(0, 2, 1), slopes)


def _arrived(theta: Vector, left: Vector, columns: Vector, low: Vector, high: Vector, size: float) -> Attempt | None:
    """The attempt that ends at `theta` if nothing is left to gain there inside the bounds, else None."""
    if not (numpy.all(numpy.isfinite(left)) and numpy.all(numpy.isfinite(columns))):
        return None
    gradient = columns.T @ left
    free = (low < theta) & (theta < high)
    if not numpy.all(numpy.where(theta <= low, gradient >= 0, gradient <= 0) | free):
        return None
    cost = float(left @ left) / 2
    slope = 0.0 if _is_rounding(cost, size) or not free.any() else _slope(columns[:, free], left)
    return Attempt(theta, left, cost, True, slope, not free.all()) if slope <= FLAT else None


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
    residual: Function,
    jacobian: Function,
    begin: Sequence[Vector],
    low: Vector,
    high: Vector,
    size: float,
    together: Linearised | None = None,
) -> Solution:
    """Minimise the sum of squares of `residual` (n,) from each start; `jacobian` is (n, parameters).

    `size` is the norm of the data; `together` gives residuals and Jacobian at many parameter vectors at once, which
    saves most of the time. Raises ValueError where the model is finite at no start.
    """
    near: Sequence[Vector] = begin
    arrived: Sequence[Attempt | None] = [None] * len(begin)
    if together is not None:
        ends = descend(together, numpy.stack(begin), low, high)
        near, places = list(ends.theta), zip(ends.theta, ends.residuals, ends.slopes, strict=True)
        arrived = [_arrived(*place, low, high, size) for place in places]
    attempts = [
        found
        for x0, end in zip(near, arrived, strict=True)
        if (found := end or _attempt(residual, jacobian, x0, low, high, size)) is not None
    ]
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
    columns: dict[bytes, Vector] = {}

    def slopes(x: Vector) -> Vector:
        """The Jacobian at `x`, which both functions of the root want."""
        place = x.tobytes()
        if place not in columns:
            columns[place] = jacobian(x)
        return columns[place]

    with numpy.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = root(
            lambda x: slopes(x).T @ residual(x),
            best.theta,
            jac=lambda x: _squared(slopes(x)),
            options={"xtol": POLISH},
        )
        if not (numpy.all(numpy.isfinite(found.x)) and numpy.all((low < found.x) & (found.x < high))):
            return best
        settled = _at(found.x, residual, jacobian)
    return settled if settled.slope <= best.slope and settled.cost <= best.cost * (1 + WORSE) else best


def _squared(columns: Vector) -> Vector:
    return numpy.asarray(columns.T @ columns)


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
