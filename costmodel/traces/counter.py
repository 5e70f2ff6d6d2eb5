"""Streams a trace into a summary, block by block, in memory that does not grow with the trace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy

from costmodel.traces import bins, libraries, store
from costmodel.traces.summary import BURST_GAP_NS, WINDOWS_NS, Histogram, Summary, Task, Windows

DETAILED = 256
"""Tasks with histograms of their own, those with most events; the rest is one."""
OTHERS = "(other tasks)"
COLUMNS = ("task", "pid", "overlap_bytes")


def threads(block: store.Block) -> numpy.ndarray:
    """A number per event for its thread: the pid, else one per task name; shape (n,), int32."""
    kernel = libraries.kernels()
    if block.pid.min() >= 0:
        return block.pid.astype(numpy.int32, copy=False)
    return numpy.where(block.pid >= 0, block.pid, kernel.NO_PID + block.task).astype(numpy.int32)


class Counter:
    """One recording. `tasks` are the names and events of the footer, in its order."""

    def __init__(self, tasks: Mapping[str, int]) -> None:
        self._kernel = libraries.kernels()
        ranked = sorted(tasks, key=lambda name: (-tasks[name], name))
        self._names = ranked if len(ranked) <= DETAILED else [*ranked[: DETAILED - 1], OTHERS]
        place = {name: at for at, name in enumerate(self._names)}
        self._task = numpy.array([place.get(name, len(self._names) - 1) for name in tasks], numpy.int32)
        count = len(self._names)
        self._ranges, self._gaps, self._bursts = (numpy.zeros((count, bins.BINS, 3), numpy.int64) for _ in range(3))
        self._bytes = numpy.zeros((count, bins.BINS), numpy.int64)
        self._after = numpy.zeros(self._kernel.NO_PID + len(tasks), numpy.int64)
        self._run = numpy.zeros(len(self._after), numpy.int32)
        self._task_of = numpy.zeros(len(self._after), numpy.int32)
        self._all = numpy.zeros(len(self._kernel.GAP_STATE), numpy.int64)
        self._all[0] = -1
        self._all_gaps = numpy.zeros((bins.BINS, 3), numpy.int64)
        self._lengths = numpy.array(WINDOWS_NS, numpy.int64)
        self._windows = numpy.zeros((len(WINDOWS_NS), len(self._kernel.WINDOW_STATE)), numpy.int64)
        self._windows[:, 0] = self._lengths
        self._zero: int | None = None
        self._last_ns = self._events = self._with_overlap = self._outside = 0

    def feed(self, block: store.Block) -> None:
        """Count the next events of the recording."""
        kernel = self._kernel
        if self._zero is None:
            self._zero = int(block.time_ns[0])
        time = block.time_ns - self._zero
        task, thread = self._task[block.task], threads(block)
        classes = numpy.empty(len(time), numpy.int32)
        offsets = numpy.arange(len(self._names)) * bins.BINS
        ranges = self._ranges.reshape(-1, 3)
        kernel.classify(block.start, block.end, task, offsets, classes, ranges, self._bytes.ravel())
        kernel.gaps_of_all(time, self._all, self._all_gaps)
        kernel.windows(time, self._lengths, self._windows)
        kernel.gaps_of_threads(time, thread, task, BURST_GAP_NS, self._after, self._run, self._gaps, self._bursts)
        self._task_of[thread] = task
        self._last_ns = int(time[-1])
        self._events += len(time)
        if block.overlap_bytes is not None:
            self._with_overlap += int((block.overlap_bytes >= 0).sum())
            self._outside += int((block.overlap_bytes == 0).sum())

    def summary(self) -> Summary:
        """The summary of the events so far; the counter can go on."""
        if not self._events:
            return Summary()
        bursts = self._bursts.copy()
        open_ = numpy.flatnonzero(self._run)
        self._kernel.tally(self._task_of[open_], self._run[open_], bursts)
        running = numpy.bincount(self._task_of[open_], minlength=len(self._names))
        _, gaps, total, high, cross, low, carry = (int(x) for x in self._all)
        limb = self._kernel.LIMB
        squares = high * limb**2 + 2 * cross * limb + low + carry * self._kernel.CARRY
        tasks = {
            name: Task(
                events=int(self._ranges[at, :, 0].sum()),
                threads=int(running[at]),
                range_bytes=int(self._bytes[at].sum()),
                ranges=Histogram.of(self._ranges[at]),
                gaps_ns=Histogram.of(self._gaps[at]),
                bursts=Histogram.of(bursts[at]),
            )
            for at, name in enumerate(self._names)
            if self._ranges[at].any()
        }
        windows = {
            length: Windows(length, *(int(x) for x in self._windows[at, 2:])) for at, length in enumerate(WINDOWS_NS)
        }
        return Summary(
            recordings=1,
            events=self._events,
            span_ns=self._last_ns,
            with_overlap=self._with_overlap,
            outside=self._outside,
            gaps=gaps,
            gaps_sum_ns=total,
            gaps_squares_ns2=squares,
            gaps_ns=Histogram.of(self._all_gaps),
            windows=windows,
            tasks=tasks,
        )


def summarise(path: Path) -> Summary:
    """The summary of one imported trace. Raises BadInput."""
    footer = store.footer_of(path)
    counter = Counter(footer.tasks)
    columns = [name for name in COLUMNS if name != "overlap_bytes" or footer.with_overlap]
    for block in store.blocks(path, footer, columns):
        counter.feed(block)
    found = counter.summary()
    triggers = {name: dict(sorted(told.items())) for name, told in footer.triggers.items() if name in found.tasks}
    return replace(found, lost_events=footer.lost_events, triggers=triggers, remarks=sorted(set(footer.remarks)))


def merged(summaries: Iterable[Summary]) -> Summary:
    """All together."""
    whole = Summary()
    for one in summaries:
        whole = whole.merged(one)
    return whole
