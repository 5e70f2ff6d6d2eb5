"""Rows about waiting and paying at one trigger: hook placements, who pays, what a tenant can force, HYBRID caps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from costmodel.cost.contention import Contention, contention
from costmodel.cost.hybrid import cap_bytes
from costmodel.cost.tenants import bill
from costmodel.decision.candidates import Candidate
from costmodel.decision.intervals import interval_of
from costmodel.decision.model import BillRow, ContentionRow, HybridRow, Interval
from costmodel.decision.policy import Study
from costmodel.evidence.store import Evidence
from costmodel.formulas.compiled import value
from costmodel.kvm.placements import HOOK_PLACEMENTS, PLACEMENTS, placement_for
from costmodel.kvm.strategies import STRATEGIES
from costmodel.numbers import quantity

LOSSES = (0.01, 0.10)
HARD_LOCKUP = "limits.hard_lockup_s"
"""The detector that counts interrupts off: requests in line run in one interrupt."""
BLASTED = "WBINVD_ALL"
"""What the kernels of the 2023 thread ran: always shown beside the rest."""


def compared(study: Study) -> list[Candidate]:
    """The flushes of a trigger that have a number: what can be used here, what rules leave open, and the blast."""
    return [
        c
        for c in study.candidates
        if c.flushes
        and (c.verdict.label != "no" or (c.strategy == BLASTED and c.verdict.needed))
        and study.cost(c.strategy).refused is None
    ]


def contention_rows(study: Study) -> list[ContentionRow]:
    """One row per flush and placement of a notifier hook; empty where the trigger has no notifier or no rate."""
    if study.trigger.path != "hva_notifier":
        return []
    flushes = study.chosen is not None and study.chosen.flushes
    here = placement_for(study.scenario.guest, study.trigger.id, study.scenario.kernel) if flushes else None
    rows = []
    for candidate in compared(study):
        cost = study.cost(candidate.strategy)
        for placement in HOOK_PLACEMENTS:
            waits = contention(cost, study.scenario, placement)
            if waits is not None:
                rows.append(_row(study, candidate, waits, cost.extrapolated, placement == here))
    return rows


def _row(study: Study, candidate: Candidate, waits: Contention, marked: bool, here: bool) -> ContentionRow:
    place = PLACEMENTS[waits.placement]
    without_bound = float(numpy.mean(~numpy.isfinite(waits.fault_wait_mean_s + waits.memslot_wait_mean_s)))
    note = f"saturated in {without_bound:.0%} of the draws: no mean" if without_bound else ""
    if not place.admissible:
        note = "the page can be in use again before its flush"
    return ContentionRow(
        trigger=study.trigger.id,
        strategy=candidate.strategy,
        state=candidate.verdict.state,
        placement=waits.placement,
        placement_title=place.title,
        placement_admissible=place.admissible,
        here=here,
        verdict=_verdict(waits.placement, here),
        lock_busy_fraction=_bounded(waits.lock_busy_fraction, "1", marked),
        in_progress_fraction=_bounded(waits.in_progress_fraction, "1", marked),
        standstill_fraction=_bounded(waits.standstill_fraction, "1", marked),
        fault_wait_mean_s=_bounded(waits.fault_wait_mean_s, "s", marked),
        fault_wait_p99_s=_bounded(waits.fault_wait_p99_s, "s", marked),
        faults_that_retry_fraction=_bounded(waits.faults_that_retry_fraction, "1", marked),
        memslot_wait_mean_s=_bounded(waits.memslot_wait_mean_s, "s", marked),
        saturation_rate_per_s=_bounded(waits.saturation_rate_per_s, "1/s", marked),
        note=note,
    )


def _bounded(values: numpy.ndarray | None, unit: str, marked: bool) -> Interval | None:
    """The interval, or None where its upper end has no bound."""
    if values is None or not numpy.isfinite(numpy.quantile(values, 0.95, method="higher")):
        return None
    return interval_of(values, unit, marked)


def _verdict(placement: str, here: bool) -> str:
    if not PLACEMENTS[placement].admissible:
        return "inadmissible"
    if placement != "after_srcu":
        return "dominated by after SRCU" + (", but what this kernel does" if here else "")
    return "what this kernel does" if here else "cheapest admissible placement"


def bill_rows(study: Study, evidence: Evidence) -> list[BillRow]:
    """Who pays, one row per flush that has a number."""
    hard = next(iter(evidence.rows(observable=HARD_LOCKUP)), None)
    rows = []
    for candidate in compared(study):
        cost = study.cost(candidate.strategy)
        paid = bill(cost, study.scenario, LOSSES)
        if paid is None:
            continue
        marked = cost.extrapolated
        initiators = None
        if hard is not None and numpy.all(cost.event.irq_off_s > 0):
            initiators = value("initiators_at_limit", limit_s=hard.si, flush_s=cost.event.irq_off_s)
        rows.append(
            BillRow(
                trigger=study.trigger.id,
                strategy=candidate.strategy,
                state=candidate.verdict.state,
                own_s=interval_of(paid.own_s, "s", marked),
                others_s=interval_of(paid.others_s, "s", marked),
                others_fraction=float(numpy.median(paid.others_s / (paid.own_s + paid.others_s))),
                neighbour_fraction=interval_of(paid.neighbour_fraction, "1", marked),
                forced_cpus=interval_of(paid.forced_cpus, "1", marked),
                vms_at_one_percent=interval_of(paid.vms_at[LOSSES[0]], "1", marked),
                vms_at_ten_percent=interval_of(paid.vms_at[LOSSES[1]], "1", marked),
                initiators_at_limit=interval_of(initiators, "1", marked),
                limit=f"{hard.quantity} {quantity(hard.si, 's')} (row {hard.id})" if initiators is not None else "",
            )
        )
    return rows


def hybrid_rows(studies: Sequence[Study]) -> list[HybridRow]:
    """The cap of HYBRID(cap) for each range flush and the whole-cache flush that the kernel offers, one per trigger."""
    return [row for study in studies if study.chosen and study.chosen.flushes for row in _hybrids(study)]


def _hybrids(study: Study) -> list[HybridRow]:
    known = compared(study)
    whole = next((c for c in known if STRATEGIES[c.strategy].whole_cache and c.running), None)
    whole = whole or next((c for c in known if STRATEGIES[c.strategy].whole_cache and c.offered and c.safe), None)
    if whole is None:
        return []
    rows = []
    for candidate in known:
        if STRATEGIES[candidate.strategy].scope != "range":
            continue
        cap = cap_bytes(study.trigger.id, candidate.strategy, whole.strategy, study.scenario, study.draws)
        marked = study.cost(candidate.strategy).extrapolated or study.cost(whole.strategy).extrapolated
        rows.append(
            HybridRow(
                trigger=study.trigger.id,
                ranged=candidate.strategy,
                whole=whole.strategy,
                state=candidate.verdict.state,
                cap_bytes=interval_of(cap, "B", marked),
                note=candidate.verdict.reason,
            )
        )
    return rows
