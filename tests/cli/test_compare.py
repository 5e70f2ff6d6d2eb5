"""costmodel compare"""

import json

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.errors import CostModelError

CASE = ["--guest", "sev", "--machine", "epyc-7763-2s"]


def output(*words):
    result = CliRunner().invoke(cli, ["compare", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_two_kernels():
    text = output("--kernel", "6.6", "--kernel", "6.17", *CASE, "--cpus-that-ran", "8")
    assert "WBINVD_ALL" in text and "WBNOINVD_MASK" in text and "CHANGES IN THE KERNEL" in text
    assert "Again with:" in text and "--cpus-that-ran 8" in " ".join(text.split())


def test_two_strategies_as_json():
    words = ["--strategy", "WBNOINVD_MASK", "--strategy", "WBINVD_ALL", *CASE, "--kernel", "6.17", "--json"]
    found = json.loads(output(*words))
    assert found["kind"] == "strategies" and found["triggers"] and found["data_hash"] and found["code_hash"]
    assert {"base", "new", "ratio", "verdict", "refused"} <= set(found["total"])
    assert found["command"].startswith("costmodel compare --strategy WBNOINVD_MASK --strategy WBINVD_ALL")


def test_the_command_gives_the_same_comparison_again():
    first = output("--kernel", "6.6", "--kernel", "6.17", *CASE, "--vcpus", "4", "--resident-bytes", "1e9", "--json")
    again = json.loads(first)["command"].split()
    assert output(*again[2:], "--json") == first


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--kernel", "6.6"],
        ["--kernel", "6.6", "--kernel", "6.5"],
        ["--kernel", "6.6", "--kernel", "6.8", "--kernel", "6.17"],
        ["--strategy", "WBINVD_ALL"],
        ["--strategy", "WBINVD_ALL", "--strategy", "X"],
        ["--strategy", "WBINVD_ALL", "--strategy", "NO_FLUSH", "--kernel", "6.6", "--kernel", "6.17"],
        ["--kernel", "6.6", "--kernel", "x\ny"],
    ],
)
def test_what_is_no_pair_is_refused_in_one_line(words):
    result = CliRunner().invoke(cli, ["compare", *words, *CASE])
    assert isinstance(result.exception, CostModelError)
    assert "\n" not in str(result.exception)
