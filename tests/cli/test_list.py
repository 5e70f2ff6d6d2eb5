"""list: the ids that the other commands take."""

import json

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.cli.list_command import KINDS
from costmodel.evidence.store import load
from costmodel.formulas.catalog import FORMULAS
from costmodel.kvm.guests import GUESTS
from costmodel.kvm.kernels import KERNEL_RANGES, resolve
from costmodel.kvm.strategies import STRATEGIES
from costmodel.kvm.triggers import TRIGGERS

KNOWN = {
    "guests": lambda: GUESTS,
    "machines": lambda: load().machines,
    "workloads": lambda: load().workloads,
    "strategies": lambda: STRATEGIES,
    "triggers": lambda: TRIGGERS,
    "kernels": lambda: KERNEL_RANGES,
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
