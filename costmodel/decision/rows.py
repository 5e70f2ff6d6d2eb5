"""Cost rows: one per strategy that is not ruled out at a trigger, and one for each that the thread argued about."""

from __future__ import annotations

from costmodel.decision.candidates import Candidate, from_kernel, needs
from costmodel.decision.intervals import interval_of
from costmodel.decision.model import CostRow
from costmodel.decision.policy import Study
from costmodel.kvm.placements import placement_for
from costmodel.kvm.strategies import STRATEGIES


def cost_rows(study: Study) -> list[CostRow]:
    """Rows of one trigger, cheapest event first, refused totals last."""
    shown = [c for c in study.candidates if c.verdict.label != "no"]
    rows = [_row(study, candidate) for candidate in shown]
    return sorted(
        rows,
        key=lambda r: (
            r.refused is not None,
            r.stolen_cpu_s_per_event.median if r.stolen_cpu_s_per_event else 0.0,
            r.strategy,
        ),
    )


def _row(study: Study, candidate: Candidate) -> CostRow:
    cost = study.cost(candidate.strategy)
    marked, ceiling = cost.extrapolated, cost.at_most
    event = cost.event
    closed = cost.closed or STRATEGIES[candidate.strategy].instruction == "none"
    cpus = study.scenario.machine.logical_cpus
    return CostRow(
        trigger=study.trigger.id,
        strategy=candidate.strategy,
        needs=needs(study.scenario, study.trigger.id, candidate.strategy),
        admissible=candidate.verdict.label,
        state=candidate.verdict.state,
        from_kernel=from_kernel(study.scenario, study.trigger.id, candidate),
        reason=candidate.verdict.reason,
        source=candidate.verdict.source,
        placement=placement_for(study.scenario.guest, study.trigger.id, study.scenario.kernel),
        event_time_s=interval_of(event.time_s if event else None, "s", marked),
        event_p99_s=interval_of(cost.p99_s, "s", marked),
        stolen_cpu_s_per_event=interval_of(event.stolen_s if event else None, "s", marked),
        irq_off_s=interval_of(event.irq_off_s if event else None, "s", marked),
        rate_per_s=interval_of(cost.rate_per_s, "1/s", marked, at_most=ceiling),
        host_cpu_s_per_s=interval_of(cost.host_cpu_s_per_s, "1", marked, cpus, ceiling),
        standstill_fraction=interval_of(
            None if cost.host_cpu_s_per_s is None else cost.host_cpu_s_per_s / cpus, "1", marked, at_most=ceiling
        ),
        guest_stall_fraction=interval_of(cost.guest_stall_fraction, "1", marked, at_most=ceiling),
        in_progress_fraction=interval_of(cost.in_progress_fraction, "1", marked, at_most=ceiling),
        saturation_rate_per_s=None if closed else interval_of(cost.saturation_rate_per_s, "1/s", marked),
        refused=cost.refused,
        extrapolated=marked,
        fires=not cost.never,
        why=cost.never,
        least_rate_per_s=interval_of(cost.least_per_s, "1/s", marked),
        least_host_cpu_s_per_s=interval_of(cost.least_host_cpu_s_per_s, "1", marked, cpus),
    )
