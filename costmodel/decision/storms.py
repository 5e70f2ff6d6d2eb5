"""Teardown and conversion storms: what releasing the whole guest takes, flush by flush."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from costmodel.cost.totals import total
from costmodel.decision.intervals import interval_of
from costmodel.decision.model import StormRow
from costmodel.decision.policy import Study


def storm_rows(studies: Sequence[Study]) -> list[StormRow]:
    """One row per trigger that releases or converts all memory of the guest, under what this kernel does there."""
    return [_row(study) for study in studies if _is_storm(study)]


def _is_storm(study: Study) -> bool:
    load = study.scenario.shape(study.trigger.id)
    whole = load is not None and load.loop == "once" and load.whole_vm
    return bool(study.chosen and study.chosen.flushes and (whole or study.trigger.path == "conversion"))


def _row(study: Study) -> StormRow:
    case = replace(study.scenario, range_bytes=study.scenario.resident_bytes)
    cost = total(study.trigger.id, study.chosen.strategy, case, study.draws)
    event = cost.event
    return StormRow(
        trigger=study.trigger.id,
        trigger_title=study.trigger.title,
        strategy=study.chosen.strategy,
        resident_bytes=study.scenario.resident_bytes,
        duration_s=interval_of(event.time_s if event else None, "s", cost.extrapolated),
        stolen_cpu_s=interval_of(event.stolen_s if event else None, "s", cost.extrapolated),
        irq_off_s=interval_of(event.irq_off_s if event else None, "s", cost.extrapolated),
        refused=cost.refused,
    )
