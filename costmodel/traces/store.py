"""Traces as Parquet: what a row holds, sorted by time, row groups of 2^20 events, what a reader must know first in the
footer.

The tracepoint kvm:kvm_unmap_hva_range carries a range of host virtual addresses; ftrace adds time, task, pid and CPU.
It carries neither the notifier's event type nor the VM: `trigger` (one or several by id, what the event's call chain
tells), `vm`, `overlap_bytes` (bytes inside memslots) and `duration_ns` (how long the recorded host itself flushed) are
null unless the file that was imported has them.

A trace is written beside the target and renamed. Events out of order (per-CPU buffers, several files) are sorted by
DuckDB, which spills to disk.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import queue
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy

from costmodel.errors import INSTALL, BadInput, CostModelError
from costmodel.hashing import place_beside, unwritable
from costmodel.measure.trace_formats import PID_LIMIT
from costmodel.traces.triggers import unknown_triggers


class TraceLibraryMissing(CostModelError):
    """A library of the extra `trace` is not installed; `library` names it."""

    def __init__(self, library: str) -> None:
        self.library = library
        super().__init__(f"{library} is not installed: {INSTALL.format('trace')}")

    def __reduce__(self) -> tuple:
        return type(self), (self.library,)


def library(name: str) -> ModuleType:
    """The module `name`, such as pyarrow.parquet. Raises TraceLibraryMissing."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise TraceLibraryMissing(name.partition(".")[0]) from error


def loops() -> ModuleType:
    """The compiled loops. Raises TraceLibraryMissing where numba is not installed."""
    library("numba")
    return importlib.import_module("costmodel.traces.loops")


SUFFIX = ".parquet"
REQUIRED = ("t_ns", "task", "start", "end")
NUMBERS = ("overlap_bytes", "duration_ns")
OPTIONAL = ("pid", "cpu", "trigger", "vm", *NUMBERS)
TEXTS = ("task", "trigger", "vm")
HUGE = 2**62
"""Beyond any time or address that the kernel can print; differences of two stay inside 64 bits."""
LONGEST_NS = 2**53
"""104 days: the longest trace, so that times relative to its first event are exact as float64."""
MOST_TASKS = 2**16
LONGEST_NAME = 255


def arrow_schema():
    """The Arrow schema; texts are dictionaries."""
    arrow = library("pyarrow")
    text = arrow.dictionary(arrow.int32(), arrow.string())
    types = {"t_ns": arrow.int64(), "task": text, "pid": arrow.int32(), "cpu": arrow.int32(), "start": arrow.int64()}
    types |= {
        "end": arrow.int64(),
        "trigger": text,
        "vm": text,
        "overlap_bytes": arrow.int64(),
        "duration_ns": arrow.int64(),
    }
    return arrow.schema([arrow.field(name, kind, nullable=name not in REQUIRED) for name, kind in types.items()])


def checked(batch, file: str, first_row: int):
    """`batch` (an Arrow RecordBatch with some of the columns) in the full schema.

    Raises BadInput with the row (counted from `first_row`) for a null, an empty range or a number that cannot be.
    """
    arrow = library("pyarrow")
    columns = []
    for wanted in arrow_schema():
        if wanted.name not in batch.schema.names:
            columns.append(arrow.nulls(len(batch), wanted.type))
            continue
        column = batch.column(wanted.name)
        if wanted.name in REQUIRED and column.null_count:
            row = first_row + int(numpy.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
            raise BadInput("is empty", file=file, row=row, field=wanted.name, remedy="every event needs it")
        columns.append(_cast(column, wanted, file))
    found = arrow.RecordBatch.from_arrays(columns, schema=arrow_schema())
    _check_numbers(found, file, first_row)
    return found


def _cast(column, field, file: str):
    arrow = library("pyarrow")
    try:
        if field.name in TEXTS and not arrow.types.is_dictionary(column.type):
            column = column.cast(arrow.string()).dictionary_encode()
        return column.cast(field.type)
    except (arrow.ArrowException, UnicodeDecodeError, OverflowError) as error:
        remedy = "correct or leave out the column"
        raise BadInput(
            f"cannot be read as {field.type}: {first_line(error)}", file=file, field=field.name, remedy=remedy
        ) from None


def first_line(error: Exception) -> str:
    """What a library says, as far as it fits into one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]


def int_column(batch, name: str, missing: int = -1) -> numpy.ndarray:
    """A numeric column as int64, `missing` where it is null."""
    column = batch.column(name)
    return (column.fill_null(missing) if column.null_count else column).to_numpy(zero_copy_only=False)


def indices(column) -> numpy.ndarray:
    """Place of each text of a column in its dictionary, -1 where it is null."""
    return column.indices.fill_null(-1).to_numpy(zero_copy_only=False)


def _check_numbers(batch, file: str, first_row: int) -> None:
    time, start, end = (int_column(batch, name) for name in ("t_ns", "start", "end"))
    pid, cpu, overlap, duration = (int_column(batch, name, missing=0) for name in ("pid", "cpu", *NUMBERS))
    problems = (
        ("t_ns", _beyond(time), "is no time that a kernel prints"),
        ("start", _beyond(start), "is no address that a kernel prints"),
        ("end", _beyond(end), "is no address that a kernel prints"),
        ("end", end <= start, "does not lie behind start"),
        ("pid", (pid < 0) | (pid >= PID_LIMIT), f"is not from 0 to below {PID_LIMIT}"),
        ("cpu", cpu < 0, "is below 0"),
        ("overlap_bytes", (overlap < 0) | (overlap > end - start), "is negative or longer than the range"),
        ("duration_ns", (duration < 0) | (duration > HUGE), "is no duration"),
    )
    for name, wrong, problem in problems:
        if wrong.any():
            row = first_row + int(numpy.argmax(wrong))
            raise BadInput(problem, file=file, row=row, field=name, remedy="correct or leave out the row")
    for text in TEXTS:
        names = batch.column(text).dictionary.to_pylist()
        if any(name is not None and len(name) > LONGEST_NAME for name in names):
            problem = f"has a name of more than {LONGEST_NAME} characters"
            raise BadInput(problem, file=file, field=text, remedy="shorten the name")
    if unknown := [w for text in batch.column("trigger").dictionary.to_pylist() for w in unknown_triggers(text or "")]:
        remedy = "name triggers of `costmodel list triggers`, or leave out the column"
        raise BadInput(f"{unknown[0][:40]!r} is no trigger", file=file, field="trigger", remedy=remedy)


def _beyond(values: numpy.ndarray) -> numpy.ndarray:
    return (values > HUGE) | (values < -HUGE)


GROUP_ROWS = 2**20
FOOTER = b"costmodel.trace"
MOST_REMARKS, LONGEST_REMARK = 100, 1000
SORT_MEMORY, SORT_ROWS = "500MB", 2**16
ENCODED = {"t_ns": "DELTA_BINARY_PACKED", "start": "PLAIN", "end": "PLAIN"}
DICTIONARIES = ("task", "pid", "cpu", "trigger", "vm")


@dataclass
class Footer:
    """Counts over the whole trace; `tasks` maps each name to its events. Times are in ns of the recording's clock.

    `triggers` has the events of each name by what their call chains told (empty: nothing), where any told something.
    `lost_events` counts what the recordings say they lost: at least so many events are missing; `remarks` say what they
    were read as.
    """

    events: int = 0
    first_ns: int = 0
    last_ns: int = 0
    without_pid: int = 0
    with_overlap: int = 0
    with_duration: int = 0
    with_vm: int = 0
    lost_events: int = 0
    tasks: dict[str, int] = field(default_factory=dict)
    triggers: dict[str, dict[str, int]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def held(self, columns: Sequence[str]) -> list[str]:
        """Those of `columns` in which some event has a value."""
        empty = {
            "overlap_bytes": not self.with_overlap,
            "duration_ns": not self.with_duration,
            "trigger": not self.triggers,
        }
        return [name for name in columns if not empty.get(name)]

    @property
    def groups(self) -> dict[tuple[str, str], int]:
        """Events by task name and by the triggers that their call chains told (empty: none)."""
        return {
            (task, told): number
            for task, count in self.tasks.items()
            for told, number in self.triggers.get(task, {"": count}).items()
        }

    @property
    def span_s(self) -> float:
        return (self.last_ns - self.first_ns) * 1e-9

    def add(self, batch, file: object) -> None:
        """Count a batch of `file`. Raises BadInput where there are too many names."""
        times = int_column(batch, "t_ns")
        self.first_ns = min(int(times.min()), self.first_ns) if self.events else int(times.min())
        self.last_ns = max(int(times.max()), self.last_ns) if self.events else int(times.max())
        self.events += len(batch)
        self.without_pid += batch.column("pid").null_count
        for name in ("overlap", "duration", "vm"):
            column = batch.column({"overlap": "overlap_bytes", "duration": "duration_ns", "vm": "vm"}[name])
            setattr(self, f"with_{name}", getattr(self, f"with_{name}") + len(batch) - column.null_count)
        task = batch.column("task")
        counts = numpy.bincount(task.indices.to_numpy(), minlength=len(task.dictionary))
        for name, count in zip(task.dictionary.to_pylist(), counts.tolist(), strict=True):
            if count:
                self.tasks[name] = self.tasks.get(name, 0) + count
        self._add_triggers(batch)
        if len(self.tasks) > MOST_TASKS:
            raise BadInput(f"has more than {MOST_TASKS} task names", file=file, remedy="is this a trace?")

    def _add_triggers(self, batch) -> None:
        told = batch.column("trigger")
        if told.null_count == len(batch):
            return
        names, labels = batch.column("task").dictionary.to_pylist(), ["", *told.dictionary.to_pylist()]
        places = batch.column("task").indices.to_numpy() * len(labels) + indices(told) + 1
        counts = numpy.bincount(places, minlength=len(names) * len(labels)).reshape(len(names), len(labels))
        for at, of in zip(*numpy.nonzero(counts[:, 1:]), strict=True):
            ours = self.triggers.setdefault(names[at], {})
            ours[labels[of + 1]] = ours.get(labels[of + 1], 0) + int(counts[at, of + 1])

    def close(self) -> None:
        """All batches are counted: what no call chain told is the rest of each name."""
        for name, told in self.triggers.items():
            if rest := self.tasks[name] - sum(told.values()):
                told[""] = rest


@dataclass(frozen=True)
class Said:
    """What a recording says of itself beside its events."""

    lost_events: int = 0
    remarks: Sequence[str] = ()


def write(batches: Iterable, target: Path, source: object = "the batches", said: Callable[[], Said] = Said) -> Footer:
    """Write the batches (in the schema of a trace) as one sorted trace; the target changes only when all is written.

    `said` is asked when all batches are read. Raises BadInput, which names the `source` of the batches.
    """
    arrow = library("pyarrow")
    aside = place_beside(target)
    footer, last = Footer(), None
    in_order = True
    try:
        opened = _Writer(aside)
    except OSError as error:
        raise unwritable(target, error) from None
    try:
        with opened as writer:
            for batch in batches:
                if not len(batch):
                    continue
                times = int_column(batch, "t_ns")
                in_order &= bool((last is None or times[0] >= last) and (numpy.diff(times) >= 0).all())
                last = times[-1]
                footer.add(batch, source)
                writer.add(arrow.Table.from_batches([batch]))
            if not footer.events:
                raise BadInput("no event was found", file=source, remedy="see `costmodel trace import --help`")
            if footer.last_ns - footer.first_ns > LONGEST_NS:
                raise BadInput("the events span more than 104 days", file=source, remedy="import one recording")
            footer.close()
            told = said()
            footer.lost_events, footer.remarks = min(told.lost_events, HUGE), list(told.remarks)[:MOST_REMARKS]
            writer.footer = footer
        if not in_order:
            _sort(aside, footer)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    return footer


class _Writer:
    """Row groups of GROUP_ROWS whatever the size of the tables that come in."""

    def __init__(self, path: Path) -> None:
        parquet = library("pyarrow.parquet")
        self.footer = Footer()
        self._held: list = []
        self._rows = 0
        self._writer = parquet.ParquetWriter(
            path,
            arrow_schema(),
            compression="zstd",
            use_dictionary=list(DICTIONARIES),
            column_encoding=ENCODED,
            write_page_checksum=True,
        )

    def __enter__(self) -> _Writer:
        return self

    def add(self, table) -> None:
        self._held.append(table)
        self._rows += len(table)
        while self._rows >= GROUP_ROWS:
            self._flush(GROUP_ROWS)

    def _flush(self, rows: int) -> None:
        arrow = library("pyarrow")
        whole = arrow.concat_tables(self._held).unify_dictionaries()
        self._writer.write_table(whole.slice(0, rows), row_group_size=GROUP_ROWS)
        rest = whole.slice(rows)
        self._held, self._rows = ([rest] if len(rest) else []), len(rest)

    def __exit__(self, kind, *_: object) -> None:
        if kind is None:
            if self._rows:
                self._flush(self._rows)
            self._writer.add_key_value_metadata({FOOTER.decode(): json.dumps(asdict(self.footer))})
        self._writer.close()


def _sort(path: Path, footer: Footer) -> None:
    """Replace the file at `path` by the same events in order of time; equal times keep their order."""
    arrow, duckdb, parquet = library("pyarrow"), library("duckdb"), library("pyarrow.parquet")
    plain = arrow.schema([*map(_without_dictionary, arrow_schema()), arrow.field("row", arrow.int64())])
    sorted_path = path.with_name(f"{path.name}.sorted")
    spill = Path(tempfile.mkdtemp(dir=path.parent, prefix=f"{path.name}."))
    try:
        with parquet.ParquetFile(path, pre_buffer=False) as file, contextlib.closing(duckdb.connect()) as connection:
            connection.execute("SET memory_limit = ?", [SORT_MEMORY])
            connection.execute("SET temp_directory = ?", [str(spill)])
            connection.register("events", arrow.RecordBatchReader.from_batches(plain, _numbered(file, plain)))
            query = "SELECT * EXCLUDE (row) FROM events ORDER BY t_ns, row"
            with _Writer(sorted_path) as writer:
                writer.footer = footer
                for batch in connection.sql(query).to_arrow_reader(SORT_ROWS):
                    writer.add(arrow.Table.from_batches([checked(batch, str(path), 1)]))
        sorted_path.replace(path)
    finally:
        sorted_path.unlink(missing_ok=True)
        shutil.rmtree(spill, ignore_errors=True)


def _numbered(file, plain) -> Iterator:
    """The batches of a Parquet file with the number of each row, texts as plain strings."""
    arrow = library("pyarrow")
    row = 0
    for batch in file.iter_batches(SORT_ROWS):
        rows = arrow.array(numpy.arange(row, row + len(batch)))
        row += len(batch)
        table = arrow.Table.from_batches([batch]).append_column("row", rows).cast(plain)
        yield from table.to_batches()


def _without_dictionary(field):
    arrow = library("pyarrow")
    return field.with_type(arrow.string()) if arrow.types.is_dictionary(field.type) else field


def unreadable() -> tuple[type[Exception], ...]:
    """What the Parquet reader raises on a file that is damaged, or that nobody's writer made."""
    arrow = library("pyarrow")
    return (arrow.ArrowException, OSError, KeyError, IndexError, TypeError, ValueError, OverflowError)


def said(file) -> Said:
    """What the footer of an open Parquet file says of the recording; nothing where it is no trace of ours."""
    try:
        found = json.loads((file.metadata.metadata or {})[FOOTER])
        remarks = [str(text)[:LONGEST_REMARK] for text in list(found["remarks"])[:MOST_REMARKS]]
        return Said(max(0, int(found["lost_events"])), remarks)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return Said()


def footer_of(path: Path) -> Footer:
    """What the footer says. Raises BadInput where the file was not written by `trace import`."""
    parquet = library("pyarrow.parquet")
    try:
        with parquet.ParquetFile(path) as file:
            stored = (file.metadata.metadata or {}).get(FOOTER, "null")
            rows = file.metadata.num_rows
            ours = list(map(_without_dictionary, file.schema_arrow)) == list(map(_without_dictionary, arrow_schema()))
    except unreadable():
        stored, rows, ours = "null", 0, False
    try:
        footer = Footer(**json.loads(stored))
        if not ours or not _possible(footer):
            raise TypeError
    except (TypeError, ValueError, RecursionError, OverflowError):
        raise BadInput(
            "is no trace in the form of `costmodel trace import`", file=path, remedy="import it first"
        ) from None
    if footer.events != rows:
        raise BadInput(f"holds {rows} rows, its footer says {footer.events}", file=path, remedy="import it again")
    return footer


def _possible(footer: Footer) -> bool:
    """Whether the footer holds numbers that `write` can have counted."""
    numbers = {name: value for name, value in asdict(footer).items() if name not in ("tasks", "triggers", "remarks")}
    if not isinstance(footer.tasks, dict) or not _told(footer):
        return False
    if any(type(value) is not int for value in (*numbers.values(), *footer.tasks.values())):
        return False
    counts = (footer.without_pid, footer.with_overlap, footer.with_duration, footer.with_vm)
    times = -HUGE <= footer.first_ns <= footer.last_ns <= HUGE
    names = 0 < len(footer.tasks) <= MOST_TASKS and max(map(len, footer.tasks)) <= LONGEST_NAME
    return (
        times
        and names
        and footer.last_ns - footer.first_ns <= LONGEST_NS
        and all(0 <= count <= footer.events for count in counts)
        and 0 <= footer.lost_events <= HUGE
        and min(footer.tasks.values()) > 0
        and sum(footer.tasks.values()) == footer.events
    )


def _told(footer: Footer) -> bool:
    """Whether triggers and remarks are what `write` makes: the triggers of a name add up to its events."""
    triggers, remarks = footer.triggers, footer.remarks
    if not isinstance(triggers, dict) or not isinstance(remarks, list) or len(remarks) > MOST_REMARKS:
        return False
    if any(not isinstance(text, str) or len(text) > LONGEST_REMARK for text in remarks):
        return False
    return all(
        isinstance(told, dict)
        and all(type(count) is int and count > 0 for count in told.values())
        and sum(told.values()) == footer.tasks.get(name)
        and not any(unknown_triggers(label) for label in told)
        for name, told in triggers.items()
    )


@dataclass(frozen=True)
class Block:
    """Consecutive events; arrays of shape (n,). `task` indexes the footer's task names, `group` its groups (None: each
    name is
    one); missing numbers are -1.
    """

    number: int
    time_ns: numpy.ndarray
    start: numpy.ndarray
    end: numpy.ndarray
    task: numpy.ndarray
    pid: numpy.ndarray
    overlap_bytes: numpy.ndarray | None
    duration_ns: numpy.ndarray | None
    group: numpy.ndarray | None = None

    def of(self, pick: Callable[[numpy.ndarray], numpy.ndarray]) -> Block:
        """The events that `pick` takes out of each array, such as `lambda values: values[:9]`."""
        columns = [item.name for item in fields(self) if item.name != "number"]
        picked: dict[str, Any] = {name: pick(values) for name in columns if (values := getattr(self, name)) is not None}
        return replace(self, **picked)


def blocks(path: Path, footer: Footer, columns: Sequence[str] = ()) -> Iterator[Block]:
    """The trace in row groups; the next is decoded by a thread while one is used. `columns`: optional ones to read
    where any event has a value, of task, trigger (with task), pid, overlap_bytes, duration_ns. Raises BadInput where a block is not what `write`
    made.
    """
    sound = loops().sound
    ready: queue.Queue = queue.Queue(maxsize=1)
    stop = threading.Event()

    def put(item: object) -> None:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=0.1)
                return

    def decode() -> None:
        try:
            for block in _decoded(path, footer, footer.held(columns)):
                put(block)
                if stop.is_set():
                    return
            put(None)
        except Exception as error:
            put(error)

    worker = threading.Thread(target=decode, daemon=True)
    worker.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, Exception):
                raise item
            if not sound(item.time_ns, item.start, item.end, item.pid, footer.first_ns, footer.last_ns, HUGE):
                raise _not_imported(path, item.number)
            yield item
    finally:
        stop.set()
        worker.join()


def _decoded(path: Path, footer: Footer, columns: Sequence[str]) -> Iterator[Block]:
    parquet = library("pyarrow.parquet")
    codes = {name: code for code, name in enumerate(footer.tasks)}
    groups = {group: code for code, group in enumerate(footer.groups)}
    try:
        with parquet.ParquetFile(
            path, read_dictionary=list(TEXTS), pre_buffer=False, page_checksum_verification=True
        ) as file:
            for number in range(file.num_row_groups):
                if file.metadata.row_group(number).num_rows > GROUP_ROWS:
                    raise _not_imported(path, number)
                table = file.read_row_group(number, columns=["t_ns", "start", "end", *columns])
                table.validate(full=True)
                if not len(table):
                    raise _not_imported(path, number)
                for batch in table.combine_chunks().to_batches():
                    yield _block(number, batch, codes, groups, columns)
    except unreadable() as error:
        raise BadInput(f"cannot be read: {first_line(error)}", file=path, remedy="import it again") from None


def _not_imported(path: Path, number: int) -> BadInput:
    return BadInput(f"block {number} is not what `trace import` writes", file=path, remedy="import it again")


def _block(
    number: int, batch, codes: dict[str, int], groups: dict[tuple[str, str], int], columns: Sequence[str]
) -> Block:
    group = None
    if "task" in columns:
        task = batch.column("task")
        own = numpy.array([codes[name] for name in task.dictionary.to_pylist()], numpy.int32)
        tasks = own[task.indices.to_numpy()]
    else:
        tasks = numpy.zeros(len(batch), numpy.int32)
    if "trigger" in columns:
        told = batch.column("trigger")
        labels = ["", *told.dictionary.to_pylist()]
        known = numpy.array(
            [[groups.get((name, label), -1) for label in labels] for name in task.dictionary.to_pylist()]
        )
        group = known[task.indices.to_numpy(), indices(told) + 1].astype(numpy.int32)
        if group.min() < 0:
            raise KeyError("a trigger that the footer does not name")
    optional = {name: int_column(batch, name) if name in columns else None for name in NUMBERS}
    return Block(
        number=number,
        time_ns=int_column(batch, "t_ns"),
        start=int_column(batch, "start"),
        end=int_column(batch, "end"),
        task=tasks,
        pid=int_column(batch, "pid") if "pid" in columns else numpy.full(len(batch), -1, numpy.int32),
        group=group,
        **optional,
    )
