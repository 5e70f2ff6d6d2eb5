"""The certified nonlinear regression sets of NIST (data/strd/): reader, and the models as sympy text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations, product
from pathlib import Path

import numpy

from costmodel.calibration import solver
from costmodel.calibration.fit import ExpressionProblem, Fit, Unknown, fit
from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir
from costmodel.validation.row import Row

FOLDER = "strd"
LEVELS = ("Lower", "Average", "Higher")
_EXPONENTIALS = "b1*exp(-b2*x) + b3*exp(-b4*x) + b5*exp(-b6*x)"
_PEAKS = "b1*exp(-b2*x) + b3*exp(-(x - b4)**2/b5**2) + b6*exp(-(x - b7)**2/b8**2)"
_CUBIC = "(b1 + b2*x + b3*x**2 + b4*x**3)/(1 + b5*x + b6*x**2 + b7*x**3)"
_CYCLES = (
    "b1 + b2*cos(2*pi*x/12) + b3*sin(2*pi*x/12) + b5*cos(2*pi*x/b4) + b6*sin(2*pi*x/b4)"
    " + b8*cos(2*pi*x/b7) + b9*sin(2*pi*x/b7)"
)
MODELS = {
    "Bennett5": "b1*(b2 + x)**(-1/b3)",
    "BoxBOD": "b1*(1 - exp(-b2*x))",
    "Chwirut1": "exp(-b1*x)/(b2 + b3*x)",
    "Chwirut2": "exp(-b1*x)/(b2 + b3*x)",
    "DanWood": "b1*x**b2",
    "ENSO": _CYCLES,
    "Eckerle4": "(b1/b2)*exp(-((x - b3)/b2)**2/2)",
    "Gauss1": _PEAKS,
    "Gauss2": _PEAKS,
    "Gauss3": _PEAKS,
    "Hahn1": _CUBIC,
    "Kirby2": "(b1 + b2*x + b3*x**2)/(1 + b4*x + b5*x**2)",
    "Lanczos1": _EXPONENTIALS,
    "Lanczos2": _EXPONENTIALS,
    "Lanczos3": _EXPONENTIALS,
    "MGH09": "b1*(x**2 + x*b2)/(x**2 + x*b3 + b4)",
    "MGH10": "b1*exp(b2/(x + b3))",
    "MGH17": "b1 + b2*exp(-x*b4) + b3*exp(-x*b5)",
    "Misra1a": "b1*(1 - exp(-b2*x))",
    "Misra1b": "b1*(1 - (1 + b2*x/2)**(-2))",
    "Misra1c": "b1*(1 - 1/sqrt(1 + 2*b2*x))",
    "Misra1d": "b1*b2*x/(1 + b2*x)",
    "Nelson": "b1 - b2*x1*exp(-b3*x2)",
    "Rat42": "b1/(1 + exp(b2 - b3*x))",
    "Rat43": "b1/(1 + exp(b2 - b3*x))**(1/b4)",
    "Roszman1": "b1 - b2*x - atan(b3/(x - b4))/pi",
    "Thurber": _CUBIC,
}
"""Written from the section "Model" of each file."""
_TWO_PEAKS = {"swaps": ((2, 3, 4), (5, 6, 7)), "signs": ((4,), (7,))}
SYMMETRIES = {
    **dict.fromkeys(("Gauss1", "Gauss2", "Gauss3"), _TWO_PEAKS),
    **dict.fromkeys(("Lanczos1", "Lanczos2", "Lanczos3"), {"swaps": ((0, 1), (2, 3), (4, 5)), "signs": ()}),
    "MGH17": {"swaps": ((1, 3), (2, 4)), "signs": ()},
    "ENSO": {"swaps": ((3, 4, 5), (6, 7, 8)), "signs": ((3, 5), (6, 8))},
    "Eckerle4": {"swaps": (), "signs": ((0, 1),)},
}
"""Positions of parameters that may change places as groups, or sign together, without a change of the model."""
LOG_RESPONSE = frozenset({"Nelson"})
"""Sets whose model is one of log[y]."""


@dataclass(frozen=True)
class Certified:
    """One file: `starts` (2, parameters), certified values with their standard deviations (parameters,), the certified
    residual sum of squares, response (n,) and predictors by name (n,).
    """

    name: str
    level: str
    starts: numpy.ndarray
    values: numpy.ndarray
    deviations: numpy.ndarray
    sum_of_squares: float
    response: numpy.ndarray
    predictors: dict[str, numpy.ndarray]

    def problem(self, start: int, text: str | None = None) -> ExpressionProblem:
        """The regression from start 1 or 2 with the set's own model, or `text`. Raises BadInput."""
        import sympy

        text = text or MODELS[self.name]
        try:
            expression = sympy.sympify(text)
        except (sympy.SympifyError, SyntaxError, TypeError):
            raise BadInput(f"model {text!r} is no expression", row=self.name, remedy="write it for sympy") from None
        begin = self.starts[start - 1]
        unknowns = tuple(
            Unknown(f"b{i}", f"b{i}", float(value), -numpy.inf, numpy.inf, log=False)
            for i, value in enumerate(begin, start=1)
        )
        return ExpressionProblem(expression, self.response, self.predictors, unknowns)


def images(name: str, theta: numpy.ndarray) -> Iterator[numpy.ndarray]:
    """All parameter vectors (parameters,) at which the model of `name` is the same as at `theta`."""
    symmetry = SYMMETRIES.get(name, {"swaps": (), "signs": ()})
    for order in permutations(symmetry["swaps"]):
        swapped = theta.copy()
        for target, source in zip(symmetry["swaps"], order, strict=True):
            swapped[list(target)] = theta[list(source)]
        for signs in product((1.0, -1.0), repeat=len(symmetry["signs"])):
            image = swapped.copy()
            for positions, sign in zip(symmetry["signs"], signs, strict=True):
                image[list(positions)] *= sign
            yield image


def names() -> tuple[str, ...]:
    """The sets in the order of their difficulty, then of their names."""
    return tuple(sorted(MODELS, key=lambda name: (LEVELS.index(load(name).level), name)))


@lru_cache(maxsize=len(MODELS))
def load(name: str) -> Certified:
    """The set `name` of data/strd/."""
    return read(data_dir() / FOLDER / f"{name}.dat")


def read(path: Path) -> Certified:
    """One file. Raises BadInput with the place where it does not read as NIST wrote it."""

    def refuse(field: str) -> BadInput:
        return BadInput("is not as NIST wrote it", file=path.name, field=field, remedy="restore the file")

    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        raise refuse("file") from None
    text = "\n".join(lines)
    level = re.search(rf"^\s*(?:Data:)?\s*({'|'.join(LEVELS)}) Level of Difficulty", text, re.MULTILINE)
    total = re.search(r"Residual Sum of Squares:\s*(\S+)", text)
    observations = re.search(r"Number of Observations:\s*(\d+)", text)
    if level is None or total is None or observations is None:
        raise refuse("header")
    try:
        rows = [line.split("=")[1].split() for line in lines if re.match(r"\s*b\d+ =", line)]
        parameters = numpy.array(rows, dtype=float)
        first = max(i for i, line in enumerate(lines) if line.startswith("Data:")) + 1
        data = numpy.array([line.split() for line in lines[first:] if line.strip()], dtype=float)
        sum_of_squares = float(total.group(1))
    except ValueError:
        raise refuse("numbers") from None
    if parameters.ndim != 2 or parameters.shape[1] != 4 or len(data) != int(observations.group(1)):
        raise refuse("numbers")
    columns = ("x",) if data.shape[1] == 2 else tuple(f"x{i}" for i in range(1, data.shape[1]))
    return Certified(
        name=path.stem,
        level=level.group(1),
        starts=parameters[:, :2].T,
        values=parameters[:, 2],
        deviations=parameters[:, 3],
        sum_of_squares=sum_of_squares,
        response=numpy.log(data[:, 0]) if path.stem in LOG_RESPONSE else data[:, 0],
        predictors={column: data[:, i] for i, column in enumerate(columns, start=1)},
    )


# Does the calibrator find the least squares? The 27 certified sets of NIST, from both published starts.
#
# Each start gives two answers: that of the start alone, and the best of several starts around it. An answer may be
# wrong, but not in silence: a diagnostic must say so.

DIGITS = {"Lower": 6.0, "Average": 4.0, "Higher": 4.0}
"""Digits asked for from the second start."""
RIGHT_DIGITS = 4.0
"""An answer with fewer digits is wrong."""
MOST_DIGITS = 11.0
"""NIST certifies eleven digits."""
SOURCE = "NIST StRD, nonlinear regression"


@dataclass(frozen=True)
class Answer:
    """Digits of agreement (minimum over the parameters) and what the diagnostics say, empty where nothing."""

    digits: float
    deviation_digits: float | None
    sum_digits: float
    doubt: str

    @property
    def right(self) -> bool:
        return self.digits >= RIGHT_DIGITS


def digits(estimate: numpy.ndarray | float, certified: numpy.ndarray | float) -> float:
    """-log10 of the relative error, the least over all elements, between 0 and MOST_DIGITS."""
    error = numpy.max(numpy.abs(numpy.subtract(estimate, certified)) / numpy.abs(certified))
    return float(numpy.clip(-numpy.log10(max(float(error), 10.0**-MOST_DIGITS)), 0.0, MOST_DIGITS))


def single_and_multi(known: Certified, start: int) -> tuple[Answer, Answer, Fit]:
    """The answer of a published start alone, the best of several starts around it, and the fit of the latter."""
    problem = known.problem(start)
    one, several = fit(problem, starts=1), fit(problem)
    own = one.withheld or solver.doubt(one.attempts[0], several.attempts, problem.size) or ""
    return answer(known, one, own), answer(known, several, several.withheld or ""), several


def answer(known: Certified, result: Fit, doubt: str) -> Answer:
    """Score of a fit against the certified values."""
    deviations = None
    if result.covariance is not None:
        deviations = _digits_of_image(known, numpy.sqrt(result.covariance.diagonal()), known.deviations)
    total = float(result.residuals @ result.residuals)
    return Answer(
        _digits_of_image(known, result.theta, known.values), deviations, digits(total, known.sum_of_squares), doubt
    )


def _digits_of_image(known: Certified, estimate: numpy.ndarray, certified: numpy.ndarray) -> float:
    """Digits of the best of all parameter vectors that mean the same model: two peaks may have changed places."""
    return max(digits(image, certified) for image in images(known.name, estimate))


def rows() -> list[Row]:
    """One row per set and published start, and one over all starts that were tried."""
    found, tried = [], []
    for name in names():
        known = load(name)
        for start in (1, 2):
            one, several, result = single_and_multi(known, start)
            found.append(_row(known, start, one, several))
            tried.append((known, result))
    return [*found, _silence(tried)]


def _row(known: Certified, start: int, one: Answer, several: Answer) -> Row:
    asked = DIGITS[known.level]
    silent = [answer for answer in (one, several) if not answer.right and not answer.doubt]
    good = not silent and several.right and (start == 1 or min(one.digits, several.digits) >= asked)
    note = one.doubt if one.doubt == several.doubt else f"start alone: {one.doubt}" if one.doubt else ""
    if several.doubt and several.doubt != one.doubt:
        note = f"{note}; several: {several.doubt}" if note else f"several: {several.doubt}"
    deviations = "-" if several.deviation_digits is None else f"{several.deviation_digits:.1f}"
    return Row(
        id=f"{known.name}-{start}",
        what=f"{known.name}, {known.level.lower()} difficulty, start {start}",
        figure=f"{one.digits:.1f} digits alone, {several.digits:.1f} of several; s.d. {deviations}; "
        f"RSS {several.sum_digits:.1f}",
        target=f"at least {asked:g} digits"
        if start == 2
        else f"several starts: {RIGHT_DIGITS:g} digits; wrong alone: said so",
        verdict="pass" if good else "fail",
        source=f"{SOURCE}, {known.name}.dat",
        value=several.digits,
        unit="1",
        note=note,
        details={
            "digits_of_start_alone": one.digits,
            "digits_of_several_starts": several.digits,
            "digits_of_standard_deviations": several.deviation_digits,
            "digits_of_residual_sum_of_squares": several.sum_digits,
            "doubt_of_start_alone": one.doubt,
            "doubt_of_several_starts": several.doubt,
        },
    )


def _silence(tried: list[tuple[Certified, Fit]]) -> Row:
    """Every start that was tried, taken as if it were the only answer shown beside the others' sums of squares."""
    total = wrong = own = compared = 0
    for known, result in tried:
        for attempt in result.attempts:
            total += 1
            if _digits_of_image(known, attempt.theta, known.values) >= RIGHT_DIGITS:
                continue
            wrong += 1
            size = result.problem.size
            alone = solver.judge(attempt, (attempt,), result.problem.jacobian, size).withheld
            if alone is not None:
                own += 1
            elif solver.doubt(attempt, result.attempts, size) is not None:
                compared += 1
    silent = wrong - own - compared
    return Row(
        id="silence",
        what="answers of all starts tried, most of them far off",
        figure=f"{wrong} of {total} wrong: {own} say so alone, {compared} beside the other starts, {silent} in silence",
        target="none wrong in silence",
        verdict="pass" if silent == 0 else "fail",
        source=SOURCE,
        value=float(silent),
        unit="1",
        note="a local minimum looks like a minimum: only another start can tell",
        details={
            "starts": total,
            "wrong": wrong,
            "found_alone": own,
            "found_by_comparison": compared,
            "silent": silent,
        },
    )
