"""What the thread of 2023 and the list proposed around the flush itself, each with its number.

Sharing one flush, deferring it, a hook that tests for a memslot, addresses from SPTEs or from the user mapping.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from costmodel.cost.waits import range_fraction
from costmodel.decision.choice import Study
from costmodel.decision.estimates import interval_of
from costmodel.decision.result import VariantRow
from costmodel.decision.waits import compared
from costmodel.evidence.store import Evidence
from costmodel.formulas.compiled import value
from costmodel.kvm.catalog import STRATEGIES
from costmodel.numbers import quantity

DEFERRED_S = 1.0
"""Time for which a deferring kernel would collect events: the unit of the axis, not a proposal."""
HOUR_S = 3600.0


def variant_rows(study: Study, evidence: Evidence) -> list[VariantRow]:
    """Rows of one notifier trigger; those that need a rate are left out where nobody published one."""
    if not study.trigger.in_window:
        return []
    names = [c.strategy for c in compared(study)]
    own = study.chosen.strategy if study.chosen and study.chosen.strategy in names else None
    whole = own if own and STRATEGIES[own].whole_cache else next((n for n in names if STRATEGIES[n].whole_cache), None)
    rows: list[VariantRow] = []
    if whole:
        rows += _shared(study, whole)
        rows += _overlap(study, whole, evidence)
    for name in names:
        source = STRATEGIES[name].address_source
        if source == "spte" and whole:
            rows.append(_spte(study, name, whole))
        if source == "user_va":
            rows += _user_va(study, name)
    return rows


def _shared(study: Study, strategy: str) -> list[VariantRow]:
    """Concurrent initiators share a flush; collecting events for longer loses flushes."""
    cost = study.cost(strategy)
    rate = cost.rate_per_s
    if rate is None:
        return []
    batch = (
        numpy.ones_like(rate) if cost.closed else value("coalesced_batch", rate_per_s=rate, flush_s=cost.priced.time_s)
    )
    deferred = value("deferred_rate", rate_per_s=rate, delay_s=DEFERRED_S)
    shared_note = (
        "one thread that waits for its own flush never has company"
        if cost.closed
        else f"{quantity(float(numpy.median(batch)), '1')} events share a flush"
    )
    exposed = float(numpy.median(rate) * DEFERRED_S) * range_fraction(study.scenario, study.trigger.id)
    harm = (
        f"about {quantity(min(1.0, exposed) * study.scenario.resident_bytes, 'B')} of guest memory could be in use "
        "again before its flush"
        if study.trigger.page_may_leave_vm
        else "this trigger releases no page, but the hook is the same for those that do"
    )
    return [
        _losses(
            study,
            strategy,
            "coalesced",
            "concurrent initiators of one VM share a flush",
            rate / batch,
            shared_note + "; not in the kernel",
            ("coalesced_batch", "no kernel coalesces: each initiator sends its own round (smp.c)"),
        ),
        _losses(
            study,
            strategy,
            "deferred",
            f"flushes collected for {quantity(DEFERRED_S, 's')}",
            deferred,
            harm,
            ("deferred_rate", "flush_done_before_invalidate_range_end"),
            admissible=False,
        ),
    ]


def _losses(
    study: Study,
    strategy: str,
    id: str,
    title: str,
    rate: numpy.ndarray,
    note: str,
    source: Sequence[str],
    *,
    admissible: bool = True,
) -> VariantRow:
    """Host CPUs lost as the kernel is, and with `rate` flushes per second."""
    cost, cpus = study.cost(strategy), study.scenario.machine.logical_cpus
    lost = value(
        "host_loss",
        rate_per_s=rate,
        stolen_cpu_s_per_event=cost.priced.stolen_s,
        logical_cpus=cpus,
    )
    return VariantRow(
        id=id,
        trigger=study.trigger.id,
        strategy=strategy,
        title=title,
        quantity="host CPUs lost",
        kernel=interval_of(cost.host_cpu_s_per_s, "1", cost.extrapolated, cpus, cost.at_most),
        variant=interval_of(lost, "1", cost.extrapolated, cpus, cost.at_most),
        admissible=admissible,
        note=note,
        source="; ".join(source),
    )


def _overlap(study: Study, strategy: str, evidence: Evidence) -> list[VariantRow]:
    """A hook that flushes for every event of the process, against the kernel's, which tests for a memslot."""
    cost = study.cost(strategy)
    share, where = overlap_share(study.trigger.id, evidence)
    if cost.rate_per_s is None or share is None:
        return []
    all_events = cost.rate_per_s / share
    return [
        _losses(
            study,
            strategy,
            "imprecise",
            "a hook that flushes whether or not a memslot overlapped",
            all_events,
            f"{share:.0%} of the measured events met a memslot ({where}); both kernels of the thread test for it",
            ("precise_events", "kvm_main.c: `if (locked)` up to v6.7, found_memslot from v6.8"),
        )
    ]


def overlap_share(trigger: str, evidence: Evidence) -> tuple[float | None, str]:
    """Share of the events of `trigger` that met a memslot on the measured hosts, and where; None if none did."""
    seen = {host: profile.overlaps(trigger) for host, profile in sorted(evidence.hosts.items())}
    hosts = [host for host, (events, _) in seen.items() if events]
    events, hits = (sum(seen[host][i] for host in hosts) for i in (0, 1))
    if not hits:
        return None, ""
    return hits / events, f"{hits} of {events}, {', '.join(hosts)}"


def _spte(study: Study, ranged: str, whole: str) -> VariantRow:
    """KVM's own zaps per notifier event at which flushing every zapped leaf costs as much as the whole-cache flush."""
    costs = study.cost(ranged), study.cost(whole)
    zaps = numpy.maximum(0.0, costs[1].priced.stolen_s / costs[0].priced.stolen_s - 1.0)
    return VariantRow(
        id="spte-zaps",
        trigger=study.trigger.id,
        strategy=ranged,
        title="PFNs from SPTEs: every leaf that KVM zaps itself needs a flush, too",
        quantity=f"KVM's own zaps per notifier event that cost as much as {whole}",
        kernel=None,
        variant=interval_of(zaps, "1", any(cost.extrapolated for cost in costs)),
        admissible=False,
        note="rejected on the list; nobody published a rate of KVM's own zaps",
        source="spte_events; thread of 2023-08-18",
    )


def _user_va(study: Study, strategy: str) -> list[VariantRow]:
    """Flushes whose user mapping another event has removed before they ran."""
    cost = study.cost(strategy)
    if cost.rate_per_s is None:
        return []
    same = min(1.0, 2.0 * range_fraction(study.scenario, study.trigger.id))
    missed = value("missed_flushes", rate_per_s=cost.rate_per_s, same_page_fraction=same, window_s=cost.priced.time_s)
    return [
        VariantRow(
            id="user-va-missed",
            trigger=study.trigger.id,
            strategy=strategy,
            title="flush through the user address: its mapping may be gone when the flush runs",
            quantity="missed flushes per hour",
            kernel=None,
            variant=interval_of(HOUR_S * missed, "1", cost.extrapolated),
            admissible=False,
            note="a second trigger of the same rate, ranges at uniform places; any number above 0 is inadmissible",
            source="missed_flushes; mmu_notifier_invalidate_range_start() calls are not serialised",
        )
    ]
