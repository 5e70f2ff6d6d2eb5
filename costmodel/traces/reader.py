"""Reads what `trace import` is given, in pieces: text of tracefs, trace-cmd and perf script, CSV and Parquet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from costmodel.errors import BadInput
from costmodel.measure import tracefs, traces
from costmodel.traces import schema
from costmodel.traces.libraries import library

ROWS = 2**16
CSV_BLOCK_BYTES = 2**22
CPU = re.compile(r"\[(\d{1,9})\]\s+(?:\S+\s+)?\d+\.\d+:\s")
TEXT_COLUMNS = ("t_ns", "task", "pid", "cpu", "start", "end")
MEASURED = {
    "thread": "task",
    "measured_time_s": "t_s",
    "measured_start_offset_bytes": "start",
    "measured_range_bytes": "range_bytes",
    "measured_overlap_bytes": "overlap_bytes",
}
"""Columns of invalidations.csv of a host profile, as columns of a trace."""
BETWEEN_CAUSES_NS = 10**9
"""A profile records each trigger on a clock of its own; they are laid one after another this far apart."""
DERIVED = "kind,name,key,time_s"


@dataclass
class Notes:
    """What was left out: `bad` lines (the first ten), counts of lines that carry no event, and remarks."""

    lines: int = 0
    bad_lines: int = 0
    bad: list[tuple[str, int, str]] = field(default_factory=list)
    without_event: dict[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def left_out(self, kind: str) -> None:
        self.without_event[kind] = self.without_event.get(kind, 0) + 1


def batches(path: Path, notes: Notes) -> Iterator:
    """Arrow RecordBatches in the schema of a trace, in the order of the file. Raises BadInput."""
    with path.open("rb") as stream:
        begin = stream.read(2**16)
    if not begin:
        raise BadInput("is empty", file=path, remedy="record with kvm:kvm_unmap_hva_range on")
    if begin[:4] == b"PAR1":
        yield from _parquet(path)
        return
    header = begin.split(b"\n", 1)[0].decode("utf-8", "replace").strip().lstrip("\ufeff")
    columns = [name.strip().strip('"') for name in header.split(",")]
    if {"start", "end", "task"} <= set(columns) or set(MEASURED) <= set(columns):
        yield from _csv(path, columns, notes)
    elif header.startswith(DERIVED):
        raise BadInput(
            "is what `costmodel measure import` wrote: lengths without addresses",
            file=path,
            remedy="import the trace that it was made from",
        )
    else:
        yield from _text(path, notes)


def _text(path: Path, notes: Notes) -> Iterator:
    rows: list[tuple] = []
    events, bad, other = 0, notes.bad_lines, sum(notes.without_event.values())
    with path.open(encoding="utf-8", errors="replace") as stream:
        for number, raw in enumerate(stream, start=1):
            notes.lines += 1
            line = raw.rstrip("\n")
            event = tracefs.parse(line)
            if event is None or not _plausible(event):
                _no_event(path.name, number, line, notes)
                continue
            events += 1
            found = CPU.search(line)
            cpu = int(found[1]) if found else None
            end = min(event.end, schema.HUGE)
            rows.append((round(event.time_s * 1e9), event.comm, event.pid, cpu, event.start, end))
            if len(rows) == ROWS:
                yield _batch(rows, path)
                rows = []
    bad, other = notes.bad_lines - bad, sum(notes.without_event.values()) - other
    if not events and bad + other:
        raise BadInput(
            f"holds no event in order of time: {other} lines of histograms, counts or durations, {bad} not understood",
            file=path,
            remedy="record kvm:kvm_unmap_hva_range with perf or trace-cmd",
        )
    if rows:
        yield _batch(rows, path)


def _plausible(event: tracefs.Invalidation) -> bool:
    """An end beyond user addresses is plausible: soft-dirty clearing notifies 0 to ULONG_MAX."""
    ends = event.start < schema.HUGE and event.end < 2**64
    return ends and event.pid < schema.PID_LIMIT and event.time_s * 1e9 < schema.HUGE


def _no_event(file: str, number: int, line: str, notes: Notes) -> None:
    graph = traces.GRAPH.search(line)
    if traces.NOISE.match(line):
        return
    if graph is not None:
        notes.left_out("durations of functions")
    elif traces.TITLE.match(line) or traces.BUCKET.match(line) or line.startswith('{"type"'):
        notes.left_out("lines of bpftrace maps")
    else:
        notes.bad_lines += 1
        if len(notes.bad) < 10:
            notes.bad.append((file, number, line))


def _batch(rows: list[tuple], path: Path):
    arrow = library("pyarrow")
    columns = dict(zip(TEXT_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    return schema.checked(arrow.RecordBatch.from_pydict(columns), str(path), 1)


def _csv(path: Path, columns: list[str], notes: Notes) -> Iterator:
    arrow, csv = library("pyarrow"), library("pyarrow.csv")
    if len(set(columns)) < len(columns):
        raise BadInput("names a column twice", file=path, row=1, remedy="name each column once")
    texts = (*schema.TEXTS, "thread", "trigger")
    whole = ("t_ns", "start", "end", "pid", "cpu", "overlap_bytes", "duration_ns", "measured_start_offset_bytes")
    types = {name: arrow.string() for name in texts} | {name: arrow.int64() for name in whole}
    types |= {"t_s": arrow.float64(), "measured_time_s": arrow.float64(), "measured_range_bytes": arrow.int64()}
    types["measured_overlap_bytes"] = arrow.int64()
    known = [name for name in columns if name in types]
    profile = set(MEASURED) <= set(columns)
    if not profile and not {"t_ns", "t_s"} & set(known):
        raise BadInput("has no column t_ns or t_s", file=path, row=1, remedy="add the time of each event")
    convert = csv.ConvertOptions(column_types=types, include_columns=known, null_values=[""], strings_can_be_null=True)
    parse = csv.ParseOptions(newlines_in_values=False)
    try:
        reader = csv.open_csv(
            path,
            read_options=csv.ReadOptions(block_size=CSV_BLOCK_BYTES),
            parse_options=parse,
            convert_options=convert,
        )
        row, shift = 2, Shift()
        for batch in reader:
            notes.lines += len(batch)
            if len(batch):
                table = shift.laid_out(batch, notes) if profile else _with_times(batch, str(path), row)
                yield schema.checked(table, str(path), row)
            row += len(batch)
    except arrow.ArrowInvalid as error:
        what = str(error).splitlines()[0]
        raise BadInput(f"is not CSV of a trace: {what}", file=path, remedy="correct the row") from None


def _with_times(batch, file: str, first_row: int):
    """`batch` with t_ns made from t_s where it has only that."""
    if "t_ns" in batch.schema.names:
        return batch
    numpy, arrow = library("numpy"), library("pyarrow")
    seconds = batch.column("t_s").to_numpy(zero_copy_only=False)
    wrong = ~(numpy.abs(seconds) < schema.HUGE / 1e9)
    if wrong.any():
        row = first_row + int(numpy.argmax(wrong))
        raise BadInput("is no time", file=file, row=row, field="t_s", remedy="give seconds")
    times = arrow.array(numpy.rint(seconds * 1e9).astype(numpy.int64))
    return batch.append_column("t_ns", times)


class Shift:
    """Lays the triggers of a host profile one after another: each was recorded on a clock of its own."""

    def __init__(self) -> None:
        self._trigger: str | None = None
        self._zero_ns = self._last_ns = 0

    def laid_out(self, batch, notes: Notes):
        """A batch of invalidations.csv as a batch of a trace."""
        arrow = library("pyarrow")
        times = []
        for trigger, seconds in zip(
            *(batch.column(n).to_pylist() for n in ("trigger", "measured_time_s")), strict=True
        ):
            if trigger != self._trigger:
                if self._trigger is not None:
                    self._zero_ns = self._last_ns + BETWEEN_CAUSES_NS
                else:
                    notes.remarks.append(
                        "a host profile: its triggers were recorded one by one and are laid 1 s apart; threads have "
                        "names, no pid"
                    )
                self._trigger = trigger
            times.append(None if seconds is None else self._zero_ns + round(seconds * 1e9))
            self._last_ns = max(self._last_ns, times[-1] or 0)
        start, length = batch.column("measured_start_offset_bytes"), batch.column("measured_range_bytes")
        end = library("pyarrow.compute").add(start, length)
        columns = {"t_ns": arrow.array(times, arrow.int64()), "task": batch.column("thread"), "start": start}
        columns |= {"end": end, "overlap_bytes": batch.column("measured_overlap_bytes")}
        return arrow.RecordBatch.from_pydict(columns)


def _parquet(path: Path) -> Iterator:
    arrow, parquet = library("pyarrow"), library("pyarrow.parquet")
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            missing = [name for name in schema.REQUIRED if name not in names]
            if missing:
                raise BadInput(f"has no column {', '.join(missing)}", file=path, remedy="name the columns of a trace")
            wanted = [name for name in (*schema.REQUIRED, *schema.OPTIONAL) if name in names]
            row = 1
            for batch in file.iter_batches(ROWS, columns=wanted):
                yield schema.checked(batch, str(path), row)
                row += len(batch)
    except (arrow.ArrowInvalid, arrow.ArrowNotImplementedError, OSError) as error:
        raise BadInput(f"is not a Parquet file: {str(error).splitlines()[0]}", file=path) from None
