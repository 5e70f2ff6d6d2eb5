"""Columns of a trace and what a row must hold.

The tracepoint kvm:kvm_unmap_hva_range carries a range of host virtual addresses; ftrace adds time, task, pid and CPU.
It carries neither the notifier's event type nor the VM: `trigger` (one or several by id, what the event's call chain
tells), `vm`, `overlap_bytes` (bytes inside memslots) and `duration_ns` (how long the recorded host itself flushed) are
null unless the file that was imported has them.
"""

from __future__ import annotations

import numpy

from costmodel.errors import BadInput
from costmodel.measure.traces import PID_LIMIT
from costmodel.traces.libraries import library
from costmodel.traces.tasks import unknown_triggers

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


def schema():
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
    for field in schema():
        if field.name not in batch.schema.names:
            columns.append(arrow.nulls(len(batch), field.type))
            continue
        column = batch.column(field.name)
        if field.name in REQUIRED and column.null_count:
            row = first_row + int(numpy.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
            raise BadInput("is empty", file=file, row=row, field=field.name, remedy="every event needs it")
        columns.append(_cast(column, field, file))
    found = arrow.RecordBatch.from_arrays(columns, schema=schema())
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


def numbers(batch, name: str, missing: int = -1) -> numpy.ndarray:
    """A numeric column as int64, `missing` where it is null."""
    column = batch.column(name)
    return (column.fill_null(missing) if column.null_count else column).to_numpy(zero_copy_only=False)


def indices(column) -> numpy.ndarray:
    """Place of each text of a column in its dictionary, -1 where it is null."""
    return column.indices.fill_null(-1).to_numpy(zero_copy_only=False)


def _check_numbers(batch, file: str, first_row: int) -> None:
    time, start, end = (numbers(batch, name) for name in ("t_ns", "start", "end"))
    pid, cpu, overlap, duration = (numbers(batch, name, missing=0) for name in ("pid", "cpu", *NUMBERS))
    tests = (
        ("t_ns", _beyond(time), "is no time that a kernel prints"),
        ("start", _beyond(start), "is no address that a kernel prints"),
        ("end", _beyond(end), "is no address that a kernel prints"),
        ("end", end <= start, "does not lie behind start"),
        ("pid", (pid < 0) | (pid >= PID_LIMIT), f"is not from 0 to below {PID_LIMIT}"),
        ("cpu", cpu < 0, "is below 0"),
        ("overlap_bytes", (overlap < 0) | (overlap > end - start), "is negative or longer than the range"),
        ("duration_ns", (duration < 0) | (duration > HUGE), "is no duration"),
    )
    for field, wrong, problem in tests:
        if wrong.any():
            row = first_row + int(numpy.argmax(wrong))
            raise BadInput(problem, file=file, row=row, field=field, remedy="correct or leave out the row")
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
