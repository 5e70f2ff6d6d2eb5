"""Arithmetic that turns the numbers of a quote into the value of a row: + - * / ** >> << & | on numbers only."""

from __future__ import annotations

import ast
import math
import operator
import re

from costmodel.errors import BadInput

CONSTANTS = frozenset(
    {
        1,
        2,
        100,
        1000,
        1024,  # counts, per cent, decimal and binary prefixes
        60,
        64,
        512,
        4096,  # seconds per minute, bytes per line, 4 KiB pages per 2 MiB, bytes per page
        8,  # bytes per memory transfer
        12,
        22,
        0x3FF,
        0xFFF,  # positions and masks of the cache fields in CPUID leaves 4 and 8000001D
    }
)
"""Numbers that an expression may use although its quote lacks them."""

WORDS = {"thousands": 1000.0, "twice": 2.0, "doubles": 2.0, "four": 4.0, "tens": 10.0}
LENGTH_MAX, POWER_MAX = 400, 64
RELATIVE_TOLERANCE = 1e-5
"""Sources give up to 12 digits; rows may round to six."""

_NUMBER = re.compile(r"0x[0-9A-Fa-f]+|\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+")
_REGISTER = re.compile(r"\b[0-9A-F]{8}\b")
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.RShift: operator.rshift,
    ast.LShift: operator.lshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.Pow: operator.pow,
}


def numbers_in(text: str) -> frozenset[float]:
    """Numbers that stand in `text`: decimal, with thousands commas, hexadecimal registers, and a few number words."""
    found = {
        float(int(token, 16)) if token.startswith("0x") else float(token.replace(",", ""))
        for token in _NUMBER.findall(text)
    }
    found |= {float(int(token, 16)) for token in _REGISTER.findall(text)}
    words = set(re.findall(r"[a-z]+", text.lower()))
    return frozenset(found | {value for word, value in WORDS.items() if word in words})


def same(left: float, right: float) -> bool:
    """Equal to the digits that a row keeps."""
    return math.isclose(left, right, rel_tol=RELATIVE_TOLERANCE)


def literals(expression: str) -> frozenset[float]:
    """Numbers that stand in `expression`."""
    return frozenset(float(node.value) for node in ast.walk(_parse(expression)) if isinstance(node, ast.Constant))


def evaluate(expression: str) -> float:
    """Value of `expression`. Raises BadInput where it is not plain arithmetic on numbers or has no finite value."""
    try:
        value = float(_value(_parse(expression).body, expression))
    except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"arithmetic {expression!r} has no value: {error}") from None
    if not math.isfinite(value):
        raise BadInput(f"arithmetic {expression!r} is not finite")
    return value


def _parse(expression: str) -> ast.Expression:
    if len(expression) > LENGTH_MAX:
        raise BadInput(f"arithmetic is longer than {LENGTH_MAX} characters")
    try:
        return ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise BadInput(f"arithmetic {expression!r} cannot be read") from None


def _value(node: ast.expr, expression: str) -> float | int:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, expression)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value(node.left, expression), _value(node.right, expression)
        if isinstance(node.op, ast.Pow | ast.LShift) and not 0 <= right <= POWER_MAX:
            raise BadInput(f"arithmetic {expression!r}: exponent or shift outside 0 to {POWER_MAX}")
        result = _OPERATORS[type(node.op)](left, right)
        if isinstance(result, int) and result.bit_length() > 1024:
            raise BadInput(f"arithmetic {expression!r} grows beyond any quantity")
        return result
    raise BadInput(f"arithmetic {expression!r}: only numbers and + - * / ** >> << & | may be used")
