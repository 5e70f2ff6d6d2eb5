"""Audit of data/: each number needs a source, a unit, a checksum, a use and a reason, and follows from its quote."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path

from costmodel.errors import BadInput, CostModelError
from costmodel.evidence import audit_numbers, audit_rows, package, store, workloads
from costmodel.evidence.finding import Finding
from costmodel.evidence.records import Sourced
from costmodel.evidence.store import Evidence

PERTURBATION = 1.1


def audit(data_dir: Path) -> list[Finding]:
    """Static findings, in a fixed order; empty where all is well. A file that cannot be loaded is one finding."""
    root = data_dir.resolve()
    found = [Finding(path, "", "hash", problem) for path, problem in package.differences(root)]
    try:
        evidence = store.read(root)
    except BadInput as error:
        return [*found, _unread(error)]
    found += [_unread(error) for error in evidence.left_out.values()]
    for row in evidence.measurements.values():
        found += audit_rows.check(row)
    return found + audit_numbers.check(evidence)


def _unread(error: BadInput) -> Finding:
    return Finding(str(error.file or ""), str(error.row or ""), error.field or "", error.problem)


def count_numbers(evidence: Evidence) -> int:
    """How many numbers the audit looks at: values of rows, cells of dumps, numbers of machines and workloads."""
    own = sum(len(audit_numbers.numbers_of(path)) for path in audit_numbers.documents(evidence.root))
    cells = sum(1 for dump in evidence.dumps.values() for cell in dump.cells.values() if cell.isdigit())
    return len(evidence.measurements) + cells + own


def unused_rows(evidence: Evidence, outputs: Sequence[Callable[[Evidence], object]]) -> list[str]:
    """Numbers that nothing uses: every one of `outputs` stays the same when one grows by 10 % (a count of a machine
    doubles or halves).

    Gives ids of measurements, and `machines/ID.FIELD` or `workloads/ID.PLACE` for the others. A change that makes
    an output refuse (CostModelError) counts as a use. Outputs are asked in order, until one differs.
    """
    before = [output(evidence) for output in outputs]

    def same(changed: Evidence) -> bool:
        try:
            return all(output(changed) == old for output, old in zip(outputs, before, strict=True))
        except CostModelError:
            return False

    return [name for name, variants in _perturbed(evidence) if all(same(changed) for changed in variants)]


def _perturbed(evidence: Evidence) -> Iterator[tuple[str, list[Evidence]]]:
    for id in evidence.measurements:
        yield id, [evidence.with_value(id, PERTURBATION)]
    for machine in evidence.machines.values():
        for field in fields(machine):
            value = getattr(machine, field.name)
            if field.name in machine.provenance and value is not None:
                others = (value * 2, max(1, value // 2)) if isinstance(value, int) else (value * PERTURBATION,)
                changed = [evidence.with_machine(replace(machine, **{field.name: other})) for other in others]
                yield f"machines/{machine.id}.{field.name}", changed
    for load in evidence.workloads.values():
        places: list[str] = []

        def note(place: str, number: Sourced, places: list[str] = places) -> Sourced:
            places.append(place)
            return number

        workloads.map_numbers(load, note)
        for wanted in places:

            def larger_one(place: str, number: Sourced, wanted: str = wanted) -> Sourced:
                return replace(number, value=number.value * PERTURBATION) if place == wanted else number

            yield f"workloads/{load.id}.{wanted}", [evidence.with_workload(workloads.map_numbers(load, larger_one))]
