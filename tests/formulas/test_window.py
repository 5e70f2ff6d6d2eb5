"""Windows of invalidations against simulated ones: a line for the serial part, then a part that overlaps."""

import math
from types import SimpleNamespace

import numpy
import pytest
from scipy.integrate import quad
from scipy.special import lambertw

from tests.formulas.domain import exact

RANGE_FRACTION = 0.05
CASES = {
    "both parts": (0.4, 0.3, 1_500_000),
    "serial": (0.6, 0.0, 1_500_000),
    "parallel": (0.0, 1.2, 800_000),
    "busy": (0.5, 1.0, 1_500_000),
}
"""Serial and parallel part in units of the mean gap between events, and how many events are simulated."""


def simulate(serial_s, parallel_s, events):
    """Time averages over Poisson events of rate 1: the count is above 0 from an arrival to the end of its parallel part."""
    arrivals = numpy.cumsum(numpy.random.default_rng(8).exponential(1.0, events))
    served = serial_s * numpy.arange(1, events + 1)
    departures = served + numpy.maximum.accumulate(arrivals - served + serial_s)
    ends = departures + parallel_s
    first = numpy.concatenate([[True], arrivals[1:] > ends[:-1]])
    period = numpy.cumsum(first) - 1
    begin = arrivals[first]
    end = ends[numpy.append(numpy.flatnonzero(first)[1:] - 1, events - 1)]
    length = end - begin
    merged = numpy.arange(events) - numpy.flatnonzero(first)[period] + 1
    until = numpy.minimum(end[period], numpy.append(arrivals[1:], end[-1]))
    left = ((end[period] - arrivals) ** 2 - (end[period] - until) ** 2) / 2
    widened = 1 - 2 / (merged + 1)
    return SimpleNamespace(
        in_progress=length.sum() / end[-1],
        stall_s=(length**2).sum() / (2 * length.sum()),
        merged=numpy.average(widened, weights=until - arrivals),
        merged_stall=numpy.average(widened, weights=left),
    )


@pytest.fixture(scope="module", params=CASES)
def case(request):
    serial_s, parallel_s, events = CASES[request.param]
    return {"rate_per_s": 1.0, "serial_s": serial_s, "parallel_s": parallel_s}, simulate(serial_s, parallel_s, events)


def slower(parts, factor):
    """The same load at another rate: times in proportion."""
    return {"rate_per_s": 1.0 / factor} | {name: parts[name] * factor for name in ("serial_s", "parallel_s")}


def test_the_share_in_progress(case):
    parts, seen = case
    assert exact("in_progress", **parts) == pytest.approx(seen.in_progress, rel=5e-3)


def test_the_time_until_none_is_in_progress(case):
    parts, seen = case
    assert exact("window_stall", **parts) == pytest.approx(seen.stall_s, rel=2e-2)
    assert exact("window_stall", **slower(parts, 3.0)) == pytest.approx(3 * exact("window_stall", **parts))


@pytest.mark.parametrize("formula", ["merged_fraction", "merged_fraction_stall"])
def test_the_merged_range_is_the_spread_of_what_was_merged(case, formula):
    parts, seen = case
    spread = seen.merged if formula == "merged_fraction" else seen.merged_stall
    found = exact(formula, range_fraction=RANGE_FRACTION, **parts)
    assert found == pytest.approx(RANGE_FRACTION + (1 - RANGE_FRACTION) * spread, rel=1e-2)
    assert exact(formula, range_fraction=RANGE_FRACTION, **slower(parts, 3.0)) == pytest.approx(found)
    assert exact(formula, range_fraction=1.0, **parts) == pytest.approx(1)


def averaged(left, serial_s, parallel_s):
    """Twice the mean of 1 / (N + 1) over a period of arrivals at rate 1, N merged so far: as an integral over z of z^N.

    y(z) counts those served in a busy period of the line (Borel); by Lambert's W, and by adaptive quadrature.
    """

    def discounted(z):
        y = float(numpy.real(lambertw(-serial_s * z * math.exp(-serial_s)))) / -serial_s
        behind = serial_s * (1 - y)
        busy = math.expm1(behind) / (1 - z)
        excess = math.exp(behind) * (behind + math.expm1(-behind)) / (1 - z) ** 2
        return y * left(busy, excess) / (1 - y * -math.expm1(-parallel_s))

    return 2 * quad(discounted, 0, 1, epsabs=1e-12, epsrel=1e-10)[0]


@pytest.mark.parametrize(("serial_s", "parallel_s", "off"), [(0.2, 0.1, 1e-8), (0.4, 0.3, 1e-6), (0.1, 0.8, 1e-4)])
def test_the_merged_range_is_that_of_the_integral(serial_s, parallel_s, off):
    """Four nodes against the whole integral: each node counts, which a simulation is too coarse to see."""
    over = 1 - math.exp(-parallel_s)
    period = over + serial_s * math.exp(-parallel_s)
    mean = (1 - serial_s) * averaged(lambda busy, _: busy + over, serial_s, parallel_s) * math.exp(-parallel_s) / period

    def left(busy, excess):
        return math.expm1(parallel_s) * busy + excess + math.expm1(parallel_s) - parallel_s

    ratio = serial_s / (1 - serial_s)
    mean_left = averaged(left, serial_s, parallel_s) * math.exp(-parallel_s) / left(ratio, ratio**2 / 2)
    for formula, expected in (("merged_fraction", mean), ("merged_fraction_stall", mean_left)):
        found = exact(formula, range_fraction=0.0, rate_per_s=0.5, serial_s=2 * serial_s, parallel_s=2 * parallel_s)
        assert 1 - found == pytest.approx(expected, rel=off)


def test_empty_windows_merge_nothing():
    for formula in ("merged_fraction", "merged_fraction_stall"):
        found = exact(formula, range_fraction=0.25, rate_per_s=1.0, serial_s=0.0, parallel_s=0.0)
        assert found == pytest.approx(0.25, abs=1e-6)


def test_a_saturated_line_is_always_in_progress():
    assert exact("in_progress", rate_per_s=3, serial_s=0.5, parallel_s=0.1) == 1


def test_a_waiting_thread_has_one_window_open():
    assert exact("in_progress_closed", rate_per_s=3, window_s=0.2) == pytest.approx(0.6)
    assert exact("in_progress_closed", rate_per_s=3, window_s=0.5) == 1


def test_a_fault_waits_where_its_gfn_is_covered_and_a_window_open():
    found = exact("fault_stall", merged_fraction=0.5, in_progress_fraction=0.4, window_stall_s=3)
    assert found == pytest.approx(0.6)


@pytest.mark.parametrize("share", [0.12, 0.2, 0.26])
def test_the_quantile_is_exceeded_by_its_share_of_the_faults(share):
    rate, parallel_s, merged = 2.0, 0.4, 0.5
    wait = exact("stall_quantile", share=share, merged_fraction=merged, rate_per_s=rate, parallel_s=parallel_s)
    assert 0 < wait < parallel_s
    assert merged * (1 - math.exp(-rate * parallel_s) * (1 + rate * wait)) == pytest.approx(share)


def test_the_quantile_has_its_ends():
    known = {"merged_fraction": 0.5, "rate_per_s": 2.0, "parallel_s": 0.4}
    assert exact("stall_quantile", share=0.45, **known) == 0
    assert exact("stall_quantile", share=1e-6, **known) == 0.4


def test_the_rest_of_one_window_is_uniform():
    # In progress 0.6 of the time, half the gfns: 0.3 of the faults wait, a third of them longer than two thirds.
    known = {"window_s": 0.3, "rate_per_s": 2.0, "merged_fraction": 0.5}
    assert exact("stall_quantile_closed", share=0.1, **known) == pytest.approx(0.2)
    assert exact("stall_quantile_closed", share=0.4, **known) == 0


def test_a_fault_retries_once_per_loop_and_once_for_a_changed_sequence():
    window = {"merged_fraction": 0.5, "in_progress_fraction": 0.4, "window_stall_s": 3, "retry_loop_s": 0.25}
    found = exact("retries_per_fault", rate_per_s=2, fault_work_s=0.1, **window)
    assert found == pytest.approx(0.2 * (12 + 0.5) + 1 - math.exp(-0.2))
