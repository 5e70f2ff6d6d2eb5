"""Lock, window, sharing, addresses, mask, dirt and bills: limits, monotone growth, published special cases."""

import math
from types import SimpleNamespace

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import lambertw

from costmodel.formulas.compiled import value
from tests.formulas.domain import exact

rate = st.floats(1e-3, 1e4)
load = st.floats(1e-6, 0.95)
overlap = st.floats(1e-6, 8)
share = st.floats(1e-6, 1)


def number(name, **arguments):
    return float(value(name, **arguments))


@given(rate, load, overlap)
def test_in_progress_is_a_probability_that_grows_with_both_parts(lam, serial, parallel):
    whole = number("in_progress", rate_per_s=lam, serial_s=serial / lam, parallel_s=parallel / lam)
    alone = number("in_progress", rate_per_s=lam, serial_s=serial / lam, parallel_s=0)
    assert 0 < alone <= whole <= 1
    assert alone == pytest.approx(serial)


@given(rate, st.floats(1, 100), overlap)
def test_a_saturated_lock_is_always_in_progress(lam, serial, parallel):
    assert number("in_progress", rate_per_s=lam, serial_s=serial / lam, parallel_s=parallel / lam) == pytest.approx(1)


def test_rare_events_leave_half_a_window():
    stall = number("window_stall", rate_per_s=1e-6, serial_s=0.0, parallel_s=0.010)
    assert stall == pytest.approx(0.005, rel=1e-6)
    assert number("window_stall", rate_per_s=1e-6, serial_s=0.010, parallel_s=0.0) == pytest.approx(0.005, rel=1e-6)


@given(rate, load)
def test_a_serial_window_is_the_busy_period_of_m_d_1(lam, serial):
    # Takacs: E[B] = S/(1-rho), E[B^2] = S^2/(1-rho)^3, residual E[B^2]/(2 E[B])
    s = serial / lam
    expected = s / (2 * (1 - serial) ** 2)
    assert number("window_stall", rate_per_s=lam, serial_s=s, parallel_s=0.0) == pytest.approx(expected, rel=1e-6)


def spread(overlap):
    """(N - 1) / (N + 1) over a geometric N with P(N > 1) = 1 - exp(-overlap): windows without a line."""
    apart = -math.expm1(-overlap)
    return 1 - 2 * math.exp(-overlap) * (overlap - apart) / apart**2


@given(rate, share, st.floats(1e-3, 2))
def test_the_merged_range_is_that_of_a_geometric_number_of_windows(lam, fraction, parallel):
    for name in ("merged_fraction", "merged_fraction_stall"):
        found = number(name, range_fraction=fraction, rate_per_s=lam, serial_s=0, parallel_s=parallel / lam)
        assert found == pytest.approx(fraction + (1 - fraction) * spread(parallel), rel=5e-3)


@given(rate, share, load, overlap)
def test_the_merged_range_only_widens(lam, fraction, serial, parallel):
    parts = {"range_fraction": fraction, "rate_per_s": lam}
    short = number("merged_fraction", **parts, serial_s=serial / lam / 2, parallel_s=parallel / lam / 2)
    here = number("merged_fraction", **parts, serial_s=serial / lam, parallel_s=parallel / lam)
    with_stall = number("merged_fraction_stall", **parts, serial_s=serial / lam, parallel_s=parallel / lam)
    assert fraction * (1 - 1e-6) <= short <= here * (1 + 1e-6) <= with_stall * (1 + 1e-2)
    assert with_stall <= 1 + 1e-9


@given(rate, load, st.floats(1e-4, 0.5))
def test_the_wait_for_the_lock_has_the_quantile_of_m_d_1(lam, serial, exceeded):
    hold = serial / lam
    wait = number("lock_wait_quantile", share=exceeded, rate_per_s=lam, hold_s=hold, queueing=1)
    assert 0 <= wait <= hold
    if 0 < wait < hold:
        assert 1 - (1 - serial) * math.exp(lam * wait) == pytest.approx(exceeded, rel=1e-6)


def test_the_mean_wait_is_that_of_pollaczek_and_khinchine():
    # M/D/1 at half load: half a service time (rho / (2 (1 - rho)) services).
    assert number("lock_wait", rate_per_s=50, hold_s=0.01, end_hold_s=0, queueing=1) == pytest.approx(0.005)
    assert number("lock_wait", rate_per_s=50, hold_s=0.01, end_hold_s=0, queueing=0) == pytest.approx(0.0025)
    assert number("lock_saturation", hold_s=0.008, end_hold_s=0.002) == pytest.approx(100)
    assert number("lock_busy", rate_per_s=500, hold_s=0.01, end_hold_s=0) == 1


@given(rate, overlap)
def test_sharing_a_flush_never_saturates(lam, offered):
    flush = offered / lam
    batch = number("coalesced_batch", rate_per_s=lam, flush_s=flush)
    assert batch >= 1
    assert number("coalesced_busy", rate_per_s=lam, flush_s=flush) < 1
    latency = number("coalesced_latency", rate_per_s=lam, flush_s=flush)
    assert flush <= latency <= 1.5 * flush * (1 + 1e-12)


@given(rate, load)
def test_sharing_never_takes_longer_than_waiting_in_line_at_high_load(lam, offered):
    flush = offered / lam
    queued = number("queued_latency", rate_per_s=lam, flush_s=flush)
    assert queued >= flush
    if offered > 0.7:
        assert number("coalesced_latency", rate_per_s=lam, flush_s=flush) < queued


@given(rate, st.floats(0, 10))
def test_deferring_only_lowers_the_rate(lam, delay):
    assert number("deferred_rate", rate_per_s=lam, delay_s=delay) <= lam * (1 + 1e-12)


@given(rate, share, st.floats(1e-6, 10))
def test_missed_flushes_vanish_only_with_the_overlap(lam, same, window):
    assert number("missed_flushes", rate_per_s=lam, same_page_fraction=0, window_s=window) == 0
    assert 0 < number("missed_flushes", rate_per_s=lam, same_page_fraction=same, window_s=window) <= lam


def test_spte_zaps_add_and_a_precise_hook_subtracts():
    assert number("spte_events", rate_per_s=10, kvm_zaps_per_s=5) == 15
    assert number("precise_events", rate_per_s=10, overlap_fraction=0.25) == 2.5


@given(st.integers(1, 64), st.integers(64, 512), st.floats(0, 1e5))
def test_the_mask_only_grows_up_to_the_allowed_cpus(vcpus, cpus, moves):
    mask = number("mask_cpus", allowed_cpus=cpus, vcpus=vcpus, migrations=moves)
    assert vcpus * (1 - 1e-12) <= mask <= cpus
    assert number("mask_cpus", allowed_cpus=cpus, vcpus=vcpus, migrations=2 * moves) >= mask * (1 - 1e-12)


@given(st.integers(1, 64), st.integers(80, 512), st.floats(0.01, 0.5))
def test_migrations_to_a_share_invert_the_mask(vcpus, cpus, untouched):
    moves = number("migrations_to_share", allowed_cpus=cpus, vcpus=vcpus, untouched_fraction=untouched)
    mask = number("mask_cpus", allowed_cpus=cpus, vcpus=vcpus, migrations=moves)
    assert mask >= cpus * (1 - untouched) * (1 - 1e-9)


def test_the_domains_touched_are_those_of_the_hypergeometric_law():
    for domains, per_domain in ((8, 16), (16, 16), (2, 64), (24, 8)):
        for cpus in (1, 2, 5, 8, 30, domains * per_domain // 2):
            missed = math.comb(domains * per_domain - per_domain, cpus) / math.comb(domains * per_domain, cpus)
            found = number("domains_touched", domains=domains, cpus_per_domain=per_domain, mask_cpus=cpus)
            assert found == pytest.approx(domains * (1 - missed), abs=0.05)


def test_the_slowest_of_k_is_the_harmonic_number():
    for k in (1, 2, 7, 63, 255):
        expected = sum(1 / i for i in range(1, k + 1))
        assert number("slowest_response", response_delay_s=1, target_cpus=k) == pytest.approx(expected, rel=2e-5)
    assert number("slowest_response", response_delay_s=1, target_cpus=0) == pytest.approx(0, abs=2e-5)


def test_the_quantile_of_the_slowest_of_one_is_exponential():
    wait = number("slowest_response_quantile", share=0.01, target_cpus=1, response_delay_s=1e-3)
    assert wait == pytest.approx(1e-3 * math.log(100))


@given(st.floats(1, 1e9), st.floats(1e3, 1e7), st.floats(1e-3, 1e4))
def test_the_dirty_share_falls_with_the_flush_rate(writes, lines, flushes):
    often, rarely = (
        number("dirty_at_flush", dirty_lines_per_s=writes, lines=lines, rate_per_s=x) for x in (2 * flushes, flushes)
    )
    assert 0 < often <= rarely < 1 + 1e-12


@given(share, share, share)
def test_the_present_share_is_a_probability(cold, position, cached):
    low = number("present_cold", cold_fraction=cold, presence_position=position, cached_fraction=cached)
    between = number("present_between", cold_fraction=cold, presence_position=position, cached_fraction=cached)
    assert 0 <= low <= cached
    assert 0 < between <= cached


def test_a_bill_has_two_parties():
    paid = number("others_pay", cpus_stopped=256, vcpus=8, flush_s=0.01)
    assert paid == pytest.approx(2.48)
    assert number("others_pay", cpus_stopped=4, vcpus=8, flush_s=0.01) == 0
    assert number("forced_loss", stolen_cpu_s_per_event=2.5, event_s=0.01, think_s=0) == pytest.approx(250)
    assert number("initiators_at_limit", limit_s=10, flush_s=0.02) == 500


def test_vms_and_their_loss_belong_together():
    vms = number("vms_at_loss", lost_fraction=0.1, logical_cpus=256, rate_per_s=10, stolen_cpu_s_per_event=0.1)
    lost = vms * number("host_loss", rate_per_s=10, stolen_cpu_s_per_event=0.1, logical_cpus=256)
    assert lost == pytest.approx(25.6)


# Windows of invalidations against simulated ones: a line for the serial part, then a part that overlaps.

RANGE_FRACTION = 0.05
CASES = {
    "both parts": (0.4, 0.3, 1_500_000),
    "serial": (0.6, 0.0, 1_500_000),
    "parallel": (0.0, 1.2, 800_000),
    "busy": (0.5, 1.0, 1_500_000),
}
"""Serial and parallel part in units of the mean gap between events, and how many events are simulated."""


def simulate(serial_s, parallel_s, events):
    """Time averages over Poisson events of rate 1: the count is above 0 from an arrival to the end of its parallel
    part.
    """
    arrivals = numpy.cumsum(numpy.random.default_rng(8).exponential(1.0, events))
    served = serial_s * numpy.arange(1, events + 1)
    departures = served + numpy.maximum.accumulate(arrivals - served + serial_s)
    ends = departures + parallel_s
    first = numpy.concatenate([[True], arrivals[1:] > ends[:-1]])
    period = numpy.cumsum(first) - 1
    begin = arrivals[first]
    end = ends[numpy.append(numpy.flatnonzero(first)[1:] - 1, events - 1)]
    length = end - begin
    merged = numpy.arange(events) - numpy.flatnonzero(first)[period] + 1
    until = numpy.minimum(end[period], numpy.append(arrivals[1:], end[-1]))
    left = ((end[period] - arrivals) ** 2 - (end[period] - until) ** 2) / 2
    widened = 1 - 2 / (merged + 1)
    return SimpleNamespace(
        in_progress=length.sum() / end[-1],
        stall_s=(length**2).sum() / (2 * length.sum()),
        merged=numpy.average(widened, weights=until - arrivals),
        merged_stall=numpy.average(widened, weights=left),
    )


@pytest.fixture(scope="module", params=CASES)
def case(request):
    serial_s, parallel_s, events = CASES[request.param]
    return {"rate_per_s": 1.0, "serial_s": serial_s, "parallel_s": parallel_s}, simulate(serial_s, parallel_s, events)


def slower(parts, factor):
    """The same load at another rate: times in proportion."""
    return {"rate_per_s": 1.0 / factor} | {name: parts[name] * factor for name in ("serial_s", "parallel_s")}


def test_the_share_in_progress(case):
    parts, seen = case
    assert exact("in_progress", **parts) == pytest.approx(seen.in_progress, rel=5e-3)


def test_the_time_until_none_is_in_progress(case):
    parts, seen = case
    assert exact("window_stall", **parts) == pytest.approx(seen.stall_s, rel=2e-2)
    assert exact("window_stall", **slower(parts, 3.0)) == pytest.approx(3 * exact("window_stall", **parts))


@pytest.mark.parametrize("formula", ["merged_fraction", "merged_fraction_stall"])
def test_the_merged_range_is_the_spread_of_what_was_merged(case, formula):
    parts, seen = case
    spread = seen.merged if formula == "merged_fraction" else seen.merged_stall
    found = exact(formula, range_fraction=RANGE_FRACTION, **parts)
    assert found == pytest.approx(RANGE_FRACTION + (1 - RANGE_FRACTION) * spread, rel=1e-2)
    assert exact(formula, range_fraction=RANGE_FRACTION, **slower(parts, 3.0)) == pytest.approx(found)
    assert exact(formula, range_fraction=1.0, **parts) == pytest.approx(1)


def averaged(left, serial_s, parallel_s):
    """Twice the mean of 1 / (N + 1) over a period of arrivals at rate 1, N merged so far: as an integral over z of z^N.

    y(z) counts those served in a busy period of the line (Borel); by Lambert's W, and by adaptive quadrature.
    """

    def discounted(z):
        y = float(numpy.real(lambertw(-serial_s * z * math.exp(-serial_s)))) / -serial_s
        behind = serial_s * (1 - y)
        busy = math.expm1(behind) / (1 - z)
        excess = math.exp(behind) * (behind + math.expm1(-behind)) / (1 - z) ** 2
        return y * left(busy, excess) / (1 - y * -math.expm1(-parallel_s))

    return 2 * quad(discounted, 0, 1, epsabs=1e-12, epsrel=1e-10)[0]


@pytest.mark.parametrize(("serial_s", "parallel_s", "off"), [(0.2, 0.1, 1e-8), (0.4, 0.3, 1e-6), (0.1, 0.8, 1e-4)])
def test_the_merged_range_is_that_of_the_integral(serial_s, parallel_s, off):
    """Four nodes against the whole integral: each node counts, which a simulation is too coarse to see."""
    over = 1 - math.exp(-parallel_s)
    period = over + serial_s * math.exp(-parallel_s)
    mean = (1 - serial_s) * averaged(lambda busy, _: busy + over, serial_s, parallel_s) * math.exp(-parallel_s) / period

    def left(busy, excess):
        return math.expm1(parallel_s) * busy + excess + math.expm1(parallel_s) - parallel_s

    ratio = serial_s / (1 - serial_s)
    mean_left = averaged(left, serial_s, parallel_s) * math.exp(-parallel_s) / left(ratio, ratio**2 / 2)
    for formula, expected in (("merged_fraction", mean), ("merged_fraction_stall", mean_left)):
        found = exact(formula, range_fraction=0.0, rate_per_s=0.5, serial_s=2 * serial_s, parallel_s=2 * parallel_s)
        assert 1 - found == pytest.approx(expected, rel=off)


def test_empty_windows_merge_nothing():
    for formula in ("merged_fraction", "merged_fraction_stall"):
        found = exact(formula, range_fraction=0.25, rate_per_s=1.0, serial_s=0.0, parallel_s=0.0)
        assert found == pytest.approx(0.25, abs=1e-6)


def test_a_saturated_line_is_always_in_progress():
    assert exact("in_progress", rate_per_s=3, serial_s=0.5, parallel_s=0.1) == 1


def test_a_waiting_thread_has_one_window_open():
    assert exact("in_progress_closed", rate_per_s=3, window_s=0.2) == pytest.approx(0.6)
    assert exact("in_progress_closed", rate_per_s=3, window_s=0.5) == 1


def test_a_fault_waits_where_its_gfn_is_covered_and_a_window_open():
    found = exact("fault_stall", merged_fraction=0.5, in_progress_fraction=0.4, window_stall_s=3)
    assert found == pytest.approx(0.6)


@pytest.mark.parametrize("share", [0.12, 0.2, 0.26])
def test_the_quantile_is_exceeded_by_its_share_of_the_faults(share):
    rate, parallel_s, merged = 2.0, 0.4, 0.5
    wait = exact("stall_quantile", share=share, merged_fraction=merged, rate_per_s=rate, parallel_s=parallel_s)
    assert 0 < wait < parallel_s
    assert merged * (1 - math.exp(-rate * parallel_s) * (1 + rate * wait)) == pytest.approx(share)


def test_the_quantile_has_its_ends():
    known = {"merged_fraction": 0.5, "rate_per_s": 2.0, "parallel_s": 0.4}
    assert exact("stall_quantile", share=0.45, **known) == 0
    assert exact("stall_quantile", share=1e-6, **known) == 0.4


def test_the_rest_of_one_window_is_uniform():
    # In progress 0.6 of the time, half the gfns: 0.3 of the faults wait, a third of them longer than two thirds.
    known = {"window_s": 0.3, "rate_per_s": 2.0, "merged_fraction": 0.5}
    assert exact("stall_quantile_closed", share=0.1, **known) == pytest.approx(0.2)
    assert exact("stall_quantile_closed", share=0.4, **known) == 0


def test_a_fault_retries_once_per_loop_and_once_for_a_changed_sequence():
    window = {"merged_fraction": 0.5, "in_progress_fraction": 0.4, "window_stall_s": 3, "retry_loop_s": 0.25}
    found = exact("retries_per_fault", rate_per_s=2, fault_work_s=0.1, **window)
    assert found == pytest.approx(0.2 * (12 + 0.5) + 1 - math.exp(-0.2))


# Waits for mmu_lock against simulated writers.

RATE, HOLD = 40.0, 0.015


@pytest.fixture(scope="module")
def work():
    """Work that readers at random moments find in a line of writers (holds of one length, Poisson arrivals)."""
    random = numpy.random.default_rng(4)
    arrivals = numpy.cumsum(random.exponential(1 / RATE, 400_000))
    done = HOLD * numpy.arange(1, len(arrivals) + 1)
    done = done + numpy.maximum.accumulate(arrivals - numpy.concatenate([[0.0], done[:-1]]))
    moments = random.uniform(0, arrivals[-1], 400_000)
    last = numpy.searchsorted(arrivals, moments, side="right") - 1
    return numpy.where(last >= 0, numpy.maximum(0.0, done[last] - moments), 0.0)


def test_the_mean_wait_is_the_work_in_the_line(work):
    found = exact("lock_wait", rate_per_s=RATE, hold_s=HOLD, end_hold_s=0, queueing=1)
    assert found == pytest.approx(work.mean(), rel=0.02)


@pytest.mark.parametrize("share", [0.3, 0.4, 0.55])
def test_the_quantile_is_that_of_the_work_in_the_line(work, share):
    found = exact("lock_wait_quantile", share=share, rate_per_s=RATE, hold_s=HOLD, queueing=1)
    expected = numpy.quantile(work, 1 - share)
    assert 0 < found < HOLD
    assert found == pytest.approx(expected, rel=0.03)


def test_the_quantile_ends_at_the_hold_and_at_nothing():
    assert exact("lock_wait_quantile", share=1e-6, rate_per_s=RATE, hold_s=HOLD, queueing=1) == HOLD
    assert exact("lock_wait_quantile", share=0.99, rate_per_s=RATE, hold_s=HOLD, queueing=1) == 0


def test_one_waiting_thread_leaves_the_rest_of_its_hold():
    # In a share 0.6 of the time it holds; the rest of the hold is uniform.
    assert exact("lock_wait_quantile", share=0.3, rate_per_s=RATE, hold_s=HOLD, queueing=0) == pytest.approx(0.0075)
    assert exact("lock_wait_quantile", share=0.7, rate_per_s=RATE, hold_s=HOLD, queueing=0) == 0


def test_both_holds_of_an_event_are_waited_for():
    # Second moments 4 and 1 add; load 0.3 in a line, none for one thread.
    lone = exact("lock_wait", rate_per_s=0.1, hold_s=2, end_hold_s=1, queueing=0)
    assert lone == pytest.approx(0.1 * (4 + 1) / 2)
    assert exact("lock_wait", rate_per_s=0.1, hold_s=2, end_hold_s=1, queueing=1) == pytest.approx(lone / 0.7)


def test_holds_and_their_limits():
    assert exact("lock_hold", zap_s=2, under_lock=1, flush_s=5) == 7
    assert exact("lock_hold", zap_s=2, under_lock=0, flush_s=5) == 2
    assert exact("lock_busy", rate_per_s=0.1, hold_s=2, end_hold_s=1) == pytest.approx(0.3)
    assert exact("lock_busy", rate_per_s=2, hold_s=2, end_hold_s=1) == 1
    assert exact("lock_saturation", hold_s=2, end_hold_s=3) == pytest.approx(0.2)
