"""Lines of a range and their time, at the edges too."""

import pytest

from tests.formulas.domain import exact

LINES = {"lines": 10, "line_bytes": 64, "present_fraction": 0.3, "line_present_s": 5, "line_absent_s": 1}


@pytest.mark.parametrize(
    ("offset", "length", "lines"), [(0, 0, 0), (0, 1, 1), (0, 64, 1), (0, 65, 2), (63, 1, 1), (63, 2, 2), (1, 128, 3)]
)
def test_a_range_touches_each_line_that_it_begins(offset, length, lines):
    assert exact("range_lines", range_bytes=length, offset_bytes=offset, line_bytes=64) == lines


def test_each_line_takes_its_own_time_between_two_fences():
    # 3 lines present, 7 absent, fences of 2.
    found = exact("range_flush", fence_s=2, dirty_fraction=0.5, writeback_bytes_per_s=1e9, **LINES)
    assert found == pytest.approx(2 * 2 + 3 * 5 + 7 * 1)


def test_dirty_bytes_take_at_least_the_memory_their_time():
    # Half of 3 lines of 64 bytes at 2 bytes per second.
    found = exact("range_flush", fence_s=2, dirty_fraction=0.5, writeback_bytes_per_s=2, **LINES)
    assert found == pytest.approx(2 * 2 + 48)
