"""Audit of data/: each number needs a source, a unit, a checksum, a use and a reason, and follows from its quote."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy

from costmodel.calibration import anchors, between_machines
from costmodel.calibration.calibrate import REGRESSIONS, parameter_set
from costmodel.calibration.parameters import ParameterSet
from costmodel.calibration.published import checks, inputs
from costmodel.calibration.rules import Calibration
from costmodel.cost.draws import Case, medians
from costmodel.cost.scenario import Scenario
from costmodel.cost.total import Total, distances, total
from costmodel.errors import BadInput, CostModelError
from costmodel.evidence import machines, package, store, workloads
from costmodel.evidence.machines import CpuidRow
from costmodel.evidence.package import Difference
from costmodel.evidence.records import (
    MEASUREMENTS,
    SCENARIO,
    UNITS,
    Machine,
    Measurement,
    Number,
    pint_factor,
)
from costmodel.evidence.store import Evidence
from costmodel.evidence.workloads import Workload
from costmodel.kvm import kernels
from costmodel.kvm.catalog import STRATEGIES
from costmodel.kvm.setup import setup

PERTURBATION = 1.1


def audit(data_dir: Path) -> list[Finding]:
    """Static findings, in a fixed order; empty where all is well. A file that cannot be loaded is one finding."""
    root = data_dir.resolve()
    found = [Finding(path, "", "hash", Problem(kind)) for path, kind in package.differences(root)]
    try:
        evidence = store.read(root)
    except BadInput as error:
        return [*found, _unread(error)]
    found += [_unread(error) for error in evidence.left_out.values()]
    for row in evidence.measurements.values():
        found += check_row(row)
    return found + unfitted(evidence) + check_numbers(evidence)


def _unread(error: BadInput) -> Finding:
    return Finding(
        str(error.file or ""), str(error.row or ""), error.field or "", Problem("unread", {"error": error.problem})
    )


def unfitted(evidence: Evidence) -> list[Finding]:
    """Rows that are marked to be fitted and that no fit, parameter, machine, workload or lock-up limit takes."""
    calibration = Calibration(evidence)
    try:
        taken = set(inputs(calibration)).union(*(one.problem(evidence).ids for one in REGRESSIONS.values()))
    except CostModelError as gap:
        return [Finding(MEASUREMENTS, "", "use", Problem("unread", {"error": str(gap)}))]
    taken |= anchors.ANCHORED | {one.id for one in distances(evidence, 1.0)}
    taken |= {id for seen in between_machines.of_rows(evidence) for id in seen.sources}
    fitted = [row.id for row in evidence.measurements.values() if row.use == "fit"]
    return [Finding(MEASUREMENTS, id, "use", Problem("not fitted")) for id in fitted if id not in taken]


def count_numbers(evidence: Evidence) -> int:
    """How many numbers the audit looks at: values of rows, cells of dumps, numbers of machines and workloads."""
    own = sum(len(numbers_of(path)) for path in documents(evidence.root))
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
                given: list[dict[str, Any]] = [{field.name: other} for other in others]
                changed = [evidence.with_machine(replace(machine, **one)) for one in given]
                yield f"machines/{machine.id}.{field.name}", changed
    for load in evidence.workloads.values():
        for wanted, _ in load.numbers:

            def larger_one(place: str, number: Number, wanted: str = wanted) -> Number:
                return replace(number, value=number.value * PERTURBATION) if place == wanted else number

            yield f"workloads/{load.id}.{wanted}", [evidence.with_workload(load.with_numbers(larger_one))]


# Checks of the numbers in machine and workload files: each follows from the row or dump that it names.


def documents(root: Path) -> list[Path]:
    """Machine and workload files under `root`, sorted."""
    return [path for folder in (machines.FOLDER, workloads.FOLDER) for path in sorted((root / folder).glob("*.toml"))]


def numbers_of(path: Path) -> dict[str, Number]:
    """The sourced numbers of a machine or workload file by place. Raises BadInput."""
    return machines.read_numbers(path) if path.parent.name == machines.FOLDER else dict(workloads.read(path).numbers)


def check_numbers(evidence: Evidence) -> list[Finding]:
    """Findings about the numbers and the other source lists of all files."""
    found = []
    for path in documents(evidence.root):
        file = path.relative_to(evidence.root).as_posix()
        for place, number in numbers_of(path).items():
            found += unit_findings(number.unit, file, place)
            found += [Finding(file, place, "source", problem) for problem in _problems(number, evidence)]
    for load in evidence.workloads.values():
        found += [
            Finding(
                f"{workloads.FOLDER}/{load.id}.toml",
                trigger.trigger,
                "sources",
                Problem("no row", {"name": repr(source)}),
            )
            for trigger in load.triggers
            for source in trigger.sources
            if source not in evidence.measurements
        ]
    return found


def _problems(number: Number, evidence: Evidence) -> list[Problem]:
    if SCENARIO in number.sources:
        return [] if number.note or number.unit == "1" else [Problem("no note")]
    unknown = [name for name in number.sources if name not in evidence.measurements and name not in evidence.dumps]
    if unknown:
        return [Problem("no source", {"name": repr(name)}) for name in unknown]
    first = number.sources[0]
    source = evidence.measurements.get(first) or evidence.dumps[first]
    problem = _from_row(number, source) if isinstance(source, Measurement) else _from_dump(number, source)
    return [problem] if problem else []


def _from_row(number: Number, row: Measurement) -> Problem | None:
    if number.arithmetic:
        return follows(number.arithmetic, number.value, numbers_in(f"{row.hardware} {row.quote}") | {row.value})
    if UNITS[number.unit].si != row.si_unit:
        return Problem("other kind", {"unit": repr(number.unit), "right": repr(row.unit), "row": row.id})
    if same(number.si, row.si):
        return None
    found, right = f"{number.value:g} {number.unit}", f"{row.value:g} {row.unit}"
    return Problem("differs from row", {"found": found, "row": row.id, "right": right})


def _from_dump(number: Number, dump: CpuidRow) -> Problem | None:
    if number.arithmetic:
        cells = " ".join(cell for column, cell in dump.cells.items() if column != "source")
        return follows(number.arithmetic, number.value, numbers_in(cells))
    cell = dump.cells.get(number.column, "")
    if not cell.isdigit():
        return Problem("no cell", {"column": repr(number.column), "dump": dump.dump})
    if same(number.value, float(cell)):
        return None
    names = {"found": f"{number.value:g}", "column": number.column, "right": cell, "dump": dump.dump}
    return Problem("differs from dump", names)


# Checks of one measurement: provenance, unit, use, and that its numbers follow from its quote.

PROVENANCE = ("source_title", "source_author", "source_date", "source_locator", "quote", "trust")
FITTED_KINDS = ("measured", "specified")


def check_row(row: Measurement) -> list[Finding]:
    """Findings about `row`."""

    def finding(field: str, kind: Kind, **names: str) -> Finding:
        return Finding(MEASUREMENTS, row.id, field, Problem(kind, names))

    found = [finding(field, "no provenance") for field in PROVENANCE if not getattr(row, field)]
    if not row.reason:
        found.append(finding("reason", "no reason", use=repr(row.use)))
    if row.use == "fit" and row.kind not in FITTED_KINDS:
        found.append(finding("use", "not to fit", evidence=repr(row.kind)))
    return found + unit_findings(row.unit, MEASUREMENTS, row.id) + _quoted(row)


def unit_findings(name: str, file: str, row: str) -> list[Finding]:
    """A finding where the factor of the unit is not what pint computes."""
    import pint

    try:
        factor = pint_factor(UNITS[name])
    except (KeyError, pint.errors.PintError, AssertionError, AttributeError) as error:
        return [Finding(file, row, "unit", Problem("no unit", {"name": repr(name), "error": str(error)}))]
    if not math.isclose(factor, UNITS[name].factor, rel_tol=1e-12):
        names = {"name": repr(name), "found": str(UNITS[name].factor), "right": str(factor)}
        return [Finding(file, row, "unit", Problem("other factor", names))]
    return []


def expressions(arithmetic: str) -> dict[str, str]:
    """`value` (the default) and other fields with the expression that gives them: `1+2; high: 3*4`."""
    found = {}
    for part in filter(None, (part.strip() for part in arithmetic.split(";"))):
        field, separator, expression = part.rpartition(":")
        found[field.strip() if separator else "value"] = expression.strip()
    return found


def _quoted(row: Measurement) -> list[Finding]:
    """Each number as the source wrote it stands in the quote, or follows by arithmetic from numbers that do."""
    factor = UNITS[row.unit].factor
    written = {
        "value": row.value,
        **{
            field: value / factor
            for field, value in (("low", row.low_si), ("high", row.high_si), ("uncertainty", row.uncertainty_si))
            if value is not None
        },
    }
    quoted = numbers_in(row.quote)
    given = expressions(row.arithmetic)
    found = [
        Finding(MEASUREMENTS, row.id, "arithmetic", Problem("not given", {"field": repr(field)}))
        for field in given.keys() - written.keys()
    ]
    for field, value in written.items():
        if field in given:
            problem = follows(given[field], value, quoted)
        else:
            stands = any(same(value, number) for number in quoted)
            problem = None if stands else Problem("not quoted", {"value": f"{value:g}"})
        if problem:
            found.append(Finding(MEASUREMENTS, row.id, field, problem))
    return found


def follows(expression: str, value: float, quoted: frozenset[float]) -> Problem | None:
    """None where `expression` uses only quoted numbers and constants and gives `value`; else the problem."""
    try:
        strange = literals(expression) - quoted - CONSTANTS
        result = evaluate(expression)
    except BadInput as error:
        return Problem("unread", {"error": error.problem})
    if strange:
        return Problem("strange numbers", {"numbers": ", ".join(f"{number:g}" for number in sorted(strange))})
    return None if same(result, value) else Problem("other result", {"found": f"{result:g}", "right": f"{value:g}"})


# What the evidence moves, as comparable values: the audit changes one number and looks whether one of them changes.

RELEASE = kernels.release(kernels.MASK_KERNEL)
SMALL_GUEST_FRACTION = 1 / 16
"""A guest of this part of the workload's memory is looked at too: some tunables count only for small guests."""


def published(evidence: Evidence) -> object:
    """The checks against published numbers and the lock-up limits."""
    return repr(checks(Calibration(evidence))), distances(evidence, 1.0)


def parameters(evidence: Evidence) -> list[ParameterSet]:
    """The parameter set of every machine."""
    calibration = Calibration(evidence)
    return [parameter_set(calibration, machine) for machine in evidence.machines.values()]


def costs(evidence: Evidence) -> list[object]:
    """Costs of every workload on every machine, at the medians of the parameters."""
    found: list[object] = []
    calibration = Calibration(evidence)
    for machine in (_whole(machine, evidence) for machine in evidence.machines.values()):
        own = parameter_set(calibration, machine)
        text = own.model_dump_json()
        found += [_costs(_Key(_whole(machine, evidence), text, own, load)) for load in evidence.workloads.values()]
    return found


OUTPUTS = (parameters, published, costs)
"""The cheapest first: most numbers move it, and then no other is asked."""


def _whole(machine: Machine, evidence: Evidence) -> Machine:
    """The machine with the memory bandwidth of another where its own is unknown.

    Its totals are refused as it is, and then none of its other numbers could show that it counts.
    """
    if machine.dram_peak_bytes_per_s_per_socket is not None:
        return machine
    if machine.id in evidence.hosts:
        return machine
    known = (other.dram_peak_bytes_per_s_per_socket for other in evidence.machines.values())
    return replace(machine, dram_peak_bytes_per_s_per_socket=next(value for value in known if value is not None))


class _Key:
    """Inputs of `_costs`, equal where machine, parameters and workload are."""

    def __init__(self, machine: Machine, text: str, own: ParameterSet, load: Workload) -> None:
        self.machine, self.own, self.load = machine, own, load
        self._text = f"{machine!r}{text}{load!r}"

    def __hash__(self) -> int:
        return hash(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other._text == self._text


@cache
def _costs(key: _Key) -> tuple[object, ...]:
    """Costs and rates of every strategy at every trigger, and the number of VMs."""
    load, machine = key.load, key.machine
    draws = medians(key.own)
    vcpus = math.ceil(load.vcpus.si)
    found: list[object] = [load.vms.si]
    found += [entry.events_per_cycle.si for entry in load.triggers if entry.events_per_cycle is not None]
    for entry in load.triggers:
        for ran, share, pinned in ((vcpus, 1.0, True), (machine.logical_cpus, SMALL_GUEST_FRACTION, False)):
            resident = load.resident_bytes.si * share
            where = setup("sev", pinned=pinned, mergeable=True)
            case = Scenario(
                machine, "sev", load, kernels.MASK_KERNEL, vcpus, resident, float(ran), where, release=RELEASE
            )
            found += [_numbers(total(Case(entry.trigger, case, draws), name)) for name in STRATEGIES]
    return tuple(found)


def _numbers(cost: Total) -> tuple[object, ...]:
    if cost.event is None:
        return (cost.refused,)
    parts = (cost.event.time_s, cost.event.stolen_s, cost.event.guest_s, cost.rate_per_s, cost.least_per_s)
    return tuple(None if part is None else numpy.asarray(part).tobytes() for part in parts)


# Arithmetic that turns the numbers of a quote into the value of a row: + - * / ** >> << & | on numbers only.

CONSTANTS = frozenset(
    {
        1,
        2,
        100,
        1000,
        1024,  # counts, per cent, decimal and binary prefixes
        60,
        64,
        512,
        4096,  # seconds per minute, bytes per line, 4 KiB pages per 2 MiB, bytes per page
        8,  # bytes per memory transfer
        12,
        22,
        0x3FF,
        0xFFF,  # positions and masks of the cache fields in CPUID leaves 4 and 8000001D
    }
)
"""Numbers that an expression may use although its quote lacks them."""

WORDS = {"thousands": 1000.0, "twice": 2.0, "doubles": 2.0, "four": 4.0, "tens": 10.0}
LENGTH_MAX, POWER_MAX = 400, 64
RELATIVE_TOLERANCE = 1e-5
"""Sources give up to 12 digits; rows may round to six."""

_NUMBER = re.compile(r"0x[0-9A-Fa-f]+|\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+")
_REGISTER = re.compile(r"\b[0-9A-F]{8}\b")
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.RShift: operator.rshift,
    ast.LShift: operator.lshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.Pow: operator.pow,
}


def numbers_in(text: str) -> frozenset[float]:
    """Numbers that stand in `text`: decimal, with thousands commas, hexadecimal registers, and a few number words."""
    found = {
        float(int(token, 16)) if token.startswith("0x") else float(token.replace(",", ""))
        for token in _NUMBER.findall(text)
    }
    found |= {float(int(token, 16)) for token in _REGISTER.findall(text)}
    words = set(re.findall(r"[a-z]+", text.lower()))
    return frozenset(found | {value for word, value in WORDS.items() if word in words})


def same(left: float, right: float) -> bool:
    """Equal to the digits that a row keeps."""
    return math.isclose(left, right, rel_tol=RELATIVE_TOLERANCE)


def literals(expression: str) -> frozenset[float]:
    """Numbers that stand in `expression`."""
    constants = [node.value for node in ast.walk(_parse(expression)) if isinstance(node, ast.Constant)]
    return frozenset(float(cast(float, value)) for value in constants)


def evaluate(expression: str) -> float:
    """Value of `expression`. Raises BadInput where it is not plain arithmetic on numbers or has no finite value."""
    try:
        value = float(_value(_parse(expression).body, expression))
    except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"arithmetic {expression!r} has no value: {error}") from None
    if not math.isfinite(value):
        raise BadInput(f"arithmetic {expression!r} is not finite")
    return value


def _parse(expression: str) -> ast.Expression:
    if len(expression) > LENGTH_MAX:
        raise BadInput(f"arithmetic is longer than {LENGTH_MAX} characters")
    try:
        return ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise BadInput(f"arithmetic {expression!r} cannot be read") from None


def _value(node: ast.expr, expression: str) -> float | int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and type(node.value) is not bool:
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, expression)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value(node.left, expression), _value(node.right, expression)
        if isinstance(node.op, ast.Pow | ast.LShift) and not 0 <= right <= POWER_MAX:
            raise BadInput(f"arithmetic {expression!r}: exponent or shift outside 0 to {POWER_MAX}")
        result = _OPERATORS[type(node.op)](left, right)
        if isinstance(result, int) and result.bit_length() > 1024:
            raise BadInput(f"arithmetic {expression!r} grows beyond any quantity")
        return result
    raise BadInput(f"arithmetic {expression!r}: only numbers and + - * / ** >> << & | may be used")


# One finding of the audit.

Kind = (
    Difference
    | Literal[
        "unread",
        "no row",
        "no note",
        "no source",
        "other kind",
        "differs from row",
        "no cell",
        "differs from dump",
        "no provenance",
        "no reason",
        "not to fit",
        "not fitted",
        "no unit",
        "other factor",
        "not given",
        "not quoted",
        "strange numbers",
        "other result",
        "unused",
    ]
)


class Problem(NamedTuple):
    """What is wrong, and what the words of report/audit.py tell of it."""

    kind: Kind
    names: Mapping[str, str] = {}


class Finding(NamedTuple):
    """What is wrong and where; `row` and `field` are empty where they do not apply."""

    file: str
    row: str
    field: str
    problem: Problem
