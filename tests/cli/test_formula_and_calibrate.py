"""formula and calibrate."""

import json

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.formulas.catalog import FORMULAS


def output(*words):
    result = CliRunner().invoke(cli, list(words))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("name", FORMULAS)
def test_every_formula_has_all_its_forms(name):
    python = output("formula", name, "--python")
    compile(python, name, "exec")
    assert output("formula", name, "--latex").strip()
    assert "double" in output("formula", name, "--c")
    plain = output("formula", name)
    for symbol in FORMULAS[name].symbols:
        assert symbol in plain


def test_the_python_form_computes_what_the_model_does():
    from costmodel.formulas.compiled import value

    arguments = {"whole_cache_s": 1e-3, "range_start_s": 1e-6, "line_s": 1e-8, "line_bytes": 64}
    names: dict = {}
    exec(output("formula", "break_even_range", "--python"), names)
    function = next(v for k, v in names.items() if callable(v) and k == "break_even_range")
    assert function(**arguments) == pytest.approx(float(value("break_even_range", **arguments)))


def test_calibrate_tells_residuals_and_held_out_errors():
    found = json.loads(output("calibrate", "--json"))
    for entry in found["fits"]:
        assert entry["held_out"] and entry["rms_log_residual"] >= 0
        assert entry["standard_errors_of_logs"] or entry["error_bars_withheld"]
    verdicts = [row["verdict"] for row in found["published"]]
    assert verdicts.count("met") > verdicts.count("missed")
    assert "cannot check" in verdicts


def test_calibrate_prints_the_counts():
    text = output("calibrate")
    assert "missed" in text and "cannot check" in text


def test_a_machine_shows_priors_as_such():
    text = output("calibrate", "--machine", "epyc-9654-2s")
    assert "EXTRAPOLATED" in text and "line_valid_s" in text
