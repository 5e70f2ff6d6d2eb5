"""The two rival forms of the time per line: limits and monotony."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.formulas.compiled import slope, value

CACHES = {"l1_bytes": 2**15, "l2_bytes_per_core": 2**20, "llc_bytes_per_domain": 2**25}
TIMES = st.floats(1e-10, 1e-7)


def levels(size, *times):
    names = ("line_l1_s", "line_l2_s", "line_llc_s", "line_memory_s")
    return value("line_time_levels", range_bytes=size, **CACHES, **dict(zip(names, times, strict=True)))


@given(st.floats(64, 2**15), st.tuples(TIMES, TIMES, TIMES, TIMES))
def test_a_range_in_the_first_level_costs_what_that_level_does(size, times):
    assert float(levels(size, *times)) == pytest.approx(times[0])


@given(TIMES)
def test_equal_levels_cost_the_same_at_every_range(time_s):
    sizes = 2.0 ** numpy.arange(6, 34)
    assert levels(sizes, *[time_s] * 4) == pytest.approx(numpy.full(len(sizes), time_s))


@given(st.tuples(TIMES, TIMES, TIMES, TIMES))
def test_the_mean_lies_between_the_levels(times):
    found = levels(2.0 ** numpy.arange(6, 34), *times)
    assert numpy.all(found >= min(times) * (1 - 1e-12)) and numpy.all(found <= max(times) * (1 + 1e-12))


def test_far_beyond_the_caches_it_is_memory():
    assert float(levels(2.0**45, 9e-9, 8e-9, 7e-9, 1e-9)) == pytest.approx(1e-9, rel=1e-3)


def test_at_a_boundary_there_is_no_step():
    for edge in CACHES.values():
        below, above = (float(levels(edge * f, 1e-9, 2e-9, 3e-9, 4e-9)) for f in (1 - 1e-9, 1 + 1e-9))
        assert below == pytest.approx(above, rel=1e-6)


@given(st.floats(1, 1e9), TIMES, st.floats(1e-9, 1e-5))
def test_start_and_tail_fall_towards_the_tail(lines, tail_s, start_s):
    known = {"range_start_s": start_s, "line_tail_s": tail_s}
    one, more = (float(value("line_time_tail", lines=n, **known)) for n in (lines, 2 * lines))
    assert tail_s <= more <= one
    assert one == pytest.approx(tail_s + start_s / lines)


@given(st.floats(64, 2**30))
def test_slopes_are_the_shares_of_the_levels(size):
    times = {"line_l1_s": 1e-9, "line_l2_s": 2e-9, "line_llc_s": 3e-9, "line_memory_s": 4e-9}
    shares = [float(slope("line_time_levels", name, range_bytes=size, **CACHES, **times)) for name in times]
    assert sum(shares) == pytest.approx(1)
    assert all(share >= -1e-12 for share in shares)
