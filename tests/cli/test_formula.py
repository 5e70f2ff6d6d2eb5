"""formula: each form of each formula can be used as it stands."""

import shutil
import subprocess

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.errors import CostModelError
from costmodel.formulas.catalog import FORMULAS

every = pytest.mark.parametrize("name", FORMULAS)


def formula(*words):
    result = CliRunner().invoke(cli, ["formula", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


@every
def test_the_python_text_defines_a_function_of_all_symbols(name):
    names: dict = {}
    exec(compile(formula(name, "--python"), name, "exec"), names)
    function = names[name]
    assert set(FORMULAS[name].symbols) == set(function.__code__.co_varnames[: function.__code__.co_argcount])


@every
def test_the_latex_text_is_balanced(name):
    text = formula(name, "--latex")
    assert text.strip()
    assert text.count("{") == text.count("}")
    assert text.count(r"\left") == text.count(r"\right")


@every
def test_the_three_forms_differ(name):
    assert len({formula(name, form) for form in ("--latex", "--python", "--c")} | {formula(name)}) == 4


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_c_texts_compile(tmp_path):
    path = tmp_path / "formulas.c"
    path.write_text("#include <math.h>\n" + "\n".join(formula(name, "--c") for name in FORMULAS))
    done = subprocess.run(["cc", "-std=c99", "-fsyntax-only", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@every
def test_the_plain_form_says_source_and_range(name):
    text = " ".join(formula(name).split())
    assert " ".join(FORMULAS[name].source.split()) in text
    assert " ".join(FORMULAS[name].validity.split()) in text
    assert all(symbol in text for symbol in FORMULAS[name].symbols)


@pytest.mark.parametrize("name", ["nothing", "", "<script>", "../domain_flush", "domain_flush\x1b[31m"])
def test_an_unknown_formula_is_refused_and_escaped(name):
    result = CliRunner().invoke(cli, ["formula", name])
    assert isinstance(result.exception, CostModelError)
    assert repr(name) in str(result.exception)
    assert result.stdout == ""
