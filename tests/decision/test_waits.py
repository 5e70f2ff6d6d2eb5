"""Rows about waiting and paying: which flushes are told, where each hook runs, what has no bound."""

import numpy
import pytest

from costmodel.decision.waits import abuse_rows, bill_rows, compared, hybrid_rows
from costmodel.evidence.store import load
from costmodel.kvm.catalog import STRATEGIES
from costmodel.kvm.kernels import HOOK_PLACEMENTS
from costmodel.report.waits import contention_rows, silence

SCAN, MIGRATE = "autonuma_prot_none_scan", "numa_or_compaction_migrate"


def of(rows, strategy, **wanted):
    found = [r for r in rows if r.strategy == strategy and all(getattr(r, k) == v for k, v in wanted.items())]
    return found[0] if len(found) == 1 else found


@pytest.fixture(scope="module")
def rows(study):
    return contention_rows(study(SCAN, kernel="6.6"))


def test_every_flush_is_told_at_every_placement_once(rows):
    names = dict.fromkeys(row.strategy for row in rows)
    assert [(row.strategy, row.placement) for row in rows] == [(n, p) for n in names for p in HOOK_PLACEMENTS]


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        ("5.18", "after_unlock"),
        ("6.6", "after_unlock"),
        ("6.8", "after_srcu"),
        ("6.12", "after_srcu"),
        ("newest", "after_srcu"),
    ],
)
def test_the_hook_of_each_kernel_is_the_one_that_is_marked(study, kernel, expected):
    """It left SRCU in v6.8 (commits cec29eef0a81, 193bbfaacc84)."""
    assert {row.placement for row in contention_rows(study(SCAN, kernel=kernel)) if row.here} == {expected}


def test_only_a_hook_after_range_end_is_inadmissible(rows):
    assert {row.placement for row in rows if not row.placement_admissible} == {"after_range_end"}
    for row in rows:
        assert (row.verdict == "inadmissible") == (row.placement == "after_range_end")
        assert row.placement != "after_range_end" or "before its flush" in row.note


def test_verdicts_of_the_placements(rows):
    told = {row.placement: row.verdict for row in rows}
    assert told["under_mmu_lock"] == "dominated by after SRCU"
    assert told["after_unlock"] == "dominated by after SRCU, but what this kernel does"
    assert told["after_srcu"] == "cheapest admissible placement"


def test_what_is_dominated_never_waits_less(rows):
    for row in rows:
        best = of(rows, row.strategy, placement="after_srcu")
        if row.placement_admissible:
            assert row.fault_wait_mean_s.median >= best.fault_wait_mean_s.median
            assert row.memslot_wait_mean_s.median >= best.memslot_wait_mean_s.median


def test_faults_meet_the_same_wait_in_srcu_and_after_it(rows):
    told = ("fault_wait_mean_s", "fault_wait_p99_s", "in_progress_fraction", "faults_that_retry_fraction")
    for row in rows:
        if row.placement == "after_unlock":
            after = of(rows, row.strategy, placement="after_srcu")
            assert [getattr(row, name) for name in told] == [getattr(after, name) for name in told]


def test_intervals_are_in_order_and_shares_are_shares(rows):
    for row in rows:
        for name in ("lock_busy_fraction", "in_progress_fraction", "standstill_fraction", "faults_that_retry_fraction"):
            part = getattr(row, name)
            assert 0 <= part.low <= part.median <= part.high <= 1


def test_what_has_no_bound_says_in_how_many_draws(study):
    """1000 events/s saturate where one flush takes more than a millisecond."""
    one = study(MIGRATE, rate_per_s=1000.0)
    row = of(contention_rows(one), "WBINVD_ALL", placement="after_srcu")
    share = float(numpy.mean(one.cost("WBINVD_ALL").event.time_s >= 0.001))
    assert 0.05 < share < 0.95
    assert row.memslot_wait_mean_s is None
    assert row.note == f"saturated in {share:.0%} of the draws: no mean"


def test_a_range_flush_at_the_same_rate_has_a_bound(study):
    row = of(contention_rows(study(MIGRATE, rate_per_s=100.0)), "CLFLUSHOPT_UVA", placement="after_srcu")
    assert row.memslot_wait_mean_s is not None
    assert row.note == ""


def test_the_saturation_rate_of_an_open_trigger_is_one_over_the_event_time(study):
    one = study(MIGRATE, rate_per_s=100.0)
    row = of(contention_rows(one), "WBINVD_ALL", placement="under_mmu_lock")
    assert row.saturation_rate_per_s.median == pytest.approx(1 / numpy.median(one.cost("WBINVD_ALL").event.time_s))


def test_a_trigger_without_a_rate_or_a_notifier_has_no_rows(study):
    assert contention_rows(study(MIGRATE)) == []
    assert contention_rows(study("unreg_region", rate_per_s=100.0)) == []


def test_the_blast_of_the_thread_is_always_among_what_is_compared(study):
    for kernel in ("6.6", "newest"):
        assert "WBINVD_ALL" in [c.strategy for c in compared(study(SCAN, kernel=kernel))]


def test_what_has_no_number_or_does_not_flush_is_not_compared(study):
    names = [c.strategy for c in compared(study(SCAN))]
    assert "VM_PAGE_FLUSH" not in names
    assert all(STRATEGIES[name].instruction != "none" for name in names)


def test_what_the_rules_exclude_is_compared_only_if_it_is_the_blast_of_a_needed_flush(study):
    for one in (study(SCAN), study(SCAN, kernel="6.6"), study(SCAN, guest="tdx", machine="xeon-8570-2s")):
        for candidate in compared(one):
            assert candidate.verdict.label != "no" or (candidate.strategy == "WBINVD_ALL" and candidate.verdict.needed)


@pytest.fixture(scope="module")
def bills(study):
    return bill_rows(study(SCAN), load())


def test_a_bill_adds_up(study, bills):
    one = study(SCAN)
    for row in bills:
        stolen = float(numpy.median(one.cost(row.strategy).event.stolen_s))
        assert row.own_s.median + row.others_s.median == pytest.approx(stolen, rel=0.05)


def test_the_share_of_others_is_that_of_the_cpus_that_do_not_run_the_guest(bills):
    """248 of 256 CPUs, and a broadcast that the guest pays."""
    assert of(bills, "WBINVD_ALL").others_fraction == pytest.approx(248 / 256, abs=0.01)
    assert of(bills, "CLFLUSHOPT_UVA").others_fraction == 0


def test_a_pinned_mask_is_paid_by_the_guest(study):
    found = bill_rows(study(SCAN, cpus_that_ran=8.0), load())
    assert of(found, "WBNOINVD_MASK").others_fraction < 0.5
    assert of(found, "WBNOINVD_ALL").others_fraction > 0.9


def test_the_limits_are_those_of_their_rows_nearest_first(bills):
    found = of(bills, "WBINVD_ALL").limits
    assert [reach.id for reach in found] == ["L04", "L01"]
    assert [reach.limit_s for reach in found] == [load().one("L04").si, load().one("L01").si]


def test_the_initiators_at_the_limit_flush_for_as_long_as_the_limit(study, bills):
    irq_off = numpy.median(study(SCAN).cost("WBINVD_ALL").event.irq_off_s)
    for reach in of(bills, "WBINVD_ALL").limits:
        assert reach.initiators.median * irq_off == pytest.approx(reach.limit_s, rel=0.01)


def test_a_host_has_one_initiator_less_than_cpus(study, bills):
    """256 CPUs: 255 can wait while one of them is the target."""
    irq_off = study(SCAN).cost("WBINVD_ALL").event.irq_off_s
    for reach in of(bills, "WBINVD_ALL").limits:
        assert reach.reach_fraction == pytest.approx(numpy.mean(255 * irq_off >= reach.limit_s))
        assert reach.reach_fraction < 1


def test_a_range_flush_leaves_interrupts_on_and_has_no_limit(bills):
    assert of(bills, "CLFLUSHOPT_UVA").limits == []


def test_without_the_row_of_a_limit_it_is_not_told(study):
    found = of(bill_rows(study(SCAN), load().without("L01")), "WBINVD_ALL")
    assert [reach.id for reach in found.limits] == ["L04"]


def test_an_attack_is_a_loop_that_the_vmm_can_make(study):
    found = abuse_rows([study(SCAN), study("munmap_or_discard"), study("unreg_region")], load())
    assert [row.trigger for row in found] == ["munmap_or_discard", "unreg_region"]
    assert all(row.strategy == "WBNOINVD_MASK" and row.forced_cpus.high <= 256 for row in found)


def test_a_hole_in_a_guest_memfd_has_a_window_of_its_own(study):
    found = contention_rows(study("gmem_punch_hole", guest="sev-snp-gmem", rate_per_s=1e4))
    row = next(r for r in found if r.strategy == "CLFLUSHOPT_DM_GMEM")
    assert (row.placement, row.here, row.lock_busy_fraction.high) == ("gmem_window", True, 0)
    assert row.in_progress_fraction.low > 0
    assert row.fault_wait_mean_s.high > 0
    assert row.memslot_wait_mean_s.high == 0
    assert row.fault_wait_p99_s is None


def test_a_tdx_page_says_which_number_is_missing(study):
    asked = study("gmem_punch_hole", guest="tdx", machine="xeon-8570-2s")
    assert "TDH.PHYMEM.PAGE.WBINVD" in silence(asked, contention_rows(asked))
    assert "under mmu_lock" in silence(asked, contention_rows(asked))


def test_ten_percent_of_the_host_carry_ten_times_the_vms(bills):
    for row in bills:
        assert row.vms_at_ten_percent.median == pytest.approx(10 * row.vms_at_one_percent.median)


def test_hybrids_pair_each_range_flush_with_what_the_kernel_runs(study):
    found = hybrid_rows([study(SCAN)])
    assert {row.ranged for row in found} >= {"CLFLUSHOPT_UVA", "CLFLUSHOPT_DM_SPTE", "CLFLUSHOPT_DM_PINNED"}
    ranged = {c.strategy for c in compared(study(SCAN)) if STRATEGIES[c.strategy].scope == "range"}
    assert {row.ranged for row in found} == ranged and len(found) == len(ranged)
    assert {row.whole for row in found} == {"WBNOINVD_MASK"}
    old = hybrid_rows([study(SCAN, kernel="6.6")])
    assert {row.whole for row in old} == {"WBINVD_ALL"}


def test_the_cap_shrinks_with_the_mask(study):
    wide, narrow = (hybrid_rows([study(SCAN, **changes)])[0] for changes in ({}, {"cpus_that_ran": 8.0}))
    assert narrow.cap_bytes.median < wide.cap_bytes.median / 4


def test_no_hybrid_where_nothing_is_flushed(study):
    assert hybrid_rows([study(SCAN, guest="sev-snp-gmem"), study(SCAN, guest="plain")]) == []


def test_a_hybrid_of_an_unsafe_address_says_so(study):
    found = {row.ranged: row.state for row in hybrid_rows([study(SCAN)])}
    assert found["CLFLUSHOPT_UVA"] == found["CLFLUSHOPT_DM_SPTE"] == "inadmissible"


def test_the_blast_is_marked_as_extrapolated(rows, bills):
    """No timing of WBINVD on any EPYC is public."""
    assert of(rows, "WBINVD_ALL", placement="after_srcu").in_progress_fraction.extrapolated
    assert of(bills, "WBINVD_ALL").others_s.extrapolated
