"""Cells of the tables under data/kvm that list guest types and triggers, with the names that stand for several."""

from __future__ import annotations

from costmodel.evidence import table
from costmodel.kvm.guests import GUESTS
from costmodel.kvm.triggers import TRIGGERS

ANY = "any"
HVA = "hva"
"""In the column triggers: every trigger that comes with user addresses of the memslots."""


def guests_of(row: dict[str, str], place: dict[str, str]) -> frozenset[str]:
    """Guest types of the column guest_types."""
    return _members(row, "guest_types", {ANY: list(GUESTS)}, GUESTS, place)


def triggers_of(row: dict[str, str], place: dict[str, str]) -> frozenset[str]:
    """Triggers of the column triggers."""
    by_hva = [id for id, trigger in TRIGGERS.items() if trigger.by_hva]
    return _members(row, "triggers", {ANY: list(TRIGGERS), HVA: by_hva}, TRIGGERS, place)


def _members(
    row: dict[str, str], field: str, groups: dict[str, list[str]], known: dict[str, object], place: dict[str, str]
) -> frozenset[str]:
    found = table.choices(row, field, (*groups, *known), "|", **place)
    return frozenset(id for name in found for id in groups.get(name, [name]))
