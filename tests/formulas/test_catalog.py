"""Text, LaTeX, MathML, Python and C of a formula say the same thing."""

import html
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from click.testing import CliRunner

from costmodel.cli.facts import formula_command
from costmodel.errors import BadInput, UnknownName
from costmodel.formulas import catalog
from costmodel.formulas.catalog import FORMULAS, formula
from costmodel.formulas.compiled import value
from costmodel.formulas.formula import NOTATION


@pytest.mark.parametrize("name", FORMULAS)
def test_python_form_runs_and_agrees(name):
    import numpy

    space = {"numpy": numpy}
    exec(catalog.python(name), space)
    arguments = {symbol: 0.5 + 0.1 * i for i, symbol in enumerate(FORMULAS[name].symbols)}
    assert float(space[name](**arguments)) == pytest.approx(float(value(name, **arguments)))


def test_c_form_compiles_and_agrees(tmp_path):
    names = list(FORMULAS)
    main = ["#include <math.h>", "#include <stdio.h>", *(catalog.c(name) for name in names), "int main(void) {"]
    expected = []
    for name in names:
        numbers = [0.5 + 0.1 * i for i in range(len(FORMULAS[name].symbols))]
        main.append(f'printf("%.17g\\n", {name}({", ".join(map(str, numbers))}));')
        expected.append(float(value(name, **dict(zip(FORMULAS[name].symbols, numbers, strict=True)))))
    main.append("return 0; }")
    source, binary = tmp_path / "formulas.c", tmp_path / "formulas"
    source.write_text("\n".join(main))
    try:
        subprocess.run(["cc", "-std=c99", "-o", str(binary), str(source), "-lm"], check=True)
    except FileNotFoundError:
        pytest.skip("no C compiler on this machine")
    printed = subprocess.run([str(binary)], check=True, capture_output=True, text=True).stdout.split()
    assert [float(x) for x in printed] == pytest.approx(expected)


@pytest.mark.parametrize("name", FORMULAS)
def test_mathml_is_well_formed(name):
    assert ElementTree.fromstring(html.unescape(catalog.mathml(name))).tag.endswith("math")


@pytest.mark.parametrize("name", FORMULAS)
def test_text_is_ascii_and_latex_is_not_empty(name):
    assert catalog.text(name).isascii()
    assert catalog.latex(name).strip()


@pytest.mark.parametrize("name", FORMULAS)
def test_notation_is_unambiguous_within_a_formula(name):
    short = [NOTATION[symbol] for symbol in FORMULAS[name].symbols]
    assert len(set(short)) == len(short)


def test_notation_has_no_symbol_without_a_formula():
    used = {symbol for item in FORMULAS.values() for symbol in item.symbols}
    assert set(NOTATION) == used


def test_a_symbol_without_a_letter_is_refused_with_the_line_to_add(monkeypatch):
    """Who adds a formula and forgets its letters is told so, by every form that shows them."""
    monkeypatch.delitem(NOTATION, "line_bytes")
    for form in (catalog.text, catalog.latex, catalog.mathml):
        with pytest.raises(BadInput, match=r"formula\.py, row line_bytes, field NOTATION: .*add a line"):
            form("range_lines")
    shown = CliRunner().invoke(formula_command, ["range_lines"])
    assert isinstance(shown.exception, BadInput)
    monkeypatch.undo()
    assert CliRunner().invoke(formula_command, ["range_lines"]).exit_code == 0


def test_unknown_formula_suggests_a_near_one():
    with pytest.raises(UnknownName, match="did you mean 'range_flush'"):
        formula("rangeflush")


@pytest.mark.nightly
def test_every_formula_is_written_alike_whatever_the_seed_of_hashes():
    """An order of terms that follows the hashes of symbols differs between two builds of the same page."""
    told = "from costmodel.formulas import catalog; print([catalog.mathml(name) for name in catalog.FORMULAS])"
    printed = {
        subprocess.run(
            [sys.executable, "-c", told], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "3")
    }
    assert len(printed) == 1
