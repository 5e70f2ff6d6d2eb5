"""A committed file is current if its numbers agree to 1e-7 and everything else to the letter; else it says where."""

import json

import pytest

from costmodel.report import check

SUFFIXES = (".txt", ".json", ".svg")
ANSWER = {"strategy": "WBINVD_ALL", "median": 1.23456, "rows": [{"extrapolated": True, "low": 0.0}], "n": 3}


def found(present, wanted, tmp_path, name="a.json"):
    (tmp_path / name).write_text(present if isinstance(present, str) else json.dumps(present))
    return check.differences({name: wanted if isinstance(wanted, str) else json.dumps(wanted)}, tmp_path, SUFFIXES)


@pytest.mark.parametrize("factor", [1 + 9e-8, 1 - 9e-8, 1.0])
def test_the_last_digits_of_a_number_do_not_count(tmp_path, factor):
    assert found({**ANSWER, "median": 1.23456 * factor}, ANSWER, tmp_path) == []
    assert found(f"costs {1.23456 * factor:.12f} s", "costs 1.23456 s", tmp_path, "a.txt") == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"median": 1.23456 * (1 + 2e-7)}, "median is 1.23456"),
        ({"median": 2.46912}, "+1e+02 %"),
        ({"median": "1.23456"}, "median is '1.23456'"),
        ({"strategy": "WBNOINVD_ALL"}, "strategy is 'WBNOINVD_ALL', the inputs give 'WBINVD_ALL'"),
        ({"rows": [{"extrapolated": False, "low": 0.0}]}, "rows[0].extrapolated is False"),
        ({"rows": [{"extrapolated": 1, "low": 0.0}]}, "rows[0].extrapolated is 1"),
        ({"rows": [{"extrapolated": True, "low": 1e-300}]}, "the inputs give zero"),
        ({"rows": []}, "rows has 0 entries, the inputs give 1"),
        ({"rows": [{"low": 0.0}]}, "rows[0].extrapolated is missing"),
        ({"more": None}, "more is there, the inputs give none"),
        ({"n": None}, "n is None"),
    ],
)
def test_everything_else_is_found_and_named(tmp_path, change, said):
    (line,) = found({**ANSWER, **change}, ANSWER, tmp_path)
    assert line.startswith("a.json: ") and said in line


def test_a_changed_word_of_a_text_is_found(tmp_path):
    (line,) = found("cost 30 [6, 60] CPUs\nat most", "cost 30 [6, 60] CPUs\nat least", tmp_path, "a.txt")
    assert line == "a.txt: line 2 is 'at most', the inputs give 'at least'"


def test_a_changed_number_of_a_text_is_found_with_its_size(tmp_path):
    (line,) = found("cost 30 [6, 60] CPUs", "cost 30 [7, 60] CPUs", tmp_path, "a.txt")
    assert line == "a.txt: line 1 has 6, the inputs give 7 (-14 %)"


def test_digits_of_a_hash_or_a_name_are_text(tmp_path):
    """12345678901 and 12345678902 are equal to 1e-7; as parts of a hash they are not."""
    assert found("data 12345678901a", "data 12345678902a", tmp_path, "a.txt")
    assert found("epyc-7763.12345678901x", "epyc-7763.12345678902x", tmp_path, "a.txt")


def test_a_file_that_nothing_builds_is_found_where_all_are_built(tmp_path):
    (tmp_path / "old.txt").write_text("")
    (tmp_path / "old.html").write_text("")
    (tmp_path / "index.json").write_text("{}")
    assert check.differences({"index.json": "{}"}, tmp_path, SUFFIXES) == ["old.txt: is built from no input"]


def test_what_is_no_json_is_said(tmp_path):
    (line,) = found("{", "{}", tmp_path)
    assert "is no JSON" in line
