"""Teardown, boot and conversion storms: what releasing the whole guest takes, or all events of one boot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from costmodel.cost.totals import total
from costmodel.decision.intervals import interval_of
from costmodel.decision.model import StormRow
from costmodel.decision.policy import Study

KEY_RELEASES = ("asid", "hkid")
"""Paths on which the guest's key goes, and with it all of its memory."""


def storm_rows(studies: Sequence[Study]) -> list[StormRow]:
    """One row per trigger that releases or converts all memory of the guest, or that the workload pulls a given number
    of times, under what this kernel does there.
    """
    return [row for study in studies if _possible(study) for row in _rows(study)]


def _possible(study: Study) -> bool:
    return study.chosen is not None and study.chosen.flushes and study.firing.fires


def _rows(study: Study) -> list[StormRow]:
    own, shape = study.scenario.workload.load(study.trigger.id), study.scenario.shape(study.trigger.id)
    if own is not None and own.loop == "once" and own.events_per_cycle is not None:
        return [_row(study, own.events_per_cycle.value, None)]
    releases = study.trigger.page_may_leave_vm or study.trigger.path in KEY_RELEASES
    whole = releases and shape is not None and shape.loop == "once" and shape.whole_vm
    if study.trigger.path == "conversion" or whole:
        return [_row(study, 1.0, study.scenario.resident_bytes)]
    return []


def _row(study: Study, events: float, range_bytes: float | None) -> StormRow:
    """`events` events one after another, each over `range_bytes` (None: the trigger's own range)."""
    case = replace(study.scenario, range_bytes=range_bytes)
    cost = total(study.trigger.id, study.chosen.strategy, case, study.draws)
    event = cost.event
    return StormRow(
        trigger=study.trigger.id,
        trigger_title=study.trigger.title,
        strategy=study.chosen.strategy,
        resident_bytes=study.scenario.resident_bytes,
        events=events,
        duration_s=interval_of(events * event.time_s if event else None, "s", cost.extrapolated),
        stolen_cpu_s=interval_of(events * event.stolen_s if event else None, "s", cost.extrapolated),
        irq_off_s=interval_of(event.irq_off_s if event else None, "s", cost.extrapolated),
        refused=cost.refused,
    )
