"""Lines of a range and their time, at the edges too."""

import pytest

from tests.formulas.domain import exact

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
