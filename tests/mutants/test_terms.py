"""The changes of terms: which are made, that a wrong one is noticed and the formula itself is not."""

import subprocess
import sys

import pytest
import sympy

from costmodel.formulas.catalog import FORMULAS
from costmodel.formulas.formula import Formula, Quantity, symbol
from tests.mutants.terms import JUDGES, ROOT, SAME_FORM, equivalents, mutants_of

TRY = """
from costmodel.formulas import catalog, compiled
from tests.mutants.terms import Judge, TermMutant, mutants_of

own = catalog.FORMULAS["refill_floor"]
asked = {"evicted_bytes": 600, "reused_fraction": 0.5, "read_bytes_per_s": 100}
judge = Judge([])
judge._passes = lambda item: float(compiled.value("refill_floor", **asked)) == 3
assert judge._passes(None)  # and the forms are compiled, once for all children
same = TermMutant("refill_floor", "same", own.expression)
print(judge._killed(same, [None]), {judge._killed(m, [None]) for m in mutants_of(own)}, judge._passes(None))
judge._passes = lambda item: float(compiled.slope("refill_floor", "reused_fraction", **asked)) == 6
twice = TermMutant("refill_floor", "x2", 2 * own.expression)
print(judge._killed(same, [None]), judge._killed(twice, [None]), judge._passes(None))
try:
    judge._killed(TermMutant("refill_floor", "no number", None), [None])
except Exception as error:
    print(error)
"""


def made(expression):
    names = {str(s): Quantity("dimensionless", "") for s in expression.free_symbols}
    found = mutants_of(Formula("made", "", expression, "dimensionless", names, "", ""))
    assert len({mutant.expression for mutant in found}) == len(found)
    return {mutant.expression for mutant in found}


def test_terms_factors_and_exponents_are_changed_at_every_depth():
    a, b, c = symbol("a"), symbol("b"), symbol("c")
    found = made(a + b * c**2)
    assert found >= {a, b * c**2, -a + b * c**2, 2 * a + b * c**2, a - b * c**2, a + 2 * b * c**2}
    assert found >= {a + b**2 * c**2, a + b * c**4, a + b / c**2, a**2 + b * c**2}
    assert found == made(a + b * c**2)
    inside = made(a * sympy.Max(b, c + 1))
    assert inside >= {a * b, a * (c + 1), 2 * a * sympy.Max(b, c + 1), a * sympy.Max(b, c), a * sympy.Max(b, 2 * c + 1)}
    assert sympy.exp(-2 * a) in made(sympy.exp(-a)) and sympy.exp(a) in made(sympy.exp(-a))


def test_a_bound_that_only_keeps_a_quotient_defined_is_no_term():
    a, b = symbol("a"), symbol("b")
    assert a / b in made(a / sympy.Max(b, sympy.Float(1e-2)))
    assert a / b not in made(a / sympy.Max(b, sympy.Float(1e-6)))


def test_a_switch_is_not_squared():
    a, switch = symbol("a"), symbol("under_lock")
    found = made(a * switch)
    assert a**2 * switch in found and a * switch**2 not in found and 2 * a * switch in found


def test_formulas_have_changes_and_none_is_the_formula_itself():
    for name in ("range_flush", "domain_flush", "stolen_whole_cache", "dirty_at_flush", "gmem_release"):
        item = FORMULAS[name]
        found = mutants_of(item)
        assert found and item.expression not in {mutant.expression for mutant in found}


def test_judges_are_there_each_once_and_so_are_those_that_are_none():
    assert len(set(JUDGES)) == len(JUDGES) and all((ROOT / judge).exists() for judge in JUDGES)
    assert all((ROOT / "tests/formulas" / name).is_file() for name in SAME_FORM)


@pytest.mark.nightly
def test_a_wrong_term_is_noticed_and_the_formula_itself_is_not():
    """The last word: what a child process was given does not stay."""
    done = subprocess.run([sys.executable, "-c", TRY], capture_output=True, text=True, cwd=ROOT, check=True)
    of_values, of_slopes, not_put, _ = done.stdout.split("\n")
    assert of_values == "False {True} True"
    assert of_slopes == "False True True"
    assert not_put == "refill_floor: no number cannot be put in place of the formula"


@pytest.mark.nightly
def test_listed_equivalents_are_changes_that_are_made():
    listed = equivalents()
    for name in {name for name, _ in listed}:
        expressions = {str(mutant.expression) for mutant in mutants_of(FORMULAS[name])}
        assert {expression for formula, expression in listed if formula == name} <= expressions, name
