"""The kernel change that pinned guests would gain most from: no notifier for a range whose pages cannot be hinted at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from costmodel.decision.intervals import interval_of
from costmodel.decision.model import Advice
from costmodel.decision.policy import Study


def pinned_scan_advice(studies: Sequence[Study]) -> list[Advice]:
    """One item for the triggers whose pass fires the notifier, then skips every page and goes on to the next range."""
    hit = [study for study in studies if study.chosen and study.chosen.flushes and study.firing.again]
    costs = [study.cost(study.chosen.strategy) for study in hit]
    lost = [cost.host_cpu_s_per_s for cost in costs if cost.host_cpu_s_per_s is not None]
    if not lost:
        return []
    saved, cpus = numpy.minimum(sum(lost), costs[0].logical_cpus), costs[0].logical_cpus
    return [
        Advice(
            id="no-notifier-for-pinned-ranges",
            kind="patch",
            title="Raise no notifier for a range of pinned folios (mm: test them before the notifier of a NUMA scan)",
            triggers=[study.trigger.id for study in hit],
            saves_cpu_s_per_s=interval_of(saved, "1", any(cost.extrapolated for cost in costs), cpus),
            saves_fraction=1.0 if float(numpy.median(saved)) > 0 else None,
            caveat="the scan flushes for pages that it then leaves alone, and as it updates nothing it walks up to 8 ranges "
            "in a pass and gets no hint faults from that memory",
            status="RFC by Yan Zhao, 2023-08 (MMU_NOTIFIER_RANGE_NUMA, then .numa_protect()), not merged",
            source="lkml.iu.edu/hypermail/linux/kernel/2308.1/03463.html; mm/mprotect.c change_pud_range() before folio_can_map_prot_numa(); kernel/sched/fair.c task_numa_work()",
        )
    ]
