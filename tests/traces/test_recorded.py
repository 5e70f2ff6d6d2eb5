"""The trace that `costmodel measure invalidations` recorded: independent arrivals agree with the closed forms, its own
bursts do not.

The host profile keeps times, ranges and threads of every event; its triggers were caused one by one, so the recorded
sequence is bursts. Given their number, independent arrivals are uniform over the time: the recorded events are dealt
out so, with their own ranges and at their own mean rate.
"""

import numpy
import pytest

from costmodel.evidence.paths import data_dir
from costmodel.traces import reader, schema
from costmodel.traces.passes import Open
from costmodel.traces.results import prediction
from costmodel.traces.summary import Summary
from tests.traces.conftest import constant, work

PROFILE = data_dir() / "hosts/epyc-genoa-4cpu-vm/invalidations.csv"
ROUNDS = 40


@pytest.fixture(scope="module")
def recorded():
    """Times in ns of the recorded events."""
    notes = reader.Notes()
    batches = list(reader.batches(PROFILE, notes))
    assert "laid 1 s apart" in notes.remarks[0]
    return numpy.sort(numpy.concatenate([schema.numbers(batch, "t_ns") for batch in batches]))


@pytest.fixture(scope="module")
def dealt_out(recorded):
    """The recorded events at independent times, ROUNDS times one after another."""
    random = numpy.random.default_rng(7)
    span = int(recorded[-1] - recorded[0])
    rounds = [numpy.sort(random.integers(0, span, len(recorded))) + k * span for k in range(ROUNDS)]
    return numpy.concatenate(rounds)


def opened(times, service_s, serial=True):
    passed = Open(constant(service_s), serial)
    passed.feed(work(0, times))
    return passed.outcome()


@pytest.fixture(scope="module")
def rate_per_s(recorded):
    return (len(recorded) - 1) / ((recorded[-1] - recorded[0]) * 1e-9)


@pytest.mark.parametrize("load", [0.05, 0.1])
def test_independent_arrivals_agree(dealt_out, rate_per_s, load):
    service_s = load / rate_per_s
    told, found = prediction(rate_per_s, service_s, True), opened(dealt_out, service_s)
    assert not told.p99_is_lower_bound
    assert found.latency_s(0.5) == pytest.approx(told.p50_s, rel=0.02)
    assert found.latency_s(0.99) == pytest.approx(told.p99_s, rel=0.02)
    assert found.in_progress_fraction == pytest.approx(told.in_progress_fraction, rel=0.02)


def test_independent_range_flushes_agree(dealt_out, rate_per_s):
    service_s = 0.3 / rate_per_s
    side_by_side = opened(dealt_out, service_s, serial=False)
    assert side_by_side.in_progress_fraction == pytest.approx(1 - numpy.exp(-0.3), rel=0.02)


@pytest.mark.parametrize("load", [0.05, 0.1])
def test_the_recorded_bursts_do_not(recorded, rate_per_s, load):
    service_s = load / rate_per_s
    told, found = prediction(rate_per_s, service_s, True), opened(recorded, service_s)
    assert found.latency_s(0.5) > 100 * told.p50_s
    assert found.latency_s(0.99) > 100 * told.p99_s
    assert found.episodes > 0
    side_by_side = opened(recorded, service_s, serial=False)
    assert side_by_side.in_progress_fraction < 0.2 * load, "bursts overlap, so less time is in progress"


def test_the_burstiness_says_so(recorded, dealt_out):
    from costmodel.traces.counter import Counter
    from costmodel.traces.store import Block

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
