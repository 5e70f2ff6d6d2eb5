"""Who pays, what one tenant can force, how many VMs a host carries."""

from dataclasses import replace

import numpy
import pytest

from costmodel.cost.draws import Case, Draws
from costmodel.cost.event import EventCost
from costmodel.cost.scenario import scenario
from costmodel.cost.total import Total, total
from costmodel.cost.waits import Part, bill, losses
from costmodel.kvm.catalog import STRATEGIES

SCAN, MERGE, DISCARD = "autonuma_prot_none_scan", "ksm_replace_page", "munmap_or_discard"
SHARES = (0.01, 0.10)
FLUSHES = ("WBINVD_ALL", "WBNOINVD_ALL", "WBINVD_MASK", "WBNOINVD_MASK", "CLFLUSHOPT_UVA", "CLFLUSHOPT_DM_PINNED")
WHOLE = [name for name in FLUSHES if STRATEGIES[name].whole_cache]
RANGED = [name for name in FLUSHES if not STRATEGIES[name].whole_cache]


@pytest.fixture(scope="module")
def case(evidence):
    return scenario(evidence, "sev", "epyc-7763-2s", "autonuma-default")


@pytest.fixture(scope="module")
def some(milan):
    return Draws(milan, 256)


def paid(strategy, case, draws, trigger=SCAN):
    cost = total(Case(trigger, case, draws), strategy)
    return cost, bill(cost, case, SHARES)


@pytest.mark.parametrize("name", FLUSHES)
def test_guest_and_everyone_else_pay_what_the_event_takes(name, case, some):
    cost, found = paid(name, case, some)
    assert found.own_s + found.others_s == pytest.approx(cost.event.stolen_s)
    assert numpy.all(found.own_s > 0) and numpy.all(found.others_s >= 0)


@pytest.mark.parametrize("name", RANGED)
def test_a_range_flush_is_paid_by_its_guest_alone(name, case, some):
    _, found = paid(name, case, some)
    assert numpy.all(found.others_s == 0)
    assert numpy.all(found.neighbour_fraction == 0)


def test_a_blast_is_paid_by_the_248_cpus_that_do_not_run_the_guest(case, some):
    """256 CPUs stop for the flush of a guest of 8 vCPUs."""
    cost, found = paid("WBINVD_ALL", case, some)
    assert (case.machine.logical_cpus, case.vcpus) == (256, 8)
    assert found.others_s == pytest.approx(248 * cost.event.irq_off_s + cost.event.neighbours_s)


def test_a_mask_as_large_as_a_pinned_guest_stops_nobody_else(case, some):
    pinned = replace(case, cpus_that_ran=float(case.vcpus))
    cost, found = paid("WBNOINVD_MASK", pinned, some)
    assert found.others_s == pytest.approx(cost.event.neighbours_s), "who shares its memory waits for the write-back"
    assert numpy.all(paid("WBNOINVD_ALL", pinned, some)[1].others_s > 0)


def test_a_guest_with_more_vcpus_than_cpus_pays_all_and_never_gives(case, some):
    large = replace(case, vcpus=2 * case.machine.logical_cpus)
    cost, found = paid("WBINVD_ALL", large, some)
    assert found.others_s == pytest.approx(cost.event.neighbours_s)


@pytest.mark.parametrize("name", FLUSHES)
def test_an_attacker_never_takes_more_cpus_than_the_host_has(name, case, some):
    forced = paid(name, case, some, DISCARD)[1].forced_cpus
    assert numpy.all((forced > 0) & (forced <= case.machine.logical_cpus))


def test_an_attacker_with_a_range_flush_takes_the_one_cpu_it_runs_on_and_fetches_its_lines_again(case, some):
    cost, found = paid("CLFLUSHOPT_UVA", case, some, DISCARD)
    assert found.forced_cpus == pytest.approx(numpy.minimum(cost.event.stolen_s / cost.event.time_s, 256))
    assert numpy.all(found.forced_cpus >= 1) and numpy.median(found.forced_cpus) < 2


def test_an_attacker_with_a_blast_takes_nearly_the_whole_host(case, some):
    assert numpy.median(paid("WBINVD_ALL", case, some, DISCARD)[1].forced_cpus) > 0.7 * case.machine.logical_cpus


def test_a_pinned_mask_bounds_what_an_attacker_takes_by_the_mask(case, some):
    pinned = replace(case, cpus_that_ran=8.0)
    cost, found = paid("WBNOINVD_MASK", pinned, some, DISCARD)
    assert numpy.all(found.forced_cpus <= 8 * (1 + 1e-9) + cost.event.neighbours_s / cost.event.time_s)


def test_what_no_vmm_can_loop_has_no_attacker(case, some):
    for trigger in (SCAN, MERGE):
        assert paid("WBINVD_ALL", case, some, trigger)[1].forced_cpus is None


def test_late_answers_that_count_are_a_flush_over_the_harmonic_number(case, some):
    """The slowest of 255 exponential answers is H_255 = 6.12 times the mean."""
    cost, found = paid("WBINVD_ALL", case, some)
    assert found.late_answer_s == pytest.approx(cost.event.irq_off_s / 6.1203, rel=1e-3)
    assert paid("CLFLUSHOPT_UVA", case, some)[1].late_answer_s is None


@pytest.mark.parametrize("name", FLUSHES)
def test_ten_times_the_vms_lose_ten_times_the_host(name, case, some):
    one, ten = (paid(name, case, some)[1].vms_at[share] for share in SHARES)
    assert ten == pytest.approx(10 * one)


def test_the_vms_lose_the_share_that_they_are_asked_for(case, some):
    cost, found = paid("CLFLUSHOPT_UVA", case, some)
    assert found.vms_at[0.10] * cost.host_cpu_s_per_s == pytest.approx(0.10 * case.machine.logical_cpus)


def test_one_thread_that_serves_all_vms_gives_no_number_of_vms(milan_ksm, some):
    """ksmd is one per host: a second VM does not double its flushes."""
    found = paid("WBINVD_ALL", milan_ksm, some, MERGE)[1]
    assert found.vms_at == {0.01: None, 0.10: None}


def test_without_a_rate_there_is_no_loss_but_still_a_bill(case, some):
    found = paid("WBINVD_ALL", case, some, "numa_or_compaction_migrate")[1]
    assert found.neighbour_fraction is None
    assert found.vms_at == {0.01: None, 0.10: None}
    assert numpy.all(found.others_s > 0)


def test_a_rate_that_a_user_gives_counts_vms_only_for_loops_of_a_vm(case, milan_ksm, some):
    own = paid("WBINVD_ALL", replace(case, rate_per_s=10.0), some, "numa_or_compaction_migrate")[1]
    ksmd = paid("WBINVD_ALL", replace(milan_ksm, rate_per_s=10.0), some, MERGE)[1]
    assert own.vms_at[0.01] is not None
    assert ksmd.vms_at[0.01] is None


@pytest.mark.parametrize("name", WHOLE)
def test_a_neighbour_loses_time_to_a_whole_cache_flush(name, case, some):
    found = paid(name, case, some)[1].neighbour_fraction
    assert numpy.all((found > 0) & (found <= 1))


def test_a_neighbour_loses_more_where_its_lines_are_gone(case, some):
    refills, keeps = (paid(name, case, some)[1].neighbour_fraction for name in ("WBINVD_ALL", "WBNOINVD_ALL"))
    assert numpy.median(refills) > numpy.median(keeps)


def test_what_does_not_flush_has_no_bill(case, some):
    assert paid("NO_FLUSH", case, some)[1] is None
    assert paid("VM_PAGE_FLUSH", case, some)[1] is None


def made(stolen_s):
    stolen = numpy.array([stolen_s])
    event = EventCost(stolen, stolen, numpy.zeros(1), stolen, numpy.zeros(1))
    return Total(DISCARD, "CLFLUSHOPT_UVA", event, stolen, None, False, 256, (), False, None)


def test_what_an_attacker_takes_is_bounded_by_the_host(case):
    """100 ms of CPU time in an event of 10 us would be 10000 CPUs."""
    cost = made(0.1)
    cost = replace(cost, event=replace(cost.event, time_s=numpy.array([1e-5])))
    assert bill(cost, case, SHARES).forced_cpus[0] == case.machine.logical_cpus


@pytest.mark.parametrize(("cpus", "harmonic"), [(1, 1.0), (2, 1.0), (3, 1.5), (4, 1 + 1 / 2 + 1 / 3)])
def test_the_initiator_waits_for_the_other_cpus_of_the_mask_only(cpus, harmonic, case, some):
    small = replace(case, cpus_that_ran=float(cpus))
    cost, found = paid("WBNOINVD_MASK", small, some)
    assert found.late_answer_s == pytest.approx(cost.event.irq_off_s / harmonic, rel=3e-5)


def test_a_neighbour_loses_rate_times_what_a_vcpu_loses(case, some):
    for rate, least in ((1e-3, 0.0), (1e9, 1.0)):
        cost, found = paid("WBINVD_ALL", replace(case, rate_per_s=rate), some)
        assert found.neighbour_fraction == pytest.approx(numpy.minimum(1.0, rate * cost.event.guest_s))
        assert numpy.all(found.neighbour_fraction >= least)


def test_a_draw_without_cost_has_no_bill(case):
    cost = made(0.1)
    some_free = replace(cost, event=replace(cost.event, stolen_s=numpy.array([0.1, 0.0])))
    assert bill(some_free, case, SHARES) is None


def test_a_rate_of_nothing_carries_any_number_of_vms(case, some):
    found = paid("WBINVD_ALL", replace(case, rate_per_s=0.0), some)[1]
    assert found.vms_at == {0.01: None, 0.10: None}


def test_a_trigger_that_the_workload_does_not_pull_carries_no_number_of_vms(case, some):
    found = paid("WBINVD_ALL", replace(case, rate_per_s=10.0), some, "unreg_region")[1]
    assert found.vms_at == {0.01: None, 0.10: None}


# Several guests on one host: what they take adds up, never beyond the host, and a scanner of the host counts once.

SCAN_TOGETHER, PROTECT, FLUSH = "autonuma_prot_none_scan", "ksm_write_protect", "WBNOINVD_MASK"


@pytest.fixture
def sev(evidence):
    return scenario(evidence, "sev", "epyc-7763-2s", "autonuma-default")


def test_one_guest_alone_loses_what_its_total_says(sev, draws):
    (alone,) = losses([Part(1, sev, SCAN_TOGETHER, FLUSH)], draws)
    assert alone == pytest.approx(total(Case(SCAN_TOGETHER, sev, draws), FLUSH).host_cpu_s_per_s, rel=1e-9)


def test_more_guests_lose_more_yet_less_than_each_alone_times_their_number(sev, draws):
    one, four = (losses([Part(n, sev, SCAN_TOGETHER, FLUSH)], draws)[0] for n in (1, 4))
    assert numpy.all(four >= one * (1 - 1e-9))
    assert numpy.all(four <= 4 * one * (1 + 1e-9))


def test_a_mix_is_what_as_many_of_one_kind_lose_where_the_kinds_do_the_same(evidence, sev, draws):
    es = scenario(evidence, "sev-es", "epyc-7763-2s", "autonuma-default")
    mixed = sum(losses([Part(2, sev, SCAN_TOGETHER, FLUSH), Part(3, es, SCAN_TOGETHER, FLUSH)], draws))
    assert mixed == pytest.approx(losses([Part(5, sev, SCAN_TOGETHER, FLUSH)], draws)[0])


def test_together_they_never_lose_more_than_the_host_has(sev, draws):
    parts = losses([Part(5000, sev, SCAN_TOGETHER, FLUSH), Part(5000, sev, SCAN_TOGETHER, FLUSH)], draws)
    assert numpy.max(sum(parts)) <= sev.machine.logical_cpus * (1 + 1e-9)


def test_the_one_ksmd_of_the_host_serves_all_guests(milan_ksm, draws):
    one, ten = (losses([Part(n, milan_ksm, PROTECT, "WBINVD_ALL")], draws)[0] for n in (1, 10))
    assert ten == pytest.approx(one)


def test_no_guest_loses_nothing(draws):
    assert losses([], draws) == []
