"""Reads what is given from outside, in pieces: text of tracefs, trace-cmd and perf script, CSV and Parquet for `trace
import`; and the memory slots beside a trace, which tell what events meet one and over how many bytes.
"""

from __future__ import annotations

import csv
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy

from costmodel.errors import BadInput, NoThread, is_of_no_thread
from costmodel.measure import trace_formats
from costmodel.measure.opened import Opened, opened
from costmodel.measure.trace_formats import Notes
from costmodel.plain import shell_word
from costmodel.traces import store
from costmodel.traces.store import HUGE, library
from costmodel.traces.triggers import trigger_of_chain

ROWS = 2**16
CSV_BLOCK_BYTES = 2**22
TEXT_COLUMNS = ("t_ns", "task", "pid", "cpu", "start", "end", "trigger")
KINDS = {
    "count": "counts", "histogram": "buckets of histograms", "duration": "durations of functions", "value": "averages or sums",
}  # fmt: skip
PROFILE = {
    "trigger",
    "thread",
    "measured_time_s",
    "measured_start_offset_bytes",
    "measured_range_bytes",
    "measured_overlap_bytes",
}
"""Columns of invalidations.csv of a host profile that a trace is made of."""
BETWEEN_CAUSES_NS = 10**9
"""A profile records each trigger on a clock of its own; they are laid one after another this far apart."""
DERIVED = "kind,name,key,"


def batches(path: Path, notes: Notes, clock_hz: float | None = None) -> Iterator:
    """Arrow RecordBatches in the schema of a trace, in the order of the file (`-`: standard input).

    `clock_hz`: of a trace clock that counts. Raises BadInput.
    """
    with opened(path) as source:
        if source.front[:4] == b"PAR1":
            yield from _parquet(source, notes)
            return
        header = re.split(rb"[\r\n]", source.front, maxsplit=1)[0].decode("utf-8", "replace").strip().lstrip("\ufeff")
        columns = _columns(header)
        if {"start", "end", "task"} <= set(columns) or set(columns) >= PROFILE:
            yield from _csv(source, columns, notes)
        elif header.startswith(DERIVED):
            raise BadInput(
                "is what `costmodel measure import` wrote: lengths without addresses",
                file=source.path,
                remedy="import the trace that it was made from",
            )
        else:
            yield from _text(source, notes, clock_hz)


def _columns(header: str) -> list[str]:
    """Names of the columns of a first line, without blanks around them."""
    try:
        return [name.strip() for name in next(csv.reader([header]), [])]
    except csv.Error:
        return []


def _text(source: Opened, notes: Notes, clock_hz: float | None) -> Iterator:
    reading = trace_formats.Reading(source.path, notes, clock_hz)
    bad, other = notes.bad_lines, sum(notes.without_event.values())
    told: dict[tuple[str, ...], str | None] = {(): None}
    untold = 0
    for events in trace_formats.batches(trace_formats.lines(source), reading):
        for event in events:
            chain = event[6]
            if chain not in told:
                told[chain] = trigger_of_chain(chain) or None
            event[6] = told[chain]
            untold += bool(chain) and event[6] is None
            event[5] = min(event[5], store.HUGE)
        rows = [event for event in events if event[4] < store.HUGE]
        if len(rows) < len(events):
            notes.left_out("events on addresses of the kernel", len(events) - len(rows))
        if rows:
            yield _batch(rows, source.path)
    if untold:
        notes.remark(f"{untold} call chains hold no function of data/kvm/call_chains.csv: any trigger may be theirs")
    if reading.rows:
        _counts(source.path, reading, notes)
    if not reading.read:
        bad, other = notes.bad_lines - bad, sum(notes.without_event.values()) - other
        raise BadInput(
            f"holds no event of kvm:{trace_formats.EVENT}: {other} lines of other things, {bad} not understood",
            file=source.path,
            remedy="record kvm:kvm_unmap_hva_range with perf or trace-cmd; perf script -F needs time and trace",
        )


def _counts(path: Path, reading: trace_formats.Reading, notes: Notes) -> None:
    """Counts and histograms have no order: left out beside events. Raises BadInput where there are no events."""
    kinds: dict[str, int] = {}
    for one in reading.rows:
        kinds[KINDS[one["kind"]]] = kinds.get(KINDS[one["kind"]], 0) + 1
    if not reading.read:
        found = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        name = shell_word(str(path)) if path != Path("standard input") else "-"
        remedy = (
            f"`costmodel trace rate {name}` makes rates of counts"
            if any(r["kind"] == "count" for r in reading.rows)
            else (f"`costmodel measure import {name}` reads them")
        )
        raise BadInput(
            f"holds no event in order of time, which a replay needs: {found}",
            file=path,
            remedy=f"{remedy}; for a replay record kvm:kvm_unmap_hva_range with perf or trace-cmd",
        )
    for kind, count in kinds.items():
        notes.left_out(kind, count)


def _batch(rows: list[list], path: Path):
    arrow = library("pyarrow")
    columns = dict(zip(TEXT_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    columns["trigger"] = arrow.array(columns["trigger"], arrow.string())
    return store.checked(arrow.RecordBatch.from_pydict(columns), str(path), 1)


def _csv(source: Opened, columns: list[str], notes: Notes) -> Iterator:
    path = source.path
    arrow, arrow_csv = library("pyarrow"), library("pyarrow.csv")
    if len(set(columns)) < len(columns):
        raise BadInput("names a column twice", file=path, row=1, remedy="name each column once")
    texts = (*store.TEXTS, "thread", "trigger")
    whole = ("t_ns", "start", "end", "pid", "cpu", "overlap_bytes", "duration_ns", "measured_start_offset_bytes")
    types = {name: arrow.string() for name in texts} | {name: arrow.int64() for name in whole}
    types |= {"t_s": arrow.float64(), "measured_time_s": arrow.float64(), "measured_range_bytes": arrow.int64()}
    types["measured_overlap_bytes"] = arrow.int64()
    known = [name for name in columns if name in types]
    profile = set(columns) >= PROFILE
    if not profile and not {"t_ns", "t_s"} & set(known):
        raise BadInput("has no column t_ns or t_s", file=path, row=1, remedy="add the time of each event")
    convert = arrow_csv.ConvertOptions(
        column_types=types, include_columns=known, null_values=[""], strings_can_be_null=True
    )
    parse = arrow_csv.ParseOptions(newlines_in_values=False)
    _start_a_thread()
    try:
        reader = arrow_csv.open_csv(
            path if source.plain else source.stream,
            read_options=arrow_csv.ReadOptions(block_size=CSV_BLOCK_BYTES, skip_rows=1, column_names=columns),
            parse_options=parse,
            convert_options=convert,
        )
        row, shift = 2, Shift()
        for batch in reader:
            notes.lines += len(batch)
            if len(batch):
                table = shift.laid_out(batch, notes, str(path), row) if profile else _with_times(batch, str(path), row)
                yield store.checked(table, str(path), row)
            row += len(batch)
    except (arrow.ArrowException, UnicodeDecodeError, OverflowError) as error:
        if is_of_no_thread(error):
            raise NoThread from None
        what = store.first_line(error)
        raise BadInput(f"is not CSV of a trace: {what}", file=path, remedy="correct the row") from None


def _start_a_thread() -> None:
    """Raise NoThread where none can be started: there the reader of CSV of pyarrow before 26 ends the process."""
    thread = threading.Thread(target=int)
    try:
        thread.start()
    except RuntimeError:
        raise NoThread from None
    thread.join()


def _with_times(batch, file: str, first_row: int):
    """`batch` with t_ns made from t_s where it has only that."""
    if "t_ns" in batch.schema.names:
        return batch
    numpy, arrow = library("numpy"), library("pyarrow")
    seconds = _seconds(batch, "t_s", file, first_row, trace_formats.TIME_LIMIT_NS / 1e9)
    return batch.append_column("t_ns", arrow.array(numpy.rint(seconds * 1e9).astype(numpy.int64)))


def _seconds(batch, name: str, file: str, first_row: int, limit: float):
    """A column of times. Raises BadInput with the first row that holds none."""
    numpy = library("numpy")
    seconds = batch.column(name).to_numpy(zero_copy_only=False)
    wrong = ~(numpy.abs(seconds) < limit)
    if wrong.any():
        row = first_row + int(numpy.argmax(wrong))
        raise BadInput("is no time", file=file, row=row, field=name, remedy="give seconds")
    return seconds


class Shift:
    """Lays the triggers of a host profile one after another: each was recorded on a clock of its own."""

    def __init__(self) -> None:
        self._trigger: str | None = None
        self._zero_ns = self._last_ns = 0

    def laid_out(self, batch, notes: Notes, file: str, first_row: int):
        """A batch of invalidations.csv as a batch of a trace. Raises BadInput for what is no time or length."""
        arrow = library("pyarrow")
        times = []
        recorded = _seconds(batch, "measured_time_s", file, first_row, store.LONGEST_NS / 1e9).tolist()
        for trigger, seconds in zip(batch.column("trigger").to_pylist(), recorded, strict=True):
            if trigger != self._trigger:
                if self._trigger is not None:
                    self._zero_ns = self._last_ns + BETWEEN_CAUSES_NS
                else:
                    notes.remark(
                        "a host profile: its triggers were recorded one by one and are laid 1 s apart; threads have "
                        "names, no pid"
                    )
                self._trigger = trigger
            times.append(self._zero_ns + round(seconds * 1e9))
            self._last_ns = max(self._last_ns, times[-1])
        if self._last_ns > store.HUGE:
            raise BadInput("the triggers span more than 104 days", file=file, remedy="import one recording")
        start, length = batch.column("measured_start_offset_bytes"), batch.column("measured_range_bytes")
        end = library("pyarrow.compute").add_checked(start, length)
        columns = {"t_ns": arrow.array(times, arrow.int64()), "task": batch.column("thread"), "start": start}
        columns |= {"end": end, "overlap_bytes": batch.column("measured_overlap_bytes")}
        return arrow.RecordBatch.from_pydict(columns)


def _parquet(source: Opened, notes: Notes) -> Iterator:
    parquet, path = library("pyarrow.parquet"), source.path
    if not source.plain:
        raise BadInput("is Parquet, which cannot be read from a pipe", file=path, remedy="name the unpacked file")
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            told = store.said(file)
            notes.lost += told.lost_events
            for text in told.remarks:
                notes.remark(text)
            names = file.schema_arrow.names
            missing = [name for name in store.REQUIRED if name not in names]
            if missing:
                raise BadInput(f"has no column {', '.join(missing)}", file=path, remedy="name the columns of a trace")
            wanted = [name for name in (*store.REQUIRED, *store.OPTIONAL) if name in names]
            if any(names.count(name) > 1 for name in wanted):
                raise BadInput("names a column twice", file=path, remedy="name each column once")
            row = 1
            for batch in file.iter_batches(ROWS, columns=wanted):
                batch.validate(full=True)
                yield store.checked(batch, str(path), row)
                row += len(batch)
    except store.unreadable() as error:
        what = store.first_line(error)
        raise BadInput(f"is not a Parquet file: {what}", file=path, remedy="write or copy the file again") from None


@dataclass(frozen=True)
class Memslots:
    """Disjoint address ranges in order: `start` and `bytes` of shape (n,), `before`: bytes of the slots before each."""

    start: numpy.ndarray
    bytes: numpy.ndarray
    before: numpy.ndarray

    @classmethod
    def of(cls, ranges: list[tuple[int, int]]) -> Memslots:
        """From (start, end) pairs; those that touch or overlap become one."""
        merged: list[list[int]] = []
        for start, end in sorted(ranges):
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([start, end])
        table = numpy.array(merged, numpy.int64).reshape(-1, 2)
        length = table[:, 1] - table[:, 0]
        return cls(table[:, 0], length, numpy.concatenate([[0], numpy.cumsum(length)[:-1]]).astype(numpy.int64))

    def _below(self, address: numpy.ndarray) -> numpy.ndarray:
        """Bytes of the slots below each address."""
        at = numpy.searchsorted(self.start, address, "right") - 1
        slot = numpy.maximum(at, 0)
        inside = numpy.clip(address - self.start[slot], 0, self.bytes[slot])
        return numpy.where(at < 0, 0, self.before[slot] + inside)

    def overlap_bytes(self, start: numpy.ndarray, end: numpy.ndarray) -> numpy.ndarray:
        """Bytes of each range that lie in slots.

        >>> slots = Memslots.of([(0, 4096), (8192, 12288)])
        >>> slots.overlap_bytes(numpy.array([2048, 4096]), numpy.array([10240, 8192])).tolist()
        [4096, 0]
        """
        return self._below(end) - self._below(start)


def read_memslots(path: Path) -> Memslots:
    """Slots of a CSV file with the columns start and end (decimal or 0x...). Raises BadInput."""
    remedy = "give the columns start,end with one slot a line"
    ranges = []
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            if not {"start", "end"} <= set(reader.fieldnames or ()):
                raise BadInput("has no columns start and end", file=path, row=1, remedy=remedy)
            for row in reader:
                try:
                    start, end = (int(row[name], 0) for name in ("start", "end"))
                except (TypeError, ValueError):
                    raise BadInput("is no address", file=path, row=reader.line_num, remedy=remedy) from None
                if not -HUGE < start < end < HUGE:
                    raise BadInput("end does not lie behind start", file=path, row=reader.line_num, remedy=remedy)
                ranges.append((start, end))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"is not CSV text: {error}", file=path, remedy=remedy) from None
    if not ranges:
        raise BadInput("names no slot", file=path, remedy=remedy)
    return Memslots.of(ranges)
