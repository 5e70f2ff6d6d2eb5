"""How far the longest time with interrupts off lies from the kernel's lock-up limits."""

from __future__ import annotations

from typing import NamedTuple

from costmodel.evidence.store import Evidence


class Distance(NamedTuple):
    """`ratio` = limit / time with interrupts off: below 1 one flush alone trips the limit."""

    id: str
    limit: str
    limit_s: float
    ratio: float


def distances(evidence: Evidence, irq_off_s: float) -> list[Distance]:
    """Each sourced limit (rows of term `limits` in seconds), nearest first; empty where interrupts stay on."""
    if irq_off_s <= 0:
        return []
    rows = [row for row in evidence.measurements.values() if row.term == "limits" and row.si_unit == "s"]
    found = [Distance(row.id, row.quantity, row.si, row.si / irq_off_s) for row in rows]
    return sorted(found, key=lambda distance: distance.limit_s)
