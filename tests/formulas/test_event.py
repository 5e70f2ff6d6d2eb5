"""Page by page."""

import pytest

from tests.formulas.domain import exact


def test_each_page_is_made_shared_and_flushed():
    assert exact("gmem_release", pages=5, rmpupdate_s=2, page_flush_s=3) == 25
    assert exact("page_chain", pages=5, page_operation_s=3) == 15


# CPU time of a whole-cache flush, and the range that costs as much.

WHOLE = {
    "cpus_stopped": 4,
    "flush_s": 3,
    "broadcast_s": 2,
    "cpus_outside": 0,
    "memory_bound_fraction": 0.5,
    "written_bytes_per_socket": 600,
    "writeback_bytes_per_s": 100,
    "reused_fraction": 0.25,
    "evicted_bytes": 0,
    "cpu_read_bytes_per_s": 10,
}


def test_every_stopped_cpu_pays_and_the_initiator_waits():
    assert exact("stolen_whole_cache", **WHOLE) == 14


def test_cpus_outside_wait_for_the_memory_that_the_write_back_takes():
    # Eight CPUs, half of whose time is memory, lose half of the six seconds of write-back each.
    assert exact("stolen_whole_cache", **{**WHOLE, "cpus_outside": 8}) == 14 + 8 * 3


def test_who_finds_its_lines_gone_fetches_them_again():
    assert exact("stolen_whole_cache", **{**WHOLE, "evicted_bytes": 400}) == 14 + 10
    refill = {"reused_fraction": 0.25, "evicted_bytes": 400, "cpu_read_bytes_per_s": 10}
    assert exact("stolen_range", time_s=7, **refill) == 17


def test_at_the_break_even_both_cost_the_same():
    range_bytes = exact("break_even_range", whole_cache_s=11, range_start_s=1, line_s=2, line_bytes=64)
    assert 1 + 2 * range_bytes / 64 == pytest.approx(11)


# An event from the cost parameters, against the same event worked out by hand at round numbers.

CACHES = {
    "line_bytes": 64,
    "llc_bytes_per_domain": 64 * 900,
    "l2_bytes_per_core": 64 * 100,
    "cores_flushing": 16,
    "domains_per_socket": 3,
    "sockets": 2,
    "valid_fraction": 0.5,
    "dirty_fraction": 0.25,
}
"""One core sees 1000 lines, half of them valid; the domain holds 160000 bytes, 20000 of them valid and dirty."""
WALK = {
    "walk_start_s": 2,
    "line_empty_s": 0.001,
    "line_valid_s": 0.002,
    "serial_exponent": 0.5,
    "valid_exponent": 0.25,
    "smt_factor": 1.5,
    "domain_writeback_bytes_per_s": 5000,
}
"""16 cores: 4 (2 + 1) = 12 s for the capacity (18 s with both siblings), 2 x 1 s for valid lines, 4 s of write-back."""
REST = {
    "cpus_stopped": 10,
    "broadcast_start_s": 7,
    "broadcast_per_cpu_s": 0.5,
    "cpus_outside": 5,
    "memory_bound_fraction": 0.4,
    "reused_fraction": 0.25,
    "cpu_read_bytes_per_s": 60000,
}
"""A round of 7 + 9 x 0.5 s; five CPUs outside lose 0.4 of the socket's write-back; both sockets' 480000 valid bytes
are read again by a quarter: 2 s."""
RANGE = {
    "lines": 100,
    "line_bytes": 64,
    "present_fraction": 0.4,
    "dirty_fraction": 0.25,
    "range_start_s": 10,
    "remote_factor": 1.2,
    "line_absent_s": 5,
    "line_dirty_s": 7,
    "line_clean_s": 3,
    "reused_fraction": 0.5,
    "cpu_read_bytes_per_s": 128,
}
"""A present line takes 0.25 x 7 + 0.75 x 3 = 4 s, one of the range 0.6 x 5 + 0.4 x 4 = 4.6 s; 640 bytes are dirty, and
1280 bytes are read again: 10 s."""


@pytest.mark.parametrize(
    ("both_siblings", "writeback_bytes_per_s", "invalidates", "expected"),
    [
        (1, 10000, 1, 10 * (18 + 2 + 4) + 7 + 4.5 + 5 * 0.4 * 6 + 2),
        (0, 10000, 1, 10 * (12 + 2 + 4) + 7 + 4.5 + 5 * 0.4 * 6 + 2),
        (1, 10000, 0, 10 * (18 + 2 + 4) + 7 + 4.5 + 5 * 0.4 * 6),
        (1, 1000, 1, 10 * 60 + 7 + 4.5 + 5 * 0.4 * 60 + 2),  # the socket's write-back is the slowest part
        (
            1,
            10000,
            0.5,
            10 * (18 + 2 + 4) + 7 + 4.5 + 5 * 0.4 * 6 + 1,
        ),  # the mean, where half of the flushes invalidate
    ],
)
def test_a_whole_cache_event_by_hand(both_siblings, writeback_bytes_per_s, invalidates, expected):
    found = exact(
        "whole_cache_event",
        both_siblings=both_siblings,
        writeback_bytes_per_s=writeback_bytes_per_s,
        invalidates=invalidates,
        **CACHES,
        **WALK,
        **REST,
    )
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(("writeback_bytes_per_s", "lines_s"), [(64, 1.2 * 460), (1, 640)])
def test_range_and_pages_by_hand(writeback_bytes_per_s, lines_s):
    taken = {**RANGE, "writeback_bytes_per_s": writeback_bytes_per_s}
    assert exact("range_event", **taken) == pytest.approx(1.2 * 10 + lines_s + 10)
    assert exact("paged_event", pages=3, **taken) == pytest.approx(3 * (1.2 * 10 + lines_s + 10))


# Who pays.


def test_cpus_beyond_those_of_the_guest_pay_for_it():
    assert exact("others_pay", cpus_stopped=10, vcpus=4, flush_s=3) == 18
    assert exact("others_pay", cpus_stopped=4, vcpus=10, flush_s=3) == 0


def test_an_attacker_takes_an_event_per_wait_and_thought():
    assert exact("forced_loss", stolen_cpu_s_per_event=12, event_s=2, think_s=1) == 4


def test_limits_divide():
    assert exact("initiators_at_limit", limit_s=12, flush_s=3) == 4
    lost = {"lost_fraction": 0.5, "logical_cpus": 8, "rate_per_s": 2}
    assert exact("vms_at_loss", stolen_cpu_s_per_event=0.1, **lost) == pytest.approx(20)
