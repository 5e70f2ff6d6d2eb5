"""Checks of the numbers in machine and workload files: each follows from the row or dump that it names."""

from __future__ import annotations

from pathlib import Path

from costmodel.evidence import machines, workloads
from costmodel.evidence.arithmetic import numbers_in, same
from costmodel.evidence.audit_rows import follows, unit_findings
from costmodel.evidence.cpuid import CpuidRow
from costmodel.evidence.finding import Finding
from costmodel.evidence.numbers import SCENARIO, Number
from costmodel.evidence.records import Measurement
from costmodel.evidence.store import Evidence
from costmodel.evidence.units import UNITS


def documents(root: Path) -> list[Path]:
    """Machine and workload files under `root`, sorted."""
    return [path for folder in (machines.FOLDER, workloads.FOLDER) for path in sorted((root / folder).glob("*.toml"))]


def numbers_of(path: Path) -> dict[str, Number]:
    """The sourced numbers of a machine or workload file by place. Raises BadInput."""
    reader = machines if path.parent.name == machines.FOLDER else workloads
    return reader.read_numbers(path)


def check(evidence: Evidence) -> list[Finding]:
    """Findings about the numbers and the other source lists of all files."""
    found = []
    for path in documents(evidence.root):
        file = path.relative_to(evidence.root).as_posix()
        for place, number in numbers_of(path).items():
            found += unit_findings(number.unit, file, place)
            found += [Finding(file, place, "source", problem) for problem in _problems(number, evidence)]
    for load in evidence.workloads.values():
        found += [
            Finding(f"{workloads.FOLDER}/{load.id}.toml", trigger.trigger, "sources", f"row {source!r} does not exist")
            for trigger in load.triggers
            for source in trigger.sources
            if source not in evidence.measurements
        ]
    return found


def _problems(number: Number, evidence: Evidence) -> list[str]:
    if SCENARIO in number.sources:
        return [] if number.note or number.unit == "1" else ["a choice of the user needs a note"]
    unknown = [name for name in number.sources if name not in evidence.measurements and name not in evidence.dumps]
    if unknown:
        return [f"{name!r} is neither a row nor a CPUID dump" for name in unknown]
    first = number.sources[0]
    source = evidence.measurements.get(first) or evidence.dumps[first]
    problem = _from_row(number, source) if isinstance(source, Measurement) else _from_dump(number, source)
    return [problem] if problem else []


def _from_row(number: Number, row: Measurement) -> str:
    if number.arithmetic:
        return follows(number.arithmetic, number.value, numbers_in(f"{row.hardware} {row.quote}") | {row.value})
    if UNITS[number.unit].si != row.si_unit:
        return f"unit {number.unit!r} is not of the kind of {row.unit!r} in row {row.id}"
    if same(number.si, row.si):
        return ""
    return f"{number.value:g} {number.unit} differs from row {row.id}: {row.value:g} {row.unit}"


def _from_dump(number: Number, dump: CpuidRow) -> str:
    if number.arithmetic:
        cells = " ".join(cell for column, cell in dump.cells.items() if column != "source")
        return follows(number.arithmetic, number.value, numbers_in(cells))
    cell = dump.cells.get(number.column, "")
    if not cell.isdigit():
        return f"column {number.column!r} of {dump.dump} holds no number"
    if same(number.value, float(cell)):
        return ""
    return f"{number.value:g} differs from {number.column} = {cell} in {dump.dump}"
