"""Every formula is dimensionally sound, and its break-even does not depend on the unit of time."""

import math

import pint
import pytest

from costmodel.formulas.catalog import FORMULAS
from costmodel.formulas.formula import symbol
from tests.certified.dimensions import UNITS, evaluate, quantities


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
