"""How text is laid out: 7-bit lines of at most 72 columns, aligned tables of at most 75, rows that say the same told
once.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TypeVar

from costmodel.decision.result import CostRow, Interval, PolicyEntry
from costmodel.numbers import ceiling, interval
from costmodel.plain import quoted_words

WIDTH = 72
"""Columns of prose: what a mail carries through several quotes."""
TABLE_WIDTH = 75
"""Columns of a table, which nobody quotes line by line."""


def ascii_text(text: str) -> str:
    """`text` on one line in printable ASCII; what has no ASCII form becomes `?`."""
    plain = unicodedata.normalize("NFKD", text).replace("\N{RIGHTWARDS ARROW}", "->")
    return "".join(c if " " <= c <= "~" else " " if c.isspace() else "?" for c in plain if not unicodedata.combining(c))


def wrap(text: str, first: str = "", rest: str | None = None) -> list[str]:
    """Lines of at most WIDTH columns; long words are broken rather than overflow."""
    return textwrap.wrap(
        ascii_text(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_on_hyphens=False,
    ) or [first.rstrip()]


def command_lines(command: str) -> list[str]:
    """A command over lines of at most WIDTH columns, joined by backslashes; every word as a shell reads it back."""
    lines: list[str] = []
    current = " "
    for word in quoted_words(command):
        if len(current) + len(word) + 3 > WIDTH and current.strip():
            lines.append(f"{current} \\")
            current = "   "
        current += f" {word}"
    return [*lines, current]


def cell(
    value: Interval | None, like: float | None = None, *, marked: bool = False, bare: bool = False, none: str = "-"
) -> str:
    """An interval, in the unit of `like` if that is given, called a ceiling where it is one; `none` where there is
    none.

    `marked`: a star says that a prior by rule went in. `bare`: that it is a ceiling is said elsewhere, as in a column's
    head.
    """
    if value is None:
        return none
    shown = interval(value.low, value.median, value.high, value.unit, value.most, like)
    return ceiling(shown + ("*" if marked and value.extrapolated else ""), value.at_most and not bare)


def listed(title: str, texts: Iterable[str]) -> list[str]:
    """A title with an item per text below it; nothing where there is no text."""
    lines = [line for text in texts for line in wrap(f"- {text}", "  ", "    ")]
    return [title, *lines] if lines else []


def widths_of(rows: Iterable[Sequence[str]]) -> list[int]:
    """The width that each column of `rows` needs."""
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def aligned(
    cells: Sequence[str], widths: Sequence[int], *, indent: str = "", gap: str = "  ", room: int | None = TABLE_WIDTH
) -> list[str]:
    """One line of a table; where it is longer than `room`, the last cell goes to the right edge of a line of its
    own.
    """
    *first, last = [f"{text:<{width}}" for text, width in zip(cells, widths, strict=True)]
    line = indent + gap.join([*first, last.rstrip()]).rstrip()
    if room is None or len(line) <= room:
        return [line]
    return [indent + gap.join(first).rstrip(), f"{cells[-1]:>{room}}"]


Row = TypeVar("Row", PolicyEntry, CostRow)
POLICY = ("strategy", "basis", "p_best", "cheapest", "placement", "reason", "source", "gap", "flips")
ADMISSIBILITY = ("strategy", "admissible", "state", "reason", "source")


def policies(policy: Sequence[PolicyEntry]) -> list[list[PolicyEntry]]:
    """Entries with the same strategy, basis, reason and flips together, in the order of their first trigger."""
    return _groups(policy, POLICY)


def verdicts(costs: Sequence[CostRow]) -> list[list[CostRow]]:
    """Rows with the same verdict and reason together, by strategy."""
    return _groups(sorted(costs, key=lambda row: row.strategy), ADMISSIBILITY)


def _groups(rows: Sequence[Row], fields: Sequence[str]) -> list[list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(repr([getattr(row, name) for name in fields]), []).append(row)
    return list(found.values())
