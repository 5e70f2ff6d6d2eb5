"""admissible, cell by cell and as a batch."""

import csv
import io
import json

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.cost.scenario import scenario
from costmodel.decision.choice import candidates
from costmodel.evidence.paths import data_dir
from costmodel.evidence.store import load
from costmodel.kvm.agreement import disagreements, facts
from costmodel.kvm.guests import GUESTS
from costmodel.kvm.triggers import triggers_of


def invoke(*words, text=None):
    return CliRunner().invoke(cli, ["admissible", *words], input=text)


def batch(text):
    return invoke("--batch", "-", text=text)


HEAD = "guest_type,trigger,strategy\n"


def test_the_batch_keeps_order_and_agrees_with_the_facts_but_for_the_documented_cells():
    rows = list(reversed(facts()))
    text = HEAD + "".join(f"{r['guest_type']},{r['trigger']},{r['strategy']}\n" for r in rows)
    result = batch(text)
    assert result.exit_code == 0
    found = list(csv.DictReader(io.StringIO(result.stdout)))
    assert list(found[0]) == ["guest_type", "trigger", "strategy", "admissible", "predicates", "reason"]
    assert len(found) == len(rows)
    differing = []
    for row, verdict in zip(rows, found, strict=True):
        cell = tuple(verdict[name] for name in ("guest_type", "trigger", "strategy"))
        assert cell == (row["guest_type"], row["trigger"], row["strategy"])
        assert verdict["reason"] and verdict["predicates"]
        if verdict["admissible"] != row["admissible"]:
            differing.append(cell)
    assert sorted(differing) == sorted((d.guest, d.trigger, d.strategy) for d in disagreements())


def test_a_file_with_other_columns_is_read(tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text("n,strategy,trigger,guest_type\n1,WBINVD_ALL,unreg_region,sev\n")
    result = invoke("--batch", str(path))
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].startswith("sev,unreg_region,WBINVD_ALL,yes,")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "row 1"),
        ("guest,trigger,strategy\n", "row 1"),
        (HEAD + "sev,unreg_region,WBINVD_ALL\nsevv,unreg_region,WBINVD_ALL\n", "row 3"),
        (HEAD + "sev,<script>alert(1)</script>,WBINVD_ALL\n", "row 2"),
        (HEAD + "sev,=cmd|' /C calc'!A0,WBINVD_ALL\n", "row 2"),
        (HEAD + "sev,unreg_region\n", "row 2"),
        (HEAD + f"sev,unreg_region,{'x' * 100_000}\n", "row 2"),
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
    path.write_bytes(HEAD.encode() + b"sev,\xff\xfe,WBINVD_ALL\n")
    result = invoke("--batch", str(path))
    assert result.stdout == ""
    assert "UTF-8" in str(result.exception)


def test_an_assumption_decides_an_open_cell():
    cell = ["--guest", "sev", "--trigger", "autonuma_prot_none_scan", "--strategy", "CLFLUSHOPT_DM_PINNED", "--json"]
    machine = ["--machine", "epyc-7763-2s", "--vmm", "other"]
    before = json.loads(invoke(*cell, *machine).stdout)[0]
    assert before["state"] == "undecided"
    told = [word for name in before["unknown"] for word in ("--assume", f"{name}=true")]
    assert json.loads(invoke(*cell, *machine, *told).stdout)[0]["state"] == "admissible"
    denied = [word for name in before["unknown"] for word in ("--assume", f"{name}=false")]
    assert json.loads(invoke(*cell, *machine, *denied).stdout)[0]["state"] == "inadmissible"


HOSTS = {"tdx": "xeon-8570-2s"}
SETUPS = {
    (): {},
    ("--vmm", "other"): {"vmm": "other"},
    ("--not-pinned",): {"pinned": False},
    ("--pinned",): {"pinned": True},
    ("--vmm", "cloud-hypervisor", "--mempolicy", "bind"): {"vmm": "cloud-hypervisor", "mempolicy": "bind"},
}
DMA = {("--noncoherent-dma",): {"noncoherent_dma": True}}


@pytest.mark.parametrize("kernel", ["6.6", "6.12.61", "6.17", "newest"])
@pytest.mark.parametrize("guest", GUESTS)
def test_the_verdicts_are_those_of_recommend_for_every_trigger_strategy_and_setup(guest, kernel):
    host = HOSTS.get(guest, "epyc-7763-2s")
    for setup, numbers in (SETUPS | ({} if GUESTS[guest].has("encrypted") else DMA)).items():
        case = scenario(load(), guest, host, "autonuma-default", kernel, **numbers)
        for trigger in triggers_of(guest):
            asked = ["--guest", guest, "--trigger", trigger.id, "--machine", host, "--kernel", kernel, *setup, "--json"]
            shown = {row["strategy"]: row["state"] for row in json.loads(invoke(*asked).stdout)}
            assert shown == {c.strategy: c.verdict.state for c in candidates(case, trigger.id)}, (trigger.id, setup)


def test_pinning_by_qemu_decides_what_is_open_under_an_unknown_vmm():
    cell = ["--guest", "sev", "--trigger", "autonuma_prot_none_scan", "--strategy", "CLFLUSHOPT_DM_PINNED", "--json"]
    states = [
        json.loads(invoke(*cell, "--machine", "epyc-7763-2s", *setup).stdout)[0]["state"]
        for setup in ([], ["--vmm", "other"], ["--not-pinned"])
    ]
    assert states == ["admissible", "undecided", "inadmissible"]


@pytest.mark.parametrize("words", [["--batch", "-"], ["--agreement"]])
def test_labels_take_no_setup(words):
    result = invoke(*words, "--not-pinned", text=HEAD)
    assert result.exit_code != 0 and result.stdout == ""


@pytest.mark.parametrize("assumption", ["moon=true", "has_wbnoinvd", "has_wbnoinvd=perhaps"])
def test_a_bad_assumption_is_refused(assumption):
    result = invoke("--guest", "sev", "--trigger", "unreg_region", "--assume", assumption)
    assert result.exit_code != 0 and result.stdout == ""


def test_every_strategy_has_a_reason_and_a_source():
    text = invoke("--guest", "sev-snp-gmem", "--trigger", "gmem_punch_hole").stdout
    assert "CLFLUSHOPT_DM_GMEM" in text and "[" in text


def test_the_agreement_is_printed_with_its_split():
    found = json.loads(invoke("--agreement", "--json").stdout)
    assert set(found["scores"]) == {
        f"{side}, {kind}" for side in ("training", "held out") for kind in ("by definition", "read in sources")
    }
    assert sum(score["cells"] for score in found["scores"].values()) == len(facts())
    assert (data_dir() / "kvm" / "admissibility.csv").is_file()
