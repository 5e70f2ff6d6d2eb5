"""Pages of the documentation: their command blocks, run, and `python -m tests.pages`, which renews what they show."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from click.testing import CliRunner

import costmodel
from costmodel.cli import cli
from costmodel.errors import ExitCode
from tests.mail.conftest import FIXTURES
from tests.measure.test_trace_formats import PERF

ROOT = Path(costmodel.__file__).parent.parent
OVERVIEW = ROOT / "reports" / "README.md"

COMMAND = re.compile(r"(?:.*\\\n)*.*")
"""A command with the lines that a backslash adds."""
NOT_RUN = re.compile(r"<!-- not run: (\S.*\S) -->")
SAMPLES = {
    "cells.csv": "guest_type,trigger,strategy\nsev,ksm_replace_page,WBINVD_ALL\n",
    "perf-script.txt": f"{PERF}\n",
    "scan.txt": (ROOT / "docs" / "howto" / "scan.txt").read_text(),
    "mail.eml": (FIXTURES / "reply-2023-08-18.eml").read_text(),
}
"""Files that the commands read."""


class Block(NamedTuple):
    """An indented block of a page, and why a test does not run it, if so."""

    page: str
    lines: tuple[str, ...]
    reason: str

    def __str__(self):
        return f"{self.page}: {self.lines[0]}"


def blocks(path):
    """Indented blocks of a Markdown page; the line before one may be its mark. What stands between fences is no block."""
    found, current, before, fenced = [], [], "", False
    for line in [*path.read_text().splitlines(), "the end"]:
        if line.startswith("```"):
            fenced = not fenced
        if fenced:
            continue
        if line.startswith("    ") or (current and not line.strip()):
            current.append(line[4:])
        elif line.strip():
            if current:
                mark = NOT_RUN.fullmatch(before)
                found.append(Block(path.name, tuple("\n".join(current).strip().splitlines()), mark[1] if mark else ""))
            current, before = [], line
    return found


MADE = ("_build", "generated")
"""Folders of docs/ that a build makes."""
PAGES = (
    ROOT / "README.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if not {*MADE} & {*path.relative_to(ROOT / "docs").parts}),
)
BLOCKS = [block for path in PAGES if path.is_file() for block in blocks(path)]


def executed(line):
    """What a line of a shell block prints; a part after `>` goes to a file, one after `|` is a filter of the system."""
    rest, _, target = line.replace("\\\n", "").partition(" > ")
    words, _, filters = rest.partition(" | ")
    assert words.startswith("costmodel "), f"{line!r}: say above the block why it is not run"
    done = CliRunner().invoke(cli, shlex.split(words)[1:], catch_exceptions=False)
    told = (ExitCode.OK, ExitCode.CHECK_FAILED) if words.startswith("costmodel validate") else (ExitCode.OK,)
    assert done.exit_code in told, (line, done.output)
    printed = done.stdout
    if filters:
        printed = subprocess.run(filters, shell=True, input=printed, capture_output=True, text=True, check=True).stdout
    if target:
        Path(target).write_text(printed)
        return ""
    return printed


def steps(lines):
    """(command, what the page shows of its output) of a block that begins with `$`; a backslash continues a command."""
    found = []
    for part in "\n".join(lines).removeprefix("$ ").split("\n$ "):
        command = COMMAND.match(part)[0]
        found.append((command, part.removeprefix(command).removeprefix("\n")))
    return found


def shown(printed):
    """Output as a page shows it."""
    return "\n".join(line.rstrip() for line in printed.strip("\n").splitlines())


def renewed(path):
    """The text of a page with what its `$` blocks print now."""
    text = path.read_text()
    for block in blocks(path):
        if block.reason or not block.lines[0].startswith("$ "):
            continue
        old = "\n".join(f"    {line}" if line else "" for line in block.lines)
        assert text.count(old) == 1, f"{path.name}: {block.lines[0]} is there twice"
        new = "\n".join(f"$ {command}\n{shown(executed(command))}" for command, _ in steps(block.lines))
        text = text.replace(old, "\n".join(f"    {line}" if line else "" for line in new.splitlines()))
    return text


def facts():
    """docs/facts.py as a module."""
    spec = importlib.util.spec_from_file_location("facts", ROOT / "docs" / "facts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_samples():
    """The files that the commands read, into the working directory."""
    for name, text in SAMPLES.items():
        Path(name).write_text(text)


def main():
    """Renew README.md, docs/ and reports/README.md, each page in one step."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write_samples()
        for path in PAGES:
            new = renewed(path)
            if new != path.read_text():
                path.write_text(new)
                print(f"renewed {path.relative_to(ROOT)}", file=sys.stderr)
    OVERVIEW.write_text(facts().reports())


if __name__ == "__main__":
    main()
