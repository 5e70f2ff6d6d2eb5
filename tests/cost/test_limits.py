"""Distances from the lock-up limits."""

import pytest

from costmodel.cost.limits import distances


def test_limits_are_sourced_rows_nearest_first(evidence):
    found = distances(evidence, 0.1)
    assert {row.id for row in found} == {"L01", "L02", "L03", "L04"}
    assert [row.limit_s for row in found] == sorted(row.limit_s for row in found)
    for row in found:
        assert row.limit_s == evidence.one(row.id).si
        assert row.ratio == pytest.approx(row.limit_s / 0.1)


def test_no_limit_is_near_where_interrupts_stay_on(evidence):
    assert distances(evidence, 0.0) == []


def test_however_short_interrupts_are_off_there_is_a_distance(evidence):
    assert distances(evidence, 1e-9)
