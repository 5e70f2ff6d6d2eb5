import doctest

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.report import trace
from costmodel.traces import bins, memslots, tasks


@pytest.mark.parametrize("module", [bins, memslots, tasks, trace], ids=lambda m: m.__name__)
def test_examples_in_the_docstrings(module):
    found = doctest.testmod(module)
    assert found.attempted and not found.failed


@given(st.floats(1, 2**62))
def test_a_value_lies_in_its_bin(value):
    at = int(bins.index(value))
    edges = bins.edges()
    assert edges[at] <= value < edges[at + 1]
    assert edges[at + 1] / edges[at] <= 1 + 1 / 64


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=300), st.floats(0.01, 1))
def test_quantiles_are_within_a_bin(values, share):
    counts = numpy.bincount(bins.index(values), minlength=bins.BINS)
    exact = sorted(values)[max(0, int(numpy.ceil(share * len(values) - 1e-9)) - 1)]
    assert bins.quantile(counts, share) == pytest.approx(exact, rel=1 / 64 + 1e-9)


def test_nothing_has_no_quantile():
    assert numpy.isnan(bins.quantile(numpy.zeros(bins.BINS, int), 0.5))
