"""Properties of the cost terms: monotone, zero where nothing is flushed, bounded by what the terms mean."""

import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma

from costmodel.formulas.compiled import slope, value
from tests.formulas.domain import exact
from tests.samples import examples

share = st.floats(0, 1)
line_s = st.floats(1e-10, 1e-6)

WALK = {
    "walk_start_s": 0,
    "llc_bytes_per_domain": 32 * 2**20,
    "l2_bytes_per_core": 2**19,
    "line_bytes": 64,
    "line_empty_s": 5e-9,
    "line_valid_s": 2e-9,
    "valid_fraction": 0.7,
    "valid_exponent": 1,
    "domain_writeback_bytes_per_s": 1e11,
}


def flush(**changes):
    base = {
        "range_start_s": 0,
        "remote_factor": 1,
        "lines": 1,
        "present_fraction": 1,
        "line_dirty_s": 7e-8,
        "line_clean_s": 6e-8,
        "line_absent_s": 5e-9,
        "line_bytes": 64,
        "dirty_fraction": 0,
        "writeback_bytes_per_s": 1e11,
    }
    return value("range_flush", **{**base, **changes})


@given(share, share, line_s, line_s)
def test_range_flush_grows_with_the_range(present, dirty, present_s, absent_s):
    times = flush(
        lines=numpy.arange(0, 4096, 64),
        present_fraction=present,
        dirty_fraction=dirty,
        line_dirty_s=present_s,
        line_clean_s=present_s,
        line_absent_s=absent_s,
    )
    assert numpy.all(numpy.diff(times) > 0)
    assert times[0] == 0


@given(st.integers(0, 2**40), st.integers(0, 63))
def test_lines_cover_the_range(length, offset):
    lines = float(value("range_lines", range_bytes=length, offset_bytes=offset, line_bytes=64))
    assert lines == (offset + length + 63) // 64


def test_dirty_bytes_over_bandwidth_is_a_floor():
    assert float(flush(lines=2**20, line_dirty_s=1e-12, dirty_fraction=1)) == pytest.approx(2**26 / 1e11)


@given(st.floats(1, 64), share, st.floats(1, 3), share)
def test_more_cores_never_finish_a_domain_sooner(cores, exponent, smt, dirty):
    both = numpy.array([0.0, 1.0])
    one, many = (
        value(
            "domain_flush",
            **WALK,
            cores_flushing=k,
            serial_exponent=exponent,
            smt_factor=smt,
            both_siblings=both,
            dirty_fraction=dirty,
        )
        for k in (1, cores)
    )
    assert numpy.all(many >= one * (1 - 1e-12))
    assert one[1] >= one[0]


def test_serial_exponent_ends_mean_parallel_and_serial():
    parallel, serial = (
        float(
            value(
                "domain_flush",
                **{**WALK, "valid_exponent": s},
                cores_flushing=8,
                serial_exponent=s,
                smt_factor=1,
                both_siblings=0,
                dirty_fraction=0,
            )
        )
        for s in (0, 1)
    )
    assert serial == pytest.approx(8 * parallel)


def test_a_cache_without_lines_costs_nothing():
    empty = {**WALK, "llc_bytes_per_domain": 0, "l2_bytes_per_core": 0}
    assert (
        float(
            value(
                "domain_flush",
                **empty,
                cores_flushing=1,
                serial_exponent=0.5,
                smt_factor=2,
                both_siblings=1,
                dirty_fraction=1,
            )
        )
        == 0
    )


@given(st.floats(1e-9, 10), share)
def test_closed_loop_never_saturates(flush_s, fraction):
    rate = float(
        value(
            "closed_rate",
            threads=1,
            event_fraction=fraction,
            events_per_cycle=200,
            sleep_s=0.02,
            cycle_flush_s=200 * flush_s,
        )
    )
    assert rate * flush_s < 1
    assert rate <= 200 / 0.02 * fraction + 1e-9


def test_ksm_share_is_the_one_of_the_model_page():
    # MODEL: 200 T / (0.020 + 200 T)
    flush_s = 1e-3
    rate = float(
        value(
            "closed_rate", threads=1, event_fraction=1, events_per_cycle=200, sleep_s=0.02, cycle_flush_s=200 * flush_s
        )
    )
    assert rate * flush_s == pytest.approx(200 * flush_s / (0.020 + 200 * flush_s))


@pytest.mark.parametrize(("resident_gib", "passes"), [(4, 10), (16, 10), (150, 10)])
def test_numa_passes_reach_ten_per_second(resident_gib, passes):
    # Table computed from task_scan_min(): any VM above 2.5 GiB can reach ten passes per second.
    period = float(
        value(
            "numa_scan_period",
            numa_scan_size_bytes=256 * 2**20,
            numa_max_scan_window_bytes_per_s=2560 * 2**20,
            task_scan_period_s=1.0,
            resident_bytes=resident_gib * 2**30,
        )
    )
    assert 1 / period == pytest.approx(passes)


def test_numa_limiter_caps_the_share_of_run_time():
    rate = float(
        value(
            "numa_rate",
            event_fraction=1,
            flushes_per_pass=1,
            numa_scan_period_s=0.1,
            numa_limiter_factor=32,
            event_flush_s=0.1,
            vcpus=8,
        )
    )
    assert rate * (0.1 + 32 * 0.1) / 8 == pytest.approx(1)


def test_rate_at_loss_inverts_the_loss():
    rate = value("rate_at_loss", lost_fraction=0.1, logical_cpus=256, stolen_cpu_s_per_event=2.5)
    assert float(value("host_loss", rate_per_s=rate, stolen_cpu_s_per_event=2.5, logical_cpus=256)) == pytest.approx(
        25.6
    )


def test_no_more_than_the_host_is_lost():
    assert float(value("host_loss", rate_per_s=1e6, stolen_cpu_s_per_event=3.0, logical_cpus=256)) == 256


# Lines of a range and their time, at the edges too.

LINES = {
    "range_start_s": 4,
    "remote_factor": 1,
    "lines": 10,
    "line_bytes": 64,
    "present_fraction": 0.3,
    "line_dirty_s": 6,
    "line_clean_s": 2,
    "line_absent_s": 1,
}


@pytest.mark.parametrize(
    ("offset", "length", "lines"), [(0, 0, 0), (0, 1, 1), (0, 64, 1), (0, 65, 2), (63, 1, 1), (63, 2, 2), (1, 128, 3)]
)
def test_a_range_touches_each_line_that_it_begins(offset, length, lines):
    assert exact("range_lines", range_bytes=length, offset_bytes=offset, line_bytes=64) == lines


def test_each_line_takes_its_own_time_after_one_start():
    # 3 lines present, of which two thirds dirty, 7 absent.
    found = exact("range_flush", dirty_fraction=2 / 3, writeback_bytes_per_s=1e9, **LINES)
    assert found == pytest.approx(4 + 2 * 6 + 1 * 2 + 7 * 1)


def test_another_sockets_memory_makes_start_and_lines_dearer_but_not_the_write_back():
    far = {**LINES, "remote_factor": 1.5}
    found = exact("range_flush", dirty_fraction=2 / 3, writeback_bytes_per_s=1e9, **far)
    assert found == pytest.approx(1.5 * (4 + 21))
    bound = exact("range_flush", dirty_fraction=1, writeback_bytes_per_s=0.1, **far)
    assert bound == pytest.approx(1.5 * 4 + 3 * 64 / 0.1)


def test_dirty_bytes_take_at_least_the_memory_their_time():
    # Half of 3 lines of 64 bytes at 2 bytes per second.
    found = exact("range_flush", dirty_fraction=0.5, writeback_bytes_per_s=2, **LINES)
    assert found == pytest.approx(4 + 48)


# The second socket.


def test_a_second_socket_makes_each_line_dearer():
    assert exact("line_time", line_reference_s=4, two_socket_factor=3, two_sockets=0) == 4
    assert exact("line_time", line_reference_s=4, two_socket_factor=3, two_sockets=1) == 12


# The two rival forms of the time per line: limits and monotony.

CACHES = {"l1_bytes": 2**15, "l2_bytes_per_core": 2**20, "llc_bytes_per_domain": 2**25}
TIMES = st.floats(1e-10, 1e-7)


def levels(size, *times):
    names = ("line_l1_s", "line_l2_s", "line_llc_s", "line_memory_s")
    return value("line_time_levels", range_bytes=size, **CACHES, **dict(zip(names, times, strict=True)))


@given(st.floats(64, 2**15), st.tuples(TIMES, TIMES, TIMES, TIMES))
def test_a_range_in_the_first_level_costs_what_that_level_does(size, times):
    assert float(levels(size, *times)) == pytest.approx(times[0])


@given(TIMES)
def test_equal_levels_cost_the_same_at_every_range(time_s):
    sizes = 2.0 ** numpy.arange(6, 34)
    assert levels(sizes, *[time_s] * 4) == pytest.approx(numpy.full(len(sizes), time_s))


@given(st.tuples(TIMES, TIMES, TIMES, TIMES))
def test_the_mean_lies_between_the_levels(times):
    found = levels(2.0 ** numpy.arange(6, 34), *times)
    assert numpy.all(found >= min(times) * (1 - 1e-12)) and numpy.all(found <= max(times) * (1 + 1e-12))


def test_far_beyond_the_caches_it_is_memory():
    assert float(levels(2.0**45, 9e-9, 8e-9, 7e-9, 1e-9)) == pytest.approx(1e-9, rel=1e-3)


def test_at_a_boundary_there_is_no_step():
    for edge in CACHES.values():
        below, above = (float(levels(edge * f, 1e-9, 2e-9, 3e-9, 4e-9)) for f in (1 - 1e-9, 1 + 1e-9))
        assert below == pytest.approx(above, rel=1e-6)


@given(st.floats(1, 1e9), TIMES, st.floats(1e-9, 1e-5))
def test_start_and_tail_fall_towards_the_tail(lines, tail_s, start_s):
    known = {"range_start_s": start_s, "line_tail_s": tail_s}
    one, more = (float(value("line_time_tail", lines=n, **known)) for n in (lines, 2 * lines))
    assert tail_s <= more <= one
    assert one == pytest.approx(tail_s + start_s / lines)


@given(st.floats(64, 2**30))
def test_slopes_are_the_shares_of_the_levels(size):
    times = {"line_l1_s": 1e-9, "line_l2_s": 2e-9, "line_llc_s": 3e-9, "line_memory_s": 4e-9}
    shares = [float(slope("line_time_levels", name, range_bytes=size, **CACHES, **times)) for name in times]
    assert sum(shares) == pytest.approx(1)
    assert all(share >= -1e-12 for share in shares)


# A domain's flush term by term.

GEOMETRY = {"llc_bytes_per_domain": 1024.0, "l2_bytes_per_core": 256.0}
WALK_WHOLE_CACHE = {"walk_start_s": 3.0, "line_bytes": 64.0, "line_empty_s": 0.25, "line_valid_s": 0.5}


def domain(cores, exponent, both, dirty, valid=0.5, again=0):
    parts = {"serial_exponent": exponent, "smt_factor": 1.5, "both_siblings": both, "dirty_fraction": dirty}
    limit = {"valid_fraction": valid, "valid_exponent": again, "domain_writeback_bytes_per_s": 64.0}
    return exact("domain_flush", cores_flushing=cores, **parts, **limit, **GEOMETRY, **WALK_WHOLE_CACHE)


def test_a_clean_domain_is_walked_line_by_line():
    # 20 lines: each costs a quarter of a second after a start of 3, and a core more or a sibling makes that longer by a
    # factor; each second one is valid and costs half a second more, once, or for each core.
    assert domain(1, 0.5, 0, 0) == pytest.approx(8 + 5)
    assert domain(4, 0.5, 0, 0) == pytest.approx(16 + 5)
    assert domain(4, 0.5, 1, 0) == pytest.approx(24 + 5)
    assert domain(4, 0.5, 1, 0, again=1) == pytest.approx(24 + 20)


def test_an_empty_cache_costs_its_capacity_and_nothing_to_write():
    assert domain(1, 0.5, 0, 1, valid=0) == pytest.approx(3 + 20 * 0.25)
    assert domain(1, 0.5, 0, 0, valid=1) == pytest.approx(3 + 20 * 0.75)


def test_dirty_bytes_are_written_once():
    # Half of 1024 and 4 x 256 bytes are valid, half of these dirty, at 64 per second, however many cores ask for it.
    assert domain(4, 0.5, 1, 0.5) - domain(4, 0.5, 1, 0) == pytest.approx(8)


def test_domains_of_a_socket_share_its_memory():
    flush = {
        "cores_flushing": 4,
        "valid_fraction": 0.5,
        "dirty_fraction": 0.5,
        "writeback_bytes_per_s": 64.0,
        **GEOMETRY,
    }
    assert exact("whole_cache_flush", domain_flush_s=39, domains_per_socket=3, **flush) == 39
    assert exact("whole_cache_flush", domain_flush_s=39, domains_per_socket=6, **flush) == pytest.approx(48)


# Interrupt rounds against harmonic numbers and the law of the largest of k delays.

ROUND = {"broadcast_start_s": 2e-6, "broadcast_per_cpu_s": 3e-7}
DELAY_S = 5e-6


def test_the_linear_form_has_a_start_and_a_share_per_cpu():
    assert exact("broadcast", target_cpus=10, **ROUND) == pytest.approx(5e-6)


def test_the_tree_pays_per_doubling():
    one, three, seven = (exact("broadcast_tree", target_cpus=k, **ROUND) for k in (1, 3, 7))
    assert one == pytest.approx(2.3e-6)
    assert seven - three == pytest.approx(three - one) == pytest.approx(3e-7)


@pytest.mark.parametrize("k", [0, 0.5, 1, 2, 5, 20, 40, 300])
def test_the_harmonic_number_is_off_by_less_than_the_next_term_of_its_series(k):
    harmonic = digamma(k + 1) + 0.5772156649015329
    next_term = 31 / (8064 * (k + 2.5) ** 6)
    found = exact("slowest_response", response_delay_s=1, target_cpus=k)
    assert found == pytest.approx(harmonic, rel=1e-13, abs=next_term)
    assert exact("slowest_response", response_delay_s=3, target_cpus=k) == pytest.approx(3 * found)


def test_late_answers_come_on_top_of_the_round():
    both = exact("broadcast_slowest", target_cpus=3, response_delay_s=DELAY_S, **ROUND)
    assert both == pytest.approx(2e-6 + 3 * 3e-7 + DELAY_S * (1 + 1 / 2 + 1 / 3), rel=1e-5)


@pytest.mark.parametrize("k", [0, 1, 3, 9])
def test_late_answers_take_the_harmonic_number_to_the_next_term_of_its_series(k):
    late = exact("broadcast_slowest", target_cpus=k, response_delay_s=1, broadcast_start_s=0, broadcast_per_cpu_s=0)
    assert late == pytest.approx(sum(1 / i for i in range(1, k + 1)), abs=31 / (8064 * (k + 2.5) ** 6))


@settings(max_examples=examples(20))
@given(st.floats(1e-4, 0.9999), st.integers(1, 512))
def test_the_quantile_is_exceeded_by_its_share_of_the_rounds(share, k):
    wait = exact("slowest_response_quantile", share=share, target_cpus=k, response_delay_s=DELAY_S)
    assert 1 - (1 - math.exp(-wait / DELAY_S)) ** k == pytest.approx(share, rel=1e-6)


def test_every_round_takes_no_time_or_more():
    assert exact("slowest_response_quantile", share=1.5, target_cpus=4, response_delay_s=DELAY_S) == 0
    assert exact("broadcast_quantile", share=1.5, target_cpus=4, response_delay_s=DELAY_S, **ROUND) == 2e-6 + 4 * 3e-7


def test_the_quantile_of_a_round_is_the_round_and_the_slowest_answer():
    slowest = exact("slowest_response_quantile", share=0.05, target_cpus=6, response_delay_s=DELAY_S)
    whole = exact("broadcast_quantile", share=0.05, target_cpus=6, response_delay_s=DELAY_S, **ROUND)
    assert whole - slowest == pytest.approx(2e-6 + 6 * 3e-7)
