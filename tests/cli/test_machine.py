"""`costmodel machine`, and every command that takes a machine."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from tests.evidence.test_machine_input import HOSTS, lscpu


@pytest.fixture
def host(tmp_path):
    path = tmp_path / "lscpu.txt"
    path.write_text(lscpu(*HOSTS["EPYC 8434P"][0]))
    return str(path)


def run(*words, **more):
    result = CliRunner().invoke(cli, words, **more)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_show_says_what_was_taken_from_elsewhere(host):
    text = run("machine", "show", host)
    assert "8 cache domains of 12 CPUs with 16 MiB" in text
    assert "EXTRAPOLATED" in text and "described by lscpu (lscpu.txt)" in text
    assert json.loads(run("machine", "show", host, "--json"))["microarchitecture"] == "zen4"


def test_standard_input_is_a_machine_too(host):
    assert "EPYC 8434P" in run("machine", "show", "-", input=Path(host).read_text())


def test_list_names_every_dump():
    names = json.loads(run("machine", "list", "--json"))
    assert "epyc-7763-2s" in names and "9754" in names


def test_a_recommendation_is_given_for_a_described_host_and_asks_again_by_its_file(host):
    text = run("recommend", "--guest", "sev", "--machine", host, "--kernel", "6.6")
    assert "AMD EPYC 8434P" in text
    assert "--machine lscpu.txt" in " ".join(text.split())
    assert host not in text, "no path of a machine in an answer"


@pytest.mark.parametrize(
    "words",
    [
        ("cost", "--guest", "sev", "--trigger", "munmap_or_discard"),
        ("admissible", "--guest", "sev", "--trigger", "munmap_or_discard"),
        ("calibrate",),
        ("breakeven", "--between", "WBINVD_ALL", "CLFLUSHOPT_DM_GMEM", "--over", "range_bytes"),
    ],
)
def test_every_command_takes_a_described_host(words, host):
    assert run(*words, "--machine", host)


def test_an_unknown_name_says_how_to_describe_the_host():
    result = CliRunner().invoke(cli, ["machine", "show", "EPYC 9R99"])
    assert result.exit_code and "lscpu" in str(result.exception)
