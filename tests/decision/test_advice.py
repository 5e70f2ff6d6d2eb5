"""What to do now and what to patch: what each saves, and that nothing unsafe is advised."""

import re

import numpy
import pytest

from costmodel.calibration.parameters import parameters_of
from costmodel.cost.draws import Case, Draws, medians
from costmodel.cost.scenario import scenario
from costmodel.decision.advice import _slices, _wrong_within, best_step, drops, worth_measuring
from costmodel.decision.choice import Study
from costmodel.decision.findings import study_all
from costmodel.decision.sensitivity import sensitivities
from costmodel.evidence.store import load
from costmodel.kvm import kernels
from costmodel.kvm.admissibility import judge
from costmodel.kvm.catalog import STRATEGIES, TRIGGERS, triggers_of
from costmodel.kvm.releases import dotted, releases
from costmodel.report import advice as said
from tests.samples import sampled

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
@pytest.mark.parametrize("workload", sampled(["ksm-default", "teardown", "idle"], 2))
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


# Upgrade advice over all versions: what is named exists, is newer, and mends what it is said to mend.

MOVE = TRIGGERS["intra_host_migration_move_ctx"].title
IDS = {trigger.title: id for id, trigger in TRIGGERS.items()}
MINORS = {5: range(11, 20), 6: range(20), 7: range(4)}
AROUND = [(6, 18, level) for level in (54, 55, 56)] + [(7, 2, level) for level in (8, 9, 10)]
"""Patch levels around the backports that the fixture `mended` takes as released."""
VERSIONS = sorted(
    {(major, minor, 0) for major, minors in MINORS.items() for minor in minors} | set(AROUND) | {(5, 15, 70)}
)


def studies_of(case, draws):
    return [Study(trigger, case, draws) for trigger in triggers_of(case.guest)]


@pytest.fixture(scope="module")
def draws():
    return Draws(parameters_of(load(), "epyc-7763-2s"), 4)


@pytest.fixture(scope="module")
def advised(draws):
    """The upgrade from a version, with the scenario."""

    def find(guest, version):
        name = version if isinstance(version, str) else dotted(version)
        case = scenario(load(), guest, "epyc-7763-2s", "autonuma-default", name)
        found = said.step(best_step(studies_of(case, draws)))
        return case, found[0] if found else None

    return find


@pytest.mark.parametrize("guest", sampled(["sev", "sev-es", "sev-snp", "plain", "sev-snp-gmem"], 3))
@pytest.mark.usefixtures("mended")
def test_each_upgrade_exists_is_newer_and_mends_what_it_names(guest, advised, draws):
    seen = {release.name: release.version for release in releases()}
    named = 0
    for version in VERSIONS:
        case, advice = advised(guest, version)
        if advice is None:
            continue
        where = (guest, version, advice.title)
        assert "-rc" not in advice.title, where
        target = re.search(r"\d+\.\d+\.\d+", advice.title)
        if advice.kind == "guest":
            assert target is None or seen[target[0]] > case.release, where
            continue
        named += 1
        assert advice.status.startswith("released"), where
        assert seen[target[0]] > case.release, where
        there = {s.trigger.id: s for s in studies_of(case.on(target[0]), draws)}
        told = advice.caveat.partition("needed for correctness: this kernel can lose a flush at ")[2].partition(";")[0]
        mended = [IDS[title] for title in told.split(", ") if title]
        for trigger in mended:
            assert there[trigger].chosen is not None and not there[trigger].unsafe_running, (where, trigger)
        here = {s.trigger.id: s for s in studies_of(case, draws)}
        unsafe = {t for t, s in here.items() if s.unsafe_running}
        assert set(mended) == {t for t in unsafe if there[t].chosen}, where
        assert not {t for t, s in there.items() if s.unsafe_running} - unsafe, where
    assert named or guest in ("plain", "sev-snp", "sev-snp-gmem")


@pytest.mark.parametrize(
    ("version", "expected"),
    [("6.8", "6.18.55"), ("6.12.112", "6.18.55"), ("6.17", "6.18.55"), ("6.18.54", "6.18.55"), ("6.19", "7.2.9")],
)
@pytest.mark.usefixtures("mended")
def test_the_flush_of_a_moved_guest_is_where_a_release_has_it(version, expected, advised):
    """v6.17, once named for it, lacks it as well."""
    _, advice = advised("sev", version)
    assert advice.title == f"Upgrade the host kernel to {expected} or a later {expected.rpartition('.')[0]}.y"
    assert MOVE in advice.caveat and advice.caveat.startswith("needed for correctness")


@pytest.mark.parametrize("version", ["6.8", "6.12.112"])
def test_what_no_release_mends_is_said_and_no_release_is_named_for_it(version, advised):
    """6.18.55 and 7.2.9 have the first half of that fix only; the second is queued (data/kvm/backports.csv)."""
    _, advice = advised("sev", version)
    assert advice.title == "Upgrade the host kernel to 6.18.55 or a later 6.18.y"
    assert f"no release that was seen mends {MOVE}" in advice.caveat and "needed for correctness" not in advice.caveat


@pytest.mark.parametrize("version", ["6.17", "6.18.55", "7.2.9"])
def test_a_kernel_that_no_release_betters_is_left_alone(version, advised):
    assert advised("sev", version)[1] is None


@pytest.mark.usefixtures("mended")
@pytest.mark.parametrize("version", ["6.18.55", "6.18.60", "7.2.9", "newest"])
def test_a_kernel_that_has_all_fixes_is_left_alone(version, advised):
    assert advised("sev", version)[1] is None


@pytest.mark.usefixtures("mended")
def test_the_first_kernels_are_not_led_to_one_that_loses_other_flushes(advised):
    """6.12 flushes at invalidations, and moves guests without a flush: 5.11 could not move them."""
    _, advice = advised("sev", "5.11")
    assert "6.18.55" in advice.title
    assert kernels.resolve("6.12.112") != kernels.resolve("6.18.55")


# What to measure next: the drop of P(wrong) is what knowing the parameters would give.


@pytest.fixture(scope="module")
def studies():
    evidence = load()
    parameters = parameters_of(evidence, "epyc-7763-2s")
    case = scenario(evidence, "sev-snp-gmem", "epyc-7763-2s", "teardown")
    return parameters, {study.trigger.id: study for study in study_all(evidence, case, parameters)}


def test_knowing_what_decides_leaves_nothing_wrong():
    position = (numpy.arange(4096) + 0.5) / 4096
    best = (position > 0.5).astype(int)
    assert _wrong_within(best, (position * 16).astype(int)) == 0
    assert _wrong_within(best, numpy.zeros(4096, dtype=int)) == pytest.approx(0.5)


def test_slices_are_equally_full():
    for names in (["a"], ["a", "b"], ["a", "b", "c"]):
        counts = numpy.bincount(_slices(names, 4096))
        assert len(counts) == 64
        assert counts.min() > 0.3 * counts.mean()


def test_drops_are_between_nothing_and_all_of_it(studies):
    parameters, by_trigger = studies
    found = drops(by_trigger["gmem_free_folio_teardown"], parameters)
    assert found
    for drop in found:
        assert 0 <= drop.then <= drop.now < 1
    assert found == sorted(found, key=lambda drop: drop.then)
    assert any(drop.measurement.startswith("time WBINVD") for drop in found)


def test_a_choice_by_rule_measures_for_the_cost_only(studies):
    parameters, by_trigger = studies
    study = by_trigger["unreg_region"]
    assert drops(study, parameters) == []
    ranked = sensitivities(Case(study.trigger.id, study.scenario, medians(parameters)), study.chosen.strategy)
    found = worth_measuring(study, parameters, ranked)
    assert found and set(found.values()) == {None}
    assert all("narrows the cost, not the choice" in text for text in said.measurements(found, extrapolated=False))
    assert worth_measuring(None, parameters, []) == {}
