"""Who waits and who pays at one trigger: hook placements, who pays, what a tenant can force, HYBRID caps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from costmodel.cost.breakeven import LOSSES, cap_bytes
from costmodel.cost.draws import Case, Draws
from costmodel.cost.total import Total
from costmodel.cost.waits import Contention, bill, contention
from costmodel.decision.choice import Candidate, Study
from costmodel.decision.estimates import interval_of
from costmodel.decision.result import BillRow, ContentionRow, HybridRow, Interval, LimitReach
from costmodel.evidence.store import Evidence
from costmodel.formulas.compiled import value
from costmodel.kvm.catalog import PLACEMENTS, STRATEGIES
from costmodel.kvm.kernels import BLASTED, HOOK_PLACEMENTS, placement_for

CAP_DRAWS = 1024
"""Enough for the interval of a cap, which takes a search per draw."""
INTERRUPTS_OFF = ("limits.csd_lock_s", "limits.hard_lockup_s")
"""Detectors of a CPU that does not answer: requests in line run in one interrupt."""


def compared(study: Study) -> list[Candidate]:
    """The flushes of a trigger that have a number: what can be used here, what rules leave open, and the blast."""
    return [
        c
        for c in study.candidates
        if c.flushes
        and (c.verdict.label != "no" or (c.strategy == BLASTED and c.verdict.needed))
        and study.cost(c.strategy).refused is None
    ]


def waits_of(study: Study) -> list[ContentionRow]:
    """What waits, without a word about it: a row for each flush and placement, of a notifier hook all of them, of a
    guest_memfd window its own; none where the trigger opens no window or has no rate.
    """
    flushes = study.chosen is not None and study.chosen.flushes
    here = placement_for(study.scenario.guest, study.trigger.id, study.scenario.kernel) if flushes else None
    found = []
    for candidate in compared(study):
        cost = study.cost(candidate.strategy)
        for placement in placements_of(study):
            waits = contention(cost, study.scenario, placement)
            if waits is not None:
                found.append(_wait(study, candidate, waits, cost, placement == here))
    return found


def placements_of(study: Study) -> tuple[str, ...]:
    """Where a flush of the trigger can run, if faults or memslot updates can wait for it there."""
    if study.trigger.in_window:
        return HOOK_PLACEMENTS
    own = placement_for(study.scenario.guest, study.trigger.id, study.scenario.kernel)
    return (own,) if own in ("gmem_window", "under_mmu_lock") else ()


def _wait(study: Study, candidate: Candidate, waits: Contention, cost: Total, here: bool) -> ContentionRow:
    marked, at_most = cost.extrapolated, cost.at_most
    place = PLACEMENTS[waits.placement]
    return ContentionRow(
        trigger=study.trigger.id,
        strategy=candidate.strategy,
        state=candidate.verdict.state,
        placement=place.id,
        placement_title=place.title,
        placement_admissible=place.admissible,
        here=here,
        verdict="",
        note="",
        without_bound=float(numpy.mean(~numpy.isfinite(waits.fault_wait_mean_s + waits.memslot_wait_mean_s))),
        lock_busy_fraction=_bounded(waits.lock_busy_fraction, "1", marked, at_most),
        in_progress_fraction=_bounded(waits.in_progress_fraction, "1", marked, at_most),
        standstill_fraction=_bounded(waits.standstill_fraction, "1", marked, at_most),
        fault_wait_mean_s=_bounded(waits.fault_wait_mean_s, "s", marked, at_most),
        fault_wait_p99_s=_bounded(waits.fault_wait_p99_s, "s", marked, at_most),
        faults_that_retry_fraction=_bounded(waits.faults_that_retry_fraction, "1", marked, at_most),
        retry_mean_s=_bounded(waits.retry_mean_s, "s", marked),
        memslot_wait_mean_s=_bounded(waits.memslot_wait_mean_s, "s", marked, at_most),
        saturation_rate_per_s=_bounded(waits.saturation_rate_per_s, "1/s", marked),
    )


def _bounded(values: numpy.ndarray | None, unit: str, marked: bool, at_most: bool = False) -> Interval | None:
    """The interval, or None where its upper end has no bound."""
    if values is None or not numpy.isfinite(numpy.quantile(values, 0.95, method="higher")):
        return None
    found: Interval = interval_of(values, unit, marked, at_most=at_most)
    return found


def bill_rows(study: Study, evidence: Evidence) -> list[BillRow]:
    """Who pays, one row per flush that has a number."""
    cpus = study.scenario.machine.logical_cpus
    rows = []
    for candidate in compared(study):
        cost = study.cost(candidate.strategy)
        paid = bill(cost, study.scenario, LOSSES)
        if paid is None:
            continue
        marked = cost.extrapolated
        rows.append(
            BillRow(
                trigger=study.trigger.id,
                strategy=candidate.strategy,
                state=candidate.verdict.state,
                own_s=interval_of(paid.own_s, "s", marked),
                others_s=interval_of(paid.others_s, "s", marked),
                others_fraction=float(numpy.median(paid.others_s / (paid.own_s + paid.others_s))),
                neighbour_fraction=interval_of(paid.neighbour_fraction, "1", marked, at_most=cost.at_most),
                forced_cpus=interval_of(paid.forced_cpus, "1", marked, cpus),
                vms_at_one_percent=interval_of(paid.vms_at[LOSSES[0]], "1", marked),
                vms_at_ten_percent=interval_of(paid.vms_at[LOSSES[1]], "1", marked),
                late_answer_s=interval_of(paid.late_answer_s, "s", marked),
                limits=_limits(cost.priced.irq_off_s, cpus, evidence, marked),
            )
        )
    return rows


def _limits(irq_off_s: numpy.ndarray, cpus: int, evidence: Evidence, marked: bool) -> list[LimitReach]:
    """Flushes in line that trip each detector; a CPU waits for one at a time, so all others at most can be in line."""
    if not numpy.all(irq_off_s > 0):
        return []
    found = []
    for row in (row for observable in INTERRUPTS_OFF for row in evidence.rows(observable=observable)):
        initiators = value("initiators_at_limit", limit_s=row.si, flush_s=irq_off_s)
        found.append(
            LimitReach(
                id=row.id,
                limit=row.quantity,
                limit_s=row.si,
                initiators=interval_of(initiators, "1", marked),
                reach_fraction=float(numpy.mean(initiators <= cpus - 1)),
            )
        )
    return found


def abuse_rows(studies: Sequence[Study], evidence: Evidence) -> list[BillRow]:
    """The bill of what the kernel does at each event that the VMM makes at will."""
    forced = [s for s in studies if s.trigger.by_vmm and s.chosen and s.chosen.flushes]
    return [row for s in forced for row in bill_rows(s, evidence) if row.strategy == s.picked.strategy]


def hybrid_rows(studies: Sequence[Study]) -> list[HybridRow]:
    """The cap of HYBRID(cap) for each range flush and the whole-cache flush that the kernel offers, one per trigger.

    A hook that sees one folio at a time has no range that could pass a cap.
    """
    flushing = [study for study in studies if study.chosen and study.chosen.flushes]
    if not flushing:
        return []
    draws, found = Draws(flushing[0].parameters, CAP_DRAWS), dict[tuple[object, ...], numpy.ndarray]()
    return [row for study in flushing for row in _hybrids(study, draws, found)]


def _beyond(candidate: Candidate) -> tuple[bool, bool]:
    """Order of the flushes beyond a cap: what the kernel does, else one that keeps the lines valid."""
    return not candidate.running, STRATEGIES[candidate.strategy].instruction != "wbnoinvd"


def _hybrids(study: Study, draws: Draws, found: dict[tuple[object, ...], numpy.ndarray]) -> list[HybridRow]:
    known = compared(study)
    whole = min(
        (c for c in known if STRATEGIES[c.strategy].whole_cache and c.offered and c.safe), key=_beyond, default=None
    )
    if whole is None or study.trigger.per_folio:
        return []
    rows = []
    for candidate in known:
        if STRATEGIES[candidate.strategy].scope != "range":
            continue
        caps = [
            cap_bytes(Case(study.trigger.id, study.scenario, draws), candidate.strategy, whole.strategy, by, found)
            for by in ("stolen_s", "time_s")
        ]
        marked = study.cost(candidate.strategy).extrapolated or study.cost(whole.strategy).extrapolated
        rows.append(
            HybridRow(
                trigger=study.trigger.id,
                ranged=candidate.strategy,
                whole=whole.strategy,
                state=candidate.verdict.state,
                cap_bytes=interval_of(caps[0], "B", marked),
                latency_cap_bytes=interval_of(caps[1], "B", marked),
                note=candidate.verdict.reason,
            )
        )
    return rows
