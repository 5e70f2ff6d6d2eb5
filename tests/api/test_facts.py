"""The tables of what is known are the evidence, and those of the validation their rows."""

import numpy
import pytest
import sympy

import costmodel as cm
from costmodel import api
from costmodel.evidence.store import load
from costmodel.formulas import compiled
from costmodel.formulas.catalog import FORMULAS


def test_the_tables_are_the_evidence():
    evidence = load()
    assert set(cm.measurements().index) == set(evidence.measurements)
    assert not cm.measurements().query("term == 'whole_cache'").empty
    assert set(cm.machines().index) == set(evidence.machines)
    assert set(cm.workloads().index) == set(evidence.workloads)
    for table in (cm.triggers(), cm.strategies(), cm.guests()):
        assert table.index.is_unique and table.title.str.len().all()


def test_the_scoreboard_is_a_frame():
    board = cm.scoreboard("formulas")
    assert set(board.section) == {"formulas"} and {"what", "figure", "verdict", "source"} <= set(board.columns)


def test_simulations_are_a_frame_of_their_families():
    found = cm.simulations("numa")
    assert set(found.family) == {"numa"} and len(found)
    assert (found.ratio == found.formula / found.simulated).all()
    assert set(found.finding) <= {"agrees", "beyond a stated limit", "wrong"}


def test_a_formula_is_maths_and_numbers():
    f = cm.formulas.range_flush
    assert f.expr == FORMULAS["range_flush"].expression
    assert isinstance(f.expr.diff(f.lines), sympy.Expr) and f.expr.diff(f.lines) != 0
    assert f._repr_latex_().startswith("$") and "max" in f._repr_latex_()
    values = dict.fromkeys(f.symbols.index, 0.5) | {"lines": numpy.array([1.0, 2.0])}
    assert f(**values) == pytest.approx(compiled.value("range_flush", **values))
    assert set(f.symbols.columns) == {"letter", "unit", "meaning"}
    assert set(cm.formulas().index) == set(FORMULAS)


def test_a_subpackage_that_is_imported_later_does_not_hide_the_catalogue():
    import costmodel.formulas.compiled as module

    assert module is compiled
    assert cm.formulas is api.formulas
    assert cm.formulas.compiled is module
