"""Rows that say the same, told once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from costmodel.decision.result import CostRow, PolicyEntry

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
