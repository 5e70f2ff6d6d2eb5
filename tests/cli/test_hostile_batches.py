"""admissible --batch on files that no honest program wrote: exit code 2, one place named, nothing on stdout."""

import csv
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.errors import BadInput

HEAD = b"guest_type,trigger,strategy\n"
GOOD = b"sev,unreg_region,WBINVD_ALL\n"


@pytest.fixture
def batch(tmp_path):
    def run(content):
        path = tmp_path / "cells.csv"
        path.write_bytes(content)
        return CliRunner().invoke(cli, ["admissible", "--batch", str(path)])

    return run


def refusal(result):
    """The one-line message of a refused file."""
    assert isinstance(result.exception, BadInput), result.exception
    assert result.stdout == ""
    message = str(result.exception)
    assert "\n" not in message and len(message) < 1000
    assert "cells.csv" in message
    return message


FILES = {
    "empty": (b"", "row 1"),
    "only a newline": (b"\n", "row 1"),
    "a missing column": (b"guest_type,trigger\nsev,unreg_region\n", "row 1"),
    "columns in capitals": (b"GUEST_TYPE,TRIGGER,STRATEGY\n" + GOOD, "row 1"),
    "an unknown guest": (HEAD + GOOD + b"sevv,unreg_region,WBINVD_ALL\n", "row 3"),
    "an unknown trigger": (HEAD + b"sev,unreg,WBINVD_ALL\n", "row 2"),
    "an unknown strategy": (HEAD + GOOD + GOOD + b"sev,unreg_region,WBINVD\n", "row 4"),
    "a short row": (HEAD + GOOD + b"sev\n", "row 3"),
    "a null byte": (HEAD + GOOD + b"sev,unreg\x00region,WBINVD_ALL\n", "row 3"),
    "an open quote": (HEAD + b'"sev,unreg_region,WBINVD_ALL\nsev\n', "row 2"),
    "a cell of 100 kB": (HEAD + b"sev,unreg_region," + b"x" * 100_000 + b"\n", "row 2"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_refused_with_file_and_row(batch, name):
    content, row = FILES[name]
    assert row in refusal(batch(content))


@pytest.mark.parametrize(
    "content",
    [
        HEAD + GOOD + b"sev,unreg_region," + b"x" * 1_000_000 + b"\n",
        HEAD + GOOD + b"sev,\xff\xfe,WBINVD_ALL\n",
        (HEAD + GOOD).decode().encode("utf-16"),
    ],
    ids=["a cell of 1 MB", "bytes that are no UTF-8", "UTF-16"],
)
def test_an_unreadable_file_is_refused_by_name(batch, content):
    refusal(batch(content))


@pytest.mark.parametrize(
    "cells", [b"sev,unreg_region," + b"x" * 1_000_000, b"sev,\xff\xfe,WBINVD_ALL"], ids=["1 MB", "no UTF-8"]
)
def test_an_unreadable_file_is_refused_with_its_row(batch, cells):
    assert "row 3" in refusal(batch(HEAD + GOOD + cells + b"\n"))


def test_a_row_after_blank_lines_is_counted_as_an_editor_shows_it(batch):
    assert "row 4" in refusal(batch(HEAD + b"\n\nsevv,unreg_region,WBINVD_ALL\n"))


@pytest.mark.parametrize(
    "cell",
    [
        "=cmd|' /C calc'!A0",
        "<script>alert(1)</script>",
        "\x1b[31mred",
        "a\nb",
        "\u202esev",
        "@SUM(1)",
        "+1",
        "sev\ttab",
    ],
)
@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_hostile_cell_comes_back_as_a_literal(batch, cell, column):
    cells = ["sev", "unreg_region", "WBINVD_ALL"]
    cells[column] = f'"{cell}"'
    message = refusal(batch(HEAD + ",".join(cells).encode() + b"\n"))
    assert repr(cell) in message
    assert message.isprintable()


def test_good_rows_before_a_bad_one_are_not_printed(batch):
    result = batch(HEAD + GOOD * 500 + b"sev,unreg_region,nothing\n")
    assert "row 502" in refusal(result)


def test_windows_line_ends_are_read(batch):
    result = batch((HEAD + GOOD).replace(b"\n", b"\r\n"))
    assert result.exit_code == 0
    (row,) = csv.DictReader(result.stdout.splitlines())
    assert row["admissible"] == "yes"


def test_a_byte_order_mark_is_read(batch):
    assert batch(b"\xef\xbb\xbf" + HEAD + GOOD).exit_code == 0


def test_no_row_gives_a_header_only(batch):
    result = batch(HEAD)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1


def test_a_cell_of_the_output_never_starts_a_formula(batch):
    rows = [f"{g},munmap_or_discard,{s}" for g in ("sev", "plain") for s in ("WBINVD_ALL", "NO_FLUSH", "SKIP_COHERENT")]
    result = batch(HEAD + "\n".join(rows).encode() + b"\n")
    for row in csv.reader(result.stdout.splitlines()):
        assert not [cell for cell in row if cell[:1] in ("=", "+", "-", "@")]


@pytest.mark.parametrize("name", ["an unknown guest", "a null byte", "empty"])
def test_the_shell_sees_one_line_and_exit_code_2(tmp_path, name):
    path = tmp_path / "cells.csv"
    path.write_bytes(FILES[name][0])
    words = [sys.executable, "-m", "costmodel", "admissible", "--batch", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert str(path) in done.stderr and FILES[name][1] in done.stderr


@pytest.mark.parametrize("guest", ["sev", "sev-es", "sev-snp"])
def test_an_assumption_makes_a_conditional_strategy_admissible(guest):
    words = ["admissible", "--guest", guest, "--trigger", "munmap_or_discard", "--strategy", "WBNOINVD_MASK", "--json"]

    def state(*assumed):
        more = [word for name in assumed for word in ("--assume", f"{name}=true")]
        (found,) = json.loads(CliRunner().invoke(cli, [*words, *more]).stdout)
        return found["state"], found["unknown"]

    before, unknown = state()
    assert before == "undecided"
    assert state(*unknown)[0] == "admissible"
    if len(unknown) > 1:
        assert state(unknown[0])[0] == "undecided"
