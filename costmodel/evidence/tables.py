"""Strict readers of the CSV and TOML files of data/ into records: what a spreadsheet, a browser or a sum could trip over
is refused with its place.

A record is a frozen dataclass with a field for each column; a field without a default must be filled. pydantic converts
and checks the values, and is imported only where a file is not the one that was read before.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import os
import pickle
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol, TypeVar, get_args, get_type_hints

from costmodel import cache
from costmodel.errors import BadInput
from costmodel.evidence.paths import DATA_VARIABLE, data_dir
from costmodel.hashing import files_hash
from costmodel.plain import FORMULA_START, csv_cell

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, TypeAdapter
    from pydantic_core import CoreSchema, ErrorDetails

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


def _rows(
    content: bytes, path: Path, columns: Sequence[str], keys: Sequence[str], numeric: Collection[str]
) -> dict[str, dict[str, str]]:
    """Rows of what a CSV file holds by name, as dicts of stripped cells.

    `columns` are all columns the file must have, `keys` those whose cells name the rows and must differ together; cells
    of the `numeric` columns may begin with a sign. Raises BadInput with file, row, field, problem and remedy.
    """
    table: list[list[str]] = []
    try:
        for cells in csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True):
            table.append(cells)
    except UnicodeDecodeError:
        raise BadInput("is not UTF-8", file=path.name, remedy="save it as UTF-8 without a byte-order mark") from None
    except csv.Error as error:
        raise BadInput(
            f"is no CSV: {error}",
            file=path.name,
            row=len(table) + 1,
            remedy="quote cells that hold commas or quotes, close the quotes, or restore a file that was cut off",
        ) from None
    header, *lines = table or [[]]
    _check_header(path, header, columns)
    rows: dict[str, dict[str, str]] = {}
    for number, cells in enumerate(lines, start=2):
        if len(cells) != len(header):
            raise BadInput(
                f"has {len(cells)} cells, the header has {len(header)}",
                file=path.name,
                row=number,
                remedy="quote cells that hold commas",
            )
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        name = " / ".join(row[field] for field in keys)
        for column, cell in row.items():
            called = name[:40] if row[keys[0]] else number
            check_cell(cell, file=path.name, row=called, field=column, signed=column in numeric)
        for field in keys:
            if not 0 < len(row[field]) <= KEY_MAX:
                problem = f"is longer than {KEY_MAX} characters" if row[field] else "is empty"
                raise BadInput(problem, file=path.name, row=number, field=field, remedy="name the row")
        if name in rows:
            remedy = "give each row its own name"
            raise BadInput("is there twice", file=path.name, row=name, field=", ".join(keys), remedy=remedy)
        rows[name] = row
    return rows


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


# What a cell or a field may be.


class Refused(ValueError):
    """A value of a record cannot be used: the `problem`, what to do, and the `field` where the record as a whole says
    so.
    """

    def __init__(self, problem: str, remedy: str, field: str = "") -> None:
        super().__init__(problem, remedy, field)  # with all of them it travels between processes
        self.problem, self.remedy, self.field = problem, remedy, field

    def __str__(self) -> str:
        return self.problem


@contextmanager
def placed(file: object, row: object) -> Iterator[None]:
    """What is Refused inside is refused with its place, as BadInput."""
    try:
        yield
    except Refused as wrong:
        field = wrong.field or None
        raise BadInput(wrong.problem, file=file, row=row, field=field, remedy=wrong.remedy) from None


@dataclass(frozen=True)
class Cell:
    """How the text of a cell becomes a value, where pydantic does not know it; `convert` raises Refused or BadInput."""

    convert: Callable[[str], object]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(self._converted, handler(source))

    def _converted(self, cell: str) -> object:
        try:
            return self.convert(cell)
        except BadInput as error:
            raise Refused(error.problem, error.remedy or "correct it") from None


@dataclass(frozen=True)
class Within:
    """A number above `above` (`or_equal`: or as large) and below `below`; `what` says so in words."""

    what: str
    above: float
    below: float
    or_equal: bool = False

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        least = "ge" if self.or_equal else "gt"
        bounds = {least: self.above, "lt": self.below} | ({"allow_inf_nan": False} if source is float else {})
        number: Any = {**handler(source), **bounds}
        return core_schema.custom_error_schema(number, "number", custom_error_message=self.what)


Positive = Annotated[float, Within("a finite number above zero", VALUE_MIN, VALUE_MAX)]
NotNegative = Annotated[float, Within("a finite number that is not negative", 0.0, VALUE_MAX, or_equal=True)]
Count = Annotated[int, Within("a whole number above zero", 0, 2**53)]
CountOrZero = Annotated[int, Within("a whole number that is not negative", 0, 2**53, or_equal=True)]


def one_of(cell: str, known: Collection[str], field: str = "") -> str:
    """The cell. Raises Refused where it is not one of `known`; `field` is its field where a record as a whole asks."""
    if not isinstance(cell, str) or cell not in known:
        raise Refused(f"{shown(cell)} is not one of {', '.join(map(repr, sorted(known)))}", "use one of these", field)
    return cell


def parts(cell: str, known: Collection[str], separator: str | None = "|") -> tuple[str, ...]:
    """The parts of the cell; blanks part them where `separator` is None. Raises Refused where one is not `known`."""
    return tuple(one_of(part, known) for part in cell.split(separator))


def among(known: Collection[str]) -> Cell:
    """A cell that holds one of `known`, which may be a catalogue that is read when the first cell asks for it."""
    return Cell(lambda cell: one_of(cell, known))


def words(meanings: Mapping[str, object]) -> Cell:
    """A cell that holds a word, and what each word means."""
    return Cell(lambda cell: meanings[one_of(cell, meanings)])


def parted(known: Collection[str] | None = None, separator: str | None = "|") -> Cell:
    """A cell that holds several texts, each one of `known` (any, where that is None)."""
    return Cell(lambda cell: cell.split(separator) if known is None else parts(cell, known, separator))


def _filled(cell: str) -> str:
    if cell == "":
        raise Refused("is empty", "give a text")
    return cell


Text = Annotated[str, Cell(_filled)]


def _pattern(cell: str) -> re.Pattern[str]:
    try:
        return re.compile(cell)
    except re.error:
        raise Refused("is no regular expression", "write a pattern as Python's re reads it") from None


Pattern = Annotated[re.Pattern[str], Cell(_pattern)]
YesNo = Annotated[bool, words({"yes": True, "no": False})]
COLUMN = "column"


def column(name: str, default: Any = dataclasses.MISSING, *, compare: bool = True) -> Any:
    """A field of a record that is read from the column `name`, where that is not called as the field."""
    return dataclasses.field(default=default, compare=compare, metadata={COLUMN: name})


Row = TypeVar("Row")


def records(path: Path, record: type[Row], unique: Sequence[str]) -> tuple[Row, ...]:
    """The rows of a CSV file as `record`, in the order of the file; the cells of the columns `unique` name a row, and no
    two rows have them in common.

    An empty cell is not given: the field has its default, or must be filled. A file that was read before is taken from
    the user's cache. Raises BadInput with file, row, field, problem and remedy.
    """
    found: tuple[Row, ...] = _remembered(path, record, lambda content: _validated(content, path, record, unique))
    return found


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        remedy = "restore the file"
        if os.environ.get(DATA_VARIABLE) and data_dir() in path.parents:
            remedy += f", or point {DATA_VARIABLE} at the data package"
        raise BadInput(f"cannot be read: {error.strerror}", file=path, remedy=remedy) from None


def _remembered(path: Path, record: type, build: Callable[[bytes], Any]) -> Any:
    """What `build` makes of what a file holds, kept for as long as the file, the catalogues that it may name and the code
    stay.
    """
    content = _content(path)

    def pickled() -> bytes:
        return pickle.dumps(build(content), pickle.HIGHEST_PROTOCOL)

    sources = dict.fromkeys(("evidence", *record.__module__.split(".")[1:2]))
    parts = [path.name, record.__qualname__, hashlib.sha256(content).hexdigest(), _catalogues(data_dir())]
    key = cache.key_of(parts, list(sources))
    return pickle.loads(cache.recall(f"records-{record.__name__.lower()}", key, pickled, most=MOST_KEPT))


MOST_KEPT = 32
"""Files whose records of one kind are kept."""


@lru_cache(maxsize=4)
def _catalogues(root: Path) -> str:
    """Hash of the files whose ids a cell may name."""
    return files_hash((root / "kvm").glob("*.*"), root)


def _validated(content: bytes, path: Path, record: type[Row], unique: Sequence[str]) -> tuple[Row, ...]:
    from pydantic import ValidationError

    columns = columns_of(record)
    numeric = [columns[name] for name, kind in get_type_hints(record).items() if _numeric(kind)]
    rows = _rows(content, path, tuple(dict.fromkeys(columns.values())), unique, numeric)
    given = [{name: row[column] for name, column in columns.items() if row[column]} for row in rows.values()]
    try:
        found: tuple[Row, ...] = _adapter(tuple[record, ...]).validate_python(given)  # type: ignore[valid-type]
        return found
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at, *inside = first["loc"]
        problem, remedy, field = _in_words(first, ("is empty", "fill it, or leave the row out"))
        column = columns.get(field or str(inside[0]))
        raise BadInput(problem, file=path.name, row=[*rows][int(at)], field=column, remedy=remedy) from None


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """How pydantic reads a kind of record: it is made once, which takes longer than to read a file."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def columns_of(record: type) -> dict[str, str]:
    """The column that each field of a record is read from."""
    return {field.name: field.metadata.get(COLUMN, field.name) for field in dataclasses.fields(record)}


def _numeric(kind: object) -> bool:
    return bool({int, float} & {kind, *get_args(kind)})


WRONG_TYPES = {
    "unexpected_keyword_argument": ("is unknown", "remove it"),
    "dataclass_type": ("is no table", "write a table with its fields"),
    "dict_type": ("is no table", "write a table"),
    **dict.fromkeys(("tuple_type", "list_type", "frozen_set_type"), ("is no list", 'write ["a", "b"]')),
    "string_type": ("is no text", "write it in quotes"),
    "bool_type": ("is no truth value", "write true or false"),
}
"""What pydantic finds wrong, and what to do."""


def _in_words(error: ErrorDetails, absent: tuple[str, str]) -> tuple[str, str, str]:
    """Problem, remedy, and the field where a record as a whole is refused, of an error of pydantic; `absent` is what is
    said of a field that is not there.
    """
    found = error.get("ctx", {})
    if isinstance(refused := found.get("error"), Refused):
        return refused.problem, refused.remedy, refused.field
    value = shown(error["input"])
    match error["type"]:
        case "missing":
            return *absent, ""
        case "number":
            return f"{value} is not {error['msg']}", "correct the number or leave the row out", ""
        case "literal_error":
            return f"{value} is not one of {found['expected']}", "use one of these", ""
    return *WRONG_TYPES.get(error["type"], (error["msg"], "correct it")), ""


# TOML files of data/.

FILE_MAX = 2**16
ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
"""Ids stand in command lines, links and names of files as they are."""


class Table:
    """What a record of TOML inherits: a field that it does not have is refused."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


class Identified(Protocol):
    """A record that has an id."""

    @property
    def id(self) -> str: ...


Record = TypeVar("Record", bound=Identified)


def document(path: Path, record: type[Record], name: str = "") -> Record:
    """A TOML file as one `record`, whose id is that of the file, or `name`. Raises BadInput with the field."""
    found: Record = _remembered(path, record, lambda content: _of_toml(record, _parsed(content, path), path.name))
    wanted = name or path.stem
    if found.id != wanted:
        problem = f"{shown(found.id)} is not the name of its {'folder' if name else 'file'}"
        raise BadInput(problem, file=path.name, field="id", remedy=f"write id = {wanted!r}")
    if not ID.fullmatch(wanted):
        remedy = "use a-z, 0-9, dot and hyphen"
        raise BadInput(f"{wanted[:80]!r} cannot be an id", file=path.name, field="id", remedy=remedy)
    return found


def entries(path: Path, key: str, record: type[Record]) -> dict[str, Record]:
    """The entries of the array of tables `key` of a TOML file by id. Raises BadInput with the entry and the field."""

    def read(content: bytes) -> dict[str, Record]:
        listed = _parsed(content, path).get(key)
        if not isinstance(listed, list):
            remedy = f"write [[{key}]] and its entries"
            raise BadInput("is no array of tables", file=path.name, field=key, remedy=remedy)
        found: dict[str, Record] = {}
        for one in _of_toml(list[record], listed, path.name):  # type: ignore[valid-type]
            if one.id in found:
                remedy = "rename one of them"
                raise BadInput("is the id of two entries", file=path.name, row=one.id, field="id", remedy=remedy)
            found[one.id] = one
        return found

    known: dict[str, Record] = _remembered(path, record, read)
    return known


def _of_toml(kind: Any, content: object, file: str) -> Any:
    """What a TOML file holds as pydantic reads it: no text is taken for a number, and no number for a text."""
    from pydantic import ValidationError

    text = json.dumps(content, default=lambda date: {"date": str(date)})
    try:
        return _adapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        problem, remedy, field = _in_words(first, ("is missing", "add it"))
        row, places = _entry(content, [*first["loc"], *filter(None, [field])])
        raise BadInput(problem, file=file, row=row, field=".".join(places) or None, remedy=remedy) from None


def _entry(content: object, loc: Sequence[int | str]) -> tuple[str | None, list[str]]:
    """The entry of an array of tables in which a place lies, called by the first text that it holds, and the fields that
    lead to the place from there.
    """
    row: str | None = None
    places: list[str] = []
    for step in loc:
        if isinstance(content, list) and isinstance(step, int):
            content = content[step]
            if isinstance(content, dict):
                row = next((str(value) for value in content.values() if isinstance(value, str)), str(step + 1))
                places = []
        else:
            content = content.get(step) if isinstance(content, dict) else None
            places.append(str(step))
    return row, places


def read_document(path: Path) -> dict[str, Any]:
    """The file as nested dicts. Raises BadInput where it is no TOML, too long or holds hostile text."""
    return _parsed(_content(path), path)


def _parsed(content: bytes, path: Path) -> dict[str, Any]:
    try:
        if len(content) > FILE_MAX:
            raise BadInput(f"is longer than {FILE_MAX} bytes", file=path.name, remedy="shorten the file")
        document = tomllib.loads(content.decode("utf-8"))
        _check_texts(document, path.name, "")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"is no TOML: {error}", file=path.name, remedy="correct the line") from None
    except ValueError:
        problem = "is no TOML: a number of more than 4300 digits, or no date"
        raise BadInput(problem, file=path.name, remedy="shorten the number or correct the date") from None
    except RecursionError:
        raise BadInput("is no TOML: nested too deep", file=path.name, remedy="write plain tables") from None
    return document


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
    elif isinstance(node, int):
        str(node)  # ValueError where it has too many digits, which a hexadecimal number can have


def shown(value: object) -> str:
    """The beginning of a value of a file, for a message."""
    try:
        return repr(value)[:40]
    except ValueError:
        return "a number of more than 4300 digits"
