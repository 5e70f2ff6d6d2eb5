"""Dimensions of every formula, by walking its expression with physical quantities: a sum of unlike things fails."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pint
import sympy
from sympy.codegen.cfunctions import expm1

from costmodel.formulas.catalog import FORMULAS
from costmodel.formulas.formula import Formula
from costmodel.validation.row import Row

UNITS = pint.UnitRegistry(preprocessors=[lambda text: text.replace("byte", "octet")])
UNITS.define("octet = [information]")
"""pint's own byte is a plain number, so that a sum of bytes and a count would pass."""
SAMPLES = {
    **dict.fromkeys(("serial_exponent", "valid_exponent", "both_siblings", "two_sockets", "queueing"), 1.0),
    **dict.fromkeys(("share", "merged_fraction", "cold_fraction", "presence_position", "untouched_fraction"), 0.5),
    **dict.fromkeys(("serial_s", "hold_s", "end_hold_s", "flush_s"), 0.25),
}
"""Numbers at which exponents are dimensionless, shares are shares and no queue saturates; 1.25 for all others."""
OTHER = 1.25


def quantities(formula: Formula) -> dict[str, pint.Quantity]:
    """One value with its unit for each symbol of the formula."""
    return {name: SAMPLES.get(name, OTHER) * UNITS(entry.unit) for name, entry in formula.symbols.items()}


def evaluate(expression: sympy.Expr, values: Mapping[str, pint.Quantity]) -> pint.Quantity:
    """Value of the expression with its unit. Raises pint.DimensionalityError where unlike things meet."""
    if expression.is_Symbol:
        return values[str(expression)]
    if expression.is_Number or expression in (sympy.E, sympy.pi):
        return float(expression) * UNITS.dimensionless
    parts = [evaluate(part, values) for part in expression.args]
    if expression.is_Add:
        return sum(parts[1:], start=parts[0])
    if expression.is_Mul:
        return math.prod(parts[1:], start=parts[0])
    if expression.is_Pow:
        return parts[0] ** parts[1].to("dimensionless").magnitude
    if isinstance(expression, sympy.Max | sympy.Min):
        measured = [part for part, term in zip(parts, expression.args, strict=True) if term != 0]
        for part in measured[1:]:
            part.to(measured[0].units)
        return max(measured)
    if isinstance(expression, sympy.exp | sympy.log | expm1):
        return getattr(math, type(expression).__name__)(parts[0].to("dimensionless").magnitude) * UNITS.dimensionless
    if isinstance(expression, sympy.ceiling):
        return math.ceil(parts[0].to("dimensionless").magnitude) * UNITS.dimensionless
    raise TypeError(f"no rule for {type(expression).__name__}")


def sound(formula: Formula) -> bool:
    """Whether the expression has the unit that the formula states."""
    try:
        result = evaluate(formula.expression, quantities(formula))
    except pint.DimensionalityError:
        return False
    return result.check(UNITS(formula.unit).dimensionality)


def rows() -> list[Row]:
    """One row over all formulas; those that fail are named."""
    wrong = [name for name, formula in FORMULAS.items() if not sound(formula)]
    return [
        Row(
            id="dimensions",
            what="every formula has the unit that it states",
            figure=f"{len(FORMULAS) - len(wrong)} of {len(FORMULAS)} formulas",
            target="all",
            verdict="fail" if wrong else "pass",
            source="costmodel/formulas, units as pint reads them",
            value=float(len(FORMULAS) - len(wrong)),
            unit="1",
            note=", ".join(wrong),
        )
    ]
