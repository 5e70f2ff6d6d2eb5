"""Every formula is dimensionally sound, and its break-even does not depend on the unit of time."""

import math

import pint
import pytest
import sympy
from sympy.codegen.cfunctions import expm1

from costmodel.formulas.formula import symbol
from costmodel.formulas.registry import FORMULAS
from tests.formulas.domain import inside

UNITS = pint.UnitRegistry()
# Exponents and switches are numbers, so they get values that keep every branch active.
PURE = {"serial_exponent": 1, "both_siblings": 1, "two_sockets": 1, "queueing": 1}


def evaluate(expression, values):
    """Walk the sympy tree with pint quantities, so that every sum and maximum is checked for its dimension."""
    if expression.is_Symbol:
        return values[str(expression)]
    if expression.is_Number or expression in (sympy.E, sympy.pi):
        return float(expression) * UNITS.dimensionless
    parts = [evaluate(part, values) for part in expression.args]
    if expression.is_Add:
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total
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
    raise AssertionError(f"no rule for {type(expression)}")


def quantities(formula):
    numbers = inside({name: PURE.get(name, 1.25) for name in formula.symbols}) | {
        name: value for name, value in PURE.items() if name in formula.symbols
    }
    return {name: number * UNITS(formula.symbols[name].unit) for name, number in numbers.items()}


@pytest.mark.parametrize("name", FORMULAS)
def test_formula_has_the_unit_it_states(name):
    formula = FORMULAS[name]
    result = evaluate(formula.expression, quantities(formula))
    assert result.check(UNITS(formula.unit).dimensionality), f"{name} gives {result.units}"


TIMED = [n for n, f in FORMULAS.items() if any(q.unit == "second" for q in f.symbols.values())]


@pytest.mark.parametrize("name", TIMED)
def test_a_wrong_unit_is_caught(name):
    formula = FORMULAS[name]
    wrong = quantities(formula)
    victim = next(n for n, q in formula.symbols.items() if q.unit == "second")
    wrong[victim] = wrong[victim] * UNITS("meter")
    try:
        result = evaluate(formula.expression, wrong)
    except pint.DimensionalityError:
        return
    assert not result.check(UNITS(formula.unit).dimensionality)


def test_break_even_is_the_same_in_seconds_and_nanoseconds():
    formula = FORMULAS["break_even_range"]
    seconds = {"whole_cache_s": 3.4e-3, "range_start_s": 1e-7, "line_s": 7.3e-8, "line_bytes": 64}
    nanoseconds = {k: v * 1e9 if k.endswith("_s") else v for k, v in seconds.items()}
    values = [
        float(formula.expression.subs({symbol(name): value for name, value in case.items()}))
        for case in (seconds, nanoseconds)
    ]
    assert math.isclose(*values, rel_tol=1e-12)
