"""The loops over events, compiled by numba; they release the GIL, so that the next block is read meanwhile.

Times are nanoseconds as float64 relative to the first event of the trace (open loops) or of the block (closed loops):
exact to 1 ns up to 104 days. Imported through `store.loops()` only.
"""

from __future__ import annotations

import numba
import numpy

from costmodel.cache import folder_of
from costmodel.traces.summary import BINS, OFFSET, SHIFT

_KEPT = folder_of("numba")
if _KEPT is not None:
    numba.config.CACHE_DIR = str(_KEPT)  # type: ignore[attr-defined]  # numba makes its options when imported
compiled = numba.njit(nogil=True, cache=_KEPT is not None, error_model="numpy")

NO_PID = 2**22
"""PID_MAX_LIMIT: threads without a pid take the numbers from here on, one per task name."""
OPEN_STATE = ("free_ns", "busy_from_ns", "busy_events", "peak_wait_ns", "longest_ns")
EPISODES = 16


@compiled
def _bin(value):
    """Bin of a value, as in bins.index()."""
    found = (numpy.float64(value).view(numpy.int64) >> SHIFT) - OFFSET
    return min(max(found, 0), BINS - 1)


TALLY = ("count", "least", "most")
"""Of a bin: how many values, the least and the greatest of them (0 of none). Tallies have shape (..., BINS, 3)."""


@compiled
def _tally(found, value):
    """One value more in the bin `found` (shape (3,))."""
    if found[0] == 0 or value < found[1]:
        found[1] = value
    if value > found[2]:
        found[2] = value
    found[0] += 1


@compiled
def tally(row, values, tallies):
    """`values` (n,) in the bins of the `row` (n,) of each: `tallies` (rows, BINS, 3) grows."""
    for i in range(len(values)):
        _tally(tallies[row[i], _bin(values[i])], values[i])


@compiled
def sound(time_ns, start, end, pid, first_ns, last_ns, huge):
    """Whether times rise from `first_ns` to `last_ns`, ranges are not empty, and no number is out of bounds.

    The other loops index by them: a file that only claims to be a trace must not get there.
    """
    good = time_ns[0] >= first_ns and time_ns[-1] <= last_ns
    for i in range(len(time_ns)):
        good &= -huge <= start[i] < end[i] <= huge
        good &= -1 <= pid[i] < NO_PID
    for i in range(1, len(time_ns)):
        good &= time_ns[i - 1] <= time_ns[i]
    return good


@compiled
def classify(start, end, task, offset_of_task, classes, tallies, total_bytes):
    """Class of each event, its range-length bin plus the offset of its task; `tallies` (classes, 3) and bytes add
    up."""
    for i in range(len(start)):
        length = end[i] - start[i]
        found = _bin(length) + offset_of_task[task[i]]
        classes[i] = found
        _tally(tallies[found], length)
        total_bytes[found] += length


@compiled
def link(thread, last, following):
    """`following[i]`: index of the next event of the same thread, -1 at its last. Returns each thread's first event.

    `last` (one entry per thread number, all -1) is scratch and left all -1.
    """
    seen = numpy.empty(len(thread), numpy.int32)
    threads = 0
    for i in range(len(thread) - 1, -1, -1):
        own = thread[i]
        if last[own] < 0:
            seen[threads] = own
            threads += 1
        following[i] = last[own]
        last[own] = i
    first = numpy.empty(threads, numpy.int32)
    for k in range(threads):
        first[k] = last[seen[k]]
        last[seen[k]] = -1
    return first


@compiled
def open_serial(time_ns, zero_ns, service_ns, saturated_ns, state, histogram, episodes, totals):
    """Events at their recorded times, flushes one after the other: Lindley's recursion.

    A busy period in which the wait reached `saturated_ns` is an episode: `totals` gets one episode, its length and
    its events, `episodes` (EPISODES, 3: start, length, events) keeps the longest.
    """
    free, began, events, peak, longest = state[0], state[1], state[2], state[3], state[4]
    alone = 0
    for i in range(len(time_ns)):
        now = float(time_ns[i] - zero_ns)
        if now >= free:
            if peak >= saturated_ns:
                keep(episodes, totals, began, free - began, events)
            began, events, peak = now, 1.0, 0.0
            free = now + service_ns
            alone += 1
        else:
            peak = max(peak, free - now)
            events += 1.0
            free += service_ns
            longest = max(longest, free - now)
            histogram[_bin(free - now)] += 1
    if alone:
        longest = max(longest, service_ns)
        histogram[_bin(service_ns)] += alone
    state[0], state[1], state[2], state[3], state[4] = free, began, events, peak, longest


@compiled
def keep(episodes, totals, start, length, events):
    """Count an episode of saturation; the longest ones stay in `episodes`."""
    totals[0] += 1
    totals[1] += length
    totals[2] += events
    shortest = numpy.argmin(episodes[:, 1])
    if length > episodes[shortest, 1]:
        episodes[shortest, 0], episodes[shortest, 1], episodes[shortest, 2] = start, length, events


@compiled
def open_parallel(time_ns, zero_ns, classes, service_ns, state):
    """Events at their recorded times, flushes side by side: state is (end of coverage, covered time)."""
    end, covered = state[0], state[1]
    for i in range(len(time_ns)):
        now = float(time_ns[i] - zero_ns)
        done = now + service_ns[classes[i]]
        if done > end:
            covered += done - max(now, end)
            end = done
    state[0], state[1] = end, covered


@compiled
def _plant(key, losers, size):
    """A tournament of `size` (a power of two) keys: the loser of each match stays in it, the winner is returned."""
    winners = numpy.empty(2 * size, numpy.int64)
    winners[size:] = key
    for match in range(size - 1, 0, -1):
        one, other = winners[2 * match], winners[2 * match + 1]
        winners[match], losers[match] = min(one, other), max(one, other)
    return winners[1]


@compiled
def closed(
    time_ns, thread, first, following, recorded_ns, classes, service_ns, serial, free, limit_ns, histogram, behind_ns
):
    """One block in which every thread waits for its own flush and then thinks as long as it did when recorded.

    Events happen in the order of their new times, over all threads (a tournament of the threads' next events).
    Times are compared to 1 ns, in very long blocks with very many threads to what 62 bits hold beside the thread.
    `serial`: flushes one after the other, so an event waits until `free`; else side by side. `recorded_ns` (empty if
    unknown) is the flush time that the recorded gaps hold. `behind_ns[thread]` grows by what the thread falls behind
    the recording. Returns (end of the last flush, busy time, how far the last thread is behind, events done by
    `limit_ns`, longest latency), in ns from the block's first event; behind is below 0 where a thread is done sooner.
    """
    zero = time_ns[0]
    threads = len(first)
    bits = 0
    while (1 << bits) < threads:
        bits += 1
    size = 1 << bits
    never = numpy.int64(2**62)
    work = float(time_ns[-1] - zero)
    if serial:
        work += len(time_ns) * service_ns.max()
    else:
        for i in range(len(time_ns)):
            work += service_ns[classes[i]]
    grain = 1.0
    while work * grain >= float(never >> bits):
        grain /= 2
    key = numpy.full(size, never, numpy.int64)
    arrival, own, think = numpy.zeros(size), numpy.zeros(size), numpy.zeros(size)
    event, later = numpy.zeros(size, numpy.int32), numpy.zeros(size, numpy.int32)
    for k in range(threads):
        i = first[k]
        event[k], later[k] = i, following[i]
        arrival[k] = float(time_ns[i] - zero)
        own[k] = service_ns[classes[i]]
        key[k] = (numpy.int64(arrival[k] * grain) << bits) + k
        think[k] = _think(time_ns, recorded_ns, i, following[i])
    losers = numpy.empty(size, numpy.int64)
    best = _plant(key, losers, size)
    busy, longest, furthest, in_time = 0.0, 0.0, -numpy.inf, 0
    for _ in range(len(time_ns)):
        k = best & (size - 1)
        now = arrival[k]
        begin = max(now, free) if serial else now
        done = begin + own[k]
        busy += own[k] if serial else max(0.0, done - max(now, free))
        free = max(free, done)
        latency = done - now
        histogram[_bin(latency)] += 1
        longest = max(longest, latency)
        in_time += done <= limit_ns
        i = later[k]
        if i >= 0:
            arrival[k] = done + think[k]
            best = (numpy.int64(arrival[k] * grain) << bits) + k
            event[k] = i
            own[k] = service_ns[classes[i]]
            later[k] = following[i]
            think[k] = _think(time_ns, recorded_ns, i, following[i])
        else:
            behind = done - float(time_ns[event[k]] - zero)
            behind_ns[thread[event[k]]] += behind
            furthest = max(furthest, behind)
            best = never
        match = (k + size) >> 1
        while match > 0:
            loser = losers[match]
            losers[match] = max(best, loser)
            best = min(best, loser)
            match >>= 1
    return free, busy, furthest, in_time, longest


@compiled
def _think(time_ns, recorded_ns, i, after):
    """Time between event `i` and the same thread's next without the recorded flush, at least 0."""
    if after < 0:
        return 0.0
    gap = float(time_ns[after] - time_ns[i])
    return max(0.0, gap - recorded_ns[i]) if len(recorded_ns) else gap


HALF_BITS = 22
"""A gap (up to 2^53 ns) is squared in two parts, so that sums over the 2^20 rows of a block fit 64 bits without a
sign."""


@compiled
def gaps_of_all(time_ns, last_ns, tallies):
    """Gaps between consecutive events, the first since `last_ns`: `tallies` (BINS, 3) grows. Returns the sums of the
    high
    halves squared, of high times low, and of the low halves squared.
    """
    high_high, high_low, low_low = numpy.uint64(0), numpy.uint64(0), numpy.uint64(0)
    for i in range(len(time_ns)):
        gap = time_ns[i] - last_ns
        last_ns = time_ns[i]
        _tally(tallies[_bin(gap)], gap)
        high, low = numpy.uint64(gap >> HALF_BITS), numpy.uint64(gap & ((1 << HALF_BITS) - 1))
        high_high += high * high
        high_low += high * low
        low_low += low * low
    return high_high, high_low, low_low


WINDOW_STATE = ("end_ns", "count", "windows", "sum", "squares", "most")


@compiled
def windows(time_ns, lengths_ns, state):
    """Events per window of each length, windows on end from time 0: `state` (lengths, 6) is as in WINDOW_STATE."""
    for w in range(len(lengths_ns)):
        length = lengths_ns[w]
        end, count, closed_, total, squares, most = state[w]
        for i in range(len(time_ns)):
            if time_ns[i] >= end:
                total += count
                squares += count * count
                most = max(most, count)
                passed = (time_ns[i] - end) // length + 1 if time_ns[i] - end >= length else 1
                closed_ += passed
                end += passed * length
                count = 0
            count += 1
        state[w] = (end, count, closed_, total, squares, most)


@compiled
def gaps_of_threads(time_ns, thread, task, burst_gap_ns, after_ns, run, gaps, bursts):
    """Gaps between a thread's own events, and its bursts: events not further apart than `burst_gap_ns`.

    `after_ns` (1 ns after the last event, 0: none yet) and `run` (events of the open burst) have one entry per thread;
    `gaps` and `bursts` (tasks, BINS, 3) count by the task name of the later event.
    """
    for i in range(len(time_ns)):
        k = thread[i]
        if after_ns[k] > 0:
            gap = time_ns[i] + 1 - after_ns[k]
            _tally(gaps[task[i], _bin(gap)], gap)
            if gap > burst_gap_ns:
                _tally(bursts[task[i], _bin(run[k])], run[k])
                run[k] = 0
        run[k] += 1
        after_ns[k] = time_ns[i] + 1
