"""CPU time of a whole-cache flush, and the range that costs as much."""

import pytest

from tests.formulas.domain import exact

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
