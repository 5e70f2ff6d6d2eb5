"""calibrate: what was fitted, how well it holds, and what a machine gets from it."""

import json
import math

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.errors import CostModelError
from costmodel.formulas.catalog import FORMULAS

MACHINE = "epyc-7763-2s"


def calibrate(*words):
    result = CliRunner().invoke(cli, ["calibrate", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def everything():
    return json.loads(calibrate("--json"))


def test_each_fit_names_its_formula_rows_and_held_out_error(everything):
    assert everything["fits"]
    for fit in everything["fits"]:
        assert fit["formula"] in FORMULAS
        assert len(set(fit["rows"])) == len(fit["rows"]) > 0
        assert 0 <= fit["rms_log_residual"] < 5
        assert fit["held_out"]
        assert all(value > 0 for name, value in fit["values"].items() if name.endswith("_s"))


def test_a_fit_that_is_not_determined_shows_no_error_bars(everything):
    for fit in everything["fits"]:
        assert 0 < fit["rank"] <= fit["parameters"]
        if fit["rank"] < fit["parameters"]:
            assert fit["error_bars_withheld"]
        if fit["error_bars_withheld"]:
            assert not fit["standard_errors_of_logs"]


def test_each_published_number_is_checked_once(everything):
    rows = everything["published"]
    assert len({(row["id"], row["quantity"]) for row in rows}) == len(rows) > 100
    assert {row["verdict"] for row in rows} == {"met", "missed", "cannot check"}


def test_a_number_that_was_fitted_does_not_count_as_a_check(everything):
    anchors = [row for row in everything["published"] if "anchor" in row["note"]]
    assert anchors and all(row["verdict"] == "cannot check" for row in anchors)


def test_a_number_that_cannot_be_checked_says_why(everything):
    assert all(row["note"] for row in everything["published"] if row["verdict"] == "cannot check")


def test_a_met_number_has_a_prediction(everything):
    for row in everything["published"]:
        if row["verdict"] != "cannot check":
            assert math.isfinite(row["low"]) and row["low"] <= row["high"]


def test_parameters_of_machines_are_intervals_with_a_rule(everything):
    assert len(everything["machines"]) > 5
    for machine in everything["machines"].values():
        assert machine["parameters"]
        for name, part in machine["parameters"].items():
            assert 0 <= part["low"] <= part["median"] <= part["high"] < math.inf, name
            assert part["median"] > 0 or "cannot tell" in part["rule"], name
            assert part["rule"]
        assert not set(machine["missing"]) & set(machine["parameters"])


def test_one_machine_gives_the_same_parameters_as_all(everything):
    found = json.loads(calibrate("--machine", MACHINE, "--json"))
    assert list(found["machines"]) == [MACHINE]
    assert found["machines"][MACHINE] == everything["machines"][MACHINE]


def test_the_text_of_a_machine_names_every_parameter_and_gap(everything):
    text = calibrate("--machine", MACHINE)
    entry = everything["machines"][MACHINE]
    assert all(name in text for name in (*entry["parameters"], *entry["missing"]))


@pytest.mark.parametrize(
    "words", [("--machine", "epyc"), ("--host", "nothing"), ("--host", "../..")], ids=lambda words: words[1]
)
def test_an_unknown_machine_or_host_is_refused(words):
    result = CliRunner().invoke(cli, ["calibrate", *words])
    assert isinstance(result.exception, CostModelError)
    assert repr(words[1]) in str(result.exception)
