"""Replays of independent arrivals agree with the closed forms within 2 %."""

import math

import numpy
import pytest

from costmodel.evidence.paths import data_dir
from costmodel.formulas.compiled import value
from costmodel.traces import reader, store
from costmodel.traces.replay import Closed, Open
from costmodel.traces.results import prediction
from costmodel.traces.summary import Summary
from tests.traces.conftest import constant, poisson, work

EVENTS = 2_000_000
SERVICE_S = 0.001


def opened(load, seed=1, serial=True):
    passed = Open(constant(SERVICE_S), serial)
    passed.feed(work(0, poisson(EVENTS, load / SERVICE_S, seed)))
    return passed.outcome()


@pytest.mark.parametrize("load", [0.05, 0.1, 0.13])
def test_latency_quantiles_in_line(load):
    told = prediction(load / SERVICE_S, SERVICE_S)
    assert not told.p99_is_lower_bound
    found = opened(load)
    assert found.latency_s(0.5) == pytest.approx(told.p50_s, rel=0.02)
    assert found.latency_s(0.99) == pytest.approx(told.p99_s, rel=0.02)


@pytest.mark.parametrize("load", [0.1, 0.3, 0.5, 0.8])
def test_share_of_time_in_progress(load):
    assert opened(load).in_progress_fraction == pytest.approx(
        prediction(load / SERVICE_S, SERVICE_S).in_progress_fraction, rel=0.02
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
    assert middle == pytest.approx(prediction(load / SERVICE_S, SERVICE_S).mean_s, rel=0.02)


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
    told = prediction(2 / SERVICE_S, SERVICE_S)
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
    told = prediction(load / SERVICE_S, SERVICE_S)
    assert found.latency_s(0.99) == pytest.approx(told.p99_s, rel=0.02)


# The trace that `costmodel measure invalidations` recorded: independent arrivals agree with the closed forms, its own
# bursts do not.
#
# The host profile keeps times, ranges and threads of every event; its triggers were caused one by one, so the recorded
# sequence is bursts. Given their number, independent arrivals are uniform over the time: the recorded events are dealt
# out so, with their own ranges and at their own mean rate.

PROFILE = data_dir() / "hosts/epyc-genoa-4cpu-vm/invalidations.csv"
ROUNDS = 40


@pytest.fixture(scope="module")
def recorded():
    """Times in ns of the recorded events."""
    notes = reader.Notes()
    batches = list(reader.batches(PROFILE, notes))
    assert "laid 1 s apart" in notes.remarks[0]
    return numpy.sort(numpy.concatenate([store.int_column(batch, "t_ns") for batch in batches]))


@pytest.fixture(scope="module")
def dealt_out(recorded):
    """The recorded events at independent times, ROUNDS times one after another."""
    random = numpy.random.default_rng(7)
    span = int(recorded[-1] - recorded[0])
    rounds = [numpy.sort(random.integers(0, span, len(recorded))) + k * span for k in range(ROUNDS)]
    return numpy.concatenate(rounds)


def opened_recorded(times, service_s, serial=True):
    passed = Open(constant(service_s), serial)
    passed.feed(work(0, times))
    return passed.outcome()


@pytest.fixture(scope="module")
def rate_per_s(recorded):
    return (len(recorded) - 1) / ((recorded[-1] - recorded[0]) * 1e-9)


@pytest.mark.parametrize("load", [0.05, 0.1])
def test_independent_arrivals_agree(dealt_out, rate_per_s, load):
    service_s = load / rate_per_s
    told, found = prediction(rate_per_s, service_s), opened_recorded(dealt_out, service_s)
    assert not told.p99_is_lower_bound
    assert found.latency_s(0.5) == pytest.approx(told.p50_s, rel=0.02)
    assert found.latency_s(0.99) == pytest.approx(told.p99_s, rel=0.02)
    assert found.in_progress_fraction == pytest.approx(told.in_progress_fraction, rel=0.02)


def test_independent_range_flushes_agree(dealt_out, rate_per_s):
    service_s = 0.3 / rate_per_s
    side_by_side = opened_recorded(dealt_out, service_s, serial=False)
    assert side_by_side.in_progress_fraction == pytest.approx(1 - numpy.exp(-0.3), rel=0.02)


@pytest.mark.parametrize("load", [0.05, 0.1])
def test_the_recorded_bursts_do_not(recorded, rate_per_s, load):
    service_s = load / rate_per_s
    told, found = prediction(rate_per_s, service_s), opened_recorded(recorded, service_s)
    assert found.latency_s(0.5) > 100 * told.p50_s
    assert found.latency_s(0.99) > 100 * told.p99_s
    assert found.episodes > 0
    side_by_side = opened_recorded(recorded, service_s, serial=False)
    assert side_by_side.in_progress_fraction < 0.2 * load, "bursts overlap, so less time is in progress"


def test_the_burstiness_says_so(recorded, dealt_out):
    from costmodel.traces.store import Block
    from costmodel.traces.summary import Counter

    def counted(times):
        n = len(times)
        ones = numpy.zeros(n, numpy.int64)
        counter = Counter({"ksmd": n})
        counter.feed(Block(0, times, ones, ones + 4096, numpy.zeros(n, numpy.int32), ones.astype("i4"), None, None))
        return counter.summary()

    bursts, independent = counted(recorded), counted(dealt_out)
    assert isinstance(bursts, Summary)
    assert bursts.gap_variation > 100 and independent.gap_variation == pytest.approx(1, abs=0.05)
    assert bursts.windows[10**6].dispersion > 100
    assert independent.windows[10**6].dispersion == pytest.approx(1, abs=0.05)
