"""A number in a TOML file of data/: value, unit and where it comes from."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from costmodel.errors import BadInput
from costmodel.evidence.table import check_cell
from costmodel.evidence.units import UNITS

SCENARIO = "scenario"
"""The source of a number that the user may choose."""

FILE_MAX = 200_000
VALUE_MAX = 1e300
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


def read_toml(path: Path) -> dict[str, object]:
    """The file as nested dicts; its id is its name. Raises BadInput."""
    document = read_document(path)
    if document.get("id") != path.stem:
        raise BadInput(
            f"{document.get('id')!r} is not the file's name",
            file=path.name,
            field="id",
            remedy=f"write id = {path.stem!r}",
        )
    return document


def read_document(path: Path) -> dict[str, object]:
    """The file as nested dicts. Raises BadInput where it is no TOML, too long or holds hostile text."""
    try:
        content = path.read_bytes()
        if len(content) > FILE_MAX:
            raise BadInput(f"is longer than {FILE_MAX} bytes", file=path.name, remedy="shorten the file")
        document = tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", file=path.name, remedy="restore the file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"is no TOML: {error}", file=path.name, remedy="correct the line") from None
    _check_texts(document, path.name, "")
    return document


def _check_texts(node: object, file: str, place: str) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            _check_texts(value, file, f"{place}.{key}" if place else key)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _check_texts(value, file, f"{place}[{index}]")
    elif isinstance(node, str):
        check_cell(node, file=file, row=place, field=place.rpartition(".")[2])


def subtable(table: dict, field: str, *, file: str, row: str = "") -> dict[str, object]:
    """The table under `field`, empty where there is none. Raises BadInput where it is something else."""
    value = table.get(field, {})
    if not isinstance(value, dict):
        raise BadInput(
            "is no table", file=file, row=row or None, field=field, remedy=f"write [{field}] and its entries"
        )
    return value


def texts(table: dict, field: str, *, file: str, row: str = "") -> tuple[str, ...]:
    """The list of strings under `field`, empty where there is none. Raises BadInput."""
    value = table.get(field, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadInput("is no list of texts", file=file, row=row or None, field=field, remedy='write ["a", "b"]')
    return tuple(value)


def text(table: dict, field: str, *, file: str, row: str = "", allowed: Collection[str] | None = None) -> str:
    """A string of the table, non-empty and one of `allowed`. Raises BadInput."""
    value = table.get(field)
    if not isinstance(value, str) or not value or (allowed is not None and value not in allowed):
        remedy = f"use one of {', '.join(sorted(allowed))}" if allowed is not None else "give a text"
        raise BadInput(f"{value!r} cannot be used", file=file, row=row or None, field=field, remedy=remedy)
    return value


def parse(table: object, *, file: str, field: str, row: str = "") -> Number:
    """A number with its provenance from `{ value, unit, source, column, arithmetic, note }`. Raises BadInput."""

    def refuse(problem: str, remedy: str) -> BadInput:
        return BadInput(problem, file=file, row=row or None, field=field, remedy=remedy)

    if not isinstance(table, dict) or not {"value", "unit", "source"} <= table.keys() or table.keys() - KEYS:
        raise refuse("is no number with value, unit and source", 'write { value = 1, unit = "1", source = "W01" }')
    value, unit, source = table["value"], table["unit"], table["source"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < VALUE_MAX:
        raise refuse(f"{str(value)[:40]} is not a finite number above zero", "correct the number")
    if not isinstance(unit, str) or unit not in UNITS:
        raise refuse(f"unit {unit!r} is unknown", f"use one of {', '.join(UNITS)}")
    sources = (source,) if isinstance(source, str) else tuple(source) if isinstance(source, list) else ()
    if not sources or not all(isinstance(one, str) and one for one in sources):
        raise refuse("names no source", f"name a row, a CPUID dump or {SCENARIO!r}")
    remarks = {
        key: text(table, key, file=file, row=row or field) for key in ("column", "arithmetic", "note") if key in table
    }
    return Number(float(value), unit, sources, **remarks)
