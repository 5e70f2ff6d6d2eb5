"""A number in a TOML file of data/: value, unit and where it comes from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from costmodel.errors import BadInput
from costmodel.evidence.table import KEY_MAX, VALUE_MAX, VALUE_MIN, check_cell
from costmodel.evidence.units import UNITS

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


Record = TypeVar("Record")


def read_toml(path: Path) -> dict[str, object]:
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


def read_document(path: Path) -> dict[str, object]:
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
    """The entries of the array of tables `key`, each a pydantic `record` with an id of its own. Raises BadInput with the
    entry and the field.
    """
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
