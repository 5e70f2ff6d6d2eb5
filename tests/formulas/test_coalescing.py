"""Shared flushes against a simulated line: what arrives while a flush runs is served by the next."""

import numpy
import pytest

from tests.formulas.domain import exact

RATE, FLUSH = 30.0, 0.05


@pytest.fixture(scope="module")
def simulated():
    """Sizes of the batches and mean time from arrival to the end of the flush that serves it, in a Poisson stream."""
    arrivals = numpy.cumsum(numpy.random.default_rng(2).exponential(1 / RATE, 60_000))
    sizes, latencies, served, end = [], [], 0, 0.0
    while served < len(arrivals):
        begin = max(arrivals[served], end)
        end = begin + FLUSH
        last = numpy.searchsorted(arrivals, begin, side="right")
        latencies.append(end - arrivals[served:last])
        sizes.append(last - served)
        served = last
    return numpy.array(sizes), numpy.concatenate(latencies), end


def test_a_batch_holds_what_came_during_the_last_flush(simulated):
    sizes, _, _ = simulated
    assert exact("coalesced_batch", rate_per_s=RATE, flush_s=FLUSH) == pytest.approx(sizes.mean(), rel=0.02)


def test_the_busy_share_is_that_of_the_flushes(simulated):
    sizes, _, end = simulated
    assert exact("coalesced_busy", rate_per_s=RATE, flush_s=FLUSH) == pytest.approx(len(sizes) * FLUSH / end, rel=0.01)


def test_an_event_waits_for_the_running_flush_and_the_next(simulated):
    _, latencies, _ = simulated
    found = exact("coalesced_latency", rate_per_s=RATE, flush_s=FLUSH)
    assert found == pytest.approx(latencies.mean(), rel=0.01)


def test_the_line_is_that_of_khinchine():
    # M/D/1 at load 0.6: half a service times 0.6 / 0.4 in line, then the service.
    assert exact("queued_latency", rate_per_s=12, flush_s=0.05) == pytest.approx(0.05 + 0.025 * 1.5)


def test_a_collector_flushes_once_per_delay_and_first_event():
    assert exact("deferred_rate", rate_per_s=10, delay_s=0.4) == pytest.approx(1 / (0.1 + 0.4))
