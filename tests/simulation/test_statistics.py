"""Intervals: they hold what they promise, and waits integrate over pieces as they should."""

import numpy
import pytest

from tests.simulation.statistics import Pieces, line_pieces, mean_of, quantile, ratio


def test_the_interval_of_a_ratio_holds_the_truth_as_often_as_it_says():
    rng = numpy.random.default_rng(4)
    held = 0
    for _ in range(1000):
        lengths = rng.uniform(0.5, 1.5, 20)
        estimate = ratio(rng.normal(3 * lengths, 0.4), lengths)
        held += abs(estimate.value - 3) <= estimate.half_width
    assert 0.93 <= held / 1000 <= 0.97


def test_a_control_narrows_the_interval_and_keeps_it_honest():
    rng = numpy.random.default_rng(5)
    held, widths = 0, []
    for _ in range(1000):
        control = rng.normal(size=24)
        numerators = 2 + control + rng.normal(0, 0.2, 24)
        estimate = ratio(numerators, 1.0, control)
        held += abs(estimate.value - 2) <= estimate.half_width
        widths.append(estimate.half_width / ratio(numerators).half_width)
    assert 0.92 <= held / 1000 <= 0.97
    assert numpy.median(widths) < 0.3


def test_nothing_measured_is_not_known():
    assert ratio([0.0, 0.0], [0.0, 0.0]).half_width == float("inf")


def test_waits_for_a_line_fall_from_each_request_to_the_release():
    pieces = line_pieces([0.0, 2.0, 20.0], [10.0, 15.0], 30.0)
    assert pieces.start_s.tolist() == [10.0, 13.0]
    assert pieces.end_s.tolist() == [8.0, 0.0]
    assert pieces.time_s == pytest.approx(15.0)
    assert pieces.wait_s2 == pytest.approx((100 - 64) / 2 + 169 / 2)
    assert pieces.longer_s(9.0) == pytest.approx(1 + 4)


def test_the_quantile_is_the_wait_that_the_share_exceeds():
    one = Pieces(numpy.array([10.0]), numpy.array([0.0]), numpy.ones(1), 100.0)
    assert quantile([one] * 5, 0.04).value == pytest.approx(6.0)
    weighted = Pieces(numpy.array([10.0]), numpy.array([0.0]), numpy.array([0.5]), 100.0)
    assert quantile([weighted] * 5, 0.04).value == pytest.approx(2.0)
    assert quantile([one] * 5, 0.2).half_width == float("inf")


def test_samples_are_drawn_until_their_mean_is_known():
    rng = numpy.random.default_rng(6)
    estimate = mean_of(lambda: rng.exponential(1.0, 500))
    assert estimate.relative_half_width <= 0.01
    assert estimate.value == pytest.approx(1.0, rel=0.03)
