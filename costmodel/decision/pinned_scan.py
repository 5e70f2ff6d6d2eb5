"""The kernel change that pinned guests would gain most from: no notifier for a range whose pages cannot be hinted at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from costmodel.decision.intervals import interval_of
from costmodel.decision.model import Advice
from costmodel.decision.policy import Study


def pinned_scan_advice(studies: Sequence[Study]) -> list[Advice]:
    """One item for the triggers whose pass over pinned memory fires the notifier before it looks at a page: where the
    workload makes them, or where what it makes cannot happen, so that they are what is left to argue about.
    """
    impossible = any(s.scenario.pulls(s.trigger.id) and not s.firing.fires for s in studies)
    hit = [study for study in studies if study.chosen and study.chosen.flushes and _scans_pinned(study)]
    costs = [study.cost(study.chosen.strategy) for study in hit]
    lost = [cost.host_cpu_s_per_s for cost in costs if cost.host_cpu_s_per_s is not None]
    if not hit or not (lost or impossible):
        return []
    cpus = costs[0].logical_cpus
    saved = numpy.minimum(sum(lost), cpus) if lost else None
    known = lost and not any(study.scenario.stands_for_all(study.trigger.id) for study in hit)
    return [
        Advice(
            id="no-notifier-for-pinned-ranges",
            kind="patch",
            title="Raise no notifier for a range of pinned folios (mm: test them before the notifier of a NUMA scan)",
            triggers=[study.trigger.id for study in hit],
            saves_cpu_s_per_s=interval_of(saved, "1", any(cost.extrapolated for cost in costs), cpus)
            if known
            else None,
            saves_fraction=1.0 if known and float(numpy.median(saved)) > 0 else None,
            caveat="; ".join(filter(None, [_why(hit), "" if lost else NOT_IN_WORKLOAD])),
            status="RFC by Yan Zhao, 2023-08 (MMU_NOTIFIER_RANGE_NUMA, then .numa_protect()), not merged",
            source="lkml.iu.edu/hypermail/linux/kernel/2308.1/03463.html; mm/mprotect.c change_pud_range() before folio_can_map_prot_numa(); kernel/sched/fair.c task_numa_work()",
        )
    ]


GOES_ON = (
    "the scan flushes for pages that it then leaves alone, and as it updates nothing it walks up to 8 ranges in a pass and "
    "gets no hint faults from that memory"
)
MARKS = (
    "the scan flushes for pages that cannot migrate: up to v6.18 it marks pinned huge pages all the same, each for a hint "
    "fault whose migration fails"
)
NOT_IN_WORKLOAD = "this workload has no such scans; with NUMA balancing on, the host makes them all the same"


def _scans_pinned(study: Study) -> bool:
    pinned = study.scenario.setup.pinned and study.firing.fires
    return pinned and any(cause.goes_on for cause in study.trigger.causes)


def _why(hit: Sequence[Study]) -> str:
    return GOES_ON if any(study.firing.again for study in hit) else MARKS
