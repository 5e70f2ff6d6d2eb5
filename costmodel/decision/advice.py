"""What to do now (kernel, remedies, upgrade) and what would be worth patching, with what each saves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy

from costmodel.calibration.parameters import ParameterSet
from costmodel.cost.draws import Case, uniforms
from costmodel.cost.event import title_on
from costmodel.cost.scenario import Scenario
from costmodel.cost.total import Total, total
from costmodel.decision.choice import Study, dominates, running_strategies
from costmodel.decision.estimates import interval_of
from costmodel.decision.result import Advice, Interval, Sensitivity
from costmodel.errors import stated
from costmodel.kvm import kernels
from costmodel.kvm.catalog import GUESTS, STRATEGIES, Guest
from costmodel.kvm.decisions import Remedy, remedies
from costmodel.kvm.releases import Release, releases
from costmodel.numbers import P_BOUNDS, probability


def _loss(costs: Sequence[Total]) -> numpy.ndarray | None:
    """Host CPU-seconds per second over the triggers that have a number."""
    rows = [cost.host_cpu_s_per_s for cost in costs if cost.host_cpu_s_per_s is not None]
    return _sum(rows)


def _sum(rows: Sequence[numpy.ndarray]) -> numpy.ndarray | None:
    return sum(rows, start=numpy.zeros(())) if rows else None


def _advice(studies: Sequence[Study], saved: numpy.ndarray | None, extrapolated: bool, **fields: Any) -> Advice:
    loss = _loss([s.cost(s.chosen.strategy) for s in studies if s.chosen])
    share = None
    if saved is not None and (whole := float(numpy.median(stated(loss, "what the host loses")))) > 0:
        share = float(numpy.median(saved)) / whole
    return Advice(
        saves_cpu_s_per_s=interval_of(saved, "1", extrapolated, float(studies[0].scenario.machine.logical_cpus))
        if saved is not None
        else None,
        saves_fraction=share,
        triggers=[s.trigger.id for s in studies],
        **fields,
    )


def remedy_advice(studies: Sequence[Study]) -> list[Advice]:
    """Non-flush remedies that apply to a trigger whose flush costs something here; the one after which least is left
    comes first.
    """
    whole = _loss([s.cost(s.chosen.strategy) for s in studies if s.chosen])
    costly = [s for s in studies if s.chosen and STRATEGIES[s.chosen.strategy].instruction != "none"]
    found = []
    for remedy in remedies():
        hit = [
            s
            for s in costly
            if remedy.applies_to(s.scenario.guest, s.trigger) and s.scenario.workload.load(s.trigger.id)
        ]
        if not hit or not remedy.works_in(hit[0].scenario.kernel):
            continue
        if remedy.effect == "pin_vcpus" and not any(map(_is_masked, hit)):
            continue
        known = not any(s.scenario.stands_for_all(s.trigger.id) for s in hit)
        saved = _pinning(hit) if remedy.effect == "pin_vcpus" else _stopped(hit, remedy) if known else None
        if saved is not None and not numpy.median(saved) > 0:
            continue
        marked = any(s.cost(s.picked.strategy).extrapolated for s in hit)
        found.append(
            _advice(
                hit,
                saved,
                marked,
                id=remedy.id,
                kind="remedy",
                title=remedy.title,
                caveat=remedy.caveat if known or saved is not None else f"{UNTOLD}; {remedy.caveat}",
                status="available now",
                source=remedy.source,
                left_cpu_s_per_s=None
                if saved is None or whole is None
                else _left(whole, saved, marked, hit[0].scenario),
            )
        )
    return sorted(found, key=lambda a: a.left_cpu_s_per_s.median if a.left_cpu_s_per_s else math.inf)


NEEDED = "needed for correctness"
UNTOLD = "how many of the events that were counted it stops, the count does not tell"


def _left(whole: numpy.ndarray, saved: numpy.ndarray, extrapolated: bool, case: Scenario) -> Interval:
    """What is left of the loss at all triggers that have a rate, draw by draw."""
    left = numpy.asarray(numpy.maximum(0.0, whole - saved))
    found: Interval = interval_of(left, "1", extrapolated, case.machine.logical_cpus)
    return found


def _stopped(studies: Sequence[Study], remedy: Remedy) -> numpy.ndarray | None:
    if remedy.effect != "stops":
        return None
    return _loss([s.cost(s.picked.strategy) for s in studies])


def _is_masked(study: Study) -> bool:
    return STRATEGIES[study.picked.strategy].scope == "mask"


def _pinning(studies: Sequence[Study]) -> numpy.ndarray | None:
    """Loss with the mask of an unpinned guest minus the loss with one CPU per vCPU."""
    masked = [s for s in studies if _is_masked(s)]
    before = _loss([s.cost(s.picked.strategy) for s in masked])
    if before is None:
        return None
    pinned = [
        total(
            Case(
                s.trigger.id,
                replace(s.scenario, cpus_that_ran=float(min(s.scenario.vcpus, s.scenario.machine.logical_cpus))),
                s.draws,
            ),
            s.picked.strategy,
        )
        for s in masked
    ]
    after = _loss(pinned)
    return None if after is None else numpy.asarray(before - after)


@dataclass(frozen=True)
class _Step:
    """What another kernel, or another guest type on it, changes: what it fixes, does otherwise and saves."""

    release: Release | None
    fixed: list[Study]
    opened: list[Study]
    changed: list[Study]
    masked: bool
    saved: list[numpy.ndarray]
    extrapolated: bool

    @property
    def rank(self) -> tuple[int, float]:
        """More lost flushes mended, and none new, comes first; then more time saved."""
        return len(self.fixed) - len(self.opened), float(numpy.median(sum(self.saved))) if self.saved else 0.0


def upgrade_advice(studies: Sequence[Study]) -> list[Advice]:
    """A released kernel of a maintained series, or the guest type that mainline has instead, if it does something
    cheaper or safer: the one that mends most, then saves most, then is the smallest step.
    """
    if not studies:
        return []
    case = studies[0].scenario
    successor = GUESTS[case.guest].successor
    if successor and kernels.hosts(successor, case.kernel):
        targets: list[tuple[Release | None, Scenario]] = [(None, replace(case, guest=successor))]
    else:
        newer = [release for release in releases() if release.version > case.release]
        targets = [(one, replace(case.on(one.name), guest=successor or case.guest)) for one in newer]
    steps = [_step(studies, release, there) for release, there in targets]
    best = max((step for step in steps if step.changed), key=lambda step: step.rank, default=None)
    if best is None:
        return []
    return [_move(GUESTS[successor], best)] if successor else [_upgrade(studies, best)]


def _step(studies: Sequence[Study], release: Release | None, there: Scenario) -> _Step:
    step = _Step(release, [], [], [], False, [], False)
    masked, extrapolated = False, False
    for study in studies:
        newer = Study(study.trigger, there, study.draws)
        if newer.unsafe_running and not study.unsafe_running:
            step.opened.append(study)
        if newer.chosen is None:
            continue
        if study.unsafe_running:
            step.fixed.append(study)
            step.changed.append(study)
            continue
        if study.chosen is None or newer.chosen.strategy == study.chosen.strategy:
            continue
        step.changed.append(study)
        masked = masked or STRATEGIES[newer.chosen.strategy].scope == "mask"
        old, new = study.cost(study.chosen.strategy), newer.cost(newer.chosen.strategy)
        if old.host_cpu_s_per_s is not None and new.host_cpu_s_per_s is not None:
            step.saved.append(old.host_cpu_s_per_s - new.host_cpu_s_per_s)
            extrapolated = extrapolated or old.extrapolated or new.extrapolated
    return replace(step, masked=masked, extrapolated=extrapolated)


def _upgrade(studies: Sequence[Study], step: _Step) -> Advice:
    release = stated(step.release, "a release to upgrade to")
    series = ".".join(map(str, release.version[:2]))
    caveats = []
    if step.fixed:
        where = ", ".join(s.trigger.title for s in step.fixed)
        caveats.append(f"{NEEDED}: this kernel can lose a flush at {where}")
    if left := [s.trigger.title for s in studies if s.unsafe_running and s not in step.fixed]:
        caveats.append(f"no release that was seen mends {', '.join(left)}")
    if step.opened:
        caveats.append(f"it can lose a flush at {', '.join(s.trigger.title for s in step.opened)}, which is new")
    if step.masked:
        caveats.append("the mask of CPUs that ran the guest only grows: it helps pinned guests most")
    return _advice(
        step.changed,
        _sum(step.saved),
        step.extrapolated,
        id="upgrade-kernel",
        kind="upgrade",
        title=f"Upgrade the host kernel to {release.name} or a later {series}.y",
        caveat="; ".join(caveats),
        status=f"released ({release.kind}, seen {release.seen_on})",
        source=f"data/kvm/releases.csv ({release.source}); data/kvm/upstream_behaviour.csv; data/kvm/backports.csv",
    )


def _move(successor: Guest, step: _Step) -> Advice:
    own = GUESTS[step.changed[0].scenario.guest]
    needed = f" on {step.release.name} or newer" if step.release else ""
    return _advice(
        step.changed,
        _sum(step.saved),
        step.extrapolated,
        id="move-guest-type",
        kind="guest",
        title=f"Move to {successor.title}{needed}",
        caveat=f"{successor.note}; {own.note}",
        status="in mainline",
        source="data/kvm/upstream_behaviour.csv",
    )


def patch_advice(studies: Sequence[Study]) -> list[Advice]:
    """Strategies that the kernel does not have at a trigger and that would cost less: worth patching, never a
    headline.
    """
    grouped: dict[str, list[Study]] = {}
    for study in studies:
        for strategy in _cheaper(study):
            grouped.setdefault(strategy, []).append(study)
    return [_patch(strategy, hit) for strategy, hit in sorted(grouped.items())]


SKIP_PREFERENCE = ("unreachable", "event", "coherent", "always")
"""Several reasons to flush nothing cost the same; the first that holds is named."""


def _cheaper(study: Study) -> list[str]:
    """Strategies that are not ruled out, not used here, and cheaper at the medians than what the kernel does."""
    if study.chosen is None or not study.firing.fires or study.cost(study.chosen.strategy).refused:
        return []
    own = numpy.median(study.cost(study.chosen.strategy).priced.stolen_s)
    latest = running_strategies(study.scenario.on("newest"), study.trigger.id)
    open_ones = [
        c.strategy
        for c in study.candidates
        if not c.running
        and c.strategy not in latest
        and c.verdict.label != "no"
        and c.verdict.state != "inadmissible"
        and study.cost(c.strategy).refused is None
        and numpy.median(study.cost(c.strategy).priced.stolen_s) < own
    ]
    skips = sorted(
        (s for s in open_ones if STRATEGIES[s].skips), key=lambda s: SKIP_PREFERENCE.index(STRATEGIES[s].skips)
    )
    flushing = [s for s in open_ones if not STRATEGIES[s].skips]
    return [s for s in flushing if not any(dominates(other, s) for other in flushing)] + skips[:1]


def _patch(strategy: str, studies: Sequence[Study]) -> Advice:
    verdicts = {s.trigger.id: next(c.verdict for c in s.candidates if c.strategy == strategy) for s in studies}
    open_ones = sorted({name for verdict in verdicts.values() for name in verdict.unknown})
    pairs = [(s.cost(s.picked.strategy).host_cpu_s_per_s, s.cost(strategy).host_cpu_s_per_s) for s in studies]
    rows = [now - then for now, then in pairs if now is not None and then is not None]
    marked = any(s.cost(s.picked.strategy).extrapolated or s.cost(strategy).extrapolated for s in studies)
    entry = STRATEGIES[strategy]
    known = entry.whole_cache or not any(s.scenario.stands_for_all(s.trigger.id) for s in studies)
    caveat = "; ".join(sorted({verdict.reason for verdict in verdicts.values()}))
    if not known:
        caveat = f"at how many of the events that were counted it would do, the count does not tell; {caveat}"
    if open_ones:
        caveat += f" (must hold: {', '.join(open_ones)})"
    return _advice(
        studies,
        _sum(rows) if known else None,
        marked,
        id=strategy,
        kind="patch",
        title=title_on(strategy, studies[0].scenario),
        caveat=caveat,
        status=entry.list_status,
        source=entry.source,
    )


# The kernel change that pinned guests would gain most from: no notifier for a range whose pages cannot be hinted at.


def pinned_scan_advice(studies: Sequence[Study]) -> list[Advice]:
    """One item for the triggers whose pass over pinned memory fires the notifier before it looks at a page: where the
    workload makes them, or where what it makes cannot happen, so that they are what is left to argue about.
    """
    impossible = any(s.scenario.pulls(s.trigger.id) and not s.firing.fires for s in studies)
    hit = [study for study in studies if study.chosen and study.chosen.flushes and _scans_pinned(study)]
    costs = [study.cost(study.picked.strategy) for study in hit]
    lost = [cost.host_cpu_s_per_s for cost in costs if cost.host_cpu_s_per_s is not None]
    if not hit or not (lost or impossible):
        return []
    cpus = costs[0].logical_cpus
    saved = numpy.minimum(sum(lost, start=numpy.zeros(())), cpus) if lost else None
    known = saved is not None and not any(study.scenario.stands_for_all(study.trigger.id) for study in hit)
    return [
        Advice(
            id="no-notifier-for-pinned-ranges",
            kind="patch",
            title="Raise no notifier for a range of pinned folios (mm: test them before the notifier of a NUMA scan)",
            triggers=[study.trigger.id for study in hit],
            saves_cpu_s_per_s=interval_of(saved, "1", any(cost.extrapolated for cost in costs), cpus)
            if known
            else None,
            saves_fraction=1.0 if known and saved is not None and float(numpy.median(saved)) > 0 else None,
            caveat="; ".join(filter(None, [_why(hit), "" if lost else NOT_IN_WORKLOAD])),
            status="RFC by Yan Zhao, 2023-08 (MMU_NOTIFIER_RANGE_NUMA, then .numa_protect()), not merged",
            source=(
                "lkml.iu.edu/hypermail/linux/kernel/2308.1/03463.html; mm/mprotect.c change_pud_range() before "
                "folio_can_map_prot_numa(); kernel/sched/fair.c task_numa_work()"
            ),
        )
    ]


GOES_ON = (
    "the scan flushes for pages that it then leaves alone, and as it updates nothing it walks up to 8 ranges in a "
    "pass and gets no hint faults from that memory"
)
MARKS = (
    "the scan flushes for pages that cannot migrate: up to v6.18 it marks pinned huge pages all the same, each for a "
    "hint fault whose migration fails"
)
NOT_IN_WORKLOAD = "this workload has no such scans; with NUMA balancing on, the host makes them all the same"


def _scans_pinned(study: Study) -> bool:
    pinned = study.scenario.setup.pinned and study.firing.fires
    return pinned and any(cause.goes_on for cause in study.trigger.causes)


def _why(hit: Sequence[Study]) -> str:
    return GOES_ON if any(study.firing.again for study in hit) else MARKS


# What to measure next: the parameter whose knowledge would lower the probability of choosing wrongly the most.

SLICES = 64
"""Parts of the joint distribution within which the parameters of a measurement count as known."""
ENOUGH_SOBOL = 0.05
ENOUGH_DROP = 0.005
"""A drop below this is sampling noise at 4096 draws."""


@dataclass(frozen=True)
class Drop:
    """P(wrong) as it is, and expected once `measurement` has been made."""

    measurement: str
    now: float
    then: float


def drops(study: Study, parameters: ParameterSet) -> list[Drop]:
    """Expected drop of P(wrong strategy) per measurement, largest first; empty where cost does not decide.

    A measurement tells all parameters that name it. What slicing at random would seem to tell is taken off.
    """
    if study.comparison is None:
        return []
    costs = study.costed
    best = numpy.argmin(numpy.stack([cost.priced.stolen_s for cost in costs.values()]), axis=0)
    now = 1.0 - float(numpy.bincount(best).max()) / len(best)
    told: dict[str, list[str]] = {}
    for name in sorted({name for cost in costs.values() for name in cost.parameters}):
        if parameters[name].distribution.shape != "fixed":
            told.setdefault(parameters[name].next_measurement, []).append(name)
    found = []
    for measurement, names in told.items():
        known = _wrong_within(best, _slices(names, study.draws.n))
        chance = _wrong_within(best, _slices([f"unrelated to {name}" for name in names], study.draws.n))
        found.append(Drop(measurement, now, now - max(0.0, chance - known)))
    return sorted(found, key=lambda drop: (drop.then, drop.measurement))


def _slices(names: Sequence[str], n: int) -> numpy.ndarray:
    """Index of the slice of each draw: the joint distribution of the parameters cut into about SLICES parts."""
    each = max(2, round(SLICES ** (1 / len(names))))
    index = numpy.zeros(n, dtype=int)
    for name in names:
        index = index * each + numpy.minimum((uniforms(name, n) * each).astype(int), each - 1)
    return index


def _wrong_within(best: numpy.ndarray, slices: numpy.ndarray) -> float:
    """Share of the draws in which the most frequent winner of their slice does not win."""
    counts = numpy.zeros((slices.max() + 1, best.max() + 1))
    numpy.add.at(counts, (slices, best), 1)
    return 1.0 - float(counts.max(axis=1).sum()) / len(best)


def measure_next(study: Study | None, parameters: ParameterSet, ranked: Sequence[Sensitivity]) -> list[str]:
    """Measurements, each once: by the drop of P(wrong) where cost decides, then by what moves the cost most
    (`ranked`).
    """
    if study is None or study.chosen is None:
        return []
    found: dict[str, str] = {}
    for drop in drops(study, parameters):
        if drop.now - drop.then >= ENOUGH_DROP:
            marked = stated(study.comparison, "what is compared").extrapolated
            now, then = (probability(_bounded(p, marked), extrapolated=marked) for p in (drop.now, drop.then))
            found[drop.measurement] = f"P(wrong strategy) would fall from {now} to {then} on average"
    for entry in ranked:
        if entry.sobol_total > ENOUGH_SOBOL:
            found.setdefault(parameters[entry.parameter].next_measurement, "narrows the cost, not the choice")
    return [f"{what} ({why})" for what, why in found.items()]


def _bounded(share: float, extrapolated: bool) -> float:
    return min(max(share, P_BOUNDS[0]), P_BOUNDS[1]) if extrapolated else share
