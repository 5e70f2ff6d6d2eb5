"""A pass of the replay: one way to flush at one level of its cost, fed with the blocks of the trace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from costmodel.traces import bins, libraries

SATURATED_FLUSHES = 10
"""A busy period is an episode of saturation once this many flushes stand in line."""


@dataclass
class Work:
    """A block made ready: arrays of shape (n,), `first` of shape (threads,), `recorded_ns` empty if unknown."""

    number: int
    time_ns: numpy.ndarray
    thread: numpy.ndarray
    first: numpy.ndarray
    following: numpy.ndarray
    classes: numpy.ndarray
    recorded_ns: numpy.ndarray

    @property
    def span_ns(self) -> int:
        return int(self.time_ns[-1] - self.time_ns[0])


@dataclass(frozen=True)
class Outcome:
    """What a pass found, times in seconds. `behind_s`: how far the slowest thread (closed) or the line of flushes (open)
    is behind the recording at its end, below 0 if it is done sooner; `in_time` events were done by then.
    """

    events: int
    histogram: numpy.ndarray
    longest_s: float
    in_progress_fraction: float
    behind_s: float
    in_time: int
    slowest_thread: int
    aligned_s: float
    episodes: int = 0
    episode_events: int = 0
    episodes_s: float = 0.0
    longest_episodes: tuple[tuple[float, float, int], ...] = ()

    def latency_s(self, share: float) -> float:
        """Latency that a share of the events does not exceed."""
        return min(bins.quantile(self.histogram, share) * 1e-9, self.longest_s)


class Closed:
    """Every thread waits for its own flush. At the end of each block the threads' clocks are set to that of the
    slowest, so that memory is that of one block; inside a block events happen in the order of their new times.
    """

    def __init__(self, service_ns: numpy.ndarray, serial: bool, threads: int, span_ns: float) -> None:
        self._kernel = libraries.kernels()
        self._service_ns, self._serial, self._span_ns = service_ns, serial, span_ns
        self._histogram = numpy.zeros(bins.BINS, numpy.int64)
        self._behind = numpy.zeros(threads)
        self._seen = numpy.zeros(threads, bool)
        self._free = self._shift = self._busy = self._longest = self._recorded = 0.0
        self._events = self._in_time = 0
        self._next = self._zero = None

    def feed(self, work: Work) -> None:
        """Replay a block; after a block that was left out the line of flushes is empty."""
        zero = int(work.time_ns[0])
        if self._zero is None:
            self._zero = zero
        if self._next != work.number:
            self._free = 0.0
        else:
            self._free -= zero - self._began
            self._recorded += zero - self._ended
        limit = self._span_ns - (zero - self._zero) - self._shift
        free, busy, furthest, in_time, longest = self._kernel.closed(
            work.time_ns,
            work.thread,
            work.first,
            work.following,
            work.recorded_ns,
            work.classes,
            self._service_ns,
            self._serial,
            self._free,
            limit,
            self._histogram,
            self._behind,
        )
        self._seen[work.thread[work.first]] = True
        self._free = free - furthest
        self._shift += furthest
        self._busy += busy
        self._in_time += in_time
        self._longest = max(self._longest, longest)
        self._events += len(work.time_ns)
        self._recorded += work.span_ns
        self._next, self._began, self._ended = work.number + 1, zero, int(work.time_ns[-1])

    def outcome(self) -> Outcome:
        """The result so far."""
        slowest = int(numpy.argmax(numpy.where(self._seen, self._behind, -numpy.inf)))
        elapsed = self._recorded + self._shift
        return Outcome(
            events=self._events,
            histogram=self._histogram,
            longest_s=self._longest * 1e-9,
            in_progress_fraction=min(1.0, self._busy / elapsed) if elapsed > 0 else 1.0,
            behind_s=float(self._behind[slowest]) * 1e-9,
            in_time=self._in_time,
            slowest_thread=slowest,
            aligned_s=max(0.0, self._shift - float(self._behind[slowest])) * 1e-9,
        )


class Open:
    """Events at their recorded times, whatever the flushes take. Flushes side by side have no histogram here: their
    latency is their own length.
    """

    def __init__(self, service_ns: numpy.ndarray, serial: bool) -> None:
        self._kernel = libraries.kernels()
        self._service_ns, self._serial = service_ns, serial
        self._one_ns = float(service_ns[-1])
        self._histogram = numpy.zeros(bins.BINS, numpy.int64)
        self._episodes = numpy.zeros((self._kernel.EPISODES, 3))
        self._totals = numpy.zeros(3)
        self._state = numpy.zeros(len(self._kernel.OPEN_STATE))
        self._recorded = self._busy = self._overhang = self._longest = 0.0
        self._events = 0
        self._next = None

    def feed(self, work: Work) -> None:
        """Replay a block; after a block that was left out the line of flushes is empty."""
        if self._next != work.number:
            self._close()
            self._zero = int(work.time_ns[0])
        if self._serial:
            self._kernel.open_serial(
                work.time_ns,
                self._zero,
                self._one_ns,
                SATURATED_FLUSHES * self._one_ns,
                self._state,
                self._histogram,
                self._episodes,
                self._totals,
            )
            self._busy += len(work.time_ns) * self._one_ns
        else:
            self._kernel.open_parallel(work.time_ns, self._zero, work.classes, self._service_ns, self._state)
        self._events += len(work.time_ns)
        self._next, self._ended = work.number + 1, int(work.time_ns[-1])

    def _close(self) -> None:
        """Settle a run of blocks: what is still in line at its end lies outside the recorded time."""
        if self._next is None:
            return
        span = float(self._ended - self._zero)
        self._overhang = max(0.0, self._state[0] - span)
        self._busy += 0.0 if self._serial else self._state[1]
        self._busy -= self._overhang
        self._recorded += span
        if self._serial and self._state[3] >= SATURATED_FLUSHES * self._one_ns:
            length = self._state[0] - self._state[1]
            self._kernel.keep(self._episodes, self._totals, self._state[1], length, self._state[2])
        self._longest = max(self._longest, self._state[4])
        self._state[:] = 0.0

    def outcome(self) -> Outcome:
        """The result; the pass ends with it."""
        self._close()
        kept = sorted((row for row in self._episodes.tolist() if row[1] > 0), key=lambda row: -row[1])
        late = 0
        if self._serial and self._one_ns > 0:
            late = min(self._events, round(self._overhang / self._one_ns))
        return Outcome(
            events=self._events,
            histogram=self._histogram,
            longest_s=float(self._longest) * 1e-9,
            in_progress_fraction=min(1.0, self._busy / self._recorded) if self._recorded > 0 else 1.0,
            behind_s=self._overhang * 1e-9,
            in_time=self._events - late,
            slowest_thread=-1,
            aligned_s=0.0,
            episodes=int(self._totals[0]),
            episode_events=int(self._totals[2]),
            episodes_s=float(self._totals[1]) * 1e-9,
            longest_episodes=tuple((row[0] * 1e-9, row[1] * 1e-9, int(row[2])) for row in kept),
        )
