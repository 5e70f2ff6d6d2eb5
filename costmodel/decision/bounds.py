"""Bounds where a total is refused: what a part of it takes at least, and what was measured that contains it."""

from __future__ import annotations

from costmodel.decision.intervals import interval_of
from costmodel.decision.policy import Study
from costmodel.evidence.records import Measurement
from costmodel.evidence.store import Evidence
from costmodel.kvm.strategies import STRATEGIES
from costmodel.numbers import interval, quantity

SHUTDOWNS = {
    "tdx_page.shutdown_dynamic_s": "page by page while the guest still holds its KeyID",
    "tdx_page.shutdown_teardown_s": "after the release of its KeyID",
}
"""Whole shutdowns of a TDX guest, of which the write-back of its pages is a part."""


def bound(study: Study, evidence: Evidence) -> str:
    """What is known of the flush that the kernel does at the trigger although its total is refused; empty where nothing."""
    if study.chosen is None or not study.cost(study.chosen.strategy).refused:
        return ""
    entry = STRATEGIES[study.chosen.strategy]
    if entry.contains:
        return _at_least(study, entry.contains)
    shape = study.scenario.shape(study.trigger.id)
    if entry.instruction == "seamcall" and shape is not None and shape.whole_vm:
        return _shutdowns(study.scenario.resident_bytes, evidence)
    return ""


def _at_least(study: Study, part: str) -> str:
    cost = study.cost(part)
    if cost.refused:
        return ""
    texts = []
    for values, what in ((cost.event.stolen_s, "CPU time"), (cost.event.irq_off_s, "with interrupts off on each CPU")):
        found = interval_of(values, "s", cost.extrapolated)
        texts.append(f"{interval(found.low, found.median, found.high, found.unit)} {what}")
    mark = ", EXTRAPOLATED" if cost.extrapolated else ""
    return f"at least {' and '.join(texts)} per event, which its part {part} takes{mark}"


def _shutdowns(resident_bytes: float, evidence: Evidence) -> str:
    """The measured shutdowns of the guest size next above, or of the largest: upper bounds of the write-back in them."""
    texts = []
    for name, how in SHUTDOWNS.items():
        rows = [row for row in evidence.measurements.values() if row.observable == name and row.range_bytes]
        row = _next(rows, resident_bytes)
        texts.append(f"{quantity(row.si, 's')} {how} (row {row.id})")
    size = quantity(row.range_bytes, "B")
    return f"whole shutdowns of a guest of {size}, of which the write-back is a part, took {' and '.join(texts)}"


def _next(rows: list[Measurement], resident_bytes: float) -> Measurement:
    ordered = sorted(rows, key=lambda row: row.range_bytes)
    return next((row for row in ordered if row.range_bytes >= resident_bytes), ordered[-1])
