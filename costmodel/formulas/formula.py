"""What a formula module declares: an expression, its symbols with units, its source and where it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import sympy


class Quantity(NamedTuple):
    """Unit (as pint reads it) and meaning of a symbol."""

    unit: str
    description: str


@dataclass(frozen=True)
class Formula:
    """One published or derived cost term.

    `expression` uses exactly the symbols of `symbols`; its value is in `unit`.
    `validity` says where it holds, `source` where it comes from.
    """

    id: str
    title: str
    expression: sympy.Expr
    unit: str
    symbols: Mapping[str, Quantity]
    source: str
    validity: str

    def __post_init__(self) -> None:
        free = {str(symbol) for symbol in self.expression.free_symbols}
        if free != set(self.symbols):
            raise ValueError(f"formula {self.id}: symbols {sorted(free ^ set(self.symbols))} do not match")


def symbol(name: str) -> sympy.Symbol:
    """A non-negative real symbol: every quantity of the model is one."""
    return sympy.Symbol(name, nonnegative=True)
