"""The unit table against pint."""

import csv
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costmodel.errors import BadInput
from costmodel.evidence.tables import (
    CELL_MAX,
    FILE_MAX,
    PINT_SI,
    UNITS,
    csv_text,
    number,
    parse,
    pint_factor,
    read_table,
    read_toml,
    subtable,
    text,
    texts,
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

COLUMNS = ("id", "value", "text")


def read(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, COLUMNS, "id", ("value",))


def test_reads_rows(tmp_path):
    assert read(tmp_path, 'id,value,text\na,-1,"x, y"\n') == [{"id": "a", "value": "-1", "text": "x, y"}]


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
def test_a_number_beyond_any_quantity_is_refused(cell):
    with pytest.raises(BadInput) as caught:
        number({"value": cell}, "value", file="t.csv", name="a")
    assert (caught.value.row, caught.value.field) == ("a", "value") and len(str(caught.value)) < 200


def test_several_columns_name_a_row_together(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n1,1,x\n1,2,y\n")
    assert len(read_table(path, ("a", "b", "c"), ("a", "b"))) == 2
    path.write_text("a,b,c\n1,1,x\n1,1,y\n")
    with pytest.raises(BadInput, match="row 1 / 1, field a, b: is there twice"):
        read_table(path, ("a", "b", "c"), ("a", "b"))
    path.write_text("a,b,c\n1,,x\n")
    with pytest.raises(BadInput, match="row 2, field b: is empty"):
        read_table(path, ("a", "b", "c"), ("a", "b"))


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
    with pytest.raises(BadInput, match="cannot be read"):
        read_table(tmp_path / "none.csv", COLUMNS, "id")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path, content):
    try:
        rows = read(tmp_path, b"id,value,text\n" + content)
    except BadInput as error:
        assert error.file == "t.csv"
    else:
        assert all(set(row) == set(COLUMNS) and row["id"] for row in rows)


# Numbers with their source in TOML files.

GOOD = {"value": 256, "unit": "KiB", "source": "X1"}


def test_converts_to_si():
    number = parse({**GOOD, "note": "n", "arithmetic": "2*128"}, file="f", field="x")
    assert (number.si, number.sources, number.note, number.arithmetic) == (262144.0, ("X1",), "n", "2*128")
    assert parse({**GOOD, "source": ["X1", "X2"]}, file="f", field="x").sources == ("X1", "X2")


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
def test_bad_number_is_refused_with_its_place(change):
    with pytest.raises(BadInput) as caught:
        parse({**GOOD, **change}, file="f.toml", field="x")
    assert caught.value.file == "f.toml"
    assert caught.value.field and caught.value.remedy


@pytest.mark.parametrize("field", ["value", "unit", "source"])
def test_value_unit_and_source_are_all_needed(field):
    with pytest.raises(BadInput):
        parse({key: value for key, value in GOOD.items() if key != field}, file="f", field="x")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(GOOD)), inner),
)


@given(JSON)
def test_any_shape_is_read_or_refused(value):
    try:
        assert parse(value, file="f", field="x").si > 0
    except BadInput as error:
        assert error.file == "f"


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (subtable, 1),
        (subtable, []),
        (texts, "a"),
        (texts, [1]),
        (text, ""),
        (text, 1),
        (text, None),
    ],
)
def test_wrong_shape_is_refused(read, value):
    with pytest.raises(BadInput):
        read({"x": value}, "x", file="f")


def test_absent_tables_and_lists_are_empty():
    assert subtable({}, "x", file="f") == {}
    assert texts({}, "x", file="f") == ()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'id = "m"\nx = "' + b"x" * FILE_MAX + b'"', "longer than"),
        (b"id = ", "no TOML"),
        (b"\xff", "no TOML"),
        (b'id = "other"', "not the file's name"),
        (b'id = "m"\nx = { y = ["=cmd"] }', "formula"),
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
        read_toml(path)
    assert problem in caught.value.problem


def test_missing_file_is_refused_numbers(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        read_toml(tmp_path / "m.toml")


@pytest.mark.parametrize("name", ["a;b", "A", "a b", "_a", "a" * 64])
def test_an_id_that_would_act_in_a_command_line_is_refused(tmp_path, name):
    path = tmp_path / f"{name}.toml"
    path.write_text(f'id = "{name}"')
    with pytest.raises(BadInput, match="cannot be an id"):
        read_toml(path)
