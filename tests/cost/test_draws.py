"""Draws are the same in every run, shared between strategies and machines, and honest about what they rest on."""

import numpy
import pytest

from costmodel.calibration.parameters import parameters_of
from costmodel.cost.draws import Draws, medians, uniforms
from costmodel.errors import MissingNumber


def test_uniforms_are_stratified_and_named():
    u = uniforms("line_valid_s", 1000)
    assert numpy.array_equal(numpy.sort((u * 1000).astype(int)), numpy.arange(1000))
    assert numpy.array_equal(u, uniforms("line_valid_s", 1000))
    assert not numpy.array_equal(u, uniforms("line_empty_s", 1000))


def test_quantiles_of_the_draws_are_those_of_the_parameter(draws, milan):
    walk = milan["line_valid_s"].distribution
    low, median, high = numpy.quantile(draws["line_valid_s"], (0.05, 0.5, 0.95))
    assert (low, median, high) == pytest.approx((walk.low, walk.median, walk.high), rel=0.01)


def test_machines_share_their_random_numbers(evidence, draws):
    other = Draws(parameters_of(evidence, "epyc-9654-2s"))
    assert numpy.array_equal(draws["line_valid_s"], other["line_valid_s"])


def test_tracking_starts_empty_and_keeps_the_values(draws):
    first = draws["line_valid_s"]
    tracked = draws.tracking()
    assert tracked.used == set()
    assert tracked["line_valid_s"] is first
    assert tracked.extrapolated


def test_a_missing_parameter_raises_its_gap(draws):
    with pytest.raises(MissingNumber, match="TDH"):
        draws["tdx_page_wbinvd_s"]


def test_medians_hold_one_value_each(milan):
    at = medians(milan)
    assert at["line_valid_s"][0] == pytest.approx(milan["line_valid_s"].distribution.median)
