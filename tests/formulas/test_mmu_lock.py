"""Waits for mmu_lock against simulated writers."""

import numpy
import pytest

from tests.formulas.domain import exact

RATE, HOLD = 40.0, 0.015


@pytest.fixture(scope="module")
def work():
    """Work that readers at random moments find in a line of writers (holds of one length, Poisson arrivals)."""
    random = numpy.random.default_rng(4)
    arrivals = numpy.cumsum(random.exponential(1 / RATE, 400_000))
    done = HOLD * numpy.arange(1, len(arrivals) + 1)
    done = done + numpy.maximum.accumulate(arrivals - numpy.concatenate([[0.0], done[:-1]]))
    moments = random.uniform(0, arrivals[-1], 400_000)
    last = numpy.searchsorted(arrivals, moments, side="right") - 1
    return numpy.where(last >= 0, numpy.maximum(0.0, done[last] - moments), 0.0)


def test_the_mean_wait_is_the_work_in_the_line(work):
    found = exact("lock_wait", rate_per_s=RATE, hold_s=HOLD, end_hold_s=0, queueing=1)
    assert found == pytest.approx(work.mean(), rel=0.02)


@pytest.mark.parametrize("share", [0.3, 0.4, 0.55])
def test_the_quantile_is_that_of_the_work_in_the_line(work, share):
    found = exact("lock_wait_quantile", share=share, rate_per_s=RATE, hold_s=HOLD, queueing=1)
    expected = numpy.quantile(work, 1 - share)
    assert 0 < found < HOLD
    assert found == pytest.approx(expected, rel=0.03)


def test_the_quantile_ends_at_the_hold_and_at_nothing():
    assert exact("lock_wait_quantile", share=1e-6, rate_per_s=RATE, hold_s=HOLD, queueing=1) == HOLD
    assert exact("lock_wait_quantile", share=0.99, rate_per_s=RATE, hold_s=HOLD, queueing=1) == 0


def test_one_waiting_thread_leaves_the_rest_of_its_hold():
    # In a share 0.6 of the time it holds; the rest of the hold is uniform.
    assert exact("lock_wait_quantile", share=0.3, rate_per_s=RATE, hold_s=HOLD, queueing=0) == pytest.approx(0.0075)
    assert exact("lock_wait_quantile", share=0.7, rate_per_s=RATE, hold_s=HOLD, queueing=0) == 0


def test_both_holds_of_an_event_are_waited_for():
    # Second moments 4 and 1 add; load 0.3 in a line, none for one thread.
    lone = exact("lock_wait", rate_per_s=0.1, hold_s=2, end_hold_s=1, queueing=0)
    assert lone == pytest.approx(0.1 * (4 + 1) / 2)
    assert exact("lock_wait", rate_per_s=0.1, hold_s=2, end_hold_s=1, queueing=1) == pytest.approx(lone / 0.7)


def test_holds_and_their_limits():
    assert exact("lock_hold", zap_s=2, under_lock=1, flush_s=5) == 7
    assert exact("lock_hold", zap_s=2, under_lock=0, flush_s=5) == 2
    assert exact("lock_busy", rate_per_s=0.1, hold_s=2, end_hold_s=1) == pytest.approx(0.3)
    assert exact("lock_busy", rate_per_s=2, hold_s=2, end_hold_s=1) == 1
    assert exact("lock_saturation", hold_s=2, end_hold_s=3) == pytest.approx(0.2)
