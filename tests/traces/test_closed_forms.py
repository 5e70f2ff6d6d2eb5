"""Replays of independent arrivals agree with the closed forms within 2 %."""

import math

import numpy
import pytest

from costmodel.formulas.compiled import value
from costmodel.traces.passes import Closed, Open
from costmodel.traces.results import prediction
from tests.traces.conftest import constant, poisson, work

EVENTS = 2_000_000
SERVICE_S = 0.001


def opened(load, seed=1, serial=True):
    passed = Open(constant(SERVICE_S), serial)
    passed.feed(work(0, poisson(EVENTS, load / SERVICE_S, seed)))
    return passed.outcome()


@pytest.mark.parametrize("load", [0.05, 0.1, 0.13])
def test_latency_quantiles_in_line(load):
    told = prediction(load / SERVICE_S, SERVICE_S, True)
    assert not told.p99_is_lower_bound
    found = opened(load)
    assert found.latency_s(0.5) == pytest.approx(told.p50_s, rel=0.02)
    assert found.latency_s(0.99) == pytest.approx(told.p99_s, rel=0.02)


@pytest.mark.parametrize("load", [0.1, 0.3, 0.5, 0.8])
def test_share_of_time_in_progress(load):
    assert opened(load).in_progress_fraction == pytest.approx(
        prediction(load / SERVICE_S, SERVICE_S, True).in_progress_fraction, rel=0.02
    )
    side_by_side = value("in_progress", rate_per_s=load / SERVICE_S, serial_s=0.0, parallel_s=SERVICE_S)
    assert opened(load, serial=False).in_progress_fraction == pytest.approx(float(side_by_side), rel=0.02)


def erlang(load, waits):
    """P(wait <= t) of M/D/1 (Erlang 1909), service time 1."""
    return (1 - load) * sum(
        (load * (k - waits)) ** k / math.factorial(k) * math.exp(-load * (k - waits)) for k in range(int(waits) + 1)
    )


@pytest.mark.parametrize("load", [0.3, 0.5, 0.7])
def test_the_whole_distribution_beyond_one_flush(load):
    found = opened(load)
    edges = numpy.quantile(numpy.arange(0.25, 4.01, 0.25), [0, 0.5, 1])
    for waits in edges:
        share = erlang(load, waits)
        assert found.latency_s(share) == pytest.approx((1 + waits) * SERVICE_S, rel=0.02)


def test_mean_of_the_queued_latency():
    load = 0.5
    found = opened(load)
    middle = numpy.array([found.latency_s(q) for q in numpy.linspace(0.0005, 0.9995, 1000)]).mean()
    assert middle == pytest.approx(prediction(load / SERVICE_S, SERVICE_S, True).mean_s, rel=0.02)


def test_one_waiting_thread_is_in_progress_rate_times_window():
    """A closed loop of one thread: never a queue, and its rate is n over the stretched time."""
    times = poisson(EVENTS, 500.0)
    passed = Closed(constant(SERVICE_S), True, 1, 1e18)
    passed.feed(work(0, times))
    found = passed.outcome()
    span_s = (times[-1] - times[0]) * 1e-9
    assert found.latency_s(0.999) == pytest.approx(SERVICE_S, rel=0.02)
    assert found.behind_s == pytest.approx(EVENTS * SERVICE_S)
    rate = EVENTS / (span_s + found.behind_s)
    closed = value("in_progress_closed", rate_per_s=rate, window_s=SERVICE_S)
    assert found.in_progress_fraction == pytest.approx(float(closed), rel=1e-9)
    assert rate == pytest.approx(1 / (1 / 500.0 + SERVICE_S), rel=0.02)


def test_saturated_arrivals_have_no_steady_state():
    told = prediction(2 / SERVICE_S, SERVICE_S, True)
    assert told.mean_s is None and told.p99_s is None and told.load == pytest.approx(2.0)
    found = opened(2.0)
    assert found.episodes >= 1 and found.episode_events > 0.99 * EVENTS
    assert found.behind_s == pytest.approx(EVENTS * SERVICE_S / 2, rel=0.02)
    assert found.in_time == pytest.approx(EVENTS / 2, rel=0.02)


def test_many_threads_with_long_think_times_are_nearly_open():
    """200 threads that think 200 times the flush: the closed replay approaches M/D/1 of the same load from below."""
    threads, load = 200, 0.1
    random = numpy.random.default_rng(3)
    times = poisson(1_000_000, load / SERVICE_S)
    passed = Closed(constant(SERVICE_S), True, threads, 1e18)
    passed.feed(work(0, times, random.integers(0, threads, len(times))))
    found = passed.outcome()
    told = prediction(load / SERVICE_S, SERVICE_S, True)
    assert found.latency_s(0.99) == pytest.approx(told.p99_s, rel=0.02)
