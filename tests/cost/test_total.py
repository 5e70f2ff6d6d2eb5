"""How often a trigger fires, against the loop's own balance of time."""

from dataclasses import replace

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.cost.draws import Case, Draws, medians
from costmodel.cost.event import EventCost, mixed_cost
from costmodel.cost.scenario import AXES, scenario
from costmodel.cost.total import Total, distances, event_rate, is_closed, least_rate, ranges_per_pass, stock, total
from costmodel.errors import BadInput, UnknownName
from costmodel.formulas.compiled import value
from costmodel.kvm.catalog import STRATEGIES
from costmodel.report.record import recommend
from tests.samples import examples, sampled
from tests.simulation.samples import NumaScan
from tests.simulation.samples import simulate_numa as simulate

BLAST = STRATEGIES["WBINVD_ALL"]
SCAN, MERGE, PROTECT = "autonuma_prot_none_scan", "ksm_replace_page", "ksm_write_protect"


@pytest.fixture(scope="module")
def at(milan):
    return medians(milan)


def test_a_rate_that_is_set_is_the_rate(milan_ksm, at):
    set_rate = replace(milan_ksm, rate_per_s=7)
    assert event_rate(Case(MERGE, set_rate, at), BLAST) == numpy.full(1, 7.0)
    assert event_rate(Case("unreg_region", set_rate, at), BLAST) == numpy.full(1, 7.0)


def test_ksmd_spends_a_cycle_on_sleep_and_on_the_flushes_of_both_its_triggers(milan_ksm, at):
    load = milan_ksm.load(MERGE)
    flush_s = {t: float(mixed_cost(Case(t, milan_ksm, at), BLAST)[0].time_s[0]) for t in (MERGE, PROTECT)}
    cycle_s = load.sleep_s.si + sum(milan_ksm.load(t).events_per_cycle.si * flush_s[t] for t in flush_s)
    assert float(event_rate(Case(MERGE, milan_ksm, at), BLAST)[0]) == pytest.approx(load.events_per_cycle.si / cycle_s)


def test_another_thread_takes_nothing_of_the_cycle(milan_ksm, at):
    alone = [replace(t, thread=f"{t.thread}-{t.trigger}") for t in milan_ksm.workload.triggers]
    apart = replace(milan_ksm, workload=replace(milan_ksm.workload, triggers=tuple(alone)))
    load = milan_ksm.load(MERGE)
    flush_s = float(mixed_cost(Case(MERGE, milan_ksm, at), BLAST)[0].time_s[0])
    expected = load.events_per_cycle.si / (load.sleep_s.si + load.events_per_cycle.si * flush_s)
    assert float(event_rate(Case(MERGE, apart, at), BLAST)[0]) == pytest.approx(expected)


def test_numa_balancing_scans_once_per_period_or_as_often_as_its_threads_may(evidence, at):
    case = scenario(evidence, "sev", "epyc-7763-2s", "autonuma-default", pinned=False)
    load = case.load(SCAN)
    tunable = {name: number.si for name, number in load.tunables.items()}
    passes = -(-case.resident_bytes // tunable["numa_scan_size_bytes"])
    shortest = tunable["numa_scan_size_bytes"] / tunable["numa_max_scan_window_bytes_per_s"]
    period_s = max(shortest, tunable["numa_scan_period_min_s"] / passes)
    flush_s = float(mixed_cost(Case(SCAN, case, at), BLAST)[0].time_s[0])
    turn_s = (period_s + tunable["numa_limiter_factor"] * flush_s) / case.vcpus
    expected = load.event_fraction.si / max(period_s, turn_s)
    assert float(event_rate(Case(SCAN, case, at), BLAST)[0]) == pytest.approx(expected)


def test_what_nobody_counted_has_no_rate(evidence, milan_ksm, at):
    assert event_rate(Case("unreg_region", scenario(evidence, "sev", "epyc-7763-2s", "ksm-default"), at), BLAST) is None
    boot = scenario(evidence, "sev", "epyc-7763-2s", "vm-boot")
    assert {load.loop for load in boot.workload.triggers} == {"once"}
    assert all(event_rate(Case(load.trigger, boot, at), BLAST) is None for load in boot.workload.triggers)
    moved = scenario(evidence, "sev", "epyc-7763-2s", "compaction-thp")
    assert event_rate(Case("numa_or_compaction_migrate", moved, at), BLAST) is None


def test_only_a_trigger_that_waits_for_its_own_flush_is_closed(evidence, milan_ksm):
    assert is_closed(milan_ksm, MERGE)
    assert is_closed(scenario(evidence, "sev", "epyc-7763-2s", "autonuma-default"), SCAN)
    assert not is_closed(replace(milan_ksm, rate_per_s=7.0), MERGE)
    assert not is_closed(milan_ksm, "unreg_region")
    assert not is_closed(scenario(evidence, "sev", "epyc-7763-2s", "vm-boot"), SCAN)


def test_a_rate_of_one_trigger_leaves_the_others_alone(evidence, at):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default", rates={"unreg_region": 3, MERGE: 7})
    plain = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default")
    assert event_rate(Case("unreg_region", case, at), BLAST) == numpy.full(1, 3.0)
    assert event_rate(Case(MERGE, case, at), BLAST) == numpy.full(1, 7.0)
    assert not is_closed(case, MERGE) and is_closed(case, PROTECT)
    assert event_rate(Case(PROTECT, case, at), BLAST) == event_rate(Case(PROTECT, plain, at), BLAST)
    assert case.number_words == ["--rate", "ksm_replace_page=7", "--rate", "unreg_region=3"]


def test_a_rate_that_somebody_measured_is_no_gap(evidence):
    asked = ("sev", "epyc-7763-2s", "compaction-thp")
    trigger = "numa_or_compaction_migrate"
    gap = [text for text in recommend(*asked).gaps if "rate of" in text]
    left = [text for text in recommend(*asked, rates={trigger: 2}).gaps if "rate of" in text]
    assert len(left) == len(gap) - 1


ASKED = ("sev", "epyc-7763-2s", "autonuma-default")


@pytest.mark.parametrize(("flush_s", "per_s"), [(0.010, 24.0), (0.002, 80.0)])
def test_a_scan_of_pinned_memory_walks_eight_ranges_a_pass(evidence, flush_s, per_s):
    """8 vCPUs: 24 flushes a second of 10 ms each, 80 of 2 ms (task_numa_work() by hand)."""
    case = scenario(evidence, *ASKED, "7.1")
    assert ranges_per_pass(case.load(SCAN), case) == 8
    rate = value(
        "numa_rate",
        event_fraction=1.0,
        flushes_per_pass=8.0,
        numa_scan_period_s=0.1,
        numa_limiter_factor=32.0,
        vcpus=8,
        event_flush_s=flush_s,
    )
    assert float(rate) == pytest.approx(per_s, rel=0.01)


def test_a_small_guest_has_fewer_ranges_than_a_pass_may_skip(evidence):
    small = scenario(evidence, *ASKED, "7.1", resident_bytes=3 * 2**28)
    assert ranges_per_pass(small.load(SCAN), small) == 3


@pytest.mark.parametrize("kernel", ["6.6", "6.12.61", "6.18"])
def test_before_v6_19_huge_pages_take_their_hint_and_end_the_pass(evidence, kernel):
    case = scenario(evidence, *ASKED, kernel)
    assert ranges_per_pass(case.load(SCAN), case) == 1
    of_4k = scenario(evidence, *ASKED, kernel, backing="anon")
    assert ranges_per_pass(of_4k.load(SCAN), of_4k) == 8


def test_the_floor_is_one_range_per_longest_period(evidence, at):
    """60 passes of 256 MiB in 60 s, a pass a second, of which each of 8 vCPUs can delay one by two turns."""
    case = scenario(evidence, *ASKED)
    assert float(least_rate(Case(SCAN, case, at), STRATEGIES["NO_FLUSH"])[0]) == pytest.approx(1 / (1 + 2 / 8))
    assert float(event_rate(Case(SCAN, case, at), STRATEGIES["NO_FLUSH"])[0]) == pytest.approx(80.0)


def test_no_floor_lies_above_its_ceiling(evidence, milan_ksm, at):
    for case in (scenario(evidence, *ASKED), scenario(evidence, *ASKED, vcpus=1, resident_bytes=2e8), milan_ksm):
        for load in case.workload.triggers:
            least = least_rate(Case(load.trigger, case, at), BLAST)
            if least is not None:
                assert numpy.all(least <= event_rate(Case(load.trigger, case, at), BLAST) * (1 + 1e-12))


def test_what_was_measured_has_no_floor(evidence, at):
    assert least_rate(Case(SCAN, scenario(evidence, *ASKED, rates={SCAN: 3.0}), at), BLAST) is None
    assert not total(Case(SCAN, scenario(evidence, *ASKED, rates={SCAN: 3.0}), at), "WBINVD_ALL").at_most
    assert total(Case(SCAN, scenario(evidence, *ASKED), at), "WBINVD_ALL").at_most


@pytest.mark.parametrize("given", [{"backing": "hugetlb"}, {"mempolicy": "bind"}, {"mempolicy": "interleave"}])
def test_a_trigger_that_cannot_happen_costs_nothing_and_says_why(evidence, at, given):
    found = total(Case(SCAN, scenario(evidence, *ASKED, **given), at), "WBINVD_ALL")
    assert numpy.all(found.host_cpu_s_per_s == 0) and found.never and not found.at_most
    measured = total(Case(SCAN, scenario(evidence, *ASKED, rates={SCAN: 2.0}, **given), at), "WBINVD_ALL")
    assert numpy.all(measured.host_cpu_s_per_s > 0) and not measured.never


def test_merges_and_collapses_end_with_the_guest(evidence, at):
    merges = scenario(evidence, "plain", "epyc-7763-2s", "ksm-default", resident_bytes=16 * 4096)
    assert stock(merges, MERGE) == 16 and stock(merges, PROTECT) is None
    per_cycle = float(event_rate(Case(MERGE, merges, at), STRATEGIES["NO_FLUSH"])[0]) * merges.load(MERGE).sleep_s.si
    assert per_cycle == pytest.approx(16)
    assert stock(scenario(evidence, "plain", "epyc-7763-2s", "compaction-thp"), "thp_collapse") == -(-16e9 // 2**21)


def test_a_count_is_a_rate_with_its_poisson_interval(evidence, draws):
    case = scenario(evidence, *ASKED, rates={SCAN: (100, 50)})
    rate = event_rate(Case(SCAN, case, draws), BLAST)
    assert numpy.median(rate) == pytest.approx(2.0, rel=0.01)
    assert numpy.quantile(rate, [0.05, 0.95]) == pytest.approx([2 - 0.33, 2 + 0.33], abs=0.03)
    none = event_rate(Case(SCAN, scenario(evidence, *ASKED, rates={SCAN: (0, 50)}), draws), BLAST)
    assert 0 < numpy.quantile(none, 0.95) < 3 / 50
    assert case.number_words == ["--rate", f"{SCAN}=100/50"]


def test_all_events_at_the_hook_are_taken_once(evidence, at):
    case = scenario(evidence, *ASKED, rates={"all": 12.0})
    taken = {t: event_rate(Case(t, case, at), BLAST) for t in (SCAN, "numa_or_compaction_migrate", "munmap_or_discard")}
    assert {trigger: float(rate[0]) for trigger, rate in taken.items()} == {
        SCAN: 12.0,
        "numa_or_compaction_migrate": 0.0,
        "munmap_or_discard": 0.0,
    }
    assert event_rate(Case("unreg_region", case, at), BLAST) is None
    moved = scenario(evidence, *ASKED, rates={"all": 12.0}, backing="hugetlb")
    assert float(event_rate(Case("numa_or_compaction_migrate", moved, at), BLAST)[0]) == 12.0


@pytest.mark.parametrize("count", [(-1, 5), (3, 0), (3, float("inf")), (float("nan"), 1)])
def test_a_count_that_cannot_be_is_refused(evidence, count):
    with pytest.raises(BadInput, match="cannot be"):
        scenario(evidence, *ASKED, rates={"all": count})


def test_a_rate_of_an_unknown_trigger_names_those_that_are(evidence):
    with pytest.raises(UnknownName, match="all"):
        scenario(evidence, *ASKED, rates={"al": 1.0})


USERS = [
    pytest.param(n, p, t, marks=pytest.mark.nightly if n * p > 8 else ())
    for n in (2, 4, 8, 16, 64)
    for p in (0.1, 0.25, 1.0)
    for t in (0.0005, 0.002, 0.005, 0.013, 0.03, 0.1)
]
"""Many vCPUs with long periods take minutes to simulate: these are nightly."""


@pytest.mark.parametrize(("vcpus", "period_s", "pass_s"), sampled(USERS, 15))
def test_the_ceiling_of_numa_balancing_is_one_and_errs_by_two_turns_at_most(vcpus, period_s, pass_s):
    """A thread that loses its turn waits a period more: the passes of 8 vCPUs, 0.1 s and 13 ms come 13 % later. What
    the answer prints as the floor of a rate has that in it.
    """
    setting = NumaScan(vcpus, period_s, pass_s)
    seen = simulate(setting, 1)["passes_per_s"].value
    known = {
        "event_fraction": 1.0,
        "flushes_per_pass": 1.0,
        "numa_scan_period_s": period_s,
        "numa_limiter_factor": 32.0,
        "vcpus": vcpus,
        "event_flush_s": pass_s,
    }
    floor, ceiling = (float(value(name, **known)) for name in ("numa_rate_at_least", "numa_rate"))
    assert floor <= seen <= ceiling * 1.001
    assert 1 / seen <= 1 / ceiling + 2 * (period_s + setting.tick_s) / vcpus


# Totals: closed loops slow themselves down, open rates saturate, unknown terms refuse.


def test_ksm_never_flushes_all_the_time(milan_ksm, draws):
    """Two triggers of one thread: each has at most half of the share 200 T / (0.020 + 200 T), where T is the
    time of a flush, 200 the pages of a batch of both triggers together and 0.020 s the sleep between batches.
    """
    for trigger in ("ksm_write_protect", "ksm_replace_page"):
        share = total(Case(trigger, milan_ksm, draws), "WBINVD_ALL").in_progress_fraction
        assert numpy.all(share < 0.5)
        assert numpy.median(share) > 0.45


def test_a_closed_loop_slows_down_where_a_flush_takes_longer(milan_ksm, draws):
    slow = total(Case("ksm_replace_page", milan_ksm, draws), "WBINVD_ALL")
    fast = total(Case("ksm_replace_page", milan_ksm, draws), "CLFLUSHOPT_DM_SPTE")
    assert numpy.all(slow.rate_per_s < fast.rate_per_s)
    assert slow.closed and fast.closed


def test_ksm_with_no_flush_reaches_the_ceiling_of_its_tunables(milan_ksm, draws):
    """100 pages per 20 ms of sleep (kernel defaults) are 5000 events of each kind per second."""
    assert total(Case("ksm_replace_page", milan_ksm, draws), "NO_FLUSH").rate_per_s == pytest.approx(5000)


@settings(max_examples=examples(25), deadline=None)
@given(st.floats(0.01, 1.0))
def test_a_smaller_event_fraction_never_costs_more(evidence, milan, fraction):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default", event_fraction=fraction)
    full = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default")
    at = medians(milan)
    part, whole = (total(Case("ksm_replace_page", c, at), "WBINVD_ALL").host_cpu_s_per_s for c in (case, full))
    assert part <= whole * (1 + 1e-9)


def test_an_event_fraction_of_zero_costs_nothing(evidence, milan):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default", event_fraction=0.0)
    assert total(Case("ksm_replace_page", case, medians(milan)), "WBINVD_ALL").host_cpu_s_per_s == 0


def test_a_trigger_without_a_published_rate_has_no_loss_per_second(evidence, draws):
    case = scenario(evidence, "sev", "epyc-7763-2s", "compaction-thp")
    cost = total(Case("numa_or_compaction_migrate", case, draws), "WBNOINVD_MASK")
    assert cost.rate_per_s is None and cost.host_cpu_s_per_s is None
    assert cost.event is not None


def test_an_open_rate_saturates_at_one_over_the_event_time(milan_ksm, draws):
    case = AXES["rate_per_s"].at(milan_ksm, 1e5)
    cost = total(Case("ksm_replace_page", case, draws), "WBINVD_ALL")
    assert not cost.closed
    assert numpy.allclose(cost.saturation_rate_per_s, 1 / cost.event.time_s)
    assert numpy.allclose(cost.host_cpu_s_per_s, numpy.minimum(1e5 * cost.event.stolen_s, 256))
    assert numpy.median(cost.host_cpu_s_per_s) == 256


def test_the_share_of_numa_scans_stays_under_the_limiter(evidence, draws):
    """N16: a task sleeps 32 times what it spent, so a pass takes at most 1/32 of each vCPU."""
    case = scenario(evidence, "sev", "epyc-7763-2s", "autonuma-default")
    cost = total(Case("autonuma_prot_none_scan", case, draws), "WBINVD_ALL")
    assert numpy.all(cost.rate_per_s * cost.event.time_s <= case.vcpus / 32 * 1.001)


def test_an_unknown_term_refuses_the_total_and_names_the_gap(milan_ksm, draws):
    cost = total(Case("ksm_replace_page", milan_ksm, draws), "VM_PAGE_FLUSH")
    assert cost.event is None
    assert "VM_PAGE_FLUSH" in cost.refused


def test_a_host_without_its_memory_bandwidth_is_refused(evidence):
    from costmodel.calibration.parameters import parameters_of

    case = scenario(evidence, "plain", "xeon-5520-2s", "ksm-default")
    cost = total(Case("ksm_replace_page", case, Draws(parameters_of(evidence, "xeon-5520-2s"))), "WBINVD_ALL")
    assert "Gold 5520" in cost.refused


def test_two_machines_that_differ_in_the_cache_differ_in_cost(evidence, milan):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default")
    larger = replace(case, machine=replace(case.machine, llc_bytes_per_domain=2 * case.machine.llc_bytes_per_domain))
    at = medians(milan)
    one, other = (total(Case("ksm_replace_page", c, at), "WBINVD_ALL").event.stolen_s for c in (case, larger))
    assert other > one


def made(strategy, time_s, rate, *, closed=False, guest_s=0.25):
    time = numpy.asarray(time_s, float)
    event = EventCost(time, 3 * time, 0.5 * time, numpy.full_like(time, guest_s), 0 * time)
    rates = None if rate is None else numpy.full_like(time, rate)
    return Total("munmap_or_discard", strategy, event, time, rates, closed, 4, (), False, None)


def test_a_guest_stands_still_for_rate_times_what_a_vcpu_loses():
    assert made("WBINVD_ALL", [0.1], 2.0).guest_stall_fraction == 0.5
    assert made("WBINVD_ALL", [0.1], 8.0).guest_stall_fraction == 1
    assert made("WBINVD_ALL", [0.1], None).guest_stall_fraction is None


def test_whole_cache_flushes_wait_in_line_and_range_flushes_overlap():
    assert made("WBINVD_ALL", [0.1], 2.0).in_progress_fraction == pytest.approx(0.2)
    assert made("CLFLUSHOPT_UVA", [0.1], 2.0).in_progress_fraction == pytest.approx(1 - numpy.exp(-0.2))
    assert made("CLFLUSHOPT_UVA", [0.1], 2.0, closed=True).in_progress_fraction == pytest.approx(0.2)
    assert made("WBINVD_ALL", [0.1], None).in_progress_fraction is None


def test_losses_and_saturation_by_hand():
    assert made("WBINVD_ALL", [0.1], 2.0).host_cpu_s_per_s == pytest.approx(0.6)
    assert made("WBINVD_ALL", [0.1], None).host_cpu_s_per_s is None
    assert made("WBINVD_ALL", [0.1], 2.0).saturation_rate_per_s == pytest.approx(10)
    assert made("WBINVD_ALL", [0.1, 0.0], 2.0).saturation_rate_per_s is None


def test_a_refused_total_has_no_number_at_all(milan_ksm, draws):
    refused = total(Case("ksm_replace_page", milan_ksm, draws), "VM_PAGE_FLUSH")
    assert refused.host_cpu_s_per_s is refused.guest_stall_fraction is refused.in_progress_fraction is None
    assert refused.saturation_rate_per_s is None
    assert not refused.closed and not refused.extrapolated


def test_a_total_marks_the_priors_that_went_in(milan_ksm, milan):
    cost = total(Case("ksm_replace_page", milan_ksm, Draws(milan, 16)), "WBINVD_ALL")
    assert cost.extrapolated == any(milan[name].extrapolated for name in cost.parameters)
    assert not total(Case("ksm_replace_page", milan_ksm, Draws(milan, 16)), "NO_FLUSH").extrapolated


@pytest.mark.parametrize("name", ["host_cpu_s_per_s", "guest_stall_fraction", "in_progress_fraction"])
def test_a_rate_alone_makes_no_loss(name):
    assert getattr(replace(made("WBINVD_ALL", [0.1], 2.0), event=None), name) is None
    assert replace(made("WBINVD_ALL", [0.1], 2.0), event=None).saturation_rate_per_s is None


# Distances from the lock-up limits.


def test_limits_are_sourced_rows_nearest_first(evidence):
    found = distances(evidence, 0.1)
    assert {row.id for row in found} == {"L01", "L02", "L03", "L04"}
    assert [row.limit_s for row in found] == sorted(row.limit_s for row in found)
    for row in found:
        assert row.limit_s == evidence.one(row.id).si
        assert row.ratio == pytest.approx(row.limit_s / 0.1)


def test_no_limit_is_near_where_interrupts_stay_on(evidence):
    assert distances(evidence, 0.0) == []


def test_however_short_interrupts_are_off_there_is_a_distance(evidence):
    assert distances(evidence, 1e-9)
