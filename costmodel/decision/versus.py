"""Two kernels or two strategies side by side, paired over joint draws, with what can be told apart and what cannot; and the
steps between two kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy

from costmodel.calibration.parameters import parameters_of
from costmodel.cost.draws import CASE_DRAWS, Draws
from costmodel.cost.scenario import Scenario, not_applicable, scenario
from costmodel.cost.total import Total
from costmodel.decision.choice import Study, from_kernel, needs
from costmodel.decision.estimates import HOST_CPUS, paired, rows_of
from costmodel.decision.result import Kind, State, VersusChange, VersusDecision, VersusRow, VersusSide, VersusTrigger
from costmodel.errors import BadInput, NotApplicable
from costmodel.evidence.store import Evidence
from costmodel.evidence.workloads import DEFAULT as DEFAULT_WORKLOAD
from costmodel.kvm import kernels
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS, Trigger, triggers_of
from costmodel.kvm.kernels import placement_for
from costmodel.kvm.releases import dotted, own_fixes

# What the kernels do about one trigger: the steps between two of their ranges, and the spans that flush alike.


def introduced(guest: str) -> str:
    """The range before the first that runs `guest`: what came with the guest type is decided after it."""
    names = list(kernels.KERNELS)
    first = next(i for i, kernel in enumerate(names) if kernels.hosts(guest, kernel))
    return names[max(0, first - 1)]


def steps(guest: str, trigger: str, base: str, new: str) -> list[VersusChange]:
    """What changed between two catalogued ranges, oldest first, each with the first range that has it and its
    decisions.

    The order of the two ranges does not matter. A hook that moves is a step only where a decision moved it.
    """
    found = []
    for before, after in pairwise(kernels.mainline(base, new)):
        was, now = (kernels.upstream(guest, trigger, name) for name in (before, after))
        if now is None:
            continue
        place = placement_for(guest, trigger, after)
        if was is None or was.strategies != now.strategies:
            behind = kernels.changes(guest, trigger, before, after)
        elif place != placement_for(guest, trigger, before):
            behind = kernels.moved(guest, trigger, after)
            if not behind:
                continue
        else:
            continue
        found.append(
            VersusChange(
                kernel=after,
                strategy="|".join(now.strategies),
                placement=place,
                decisions=[
                    VersusDecision(
                        number=one.number, commits=list(one.commits), title=one.title or one.effect, source=one.source
                    )
                    for one in behind
                ],
                source=now.locator,
            )
        )
    return found


# What each kernel does about one trigger, adjacent kernels that do the same together: what the rows of a mail are
# about.

OUT_OF_TREE, ASKED = "out of tree", "for comparison"


@dataclass(frozen=True)
class Piece:
    """The part of a kernel range in which the trigger's events come alike: its first and last release in words, and its
    last release as `Scenario.on` takes it.
    """

    kernel: str
    first: str
    last: str
    version: str


def pieces(trigger: str, kernel: str) -> list[Piece]:
    """A catalogued range, cut where a release changed how events of the trigger come about, oldest first."""
    whole = kernels.KERNELS[kernel]
    start, end = whole.first, whole.stands_for
    cuts = sorted({cause.since for cause in TRIGGERS[trigger].causes if start < cause.since <= end})
    words = [whole.first_name, *(f"v{dotted(cut)}" for cut in cuts)]
    before = [(cut[0], cut[1] - 1, 0) for cut in cuts]
    return [
        Piece(kernel, first, f"v{dotted(last)}" if last in before else whole.last_name, dotted(last))
        if cuts
        else Piece(kernel, first, whole.last_name, kernel)
        for first, last in zip(words, [*before, end], strict=True)
    ]


@dataclass(frozen=True)
class Span:
    """Adjacent releases in which a guest type gets the same strategy as often; `asked` is a strategy outside any
    kernel.
    """

    guest: str
    pieces: tuple[Piece, ...]
    strategy: str
    state: State
    note: str = ""
    asked: bool = False
    again: bool = False

    @property
    def ranges(self) -> tuple[str, ...]:
        """The catalogued ranges that it lies in."""
        return tuple(dict.fromkeys(piece.kernel for piece in self.pieces))

    @property
    def where(self) -> str:
        """`v5.18-v6.16`, `v6.17 on`, `out of tree`, or `for comparison` of a strategy that was asked for."""
        if self.asked:
            return ASKED
        if not GUESTS[self.guest].has("upstream"):
            return OUT_OF_TREE
        shown = [piece for piece in self.pieces if kernels.KERNELS[piece.kernel].mainline] or list(self.pieces)
        first, last = shown[0].first, shown[-1].last
        if GUESTS[self.guest].has("keyid_keyed"):
            first = kernels.TDX_FIRST if shown[0].kernel == kernels.TDX_RANGE else first
        if shown[-1].kernel == kernels.newest() and len(shown) > 1:
            return f"{first} on"
        return first if first == last else f"{first}-{last}"


def spans_of(case: Scenario, trigger: str, draws: Draws, versions: Sequence[str]) -> list[Span]:
    """What the kernels do for a guest type, in the order of `versions` or else oldest first.

    Adjacent releases with the same strategy, whose events come as often, are one, unless they are asked for; out of
    tree they always are.
    """
    if not TRIGGERS[trigger].occurs_with(GUESTS[case.guest]):
        return []
    apart = bool(versions) and GUESTS[case.guest].has("upstream")
    found: list[Span] = []
    for piece in _asked_pieces(trigger, versions) if versions else _all_pieces(trigger):
        study = Study(TRIGGERS[trigger], case.on(piece.version), draws)
        running = [c for c in study.candidates if c.running]
        done = study.chosen or next((c for c in running if c.verdict.state == "undecided"), None)
        if done is None and versions and running:
            done = running[0]
        if done is None:
            continue
        state, again = done.verdict.state, study.firing.again and STRATEGIES[done.strategy].instruction != "none"
        alike = found and (found[-1].strategy, found[-1].state, found[-1].again) == (done.strategy, state, again)
        if alike and not apart:
            found[-1] = replace(found[-1], pieces=(*found[-1].pieces, piece))
        else:
            note = "" if done.safe else done.verdict.reason
            found.append(Span(case.guest, (piece,), done.strategy, state, note, again=again))
    return found


def _all_pieces(trigger: str) -> list[Piece]:
    return [piece for kernel in kernels.KERNELS for piece in pieces(trigger, kernel)]


def _asked_pieces(trigger: str, versions: Sequence[str]) -> list[Piece]:
    """The piece of each version that a user names; of a range its last one."""
    found = []
    for version in versions:
        parts = pieces(trigger, kernels.resolve(version))
        release = kernels.release(version)
        part = next((one for one in parts if release <= kernels.release(one.version)), parts[-1])
        found.append(replace(part, version=version))
    return list({(piece.kernel, piece.first): piece for piece in found}.values())


def asked_for(case: Scenario, trigger: str, draws: Draws, name: str) -> Span:
    """A strategy that the user wants beside what kernels do, judged on the newest kernel."""
    study = Study(TRIGGERS[trigger], case, draws)
    verdict = next(c.verdict for c in study.candidates if c.strategy == STRATEGIES[name].id)
    note = STRATEGIES[name].list_status
    if verdict.state != "admissible":
        note += f"; {verdict.reason}"
    piece = pieces(trigger, case.kernel)[-1]
    return Span(case.guest, (piece,), name, verdict.state, note, asked=True)


# Two sides, paired over joint draws.


@dataclass(frozen=True)
class Side:
    """One side: a scenario, and the strategy asked for, or None for what the kernel does."""

    label: str
    scenario: Scenario
    strategy: str | None = None


@dataclass(frozen=True)
class Done:
    """What a side does at one trigger, with its total; `cost` is None where nothing safe is known."""

    side: VersusSide
    study: Study
    cost: Total | None


def sides(
    evidence: Evidence,
    guest: str,
    machine: str,
    workload: str = DEFAULT_WORKLOAD,
    *,
    kernel_names: Sequence[str] = (),
    strategies: Sequence[str] = (),
    **numbers: Any,
) -> tuple[Kind, Side, Side]:
    """What is compared and its two sides: two kernels, or two strategies (safe or not) on one kernel or the newest.

    Raises BadInput or UnknownName.
    """
    if len(strategies) == 2 and len(kernel_names) <= 1:
        (kernel,) = kernel_names or ("newest",)
        case = scenario(evidence, guest, machine, workload, kernel, **numbers)
        base, new = strategies
        if STRATEGIES[base] == STRATEGIES[new]:
            raise BadInput(f"{base} is given twice", field="--strategy", remedy="give two different strategies")
        return "strategies", Side(base, case, base), Side(new, case, new)
    if len(kernel_names) == 2 and not strategies:
        base, new = kernel_names
        left = scenario(evidence, guest, machine, workload, base, **numbers)
        right = left.on(new)
        if left.kernel == right.kernel and own_fixes(left.release) == own_fixes(right.release):
            raise BadInput(
                f"{base} and {new} flush alike (both are {left.kernel})",
                field="--kernel",
                remedy=f"choose versions of two of {', '.join(kernels.KERNELS)}",
            )
        return "kernels", Side(base, left), Side(new, right)
    raise BadInput(
        f"{len(kernel_names)} kernels and {len(strategies)} strategies given",
        field="--kernel",
        remedy="give --kernel twice, or --strategy twice with at most one --kernel",
    )


def host_both(*sides: Side) -> None:
    """Raises NotApplicable where machine or kernel of a side cannot host the guest type."""
    for side in sides:
        if reason := not_applicable(side.scenario):
            raise NotApplicable(reason, "see `costmodel list guests` and `list machines`")


@dataclass(frozen=True)
class Compared:
    """Two sides with what each trigger gives. A trigger at which a side has no cost has no rows, and `total` is None
    where one trigger has no number: `gaps` are those triggers, each with what its cost was refused for, or empty.

    `used` are the parameters that went in. On a recorded trace `title` is what is told of it, `notes` what is to be
    said beside it, `options` those of the command line.
    """

    kind: Kind
    base: Side
    new: Side
    triggers: tuple[VersusTrigger, ...]
    total: VersusRow | None
    used: frozenset[str]
    gaps: tuple[tuple[str, str], ...] = ()
    draws: int = CASE_DRAWS
    title: str = ""
    notes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def compare_sides(evidence: Evidence, kind: Kind, base: Side, new: Side) -> Compared:
    """Compare two sides that differ in kernel or strategy only, at every trigger of the guest type. Raises BadInput."""
    host_both(base, new)
    draws = Draws(parameters_of(evidence, base.scenario.machine.id))

    def done(trigger: Trigger, side: Side) -> Done:
        return _done(Study(trigger, side.scenario, draws), side)

    pairs = [(trigger, done(trigger, base), done(trigger, new)) for trigger in triggers_of(base.scenario.guest)]
    found = tuple(_trigger(kind, trigger, left, right) for trigger, left, right in pairs)
    used = frozenset(name for _, *sides in pairs for one in sides if one.cost for name in one.cost.parameters)
    gaps = _gaps(pairs)
    return Compared(kind, base, new, found, None if gaps else _total(pairs), used, gaps)


def _done(study: Study, side: Side) -> Done:
    """The strategy of a side at a trigger: the one asked for, or what the kernel does."""
    case = study.scenario
    place = placement_for(case.guest, study.trigger.id, case.kernel)
    if side.strategy is not None:
        asked = next(c for c in study.candidates if c.strategy == side.strategy)
        newer = from_kernel(case, study.trigger.id, asked)
        note = "" if asked.safe else asked.verdict.reason
        entry = VersusSide(
            strategy=side.strategy,
            state=asked.verdict.state,
            placement=place,
            note=note,
            from_kernel=newer,
            needs=needs(case, study.trigger.id, side.strategy),
        )
        return Done(entry, study, study.cost(side.strategy))
    running = [c for c in study.candidates if c.running]
    chosen = study.chosen or next((c for c in running if c.verdict.state == "undecided"), None)
    if chosen is not None:
        entry = VersusSide(
            strategy=chosen.strategy,
            state=chosen.verdict.state,
            placement=place,
            note="" if chosen.safe else f"must hold: {', '.join(chosen.verdict.unknown)}",
        )
        return Done(entry, study, study.cost(chosen.strategy))
    if running:
        lost, why = running[0].strategy, running[0].verdict.reason
        return Done(VersusSide(strategy=lost, state="inadmissible", placement=place, note=why), study, None)
    return Done(VersusSide(strategy=None, state="not catalogued", placement=place, note=""), study, None)


def _trigger(kind: Kind, trigger: Trigger, left: Done, right: Done) -> VersusTrigger:
    case = left.study.scenario
    return VersusTrigger(
        trigger=trigger.id,
        title=trigger.title,
        in_workload=case.load(trigger.id) is not None,
        base=left.side,
        new=right.side,
        changes=steps(case.guest, trigger.id, case.kernel, right.study.scenario.kernel) if kind == "kernels" else [],
        rows=rows_of(left.cost, right.cost) if left.cost and right.cost else [],
        extrapolated=any(done.cost.extrapolated for done in (left, right) if done.cost),
        range_note=case.range_note(trigger.id),
    )


def _gaps(pairs: Sequence[tuple[Trigger, Done, Done]]) -> tuple[tuple[str, str], ...]:
    """Triggers of the workload at which a side has no number, each with what is refused, empty where it has no cost."""
    found = []
    for trigger, left, right in pairs:
        if left.study.scenario.load(trigger.id) is None:
            continue
        if left.cost is None or right.cost is None:
            found.append((trigger.id, ""))
        elif refused := left.cost.refused or right.cost.refused:
            found.append((trigger.id, refused))
    return tuple(found)


def _total(pairs: Sequence[tuple[Trigger, Done, Done]]) -> VersusRow | None:
    """Host CPUs lost at all triggers that have a rate on both sides, draw by draw; None where none has one."""
    rated = [
        (left.cost, right.cost)
        for trigger, left, right in pairs
        if left.study.scenario.load(trigger.id) is not None
        and left.cost is not None
        and right.cost is not None
        and left.cost.host_cpu_s_per_s is not None
        and right.cost.host_cpu_s_per_s is not None
    ]
    if not rated:
        return None

    def lost(costs: Sequence[Total]) -> numpy.ndarray:
        return sum((c.host_cpu_s_per_s for c in costs if c.host_cpu_s_per_s is not None), start=numpy.zeros(1))

    before, after = zip(*rated, strict=True)
    marks = any(cost.extrapolated for cost in before), any(cost.extrapolated for cost in after)
    ceilings = any(cost.at_most for cost in before), any(cost.at_most for cost in after)
    return paired(HOST_CPUS, lost(before), lost(after), marks, ceilings)
