"""Median and central 90 %."""

import numpy
import pytest

from costmodel.decision.intervals import interval_of


def test_the_interval_leaves_a_twentieth_out_on_either_side():
    found = interval_of(numpy.linspace(0, 100, 1001), "s", True, most=7.0)
    assert (found.low, found.median, found.high) == pytest.approx((5, 50, 95))
    assert (found.unit, found.extrapolated, found.most) == ("s", True, 7.0)


def test_of_nothing_there_is_no_interval():
    assert interval_of(None, "s", False) is None
