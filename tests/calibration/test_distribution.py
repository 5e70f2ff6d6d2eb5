"""Quantiles of the shapes."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.calibration.distribution import fixed, lognormal, loguniform, tabulated, uniform

SIZES = st.floats(1e-12, 1e12)
TABLE = tabulated(lambda p: 10.0**p)
SHAPES = [lognormal(2.0, 3.0), uniform(1.0, 4.0), loguniform(1.0, 4.0), TABLE]


@given(SIZES, st.floats(1.01, 100))
def test_a_lognormal_lies_a_factor_either_way(median, factor):
    shape = lognormal(median, factor)
    assert shape.median == pytest.approx(median)
    assert shape.low == pytest.approx(median / factor, rel=1e-6)
    assert shape.high == pytest.approx(median * factor, rel=1e-6)


@given(SIZES, st.floats(1.01, 100))
def test_a_uniform_has_its_median_in_the_middle(low, factor):
    shape = uniform(low, low * factor)
    assert shape.median == pytest.approx(low * (1 + factor) / 2)
    assert low < shape.low < shape.high < low * factor


def test_a_fixed_value_has_no_width():
    assert fixed(3.0).low == fixed(3.0).high == 3.0


@given(st.sampled_from([*SHAPES, fixed(2.0)]), SIZES)
def test_scaling_scales_every_quantile(shape, factor):
    u = numpy.array([0.05, 0.3, 0.5, 0.9])
    assert shape.scaled(factor).quantile(u) == pytest.approx(shape.quantile(u) * factor)


@given(st.sampled_from(SHAPES))
def test_quantiles_rise(shape):
    assert numpy.all(numpy.diff(shape.quantile(numpy.linspace(0.01, 0.99, 50))) > 0)


def test_a_loguniform_has_its_geometric_middle_as_median():
    assert loguniform(1.0, 16.0).median == pytest.approx(4.0)


def test_a_table_gives_back_its_quantile_function_and_ends_at_its_tails():
    u = numpy.array([0.01, 0.25, 0.5, 0.99])
    assert TABLE.quantile(u) == pytest.approx(10.0**u)
    assert TABLE.quantile(1e-6) == pytest.approx(10**0.005)


def test_a_table_is_rounded_knot_by_knot():
    rounded = TABLE.rounded(2)
    assert rounded.knots[0] == 1.0 and rounded.knots[-1] == 9.9
