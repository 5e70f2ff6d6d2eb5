"""Dirty shares: half the gap law, integrated by hand."""

import math

import pytest
from scipy.integrate import quad

from tests.formulas.domain import exact

WRITES, LINES, RATE = 6e5, 4e4, 5.0


def test_equal_gaps_leave_what_no_write_met():
    found = exact("dirty_at_flush_regular", dirty_lines_per_s=WRITES, lines=LINES, gap_s=0.1)
    assert found == pytest.approx(1 - math.exp(-WRITES * 0.1 / LINES))


def test_random_gaps_are_the_mean_over_equal_ones():
    def weighted(gap_s):
        dirty = exact("dirty_at_flush_regular", dirty_lines_per_s=WRITES, lines=LINES, gap_s=gap_s)
        return RATE * math.exp(-RATE * gap_s) * dirty

    mean, _ = quad(weighted, 0, 8, limit=100)
    assert exact("dirty_at_flush", dirty_lines_per_s=WRITES, lines=LINES, rate_per_s=RATE) == pytest.approx(mean)
