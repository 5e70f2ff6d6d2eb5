"""list: the ids that the other commands take."""

import json
import math
import shutil
import subprocess

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.cli.facts import KINDS
from costmodel.errors import CostModelError
from costmodel.evidence.store import load
from costmodel.formulas.catalog import FORMULAS
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS
from costmodel.kvm.kernels import KERNELS, resolve
from tests.samples import sampled

KNOWN = {
    "guests": lambda: GUESTS,
    "machines": lambda: load().machines,
    "workloads": lambda: load().workloads,
    "strategies": lambda: STRATEGIES,
    "triggers": lambda: TRIGGERS,
    "kernels": lambda: KERNELS,
    "formulas": lambda: FORMULAS,
}


def invoke(*words):
    return CliRunner().invoke(cli, ["list", *words])


def test_every_kind_is_known_here():
    assert set(KINDS) == set(KNOWN)


@pytest.mark.parametrize("kind", KNOWN)
def test_a_list_holds_every_id_once(kind):
    entries = json.loads(invoke(kind, "--json").stdout)
    assert [entry["id"] for entry in entries] == list(KNOWN[kind]())
    assert entries


@pytest.mark.parametrize("kind", sorted(set(KNOWN) - {"kernels"}))
def test_every_id_is_described(kind):
    for entry in json.loads(invoke(kind, "--json").stdout):
        assert entry["description"].strip() not in ("", entry["id"])


@pytest.mark.parametrize("kind", KNOWN)
def test_the_text_has_one_line_for_each_id(kind):
    lines = invoke(kind).stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(KNOWN[kind]())


def test_exactly_one_kernel_is_the_newest():
    marked = [entry["id"] for entry in json.loads(invoke("kernels", "--json").stdout) if entry["description"]]
    assert marked == [resolve("newest")]


def test_a_trigger_says_which_guests_have_it():
    found = {entry["id"]: entry["description"] for entry in json.loads(invoke("triggers", "--json").stdout)}
    assert "tdx" in found["hkid_free_vm_teardown"] and "sev" not in found["hkid_free_vm_teardown"]
    assert "sev-es" in found["vmsa_page_free"] and "plain" not in found["vmsa_page_free"]


@pytest.mark.parametrize("kind", ["nothing", "guest", ""])
def test_an_unknown_kind_is_refused(kind):
    result = invoke(kind)
    assert result.exit_code == 2 and result.stdout == ""


# formula: each form of each formula can be used as it stands.

every = pytest.mark.parametrize("name", sampled(FORMULAS, 4))


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
def test_the_forms_differ(name):
    forms = ("--latex", "--python", "--c", "--javascript")
    assert len({formula(name, form) for form in forms} | {formula(name)}) == 5


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


# formula and calibrate.


def output(*words):
    result = CliRunner().invoke(cli, list(words))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("name", sampled(FORMULAS, 4))
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


# calibrate: what was fitted, how well it holds, and what a machine gets from it.

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
