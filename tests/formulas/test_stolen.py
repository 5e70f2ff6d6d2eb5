"""CPU time of a whole-cache flush, and the range that costs as much."""

import pytest

from tests.formulas.domain import exact


def test_every_stopped_cpu_pays_and_the_initiator_waits():
    assert exact("stolen_whole_cache", cpus_stopped=4, flush_s=3, broadcast_s=2) == 14


def test_at_the_break_even_both_cost_the_same():
    range_bytes = exact("break_even_range", whole_cache_s=11, range_start_s=1, line_s=2, line_bytes=64)
    assert 1 + 2 * range_bytes / 64 == pytest.approx(11)
