"""Strict readers of the CSV and TOML files of data/, and the units that these may use: what a spreadsheet, a browser or
a sum could trip over is refused with its place.
"""

from __future__ import annotations

import csv
import io
import math
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypedDict, TypeVar, overload

from costmodel.errors import BadInput
from costmodel.plain import FORMULA_START, csv_cell

# Units that data/ may use, as an exact table: SI unit, factor, and the same unit in words that pint understands.


class Unit(NamedTuple):
    """`si` is the SI unit (`1` for counts and ratios, `cycle` for clock cycles), `factor` turns a value into it.

    `expression` is the unit in pint's language; the audit compares `factor` with it.
    """

    si: str
    factor: float
    expression: str


UNITS = {
    "s": Unit("s", 1.0, "second"),
    "ms": Unit("s", 1e-3, "millisecond"),
    "us": Unit("s", 1e-6, "microsecond"),
    "ns": Unit("s", 1e-9, "nanosecond"),
    "min": Unit("s", 60.0, "minute"),
    "ns per 100000": Unit("s", 1e-14, "nanosecond / 100000"),
    "us per target core": Unit("s", 1e-6, "microsecond"),
    "B": Unit("B", 1.0, "byte"),
    "KiB": Unit("B", 1024.0, "kibibyte"),
    "MiB": Unit("B", 1024.0**2, "mebibyte"),
    "GiB": Unit("B", 1024.0**3, "gibibyte"),
    "GB": Unit("B", 1e9, "gigabyte"),
    "MB (2^20 B)": Unit("B", 1024.0**2, "mebibyte"),
    "pages of 4 KiB": Unit("B", 4096.0, "4 * kibibyte"),
    "MB/s": Unit("B/s", 1e6, "megabyte / second"),
    "MiB/s": Unit("B/s", 1024.0**2, "mebibyte / second"),
    "GiB/s": Unit("B/s", 1024.0**3, "gibibyte / second"),
    "GB/s": Unit("B/s", 1e9, "gigabyte / second"),
    "MB (2^20 B)/s": Unit("B/s", 1024.0**2, "mebibyte / second"),
    "B/cycle": Unit("B/cycle", 1.0, "byte"),
    "cycles": Unit("cycle", 1.0, "dimensionless"),
    "lines/cycle": Unit("lines/cycle", 1.0, "dimensionless"),
    "1/s": Unit("1/s", 1.0, "1 / second"),
    "k loops/s": Unit("1/s", 1000.0, "1000 / second"),
    "events per 10 s": Unit("1/s", 0.1, "1 / (10 * second)"),
    "%": Unit("1", 0.01, "percent"),
    "1": Unit("1", 1.0, "dimensionless"),
    "x": Unit("1", 1.0, "dimensionless"),
    "pages": Unit("1", 1.0, "dimensionless"),
    "events": Unit("1", 1.0, "dimensionless"),
    "calls": Unit("1", 1.0, "dimensionless"),
    "CPUs": Unit("1", 1.0, "dimensionless"),
}

PINT_SI = {
    "s": "second",
    "B": "byte",
    "B/s": "byte / second",
    "1/s": "1 / second",
    "B/cycle": "byte",
    "cycle": "dimensionless",
    "lines/cycle": "dimensionless",
    "1": "dimensionless",
}


def pint_factor(unit: Unit) -> float:
    """Factor of `unit` to its SI unit as pint computes it. Raises pint's errors where the expression has no meaning."""
    import pint

    return float(pint.Quantity(unit.expression).to(PINT_SI[unit.si]).magnitude)


# Strict reader of CSV files: what a spreadsheet, a browser or a sum could trip over is refused with its place.

CELL_MAX = 10_000
KEY_MAX = 200
"""Characters of a cell that names its row: it stands in every message about the row."""
VALUE_MIN, VALUE_MAX = 1e-30, 1e30
"""No quantity of this domain lies outside, in any unit: what does would overflow on its way into a sum."""


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV text of `header` and `rows`: no cell acts in a spreadsheet, whatever text it came from."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([csv_cell(cell) for cell in row] for row in (header, *rows))
    return stream.getvalue()


def read_table(
    path: Path, columns: Sequence[str], key: str | tuple[str, ...], numeric: Collection[str] = ()
) -> list[dict[str, str]]:
    """Rows of a CSV file as dicts of stripped cells.

    `columns` are all columns the file must have, `key` the one whose cells name the rows and must differ, or several
    that do so together; cells of the `numeric` columns may begin with a sign. Raises BadInput with file, row, field,
    problem and remedy.
    """
    keys = (key,) if isinstance(key, str) else key
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            _check_header(path, header, columns)
            lines = list(reader)
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", file=path.name, remedy="restore the file") from None
    except UnicodeDecodeError:
        raise BadInput("is not UTF-8", file=path.name, remedy="save it as UTF-8 without a byte-order mark") from None
    except csv.Error as error:
        raise BadInput(f"is no CSV: {error}", file=path.name, remedy="quote cells that hold commas or quotes") from None
    rows, seen = [], set()
    for number, cells in enumerate(lines, start=2):
        if len(cells) != len(header):
            raise BadInput(
                f"has {len(cells)} cells, the header has {len(header)}",
                file=path.name,
                row=number,
                remedy="quote cells that hold commas",
            )
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        name = row_name(row, key)
        for field, cell in row.items():
            shown = name[:40] if row[keys[0]] else number
            check_cell(cell, file=path.name, row=shown, field=field, signed=field in numeric)
        for field in keys:
            if not 0 < len(row[field]) <= KEY_MAX:
                problem = f"is longer than {KEY_MAX} characters" if row[field] else "is empty"
                raise BadInput(problem, file=path.name, row=number, field=field, remedy="name the row")
        if name in seen:
            remedy = "give each row its own name"
            raise BadInput("is there twice", file=path.name, row=name, field=", ".join(keys), remedy=remedy)
        seen.add(name)
        rows.append(row)
    return rows


def row_name(row: dict[str, str], key: str | tuple[str, ...]) -> str:
    """How messages call the row: the cells of its key."""
    return row[key] if isinstance(key, str) else " / ".join(row[field] for field in key)


def _check_header(path: Path, header: list[str], columns: Sequence[str]) -> None:
    for name in columns:
        if name not in header:
            raise BadInput("column is missing", file=path.name, field=name, remedy="add the column")
    for name in header:
        if name not in columns or header.count(name) > 1:
            raise BadInput(
                "column is unknown or there twice", file=path.name, field=name[:40], remedy="remove the column"
            )


def check_cell(cell: str, *, file: str, row: object, field: str, signed: bool = False) -> None:
    """Raise BadInput for text that is too long, or that a spreadsheet or browser would run."""
    if len(cell) > CELL_MAX:
        problem = f"is longer than {CELL_MAX} characters"
    elif not cell.isprintable():
        problem = "holds a control character, or a blank that is not the space"
    elif not signed and cell.startswith(FORMULA_START):
        problem = f"begins with {cell[0]!r}, which a spreadsheet takes for a formula"
    elif "<script" in cell.lower():
        problem = "holds a script tag"
    else:
        return
    raise BadInput(problem, file=file, row=row, field=field, remedy="rewrite the cell as plain text")


class Place(TypedDict):
    """Where a cell stands, for the readers of one."""

    file: str
    name: str


@overload
def number(row: dict[str, str], field: str, *, file: str, name: str, required: Literal[True]) -> float: ...
@overload
def number(row: dict[str, str], field: str, *, file: str, name: str, required: bool = False) -> float | None: ...
def number(row: dict[str, str], field: str, *, file: str, name: str, required: bool = False) -> float | None:
    """The cell as a finite number above zero, None where it is empty. Raises BadInput."""
    cell = row[field]
    if not cell:
        if required:
            raise BadInput("is empty", file=file, row=name, field=field, remedy="give a number or leave the row out")
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not VALUE_MIN < value < VALUE_MAX:
        raise BadInput(
            f"{cell[:40]!r} is not a finite number above zero",
            file=file,
            row=name,
            field=field,
            remedy="correct the number or leave the row out",
        )
    return value


@overload
def whole(row: dict[str, str], field: str, *, file: str, name: str, required: Literal[True]) -> int: ...
@overload
def whole(row: dict[str, str], field: str, *, file: str, name: str, required: bool = False) -> int | None: ...
def whole(row: dict[str, str], field: str, *, file: str, name: str, required: bool = False) -> int | None:
    """The cell as a whole number above zero, None where it is empty. Raises BadInput."""
    value = number(row, field, file=file, name=name, required=required)
    if value is not None and value != int(value):
        raise BadInput(f"{value} is not a whole number", file=file, row=name, field=field, remedy="correct it")
    return None if value is None else int(value)


def filled(row: dict[str, str], fields: Iterable[str], *, file: str, name: str) -> None:
    """Raise BadInput where one of the cells is empty."""
    for field in fields:
        if not row[field]:
            raise BadInput("is empty", file=file, row=name, field=field, remedy="fill it, or leave the row out")


def choices(
    row: dict[str, str], field: str, allowed: Collection[str], separator: str | None, *, file: str, name: str
) -> tuple[str, ...]:
    """The parts of the cell (none where it is empty), each one of `allowed`; blanks separate where `separator` is None.

    Raises BadInput.
    """
    parts = tuple(row[field].split(separator)) if row[field] else ()
    return tuple(choice({field: part}, field, allowed, file=file, name=name) for part in parts)


def choice(row: dict[str, str], field: str, allowed: Collection[str], *, file: str, name: str) -> str:
    """The cell if it is one of `allowed`. Raises BadInput."""
    if row[field] not in allowed:
        raise BadInput(
            f"{row[field][:40]!r} is not one of {', '.join(repr(a) for a in sorted(allowed))}",
            file=file,
            row=name,
            field=field,
            remedy="use one of these",
        )
    return row[field]


# A number in a TOML file of data/: value, unit and where it comes from.

SCENARIO = "scenario"
"""The source of a number that the user may choose."""

FILE_MAX = 2**16
ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
"""Ids stand in command lines, links and names of files as they are."""
KEYS = frozenset({"value", "unit", "source", "column", "arithmetic", "note"})


@dataclass(frozen=True)
class Number:
    """`sources` are ids of measurements, names of CPUID dumps or `scenario`.

    The value is that of the first source (`column` says which cell of a dump), or follows from it by `arithmetic`.
    """

    value: float
    unit: str
    sources: tuple[str, ...]
    column: str = ""
    arithmetic: str = ""
    note: str = ""

    @property
    def si(self) -> float:
        return self.value * UNITS[self.unit].factor


class Identified(Protocol):
    """A record that has an id."""

    @property
    def id(self) -> str: ...


Record = TypeVar("Record", bound=Identified)


def read_toml(path: Path) -> dict[str, Any]:
    """The file as nested dicts; its id is its name. Raises BadInput."""
    document = read_document(path)
    checked_id(document, path.stem, path.name, "file's name")
    return document


def checked_id(document: dict[str, object], name: str, file: object, what: str) -> str:
    """The id of a document: `name`, which `what` says the origin of. Raises BadInput."""
    if document.get("id") != name:
        problem = f"{shown(document.get('id'))} is not the {what}"
        raise BadInput(problem, file=file, field="id", remedy=f"write id = {name!r}")
    if not ID.fullmatch(name):
        remedy = "use a-z, 0-9, dot and hyphen"
        raise BadInput(f"{name[:80]!r} cannot be an id", file=file, field="id", remedy=remedy)
    return name


def read_document(path: Path) -> dict[str, Any]:
    """The file as nested dicts. Raises BadInput where it is no TOML, too long or holds hostile text."""
    try:
        content = path.read_bytes()
        if len(content) > FILE_MAX:
            raise BadInput(f"is longer than {FILE_MAX} bytes", file=path.name, remedy="shorten the file")
        document = tomllib.loads(content.decode("utf-8"))
        _check_texts(document, path.name, "")
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", file=path.name, remedy="restore the file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"is no TOML: {error}", file=path.name, remedy="correct the line") from None
    except ValueError:
        problem = "is no TOML: a number of more than 4300 digits, or no date"
        raise BadInput(problem, file=path.name, remedy="shorten the number or correct the date") from None
    except RecursionError:
        raise BadInput("is no TOML: nested too deep", file=path.name, remedy="write plain tables") from None
    return document


def read_records(path: Path, key: str, record: type[Record]) -> dict[str, Record]:
    """The entries of the array of tables `key`, each a `record` (a dataclass) with an id of its own, as pydantic reads
    it.

    Raises BadInput with the entry and the field.
    """
    from pydantic import TypeAdapter, ValidationError  # a command line that asks for no record shall not wait for it

    adapter = TypeAdapter(record)
    found: dict[str, Record] = {}
    entries = read_document(path).get(key)
    if not isinstance(entries, list):
        raise BadInput("is no array of tables", file=path.name, field=key, remedy=f"write [[{key}]] and its entries")
    for number, entry in enumerate(entries, start=1):
        name = entry.get("id") if isinstance(entry, dict) else None
        place = {"file": path.name, "row": name if isinstance(name, str) else number}
        try:
            one = adapter.validate_python(entry)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or key
            raise BadInput(first["msg"], **place, field=where, remedy="correct the entry") from None
        if one.id in found:
            raise BadInput("is the id of two entries", **place, field="id", remedy="rename one of them")
        found[one.id] = one
    return found


def _check_texts(node: object, file: str, place: str) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            if len(key) > KEY_MAX:
                problem = f"is longer than {KEY_MAX} characters"
                raise BadInput(problem, file=file, field=shown(key), remedy="shorten the name of the field")
            check_cell(key, file=file, row=place or None, field=shown(key), signed=True)
            _check_texts(value, file, f"{place}.{key}" if place else key)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _check_texts(value, file, f"{place}[{index}]")
    elif isinstance(node, str):
        check_cell(node, file=file, row=place, field=place.rpartition(".")[2])


def shown(value: object) -> str:
    """The beginning of a value of a file, for a message."""
    try:
        return repr(value)[:40]
    except ValueError:
        return "a number of more than 4300 digits"


def subtable(table: Mapping[str, Any], field: str, *, file: str, row: str = "") -> dict[str, Any]:
    """The table under `field`, empty where there is none. Raises BadInput where it is something else."""
    value = table.get(field, {})
    if not isinstance(value, dict):
        raise BadInput(
            "is no table", file=file, row=row or None, field=field, remedy=f"write [{field}] and its entries"
        )
    return value


def texts(table: Mapping[str, Any], field: str, *, file: str, row: str = "") -> tuple[str, ...]:
    """The list of strings under `field`, empty where there is none. Raises BadInput."""
    value = table.get(field, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadInput("is no list of texts", file=file, row=row or None, field=field, remedy='write ["a", "b"]')
    return tuple(value)


def text(
    table: Mapping[str, Any], field: str, *, file: str, row: str = "", allowed: Collection[str] | None = None
) -> str:
    """A string of the table, non-empty and one of `allowed`. Raises BadInput."""
    value = table.get(field)
    if not isinstance(value, str) or not value or (allowed is not None and value not in allowed):
        remedy = f"use one of {', '.join(sorted(allowed))}" if allowed is not None else "give a text"
        raise BadInput(f"{shown(value)} cannot be used", file=file, row=row or None, field=field, remedy=remedy)
    return value


def parse(table: object, *, file: str, field: str, row: str = "") -> Number:
    """A number with its provenance from `{ value, unit, source, column, arithmetic, note }`. Raises BadInput."""

    def refuse(problem: str, remedy: str) -> BadInput:
        return BadInput(problem, file=file, row=row or None, field=field, remedy=remedy)

    if not isinstance(table, dict) or not {"value", "unit", "source"} <= table.keys() or table.keys() - KEYS:
        raise refuse("is no number with value, unit and source", 'write { value = 1, unit = "1", source = "W01" }')
    value, unit, source = table["value"], table["unit"], table["source"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not VALUE_MIN < value < VALUE_MAX:
        raise refuse(f"{shown(value)} is not a finite number above zero", "correct the number")
    if not isinstance(unit, str) or unit not in UNITS:
        raise refuse(f"unit {shown(unit)} is unknown", f"use one of {', '.join(UNITS)}")
    sources = (source,) if isinstance(source, str) else tuple(source) if isinstance(source, list) else ()
    if not sources or not all(isinstance(one, str) and one for one in sources):
        raise refuse("names no source", f"name a row, a CPUID dump or {SCENARIO!r}")
    remarks = {
        key: text(table, key, file=file, row=row or field) for key in ("column", "arithmetic", "note") if key in table
    }
    return Number(float(value), unit, sources, **remarks)
