"""Cached shares at the ends and in the middle."""

import pytest

from tests.formulas.domain import exact


def test_a_cold_range_lies_between_nothing_and_the_cold_end():
    assert exact("present_cold", cold_fraction=0.25, presence_position=0.5, cached_fraction=1) == 0.125
    assert exact("present_cold", cold_fraction=0.25, presence_position=0.5, cached_fraction=0.1) == 0.1


@pytest.mark.parametrize(("position", "share"), [(0, 0.25), (0.5, 0.5), (1, 1)])
def test_an_unknown_range_is_log_uniform_from_the_cold_end_to_all(position, share):
    known = {"cold_fraction": 0.25, "presence_position": position}
    assert exact("present_between", cached_fraction=1, **known) == share
    assert exact("present_between", cached_fraction=0.1, **known) == 0.1
