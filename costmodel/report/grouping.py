"""Policy entries that say the same, told once."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.decision.model import PolicyEntry

SAME = ("strategy", "basis", "p_best", "cheapest", "placement", "reason", "source", "gap", "flips")


def groups(policy: Sequence[PolicyEntry]) -> list[list[PolicyEntry]]:
    """Entries with the same strategy, basis, reason and flips together, in the order of their first trigger."""
    found: dict[str, list[PolicyEntry]] = {}
    for entry in policy:
        found.setdefault(repr([getattr(entry, name) for name in SAME]), []).append(entry)
    return list(found.values())
