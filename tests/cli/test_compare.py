"""costmodel compare"""

import json

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.errors import CostModelError
from costmodel.evidence.paths import data_dir

CASE = ["--guest", "sev", "--machine", "epyc-7763-2s"]


def output(*words):
    result = CliRunner().invoke(cli, ["compare", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_two_kernels():
    text = output("--kernel", "6.6", "--kernel", "6.17", *CASE, "--cpus-that-ran", "8")
    assert "WBINVD_ALL" in text and "WBNOINVD_MASK" in text and "CHANGES IN THE KERNEL" in text
    assert "Again with:" in text and "--cpus-that-ran 8" in " ".join(text.replace("\\\n", " ").split())


def test_two_strategies_as_json():
    words = ["--strategy", "WBNOINVD_MASK", "--strategy", "WBINVD_ALL", *CASE, "--kernel", "6.17", "--json"]
    found = json.loads(output(*words))
    assert found["kind"] == "strategies" and found["triggers"] and found["data_hash"] and found["asked_hash"]
    assert {"base", "new", "ratio", "verdict", "refused"} <= set(found["total"])
    assert found["command"].startswith("costmodel compare --strategy WBNOINVD_MASK --strategy WBINVD_ALL")


def test_an_assumed_range_is_called_so():
    """munmap, mprotect and the deletion of a memslot have no published length; KSM takes a page."""
    words = ["--strategy", "WBNOINVD_MASK", "--strategy", "CLFLUSHOPT_UVA", *CASE]
    note = "range not published: one 4 KiB page assumed"
    triggers = {one["trigger"]: one["range_note"] for one in json.loads(output(*words, "--json"))["triggers"]}
    assumed = {"munmap_or_discard", "mprotect_or_uffd_wp", "memslot_delete_or_move"}
    assert {name for name, said in triggers.items() if said == note} >= assumed
    assert not triggers["ksm_replace_page"] and not triggers["intra_host_migration_move_ctx"]
    sections = [" ".join(section.split()) for section in output(*words).split("\n\n")]
    [said] = [section for section in sections if f"({note})" in section]
    assert all(name in said for name in assumed) and "ksm_replace_page" not in said


def test_the_command_gives_the_same_comparison_again():
    first = output("--kernel", "6.6", "--kernel", "6.17", *CASE, "--vcpus", "4", "--resident-bytes", "1e9", "--json")
    again = json.loads(first)["command"].split()
    assert output(*again[2:], "--json") == first


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    pytest.importorskip("pyarrow")
    path = tmp_path_factory.mktemp("traces") / "vm.parquet"
    source = data_dir() / "hosts" / "epyc-genoa-4cpu-vm" / "invalidations.csv"
    result = CliRunner().invoke(cli, ["trace", "import", str(source), "--out", str(path)])
    assert result.exit_code == 0, result.output
    return path


def on_trace(trace, *words):
    return json.loads(output(*words, *CASE, "--cpus-that-ran", "8", "--trace", str(trace), "--json"))


def test_two_kernels_on_the_events_of_a_trace(trace):
    found = on_trace(trace, "--kernel", "6.6", "--kernel", "6.17")
    [events] = found["triggers"]
    assert (events["base"]["strategy"], events["new"]["strategy"]) == ("WBINVD_ALL", "WBNOINVD_MASK")
    rows = {row["quantity"]: row for row in events["rows"]}
    assert rows["CPU time/event"]["verdict"] == "lower" and rows["CPU time/event"]["ratio"]["high"] < 0.1
    assert rows["latency, p50"]["base"]["median"] <= rows["latency, p99"]["base"]["median"]
    assert found["total"]["verdict"] == "lower" and found["workload_title"].startswith("trace vm.parquet: 8430 events")
    assert any("memory slots" in text for text in found["warnings"])
    assert found["sources"] and found["priors"] and f"--trace {trace.name}" in found["command"]


def test_the_same_cost_on_both_sides_of_a_trace_is_the_same(trace):
    found = on_trace(trace, "--strategy", "CLFLUSHOPT_UVA", "--strategy", "CLFLUSHOPT_DM_SPTE")
    assert {row["verdict"] for row in found["triggers"][0]["rows"]} == {"equal"}


def test_a_lost_flush_is_no_base_on_a_trace_either(trace):
    found = on_trace(trace, "--kernel", "5.11", "--kernel", "6.6")
    assert found["total"]["verdict"] == "refused" and "can lose a flush" in found["total"]["refused"]


def test_a_trace_that_neither_side_flushes_is_refused(trace):
    words = ["--strategy", "NO_FLUSH", "--strategy", "SKIP_EVENT", "--trace", str(trace)]
    assert isinstance(CliRunner().invoke(cli, ["compare", *words, *CASE]).exception, CostModelError)


def test_the_text_of_a_trace_fits_a_mail(trace):
    words = ["--strategy", "WBNOINVD_MASK", "--strategy", "CLFLUSHOPT_UVA", *CASE, "--trace", str(trace)]
    text = output(*words)
    assert max(map(len, text.splitlines())) <= 75 and "lower" in text


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
