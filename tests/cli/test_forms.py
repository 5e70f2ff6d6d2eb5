"""The forms of a table: text, JSON, CSV and Markdown of the same rows, and colours on a terminal only."""

import csv
import io
import json
import sys

import pytest
from click.testing import CliRunner

from costmodel.cli import cli, options

SEV = ("--guest", "sev", "--machine", "epyc-7763-2s")
TABLES = {
    "list": ("list", "strategies"),
    "admissible": ("admissible", "--guest", "sev", "--trigger", "unreg_region"),
    "cost": ("cost", *SEV, "--trigger", "unreg_region"),
    "recommend": ("recommend", *SEV),
    "compare": ("compare", *SEV, "--kernel", "6.6", "--kernel", "6.17"),
    "contention": ("contention", *SEV),
    "breakeven": (
        *("breakeven", *SEV, "--trigger", "unreg_region", "--over", "range_bytes"),
        *("--between", "WBNOINVD_MASK", "CLFLUSHOPT_DM_PINNED"),
    ),
}


def printed(*words, code=0):
    done = CliRunner().invoke(cli, list(words))
    assert done.exit_code == code, done.output
    return done.output


@pytest.mark.parametrize("words", TABLES.values(), ids=TABLES)
def test_csv_and_markdown_hold_the_same_rows(words):
    rows = list(csv.DictReader(io.StringIO(printed(*words, "--format", "csv"))))
    lines = printed(*words, "--format", "markdown").splitlines()
    assert rows and len(lines) == len(rows) + 2
    assert set(lines[1]) == set("| -")
    assert all(None not in row and None not in row.values() for row in rows)
    heads = [cell.strip() for cell in lines[0].strip("|").split("|")]
    assert set(heads) <= set(rows[0])


def test_csv_has_the_numbers_of_the_json():
    records = json.loads(printed(*TABLES["cost"], "--json"))
    rows = list(csv.DictReader(io.StringIO(printed(*TABLES["cost"], "--format", "csv"))))
    for record, row in zip(records, rows, strict=True):
        for name in ("stolen_cpu_s_per_event", "event_time_s"):
            value = record[name]
            ends = {"": "median", "_low": "low", "_high": "high"}
            for suffix, key in ends.items():
                assert row[name + suffix] == ("" if value is None else str(value[key]))


def test_json_is_a_form_too_and_two_forms_are_refused():
    assert printed(*TABLES["list"], "--format", "json") == printed(*TABLES["list"], "--json")
    error = CliRunner().invoke(cli, [*TABLES["list"], "--json", "--format", "csv"]).exception
    assert error is not None and "--json was given too" in str(error)


def test_no_cell_acts_in_a_spreadsheet_or_in_markdown(capsys):
    records = [{"a": "=1+1", "b": "x | <b>y</b>"}]
    options.print_table("csv", records)
    options.print_table("markdown", records)
    csv_form, _, markdown = capsys.readouterr().out.partition("| a")
    assert "'=1+1" in csv_form
    assert "x \\| \\<b\\>y\\</b\\>" in markdown


def test_colours_on_a_terminal_only_and_not_where_they_are_unwanted(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert options.paint("yes", "safe") != "yes"
    monkeypatch.setenv("NO_COLOR", "1")
    assert options.paint("yes", "safe") == "yes"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    assert options.paint("yes", "safe") == "yes"


def test_the_short_answer_on_a_pipe_is_plain_and_full_has_the_rest():
    short, full = printed("recommend", *SEV), printed("recommend", *SEV, "--full")
    assert len(short.splitlines()) <= 24 and "\x1b" not in short
    assert "POLICY" not in short and "POLICY" in full
