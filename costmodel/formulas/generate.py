"""Generates the numpy source of every formula and its derivatives (used by compiled.py, needs sympy)."""

from __future__ import annotations

import sympy

from costmodel.formulas.formula import Formula
from costmodel.formulas.registry import FORMULAS
from costmodel.formulas.render import numpy_code


def _function(name: str, item: Formula, expression: sympy.Expr) -> str:
    temporaries, (reduced,) = sympy.cse(expression, symbols=sympy.numbered_symbols("_x"))
    lines = [f"def {name}({', '.join(item.symbols)}):"]
    lines += [f"    {symbol} = {numpy_code(part)}" for symbol, part in temporaries]
    lines.append(f"    return {numpy_code(reduced)}")
    return "\n".join(lines)


def source() -> str:
    """Python source with one function per formula and one per differentiable argument (NAME__by__SYMBOL)."""
    parts = ["import numpy\n"]
    for item in FORMULAS.values():
        parts.append(_function(item.id, item, item.expression))
        for symbol in sorted(item.expression.free_symbols, key=str):
            if item.expression.has(sympy.ceiling):
                continue
            derivative = sympy.diff(item.expression, symbol)
            parts.append(_function(f"{item.id}__by__{symbol}", item, derivative))
    return "\n\n\n".join(parts) + "\n"
