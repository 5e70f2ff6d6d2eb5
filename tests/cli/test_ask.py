"""recommend, cost and breakeven as scripts read them."""

import csv
import io
import json
import math
import statistics
import subprocess
import sys

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.errors import BadInput, CostModelError, ExitCode, NotApplicable
from costmodel.evidence.paths import data_dir
from costmodel.evidence.store import load
from costmodel.kvm import kernels
from costmodel.kvm.catalog import PLACEMENTS, STRATEGIES, TRIGGERS, triggers_of
from costmodel.kvm.kernels import HOOK_PLACEMENTS
from costmodel.report.record import recommend
from tests.samples import sampled

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
    text = output("recommend", *CASE, "--full")
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


@pytest.mark.nightly
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


@pytest.mark.nightly
def test_a_setup_changes_the_cost_and_stands_in_the_command():
    text = output("cost", *CASE, "--trigger", "autonuma_prot_none_scan", "--mempolicy", "interleave")
    assert "cannot happen here, costs 0: the memory policy interleave has no MPOL_F_MOF" in text
    words = ["--not-pinned", "--backing", "memfd"]
    assert json.loads(output("recommend", *CASE, *words, "--json"))["command"].split()[-3:] == words


def test_guests_on_one_host_by_type_and_together():
    words = ["--vms", "4", "--vms", "sev-es=2"]
    text = " ".join(output("recommend", *CASE, "--full", *words).split())
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
    first, second = plain.index(" v6.8-v6.10 "), plain.index(" 6.17 ")
    assert first < plain.index("Upgrade the host kernel") < plain.index("WBNOINVD on the CPUs that ran the guest")
    assert first < second < plain.index("To know which") < plain.index("wbnoinvd_on_cpus_mask")


@pytest.mark.parametrize(
    ("kernel", "said"),
    sampled(
        [
            ("5.14.0-503.11.1.el9_5.x86_64", "was read (data/kvm/builds.csv): it behaves as v6.11-v6.16"),
            ("6.17.4-2-pve", "taken as 6.17.4 of kernel.org"),
            ("5.10.200", "older than v5.11: taken as v5.15.70+"),
            ("6.18.999", "was not released when the series was last looked at"),
        ],
        2,
    ),
)
def test_what_a_kernel_is_taken_as_stands_beside_the_one_answer(kernel, said):
    text = output("recommend", *CASE, "--full", "--kernel", kernel)
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


@pytest.mark.nightly
def test_the_first_and_the_last_release_of_a_series_are_told_apart_in_the_command():
    assert "--kernel 5.15.0" in " ".join(output("recommend", *CASE, "--full", "--kernel", "5.15.0").split())


# recommend --json: what it says must be possible now, sourced, and consistent with itself.

CASES = {
    "sev now": ("sev", "epyc-7763-2s", "ksm-default", "newest"),
    "sev before the mask": ("sev", "epyc-7763-2s", "autonuma-default", "6.6"),
    "sev before the hook": ("sev", "epyc-7763-2s", "autonuma-default", "5.11"),
    "snp with guest_memfd": ("sev-snp-gmem", "epyc-9654-2s", "teardown", "6.12"),
    "snp without": ("sev-snp", "epyc-7763-2s", "autonuma-default", "newest"),
    "tdx": ("tdx", "xeon-8570-2s", "teardown", "newest"),
    "plain": ("plain", "xeon-8570-2s", "swap-pressure", "newest"),
}
KEYS = "guest machine workload kernel policy worth_patching remedies costs gaps extrapolated sources headline"
POLICY_KEYS = "trigger strategy basis placement p_best regret flips"
every = pytest.mark.parametrize("name", CASES)


class Answers(dict):
    """The answer of each case, asked when it is first looked up."""

    def __missing__(self, name):
        options = zip(("--guest", "--machine", "--workload", "--kernel"), CASES[name], strict=True)
        result = CliRunner().invoke(cli, ["recommend", *(word for pair in options for word in pair), "--json"])
        assert result.exit_code == 0, result.output
        return self.setdefault(name, json.loads(result.stdout))


@pytest.fixture(scope="module")
def answers():
    return Answers()


@every
def test_the_keys_are_there_and_the_case_is_the_one_asked_for(answers, name):
    answer = answers[name]
    assert set(KEYS.split()) <= set(answer)
    guest, machine, workload, kernel = CASES[name]
    assert (answer["guest"], answer["machine"], answer["workload"]) == (guest, machine, workload)
    assert answer["kernel"] == kernels.resolve(kernel)
    for entry in answer["policy"]:
        assert set(POLICY_KEYS.split()) <= set(entry)


@every
def test_each_trigger_of_the_guest_has_one_entry(answers, name):
    assert answers[name]["applicable"]
    triggers = [entry["trigger"] for entry in answers[name]["policy"]]
    assert len(set(triggers)) == len(triggers) > 0
    assert set(triggers) <= {trigger.id for trigger in triggers_of(CASES[name][0])}


@every
def test_what_is_recommended_is_admissible_and_placed(answers, name):
    answer = answers[name]
    states = {(row["trigger"], row["strategy"]): row["state"] for row in answer["costs"]}
    for entry in answer["policy"]:
        if entry["strategy"] is not None:
            assert states[entry["trigger"], entry["strategy"]] == "admissible"
            assert PLACEMENTS[entry["placement"]].admissible


@every
def test_a_probability_lies_in_0_to_1(answers, name):
    for entry in answers[name]["policy"]:
        assert entry["p_best"] is None or 0 <= entry["p_best"] <= 1


def test_a_regret_is_not_negative_and_no_more_than_that_of_the_worst_corner(answers):
    regrets = [entry["regret"] for name in CASES for entry in answers[name]["policy"] if entry["regret"]]
    assert len(regrets) > 3
    assert any(entry["regret"] for entry in answers["sev now"]["policy"])
    for regret in regrets:
        assert 0 <= regret["expected_cpu_s_per_event"] <= regret["worst_cpu_s_per_event"]


@every
def test_the_headline_needs_no_unmerged_patch(answers, name):
    answer = answers[name]
    for patch in answer["worth_patching"]:
        assert patch["kind"] == "patch"
        assert patch["title"] not in answer["headline"] and patch["id"] not in answer["headline"]
    assert not [advice for advice in answer["do_now"] if advice["kind"] == "patch"]
    if answer["headline_strategy"] is not None:
        strategy = STRATEGIES[answer["headline_strategy"]]
        done = kernels.upstream(answer["guest"], answer["headline_trigger"], answer["kernel"])
        merged = strategy.first_version and list(kernels.KERNELS).index(
            kernels.resolve(strategy.first_version)
        ) <= list(kernels.KERNELS).index(answer["kernel"])
        assert (done and strategy.id in done.strategies) or merged


@every
def test_remedies_and_patches_name_triggers_and_sources(answers, name):
    for advice in (*answers[name]["remedies"], *answers[name]["worth_patching"], *answers[name]["do_now"]):
        assert set(advice["triggers"]) <= set(TRIGGERS)
        assert advice["source"] and advice["title"] and advice["status"]


@every
def test_sources_are_identified(answers, name):
    ids = [source["id"] for source in answers[name]["sources"]]
    assert len(set(ids)) == len(ids)
    for source in answers[name]["sources"]:
        assert source["title"] and source["locator"]


def test_an_unsafe_kernel_is_said_to_lose_a_flush(answers):
    answer = answers["sev before the hook"]
    assert any("lose a flush" in text for text in (answer["headline"], *answer["warnings"]))


@every
def test_a_trigger_without_a_choice_names_the_gap(answers, name):
    for entry in answers[name]["policy"]:
        assert (entry["strategy"] is None) == (entry["basis"] is None)
        assert entry["strategy"] is not None or entry["gap"] or answers[name]["warnings"]


def test_a_plain_guest_has_nothing_to_flush(answers):
    answer = answers["plain"]
    chosen = [entry["strategy"] for entry in answer["policy"] if entry["strategy"] is not None]
    assert len(chosen) > 5 and {STRATEGIES[name].instruction for name in chosen} == {"none"}
    assert not answer["worth_patching"]


def test_extrapolation_is_said_where_a_policy_rests_on_it(answers):
    assert answers["sev now"]["extrapolated"]
    for name in CASES:
        if any(entry["extrapolated"] for entry in answers[name]["policy"]):
            assert answers[name]["extrapolated"]


def test_a_guest_that_cannot_run_there_is_told_so():
    words = ["recommend", "--guest", "tdx", "--machine", "epyc-7763-2s", "--json"]
    answer = json.loads(CliRunner().invoke(cli, words).stdout)
    assert not answer["applicable"] and answer["not_applicable_reason"]
    assert answer["policy"] == [] and answer["costs"] == []


# cost: each number an interval in order, each refusal named, each filter kept.

CASE_COST = ("--guest", "sev", "--machine", "epyc-7763-2s")


def cost(*words):
    return CliRunner().invoke(cli, ["cost", *words])


def rows_of(*words):
    result = cost(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def rows():
    return rows_of(*CASE_COST)


def intervals(row):
    return {name: part for name, part in row.items() if isinstance(part, dict)}


def test_every_interval_is_finite_and_in_order(rows):
    seen = 0
    for row in rows:
        for name, part in intervals(row).items():
            assert 0 <= part["low"] <= part["median"] <= part["high"] < math.inf, (row["strategy"], name)
            seen += part["low"] < part["high"]
    assert seen > 50


def test_every_trigger_of_the_guest_is_there_and_no_ruled_out_strategy(rows):
    assert {row["trigger"] for row in rows} == {trigger.id for trigger in triggers_of("sev")}
    assert {row["strategy"] for row in rows} <= set(STRATEGIES)
    assert {row["admissible"] for row in rows} <= {"yes", "conditional"}


def test_a_cell_appears_once(rows):
    cells = [(row["trigger"], row["strategy"]) for row in rows]
    assert len(set(cells)) == len(cells)


def test_what_flushes_nothing_costs_nothing(rows):
    skips = [row for row in rows if STRATEGIES[row["strategy"]].skips and not row["refused"]]
    assert skips
    for row in skips:
        assert row["stolen_cpu_s_per_event"]["high"] == 0


@pytest.mark.nightly
def test_fewer_cpus_that_ran_make_the_mask_cheaper_and_all_cpus_no_cheaper(rows):
    pinned = rows_of(*CASE_COST, "--cpus-that-ran", "8", "--trigger", "ksm_replace_page")

    def middle(found, name):
        (row,) = (r for r in found if (r["trigger"], r["strategy"]) == ("ksm_replace_page", name))
        return row["stolen_cpu_s_per_event"]["median"]

    assert middle(pinned, "WBNOINVD_MASK") < middle(rows, "WBNOINVD_MASK") / 4
    assert middle(pinned, "WBINVD_ALL") > middle(rows, "WBINVD_ALL") / 2


def test_a_trigger_filters_and_changes_nothing_else(rows):
    found = rows_of(*CASE_COST, "--trigger", "unreg_region")
    assert found == [row for row in rows if row["trigger"] == "unreg_region"] != []


def test_the_text_names_every_strategy_of_the_trigger(rows):
    text = cost(*CASE_COST, "--trigger", "unreg_region").output
    for row in rows:
        if row["trigger"] == "unreg_region":
            assert row["strategy"] in text


def test_a_guest_that_cannot_run_there_is_told_so_cost():
    for form in ((), ("--json",)):
        done = cost("--guest", "tdx", "--machine", "epyc-7763-2s", *form)
        assert isinstance(done.exception, NotApplicable) and "not applicable: Intel TDX needs an Intel CPU" in str(
            done.exception
        )
        assert done.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ("--guest", "sevv", "--machine", "epyc-7763-2s"),
        ("--guest", "sev", "--machine", "epyc-7764-2s"),
        (*CASE_COST, "--workload", "nothing"),
        (*CASE_COST, "--kernel", "six"),
        (*CASE_COST, "--trigger", "gmem_punch_hole"),
        (*CASE_COST, "--cpus-that-ran", "100000"),
        (*CASE_COST, "--resident-bytes", "nan"),
        (*CASE_COST, "--event-fraction", "nan"),
    ],
)
def test_a_bad_value_is_refused_with_nothing_printed(words):
    result = cost(*words)
    assert isinstance(result.exception, CostModelError)
    assert "\n" not in str(result.exception)
    assert result.stdout == ""


@pytest.mark.nightly
def test_what_takes_another_kernel_is_told_and_columns_stand_apart():
    result = cost(*CASE_COST, "--kernel", "6.6", "--trigger", "autonuma_prot_none_scan")
    head, *lines = [line for line in result.stdout.splitlines() if line.startswith("  ")]
    starts = [head.index(name) for name in ("per event", "CPU time per event", "host CPUs lost", "note")]
    by_strategy = {line.split()[0]: line for line in lines}
    for line in lines:
        assert all(line[start - 2 : start] == "  " for start in starts if len(line) > start)
    assert "needs" not in by_strategy["WBINVD_ALL"]
    assert by_strategy["WBNOINVD_MASK"].endswith("needs a newer kernel")
    for name in ("SKIP_COHERENT", "CLFLUSHOPT_DM_PINNED", "WBNOINVD_ALL"):
        assert by_strategy[name].endswith("needs a kernel patch")


# contention: what waits by the place of the hook, who pays, and what is refused.

SCAN, MIGRATE = "autonuma_prot_none_scan", "numa_or_compaction_migrate"
PARTS = {"contention", "bills", "hybrids", "masks", "variants"}


def contention(*words):
    return CliRunner().invoke(cli, ["contention", *words])


def text_of(*words):
    result = contention(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def parts_of(*words):
    return json.loads(text_of(*words, "--json"))


@pytest.fixture(scope="module")
def parts():
    return parts_of(*CASE)


@pytest.fixture(scope="module")
def old():
    return text_of(*CASE, "--kernel", "6.6", "--trigger", SCAN)


def test_the_json_has_every_part(parts):
    assert set(parts) == PARTS
    assert all(parts.values())


@pytest.mark.nightly
def test_the_costliest_trigger_is_the_default(parts):
    assert parts_of(*CASE, "--trigger", recommend("sev", "epyc-7763-2s").costliest_trigger) == parts


def test_the_json_is_what_the_recommendation_says(parts):
    answer = recommend("sev", "epyc-7763-2s")
    for name in ("contention", "bills", "masks", "variants"):
        assert parts[name] == [row.model_dump(mode="json") for row in getattr(answer, name)]


def test_every_placement_is_in_the_json(parts):
    assert {row["placement"] for row in parts["contention"]} == set(HOOK_PLACEMENTS)


def test_the_text_names_every_strategy_and_the_case(parts):
    text = text_of(*CASE)
    assert text.startswith(f"{SCAN}  (sev on epyc-7763-2s, autonuma-default, v7.3-rc)\n")
    assert {row["strategy"] for row in parts["contention"]} <= set(text.replace(",", " ").replace("]", " ").split())


@pytest.mark.parametrize(
    ("kernel", "hook"),
    [("6.6", "after unlock, in SRCU"), ("6.8", "after SRCU is dropped"), ("newest", "after SRCU is dropped")],
)
def test_the_mark_stands_at_the_hook_of_the_kernel_only(kernel, hook):
    lines = text_of(*CASE, "--kernel", kernel, "--trigger", SCAN).splitlines()
    marked = {line[2:] for line in lines if line.startswith("* ")}
    assert marked
    assert all(text.startswith(hook) for text in marked), marked


def test_the_text_says_that_a_late_hook_is_inadmissible(old):
    assert "A hook after range_end is inadmissible" in old


@pytest.mark.parametrize(
    "words",
    [
        (*CASE,),
        (*CASE, "--kernel", "6.6", "--trigger", SCAN),
        (*CASE, "--trigger", MIGRATE, "--rate-per-s", "100"),
        ("--guest", "sev-snp-gmem", "--machine", "epyc-7763-2s", "--trigger", "gmem_punch_hole"),
        ("--guest", "tdx", "--machine", "xeon-8570-2s"),
        (*CASE, "--workload", "ksm-default"),
    ],
    ids=" ".join,
)
def test_the_text_is_ascii_without_control_characters(words):
    text = text_of(*words)
    assert text.isascii()
    assert all(c == "\n" or " " <= c <= "~" for c in text)
    assert all(line == line.rstrip() for line in text.splitlines())


def test_the_json_is_ascii():
    assert text_of(*CASE, "--json").isascii()


def test_a_rate_makes_an_open_trigger(parts):
    found = parts_of(*CASE, "--trigger", MIGRATE, "--rate-per-s", "10")
    rates = [row["saturation_rate_per_s"] for row in found["contention"] if row["strategy"] == "WBINVD_ALL"]
    assert all(rate is not None for rate in rates)
    assert all(row["saturation_rate_per_s"] is None for row in parts["contention"])


def test_a_higher_rate_keeps_an_invalidation_in_progress_longer():
    slow, fast = (
        next(
            row["in_progress_fraction"]["median"]
            for row in parts_of(*CASE, "--trigger", MIGRATE, "--rate-per-s", rate)["contention"]
            if (row["strategy"], row["placement"]) == ("CLFLUSHOPT_UVA", "after_srcu")
        )
        for rate in ("10", "1000")
    )
    assert fast == pytest.approx(100 * slow, rel=0.02)


def test_without_a_rate_the_text_asks_for_one():
    text = text_of(*CASE, "--trigger", MIGRATE)
    assert "give one with --rate-per-s" in text
    assert "Who pays for one event" in text
    assert parts_of(*CASE, "--trigger", MIGRATE)["contention"] == []


def test_what_saturates_says_so():
    assert "of the draws: no mean" in text_of(*CASE, "--trigger", MIGRATE, "--rate-per-s", "1000")


def test_a_guest_that_needs_no_flush_is_told_so():
    assert text_of("--guest", "plain", "--machine", "epyc-7763-2s") == "No trigger of this guest type needs a flush.\n"


def test_a_guest_that_needs_no_flush_gives_json_of_the_same_shape():
    assert set(parts_of("--guest", "plain", "--machine", "epyc-7763-2s")) == PARTS


def test_a_pinned_guest_pays_for_its_mask_itself():
    text = text_of(*CASE, "--cpus-that-ran", "8")
    assert "everyone else 0: 0% of it from CPUs that do not run the guest" in text


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ((*CASE, "--trigger", "nothing"), "'nothing'"),
        ((*CASE, "--trigger", "gmem_punch_hole"), "'gmem_punch_hole'"),
        ((*CASE, "--trigger", "a\nb"), r"'a\nb'"),
        (("--guest", "tdx", "--machine", "epyc-7763-2s"), "needs an Intel CPU"),
        (("--guest", "sev", "--machine", "xeon-8570-2s"), "needs an AMD CPU"),
        ((*CASE, "--workload", "nothing"), "'nothing'"),
        ((*CASE, "--cpus-that-ran", "100000"), "100000"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_line(words, named):
    result = contention(*words)
    assert isinstance(result.exception, CostModelError)
    assert "\n" not in str(result.exception)
    assert named in str(result.exception)
    assert result.stdout == ""


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf", "fast"])
def test_a_rate_that_is_none_is_refused(rate):
    result = contention(*CASE, "--trigger", MIGRATE, "--rate-per-s", rate)
    assert result.exit_code == 2 or isinstance(result.exception, CostModelError)
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("words", "code"),
    sampled([((*CASE, "--trigger", "nothing"), 2), (("--guest", "tdx", "--machine", "epyc-7763-2s"), 4)], 2),
)
def test_a_shell_gets_one_line_and_the_exit_code(words, code):
    done = subprocess.run(
        [sys.executable, "-m", "costmodel", "contention", *words], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert len(done.stderr.splitlines()) == 1


def test_an_extreme_rate_warns_nobody_about_arithmetic():
    """256 MB range flushes at 1e5 events/s: no bound, told by a dash, not by numpy on stderr."""
    words = ["contention", *CASE, "--trigger", SCAN, "--rate-per-s", "100000"]
    done = subprocess.run([sys.executable, "-m", "costmodel", *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_rests_on_a_ceiling_says_so_and_a_rate_that_was_given_does_not(old):
    measured = text_of(*CASE, "--kernel", "6.6", "--trigger", SCAN, "--rate-per-s", "5")
    assert "the rate is a ceiling" in old and "a neighbour on one of these CPUs loses at most" in old
    assert "ceiling" not in measured and "loses at most" not in measured


def test_no_column_runs_into_the_next(old):
    tables = [block for block in old.split("\n\n") if "lock held" in block]
    assert tables
    for block in tables:
        head, *lines = [line for line in block.splitlines() if line.startswith(("  hook", "* ", "  under"))]
        starts = [
            head.index(name) for name in ("lock held", "in progress", "fault waits, mean", "p99", "memslot update")
        ]
        for line in lines:
            assert all(line[start - 2 : start] == "  " for start in starts if len(line) > start), line


# costmodel compare


def output_compare(*words):
    result = CliRunner().invoke(cli, ["compare", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_two_kernels():
    text = output_compare("--kernel", "6.6", "--kernel", "6.17", *CASE, "--cpus-that-ran", "8")
    assert "WBINVD_ALL" in text and "WBNOINVD_MASK" in text and "CHANGES IN THE KERNEL" in text
    assert "Again with:" in text and "--cpus-that-ran 8" in " ".join(text.replace("\\\n", " ").split())


def test_two_strategies_as_json():
    words = ["--strategy", "WBNOINVD_MASK", "--strategy", "WBINVD_ALL", *CASE, "--kernel", "6.17", "--json"]
    found = json.loads(output_compare(*words))
    assert found["kind"] == "strategies" and found["triggers"] and found["data_hash"] and found["asked_hash"]
    assert {"base", "new", "ratio", "verdict", "refused"} <= set(found["total"])
    assert found["command"].startswith("costmodel compare --strategy WBNOINVD_MASK --strategy WBINVD_ALL")


def test_an_assumed_range_is_called_so():
    """munmap, mprotect and the deletion of a memslot have no published length; KSM takes a page."""
    words = ["--strategy", "WBNOINVD_MASK", "--strategy", "CLFLUSHOPT_UVA", *CASE]
    note = "range not published: one 4 KiB page assumed"
    triggers = {one["trigger"]: one["range_note"] for one in json.loads(output_compare(*words, "--json"))["triggers"]}
    assumed = {"munmap_or_discard", "mprotect_or_uffd_wp", "memslot_delete_or_move"}
    assert {name for name, said in triggers.items() if said == note} >= assumed
    assert not triggers["ksm_replace_page"] and not triggers["intra_host_migration_move_ctx"]
    sections = [" ".join(section.split()) for section in output_compare(*words).split("\n\n")]
    [said] = [section for section in sections if f"({note})" in section]
    assert all(name in said for name in assumed) and "ksm_replace_page" not in said


def test_the_command_gives_the_same_comparison_again():
    first = output_compare(
        "--kernel", "6.6", "--kernel", "6.17", *CASE, "--vcpus", "4", "--resident-bytes", "1e9", "--json"
    )
    again = json.loads(first)["command"].split()
    assert output_compare(*again[2:], "--json") == first


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    pytest.importorskip("pyarrow")
    path = tmp_path_factory.mktemp("traces") / "vm.parquet"
    source = data_dir() / "hosts" / "epyc-genoa-4cpu-vm" / "invalidations.csv"
    result = CliRunner().invoke(cli, ["trace", "import", str(source), "--out", str(path)])
    assert result.exit_code == 0, result.output
    return path


def on_trace(trace, *words):
    return json.loads(output_compare(*words, *CASE, "--cpus-that-ran", "8", "--trace", str(trace), "--json"))


@pytest.mark.nightly
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
    text = output_compare(*words)
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


# breakeven: where one strategy becomes cheaper than another, over each axis.

AXES = {"range_bytes": "B", "cpus": "1", "rate_per_s": "1/s", "cache_bytes": "B"}
PAIR = ("WBNOINVD_MASK", "CLFLUSHOPT_DM_PINNED")
WHERE = ("--guest", "sev", "--trigger", "unreg_region", "--cpus-that-ran", "8")


def breakeven(over, *words, pair=PAIR):
    words = ["breakeven", "--machine", "epyc-7763-2s", *WHERE, "--between", *pair, "--over", over, *words]
    return CliRunner().invoke(cli, words)


@pytest.fixture(scope="module")
def answers_breakeven():
    return {over: json.loads(breakeven(over, "--json").stdout) for over in AXES}


@pytest.mark.parametrize("over", AXES)
def test_an_axis_gives_a_break_even_or_the_strategy_that_always_wins(answers_breakeven, over):
    found = answers_breakeven[over]
    assert found["over"] == over and found["unit"] == AXES[over]
    assert tuple(found["strategies"]) == PAIR
    assert bool(found["rows"]) != bool(found["always"])
    assert found["always"] in (None, *PAIR)


@pytest.mark.parametrize("over", AXES)
def test_break_evens_are_intervals_inside_the_swept_range(answers_breakeven, over):
    found = answers_breakeven[over]
    assert 0 < found["low"] < found["high"]
    for row in found["rows"]:
        told = [row[end] for end in ("low", "median", "high") if row[end] is not None]
        assert told and told[0] > 0 and told == sorted(told)
        assert [side == "" for side in row["beyond"][:3]] == [row[end] is not None for end in ("low", "median", "high")]
        assert 0 < row["share"] <= 1
        if row["label"] == "break-even":
            assert found["low"] <= row["median"] <= found["high"]


def test_a_range_flush_wins_up_to_a_range_of_many_pages(answers_breakeven):
    (row,) = answers_breakeven["range_bytes"]["rows"]
    assert row["median"] > 2**21


def test_ten_percent_of_the_host_are_lost_at_ten_times_the_rate_of_one(answers_breakeven):
    rows = answers_breakeven["rate_per_s"]["rows"]
    for name in PAIR:
        one, ten = sorted(row["median"] for row in rows if name in row["label"])
        assert ten == pytest.approx(10 * one)


def test_the_order_of_the_pair_does_not_move_the_break_even(answers_breakeven):
    (row,) = answers_breakeven["range_bytes"]["rows"]
    (other,) = json.loads(breakeven("range_bytes", "--json", pair=PAIR[::-1]).stdout)["rows"]
    assert other["median"] == pytest.approx(row["median"])


@pytest.mark.parametrize("over", AXES)
def test_the_text_names_both_strategies_and_the_axis(over):
    text = breakeven(over).output
    assert all(word in text for word in (*PAIR, over))


@pytest.mark.parametrize(
    ("words", "pair"),
    [
        ((), ("WBNOINVD_MASK", "FLUSH_ALL")),
        ((), ("<script>", "WBINVD_ALL")),
        (("--guest", "sevv"), PAIR),
        (("--trigger", "nothing"), PAIR),
        (("--workload", "nothing"), PAIR),
    ],
)
def test_an_unknown_name_is_refused(words, pair):
    result = breakeven("range_bytes", *words, pair=pair)
    assert isinstance(result.exception, CostModelError)
    assert result.stdout == ""


def test_an_unknown_axis_is_refused():
    assert breakeven("moon").exit_code == 2


@pytest.mark.nightly
def test_an_end_beyond_the_sweep_is_printed_as_beyond_and_is_null_in_json():
    """A large host: in some draws 64 GiB of lines still take less than one whole-cache flush."""
    words = ("--trigger", "autonuma_prot_none_scan", "--machine", "epyc-9654-2s")
    pair = ("WBINVD_ALL", "CLFLUSHOPT_UVA")
    (row,) = json.loads(breakeven("range_bytes", "--json", *words, pair=pair).stdout)["rows"]
    assert row["share"] < 0.95 and row["high"] is None and row["beyond"][2] == "above"
    assert "> 64 GiB]" in breakeven("range_bytes", *words, pair=pair).stdout


def test_what_a_condition_forbids_is_told():
    words = ("--guest", "sev-snp-gmem", "--trigger", "gmem_punch_hole")
    text = breakeven("range_bytes", *words, pair=("WBNOINVD_MASK", "CLFLUSHOPT_DM_GMEM")).stdout
    assert "WBNOINVD_MASK is inadmissible there" in text


def test_the_kernel_decides_which_of_the_pair_may_be_used_there():
    """The mask came with v6.17."""
    old, new = (breakeven("range_bytes", "--kernel", kernel).stdout for kernel in ("6.6", "6.17"))
    assert "WBNOINVD_MASK is inadmissible there" in old and "inadmissible" not in new
    assert "kernel 6.6" in old.splitlines()[0] and "kernel 6.17" in new.splitlines()[0]


# predict and calibrate --host.

NAME = "epyc-genoa-4cpu-vm"
HEAD_PREDICT = "instruction,state,range_bytes\n"


def predict(text):
    return CliRunner().invoke(cli, ["predict", "--machine", NAME, "--cells", "-"], input=text)


def test_cells_come_back_in_order_with_interval():
    text = HEAD_PREDICT + "CLFLUSHOPT,dirty,65536\nclflush,absent,100000\nCLWB,clean,4096\n"
    result = predict(text)
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["instruction"] for row in rows] == ["CLFLUSHOPT", "clflush", "CLWB"]
    for row in rows:
        low, middle, high = (float(row[name]) for name in ("low_ns", "predicted_ns", "high_ns"))
        assert 0 < low < middle < high
        lines = float(row["range_bytes"]) / 64
        assert middle > float(row["slope_ns_per_line"]) * lines, "a call has a start beside its lines"
    assert [row["note"] for row in rows] == ["measured range", "interpolated", "measured range"]


def test_a_call_of_a_page_is_what_the_kernels_loop_takes():
    """The sweep's own totals: a dirty page on Genoa takes 5.6 ns per line with its fences, 2.4 without."""
    row = next(csv.DictReader(io.StringIO(predict(HEAD_PREDICT + "CLFLUSHOPT,dirty,4096\n").stdout)))
    runs = {}
    for cell in load().host(NAME).table("flush"):
        kind = (cell["instruction"], cell["state"], cell["range_bytes"], cell["page"])
        if kind == ("CLFLUSHOPT", "dirty", 4096, "4KiB"):
            runs.setdefault(cell["run"], []).append(cell["measured_total_s"])
    measured = statistics.median(statistics.median(values) for values in runs.values())
    assert float(row["predicted_ns"]) == pytest.approx(measured * 1e9, rel=1e-3)
    assert float(row["predicted_ns"]) / 64 > 2 * float(row["slope_ns_per_line"])


def test_a_catalogued_machine_is_predicted_from_its_relatives_with_a_wider_interval():
    cells = HEAD_PREDICT + "CLFLUSHOPT,absent,268435456\nCLFLUSHOPT,dirty,4096\n"
    answers = {}
    for machine in ("epyc-9654-2s", NAME):
        text = cells if machine != NAME else HEAD_PREDICT + "CLFLUSHOPT,absent,67108864\nCLFLUSHOPT,dirty,4096\n"
        result = CliRunner().invoke(cli, ["predict", "--machine", machine, "--cells", "-"], input=text)
        assert result.exit_code == 0, result.output
        answers[machine] = [
            {name: float(row[name]) for name in ("low_ns", "predicted_ns", "high_ns")}
            for row in csv.DictReader(io.StringIO(result.stdout))
        ]
        assert ("EXTRAPOLATED" in result.stdout) == (machine != NAME)
    for wide, narrow in zip(answers["epyc-9654-2s"], answers[NAME], strict=True):
        assert wide["high_ns"] / wide["low_ns"] > 2 * narrow["high_ns"] / narrow["low_ns"]
    refused = CliRunner().invoke(
        cli, ["predict", "--machine", "epyc-9654-2s", "--cells", "-"], input=HEAD_PREDICT + "CLFLUSH,dirty,4096\n"
    )
    assert "CLFLUSHOPT" in str(refused.exception)


def test_other_columns_are_kept():
    result = predict("id,instruction,state,range_bytes,page\n7,CLFLUSHOPT,dirty,65536,2MiB\n")
    row = next(csv.DictReader(io.StringIO(result.stdout)))
    assert row["id"] == "7" and row["page"] == "2MiB"


def test_no_cell_of_a_column_that_is_kept_acts_in_a_spreadsheet():
    result = predict("=id,instruction,state,range_bytes\n=1+1,CLFLUSHOPT,dirty,65536\n-1.5,CLFLUSHOPT,dirty,65536\n")
    header, first, second = csv.reader(io.StringIO(result.stdout))
    assert (header[0], first[0], second[0]) == ("'=id", "'=1+1", "-1.5")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("instruction,state\n", "row 1"),
        (HEAD_PREDICT + "CLFLUSHOPT,dirty,much\n", "row 2"),
        (HEAD_PREDICT + "CLFLUSHOPT,dirty,\n", "row 2"),
        (HEAD_PREDICT + "CLFLUSHOPT,dirty,4096\nCLFLUSHOPT,wet,4096\n", "row 3"),
        (HEAD_PREDICT + "CLFLUSHOPT,dirty,-64\n", "row 2"),
        (HEAD_PREDICT + "CLFLUSHOPT,dirty,nan\n", "row 2"),
        (HEAD_PREDICT + "CLFLUSHOPT,dirty,1e30\n", "row 2"),
    ],
)
def test_bad_cells_are_refused_whole(text, place):
    result = predict(text)
    assert result.exit_code != 0 and result.stdout == ""
    assert place in str(result.exception)


@pytest.mark.nightly
def test_calibrate_host_shows_rivals_and_held_out_errors():
    found = json.loads(CliRunner().invoke(cli, ["calibrate", "--host", NAME, "--json"]).stdout)
    assert found["median_error_of_forms"]["interpolation"] < 0.05
    assert {trial["what"] for trial in found["held_out"]} >= {"random cells", "range decades", "a run left out"}
    assert found["parameters"]["line_dirty_s"]["extrapolated"] is False
    text = CliRunner().invoke(cli, ["calibrate", "--host", NAME, "--against", NAME]).stdout
    assert "a repeated measurement" in text and "binomial" in text


def of_catalogue(cells, machine="epyc-9654-2s"):
    result = CliRunner().invoke(cli, ["predict", "--machine", machine, "--cells", "-"], input=HEAD_PREDICT + cells)
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_what_the_caches_of_a_catalogued_machine_do_not_hold_is_absent_and_the_note_says_so():
    """33 MiB are held: of 1 GiB that was written before, nearly all is in memory again, as in the probe of a host."""
    inside, beyond, absent = of_catalogue(
        "CLFLUSHOPT,dirty,1048576\nCLFLUSHOPT,dirty,1073741824\nCLFLUSHOPT,absent,1073741824\n"
    )
    assert inside["note"].endswith("slope of dirty lines") and absent["note"].endswith("slope of absent lines")
    assert beyond["note"].endswith("slope of 3.2 % dirty and 97 % absent lines")
    assert float(beyond["predicted_ns"]) == pytest.approx(float(absent["predicted_ns"]), rel=0.2)
    per_line = {id(row): float(row["slope_ns_per_line"]) for row in (inside, beyond, absent)}
    low, high = sorted((per_line[id(inside)], per_line[id(absent)]))
    assert low <= per_line[id(beyond)] <= high
