"""What to do now and what would be worth patching, in words: title, caveat, state and source of each advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from costmodel.cost.scenario import Scenario
from costmodel.decision.advice import Drop, Gain, Patch, PinnedScans, Remedied, Step
from costmodel.decision.choice import Study
from costmodel.decision.result import Advice
from costmodel.errors import stated
from costmodel.kvm.catalog import GUESTS, STRATEGIES
from costmodel.kvm.releases import Release
from costmodel.numbers import P_BOUNDS, probability
from costmodel.report.names import title_on

UNTOLD = "how many of the events that were counted it stops, the count does not tell"
GOES_ON = (
    "the scan flushes for pages that it then leaves alone, and as it updates nothing it walks up to 8 ranges in a "
    "pass and gets no hint faults from that memory"
)
MARKS = (
    "the scan flushes for pages that cannot migrate: up to v6.18 it marks pinned huge pages all the same, each for a "
    "hint fault whose migration fails"
)
NOT_IN_WORKLOAD = "this workload has no such scans; with NUMA balancing on, the host makes them all the same"


def _advice(gain: Gain, **fields: Any) -> Advice:
    return Advice(
        triggers=[study.trigger.id for study in gain.studies],
        saves_cpu_s_per_s=gain.saved,
        saves_fraction=gain.share,
        **fields,
    )


def kernel(lead: Study | None) -> list[Advice]:
    """What the running kernel does at the headline trigger."""
    if lead is None or lead.chosen is None:
        return []
    cost = lead.cost(lead.chosen.strategy)
    return [
        Advice(
            id="kernel-does",
            kind="kernel",
            title=f"{_who(lead.scenario)} runs {title_on(lead.chosen.strategy, lead.scenario)}",
            triggers=[lead.trigger.id],
            saves_cpu_s_per_s=None,
            saves_fraction=None,
            caveat=cost.refused or "",
            status="in this kernel",
            source=lead.chosen.verdict.source,
        )
    ]


def _who(case: Scenario) -> str:
    return case.version if GUESTS[case.guest].has("upstream") else "The out-of-tree kernel of the 2023 thread"


def remedy(found: Remedied) -> Advice:
    """A remedy that needs no other kernel."""
    return _advice(
        found.gain,
        id=found.remedy.id,
        kind="remedy",
        title=found.remedy.title,
        caveat=found.remedy.caveat if found.counted else f"{UNTOLD}; {found.remedy.caveat}",
        status="available now",
        source=found.remedy.source,
        left_cpu_s_per_s=found.left,
    )


def step(found: Step | None) -> list[Advice]:
    """The one move to another kernel or guest type, if there is one."""
    if found is None:
        return []
    return [_move(found) if found.successor else _upgrade(found, stated(found.release, "a release to upgrade to"))]


def _upgrade(found: Step, release: Release) -> Advice:
    series = ".".join(map(str, release.version[:2]))
    caveats = []
    if found.mended:
        caveats.append(f"needed for correctness: this kernel can lose a flush at {_places(found.mended)}")
    if found.unmended:
        caveats.append(f"no release that was seen mends {_places(found.unmended)}")
    if found.opened:
        caveats.append(f"it can lose a flush at {_places(found.opened)}, which is new")
    if found.masked:
        caveats.append("the mask of CPUs that ran the guest only grows: it helps pinned guests most")
    return _advice(
        found.gain,
        id="upgrade-kernel",
        kind="upgrade",
        title=f"Upgrade the host kernel to {release.name} or a later {series}.y",
        caveat="; ".join(caveats),
        status=f"released ({release.kind}, seen {release.seen_on})",
        source=f"data/kvm/releases.csv ({release.source}); data/kvm/upstream_behaviour.csv; data/kvm/backports.csv",
    )


def _places(studies: Sequence[Study]) -> str:
    return ", ".join(study.trigger.title for study in studies)


def _move(found: Step) -> Advice:
    own, successor = GUESTS[found.gain.studies[0].scenario.guest], GUESTS[found.successor]
    needed = f" on {found.release.name} or newer" if found.release else ""
    return _advice(
        found.gain,
        id="move-guest-type",
        kind="guest",
        title=f"Move to {successor.title} (--guest {found.successor}){needed}",
        caveat=f"{successor.note}; {own.note}",
        status="in mainline",
        source="data/kvm/upstream_behaviour.csv",
    )


def patch(found: Patch) -> Advice:
    """A strategy that no kernel has at the triggers that it would be cheaper at."""
    entry = STRATEGIES[found.strategy]
    open_ones = sorted({name for verdict in found.verdicts for name in verdict.unknown})
    caveat = "; ".join(sorted({verdict.reason for verdict in found.verdicts}))
    if not found.counted:
        caveat = f"at how many of the events that were counted it would do, the count does not tell; {caveat}"
    if open_ones:
        caveat += f" (must hold: {', '.join(open_ones)})"
    return _advice(
        found.gain,
        id=found.strategy,
        kind="patch",
        title=title_on(found.strategy, found.gain.studies[0].scenario),
        caveat=caveat,
        status=entry.list_status,
        source=entry.source,
    )


def pinned_scans(found: PinnedScans | None) -> list[Advice]:
    """The kernel change that pinned guests would gain most from."""
    if found is None:
        return []
    return [
        _advice(
            found.gain,
            id="no-notifier-for-pinned-ranges",
            kind="patch",
            title="Raise no notifier for a range of pinned folios (mm: test them before the notifier of a NUMA scan)",
            caveat="; ".join([GOES_ON if found.goes_on else MARKS, *([] if found.in_workload else [NOT_IN_WORKLOAD])]),
            status="RFC by Yan Zhao, 2023-08 (MMU_NOTIFIER_RANGE_NUMA, then .numa_protect()), not merged",
            source=(
                "lkml.iu.edu/hypermail/linux/kernel/2308.1/03463.html; mm/mprotect.c change_pud_range() before "
                "folio_can_map_prot_numa(); kernel/sched/fair.c task_numa_work()"
            ),
        )
    ]


def measurements(found: Mapping[str, Drop | None], *, extrapolated: bool) -> list[str]:
    """What to measure next, each with what it would tell; `extrapolated` if P(best) rests on a prior by rule."""
    return [
        f"{what} ({_tells(drop, extrapolated) if drop else 'narrows the cost, not the choice'})"
        for what, drop in found.items()
    ]


def _tells(drop: Drop, extrapolated: bool) -> str:
    now, then = (probability(_bounded(p, extrapolated), extrapolated=extrapolated) for p in (drop.now, drop.then))
    return f"P(wrong strategy) would fall from {now} to {then} on average"


def _bounded(share: float, extrapolated: bool) -> float:
    return min(max(share, P_BOUNDS[0]), P_BOUNDS[1]) if extrapolated else share
