"""The unit table against pint."""

import csv
import json
import re
import sys
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costmodel.errors import BadInput
from costmodel.evidence.records import PINT_SI, UNITS, Number, pint_factor
from costmodel.evidence.tables import (
    CELL_MAX,
    FILE_MAX,
    Count,
    NotNegative,
    Positive,
    Refused,
    Table,
    YesNo,
    among,
    column,
    csv_text,
    document,
    parted,
    read_document,
    records,
)


@pytest.mark.parametrize("name", UNITS)
def test_factor_is_what_pint_computes(name):
    assert UNITS[name].factor == pytest.approx(pint_factor(UNITS[name]), rel=1e-14)


def test_every_si_unit_has_a_pint_name():
    assert {unit.si for unit in UNITS.values()} == set(PINT_SI)


def test_a_wrong_dimension_is_an_error():
    import pint

    with pytest.raises(pint.DimensionalityError):
        pint_factor(UNITS["ms"]._replace(si="B"))


# Hostile and broken CSV files are refused with their place.


@dataclass(frozen=True, kw_only=True)
class Row:
    """A record of the tests: a name, a number that may be missing, and a text that may be empty."""

    id: str
    value: float | None = None
    text: str = ""


COLUMNS = ("id", "value", "text")


@pytest.fixture(autouse=True)
def _a_cache_of_its_own(monkeypatch, tmp_path):
    """The records of the tests change with the tests, which the key of an entry does not tell."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def read(tmp_path, content, record=Row, unique=("id",)):
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return records(path, record, unique)


def test_reads_rows(tmp_path):
    assert read(tmp_path, 'id,value,text\na,-1,"x, y"\nb,,\n') == (Row(id="a", value=-1.0, text="x, y"), Row(id="b"))


@dataclass(frozen=True, kw_only=True)
class Typed:
    """A record of the tests with a field of each kind."""

    id: str
    size: Positive
    lost: NotNegative = 0.0
    cpus: Count | None = None
    kind: Literal["cold", "hot"] = "cold"
    whole: YesNo = False
    of: Annotated[str, among(["x", "y"])] = "x"
    parts: Annotated[frozenset[str], parted(["x", "y"])] = column("xs", frozenset())

    def __post_init__(self):
        if self.lost > self.size:
            raise Refused("is more than the size", "correct it", "lost")
        if self.parts and self.of not in self.parts:
            raise Refused("are not those", "correct them", "parts")


HEADER = ("id", "size", "lost", "cpus", "kind", "whole", "of", "xs")


def typed(tmp_path, **cells):
    row = {"id": "a", "size": "2.5", **cells}
    return read(tmp_path, csv_text(HEADER, [[row.get(name, "") for name in HEADER]]), Typed)


def test_a_cell_has_the_type_of_its_field_and_an_empty_one_the_default(tmp_path):
    assert typed(tmp_path) == (Typed(id="a", size=2.5),)
    given = {"lost": "0", "cpus": "7", "kind": "hot", "whole": "yes", "of": "y", "xs": "y|x"}
    found = Typed(id="a", size=2.5, lost=0.0, cpus=7, kind="hot", whole=True, of="y", parts=frozenset({"x", "y"}))
    assert typed(tmp_path, **given) == (found,)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"size": ""}, "size: is empty; fill it"),
        ({"size": "many"}, "size: 'many' is not a finite number above zero"),
        ({"lost": "-1"}, "lost: '-1' is not a finite number that is not negative"),
        ({"cpus": "1.5"}, "cpus: '1.5' is not a whole number above zero"),
        ({"cpus": "0"}, "cpus: '0' is not a whole number above zero"),
        ({"kind": "warm"}, "kind: 'warm' is not one of 'cold' or 'hot'; use one of these"),
        ({"whole": "1"}, "whole: '1' is not one of 'no', 'yes'; use one of these"),
        ({"of": "z"}, "of: 'z' is not one of 'x', 'y'; use one of these"),
        ({"xs": "x|z"}, "xs: 'z' is not one of 'x', 'y'; use one of these"),
        ({"xs": "x|"}, "xs: '' is not one of 'x', 'y'; use one of these"),
        ({"lost": "3"}, "lost: is more than the size; correct it"),
        ({"xs": "y"}, "xs: are not those; correct them"),
    ],
)
def test_a_wrong_cell_is_one_line_with_its_place_and_what_to_do(tmp_path, cells, said):
    with pytest.raises(BadInput) as caught:
        typed(tmp_path, **cells)
    assert str(caught.value).startswith(f"t.csv, row a, field {said}")
    assert caught.value.remedy and "\n" not in str(caught.value)


def test_a_file_is_checked_once_for_what_it_holds(tmp_path, monkeypatch):
    """Read again it is the same, and pydantic is not asked; changed, it is checked."""
    first = typed(tmp_path)
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "pydantic", None)
        assert typed(tmp_path) == first
        with pytest.raises(ImportError):
            typed(tmp_path, size="3")
    with pytest.raises(BadInput, match="is not one of"):
        typed(tmp_path, kind="warm")


def test_a_damaged_entry_of_the_cache_is_read_anew(tmp_path):
    first = typed(tmp_path)
    for entry in (tmp_path / "cache" / "costmodel").glob("records-*"):
        entry.write_bytes(entry.read_bytes()[:-1])
    assert typed(tmp_path) == first


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("=cmd|' /C calc'!A0", "formula"),
        ("+1", "formula"),
        ("-1", "formula"),
        ("@SUM(A1)", "formula"),
        ("<script>alert(1)</script>", "script"),
        ("<SCRIPT src=x>", "script"),
        ("a\x07b", "control"),
        ("a\u202eb", "control"),
        ("a\u2028b", "control"),
        ("a\u00a0b", "control"),
        ("x" * (CELL_MAX + 1), "longer"),
    ],
)
def test_hostile_cell_is_refused_with_its_place(tmp_path, cell, problem):
    with pytest.raises(BadInput) as caught:
        read(tmp_path, f'id,value,text\na,1,"{cell}"\n')
    error = caught.value
    assert problem in error.problem
    assert (error.file, error.row, error.field) == ("t.csv", "a", "text")
    assert error.remedy


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("id,value,text\na,1,x\na,2,y\n", "twice"),
        ("id,value\na,1\n", "missing"),
        ("id,value,text,more\n", "unknown"),
        ("id,id,value,text\n", "twice"),
        ("id,value,text\na,1\n", "2 cells"),
        ("id,value,text\n,1,x\n", "empty"),
        (b"id,value,text\n\xff,1,x\n", "UTF-8"),
        (b"id,value,text\na,1,\0\n", ""),
        ("", "missing"),
        ('id,value,text\na,1,"open\n', "CSV"),
        ('id,value,text\na,1,"' + "x" * 10**6 + '"\n', "field larger"),
    ],
)
def test_broken_file_is_refused(tmp_path, content, problem):
    with pytest.raises(BadInput) as caught:
        read(tmp_path, content)
    assert problem in caught.value.problem
    assert caught.value.file == "t.csv"


@pytest.mark.parametrize("cell", ["1e300", "1e-300", "0", "-1", "nan", "inf", "9" * 5000, "1e999"])
def test_a_number_beyond_any_quantity_is_refused(tmp_path, cell):
    with pytest.raises(BadInput) as caught:
        typed(tmp_path, size=cell)
    assert (caught.value.row, caught.value.field) == ("a", "size") and len(str(caught.value)) < 200


def test_several_columns_name_a_row_together(tmp_path):
    pair = ("id", "text")
    assert len(read(tmp_path, "id,text,value\n1,1,1\n1,2,1\n", unique=pair)) == 2
    with pytest.raises(BadInput, match="row 1 / 1, field id, text: is there twice"):
        read(tmp_path, "id,text,value\n1,1,2\n1,1,1\n", unique=pair)
    with pytest.raises(BadInput, match="row 2, field text: is empty"):
        read(tmp_path, "id,text,value\n1,,1\n", unique=pair)


@given(st.text(max_size=30))
def test_no_text_in_csv_that_we_write_acts(text):
    ((cell,),) = csv.reader(csv_text([text], []).splitlines())
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", " =")) or re.fullmatch(
        r"[-+][\d.]+(e[-+]?\d+)?", cell, re.I
    )
    assert cell.isprintable()


def test_numbers_in_csv_that_we_write_stay_numbers():
    assert csv_text(["a"], [[-1.5], ["-1.5"], ["+3"], [None]]) == "a\n-1.5\n-1.5\n+3\n\n".replace("\n\n", '\n""\n')


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be read") as caught:
        records(tmp_path / "none.csv", Row, ("id",))
    assert caught.value.file == tmp_path / "none.csv" and caught.value.remedy == "restore the file"


def test_a_file_that_other_data_lack_is_told_with_the_variable_that_names_them(tmp_path, monkeypatch):
    monkeypatch.setenv("COSTMODEL_DATA", str(tmp_path / "none"))
    with pytest.raises(BadInput) as caught:
        read_document(tmp_path / "none" / "kvm" / "guests.toml")
    assert str(caught.value) == (
        f"{tmp_path}/none/kvm/guests.toml: cannot be read: No such file or directory; "
        "restore the file, or point COSTMODEL_DATA at the data package"
    )


def test_a_csv_that_was_cut_off_is_told_with_the_row(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('id,value\na,1\n"b, cut')
    with pytest.raises(BadInput, match=r"t\.csv, row 3: is no CSV: unexpected end of data; .* cut off"):
        records(path, Row, ("id",))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path, content):
    try:
        rows = read(tmp_path, b"id,value,text\n" + content)
    except BadInput as error:
        assert error.file == "t.csv"
    else:
        assert all(row.id for row in rows)


# Numbers with their source in TOML files.


@dataclass(frozen=True, kw_only=True)
class Sized(Table):
    """A record of the tests: one number, and entries that each have one."""

    id: str
    x: Number | None = None
    y: dict[str, tuple[str, ...]] = field(default_factory=dict)
    of: tuple["Named", ...] = ()


@dataclass(frozen=True)
class Named(Table):
    """An entry of the tests."""

    name: str
    x: Number


def toml(value):
    """A TOML value of what JSON can say."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf").replace("\x7f", "\\u007f")


def sized(tmp_path, text):
    path = tmp_path / "m.toml"
    path.write_text(f'id = "m"\n{text}\n', encoding="utf-8")
    return document(path, Sized)


GOOD = {"value": 256, "unit": "KiB", "source": "X1"}


def test_converts_to_si(tmp_path):
    number = sized(tmp_path, f"x = {toml({**GOOD, 'note': 'n', 'arithmetic': '2*128'})}").x
    assert (number.si, number.sources, number.note, number.arithmetic) == (262144.0, ("X1",), "n", "2*128")
    assert sized(tmp_path, f"x = {toml({**GOOD, 'source': ['X1', 'X2']})}").x.sources == ("X1", "X2")


@pytest.mark.parametrize(
    "change",
    [
        {"value": True},
        {"value": "256"},
        {"value": 0},
        {"value": -1},
        {"value": float("nan")},
        {"value": float("inf")},
        {"value": 10**400},
        {"unit": "acre"},
        {"unit": ["KiB"]},
        {"source": ""},
        {"source": []},
        {"source": [1]},
        {"source": 7},
        {"note": 1},
        {"column": ""},
        {"extra": 1},
    ],
)
def test_bad_number_is_refused_with_its_place(tmp_path, change):
    (name,) = change
    with pytest.raises(BadInput) as caught:
        sized(tmp_path, f"x = {toml({**GOOD, **change})}")
    assert caught.value.file == "m.toml" and caught.value.field.startswith(f"x.{name}")
    assert caught.value.remedy and len(str(caught.value)) < 700


@pytest.mark.parametrize("name", ["value", "unit", "source"])
def test_value_unit_and_source_are_all_needed(tmp_path, name):
    with pytest.raises(BadInput, match=f"field x.{name}: is missing; add it"):
        sized(tmp_path, f"x = {toml({key: value for key, value in GOOD.items() if key != name})}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "m.toml, field x: is no table"),
        ("y = []", "m.toml, field y: is no table"),
        ("y = { a = 1 }", "m.toml, field y.a: is no list"),
        ('y = { a = ["b", 1] }', "m.toml, field y.a: is no text; write it in quotes"),
        ("z = 1", "m.toml, field z: is unknown; remove it"),
        ('of = [{ name = "a", x = 1 }]', "m.toml, row a, field x: is no table"),
        ('of = [{ name = "a", x = { value = 1, unit = "1" } }]', "m.toml, row a, field x.source: is missing"),
    ],
)
def test_a_wrong_shape_is_refused_with_its_place(tmp_path, text, said):
    with pytest.raises(BadInput) as caught:
        sized(tmp_path, text)
    assert str(caught.value).startswith(said)


JSON = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(GOOD)), inner),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JSON)
def test_any_shape_is_read_or_refused(tmp_path, value):
    try:
        assert sized(tmp_path, f"x = {toml(value)}").x.si > 0
    except BadInput as error:
        assert error.file == "m.toml"


def test_absent_tables_and_lists_are_empty(tmp_path):
    assert sized(tmp_path, "") == Sized(id="m")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'id = "m"\nx = "' + b"x" * FILE_MAX + b'"', "longer than"),
        (b"id = ", "no TOML"),
        (b"\xff", "no TOML"),
        (b'id = "other"', "not the name of its file"),
        (b'id = "m"\ny = { y = ["=cmd"] }', "formula"),
        (b'id = "m"\nx = "<script>"', "script"),
        (b"id = " + b"[" * 5000, "no TOML"),
        (b'id = "m"\nx = ' + b"9" * 5000, "4300 digits"),
        (b'id = "m"\n' + b"x" * 5000 + b" = 1", "longer than"),
        (b'id = "m"\n' + b"a." * 8000 + b"a = 1", "nested too deep"),
        ('id = "m"\n"a\u202eb" = 1'.encode(), "control"),
        ('id = "m"\nx = "a\u2028b"'.encode(), "control"),
        (b"id = 0x" + b"f" * 9000, "4300 digits"),
    ],
)
def test_bad_file_is_refused(tmp_path, content, problem):
    path = tmp_path / "m.toml"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        document(path, Sized)
    assert problem in caught.value.problem


def test_a_missing_document_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        document(tmp_path / "m.toml", Sized)


@pytest.mark.parametrize("name", ["a;b", "A", "a b", "_a", "a" * 64])
def test_an_id_that_would_act_in_a_command_line_is_refused(tmp_path, name):
    path = tmp_path / f"{name}.toml"
    path.write_text(f'id = "{name}"')
    with pytest.raises(BadInput, match="cannot be an id"):
        document(path, Sized)
