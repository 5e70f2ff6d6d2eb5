"""Least squares on plain, signed residuals of any sympy expression: the same solver as the fits in logarithms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy

from costmodel.errors import BadInput

if TYPE_CHECKING:
    import sympy

    from costmodel.calibration.fit import Unknown


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
    def _functions(self) -> tuple[Callable, Callable]:
        return _compiled(self.expression, tuple(self.known), tuple(unknown.symbol for unknown in self.unknowns))

    def predict(self, theta: Sequence[float]) -> numpy.ndarray:
        """Values of the expression, shape (n,); infinite or nan where it has none."""
        with numpy.errstate(all="ignore"):
            value = self._functions[0](*self.known.values(), *theta)
        return numpy.broadcast_to(value, self.observed.shape)

    def residual(self, theta: Sequence[float]) -> numpy.ndarray:
        """Predicted minus observed, shape (n,)."""
        return self.predict(theta) - self.observed

    def jacobian(self, theta: Sequence[float]) -> numpy.ndarray:
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
def _compiled(expression: sympy.Expr, known: tuple[str, ...], unknowns: tuple[str, ...]) -> tuple[Callable, Callable]:
    """Value and derivatives as numpy functions of the known columns and the unknowns, in this order."""
    import sympy

    symbols = {str(symbol): symbol for symbol in expression.free_symbols}
    arguments = [symbols[name] for name in (*known, *unknowns)]
    slopes = [sympy.diff(expression, symbols[name]) for name in unknowns]
    return sympy.lambdify(arguments, expression, "numpy"), sympy.lambdify(arguments, slopes, "numpy", cse=True)
