"""Two kernels or two strategies side by side: paired over joint draws, with what can be told apart and what cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from costmodel.calibration.parameters import parameters_of
from costmodel.cost.draws import CASE_DRAWS, Draws
from costmodel.cost.scenario import Scenario, not_applicable, scenario
from costmodel.cost.total import Total
from costmodel.decision.choice import Study, from_kernel, needs
from costmodel.decision.estimates import HOST_CPUS, paired, rows_of
from costmodel.decision.history import steps
from costmodel.decision.result import Kind, VersusRow, VersusSide, VersusTrigger
from costmodel.errors import BadInput, NotApplicable
from costmodel.evidence.store import Evidence
from costmodel.evidence.workloads import DEFAULT as DEFAULT_WORKLOAD
from costmodel.kvm import kernels
from costmodel.kvm.catalog import STRATEGIES, Trigger, triggers_of
from costmodel.kvm.kernels import placement_for
from costmodel.kvm.releases import own_fixes


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
