"""Replays a trace under each flush strategy: one pass over the file, blocks of 2^20 events, memory of a few blocks.

A pass is one way to flush at one level of its cost under one kind of arrivals. The median cost is replayed over all
events
where events wait in line (whole caches). The 90 % intervals of what comes from waiting, and the overlap of range
flushes,
come from PIECES evenly spaced pieces of a trace of more blocks (else from all of it), replayed at three levels of the
cost. CPU time and the latency of range flushes are sums over all events and all draws.

Replaying every level over every event would take 2.4 times the CPU time (20 million events, 16 threads): hence the
pieces.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy

from costmodel.errors import BadInput
from costmodel.traces import store, summary
from costmodel.traces.reader import Memslots
from costmodel.traces.service import LEVELS, Service, Way
from costmodel.traces.summary import Counter, Histogram, Summary, together

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
    """What a pass found, times in seconds. `behind_s`: how far the slowest thread (closed) or the line of flushes
    (open)
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
        return min(summary.bin_quantile(self.histogram, share) * 1e-9, self.longest_s)


class Closed:
    """Every thread waits for its own flush. At the end of each block the threads' clocks are set to that of the
    slowest, so that memory is that of one block; inside a block events happen in the order of their new times.
    """

    def __init__(self, service_ns: numpy.ndarray, serial: bool, threads: int, span_ns: float) -> None:
        self._kernel = store.loops()
        self._service_ns, self._serial, self._span_ns = service_ns, serial, span_ns
        self._histogram = numpy.zeros(summary.BINS, numpy.int64)
        self._behind = numpy.zeros(threads)
        self._seen = numpy.zeros(threads, bool)
        self._free = self._shift = self._busy = self._longest = self._recorded = 0.0
        self._events = self._in_time = 0
        self._next: int | None = None
        self._zero: int | None = None
        self._began = self._ended = 0

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
        self._kernel = store.loops()
        self._service_ns, self._serial = service_ns, serial
        self._one_ns = float(service_ns[-1])
        self._histogram = numpy.zeros(summary.BINS, numpy.int64)
        self._episodes = numpy.zeros((self._kernel.EPISODES, 3))
        self._totals = numpy.zeros(3)
        self._state = numpy.zeros(len(self._kernel.OPEN_STATE))
        self._recorded = self._busy = self._overhang = self._longest = 0.0
        self._events = 0
        self._next: int | None = None
        self._zero = self._ended = 0

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


PIECES, PIECE_ROWS = 16, 2**17
MEDIAN = LEVELS.index(0.5)


@dataclass(frozen=True)
class Levels:
    """Outcomes of one way under one kind of arrivals: `full` at the median over all events (None: sampled only),
    `sampled` at each of LEVELS over the sampled blocks.
    """

    full: Outcome | None
    sampled: tuple[Outcome, ...]

    @property
    def median(self) -> Outcome:
        return self.full or self.sampled[MEDIAN]


@dataclass(frozen=True)
class Replayed:
    """Raw results: per way (index in service.ways) the levels, and what was counted. `classes` and `class_bytes` have
    shape (residencies, BINS); `ranges` are the lengths of all events.
    """

    service: Service
    footer: store.Footer
    closed: tuple[Levels, ...] | None
    open: tuple[Levels, ...]
    classes: numpy.ndarray
    class_bytes: numpy.ndarray
    ranges: Histogram
    outside: int
    unknown_overlap: int
    threads: int
    sampled: Summary
    sampled_events: int


class _Lane:
    """All passes of one way under one kind of arrivals."""

    def __init__(self, way: Way, make: Callable, whole: bool) -> None:
        self._full = make(way.table_ns(MEDIAN), way.serial) if way.serial and not whole else None
        self._sampled = [make(way.table_ns(level), way.serial) for level in range(len(LEVELS))]
        self._whole = whole

    def jobs(self, work: Work, piece: Work | None) -> list[Callable]:
        """What there is to do with a block and the sampled piece of it."""
        jobs = [partial(self._full.feed, work)] if self._full else []
        return jobs + [partial(one.feed, piece) for one in self._sampled if piece is not None]

    def levels(self) -> Levels:
        outcomes = tuple(one.outcome() for one in self._sampled)
        full = self._full.outcome() if self._full else outcomes[MEDIAN] if self._whole else None
        return Levels(full, outcomes)


def replay(
    path: Path, footer: store.Footer, service: Service, slots: Memslots | None = None, *, closed: bool = True
) -> Replayed:
    """Replay the trace at `path`; with `closed` both kinds of arrivals, else open ones only. Raises BadInput."""
    sampling = _Sampling(-(-footer.events // store.GROUP_ROWS), footer)
    whole = sampling.whole
    span_ns = float(footer.last_ns - footer.first_ns)
    prepare = _Prepare(footer, service, slots)
    threads = prepare.thread_numbers
    same = _of_one_time(service.ways)
    kinds = {"closed": lambda table, serial: Closed(table, serial, threads, span_ns), "open": Open}
    lanes = {
        (kind, at): _Lane(service.ways[at], make, whole)
        for kind, make in kinds.items()
        if closed or kind == "open"
        for at in dict.fromkeys(same)
    }
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for block in store.blocks(path, footer, prepare.columns):
            block = prepare.filtered(block)
            if not len(block.time_ns):
                continue
            work = prepare.work(block)
            rows = sampling.rows(block)
            piece = work if rows == len(block.time_ns) and whole else prepare.piece(work, rows) if rows else None
            pending = [pool.submit(job) for lane in lanes.values() for job in lane.jobs(work, piece)]
            sampling.count(block, rows)
            for job in pending:
                job.result()
    if not sampling.events:
        raise BadInput("no event meets a memslot", file=path, remedy="check --memslots, or replay another trace")
    levels = {lane: passes.levels() for lane, passes in lanes.items()}
    tallies = prepare.tallies.reshape(-1, summary.BINS, 3)
    return Replayed(
        service=service,
        footer=footer,
        closed=tuple(levels["closed", at] for at in same) if closed else None,
        open=tuple(levels["open", at] for at in same),
        classes=tallies[:, :, 0],
        class_bytes=prepare.class_bytes.reshape(-1, summary.BINS),
        ranges=together(Histogram.of(one) for one in tallies),
        outside=prepare.outside,
        unknown_overlap=prepare.unknown_overlap,
        threads=int(prepare.seen.sum()),
        sampled=sampling.summary(),
        sampled_events=sampling.events,
    )


def _of_one_time(ways: Sequence[Way]) -> list[int]:
    """For each way the first one whose flushes take as long: what events meet does not depend on CPU time."""
    first: dict[tuple[bool, float, bytes], int] = {}
    return [first.setdefault((way.serial, way.longest_bytes, way.time_s.tobytes()), at) for at, way in enumerate(ways)]


class _Sampling:
    """Which events stand for the trace: all of up to PIECES blocks, else the first PIECE_ROWS of PIECES blocks."""

    def __init__(self, blocks: int, footer: store.Footer) -> None:
        self.whole = blocks <= PIECES
        self.events = 0
        self._tasks = footer.tasks
        self._last = blocks - 1
        self._due = [(2 * k + 1) * blocks // (2 * PIECES) for k in range(PIECES)]
        self._counter: Counter | None = None
        self._counted = Summary()

    def rows(self, block: store.Block) -> int:
        """How many of the block's first events are sampled; a block that has become empty is made up for later."""
        if self.whole:
            return len(block.time_ns)
        due = [number for number in self._due if number <= block.number]
        self._due = self._due[len(due) :]
        nothing_yet = block.number == self._last and not self.events
        return min(PIECE_ROWS, len(block.time_ns)) if due or nothing_yet else 0

    def count(self, block: store.Block, rows: int) -> None:
        """Sum up the sampled events; each piece is a recording of its own."""
        if not rows:
            return
        self.events += rows
        if self._counter is None or not self.whole:
            self._counted = self.summary()
            self._counter = Counter(self._tasks)
        self._counter.feed(block.of(lambda values: values[:rows]))

    def summary(self) -> Summary:
        """The sampled events together."""
        return self._counted.merged(self._counter.summary()) if self._counter else self._counted


class _Prepare:
    """Blocks made ready for the passes, and the counts that all of them share."""

    def __init__(self, footer: store.Footer, service: Service, slots: Memslots | None) -> None:
        self._kernel = store.loops()
        self._slots = slots
        self._offsets = service.residency_of_group * summary.BINS
        need_task = len(service.residencies) > 1 or footer.without_pid
        self.columns = ("pid", *(("task", "trigger") if need_task else ()), *store.NUMBERS)
        self.thread_numbers = self._kernel.NO_PID + len(footer.tasks)
        self._last = numpy.full(self.thread_numbers, -1, numpy.int32)
        self.seen = numpy.zeros(self.thread_numbers, bool)
        self._following, self._classes = (numpy.empty(store.GROUP_ROWS, numpy.int32) for _ in range(2))
        self.tallies = numpy.zeros((len(service.residencies) * summary.BINS, 3), numpy.int64)
        self.class_bytes = numpy.zeros(len(self.tallies), numpy.int64)
        self.outside = self.unknown_overlap = 0

    def filtered(self, block: store.Block) -> store.Block:
        """Only events that can meet a memslot, with the part of the range that lies in it where that is known."""
        if self._slots is not None:
            overlap = self._slots.overlap_bytes(block.start, block.end)
        elif block.overlap_bytes is not None:
            overlap = block.overlap_bytes
        else:
            self.unknown_overlap += len(block.time_ns)
            return block
        unknown = overlap < 0
        self.unknown_overlap += int(unknown.sum())
        overlap = numpy.where(unknown, block.end - block.start, overlap)
        keep = overlap > 0
        self.outside += int((~keep).sum())
        return replace(block, end=block.start + overlap, overlap_bytes=overlap).of(lambda values: values[keep])

    def work(self, block: store.Block) -> Work:
        """Threads, the order of each thread's events, and range-length classes; the arrays are used again."""
        n = len(block.time_ns)
        thread = summary.threads_of(block)
        following, classes = self._following[:n], self._classes[:n]
        first = self._kernel.link(thread, self._last, following)
        self.seen[thread[first]] = True
        group = block.task if block.group is None else block.group
        self._kernel.classify(block.start, block.end, group, self._offsets, classes, self.tallies, self.class_bytes)
        recorded = numpy.maximum(block.duration_ns, 0) if block.duration_ns is not None else numpy.empty(0, numpy.int64)
        return Work(block.number, block.time_ns, thread, first, following, classes, recorded)

    def piece(self, work: Work, rows: int) -> Work:
        """The first events of a block on their own: numbers of pieces never follow each other."""
        following = numpy.empty(rows, numpy.int32)
        thread = work.thread[:rows]
        first = self._kernel.link(thread, self._last, following)
        recorded = work.recorded_ns[:rows]
        return Work(2 * work.number, work.time_ns[:rows], thread, first, following, work.classes[:rows], recorded)
