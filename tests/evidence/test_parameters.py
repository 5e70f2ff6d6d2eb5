"""The table of the parameters: what each is, and which rows are refused."""

import csv
from dataclasses import replace

import pytest

from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir
from costmodel.evidence.records import PARAMETERS, read_parameters

PATH = data_dir() / PARAMETERS
UNITS = {"_bytes_per_s": "B/s", "_s": "s"}
"""By how a name ends; the longest counts, and what ends in none of them is a plain number."""


def written(folder, *rows):
    """A file with the header of the table and these rows, each the first of the table with other cells."""
    with PATH.open(newline="", encoding="utf-8") as stream:
        first = next(csv.DictReader(stream))
    path = folder / PARAMETERS
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, first)
        writer.writeheader()
        writer.writerows({**first, **row} for row in rows)
    return path


@pytest.mark.parametrize("name", read_parameters(PATH))
def test_a_name_ends_in_the_unit(name, evidence):
    wanted = next((unit for end, unit in UNITS.items() if name.endswith(end)), "1")
    found = evidence.parameter(name)
    assert found.unit == wanted and (not found.share or wanted == "1")


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        ({"unit": "ms"}, "unit"),
        ({"unit": ""}, "unit"),
        ({"share": "perhaps"}, "share"),
        ({"description": ""}, "description"),
        ({"description": "=1+1"}, "description"),
        ({"next_measurement": ""}, "next_measurement"),
    ],
)
def test_a_row_that_says_less_or_something_else_is_refused(tmp_path, cells, field):
    with pytest.raises(BadInput) as refused:
        read_parameters(written(tmp_path, {"id": "line_empty_s", **cells}))
    assert (refused.value.file, refused.value.row, refused.value.field) == (PARAMETERS, "line_empty_s", field)


def test_a_parameter_that_is_there_twice_is_refused(tmp_path):
    with pytest.raises(BadInput, match="there twice") as refused:
        read_parameters(written(tmp_path, {"id": "line_empty_s"}, {"id": "line_empty_s", "description": "another"}))
    assert refused.value.row == "line_empty_s"


def test_a_parameter_without_a_row_is_named(evidence):
    rest = {name: row for name, row in evidence.parameters.items() if name != "smt_factor"}
    with pytest.raises(BadInput, match="has no row") as refused:
        replace(evidence, parameters=rest).parameter("smt_factor")
    assert (refused.value.file, refused.value.row) == (PARAMETERS, "smt_factor")
