"""recommend --json: what it says must be possible now, sourced, and consistent with itself."""

import json

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.kvm import kernels
from costmodel.kvm.placements import PLACEMENTS
from costmodel.kvm.strategies import STRATEGIES
from costmodel.kvm.triggers import TRIGGERS, triggers_of

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


@pytest.fixture(scope="module")
def answers():
    found = {}
    for name, values in CASES.items():
        options = zip(("--guest", "--machine", "--workload", "--kernel"), values, strict=True)
        result = CliRunner().invoke(cli, ["recommend", *(word for pair in options for word in pair), "--json"])
        assert result.exit_code == 0, result.output
        found[name] = json.loads(result.stdout)
    return found


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
    regrets = [entry["regret"] for answer in answers.values() for entry in answer["policy"] if entry["regret"]]
    assert len(regrets) > 3
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
        merged = strategy.first_version and kernels.KERNEL_RANGES.index(
            kernels.resolve(strategy.first_version)
        ) <= kernels.KERNEL_RANGES.index(answer["kernel"])
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
    for answer in answers.values():
        if any(entry["extrapolated"] for entry in answer["policy"]):
            assert answer["extrapolated"]


def test_a_guest_that_cannot_run_there_is_told_so():
    words = ["recommend", "--guest", "tdx", "--machine", "epyc-7763-2s", "--json"]
    answer = json.loads(CliRunner().invoke(cli, words).stdout)
    assert not answer["applicable"] and answer["not_applicable_reason"]
    assert answer["policy"] == [] and answer["costs"] == []
