"""The compiled forms are the symbolic ones: same values, same slopes, no sympy at run time."""

import subprocess
import sys

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.formulas import compiled
from costmodel.formulas.formula import symbol
from costmodel.formulas.registry import FORMULAS
from tests.formulas.domain import inside

positive = st.floats(1e-3, 1e3)


@pytest.mark.parametrize("formula_id", FORMULAS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_value_matches_the_expression(formula_id, data):
    formula = FORMULAS[formula_id]
    arguments = inside({name: data.draw(positive, label=name) for name in formula.symbols})
    expected = float(formula.expression.subs({symbol(name): value for name, value in arguments.items()}))
    assert float(compiled.value(formula_id, **arguments)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", [n for n, f in FORMULAS.items() if "ceiling" not in str(f.expression)])
def test_slope_matches_a_difference(name):
    formula = FORMULAS[name]
    base = {argument: 0.5 + 0.1 * i for i, argument in enumerate(formula.symbols)}
    step = 1e-6
    for argument in formula.symbols:
        up, down = (compiled.value(name, **{**base, argument: base[argument] + sign * step}) for sign in (1, -1))
        difference = (up - down) / (2 * step)
        assert float(compiled.slope(name, argument, **base)) == pytest.approx(float(difference), rel=1e-4, abs=1e-6)


def test_integers_do_not_overflow():
    pages = numpy.array([2**31 - 1], dtype=numpy.int32)
    assert compiled.value("page_chain", pages=pages, page_operation_s=4)[0] == 4 * (2.0**31 - 1)


def test_broadcasting_and_constant_results_have_the_full_shape():
    result = compiled.value(
        "range_flush",
        fence_s=numpy.zeros((3, 1)),
        lines=numpy.arange(4),
        present_fraction=0,
        line_present_s=1,
        line_absent_s=0,
        line_bytes=64,
        dirty_fraction=0,
        writeback_bytes_per_s=1,
    )
    assert result.shape == (3, 4)


def test_chunks_cover_the_array_once():
    n = 3 * compiled.CHUNK_POINTS + 5
    rate = numpy.linspace(1, 2, n)
    parts = list(compiled.chunks("gmem_release", n, pages=rate, rmpupdate_s=1.0, page_flush_s=1.0))
    assert [part.start for part, _ in parts] == [0, *(part.stop for part, _ in parts[:-1])]
    assert numpy.array_equal(numpy.concatenate([values for _, values in parts]), 2 * rate)


def test_a_wrong_argument_is_refused():
    with pytest.raises(TypeError):
        compiled.value("host_loss", rate_per_s=1.0)


def test_evaluation_does_not_import_sympy():
    code = (
        "import sys; from costmodel.formulas.compiled import value;"
        "value('page_chain', pages=1, page_operation_s=2); assert 'sympy' not in sys.modules"
    )
    compiled.value("page_chain", pages=1, page_operation_s=2)  # the cache is warm
    subprocess.run([sys.executable, "-c", code], check=True)
