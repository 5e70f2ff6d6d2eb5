"""What the thread of 2023 and the list proposed around the flush itself, each with its number.

Sharing one flush, deferring it, a hook that tests for a memslot, addresses from SPTEs or from the user mapping.
`costmodel.report.tables` says what each is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy

from costmodel.cost.waits import range_fraction
from costmodel.decision.choice import Study
from costmodel.decision.estimates import interval_of
from costmodel.decision.result import Interval
from costmodel.decision.waits import compared
from costmodel.evidence.store import Evidence
from costmodel.formulas.compiled import value
from costmodel.kvm.catalog import STRATEGIES

DEFERRED_S = 1.0
"""Time for which a deferring kernel would collect events: the unit of the axis, not a proposal."""
HOUR_S = 3600.0
ADMISSIBLE = ("coalesced", "imprecise")
"""Proposals that lose no flush."""


@dataclass(frozen=True)
class Variant:
    """A proposal at the trigger of `study`, done with `strategy`: what is lost as the kernel is (None where there is no
    such thing) and with the proposal.

    `against`: the whole-cache flush that zaps are held against; `shared`: events that share a flush, None where the one
    thread behind them waits for its own; `exposed_bytes`: guest memory that could be in use again before its flush;
    `share`, `where`: which part of the measured events met a memslot, and on which hosts.
    """

    id: Literal["coalesced", "deferred", "imprecise", "spte-zaps", "user-va-missed"]
    study: Study
    strategy: str
    kernel: Interval | None
    variant: Interval
    against: str = ""
    shared: float | None = None
    exposed_bytes: float = 0.0
    share: float = 1.0
    where: str = ""

    @property
    def admissible(self) -> bool:
        return self.id in ADMISSIBLE


def variants(study: Study, evidence: Evidence) -> list[Variant]:
    """Proposals at one notifier trigger; those that need a rate are left out where nobody published one."""
    if not study.trigger.in_window:
        return []
    names = [c.strategy for c in compared(study)]
    own = study.chosen.strategy if study.chosen and study.chosen.strategy in names else None
    whole = own if own and STRATEGIES[own].whole_cache else next((n for n in names if STRATEGIES[n].whole_cache), None)
    found: list[Variant] = []
    if whole:
        found += _shared(study, whole)
        found += _overlap(study, whole, evidence)
    for name in names:
        source = STRATEGIES[name].address_source
        if source == "spte" and whole:
            found.append(_spte(study, name, whole))
        if source == "user_va":
            found += _user_va(study, name)
    return found


def _shared(study: Study, strategy: str) -> list[Variant]:
    """Concurrent initiators share a flush; collecting events for longer loses flushes."""
    cost = study.cost(strategy)
    rate = cost.rate_per_s
    if rate is None:
        return []
    batch = (
        numpy.ones_like(rate) if cost.closed else value("coalesced_batch", rate_per_s=rate, flush_s=cost.priced.time_s)
    )
    deferred = value("deferred_rate", rate_per_s=rate, delay_s=DEFERRED_S)
    exposed = float(numpy.median(rate) * DEFERRED_S) * range_fraction(study.scenario, study.trigger.id)
    now = _now(study, strategy)
    return [
        Variant(
            "coalesced",
            study,
            strategy,
            now,
            _lost(study, strategy, rate / batch),
            shared=None if cost.closed else float(numpy.median(batch)),
        ),
        Variant(
            "deferred",
            study,
            strategy,
            now,
            _lost(study, strategy, deferred),
            exposed_bytes=min(1.0, exposed) * study.scenario.resident_bytes,
        ),
    ]


def _now(study: Study, strategy: str) -> Interval | None:
    """Host CPUs lost as the kernel is."""
    cost = study.cost(strategy)
    return interval_of(cost.host_cpu_s_per_s, "1", cost.extrapolated, study.scenario.machine.logical_cpus, cost.at_most)


def _lost(study: Study, strategy: str, rate: numpy.ndarray) -> Interval:
    """Host CPUs lost with `rate` flushes per second."""
    cost, cpus = study.cost(strategy), study.scenario.machine.logical_cpus
    lost = value("host_loss", rate_per_s=rate, stolen_cpu_s_per_event=cost.priced.stolen_s, logical_cpus=cpus)
    found: Interval = interval_of(lost, "1", cost.extrapolated, cpus, cost.at_most)
    return found


def _overlap(study: Study, strategy: str, evidence: Evidence) -> list[Variant]:
    """A hook that flushes for every event of the process, against the kernel's, which tests for a memslot."""
    rate = study.cost(strategy).rate_per_s
    share, where = overlap_share(study.trigger.id, evidence)
    if rate is None or share is None:
        return []
    lost = _lost(study, strategy, rate / share)
    return [Variant("imprecise", study, strategy, _now(study, strategy), lost, share=share, where=where)]


def overlap_share(trigger: str, evidence: Evidence) -> tuple[float | None, str]:
    """Share of the events of `trigger` that met a memslot on the measured hosts, and where; None if none did."""
    seen = {host: profile.overlaps(trigger) for host, profile in sorted(evidence.hosts.items())}
    hosts = [host for host, (events, _) in seen.items() if events]
    events, hits = (sum(seen[host][i] for host in hosts) for i in (0, 1))
    if not hits:
        return None, ""
    return hits / events, f"{hits} of {events}, {', '.join(hosts)}"


def _spte(study: Study, ranged: str, whole: str) -> Variant:
    """KVM's own zaps per notifier event at which flushing every zapped leaf costs as much as the whole-cache flush."""
    costs = study.cost(ranged), study.cost(whole)
    zaps = numpy.maximum(0.0, costs[1].priced.stolen_s / costs[0].priced.stolen_s - 1.0)
    found: Interval = interval_of(zaps, "1", any(cost.extrapolated for cost in costs))
    return Variant("spte-zaps", study, ranged, None, found, against=whole)


def _user_va(study: Study, strategy: str) -> list[Variant]:
    """Flushes per hour whose user mapping another event has removed before they ran."""
    cost = study.cost(strategy)
    if cost.rate_per_s is None:
        return []
    same = min(1.0, 2.0 * range_fraction(study.scenario, study.trigger.id))
    missed = value("missed_flushes", rate_per_s=cost.rate_per_s, same_page_fraction=same, window_s=cost.priced.time_s)
    return [Variant("user-va-missed", study, strategy, None, interval_of(HOUR_S * missed, "1", cost.extrapolated))]
