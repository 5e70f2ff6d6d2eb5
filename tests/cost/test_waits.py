"""Waits by hook placement: against M/D/1 and M/D/infinity, against simulated moments, and against each other."""

from dataclasses import replace

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.cost.draws import Case, medians
from costmodel.cost.event import EventCost
from costmodel.cost.scenario import scenario
from costmodel.cost.total import Total, total
from costmodel.cost.waits import Window, contention, range_fraction
from costmodel.evidence.store import load
from costmodel.kvm.kernels import HOOK_PLACEMENTS

CASE = scenario(load(), "sev", "epyc-7763-2s", "autonuma-default", "6.6")
SCAN = "autonuma_prot_none_scan"
WHOLE_GUEST = replace(CASE, range_bytes=CASE.resident_bytes)
RANGE, BLAST = "CLFLUSHOPT_UVA", "WBINVD_ALL"
ADMISSIBLE = [name for name in HOOK_PLACEMENTS if name != "after_range_end"]

times = st.floats(1e-6, 0.1)
loads = st.floats(1e-3, 0.95)
shares = st.floats(1e-3, 1.0)


def made(strategy, time_s, rate_per_s, *, irq_off_s=0.0, closed=False):
    """A total of one draw with the given event."""
    time, irq = numpy.array([float(time_s)]), numpy.array([float(irq_off_s)])
    rate = None if rate_per_s is None else numpy.array([float(rate_per_s)])
    return Total(SCAN, strategy, EventCost(time, time, irq, time, 0 * time), time, rate, closed, 256, (), False, None)


def waits(cost, placement, case=WHOLE_GUEST):
    return contention(cost, case, placement)


def with_share(share):
    return replace(CASE, range_bytes=share * CASE.resident_bytes)


def simulated(lam, length, n=200_000, seed=11):
    """Share of time with an event in progress, and the residual times met at random moments, of Poisson events."""
    random = numpy.random.default_rng(seed)
    ends = numpy.cumsum(random.exponential(1 / lam, n)) + length
    starts = ends - length
    last = numpy.append(starts[1:] > ends[:-1], True)
    first = numpy.insert(last[:-1], 0, True)
    begin, end = starts[first], ends[last]
    moments = random.uniform(0, ends[-1], n)
    i = numpy.searchsorted(begin, moments) - 1
    inside = (i >= 0) & (moments < end[i])
    return numpy.where(inside, end[i] - moments, 0.0)


def test_a_lock_held_for_a_flush_is_a_queue_with_one_server():
    """M/D/1 at half load: Pollaczek and Khinchine give half a service time."""
    found = waits(made(RANGE, 0.010, 50), "under_mmu_lock")
    assert found.lock_busy_fraction[0] == pytest.approx(0.5)
    assert found.fault_wait_mean_s[0] == pytest.approx(0.005)


def test_a_memslot_update_waits_for_the_rest_of_the_busy_period():
    """M/D/1 at half load, Takacs: rho S / (2 (1 - rho)^2) is one service time."""
    assert waits(made(RANGE, 0.010, 50), "under_mmu_lock").memslot_wait_mean_s[0] == pytest.approx(0.010)


def test_one_waiting_thread_makes_others_wait_for_half_of_its_flush():
    found = waits(made(RANGE, 0.010, 50, closed=True), "under_mmu_lock")
    assert found.in_progress_fraction[0] == pytest.approx(0.5)
    assert found.fault_wait_mean_s[0] == pytest.approx(0.5 * 0.005)


def test_the_wait_after_srcu_is_that_of_simulated_moments():
    residuals = simulated(80, 0.010)
    found = waits(made(RANGE, 0.010, 80), "after_srcu")
    assert found.in_progress_fraction[0] == pytest.approx(numpy.mean(residuals > 0), abs=0.005)
    assert found.fault_wait_mean_s[0] == pytest.approx(residuals.mean(), rel=0.02)


def test_the_99th_percentile_after_srcu_is_that_of_simulated_moments():
    """At 3 events/s of 10 ms 3 % of the time is in progress, so the percentile lies inside one window."""
    residuals = simulated(3, 0.010)
    found = waits(made(RANGE, 0.010, 3), "after_srcu")
    assert found.fault_wait_p99_s[0] == pytest.approx(numpy.quantile(residuals, 0.99), rel=0.03)


@given(times, loads, shares, st.booleans())
def test_under_the_lock_a_fault_never_waits_less_than_after_srcu(time_s, load, share, closed):
    cost = made(RANGE, time_s, load / time_s, closed=closed)
    under, after = (waits(cost, place, with_share(share)) for place in ("under_mmu_lock", "after_srcu"))
    assert under.fault_wait_mean_s[0] >= after.fault_wait_mean_s[0] * (1 - 1e-9)
    assert under.fault_wait_p99_s[0] >= after.fault_wait_p99_s[0] * (1 - 1e-9)


@given(times, loads, shares, st.booleans(), st.sampled_from([RANGE, BLAST]))
def test_dropping_srcu_changes_nothing_for_faults(time_s, load, share, closed, strategy):
    cost = made(strategy, time_s, load / time_s, irq_off_s=0.9 * time_s * (strategy == BLAST), closed=closed)
    before, after = (waits(cost, place, with_share(share)) for place in ("after_unlock", "after_srcu"))
    assert replace(before, placement="after_srcu") == after


@given(times, loads, st.booleans(), st.sampled_from([RANGE, BLAST]))
def test_after_range_end_nothing_is_in_progress(time_s, load, closed, strategy):
    found = waits(made(strategy, time_s, load / time_s, irq_off_s=0.5 * time_s, closed=closed), "after_range_end")
    assert found.in_progress_fraction[0] == 0
    assert found.faults_that_retry_fraction[0] == 0
    assert found.fault_wait_mean_s[0] == 0
    assert found.fault_wait_p99_s[0] == 0
    assert found.memslot_wait_mean_s[0] == 0


def test_only_under_the_lock_is_it_held():
    cost = made(RANGE, 0.010, 50)
    busy = {place: float(waits(cost, place).lock_busy_fraction[0]) for place in HOOK_PLACEMENTS}
    assert busy == {"under_mmu_lock": 0.5, "after_unlock": 0, "after_srcu": 0, "after_range_end": 0}


def test_independent_events_make_longer_waits_than_one_waiting_thread():
    open_, closed = (waits(made(RANGE, 0.010, 80, closed=c), "under_mmu_lock") for c in (False, True))
    assert open_.fault_wait_mean_s[0] > closed.fault_wait_mean_s[0]
    assert open_.memslot_wait_mean_s[0] > closed.memslot_wait_mean_s[0]


@pytest.mark.parametrize("rate", [100.0, 1e4, 1e7])
def test_a_saturated_lock_has_no_finite_wait(rate):
    found = waits(made(RANGE, 0.010, rate), "under_mmu_lock")
    assert found.lock_busy_fraction[0] == 1
    assert found.in_progress_fraction[0] == 1
    assert numpy.isposinf(found.fault_wait_mean_s[0])
    assert numpy.isposinf(found.fault_wait_p99_s[0])
    assert numpy.isposinf(found.memslot_wait_mean_s[0])


def test_a_memslot_update_never_runs_where_flushes_of_whole_caches_pile_up():
    found = waits(made(BLAST, 0.010, 100, irq_off_s=0.009), "after_srcu")
    assert numpy.isposinf(found.memslot_wait_mean_s[0])


@pytest.mark.parametrize("placement", ADMISSIBLE)
@given(st.floats(1, 1e4))
def test_a_waiting_thread_never_saturates(placement, rate):
    found = waits(made(BLAST, 1 / rate, rate, irq_off_s=0.5 / rate, closed=True), placement)
    assert numpy.isfinite(found.fault_wait_mean_s[0] + found.memslot_wait_mean_s[0])
    assert found.saturation_rate_per_s is None


@pytest.mark.parametrize(
    ("strategy", "placement", "expected"),
    [
        (RANGE, "under_mmu_lock", 100),
        (BLAST, "under_mmu_lock", 100),
        (BLAST, "after_srcu", 100),
        (RANGE, "after_srcu", None),
    ],
)
def test_what_waits_in_line_saturates_at_one_over_its_time(strategy, placement, expected):
    rate = waits(made(strategy, 0.010, 1), placement).saturation_rate_per_s
    assert (None if rate is None else float(rate[0])) == expected


@pytest.mark.parametrize("rate", [1e4, 1e5, 1e6])
def test_parallel_windows_at_any_rate_have_a_number_or_no_bound(rate):
    """70 ms of range flush at 1e4 events/s and more: always in progress, all faults retry, no wait is undefined."""
    found = waits(made(RANGE, 0.070, rate), "after_srcu", CASE)
    assert found.in_progress_fraction[0] == 1
    assert found.faults_that_retry_fraction[0] == pytest.approx(1)
    assert found.fault_wait_p99_s[0] == pytest.approx(0.070)
    assert numpy.isposinf(found.fault_wait_mean_s[0]) or found.fault_wait_mean_s[0] > 1e80


@given(times, loads)
def test_a_range_flush_lets_every_vcpu_run(time_s, load):
    assert waits(made(RANGE, time_s, load / time_s), "after_srcu").standstill_fraction[0] == 0


@given(times, st.floats(1e-3, 3), st.floats(0.1, 0.99))
def test_a_whole_cache_flush_stops_a_vcpu_for_rate_times_interrupts_off(time_s, load, part):
    found = waits(made(BLAST, time_s, load / time_s, irq_off_s=part * time_s), "after_srcu")
    assert found.standstill_fraction[0] == pytest.approx(min(1, load * part))


def test_the_time_that_a_vcpu_stands_still_is_no_wait_of_its_faults():
    """Of 10 ms a vCPU can run for 2 ms only: the fault waits as behind a flush of 2 ms."""
    blast = waits(made(BLAST, 0.010, 50, irq_off_s=0.008), "under_mmu_lock")
    short = waits(made(RANGE, 0.002, 50), "under_mmu_lock")
    assert blast.fault_wait_mean_s[0] == pytest.approx(float(short.fault_wait_mean_s[0]))
    assert blast.lock_busy_fraction[0] == pytest.approx(0.5)


@given(shares, st.floats(1.01, 20))
def test_the_merged_range_grows_with_the_rate(share, factor):
    def merged(rate):
        found = waits(made(RANGE, 0.010, rate), "after_srcu", with_share(share))
        return found.faults_that_retry_fraction[0] / found.in_progress_fraction[0]

    assert share * (1 - 1e-9) <= merged(10) <= merged(10 * factor) * (1 + 1e-9) <= 1 + 1e-6


def test_one_waiting_thread_merges_nothing():
    found = waits(made(RANGE, 0.010, 80, closed=True), "after_srcu", with_share(0.25))
    assert found.faults_that_retry_fraction[0] == pytest.approx(0.25 * 0.8)


def test_faults_outside_the_range_do_not_wait_after_srcu():
    whole, quarter = (
        waits(made(RANGE, 0.010, 80, closed=True), "after_srcu", with_share(share)).fault_wait_mean_s[0]
        for share in (1.0, 0.25)
    )
    assert quarter == pytest.approx(whole / 4)


def test_under_the_lock_faults_outside_the_range_wait_too():
    small, large = (waits(made(RANGE, 0.010, 50), "under_mmu_lock", with_share(s)) for s in (0.01, 1.0))
    assert small.fault_wait_mean_s[0] == large.fault_wait_mean_s[0] > 0


def test_no_events_make_nobody_wait():
    for placement in HOOK_PLACEMENTS:
        found = waits(made(RANGE, 0.010, 0), placement)
        assert found.fault_wait_mean_s[0] == found.fault_wait_p99_s[0] == found.memslot_wait_mean_s[0] == 0


def test_without_a_rate_or_a_flush_there_is_nothing_to_say():
    assert waits(made(RANGE, 0.010, None), "after_srcu") is None
    assert waits(made("NO_FLUSH", 0, 10), "after_srcu") is None
    assert waits(replace(made(RANGE, 0.010, 10), event=None, refused="gap"), "after_srcu") is None


def test_the_scan_covers_a_share_of_the_guest_that_the_kernel_sets():
    """256 MB (row N07) of 16 GB."""
    assert range_fraction(CASE, SCAN) == pytest.approx(256 * 2**20 / 16e9)


def test_a_range_larger_than_the_guest_is_the_guest():
    assert range_fraction(replace(CASE, range_bytes=2 * CASE.resident_bytes), SCAN) == 1


def test_on_milan_a_range_flush_under_the_lock_is_felt_and_after_srcu_is_not(milan):
    """What the thread argues about: the long range flush of a scan, under mmu_lock and outside it."""
    cost = total(Case(SCAN, CASE, medians(milan)), RANGE)
    under, after = (waits(cost, place, CASE) for place in ("under_mmu_lock", "after_srcu"))
    assert under.fault_wait_mean_s[0] > 10 * after.fault_wait_mean_s[0]
    assert under.fault_wait_p99_s[0] > 0.001
    assert after.fault_wait_p99_s[0] == 0


def test_a_draw_without_a_flush_leaves_nothing_to_say():
    cost = made(RANGE, 0.010, 50)
    some = replace(cost, event=replace(cost.event, time_s=numpy.array([0.010, 0.0])))
    assert waits(some, "after_srcu") is None


@pytest.mark.parametrize("rate", [101.0, 150.0, 199.0])
def test_a_line_of_whole_cache_flushes_has_no_end_although_its_vcpus_mostly_stand_still(rate):
    """10 ms at more than 100 events/s, of which a vCPU that can run sees 1 ms only."""
    for placement in ("under_mmu_lock", "after_srcu"):
        found = waits(made(BLAST, 0.010, rate, irq_off_s=0.009), placement)
        assert numpy.isposinf(found.fault_wait_mean_s[0])
    below = waits(made(BLAST, 0.010, 99.0, irq_off_s=0.009), "under_mmu_lock")
    assert numpy.isfinite(below.fault_wait_mean_s[0])


@pytest.mark.parametrize("closed", [True, False])
def test_a_fault_that_retries_goes_round_for_half_a_lone_window(closed):
    found = waits(made(RANGE, 0.010, 1e-6, closed=closed), "after_srcu")
    assert found.retry_mean_s[0] == pytest.approx(0.005, rel=1e-6)
    assert waits(made(RANGE, 0.010, 0, closed=closed), "after_srcu").retry_mean_s[0] == pytest.approx(0.005)


def window(*, serial, closed=False, rate=50.0, length_s=0.010):
    return Window(numpy.array([rate]), numpy.array([length_s]), serial=serial, closed=closed)


def test_a_window_in_line_in_parallel_and_of_one_thread():
    line, beside, lone = window(serial=True), window(serial=False), window(serial=False, closed=True)
    assert line.in_progress == pytest.approx(0.5)
    assert beside.in_progress == pytest.approx(1 - numpy.exp(-0.5))
    assert lone.in_progress == pytest.approx(0.5)
    assert line.stall_s == pytest.approx(0.010 / (2 * 0.5**2))
    assert beside.stall_s == pytest.approx((numpy.exp(0.5) - 1.5) / (50 * (1 - numpy.exp(-0.5))))
    assert lone.stall_s == pytest.approx(0.005)
    assert window(serial=True, closed=True, rate=500.0).stall_s == pytest.approx(0.005)


def test_a_line_without_an_end_covers_every_gfn_for_ever():
    for rate in (100.0, 150.0, 1e6):
        endless = window(serial=True, rate=rate)
        assert numpy.isposinf(endless.stall_s[0])
        assert endless.merged(0.25) == 1
    assert numpy.isfinite(window(serial=True, rate=99.0).stall_s[0])
    assert numpy.isfinite(window(serial=False, rate=150.0).stall_s[0])


def test_without_events_or_without_a_window_the_range_is_its_own():
    for empty in (
        window(serial=False, rate=0.0),
        window(serial=True, length_s=0.0),
        window(serial=False, length_s=0.0),
    ):
        assert empty.merged(0.25) == pytest.approx(0.25)
        assert empty.stall_s == pytest.approx(float(empty.length_s[0]) / 2)
        assert empty.in_progress == 0
    assert window(serial=True, closed=True).merged(0.25) == 0.25


@pytest.mark.parametrize(("share", "p99"), [(1.0, 0.010 - 0.01 / 80), (0.25, 0.010 - 0.01 / (80 * 0.25))])
def test_of_one_waiting_thread_the_99th_percentile_is_the_rest_of_its_window(share, p99):
    found = waits(made(RANGE, 0.010, 80, closed=True), "after_srcu", with_share(share))
    assert found.fault_wait_p99_s[0] == pytest.approx(p99)
    under = waits(made(RANGE, 0.010, 80, closed=True), "under_mmu_lock", with_share(share))
    assert under.fault_wait_p99_s[0] == pytest.approx(0.010 - 0.01 / 80)


def test_in_a_line_the_99th_percentile_has_no_closed_form_but_under_the_lock():
    cost = made(BLAST, 0.010, 50, irq_off_s=0.0)
    assert waits(cost, "after_srcu").fault_wait_p99_s is not None  # a vCPU that runs meets windows beside each other
    assert waits(made(RANGE, 0.010, 50), "gmem_window").fault_wait_p99_s is None
    expected = 0.010  # more than 1 % wait for a whole hold at half load
    assert waits(made(RANGE, 0.010, 50), "under_mmu_lock").fault_wait_p99_s[0] == pytest.approx(expected)


def test_one_hole_at_a_time_waits_in_line_and_no_memslot_update_for_it():
    found = waits(made(RANGE, 0.010, 50), "gmem_window")
    assert found.in_progress_fraction[0] == pytest.approx(0.5)
    assert found.lock_busy_fraction[0] == found.memslot_wait_mean_s[0] == 0
    assert found.saturation_rate_per_s[0] == pytest.approx(100)
    assert numpy.isposinf(waits(made(RANGE, 0.010, 100), "gmem_window").fault_wait_mean_s[0])


def test_no_line_forms_where_nothing_waits_inside_the_window():
    """After range_end even flushes of whole caches that pile up keep no fault waiting."""
    assert waits(made(BLAST, 0.010, 150, irq_off_s=0.009), "after_range_end").fault_wait_mean_s[0] == 0
    closed = waits(made(BLAST, 0.010, 150, irq_off_s=0.009, closed=True), "after_srcu")
    assert numpy.isfinite(closed.fault_wait_mean_s[0])


def test_the_share_of_the_gfns_is_the_mean_range_over_the_guest():
    assert range_fraction(with_share(0.25), SCAN) == 0.25
    assert range_fraction(with_share(4.0), SCAN) == 1.0
    sizes = CASE.ranges(SCAN)
    assert range_fraction(CASE, SCAN) == pytest.approx(sum(x * w for x, w in sizes) / CASE.resident_bytes)
