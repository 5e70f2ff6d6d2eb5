"""Replays a trace under each flush strategy: one pass over the file, blocks of 2^20 events, memory of a few blocks.

The median cost is replayed over all events where events wait in line (whole caches). The 90 % intervals of what comes
from waiting, and the overlap of range flushes, come from SAMPLED evenly spaced blocks (all, if there are no more)
replayed at three levels of the cost. CPU time and the latency of range flushes are sums over all events and all draws.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy

from costmodel.errors import BadInput
from costmodel.traces import bins, counter, libraries, store
from costmodel.traces.counter import Counter
from costmodel.traces.memslots import Memslots
from costmodel.traces.passes import Closed, Open, Outcome, Work
from costmodel.traces.service import LEVELS, Service, Way
from costmodel.traces.summary import Summary

SAMPLED = 5
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
    shape (residencies, BINS).
    """

    service: Service
    footer: store.Footer
    closed: tuple[Levels, ...] | None
    open: tuple[Levels, ...]
    classes: numpy.ndarray
    class_bytes: numpy.ndarray
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

    def jobs(self, sampled: bool) -> list[Callable]:
        """What has to be fed with a block."""
        passes = [*([self._full] if self._full else []), *(self._sampled if sampled else [])]
        return [one.feed for one in passes]

    def levels(self) -> Levels:
        outcomes = tuple(one.outcome() for one in self._sampled)
        full = self._full.outcome() if self._full else outcomes[MEDIAN] if self._whole else None
        return Levels(full, outcomes)


def replay(
    path: Path, footer: store.Footer, service: Service, slots: Memslots | None = None, *, closed: bool = True
) -> Replayed:
    """Replay the trace at `path`; with `closed` both kinds of arrivals, else open ones only. Raises BadInput."""
    blocks = -(-footer.events // store.GROUP_ROWS)
    taken = min(SAMPLED, blocks)
    chosen = {(2 * k + 1) * blocks // (2 * taken) for k in range(taken)}
    whole = len(chosen) == blocks
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
    counted, segment, segment_end, sampled_events = Summary(), None, None, 0
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for block in store.blocks(path, footer, prepare.columns):
            block = prepare.filtered(block)
            if not len(block.time_ns):
                continue
            sampled = block.number in chosen
            work = prepare.work(block)
            pending = [pool.submit(job, work) for lane in lanes for job in lane.jobs(sampled)]
            if sampled:
                if segment_end != block.number:
                    counted = counted.merged(segment.summary()) if segment else counted
                    segment = Counter(footer.tasks)
                segment.feed(block)
                segment_end = block.number + 1
                sampled_events += len(block.time_ns)
            for job in pending:
                job.result()
    if segment is None:
        raise BadInput("no event meets a memslot", file=path, remedy="check --memslots, or replay another trace")
    return Replayed(
        service=service,
        footer=footer,
        closed=tuple(lane.levels() for lane in closed_lanes) if closed else None,
        open=tuple(lane.levels() for lane in open_lanes),
        classes=prepare.classes.reshape(-1, bins.BINS),
        class_bytes=prepare.class_bytes.reshape(-1, bins.BINS),
        outside=prepare.outside,
        unknown_overlap=prepare.unknown_overlap,
        threads=int(prepare.seen.sum()),
        sampled=counted.merged(segment.summary()),
        sampled_events=sampled_events,
    )


class _Prepare:
    """Blocks made ready for the passes, and the counts that all of them share."""

    def __init__(self, footer: store.Footer, service: Service, slots: Memslots | None) -> None:
        self._kernel = libraries.kernels()
        self._slots = slots
        self._recorded = bool(footer.with_duration)
        self._offsets = service.residency_of_task * bins.BINS
        need_task = len(service.residencies) > 1 or footer.without_pid
        self.columns = ["pid", *(["task"] if need_task else [])]
        self.columns += [
            n for n, with_it in (("overlap_bytes", footer.with_overlap), ("duration_ns", self._recorded)) if with_it
        ]
        self.thread_numbers = self._kernel.NO_PID + len(footer.tasks)
        self._last = numpy.full(self.thread_numbers, -1, numpy.int32)
        self.seen = numpy.zeros(self.thread_numbers, bool)
        self._following, self._classes = (numpy.empty(store.GROUP_ROWS, numpy.int32) for _ in range(2))
        self.classes = numpy.zeros(len(service.residencies) * bins.BINS, numpy.int64)
        self.class_bytes = numpy.zeros_like(self.classes)
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
        )

    def work(self, block: store.Block) -> Work:
        """Threads, the order of each thread's events, and range-length classes; the arrays are used again."""
        n = len(block.time_ns)
        thread = counter.threads(block)
        following, classes = self._following[:n], self._classes[:n]
        first = self._kernel.link(thread, self._last, following)
        self.seen[thread[first]] = True
        self._kernel.classify(
            block.start, block.end, block.task, self._offsets, classes, self.classes, self.class_bytes
        )
        recorded = numpy.maximum(block.duration_ns, 0) if self._recorded else numpy.empty(0, numpy.int64)
        return Work(block.number, block.time_ns, thread, first, following, classes, recorded)
