"""The certified nonlinear regression sets of NIST (data/strd/): reader, and the models as sympy text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations, product
from pathlib import Path

import numpy

from costmodel.calibration.fit import ExpressionProblem, Unknown
from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir

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
