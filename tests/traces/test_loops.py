"""The compiled loops against plain Python, event by event."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.traces import store, summary
from costmodel.traces.replay import Closed, Open
from tests.traces.conftest import work

kernel = store.loops()


@st.composite
def sequences(draw):
    """Times, threads and classes of a few events, many of them at the same time."""
    n = draw(st.integers(1, 60))
    gaps = draw(st.lists(st.integers(0, 3000), min_size=n, max_size=n))
    thread = draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))
    classes = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    return numpy.cumsum(gaps) + 10**6, thread, classes


SERVICE = numpy.array([500.0, 40.0, 2500.0, 1.0])


def plain_closed(times, thread, classes, serial, recorded=None):
    """Each thread waits for its flush and keeps its think time. Returns latencies in the order served and the end."""
    zero = times[0]
    queues = {}
    for i, k in enumerate(thread):
        queues.setdefault(k, []).append(i)
    arrival = {k: float(times[q[0]] - zero) for k, q in queues.items()}
    free, latencies, behind, windows = 0.0, [], -numpy.inf, []
    while queues:
        k = min(queues, key=lambda k: (int(arrival[k]), list(kernel_order(thread)).index(k)))
        i = queues[k].pop(0)
        now = arrival[k]
        done = (max(now, free) if serial else now) + SERVICE[classes[i]]
        free = max(free, done)
        windows.append((now, done))
        latencies.append(done - now)
        if queues[k]:
            gap = float(times[queues[k][0]] - times[i])
            arrival[k] = done + (gap if recorded is None else max(0.0, gap - recorded[i]))
        else:
            behind = max(behind, done - float(times[i] - zero))
            del queues[k]
    return latencies, behind, windows


def kernel_order(thread):
    """Threads in the order in which link() finds them: by their last event, from the back."""
    return dict.fromkeys(reversed(list(thread)))


@given(sequences(), st.booleans())
def test_closed_loop_is_the_plain_one(sequence, serial):
    times, thread, classes = sequence
    passed = Closed(SERVICE, serial, 7, 1e12)
    passed.feed(work(0, times, thread, classes))
    found = passed.outcome()
    latencies, behind, _ = plain_closed(times, thread, classes, serial)
    assert found.longest_s == pytest.approx(max(latencies) * 1e-9)
    assert numpy.array_equal(found.histogram, numpy.bincount(summary.bin_of(latencies), minlength=summary.BINS))
    assert found.behind_s == pytest.approx(behind * 1e-9)
    assert found.aligned_s == 0 and found.in_time == len(times)


@given(sequences(), st.integers(0, 3000))
def test_a_recorded_flush_is_no_think_time(sequence, flush_ns):
    times, thread, classes = sequence
    passed = Closed(SERVICE, True, 7, 1e12)
    passed.feed(work(0, times, thread, classes, [flush_ns] * len(times)))
    latencies, behind, _ = plain_closed(times, thread, classes, True, [flush_ns] * len(times))
    assert passed.outcome().behind_s == pytest.approx(behind * 1e-9, abs=1e-15)
    assert passed.outcome().longest_s == pytest.approx(max(latencies) * 1e-9)


@given(sequences())
def test_closed_coverage_is_the_union_of_the_windows(sequence):
    times, thread, classes = sequence
    passed = Closed(SERVICE, False, 7, 1e12)
    passed.feed(work(0, times, thread, classes))
    _, behind, windows = plain_closed(times, thread, classes, False)
    covered, end = 0.0, 0.0
    for start, done in windows:
        covered += max(0.0, done - max(start, end))
        end = max(end, done)
    elapsed = float(times[-1] - times[0]) + behind
    assert passed.outcome().in_progress_fraction == pytest.approx(min(1.0, covered / elapsed))


@given(sequences(), st.integers(1, 2000))
def test_open_line_is_lindleys(sequence, service_ns):
    times, _, _ = sequence
    passed = Open(numpy.full(4, float(service_ns)), True)
    passed.feed(work(0, times))
    found = passed.outcome()
    free, latencies = 0.0, []
    for t in times - times[0]:
        free = max(free, float(t)) + service_ns
        latencies.append(free - t)
    assert numpy.array_equal(found.histogram, numpy.bincount(summary.bin_of(latencies), minlength=summary.BINS))
    assert found.longest_s == pytest.approx(max(latencies) * 1e-9)
    assert found.behind_s == pytest.approx((free - (times[-1] - times[0])) * 1e-9)


@given(sequences(), st.integers(1, 59), st.booleans())
def test_open_loops_do_not_depend_on_the_cut(sequence, cut, serial):
    times, _, classes = sequence
    whole, parts = (Open(numpy.full(4, 700.0) if serial else SERVICE, serial) for _ in range(2))
    whole.feed(work(0, times, classes=classes))
    for number, part in enumerate((slice(0, cut), slice(cut, None))):
        if len(times[part]):
            parts.feed(work(number, times[part], classes=classes[part]))
    one, other = whole.outcome(), parts.outcome()
    assert numpy.array_equal(one.histogram, other.histogram)
    assert one.in_progress_fraction == pytest.approx(other.in_progress_fraction)
    assert one.behind_s == pytest.approx(other.behind_s)


def test_one_thread_does_not_depend_on_the_cut():
    times = numpy.arange(1, 101) * 1000
    whole, parts = (Closed(SERVICE, True, 1, 1e12) for _ in range(2))
    whole.feed(work(0, times))
    for number in range(10):
        parts.feed(work(number, times[number * 10 : number * 10 + 10]))
    one, other = whole.outcome(), parts.outcome()
    assert numpy.array_equal(one.histogram, other.histogram)
    assert (one.behind_s, one.in_progress_fraction) == pytest.approx((other.behind_s, other.in_progress_fraction))


def test_aligning_the_threads_is_counted():
    """Thread 0 falls behind in the first block, thread 1 in the second: the clocks are aligned in between."""
    passed = Closed(numpy.array([1000.0]), False, 2, 1e12)
    passed.feed(work(0, numpy.arange(10), [0] * 10))
    passed.feed(work(1, numpy.arange(100, 110), [1] * 10))
    found = passed.outcome()
    assert found.behind_s == pytest.approx(10e-6)
    assert found.aligned_s == pytest.approx(10e-6)


def test_a_left_out_block_leaves_an_empty_line():
    passed = Open(numpy.full(1, 1e6), True)
    passed.feed(work(0, numpy.zeros(100)))
    passed.feed(work(5, [200, 10**9]))
    assert summary.bin_quantile(passed.outcome().histogram[:], 1.0) <= 100 * 1e6 * 1.02
    assert passed.outcome().longest_s == pytest.approx(0.1)


def test_link_joins_each_threads_events():
    thread = numpy.array([3, 1, 3, 3, 1], numpy.int32)
    following = numpy.empty(5, numpy.int32)
    scratch = numpy.full(4, -1, numpy.int32)
    first = kernel.link(thread, scratch, following)
    assert following.tolist() == [2, 4, 3, -1, -1]
    assert sorted(first.tolist()) == [0, 1] and (scratch == -1).all()


@pytest.mark.parametrize("value", [0, 1, 1.5, 63, 64, 4096, 2**40, 2**62])
def test_the_compiled_bin_is_the_one_of_numpy(value):
    assert kernel._bin(value) == summary.bin_of(float(value))


def test_many_threads_and_huge_times_keep_their_order():
    n = 5000
    times = numpy.arange(n) * (2**52 // n)
    passed = Closed(numpy.array([1e9]), True, n, 1e18)
    passed.feed(work(0, times, numpy.arange(n)))
    assert passed.outcome().longest_s == pytest.approx(1.0)
