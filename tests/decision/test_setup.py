"""What a guest's setup does to the answer: triggers that cannot happen, ceilings, mistakes, and the change worth a
patch.
"""

import pytest

from costmodel.cost.scenario import scenario
from costmodel.decision.choice import candidates
from costmodel.decision.views import view
from costmodel.evidence.store import load
from costmodel.report.recommendation import render
from tests.samples import sampled

SCAN, PROTECT, MERGE = "autonuma_prot_none_scan", "ksm_write_protect", "ksm_replace_page"


def flat(text):
    return " ".join(text.split())


def test_ksm_costs_a_sev_guest_under_qemu_nothing_and_the_answer_says_why(answer):
    result = answer("sev", workload="ksm-default")
    assert result.headline.startswith(
        "Nothing to do under this workload: KSM write protection cannot happen here: QEMU"
    )
    assert result.headline_cost.startswith("0: ") and not result.measure_rate and not result.rival_priors
    for row in result.costs:
        if row.trigger in (PROTECT, MERGE):
            assert not row.fires and "QEMU switches mem-merge off" in row.why
            assert row.refused or row.host_cpu_s_per_s.high == 0
    entry = next(e for e in result.policy if e.trigger == PROTECT)
    assert not entry.fires and entry.why in entry.reason
    assert "cannot happen here, costs 0" in flat(render(result))
    assert not any("configuration error" in text for text in result.warnings)


def test_a_mergeable_sev_guest_is_a_configuration_error_with_its_price(answer):
    result = answer("sev", workload="ksm-default", mergeable=True, backing="anon")
    (text,) = [text for text in result.warnings if "configuration error" in text]
    assert "at most" in text and "host CPUs" in text
    fires = {row.trigger: row.fires for row in result.costs}
    assert fires[PROTECT] and not fires[MERGE]
    assert "--mergeable" in result.command and result.scenario["mergeable"] is True


def test_a_ceiling_is_called_one_with_its_floor_and_the_way_to_measure(answer):
    result = answer("sev")
    assert result.headline_cost.startswith("at most ") and ", at least " in result.headline_cost
    assert "that saves at most" in result.headline
    assert "perf stat -e kvm:kvm_unmap_hva_range -p PID_OF_THE_VMM -- sleep 300" in result.measure_rate
    row = next(r for r in result.costs if (r.trigger, r.strategy) == (SCAN, "WBNOINVD_MASK"))
    assert row.rate_per_s.at_most and row.host_cpu_s_per_s.at_most and not row.event_time_s.at_most
    assert row.least_rate_per_s.high <= row.rate_per_s.high
    assert row.least_host_cpu_s_per_s.median < row.host_cpu_s_per_s.median
    shown = flat(render(result))
    assert "Your own rate: perf stat" in shown and "of 256 host CPUs, at least" in shown and "saves at most" in shown


def test_a_measured_rate_is_printed_as_it_is():
    from costmodel.report.record import recommend

    result = recommend("sev", "epyc-7763-2s", rates={"all": (3000, 300)})
    assert "at most" not in result.headline_cost and "at most" not in result.headline
    rates = {r.trigger: r.rate_per_s for r in result.costs if r.rate_per_s is not None}
    assert rates[SCAN].low < 10 < rates[SCAN].high and not rates[SCAN].at_most
    assert rates["numa_or_compaction_migrate"].high == 0
    assert result.command.endswith("--rate all=3000/300")
    assert view(result).scenario.counts == (("all", 3000.0, 300.0),)


def test_pinned_memory_names_the_notifier_as_worth_a_patch(answer):
    assert "no-notifier-for-pinned-ranges" in {a.id for a in answer("sev").worth_patching}
    assert any("goes on to the next range" in text for text in answer("sev").assumptions)
    older = answer("sev", kernel="6.6")
    (item,) = [a for a in older.worth_patching if a.id == "no-notifier-for-pinned-ranges"]
    assert "up to v6.18 it marks pinned huge pages" in item.caveat
    assert not any("next range" in text for text in older.assumptions)
    unpinned = answer("sev", kernel="6.6", pinned=False)
    assert "no-notifier-for-pinned-ranges" not in {a.id for a in unpinned.worth_patching}


@pytest.mark.parametrize("kernel", ["6.6", "6.17", "newest"])
def test_under_ksm_the_scan_is_named_as_worth_a_patch_and_nothing_that_saves_nothing(answer, kernel):
    """KSM cannot happen under QEMU; the scans of NUMA balancing do, though this workload gives them no rate."""
    result = answer("sev", workload="ksm-default", kernel=kernel)
    (item,) = [a for a in result.worth_patching if a.id == "no-notifier-for-pinned-ranges"]
    assert item.saves_cpu_s_per_s is None and "this workload has no such scans" in item.caveat
    for workload in ("ksm-default", "autonuma-default"):
        for item in answer("sev", workload=workload, kernel=kernel).worth_patching:
            assert item.saves_cpu_s_per_s is None or item.saves_cpu_s_per_s.median > 0, item.title
            fires = {row.trigger: row.fires for row in answer("sev", workload=workload, kernel=kernel).costs}
            assert all(fires[trigger] for trigger in item.triggers)


def test_a_count_of_all_events_blames_nobody_and_advises_what_needs_no_cause(answer):
    result = answer("sev", kernel="6.17", rates=(("all", (3000, 300)),))
    assert result.all_events_at == SCAN
    told = flat(render(result))
    assert "lost to events of unknown cause at the hook" in result.headline_cost
    assert "NUMA balancing" not in result.headline + result.headline_cost
    assert "pin the vCPUs" in result.headline
    assert "perf record -g" in result.measure_rate and "--rate TRIGGER=COUNT/300" in result.measure_rate
    assert "nothing is left" not in told and "COST at all events at the hook" in told
    by_id = {one.id: one for one in result.remedies}
    assert by_id["pin-vcpus"].saves_cpu_s_per_s.median > 0
    for name in ("numa-balancing-off", "bind-memory", "hugetlb-backing"):
        assert by_id[name].saves_cpu_s_per_s is None and "the count does not tell" in by_id[name].caveat
    known = answer("sev", kernel="6.17", rates=((SCAN, (3000, 300)),))
    assert known.all_events_at is None and "lost to NUMA balancing scan" in known.headline_cost


def test_no_event_in_the_count_means_nothing_to_do(answer):
    result = answer("sev", kernel="6.17", rates=(("all", (0, 300)),))
    assert result.headline.startswith("Nothing to do at the rate that was counted: no event in 300 s")
    assert "at most 0.006 per second" in result.headline and not result.measure_rate


@pytest.mark.parametrize(
    ("given", "said"), sampled([({"pinned": False}, "not pinned"), ({"mergeable": True}, "mergeable")], 2)
)
def test_what_qemu_never_does_is_called_impossible_with_its_source(answer, given, said):
    (text,) = [text for text in answer("sev", **given).warnings if "no such guest exists" in text]
    assert f"said to be {said}, but under qemu every sev guest is" in text and "QEMU" in text and ".c " in text
    assert not any("no such guest" in text for text in answer("sev", vmm="other", **given).warnings)


@pytest.mark.parametrize("given", [{}, {"backing": "hugetlb"}, {"mempolicy": "bind"}])
def test_what_qemu_does_is_not_called_impossible(answer, given):
    assert not any("no such guest" in text for text in answer("sev", **given).warnings)


def test_a_mergeable_guest_is_told_the_price_whatever_workload_was_asked_for(answer):
    (text,) = [t for t in answer("sev", mergeable=True, backing="anon").warnings if "configuration error" in t]
    assert "once ksmd scans with its defaults that costs at most" in text
    (text,) = [t for t in answer("sev", mergeable=True).warnings if "configuration error" in t]
    assert "that costs nothing here, as the memory is pinned" in text


@pytest.mark.parametrize("given", [{"backing": "hugetlb"}, {"mempolicy": "bind"}])
def test_what_the_scanner_skips_leaves_nothing_of_numa_balancing(answer, given):
    result = answer("sev", **given)
    row = next(r for r in result.costs if (r.trigger, r.strategy) == (SCAN, "WBNOINVD_MASK"))
    assert not row.fires and row.host_cpu_s_per_s.high == 0
    (name, value), *_ = given.items()
    assert f"--{name} {value}" in result.command and view(result).scenario.setup.values[name] == value


@pytest.mark.parametrize(
    ("given", "state"), [({}, "admissible"), ({"pinned": False}, "inadmissible"), ({"vmm": "other"}, "undecided")]
)
def test_whether_memory_is_pinned_decides_about_flushes_of_pinned_pages(given, state):
    """Known of a guest that QEMU registers, or by the user; only assumed under a VMM that no source describes."""
    case = scenario(load(), "sev", "epyc-7763-2s", "autonuma-default", **given)
    found = {c.strategy: c for c in candidates(case, SCAN)}["CLFLUSHOPT_DM_PINNED"]
    assert found.verdict.state == state
    assert not found.offered
