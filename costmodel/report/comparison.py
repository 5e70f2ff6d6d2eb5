"""A comparison as a record: what was found of two sides and what is to be said of it, as `compare --json` prints it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from costmodel import __version__
from costmodel.calibration.parameters import ParameterSet, parameters_of
from costmodel.cost.draws import medians
from costmodel.cost.scenario import Scenario
from costmodel.decision.choice import Study
from costmodel.decision.estimates import CPU_TIME, HOST_CPUS, refused_row
from costmodel.decision.result import Kind, SideState, SourceRow, Versus, VersusSide, VersusTrigger
from costmodel.decision.versus import Compared, Side, compare_sides
from costmodel.evidence.store import Evidence
from costmodel.hashing import value_hash
from costmodel.kvm.catalog import GUESTS, STRATEGIES, triggers_of
from costmodel.plain import shell_line
from costmodel.report.policy import NOT_CATALOGUED
from costmodel.report.sentences import impossible
from costmodel.report.sources import source_row, source_rows


def compare(evidence: Evidence, kind: Kind, base: Side, new: Side) -> Versus:
    """Two sides at every trigger of the guest type. Raises BadInput."""
    return record(evidence, compare_sides(evidence, kind, base, new))


def record(evidence: Evidence, found: Compared) -> Versus:
    """What was found, with provenance of the parameters that went in and the command that gives it again."""
    base, new = found.base, found.new
    case = base.scenario
    command = _command(found.kind, base, new, found.options)
    parameters = parameters_of(evidence, case.machine.id)
    triggers = [_worded(one) for one in found.triggers]
    return Versus(
        costmodel_version=__version__,
        kind=found.kind,
        base=base.label,
        new=new.label,
        guest=case.guest,
        guest_title=GUESTS[case.guest].title,
        machine=case.machine.id,
        machine_title=case.machine.title,
        workload=case.workload.id,
        workload_title=found.title or case.workload.title,
        scenario={
            "vcpus": float(case.vcpus),
            "resident_bytes": case.resident_bytes,
            "cpus_that_ran": case.cpus_that_ran,
            "logical_cpus": float(case.machine.logical_cpus),
        },
        command=command,
        triggers=triggers,
        total=found.total or refused_row(HOST_CPUS, _no_total(found.gaps)),
        draws=found.draws,
        extrapolated=any(one.extrapolated for one in triggers),
        warnings=[*_warnings(base, new, triggers), *found.notes],
        priors=priors(parameters, found.used),
        sources=_sources(evidence, case, parameters, found.used),
        data_hash=evidence.data_hash,
        asked_hash=value_hash(command),
    )


def _worded(one: VersusTrigger) -> VersusTrigger:
    """A trigger with what is to be said of a side that has no cost."""
    if one.rows:
        return one
    sides = {"base": one.base, "new": one.new}
    rows = [refused_row(CPU_TIME, _gap({name: side.state for name, side in sides.items() if side.state in GAPS}))]
    return one.model_copy(update={name: _said(side) for name, side in sides.items()} | {"rows": rows})


def _said(side: VersusSide) -> VersusSide:
    if side.state == "inadmissible":
        return side.model_copy(update={"note": f"can lose a flush: {side.note}"})
    return side.model_copy(update={"note": NOT_CATALOGUED}) if side.state == "not catalogued" else side


GAPS: dict[SideState, str] = {
    "inadmissible": "can lose a flush here",
    "not catalogued": "what it does here is not catalogued",
}


def _gap(states: Mapping[str, SideState]) -> str:
    """Why there is no cost: which side (`states` of base and new) loses a flush or is not catalogued."""
    if len(states) == 2 and len(set(states.values())) == 1:
        return f"both sides: {GAPS[next(iter(states.values()))]}"
    return "; ".join(f"{name}: {GAPS[state]}" for name, state in states.items())


def _no_total(gaps: Sequence[tuple[str, str]]) -> str:
    texts = [refused or f"a side has no cost at {trigger}" for trigger, refused in gaps]
    return "; ".join(dict.fromkeys(texts)) or "no rate is published for a trigger of this workload"


def priors(parameters: ParameterSet, used: Collection[str]) -> list[str]:
    """The priors by rule among the parameters used: what each is and how it was made."""
    entries = [parameters[name] for name in sorted(used) if name in parameters.parameters]
    return [f"{entry.description}: {entry.rule}" for entry in entries if entry.extrapolated]


def _sources(evidence: Evidence, case: Scenario, parameters: ParameterSet, used: Collection[str]) -> list[SourceRow]:
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
    texts = impossible(case)
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
