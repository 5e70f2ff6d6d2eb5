"""Lock, window, sharing, addresses, mask, dirt and bills: limits, monotone growth, published special cases."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.formulas.compiled import value

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
