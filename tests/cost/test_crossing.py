"""Roots along an axis, against functions whose roots are known."""

import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.cost.crossing import crossings


@given(st.floats(1.5, 900.0))
def test_one_root_of_a_line_is_found(root):
    assert crossings(lambda x: x - root, 1.0, 1000.0) == [pytest.approx(root, rel=1e-9)]


def test_every_root_is_found_in_order():
    found = crossings(lambda x: numpy.sin(numpy.log(x) * math.pi), 1.2, math.exp(3.5))
    assert found == [pytest.approx(math.exp(k), rel=1e-9) for k in (1, 2, 3)]


def test_no_root_gives_nothing():
    assert crossings(lambda x: x + 1, 1.0, 1000.0) == []


def test_a_step_has_its_crossing_at_the_step():
    assert crossings(lambda x: numpy.where(x < 64, -1.0, 1.0), 1.0, 4096.0) == [pytest.approx(64, rel=1e-6)]


def test_places_without_a_number_are_passed_over():
    assert crossings(lambda x: numpy.where(x < 10, math.nan, x - 100), 1.0, 1000.0) == [pytest.approx(100)]


def test_a_root_on_a_point_of_the_grid_is_found():
    """The middle of the grid, and a stretch without difference: one crossing each."""
    assert crossings(numpy.log, math.exp(-1), math.e) == [pytest.approx(1.0)]
    (found,) = crossings(lambda x: numpy.minimum(0.0, x - 10.0) + numpy.maximum(0.0, x - 100.0), 1.0, 1000.0)
    assert 10.0 <= found <= 100.0


def test_where_a_difference_only_touches_zero_nothing_crosses():
    assert crossings(lambda x: numpy.log(x) ** 2, math.exp(-1), math.e) == []
    assert crossings(lambda x: 0.0 * x, 1.0, 1000.0) == []


@pytest.mark.parametrize("root", [1.001, 999.0])
def test_a_root_beside_an_end_is_found(root):
    assert crossings(lambda x: x - root, 1.0, 1000.0) == [pytest.approx(root, rel=1e-9)]


def test_no_root_is_looked_for_across_a_place_without_a_number():
    assert crossings(lambda x: numpy.where((x > 9) & (x < 12), math.nan, x - 10), 1.0, 1000.0) == []
    assert crossings(lambda x: numpy.where(x > 50, math.inf, x - 100), 1.0, 1000.0) == []
