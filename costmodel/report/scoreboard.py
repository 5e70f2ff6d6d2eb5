"""The scoreboard as plain text (7-bit, at most 72 columns), as JSON and as a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from costmodel.numbers import shortened
from costmodel.report import page
from costmodel.report.layout import wrap
from costmodel.validation.row import VERDICTS, Row, Scoreboard, Section

MARKS = {"pass": "ok  ", "fail": "FAIL", "disagree-explained": "why ", "not testable": "n/t "}
LEGEND = "ok: as it should be; FAIL: wrong, unexplained; why: wrong, with the reason; n/t: nobody can test it yet"
TITLE = "What the model gets right, what it misses, what nobody can test"


def text(board: Scoreboard, words: Sequence[str] = (), *, everything: bool = False) -> str:
    """Each section with its counts and rows; of rows that pass only a section's first where there are many.

    `words` are the options that asked for it.
    """
    lines = [TITLE, *wrap(LEGEND, "  ", "    "), ""]
    for section in board.sections:
        lines += [*wrap(f"{section.title}: {counts(section)}"), *_rows(section, everything), ""]
    lines += [
        f"costmodel {board.costmodel_version}, data {board.data_hash}",
        *wrap(f"Again with: {' '.join(['costmodel validate', *words])}", "", "  "),
    ]
    return "\n".join(lines) + "\n"


def counts(section: Section) -> str:
    """`12 pass, 1 fail` and so on, without zeroes."""
    found = [f"{n} {verdict}" for verdict in VERDICTS if (n := section.count(verdict))]
    return ", ".join(found) or "no rows"


FEW = 16
"""A section with no more rows shows them all."""
TOLD = ("fail", "disagree-explained")
"""Verdicts that are always shown."""


def _rows(section: Section, everything: bool) -> list[str]:
    many = len(section.rows) > FEW and not everything
    shown = [row for i, row in enumerate(section.rows) if not many or i == 0 or row.verdict in TOLD]
    lines = [line for row in shown for line in _row(row)]
    left = len(section.rows) - len(shown)
    return [*lines, *([f"  ({left} more rows: --all)"] if left else [])]


def _row(row: Row) -> list[str]:
    lines = wrap(f"{row.id}: {row.what}", f"  {MARKS[row.verdict]} ", "       ")
    lines += wrap(row.figure, "         ")
    if row.note and row.verdict != "pass":
        lines += wrap(f"because: {row.note}", "         ", "           ")
    return lines


def as_json(board: Scoreboard) -> str:
    """The whole scoreboard; floats with six digits."""
    fields = cast(dict[str, Any], shortened(board.model_dump(mode="json")))
    fields["failed"] = board.failed
    fields["counts"] = {
        section.id: {verdict: section.count(verdict) for verdict in VERDICTS} for section in board.sections
    }
    return json.dumps(fields, indent=1, sort_keys=True, allow_nan=False) + "\n"


def html(board: Scoreboard, home: str = "index.html") -> str:
    """One self-contained page."""
    return page.page(TITLE, fragment(board), home)


def fragment(board: Scoreboard) -> str:
    """The sections as HTML, for the page and for notebooks."""
    return page.fragment("scoreboard", board=board, counts=counts, title=TITLE, legend=LEGEND)
