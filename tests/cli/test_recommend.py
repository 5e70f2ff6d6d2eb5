"""recommend, cost and breakeven as scripts read them."""

import json

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.errors import BadInput, CostModelError, ExitCode

CASE = ["--guest", "sev", "--machine", "epyc-7763-2s"]


def output(*words):
    result = CliRunner().invoke(cli, list(words))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def answer():
    return json.loads(output("recommend", *CASE, "--workload", "ksm-default", "--json"))


def test_the_json_carries_what_a_script_needs(answer):
    wanted = {"guest", "machine", "workload", "kernel", "policy", "worth_patching", "remedies", "costs", "gaps"}
    assert wanted | {"extrapolated", "sources", "headline", "data_hash", "asked_hash"} <= set(answer)
    for entry in answer["policy"]:
        assert {"trigger", "strategy", "basis", "placement", "p_best", "regret", "flips"} <= set(entry)


def test_intervals_are_ordered(answer):
    seen = 0
    for row in answer["costs"]:
        for value in row.values():
            if isinstance(value, dict) and {"low", "median", "high"} <= set(value):
                assert value["low"] <= value["median"] <= value["high"]
                seen += 1
    assert seen > 100


def test_a_refused_cost_is_null_and_names_the_gap(answer):
    refused = [row for row in answer["costs"] if row["refused"]]
    assert refused
    for row in refused:
        assert row["event_time_s"] is None and len(row["refused"]) > 10


def test_the_text_fits_a_mail():
    text = output("recommend", *CASE)
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 72


def test_the_cost_of_one_trigger(answer):
    rows = json.loads(output("cost", *CASE, "--workload", "ksm-default", "--trigger", "ksm_replace_page", "--json"))
    assert {row["trigger"] for row in rows} == {"ksm_replace_page"}
    mine = {r["strategy"]: r for r in answer["costs"] if r["trigger"] == "ksm_replace_page"}
    for row in rows:
        assert row == mine[row["strategy"]]
    assert "WBNOINVD_MASK" in output("cost", *CASE, "--trigger", "unreg_region")


@pytest.mark.parametrize("over", ["range_bytes", "cpus", "rate_per_s", "cache_bytes"])
def test_break_evens_over_every_axis(over):
    words = ["--machine", "epyc-7763-2s", "--between", "WBNOINVD_MASK", "CLFLUSHOPT_DM_GMEM", "--over", over]
    found = json.loads(output("breakeven", *words, "--json"))
    assert found["rows"] or found["always"]
    for row in found["rows"]:
        assert 0 < row["low"] <= row["median"] <= row["high"]
    assert output("breakeven", *words).startswith("WBNOINVD_MASK against CLFLUSHOPT_DM_GMEM")


def test_a_measured_rate_counts_and_comes_back_in_the_command():
    rate = ["--rate", "ksm_replace_page=20"]
    rows = json.loads(output("cost", *CASE, "--trigger", "ksm_replace_page", *rate, "--json"))
    assert {row["rate_per_s"]["median"] for row in rows if row["rate_per_s"]} == {20.0}
    assert json.loads(output("recommend", *CASE, *rate, "--json"))["command"].split()[-2:] == rate


@pytest.mark.parametrize("text", ["20", "ksm_replace_page", "ksm_replace_page=much", "ksm_replace=20", "ksm_replace_page=-1", "ksm_replace_page=nan", "ksm_replace_page=inf", "all=3/0", "all=3/x", "all=-3/5"])  # fmt: skip
def test_a_rate_that_cannot_be_used_is_refused(text):
    error = CliRunner().invoke(cli, ["recommend", *CASE, "--rate", text]).exception
    assert isinstance(error, CostModelError) and "rate" in str(error) or "ksm_replace_page" in str(error)


@pytest.mark.parametrize("words", [["--backing", "hugetlb", "--mergeable"], ["--backing", "guest_memfd"]])
def test_a_setup_that_cannot_exist_is_refused_with_the_way_out(words):
    error = CliRunner().invoke(cli, ["recommend", *CASE, *words]).exception
    assert isinstance(error, BadInput) and error.remedy and error.exit_code == 2


def test_a_setup_changes_the_cost_and_stands_in_the_command():
    text = output("cost", *CASE, "--trigger", "autonuma_prot_none_scan", "--mempolicy", "interleave")
    assert "cannot happen here, costs 0: the memory policy interleave has no MPOL_F_MOF" in text
    words = ["--not-pinned", "--backing", "memfd"]
    assert json.loads(output("recommend", *CASE, *words, "--json"))["command"].split()[-3:] == words


def test_guests_on_one_host_by_type_and_together():
    words = ["--vms", "4", "--vms", "sev-es=2"]
    text = " ".join(output("recommend", *CASE, *words).split())
    assert "4 VMs, sev: at most" in text and "6 VMs, together: at most" in text
    assert "--vms sev=4 --vms sev-es=2" in text


@pytest.mark.parametrize("text", ["many", "sev=0", "sevv=2", "tdx=2", "sev=x"])
def test_guests_that_cannot_share_the_host_are_refused(text):
    error = CliRunner().invoke(cli, ["recommend", *CASE, "--vms", text]).exception
    assert isinstance(error, CostModelError) and error.exit_code == (4 if text == "tdx=2" else 2)


def test_dma_that_bypasses_the_caches_is_an_option_of_guests_without_encryption():
    words = ["--guest", "plain", "--machine", "xeon-8570-2s", "--workload", "idle", "--noncoherent-dma"]
    rows = json.loads(output("cost", *words, "--trigger", "guest_executes_wbinvd", "--json"))
    states = {row["strategy"]: row["state"] for row in rows}
    assert states == {"NO_FLUSH": "inadmissible", "WBINVD_MASK": "admissible"}
    error = CliRunner().invoke(cli, ["recommend", *CASE, "--noncoherent-dma"]).exception
    assert isinstance(error, CostModelError) and "noncoherent_dma" in str(error) and "plain" in str(error)


def test_a_kernel_without_a_source_gets_an_answer_for_each_that_it_may_be():
    text = output("recommend", *CASE, "--kernel", "6.8.12-13-pve")
    plain = " ".join(text.split())
    assert "no source here tells what was backported to it: it behaves as v6.8-v6.10 or 6.17." in plain
    first, second = (
        plain.index("As v6.8-v6.10, like 6.8.12-10-pve before it"),
        plain.index("As 6.17, if /proc/kallsyms has wbnoinvd_on_cpus_mask"),
    )
    assert (
        first
        < plain.index("Now: v6.8-v6.10 runs WBINVD on all online CPUs")
        < second
        < plain.index("Now: 6.17 runs WBNOINVD on the CPUs that ran the guest")
    )
    assert "grep -w" in text and max(map(len, text.splitlines())) <= 72
    found = json.loads(output("recommend", *CASE, "--kernel", "6.8.12-13-pve", "--json"))
    assert [one["kernel"] for one in found["answers"]] == ["v6.8-v6.10", "6.17"]
    strategies = [one["recommendation"]["headline_strategy"] for one in found["answers"]]
    assert strategies == ["WBINVD_ALL", "WBNOINVD_MASK"]


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        ("5.14.0-503.11.1.el9_5.x86_64", "was read (data/kvm/builds.csv): it behaves as v6.11-v6.16"),
        ("6.17.4-2-pve", "taken as 6.17.4 of kernel.org"),
        ("5.10.200", "older than v5.11: taken as v5.15.70+"),
        ("6.18.999", "was not released when the series was last looked at"),
    ],
)
def test_what_a_kernel_is_taken_as_stands_beside_the_one_answer(kernel, said):
    text = output("recommend", *CASE, "--kernel", kernel)
    assert said in " ".join(text.partition("\nWARNINGS")[2].split())
    assert f"--kernel {kernel}" in " ".join(text.split()), "the command gives this answer again"


def test_a_guest_without_flushes_needs_no_source_for_its_kernel():
    found = json.loads(output("recommend", "--guest", "plain", *CASE[2:], "--kernel", "5.15.0-1092-azure", "--json"))
    assert found["guest"] == "plain" and "changes no flush of this guest type" in " ".join(found["warnings"])


def test_snp_of_amds_own_tree_is_refused_with_what_stands_for_it():
    words = ("--guest", "sev-snp-gmem", *CASE[2:], "--kernel", "6.1.0-rc4-snp-host-93fa8c5918a4")
    done = CliRunner().invoke(cli, ["recommend", *words])
    assert done.exit_code == ExitCode.NOT_APPLICABLE
    assert "the guest type sev-snp stands for SNP out of tree" in " ".join(done.output.split())


def test_the_first_and_the_last_release_of_a_series_are_told_apart_in_the_command():
    assert "--kernel 5.15.0" in " ".join(output("recommend", *CASE, "--kernel", "5.15.0").split())
