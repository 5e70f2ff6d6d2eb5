"""What to do now and what to patch: what each saves, and that nothing unsafe is advised."""

import pytest

from costmodel.kvm.admissibility import judge
from costmodel.kvm.strategies import STRATEGIES

MERGED = {"vmm": "other", "pinned": False, "mergeable": True}
"""A set-up in which KSM has something to merge; under QEMU it has nothing."""


def losses(result, triggers):
    """Median host CPUs lost at `triggers` under the strategy that runs there."""
    running = {e.trigger: e.strategy for e in result.policy}
    return sum(
        row.host_cpu_s_per_s.median
        for row in result.costs
        if row.trigger in triggers and row.strategy == running[row.trigger] and row.host_cpu_s_per_s is not None
    )


@pytest.mark.parametrize("workload", ["ksm-default", "ksm-aggressive", "autonuma-default"])
def test_no_remedy_saves_more_than_is_lost(answer, workload):
    result = answer("sev", workload=workload, **MERGED)
    assert result.remedies
    for remedy in result.remedies:
        if remedy.saves_cpu_s_per_s is not None:
            assert 0 < remedy.saves_cpu_s_per_s.median <= 1.05 * losses(result, remedy.triggers)


def test_a_remedy_that_saves_nothing_is_not_advised(answer):
    """Eight vCPUs on four CPUs: pinning leaves the mask as it is."""
    result = answer("sev", machine="epyc-genoa-4cpu-vm", workload="ksm-default", **MERGED)
    assert all("in the vcpus" not in remedy.title.lower() for remedy in result.remedies)
    assert any("pin the vcpus" in r.title.lower() for r in answer("sev", workload="ksm-default", **MERGED).remedies)


def test_of_remedies_with_a_number_the_largest_saving_comes_first(answer):
    saved = [r.saves_cpu_s_per_s.median for r in answer("sev", workload="ksm-default").remedies if r.saves_cpu_s_per_s]
    assert saved == sorted(saved, reverse=True)


@pytest.mark.parametrize("guest", ["sev", "sev-es", "sev-snp-gmem"])
@pytest.mark.parametrize("workload", ["ksm-default", "teardown", "idle"])
def test_what_is_worth_patching_can_be_safe_and_is_cheaper(answer, guest, workload):
    result = answer(guest, workload=workload)
    running = {e.trigger: e.strategy for e in result.policy}
    rows = {(r.trigger, r.strategy): r for r in result.costs}
    assert workload == "ksm-default" or {patch.id for patch in result.worth_patching} <= set(STRATEGIES)
    for patch in (patch for patch in result.worth_patching if patch.id in STRATEGIES):
        for trigger in patch.triggers:
            assert judge(guest, trigger, patch.id).label != "no"
            patched, today = rows[trigger, patch.id], rows[trigger, running[trigger]]
            assert patched.state != "inadmissible"
            assert patched.stolen_cpu_s_per_event.median < today.stolen_cpu_s_per_event.median


def test_what_the_newest_kernel_does_is_no_patch(answer):
    result = answer("sev", kernel="6.6")
    assert "WBNOINVD_MASK" not in {patch.id for patch in result.worth_patching}
    assert any(advice.kind == "upgrade" for advice in result.do_now)


def test_an_unsafe_kernel_is_told_to_upgrade_for_correctness(answer):
    result = answer("sev", kernel="5.11")
    upgrade = next(a for a in result.do_now if a.kind == "upgrade")
    assert upgrade.caveat.startswith("needed for correctness")
    assert result.headline.startswith(upgrade.title)


def test_the_newest_kernel_has_no_upgrade(answer):
    assert not [a for a in answer("sev").do_now if a.kind in ("upgrade", "guest")]


def test_pinning_shrinks_the_mask_and_the_upgrade_needs_it(answer):
    """Unpinned the mask holds every CPU, so the masked flush costs as much as the one on all CPUs."""
    rows = {r.strategy: r for r in answer("sev").costs if r.trigger == "autonuma_prot_none_scan"}
    unpinned = rows["WBNOINVD_MASK"].stolen_cpu_s_per_event.median
    assert unpinned == pytest.approx(rows["WBNOINVD_ALL"].stolen_cpu_s_per_event.median)
    pinned = {r.strategy: r for r in answer("sev", cpus_that_ran=8).costs if r.trigger == "autonuma_prot_none_scan"}
    assert pinned["WBNOINVD_MASK"].stolen_cpu_s_per_event.median < 0.2 * unpinned


def test_every_advice_has_a_source_and_a_status(answer):
    result = answer("sev", workload="ksm-default", kernel="6.6")
    for advice in (*result.do_now, *result.worth_patching):
        assert advice.title and advice.source and advice.status


def test_a_patch_carries_its_state_on_the_list(answer):
    for patch in answer("sev").worth_patching:
        known = STRATEGIES.get(patch.id)
        assert patch.status == known.list_status if known else "not merged" in patch.status


def test_remedies_are_ranked_by_what_is_left_after_each(answer):
    result = answer("sev", workload="ksm-default", **MERGED)
    left = [r.left_cpu_s_per_s.median for r in result.remedies if r.left_cpu_s_per_s]
    assert len(left) > 1 and left == sorted(left)
    everything = losses(result, {e.trigger for e in result.policy if e.strategy})
    for remedy in result.remedies:
        if remedy.left_cpu_s_per_s is not None:
            assert remedy.left_cpu_s_per_s.median + remedy.saves_cpu_s_per_s.median == pytest.approx(
                everything, rel=0.2
            )
    stops_all = next(r for r in result.remedies if r.id == "no-ksm")
    assert stops_all.left_cpu_s_per_s.high == 0


def test_a_bound_guest_may_span_nodes(answer):
    """task_numa_work() tests MPOL_F_MOF, not how many nodes a policy names."""
    bound = next(r for r in answer("sev").remedies if r.id == "bind-memory")
    assert "or several, or interleaved" in bound.title and "must fit into the node" not in bound.caveat
