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


def test_a_result_is_worked_out_once_for_the_same_machine_numbers_and_values(draws, evidence):
    """Whoever asks is told which parameters went in, also where the result was known."""
    asked, machine = [], evidence.machine("epyc-7763-2s")

    def work(at):
        asked.append(at["line_valid_s"] * at["dirty_fraction"])
        return asked[-1]

    first = draws.once(work, machine, "work", 1.0)
    for other in (draws.tracking(), draws.with_values()):
        other.used.clear()
        assert other.once(work, machine, "work", 1.0) is first
        assert other.used == {"line_valid_s", "dirty_fraction"}
    assert len(asked) == 1
    half = draws["dirty_fraction"] / 2
    kept = [draws.with_values(dirty_fraction=values).once(work, machine, "work", 1.0) for values in (half, half.copy())]
    assert numpy.array_equal(kept[0], first / 2) and kept[1] is kept[0]
    draws.once(work, evidence.machine("epyc-9654-2s"), "work", 1.0)
    draws.once(work, machine, "work", 2.0)
    for sizes in (numpy.array([1.0, 2.0]), numpy.array([1.0, 2.0]), numpy.array([1.0, 3.0])):
        draws.once(work, machine, "work", sizes)
    assert len(asked) == 6
    for _ in range(2):  # of a number for each draw nothing is kept
        draws.once(work, machine, "work", draws["line_valid_s"])
    assert len(asked) == 8


def test_an_integer_a_number_and_a_truth_are_three_settings(draws, evidence):
    machine = evidence.machine("epyc-7763-2s")
    assert [draws.once(lambda at, n=n: n, machine, n) for n in (1, 1.0, True)] == [1, 1.0, True]
    assert [type(draws.once(lambda at: None, machine, n)) for n in (1, 1.0, True)] == [int, float, bool]


def test_where_a_number_is_missing_the_parameters_asked_before_are_told_all_the_same(draws, evidence):
    tracked = draws.tracking()
    for _ in range(2):
        tracked.used.clear()
        with pytest.raises(MissingNumber):
            tracked.once(lambda at: at["line_valid_s"] * at["tdx_page_wbinvd_s"], evidence.machine("epyc-7763-2s"))
        assert tracked.used == {"line_valid_s", "tdx_page_wbinvd_s"}


def test_a_missing_parameter_raises_its_gap(draws):
    with pytest.raises(MissingNumber, match="TDH"):
        draws["tdx_page_wbinvd_s"]


def test_medians_hold_one_value_each(milan):
    at = medians(milan)
    assert at["line_valid_s"][0] == pytest.approx(milan["line_valid_s"].distribution.median)
