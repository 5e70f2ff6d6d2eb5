"""The mask of CPUs that ran the guest: what pinning, spreading and time make of it, and what a flush then costs."""

from __future__ import annotations

from dataclasses import replace

import numpy

from costmodel.cost.scenario import Scenario
from costmodel.cost.totals import total
from costmodel.decision.candidates import Candidate
from costmodel.decision.contention import compared
from costmodel.decision.intervals import interval_of
from costmodel.decision.model import MaskRow
from costmodel.decision.policy import Study
from costmodel.formulas.compiled import value
from costmodel.kvm.strategies import STRATEGIES
from costmodel.numbers import quantity, significant

LEFT_OUT = (0.5, 0.1, 0.01)
"""Shares of the CPUs that an unpinned guest has not run on yet."""
PER_FLUSH = (1.0, 100.0)
"""Migrations per flush for the mask that is cleared at each flush: an axis, nobody published a rate."""
DROPPED = "tried on the KVM list and dropped: clearing the mask loses a flush unless flushes are serialised"


def mask_rows(study: Study) -> list[MaskRow]:
    """Rows from the pinned guest to all CPUs; empty where no masked flush is safe and has a number at the trigger."""
    masked = [c for c in compared(study) if STRATEGIES[c.strategy].scope == "mask" and c.safe]
    if not masked:
        return []
    chosen = next((c for c in masked if c.running), masked[-1])
    case, cpus = study.scenario, float(study.scenario.machine.logical_cpus)
    vcpus = min(float(case.vcpus), cpus)
    rows = [
        _row(study, chosen, "pinned, packed", vcpus, "vCPUs fill one cache domain after the other"),
        _row(study, chosen, "pinned, spread", vcpus, "vCPUs dealt out over all cache domains", packed=False),
    ]
    for share in LEFT_OUT:
        if vcpus < cpus * (1 - share):
            moves = float(value("migrations_to_share", allowed_cpus=cpus, vcpus=vcpus, untouched_fraction=share))
            note = f"after {significant(moves)} migrations: {quantity(moves, 's')} at one per second"
            rows.append(
                _row(
                    study,
                    chosen,
                    f"unpinned, {100 * (1 - share):g} % of the CPUs",
                    cpus * (1 - share),
                    note,
                    uniform=True,
                )
            )
    rows.append(_row(study, chosen, "unpinned, all CPUs", cpus, "no better than a flush on all CPUs", uniform=True))
    for moves in PER_FLUSH:
        between = float(
            value("mask_between_flushes", allowed_cpus=cpus, vcpus=vcpus, rate_per_s=1.0, migration_rate_per_s=moves)
        )
        label = f"cleared at each flush, {moves:g} migration{'' if moves == 1 else 's'} per flush"
        rows.append(_row(study, chosen, label, between, DROPPED, uniform=True, admissible=False))
    return rows


def _row(
    study: Study,
    candidate: Candidate,
    label: str,
    cpus: float,
    note: str,
    *,
    packed: bool = True,
    uniform: bool = False,
    admissible: bool = True,
) -> MaskRow:
    """A row of the mask with `cpus` CPUs: packed into few cache domains, dealt out, or at random places (`uniform`)."""
    case = replace(study.scenario, cpus_that_ran=cpus, packed=packed and not uniform)
    cost = total(study.trigger.id, candidate.strategy, case, study.draws)
    return MaskRow(
        trigger=study.trigger.id,
        strategy=candidate.strategy,
        label=label,
        cpus=cpus,
        domains=_domains(case, cpus, uniform=uniform),
        event_time_s=interval_of(cost.event.time_s, "s", cost.extrapolated),
        stolen_cpu_s_per_event=interval_of(cost.event.stolen_s, "s", cost.extrapolated),
        admissible=admissible,
        note=note,
    )


def _domains(case: Scenario, cpus: float, *, uniform: bool) -> float:
    """Cache domains that the CPUs touch: at random places, packed, or dealt out."""
    machine = case.machine
    domains = machine.domains_per_socket * machine.sockets
    if uniform:
        per_domain = float(machine.cpus_per_domain)
        return float(value("domains_touched", domains=domains, cpus_per_domain=per_domain, mask_cpus=cpus))
    return float(numpy.ceil(cpus / machine.cpus_per_domain)) if case.packed else min(cpus, float(domains))
