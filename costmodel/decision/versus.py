"""Two kernels or two strategies side by side: paired over joint draws, with what can be told apart and what cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from costmodel import __version__
from costmodel.calibration.parameters import ParameterSet, parameters_of
from costmodel.cost.draws import DRAWS, Draws, medians
from costmodel.cost.scenario import Scenario, scenario
from costmodel.cost.total import Total
from costmodel.decision.choice import Study, from_kernel, needs
from costmodel.decision.estimates import CPU_TIME, HOST_CPUS, paired, refused_row, rows_of
from costmodel.decision.findings import not_applicable
from costmodel.decision.history import steps
from costmodel.decision.result import Kind, SideState, SourceRow, Versus, VersusRow, VersusSide, VersusTrigger
from costmodel.decision.sources import source_row, source_rows
from costmodel.errors import BadInput, NotApplicable
from costmodel.evidence.store import Evidence
from costmodel.evidence.workloads import DEFAULT as DEFAULT_WORKLOAD
from costmodel.hashing import value_hash
from costmodel.kvm import kernels
from costmodel.kvm.catalog import GUESTS, STRATEGIES, Trigger, triggers_of
from costmodel.kvm.kernels import placement_for
from costmodel.kvm.releases import own_fixes
from costmodel.kvm.setup import contradictions
from costmodel.plain import shell_line


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
        if reason := not_applicable(side.scenario, GUESTS[side.scenario.guest]):
            raise NotApplicable(reason, "see `costmodel list guests` and `list machines`")


def compare_sides(evidence: Evidence, kind: Kind, base: Side, new: Side) -> Versus:
    """Compare two sides that differ in kernel or strategy only, at every trigger of the guest type. Raises BadInput."""
    host_both(base, new)
    case = base.scenario
    draws = Draws(parameters_of(evidence, case.machine.id))

    def done(trigger: Trigger, side: Side) -> Done:
        return _done(Study(trigger, side.scenario, draws), side)

    pairs = [(trigger, done(trigger, base), done(trigger, new)) for trigger in triggers_of(case.guest)]
    found = [_trigger(kind, trigger, left, right) for trigger, left, right in pairs]
    used = {name for _, *sides in pairs for one in sides if one.cost for name in one.cost.parameters}
    return framed(evidence, kind, (base, new), found, _total(pairs), used)


def framed(
    evidence: Evidence,
    kind: Kind,
    sides: tuple[Side, Side],
    triggers: list[VersusTrigger],
    total: VersusRow,
    used: set[str],
    words: Sequence[str] = (),
) -> Versus:
    """The result around `triggers` and `total`: what was compared, provenance of the parameters `used`, the command.

    `words` are further options of the command line.
    """
    base, new = sides
    case = base.scenario
    command = _command(kind, base, new, words)
    parameters = parameters_of(evidence, case.machine.id)
    return Versus(
        costmodel_version=__version__,
        kind=kind,
        base=base.label,
        new=new.label,
        guest=case.guest,
        guest_title=GUESTS[case.guest].title,
        machine=case.machine.id,
        machine_title=case.machine.title,
        workload=case.workload.id,
        workload_title=case.workload.title,
        scenario={
            "vcpus": float(case.vcpus),
            "resident_bytes": case.resident_bytes,
            "cpus_that_ran": case.cpus_that_ran,
            "logical_cpus": float(case.machine.logical_cpus),
        },
        command=command,
        triggers=triggers,
        total=total,
        draws=DRAWS,
        extrapolated=any(one.extrapolated for one in triggers),
        warnings=_warnings(base, new, triggers),
        priors=priors(parameters, used),
        sources=_sources(evidence, case, parameters, used),
        data_hash=evidence.data_hash,
        asked_hash=value_hash(command),
    )


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
        lost = running[0]
        note = f"can lose a flush: {lost.verdict.reason}"
        return Done(VersusSide(strategy=lost.strategy, state="inadmissible", placement=place, note=note), study, None)
    note = "what this kernel does here is not catalogued"
    return Done(VersusSide(strategy=None, state="not catalogued", placement=place, note=note), study, None)


def _trigger(kind: Kind, trigger: Trigger, left: Done, right: Done) -> VersusTrigger:
    if left.cost is None or right.cost is None:
        gaps = {done.side.state: name for name, done in (("base", left), ("new", right)) if done.cost is None}
        both = left.cost is None and right.cost is None
        rows = [refused_row(CPU_TIME, _gap(gaps, both=both))]
    else:
        rows = rows_of(left.cost, right.cost)
    case = left.study.scenario
    return VersusTrigger(
        trigger=trigger.id,
        title=trigger.title,
        in_workload=case.load(trigger.id) is not None,
        base=left.side,
        new=right.side,
        changes=steps(case.guest, trigger.id, case.kernel, right.study.scenario.kernel) if kind == "kernels" else [],
        rows=rows,
        extrapolated=any(done.cost.extrapolated for done in (left, right) if done.cost),
        range_note=case.range_note(trigger.id),
    )


def _gap(gaps: Mapping[SideState, str], *, both: bool) -> str:
    """Why there is no cost: which side (of `gaps` by state) loses a flush or is not catalogued."""
    texts = {"inadmissible": "can lose a flush here", "not catalogued": "what it does here is not catalogued"}
    one_reason = both and len(gaps) == 1
    return "; ".join(f"{'both sides' if one_reason else side}: {texts[state]}" for state, side in gaps.items())


def _total(pairs: Sequence[tuple[Trigger, Done, Done]]) -> VersusRow:
    """Host CPUs lost at all triggers that have a rate on both sides, draw by draw; refused where one has no number."""
    gaps: dict[str, None] = {}
    rated = []
    for trigger, left, right in pairs:
        if left.study.scenario.load(trigger.id) is None:
            continue
        if left.cost is None or right.cost is None:
            gaps[f"a side has no cost at {trigger.id}"] = None
        elif refused := left.cost.refused or right.cost.refused:
            gaps[refused] = None
        elif left.cost.host_cpu_s_per_s is not None and right.cost.host_cpu_s_per_s is not None:
            rated.append((left.cost, right.cost))
    if gaps or not rated:
        return refused_row(HOST_CPUS, "; ".join(gaps) or "no rate is published for a trigger of this workload")

    def lost(costs: Sequence[Total]) -> numpy.ndarray:
        return sum((c.host_cpu_s_per_s for c in costs if c.host_cpu_s_per_s is not None), start=numpy.zeros(1))

    before, after = zip(*rated, strict=True)
    marks = any(cost.extrapolated for cost in before), any(cost.extrapolated for cost in after)
    ceilings = any(cost.at_most for cost in before), any(cost.at_most for cost in after)
    return paired(HOST_CPUS, lost(before), lost(after), marks, ceilings)


def priors(parameters: ParameterSet, used: set[str]) -> list[str]:
    """The priors by rule among the parameters used: what each is and how it was made."""
    entries = [parameters[name] for name in sorted(used) if name in parameters.parameters]
    return [f"{entry.description}: {entry.rule}" for entry in entries if entry.extrapolated]


def _sources(evidence: Evidence, case: Scenario, parameters: ParameterSet, used: set[str]) -> list[SourceRow]:
    """Provenance of the numbers that went in: of the parameters used, the workload and the machine."""
    known = [parameters[name] for name in sorted(used) if name in parameters.parameters]
    wanted = {row for parameter in known for row in parameter.sources}
    loads = [load for trigger in triggers_of(case.guest) if (load := case.load(trigger.id))]
    fixed = {row for load in loads for row in load.sources}
    fixed.update(row for rows in case.machine.provenance.values() for row in rows)
    middle = medians(parameters)
    studies = [Study(trigger, case, middle) for trigger in triggers_of(case.guest)]
    found = [row for row in source_rows(evidence, case, studies) if row.id in wanted | fixed]
    told = {row.id for row in found}
    return [*(source_row(evidence, name) for name in sorted(wanted - told) if name in evidence.measurements), *found]


def _warnings(base: Side, new: Side, triggers: Sequence[VersusTrigger]) -> list[str]:
    case = new.scenario
    texts = contradictions(case.guest, case.setup)
    masked = any(
        side.strategy and STRATEGIES[side.strategy].scope == "mask" for t in triggers for side in (t.base, t.new)
    )
    if masked and case.cpus_that_ran >= case.machine.logical_cpus:
        texts.append(
            f"the mask holds all {case.machine.logical_cpus} CPUs: it only grows, and this guest is not pinned "
            "(--cpus-that-ran sets it)"
        )
    if any(s.state == "inadmissible" and s.from_kernel is None for t in triggers for s in (t.base, t.new)):
        texts.append("a flush can be lost where a strategy is marked -: a low cost is no gain there")
    return texts


def _command(kind: Kind, base: Side, new: Side, more: Sequence[str]) -> str:
    """The command line that gives this comparison again."""
    case = base.scenario
    option = "--kernel" if kind == "kernels" else "--strategy"
    words = ["costmodel", "compare", option, base.label, option, new.label, "--guest", case.guest]
    words += ["--machine", case.machine.word, "--workload", case.workload.id]
    if kind == "strategies":
        words += ["--kernel", case.version]
    return shell_line([*words, *more, *case.number_words])
