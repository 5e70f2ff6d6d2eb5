"""The compiled forms are the symbolic ones: same values, same slopes, no sympy at run time."""

import subprocess
import sys

import numpy
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from costmodel import cache
from costmodel.formulas import compiled, generated, generated_slopes
from costmodel.formulas.catalog import FORMULAS, numpy_function
from costmodel.formulas.formula import symbol
from tests.formulas.domain import exact, inside
from tests.samples import examples, sampled

STEPPED = [name for name, formula in FORMULAS.items() if formula.expression.has(sympy.ceiling)]
"""Formulas with a ceiling: at its edge the last digit of a quotient, which numpy and sympy round alike or not, makes a
step.
"""
positive = st.floats(1e-3, 1e3)


def away_from_a_step(ceiling, arguments):
    """Whether what the ceiling rounds lies clear of every integer, so that no last digit of it tips the result."""
    rounded = float(ceiling.args[0].subs({symbol(name): value for name, value in arguments.items()}))
    return abs(rounded - round(rounded)) > 1e-9 * max(1.0, rounded)


@pytest.mark.parametrize("formula_id", sampled(FORMULAS, 3))
@settings(max_examples=examples(6), deadline=None)
@given(data=st.data())
def test_value_matches_the_expression(formula_id, data):
    formula = FORMULAS[formula_id]
    arguments = inside({name: data.draw(positive, label=name) for name in formula.symbols})
    assume(all(away_from_a_step(part, arguments) for part in formula.expression.atoms(sympy.ceiling)))
    expected = exact(formula_id, **arguments)
    assert float(compiled.value(formula_id, **arguments)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("lines", [0, 1, 2, 3, 1000, 2**40])
def test_at_the_edge_of_a_ceiling_whole_lines_stay_whole(lines):
    """Quotients that floating point holds exactly: both forms agree on the edge itself, and a byte beyond it."""
    for extra, expected in ((0, lines), (1, lines + 1)):
        arguments = {"range_bytes": 64.0 * lines + extra, "offset_bytes": 0.0, "line_bytes": 64.0}
        assert float(compiled.value("range_lines", **arguments)) == exact("range_lines", **arguments) == expected
    split = {"range_bytes": 64.0 * lines + 48, "offset_bytes": 16.0, "line_bytes": 64.0}
    assert float(compiled.value("range_lines", **split)) == exact("range_lines", **split) == lines + 1


@pytest.mark.parametrize("passes", [1, 2, 5, 64])
def test_at_the_edge_of_a_ceiling_whole_passes_stay_whole(passes):
    size = 256.0 * 2**20
    arguments = {
        "numa_scan_size_bytes": size,
        "numa_max_scan_window_bytes_per_s": 1e18,
        "task_scan_period_s": 1.0,
        "resident_bytes": passes * size,
    }
    assert float(compiled.value("numa_scan_period", **arguments)) == pytest.approx(1 / passes)
    beyond = {**arguments, "resident_bytes": passes * size + 4096}
    assert float(compiled.value("numa_scan_period", **beyond)) == pytest.approx(1 / (passes + 1))


def test_every_formula_with_a_ceiling_has_its_edge_tested():
    assert set(STEPPED) == {"range_lines", "numa_scan_period", "numa_flushes_per_pass"}


@pytest.mark.parametrize("name", [n for n in FORMULAS if n not in STEPPED])
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
        range_start_s=numpy.zeros((3, 1)),
        remote_factor=1,
        lines=numpy.arange(4),
        present_fraction=0,
        line_dirty_s=1,
        line_clean_s=1,
        line_absent_s=0,
        line_bytes=64,
        dirty_fraction=0,
        writeback_bytes_per_s=1,
    )
    assert result.shape == (3, 4)


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


def test_the_generated_modules_were_printed_from_the_sources_as_they_are():
    assert compiled.sources_hash() == generated.SOURCES == generated_slopes.SOURCES, "run `make formulas`"


@pytest.mark.nightly
def test_the_generated_modules_are_what_the_symbolic_formulas_give():
    assert compiled.GENERATED.read_text() == compiled.generated_source()
    assert compiled.SLOPES.read_text() == compiled.generated_slopes_source()


@pytest.mark.parametrize("formula_id", ["range_flush", "numa_rate"])
def test_a_formula_stands_in_the_generated_module_as_it_is_printed_now(formula_id):
    item = FORMULAS[formula_id]
    assert numpy_function(formula_id, item, item.expression) in compiled.GENERATED.read_text()
    name = next(iter(item.symbols))
    slope = numpy_function(f"{formula_id}__by__{name}", item, sympy.diff(item.expression, symbol(name)))
    assert slope in compiled.SLOPES.read_text()


def test_changed_sources_are_generated_anew(monkeypatch):
    """Whoever edits a formula gets the edited one, without a step in between."""
    monkeypatch.setattr(generated, "SOURCES", "0" * 16)
    monkeypatch.setattr(compiled, "generated_source", lambda: "def range_lines():\n    return 1.0\n")
    monkeypatch.setattr(generated_slopes, "SOURCES", "0" * 16)
    monkeypatch.setattr(compiled, "generated_slopes_source", lambda: "def range_lines__by__x():\n    return 2.0\n")
    monkeypatch.setattr(cache, "recall", lambda name, key, build: build())
    assert compiled._module.__wrapped__().range_lines() == 1.0
    assert compiled._slopes.__wrapped__().range_lines__by__x() == 2.0
