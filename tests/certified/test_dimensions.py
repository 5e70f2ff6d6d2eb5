"""Units of every formula; and what a wrong one looks like."""

from dataclasses import replace

import pytest
import sympy

from costmodel.evidence.store import load
from costmodel.formulas.catalog import FORMULAS
from costmodel.formulas.formula import Formula, Quantity, symbol
from costmodel.validation.scoreboard import committed
from tests.certified import dimensions
from tests.certified.dimensions import UNITS, evaluate, quantities, sound

t, b, k = symbol("time_s"), symbol("size_bytes"), symbol("count")
SYMBOLS = {
    "time_s": Quantity("second", "a time"),
    "size_bytes": Quantity("byte", "a size"),
    "count": Quantity("dimensionless", "a count"),
}


def made(expression, unit):
    used = {str(s): SYMBOLS[str(s)] for s in expression.free_symbols}
    return Formula(id="made", title="", expression=expression, unit=unit, symbols=used, source="", validity="")


@pytest.mark.parametrize("name", FORMULAS)
def test_every_formula_has_the_unit_that_it_states(name):
    assert sound(FORMULAS[name])


@pytest.mark.parametrize("name", FORMULAS)
def test_no_formula_has_another_unit(name):
    assert not sound(replace(FORMULAS[name], unit=f"({FORMULAS[name].unit}) * second"))


@pytest.mark.parametrize(("name", "term"), [(n, s) for n, f in FORMULAS.items() for s in f.symbols])
def test_no_symbol_could_have_another_unit(name, term):
    formula = FORMULAS[name]
    other = formula.symbols[term]._replace(unit=f"({formula.symbols[term].unit}) * kelvin")
    assert not sound(replace(formula, symbols={**formula.symbols, term: other}))


@pytest.mark.parametrize(
    ("expression", "unit"),
    [
        (t + b, "second"),
        (t + k, "second"),
        (sympy.Max(t, b), "second"),
        (sympy.Min(1, t), "second"),
        (sympy.exp(t), "dimensionless"),
        (sympy.log(b), "dimensionless"),
        (k**t, "dimensionless"),
        (sympy.ceiling(b), "dimensionless"),
        (t * k, "byte"),
        (b + k, "byte"),
        (b * k, "dimensionless"),
        (b / t, "second"),
    ],
    ids=str,
)
def test_unlike_things_are_found(expression, unit):
    assert not sound(made(expression, unit))


@pytest.mark.parametrize(
    ("expression", "unit"),
    [
        (t * k, "second"),
        (b / t, "byte / second"),
        (sympy.Max(0, t), "second"),
        (sympy.exp(-k), "dimensionless"),
        (t**2 / t, "millisecond"),
        (t * k**k, "second"),
    ],
    ids=str,
)
def test_like_things_are_sound(expression, unit):
    assert sound(made(expression, unit))


def test_the_value_is_that_of_the_expression():
    expression = 2 * t * k + sympy.Max(0, t)
    values = {"time_s": 3 * UNITS.second, "count": 4 * UNITS.dimensionless}
    assert evaluate(expression, values) == 27 * UNITS.second


def test_a_function_without_a_rule_is_named():
    with pytest.raises(TypeError, match="no rule for"):
        evaluate(sympy.gamma(k), quantities(made(k, "dimensionless")))


def test_the_row_counts_all_formulas():
    (row,) = dimensions.rows()
    assert (row.verdict, row.value, row.note) == ("pass", len(FORMULAS), "")


def test_the_scoreboard_shows_the_row_of_today():
    assert committed(load(), "formulas") == dimensions.rows()


def test_the_row_fails_and_names_the_formula(monkeypatch):
    monkeypatch.setitem(dimensions.FORMULAS, "made", made(t + b, "second"))
    (row,) = dimensions.rows()
    assert (row.verdict, row.note) == ("fail", "made")
