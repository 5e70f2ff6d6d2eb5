"""What a trace holds, as counts that add up: summaries of many files or hosts merge into one.

All stored numbers are integers, sums or extremes, so merging is exact in any order. A summary does not depend on how
the
events were cut into blocks. Lengths, gaps and bursts are counted in log-linear bins: 64 per octave, so a bin is 0.8 to
1.6 % wide. The bin of a value >= 1 is read from the bits of its float64 form: exponent and first six bits of the
mantissa.
Values below 1 (a gap of 0 ns, a wait of 0 ns) share bin 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import numpy

from costmodel.errors import BadInput
from costmodel.traces import store
from costmodel.traces.store import LONGEST_NAME, LONGEST_REMARK, MOST_REMARKS
from costmodel.traces.triggers import unknown_triggers

SUB_BITS = 6
SHIFT = 52 - SUB_BITS
OFFSET = (1023 << SUB_BITS) - 1
BINS = 63 * 2**SUB_BITS + 1
"""Values up to 2^63 have a bin."""


def bin_of(values: numpy.ndarray | float) -> numpy.ndarray:
    """Bin of each value (same shape); negative values are an error of the caller.

    >>> [int(i) for i in bin_of([0.0, 0.5, 1.0, 1.01, 2.0])]
    [0, 0, 1, 1, 65]
    """
    bits = numpy.asarray(values, dtype=float).view(numpy.int64) >> SHIFT
    return numpy.clip(bits - OFFSET, 0, BINS - 1)


def bin_edges() -> numpy.ndarray:
    """Lower edge of every bin and the upper edge of the last: shape (BINS + 1,)."""
    lower = ((numpy.arange(BINS + 1, dtype=numpy.int64) + OFFSET) << SHIFT).view(float)
    lower[0] = 0.0
    return lower


def bin_middles() -> numpy.ndarray:
    """Middle of every bin, 0 for the first: shape (BINS,)."""
    bounds = bin_edges()
    middle = (bounds[:-1] + bounds[1:]) / 2
    middle[0] = 0.0
    return middle


def bin_quantile(
    counts: numpy.ndarray, share: float, least: numpy.ndarray | None = None, most: numpy.ndarray | None = None
) -> float:
    """The value that a share of the counted values does not exceed, linear inside its bin; nan of no values.

    `least` and `most` (as counts) are the ends of the values of each bin where they are known, else its edges.

    >>> counts = numpy.bincount(bin_of(numpy.arange(1.0, 1001.0)), minlength=BINS)
    >>> round(bin_quantile(counts, 0.5) / 500, 1)
    1.0
    """
    total = counts.sum()
    if total == 0:
        return float("nan")
    running = numpy.cumsum(counts)
    wanted = share * total
    at = int(numpy.searchsorted(running, wanted))
    at = min(at, int(numpy.flatnonzero(counts)[-1]))
    if at == 0:
        return 0.0
    low = bin_edges()[at] if least is None else least[at]
    high = bin_edges()[at + 1] if most is None else most[at]
    inside = (wanted - (running[at] - counts[at])) / counts[at]
    return float(low + (high - low) * min(max(inside, 0.0), 1.0))


WINDOWS_NS = (10**6, 10**7, 10**8, 10**9, 10**10)
"""Lengths of the windows for the index of dispersion: 1 ms to 10 s."""
BURST_GAP_NS = 10**6
"""Events of a thread not further apart than this are one burst: far below any sleep of a kernel thread."""
BIGGEST = 2**63
COUNT_MAX, SUM_MAX = 2**40, 2**200
"""Of one count and of one sum that a file may state: the sums of many hosts still fit."""
FORM = "costmodel trace summary 4"


@dataclass
class Histogram:
    """Counts over the log-linear bins, only those that are not 0, with the least and the greatest value in each."""

    counts: dict[int, int] = field(default_factory=dict)
    least: dict[int, int] = field(default_factory=dict)
    most: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, tallies: numpy.ndarray) -> Histogram:
        """From an array of shape (BINS, 3): count, least and greatest value of each bin."""
        used = numpy.flatnonzero(tallies[:, 0])
        return cls(*(dict(zip(used.tolist(), column.tolist(), strict=True)) for column in tallies[used].T))

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def merged(self, other: Histogram) -> Histogram:
        """Both together: counts add up, the extremes of a bin are those of both."""
        both = Histogram(dict(self.counts), dict(self.least), dict(self.most))
        for at, count in other.counts.items():
            both.counts[at] = both.counts.get(at, 0) + count
            both.least[at] = min(both.least.get(at, other.least[at]), other.least[at])
            both.most[at] = max(both.most.get(at, 0), other.most[at])
        return both

    def quantile(self, share: float) -> float:
        """The value that a share does not exceed, exact where a bin holds one value only; nan of nothing."""
        dense = numpy.zeros((3, BINS), numpy.int64)
        for row, values in zip(dense, (self.counts, self.least, self.most), strict=True):
            row[list(values)] = list(values.values())
        counts, least, most = dense
        return bin_quantile(counts, share, least, most)


@dataclass
class Windows:
    """Events in windows of `length_ns`: number of whole windows, sum and sum of squares of the counts, the fullest."""

    length_ns: int
    windows: int = 0
    events: int = 0
    squares: int = 0
    most: int = 0

    @property
    def dispersion(self) -> float | None:
        """Index of dispersion, variance over mean: 1 for independent arrivals; None below ten windows."""
        if self.windows < 10 or not self.events:
            return None
        mean = self.events / self.windows
        return (self.squares / self.windows - mean**2) / mean

    def merged(self, other: Windows) -> Windows:
        return Windows(
            self.length_ns,
            self.windows + other.windows,
            self.events + other.events,
            self.squares + other.squares,
            max(self.most, other.most),
        )


@dataclass
class Task:
    """Events of one task name: lengths of the ranges, gaps between a thread's own events, events per burst."""

    events: int = 0
    threads: int = 0
    range_bytes: int = 0
    ranges: Histogram = field(default_factory=Histogram)
    gaps_ns: Histogram = field(default_factory=Histogram)
    bursts: Histogram = field(default_factory=Histogram)

    def merged(self, other: Task) -> Task:
        return Task(
            self.events + other.events,
            self.threads + other.threads,
            self.range_bytes + other.range_bytes,
            self.ranges.merged(other.ranges),
            self.gaps_ns.merged(other.gaps_ns),
            self.bursts.merged(other.bursts),
        )


@dataclass
class Summary:
    """Sums over recordings. `span_ns` is from the first to the last event, added up over the recordings; `outside`
    counts events that meet no memslot, of the `with_overlap` events that say so; at least `lost_events` are missing.
    `triggers` has the events of a task by what their call chains told (empty: nothing), `remarks` what was read as
    what.
    """

    recordings: int = 0
    events: int = 0
    span_ns: int = 0
    with_overlap: int = 0
    outside: int = 0
    lost_events: int = 0
    gaps: int = 0
    gaps_sum_ns: int = 0
    gaps_squares_ns2: int = 0
    gaps_ns: Histogram = field(default_factory=Histogram)
    windows: dict[int, Windows] = field(default_factory=lambda: {w: Windows(w) for w in WINDOWS_NS})
    tasks: dict[str, Task] = field(default_factory=dict)
    triggers: dict[str, dict[str, int]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def rate_per_s(self) -> float | None:
        """Mean rate between the first and the last event; None of one event."""
        return self.gaps / (self.span_ns * 1e-9) if self.span_ns else None

    @property
    def gap_variation(self) -> float | None:
        """Squared coefficient of variation of the gaps: 1 for independent arrivals, 0 for a clock."""
        if not self.gaps_sum_ns:
            return None
        return self.gaps * self.gaps_squares_ns2 / self.gaps_sum_ns**2 - 1

    @property
    def ranges(self) -> Histogram:
        """Lengths of all ranges."""
        return together(task.ranges for task in self.tasks.values())

    @property
    def own_gaps_ns(self) -> Histogram:
        """Gaps between events of the same thread, of all threads."""
        return together(task.gaps_ns for task in self.tasks.values())

    @property
    def bursts(self) -> Histogram:
        """Events per burst, of all threads."""
        return together(task.bursts for task in self.tasks.values())

    def merged(self, other: Summary) -> Summary:
        """Both together."""
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self) if f.type == "int"}
        tasks = dict(self.tasks)
        for name, task in other.tasks.items():
            tasks[name] = tasks[name].merged(task) if name in tasks else task
        windows = {w: self.windows[w].merged(other.windows[w]) for w in WINDOWS_NS}
        triggers = {name: _by_trigger(self, other, name) for name in (self.triggers | other.triggers)}
        return Summary(
            **sums,
            gaps_ns=self.gaps_ns.merged(other.gaps_ns),
            windows=windows,
            tasks=tasks,
            triggers=triggers,
            remarks=sorted({*self.remarks, *other.remarks}),
        )

    def groups(self, task: str) -> dict[str, int]:
        """Events of a task by the triggers that their call chains told (empty: none)."""
        return self.triggers.get(task, {"": self.tasks[task].events} if task in self.tasks else {})

    def as_json(self) -> dict[str, object]:
        """A JSON-like value that `from_json` reads."""
        return {"form": FORM, **asdict(self)}


def _by_trigger(one: Summary, other: Summary, task: str) -> dict[str, int]:
    found = dict(one.groups(task))
    for told, count in other.groups(task).items():
        found[told] = found.get(told, 0) + count
    return dict(sorted(found.items()))


def together(histograms: Iterable[Histogram]) -> Histogram:
    """All values of several histograms."""
    whole = Histogram()
    for one in histograms:
        whole = whole.merged(one)
    return whole


def from_json(value: object, file: object) -> Summary:
    """A summary that `as_json` made. Raises BadInput."""
    try:
        if not isinstance(value, Mapping) or value.get("form") != FORM:
            raise ValueError(f"has no form {FORM!r}")
        sums = {f.name: _sum(value[f.name]) for f in fields(Summary) if f.type == "int"}
        windows = {w: Windows(**{k: _sum(v) for k, v in value["windows"][str(w)].items()}) for w in WINDOWS_NS}
        if any(window.length_ns != length for length, window in windows.items()):
            raise ValueError("a window has the length of another")
        tasks = {
            str(name): Task(
                _sum(task["events"]),
                _sum(task["threads"]),
                _sum(task["range_bytes"]),
                _histogram(task["ranges"]),
                _histogram(task["gaps_ns"]),
                _histogram(task["bursts"]),
            )
            for name, task in value["tasks"].items()
        }
        if max(map(len, tasks), default=0) > LONGEST_NAME:
            raise ValueError(f"has a name of more than {LONGEST_NAME} characters")
        triggers = {
            str(name): {_label(told): _sum(count) for told, count in groups.items()}
            for name, groups in value["triggers"].items()
        }
        if any(name not in tasks or sum(told.values()) != tasks[name].events for name, told in triggers.items()):
            raise ValueError("the triggers of a task do not add up to its events")
        remarks = [str(text)[:LONGEST_REMARK] for text in list(value["remarks"])[:MOST_REMARKS]]
        return Summary(
            **sums,
            gaps_ns=_histogram(value["gaps_ns"]),
            windows=windows,
            tasks=tasks,
            triggers=triggers,
            remarks=remarks,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadInput(
            f"is no summary of a trace: {str(error)[:200]}",
            file=file,
            remedy="name a file of `costmodel trace summary --json`",
        ) from None


def _sum(value: object) -> int:
    """A count or a sum. Raises ValueError where it is none."""
    if type(value) is not int or not 0 <= value <= SUM_MAX:
        raise ValueError("holds what is no count")
    return value


def _label(text: str) -> str:
    """Triggers that call chains told. Raises ValueError where one is unknown."""
    if unknown := unknown_triggers(text):
        raise ValueError(f"{unknown[0]!r} is no trigger")
    return text


def _histogram(value: Mapping) -> Histogram:
    found = Histogram(*({int(at): int(n) for at, n in value[k].items()} for k in ("counts", "least", "most")))
    if any(not 0 <= at < BINS or not 0 < count < COUNT_MAX for at, count in found.counts.items()):
        raise ValueError("a bin is out of bounds")
    for ends in (found.least, found.most):
        inside = all(0 <= n < BIGGEST and bin_of(n) == at for at, n in ends.items())
        if not inside or ends.keys() != found.counts.keys():
            raise ValueError("a bin holds a value of another")
    return found


DETAILED = 256
"""Tasks with histograms of their own, those with most events; the rest is one."""
OTHERS = "(other tasks)"
COUNTED_COLUMNS = ("task", "pid", "overlap_bytes")


def threads_of(block: store.Block) -> numpy.ndarray:
    """A number per event for its thread: the pid, else one per task name; shape (n,), int32."""
    kernel = store.loops()
    if block.pid.min() >= 0:
        return block.pid.astype(numpy.int32, copy=False)
    return numpy.where(block.pid >= 0, block.pid, kernel.NO_PID + block.task).astype(numpy.int32)


class Counter:
    """One recording. `tasks` are the names and events of the footer, in its order."""

    def __init__(self, tasks: Mapping[str, int]) -> None:
        self._kernel = store.loops()
        ranked = sorted(tasks, key=lambda name: (-tasks[name], name))
        self._names = ranked if len(ranked) <= DETAILED else [*ranked[: DETAILED - 1], OTHERS]
        place = {name: at for at, name in enumerate(self._names)}
        self._task = numpy.array([place.get(name, len(self._names) - 1) for name in tasks], numpy.int32)
        count = len(self._names)
        self._ranges, self._gaps, self._bursts = (numpy.zeros((count, BINS, 3), numpy.int64) for _ in range(3))
        self._bytes = numpy.zeros((count, BINS), numpy.int64)
        self._after = numpy.zeros(self._kernel.NO_PID + len(tasks), numpy.int64)
        self._run = numpy.zeros(len(self._after), numpy.int32)
        self._task_of = numpy.zeros(len(self._after), numpy.int32)
        self._all_gaps = numpy.zeros((BINS, 3), numpy.int64)
        self._gaps_number = self._gaps_squares_ns2 = 0
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
        task, thread = self._task[block.task], threads_of(block)
        classes = numpy.empty(len(time), numpy.int32)
        offsets = numpy.arange(len(self._names)) * BINS
        ranges = self._ranges.reshape(-1, 3)
        kernel.classify(block.start, block.end, task, offsets, classes, ranges, self._bytes.ravel())
        after = time if self._events else time[1:]
        high, cross, low = (int(part) for part in kernel.gaps_of_all(after, self._last_ns, self._all_gaps))
        self._gaps_number += len(after)
        self._gaps_squares_ns2 += (high << 2 * kernel.HALF_BITS) + (cross << kernel.HALF_BITS + 1) + low
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
        self._kernel.tally(self._task_of[open_], self._run[open_].astype(numpy.int64), bursts)
        running = numpy.bincount(self._task_of[open_], minlength=len(self._names))
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
            gaps=self._gaps_number,
            gaps_sum_ns=self._last_ns,
            gaps_squares_ns2=self._gaps_squares_ns2,
            gaps_ns=Histogram.of(self._all_gaps),
            windows=windows,
            tasks=tasks,
        )


def summarise(path: Path) -> Summary:
    """The summary of one imported trace. Raises BadInput."""
    footer = store.footer_of(path)
    counter = Counter(footer.tasks)
    for block in store.blocks(path, footer, COUNTED_COLUMNS):
        counter.feed(block)
    found = counter.summary()
    triggers = {name: dict(sorted(told.items())) for name, told in footer.triggers.items() if name in found.tasks}
    return replace(found, lost_events=footer.lost_events, triggers=triggers, remarks=sorted(set(footer.remarks)))


def read(path: Path) -> Summary:
    """The summary of an imported trace, or one that `trace summary --json` wrote. Raises BadInput."""
    try:
        with path.open("rb") as stream:
            begin = stream.read(4)
        if begin == b"PAR1":
            return summarise(path)
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror or error}", file=path, remedy="name a trace") from None
    except (ValueError, RecursionError):
        raise BadInput("is neither a trace nor a summary of one", file=path, remedy="import the trace first") from None
    return from_json(value, path)


def merge(summaries: Iterable[Summary]) -> Summary:
    """All together."""
    whole = Summary()
    for one in summaries:
        whole = whole.merged(one)
    return whole
