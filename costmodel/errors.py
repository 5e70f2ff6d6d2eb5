"""Errors that a user can act on: each says what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def _one_line(text: str) -> str:
    """`text` with control characters as escapes: a file's name or a cell never breaks the line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class CostModelError(Exception):
    """Base of every error that the command line shows as one line with exit code 2."""


class BadInput(CostModelError):
    """A file, row or field cannot be used.

    Attributes name the place (`file`, `row`, `field`), the `problem` and the `remedy`.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: object = None,
        row: object = None,
        field: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.file, self.row, self.field = file, row, field
        self.problem, self.remedy = problem, remedy
        place = ", ".join(
            text
            for text in (
                str(file) if file is not None else "",
                f"row {row}" if row is not None else "",
                f"field {field}" if field is not None else "",
            )
            if text
        )
        text = f"{place}: {problem}" if place else problem
        super().__init__(_one_line(f"{text}; {remedy}" if remedy else text))


class UnknownName(CostModelError):
    """A guest, machine, workload, trigger, strategy, kernel or formula id that the catalogue lacks."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        near = get_close_matches(name, self.known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self.known)}"
        super().__init__(f"unknown {kind} {name!r}; {hint}")


class MissingNumber(CostModelError):
    """A total needs a number that the evidence does not hold; `gap` names it."""

    def __init__(self, gap: str) -> None:
        self.gap = gap
        super().__init__(gap)
