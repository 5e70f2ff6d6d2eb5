"""costmodel block"""

import json
import shlex

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.errors import CostModelError


def output(*words):
    result = CliRunner().invoke(cli, ["block", *words])
    assert result.exit_code == 0, result.output
    return result.output


CASE = ["--guest", "sev", "--machine", "epyc-7763-2s"]


@pytest.mark.parametrize("workload", ["autonuma-default", "ksm-default", "compaction-thp", "teardown", "idle"])
def test_it_fits_a_commit_message(workload):
    text = output(*CASE, "--workload", workload)
    assert text.isascii() and max(map(len, text.splitlines())) <= 75
    assert " MODEL" in text and "Not covered:" in text


def test_the_printed_command_gives_the_same_block():
    text = output(*CASE, "--strategy", "CLFLUSHOPT_UVA", "--vcpus", "4")
    words = shlex.split(text.split("Again with:\n")[1].rsplit("(costmodel", 1)[0].replace("\\\n", " "))
    assert words[:2] == ["costmodel", "block"] and output(*words[2:]) == text


def test_an_assumed_range_is_called_so():
    note = "4.00 KiB per event (range not published: one 4 KiB page assumed)"
    assert note in " ".join(output(*CASE, "--trigger", "memslot_delete_or_move").split())
    found = json.loads(output(*CASE, "--trigger", "memslot_delete_or_move", "--json"))
    assert found["range_bytes"] == [4096] and found["range_note"]
    assert not json.loads(output(*CASE, "--json"))["range_note"]


def test_an_intra_host_migration_is_about_the_whole_guest():
    text = " ".join(output(*CASE, "--trigger", "intra_host_migration_move_ctx").split())
    assert "14.9 GiB, 14.9 GiB per event." in text


def test_json():
    found = json.loads(output(*CASE, "--measured", "epyc-genoa-4cpu-vm", "--json"))
    assert found["rows"] and found["measured"][0]["values"] and found["upstream"][0]["commit"]
    assert found["data_hash"] and found["asked_hash"] and found["command"].startswith("costmodel block")


@pytest.mark.parametrize(
    "words",
    [
        [*CASE, "--trigger", "x"],
        [*CASE, "--kernel", "1.0"],
        ["--guest", "tdx", "--machine", "epyc-7763-2s"],
        [*CASE, "--measured", "../x"],
    ],
)
def test_errors_are_one_line(words):
    result = CliRunner().invoke(cli, ["block", *words])
    assert isinstance(result.exception, CostModelError) and "\n" not in str(result.exception)


def test_a_row_for_comparison_says_that_it_needs_a_patch():
    text = " ".join(output(*CASE, "--strategy", "CLFLUSHOPT_UVA").split())
    assert "needs a kernel patch" in text
    assert text.count("needs a kernel patch") == 1
