"""A formula in the hands of a user is maths and numbers."""

import numpy
import pytest
import sympy

import costmodel as cm
from costmodel import api
from costmodel.formulas import compiled
from costmodel.formulas.catalog import FORMULAS


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
