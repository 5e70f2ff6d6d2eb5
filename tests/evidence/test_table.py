"""Hostile and broken CSV files are refused with their place."""

import csv
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costmodel.errors import BadInput
from costmodel.evidence.table import CELL_MAX, csv_text, number, read_table

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
