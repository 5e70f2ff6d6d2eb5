"""One finding of the audit."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """What is wrong and where; `row` and `field` are empty where they do not apply."""

    file: str
    row: str
    field: str
    problem: str

    def __str__(self) -> str:
        return ": ".join(part for part in self if part)
