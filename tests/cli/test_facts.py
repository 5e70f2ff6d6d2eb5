"""list: the ids that the other commands take."""

import csv
import io
import json
import math
import shutil
import subprocess

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.cli.facts import KINDS
from costmodel.cost.scenario import scenario
from costmodel.decision.choice import candidates
from costmodel.errors import CostModelError
from costmodel.evidence.paths import data_dir
from costmodel.evidence.store import load
from costmodel.formulas.catalog import FORMULAS
from costmodel.kvm.admissibility import disagreements, facts
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS, triggers_of
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


# admissible, cell by cell and as a batch.


def judged(*words, text=None):
    return CliRunner().invoke(cli, ["admissible", *words], input=text)


def batch(text):
    return judged("--batch", "-", text=text)


CELLS_HEAD = "guest_type,trigger,strategy\n"


def test_the_batch_keeps_order_and_agrees_with_the_facts_but_for_the_documented_cells():
    rows = list(reversed(facts()))
    text = CELLS_HEAD + "".join(",".join(row.cell) + "\n" for row in rows)
    result = batch(text)
    assert result.exit_code == 0
    found = list(csv.DictReader(io.StringIO(result.stdout)))
    assert list(found[0]) == ["guest_type", "trigger", "strategy", "admissible", "predicates", "reason"]
    assert len(found) == len(rows)
    differing = []
    for row, verdict in zip(rows, found, strict=True):
        cell = tuple(verdict[name] for name in ("guest_type", "trigger", "strategy"))
        assert cell == row.cell
        assert verdict["reason"] and verdict["predicates"]
        if verdict["admissible"] != row.admissible:
            differing.append(cell)
    assert sorted(differing) == sorted((d.guest, d.trigger, d.strategy) for d in disagreements())


def test_a_file_with_other_columns_is_read(tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text("n,strategy,trigger,guest_type\n1,WBINVD_ALL,unreg_region,sev\n")
    result = judged("--batch", str(path))
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].startswith("sev,unreg_region,WBINVD_ALL,yes,")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "row 1"),
        ("guest,trigger,strategy\n", "row 1"),
        (CELLS_HEAD + "sev,unreg_region,WBINVD_ALL\nsevv,unreg_region,WBINVD_ALL\n", "row 3"),
        (CELLS_HEAD + "sev,<script>alert(1)</script>,WBINVD_ALL\n", "row 2"),
        (CELLS_HEAD + "sev,=cmd|' /C calc'!A0,WBINVD_ALL\n", "row 2"),
        (CELLS_HEAD + "sev,unreg_region\n", "row 2"),
        (CELLS_HEAD + f"sev,unreg_region,{'x' * 100_000}\n", "row 2"),
    ],
)
def test_a_bad_file_is_refused_whole_with_its_place(text, place):
    result = batch(text)
    assert result.exit_code != 0
    assert result.stdout == ""
    assert place in str(result.exception)
    assert len(str(result.exception)) < 1000


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "cells.csv"
    path.write_bytes(CELLS_HEAD.encode() + b"sev,\xff\xfe,WBINVD_ALL\n")
    result = judged("--batch", str(path))
    assert result.stdout == ""
    assert "UTF-8" in str(result.exception)


def test_an_assumption_decides_an_open_cell():
    cell = ["--guest", "sev", "--trigger", "autonuma_prot_none_scan", "--strategy", "CLFLUSHOPT_DM_PINNED", "--json"]
    machine = ["--machine", "epyc-7763-2s", "--vmm", "other"]
    before = json.loads(judged(*cell, *machine).stdout)[0]
    assert before["state"] == "undecided"
    told = [word for name in before["unknown"] for word in ("--assume", f"{name}=true")]
    assert json.loads(judged(*cell, *machine, *told).stdout)[0]["state"] == "admissible"
    denied = [word for name in before["unknown"] for word in ("--assume", f"{name}=false")]
    assert json.loads(judged(*cell, *machine, *denied).stdout)[0]["state"] == "inadmissible"


HOSTS = {"tdx": "xeon-8570-2s"}
SETUPS = {
    (): {},
    ("--vmm", "other"): {"vmm": "other"},
    ("--not-pinned",): {"pinned": False},
    ("--pinned",): {"pinned": True},
    ("--vmm", "cloud-hypervisor", "--mempolicy", "bind"): {"vmm": "cloud-hypervisor", "mempolicy": "bind"},
}
DMA = {("--noncoherent-dma",): {"noncoherent_dma": True}}


@pytest.mark.parametrize("kernel", sampled(["newest", "6.6", "6.12.61", "6.17"], 4))
@pytest.mark.parametrize("guest", GUESTS)
def test_the_verdicts_are_those_of_recommend_for_every_trigger_strategy_and_setup(guest, kernel):
    host = HOSTS.get(guest, "epyc-7763-2s")
    for setup, numbers in (SETUPS | ({} if GUESTS[guest].has("encrypted") else DMA)).items():
        case = scenario(load(), guest, host, "autonuma-default", kernel, **numbers)
        for trigger in triggers_of(guest):
            asked = ["--guest", guest, "--trigger", trigger.id, "--machine", host, "--kernel", kernel, *setup, "--json"]
            shown = {row["strategy"]: row["state"] for row in json.loads(judged(*asked).stdout)}
            assert shown == {c.strategy: c.verdict.state for c in candidates(case, trigger.id)}, (trigger.id, setup)


def test_pinning_by_qemu_decides_what_is_open_under_an_unknown_vmm():
    cell = ["--guest", "sev", "--trigger", "autonuma_prot_none_scan", "--strategy", "CLFLUSHOPT_DM_PINNED", "--json"]
    states = [
        json.loads(judged(*cell, "--machine", "epyc-7763-2s", *setup).stdout)[0]["state"]
        for setup in ([], ["--vmm", "other"], ["--not-pinned"])
    ]
    assert states == ["admissible", "undecided", "inadmissible"]


@pytest.mark.parametrize("words", [["--batch", "-"], ["--agreement"]])
def test_labels_take_no_setup(words):
    result = judged(*words, "--not-pinned", text=CELLS_HEAD)
    assert result.exit_code != 0 and result.stdout == ""


@pytest.mark.parametrize("assumption", ["moon=true", "has_wbnoinvd", "has_wbnoinvd=perhaps"])
def test_a_bad_assumption_is_refused(assumption):
    result = judged("--guest", "sev", "--trigger", "unreg_region", "--assume", assumption)
    assert result.exit_code != 0 and result.stdout == ""


def test_every_strategy_has_a_reason_and_a_source():
    text = judged("--guest", "sev-snp-gmem", "--trigger", "gmem_punch_hole").stdout
    assert "CLFLUSHOPT_DM_GMEM" in text and "[" in text


def test_the_agreement_is_printed_with_its_split():
    found = json.loads(judged("--agreement", "--json").stdout)
    assert set(found["scores"]) == {
        f"{side}, {kind}" for side in ("training", "held out") for kind in ("by definition", "read in sources")
    }
    assert sum(score["cells"] for score in found["scores"].values()) == len(facts())
    assert (data_dir() / "kvm" / "admissibility.csv").is_file()
