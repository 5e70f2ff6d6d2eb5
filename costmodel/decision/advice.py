"""What can be done (remedies, another kernel or guest type, patches, measurements), and what each of it saves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy

from costmodel.calibration.parameters import ParameterSet
from costmodel.cost.draws import Case, uniforms
from costmodel.cost.scenario import Scenario
from costmodel.cost.total import Total, total
from costmodel.decision.choice import Study, dominates, running_strategies
from costmodel.decision.estimates import interval_of
from costmodel.decision.result import Interval, Sensitivity
from costmodel.errors import stated
from costmodel.kvm import kernels
from costmodel.kvm.admissibility import Verdict
from costmodel.kvm.catalog import GUESTS, STRATEGIES
from costmodel.kvm.kernels import Remedy, remedies
from costmodel.kvm.releases import Release, releases


def _loss(costs: Sequence[Total]) -> numpy.ndarray | None:
    """Host CPU-seconds per second over the triggers that have a number."""
    rows = [cost.host_cpu_s_per_s for cost in costs if cost.host_cpu_s_per_s is not None]
    return _sum(rows)


def _sum(rows: Sequence[numpy.ndarray]) -> numpy.ndarray | None:
    return sum(rows, start=numpy.zeros(())) if rows else None


@dataclass(frozen=True)
class Gain:
    """What something that concerns the triggers of `studies` takes off the host's loss: as CPUs, and as a share of the
    loss at those triggers. None where that is not known.
    """

    studies: tuple[Study, ...]
    saved: Interval | None
    share: float | None

    def pays_at(self, study: Study) -> bool:
        """Whether it is known to save something at the trigger of `study`."""
        hit = any(one.trigger.id == study.trigger.id for one in self.studies)
        return hit and self.saved is not None and self.saved.median > 0


def _gain(studies: Sequence[Study], saved: numpy.ndarray | None, extrapolated: bool) -> Gain:
    loss = _loss([s.cost(s.chosen.strategy) for s in studies if s.chosen])
    share = None
    if saved is not None and (whole := float(numpy.median(stated(loss, "what the host loses")))) > 0:
        share = float(numpy.median(saved)) / whole
    cpus = float(studies[0].scenario.machine.logical_cpus)
    return Gain(tuple(studies), interval_of(saved, "1", extrapolated, cpus), share)


@dataclass(frozen=True)
class Remedied:
    """A remedy with its gain, and what the triggers with a rate still take after it. Not `counted`: what it meets are
    counted events of unknown cause, and how many of them it stops is not known.
    """

    remedy: Remedy
    gain: Gain
    left: Interval | None
    counted: bool


def remedied(studies: Sequence[Study]) -> list[Remedied]:
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
        left = None if saved is None or whole is None else _left(whole, saved, marked, hit[0].scenario)
        found.append(Remedied(remedy, _gain(hit, saved, marked), left, known or saved is not None))
    return sorted(found, key=lambda one: one.left.median if one.left else math.inf)


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
class Step:
    """What another kernel `release`, or the guest type `successor` (on it, where it takes one), changes: at which
    triggers it no longer loses a flush, at which it does and now none is lost, at which that stays, and whether it
    flushes by a mask where it does otherwise.
    """

    release: Release | None
    successor: str
    mended: tuple[Study, ...]
    opened: tuple[Study, ...]
    unmended: tuple[Study, ...]
    masked: bool
    gain: Gain


@dataclass(frozen=True)
class _Tried:
    """A step before it is chosen: what it mends, opens, does otherwise and saves."""

    release: Release | None
    mended: list[Study]
    opened: list[Study]
    changed: list[Study]
    masked: bool
    saved: list[numpy.ndarray]
    extrapolated: bool

    @property
    def rank(self) -> tuple[int, float]:
        """More lost flushes mended, and none new, comes first; then more time saved."""
        return len(self.mended) - len(self.opened), float(numpy.median(sum(self.saved))) if self.saved else 0.0


def best_step(studies: Sequence[Study]) -> Step | None:
    """A released kernel of a maintained series, or the guest type that mainline has instead, if it does something
    cheaper or safer: the one that mends most, then saves most, then is the smallest step.
    """
    if not studies:
        return None
    case = studies[0].scenario
    successor = GUESTS[case.guest].successor
    if successor and kernels.hosts(successor, case.kernel):
        targets: list[tuple[Release | None, Scenario]] = [(None, replace(case, guest=successor))]
    else:
        newer = [release for release in releases() if release.version > case.release]
        targets = [(one, replace(case.on(one.name), guest=successor or case.guest)) for one in newer]
    tried = [_tried(studies, release, there) for release, there in targets]
    best = max((one for one in tried if one.changed), key=lambda one: one.rank, default=None)
    if best is None:
        return None
    return Step(
        release=best.release,
        successor=successor,
        mended=tuple(best.mended),
        opened=tuple(best.opened),
        unmended=tuple(s for s in studies if s.unsafe_running and s not in best.mended),
        masked=best.masked,
        gain=_gain(best.changed, _sum(best.saved), best.extrapolated),
    )


def _tried(studies: Sequence[Study], release: Release | None, there: Scenario) -> _Tried:
    step = _Tried(release, [], [], [], False, [], False)
    masked, extrapolated = False, False
    for study in studies:
        newer = Study(study.trigger, there, study.draws)
        if newer.unsafe_running and not study.unsafe_running:
            step.opened.append(study)
        if newer.chosen is None:
            continue
        if study.unsafe_running:
            step.mended.append(study)
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


@dataclass(frozen=True)
class Patch:
    """A strategy that the kernel does not have at a trigger and that would cost less. `verdicts` say by trigger why it
    would be safe. Not `counted`: at how many of the counted events of unknown cause it would do is not known.
    """

    strategy: str
    gain: Gain
    verdicts: tuple[Verdict, ...]
    counted: bool


def patches(studies: Sequence[Study]) -> list[Patch]:
    """What is worth patching, never a headline."""
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


def _patch(strategy: str, studies: Sequence[Study]) -> Patch:
    pairs = [(s.cost(s.picked.strategy).host_cpu_s_per_s, s.cost(strategy).host_cpu_s_per_s) for s in studies]
    rows = [now - then for now, then in pairs if now is not None and then is not None]
    marked = any(s.cost(s.picked.strategy).extrapolated or s.cost(strategy).extrapolated for s in studies)
    counted = STRATEGIES[strategy].whole_cache or not any(s.scenario.stands_for_all(s.trigger.id) for s in studies)
    verdicts = tuple(next(c.verdict for c in s.candidates if c.strategy == strategy) for s in studies)
    return Patch(strategy, _gain(studies, _sum(rows) if counted else None, marked), verdicts, counted)


# The kernel change that pinned guests would gain most from: no notifier for a range whose pages cannot be hinted at.


@dataclass(frozen=True)
class PinnedScans:
    """What it would gain to raise no notifier for pinned memory. `in_workload`: the workload makes such passes;
    `goes_on`: a pass that updated nothing goes on to the next range.
    """

    gain: Gain
    in_workload: bool
    goes_on: bool


def pinned_scans(studies: Sequence[Study]) -> PinnedScans | None:
    """The gain at the triggers whose pass over pinned memory fires the notifier before it looks at a page: where the
    workload makes them, or where what it makes cannot happen, so that they are what is left to argue about.
    """
    impossible = any(s.scenario.pulls(s.trigger.id) and not s.firing.fires for s in studies)
    hit = [study for study in studies if study.chosen and study.chosen.flushes and _scans_pinned(study)]
    costs = [study.cost(study.picked.strategy) for study in hit]
    lost = [cost.host_cpu_s_per_s for cost in costs if cost.host_cpu_s_per_s is not None]
    if not hit or not (lost or impossible):
        return None
    cpus = costs[0].logical_cpus
    saved = numpy.minimum(sum(lost, start=numpy.zeros(())), cpus) if lost else None
    goes_on = any(study.firing.again for study in hit)
    if saved is None or any(study.scenario.stands_for_all(study.trigger.id) for study in hit):
        return PinnedScans(Gain(tuple(hit), None, None), bool(lost), goes_on)
    gained = interval_of(saved, "1", any(cost.extrapolated for cost in costs), cpus)
    gain = Gain(tuple(hit), gained, 1.0 if float(numpy.median(saved)) > 0 else None)
    return PinnedScans(gain, bool(lost), goes_on)


def _scans_pinned(study: Study) -> bool:
    pinned = study.scenario.setup.pinned and study.firing.fires
    return pinned and any(cause.goes_on for cause in study.trigger.causes)


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


def worth_measuring(
    study: Study | None, parameters: ParameterSet, ranked: Sequence[Sensitivity]
) -> dict[str, Drop | None]:
    """Measurements: by the drop of P(wrong) where cost decides, then those that narrow the cost only, by what moves it
    most (`ranked`).
    """
    if study is None or study.chosen is None:
        return {}
    found: dict[str, Drop | None] = {
        drop.measurement: drop for drop in drops(study, parameters) if drop.now - drop.then >= ENOUGH_DROP
    }
    for entry in ranked:
        if entry.sobol_total > ENOUGH_SOBOL:
            found.setdefault(parameters[entry.parameter].next_measurement, None)
    return found
