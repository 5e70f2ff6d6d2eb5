"""Numbers with their source in TOML files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.errors import BadInput
from costmodel.evidence.numbers import FILE_MAX, parse, read_toml, subtable, text, texts

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


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        read_toml(tmp_path / "m.toml")


@pytest.mark.parametrize("name", ["a;b", "A", "a b", "_a", "a" * 64])
def test_an_id_that_would_act_in_a_command_line_is_refused(tmp_path, name):
    path = tmp_path / f"{name}.toml"
    path.write_text(f'id = "{name}"')
    with pytest.raises(BadInput, match="cannot be an id"):
        read_toml(path)
