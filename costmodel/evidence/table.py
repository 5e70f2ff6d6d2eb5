"""Strict reader of CSV files: what a spreadsheet, a browser or a sum could trip over is refused with its place."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from costmodel.errors import BadInput
from costmodel.plain import FORMULA_START, csv_cell

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


def whole(row: dict[str, str], field: str, *, file: str, name: str) -> int | None:
    """The cell as a whole number above zero, None where it is empty. Raises BadInput."""
    value = number(row, field, file=file, name=name)
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
