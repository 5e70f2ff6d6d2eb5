"""Roots along an axis, against functions whose roots are known."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.cost.crossing import crossings


@given(st.floats(1.5, 900.0))
def test_one_root_of_a_line_is_found(root):
    assert crossings(lambda x: x - root, 1.0, 1000.0) == [pytest.approx(root, rel=1e-9)]


def test_every_root_is_found_in_order():
    found = crossings(lambda x: math.sin(math.log(x) * math.pi), 1.2, math.exp(3.5))
    assert found == [pytest.approx(math.exp(k), rel=1e-9) for k in (1, 2, 3)]


def test_no_root_gives_nothing():
    assert crossings(lambda x: x + 1, 1.0, 1000.0) == []


def test_a_step_has_its_crossing_at_the_step():
    assert crossings(lambda x: -1.0 if x < 64 else 1.0, 1.0, 4096.0) == [pytest.approx(64, rel=1e-6)]


def test_places_without_a_number_are_passed_over():
    assert crossings(lambda x: math.nan if x < 10 else x - 100, 1.0, 1000.0) == [pytest.approx(100)]
