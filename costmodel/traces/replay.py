"""Replays a trace under each flush strategy: one pass over the file, blocks of 2^20 events, memory of a few blocks.

The median cost is replayed over all events where events wait in line (whole caches). The 90 % intervals of what comes
from waiting, and the overlap of range flushes, come from PIECES evenly spaced pieces of a trace of more blocks (else from
all of it), replayed at three levels of the cost. CPU time and the latency of range flushes are sums over all events
and all draws.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import numpy

from costmodel.errors import BadInput
from costmodel.traces import bins, counter, libraries, store
from costmodel.traces.counter import Counter
from costmodel.traces.memslots import Memslots
from costmodel.traces.passes import Closed, Open, Outcome, Work
from costmodel.traces.service import LEVELS, Service, Way
from costmodel.traces.summary import Histogram, Summary, together

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
        self._full = make(way.table_ns(MEDIAN)) if way.serial and not whole else None
        self._sampled = [make(way.table_ns(level)) for level in range(len(LEVELS))]
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
    closed_lanes = [
        _Lane(way, lambda table, way=way: Closed(table, way.serial, threads, span_ns), whole)
        for way in service.ways
        if closed
    ]
    open_lanes = [_Lane(way, lambda table, way=way: Open(table, way.serial), whole) for way in service.ways]
    lanes = [*closed_lanes, *open_lanes]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for block in store.blocks(path, footer, prepare.columns):
            block = prepare.filtered(block)
            if not len(block.time_ns):
                continue
            work = prepare.work(block)
            rows = sampling.rows(block)
            piece = work if rows == len(block.time_ns) and whole else prepare.piece(work, rows) if rows else None
            pending = [pool.submit(job) for lane in lanes for job in lane.jobs(work, piece)]
            sampling.count(block, rows)
            for job in pending:
                job.result()
    if not sampling.events:
        raise BadInput("no event meets a memslot", file=path, remedy="check --memslots, or replay another trace")
    tallies = prepare.tallies.reshape(-1, bins.BINS, 3)
    return Replayed(
        service=service,
        footer=footer,
        closed=tuple(lane.levels() for lane in closed_lanes) if closed else None,
        open=tuple(lane.levels() for lane in open_lanes),
        classes=tallies[:, :, 0],
        class_bytes=prepare.class_bytes.reshape(-1, bins.BINS),
        ranges=together(Histogram.of(one) for one in tallies),
        outside=prepare.outside,
        unknown_overlap=prepare.unknown_overlap,
        threads=int(prepare.seen.sum()),
        sampled=sampling.summary(),
        sampled_events=sampling.events,
    )


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
        arrays = {f.name: getattr(block, f.name) for f in fields(block)}
        self._counter.feed(
            store.Block(**{n: a[:rows] if isinstance(a, numpy.ndarray) else a for n, a in arrays.items()})
        )

    def summary(self) -> Summary:
        """The sampled events together."""
        return self._counted.merged(self._counter.summary()) if self._counter else self._counted


class _Prepare:
    """Blocks made ready for the passes, and the counts that all of them share."""

    def __init__(self, footer: store.Footer, service: Service, slots: Memslots | None) -> None:
        self._kernel = libraries.kernels()
        self._slots = slots
        self._recorded = bool(footer.with_duration)
        self._offsets = service.residency_of_group * bins.BINS
        need_task = len(service.residencies) > 1 or footer.without_pid
        self.columns = ["pid", *(["task"] if need_task else [])]
        self.columns += ["trigger"] if need_task and footer.triggers else []
        self.columns += [
            n for n, with_it in (("overlap_bytes", footer.with_overlap), ("duration_ns", self._recorded)) if with_it
        ]
        self.thread_numbers = self._kernel.NO_PID + len(footer.tasks)
        self._last = numpy.full(self.thread_numbers, -1, numpy.int32)
        self.seen = numpy.zeros(self.thread_numbers, bool)
        self._following, self._classes = (numpy.empty(store.GROUP_ROWS, numpy.int32) for _ in range(2))
        self.tallies = numpy.zeros((len(service.residencies) * bins.BINS, 3), numpy.int64)
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
        return replace(
            block,
            time_ns=block.time_ns[keep],
            start=block.start[keep],
            end=(block.start + overlap)[keep],
            task=block.task[keep],
            pid=block.pid[keep],
            overlap_bytes=overlap[keep],
            duration_ns=None if block.duration_ns is None else block.duration_ns[keep],
            group=None if block.group is None else block.group[keep],
        )

    def work(self, block: store.Block) -> Work:
        """Threads, the order of each thread's events, and range-length classes; the arrays are used again."""
        n = len(block.time_ns)
        thread = counter.threads(block)
        following, classes = self._following[:n], self._classes[:n]
        first = self._kernel.link(thread, self._last, following)
        self.seen[thread[first]] = True
        group = block.task if block.group is None else block.group
        self._kernel.classify(block.start, block.end, group, self._offsets, classes, self.tallies, self.class_bytes)
        recorded = numpy.maximum(block.duration_ns, 0) if self._recorded else numpy.empty(0, numpy.int64)
        return Work(block.number, block.time_ns, thread, first, following, classes, recorded)

    def piece(self, work: Work, rows: int) -> Work:
        """The first events of a block on their own: numbers of pieces never follow each other."""
        following = numpy.empty(rows, numpy.int32)
        thread = work.thread[:rows]
        first = self._kernel.link(thread, self._last, following)
        recorded = work.recorded_ns[:rows]
        return Work(2 * work.number, work.time_ns[:rows], thread, first, following, work.classes[:rows], recorded)
