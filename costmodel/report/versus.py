"""A comparison of two kernels or two strategies: its record, its text and the digits that its changes may show."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from costmodel import __version__
from costmodel.calibration.parameters import ParameterSet, parameters_of
from costmodel.cost.draws import medians
from costmodel.cost.scenario import Scenario
from costmodel.decision.choice import Study
from costmodel.decision.estimates import CPU_TIME, HOST_CPUS, refused_row
from costmodel.decision.result import (
    Kind,
    SideState,
    SourceRow,
    Versus,
    VersusChange,
    VersusRow,
    VersusSide,
    VersusTrigger,
)
from costmodel.decision.versus import Compared, Side, compare_sides
from costmodel.evidence.store import Evidence
from costmodel.hashing import value_hash
from costmodel.kvm.catalog import GUESTS, STRATEGIES, triggers_of
from costmodel.kvm.kernels import KERNELS
from costmodel.numbers import quantity, significant
from costmodel.plain import shell_line
from costmodel.report.layout import aligned, cell, command_lines, wrap
from costmodel.report.recommendation import MARKS, mark_of
from costmodel.report.sentences import impossible
from costmodel.report.tables import NOT_CATALOGUED, source_row, source_rows

# The record: what was found of two sides and what is to be said of it, as `compare --json` prints it.


def compare(evidence: Evidence, kind: Kind, base: Side, new: Side) -> Versus:
    """Two sides at every trigger of the guest type. Raises BadInput."""
    return versus_record(evidence, compare_sides(evidence, kind, base, new))


def versus_record(evidence: Evidence, found: Compared) -> Versus:
    """What was found, with provenance of the parameters that went in and the command that gives it again."""
    base, new = found.base, found.new
    case = base.scenario
    command = _comparison_command(found.kind, base, new, found.options)
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
        warnings=[*_comparison_warnings(new, triggers), *found.notes],
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


def _comparison_warnings(new: Side, triggers: Sequence[VersusTrigger]) -> list[str]:
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


def _comparison_command(kind: Kind, base: Side, new: Side, more: Sequence[str]) -> str:
    """The command line that gives this comparison again."""
    case = base.scenario
    option = "--kernel" if kind == "kernels" else "--strategy"
    words = ["costmodel", "compare", option, base.label, option, new.label, "--guest", case.guest]
    words += ["--machine", case.machine.word, "--workload", case.workload.id]
    if kind == "strategies":
        words += ["--kernel", case.version]
    return shell_line([*words, *more, *case.number_words])


# The text: an aligned table in the manner of benchstat, base, new, change, `~` where it cannot be told.

MARK = "*"
MEAN, P99 = "event latency", "event latency, p99"


def render_comparison(result: Versus) -> str:
    """The whole comparison: what was compared, the table, what changed in the kernel, limits, how to get it again."""
    blocks = [
        _head(result),
        table(result),
        _changes(result),
        _notes(result),
        _warnings(result),
        foot(result),
    ]
    return "\n".join("\n".join(block) + "\n" for block in blocks if block)


def _head(result: Versus) -> list[str]:
    numbers = result.scenario
    ran = f"{numbers['cpus_that_ran']:.0f} of {numbers['logical_cpus']:.0f} CPUs ran the guest"
    size = quantity(numbers["resident_bytes"], "B", 3)
    return [
        *wrap(f"{result.guest_title} on {result.machine_title}, {result.workload_title}", "", "  "),
        *wrap(f"{numbers['vcpus']:.0f} vCPUs, {size}, {ran}", "  "),
    ]


def table(result: Versus) -> list[str]:
    """Lines of the table, at most TABLE_WIDTH columns: one section per set of triggers with the same numbers."""
    shown = [one for one in result.triggers if _differs(one) and not _neither(one)]
    sections = [_section(group) for group in grouped(shown)]
    whole = _cells(result.total)
    head = ("", result.base, result.new, "change")
    widths = _widths([head, *([line for _, lines in sections for line in lines] or [whole])])
    lines = aligned(head, widths)
    for title, rows in sections:
        lines += ["", *wrap(title), *(line for row in rows for line in aligned(row, widths))]
    lines += ["", "total", *aligned(whole, _widths([whole], widths))]
    for title, triggers in (
        ("Same on both sides", [t for t in result.triggers if not _differs(t) and not _neither(t)]),
        ("Neither may be used", [t for t in result.triggers if _neither(t)]),
    ):
        if triggers:
            lines += ["", *wrap(f"{title}: {', '.join(t.trigger for t in triggers)}", "", "  ")]
    return lines


AT_MOST = "host CPUs, most"
"""Name of the row of host CPUs that rests on a ceiling; the table has little room."""
CLOSE = 100.0
"""Two values further apart are read more easily in a unit each."""


def _widths(lines: Sequence[Sequence[str]], least: Sequence[int] = (0, 0, 0, 0)) -> list[int]:
    """Width of each column over `lines`, at least `least`."""
    return [max(room, *map(len, column)) for room, *column in zip(least, *lines, strict=True)]


def grouped(triggers: Sequence[VersusTrigger]) -> list[list[VersusTrigger]]:
    """Triggers with the same strategies and numbers together, those of the workload first."""
    found: dict[str, list[VersusTrigger]] = {}
    for one in sorted(triggers, key=lambda t: not t.in_workload):
        sides = [(side.strategy, side.state, side.from_kernel, side.needs) for side in (one.base, one.new)]
        key = repr((sides, one.range_note, one.rows))
        found.setdefault(key, []).append(one)
    return list(found.values())


def _differs(one: VersusTrigger) -> bool:
    return one.base.strategy != one.new.strategy or any(row.verdict not in ("equal", "refused") for row in one.rows)


def _neither(one: VersusTrigger) -> bool:
    """Whether both sides can lose a flush here or have no business here."""
    return one.base.state == one.new.state == "inadmissible"


def _section(group: Sequence[VersusTrigger]) -> tuple[str, list[tuple[str, ...]]]:
    """Title of a section and its lines: the strategies, then the quantities."""
    first = group[0]
    sides = (first.base, first.new)
    strategies = [
        f"{mark_of(s.state, s.from_kernel, s.needs).replace(' ', '')}{s.strategy or 'unknown'}" for s in sides
    ]
    rows = [row for row in first.rows if not _repeats(row, first.rows)]
    title = ", ".join(one.trigger for one in group) + (f" ({first.range_note})" if first.range_note else "")
    return title, [("  strategy", *strategies, ""), *map(_cells, rows)]


def _repeats(row: VersusRow, rows: Sequence[VersusRow]) -> bool:
    """Whether the p99 over the range lengths says no more than the mean does."""
    return row.quantity == P99 and any((r.base, r.new) == (row.base, row.new) for r in rows if r.quantity == MEAN)


def _most(row: VersusRow) -> bool:
    """Whether a side of the row rests on a ceiling."""
    return any(one is not None and one.at_most and one.high > 0 for one in (row.base, row.new))


def _cells(row: VersusRow) -> tuple[str, ...]:
    """Cells of one quantity, both in one unit where they are close; a refused row says so in the last column."""
    medians = [one.median for one in (row.base, row.new) if one is not None]
    like = max(medians) if len(medians) == 2 and 0 < max(medians) <= CLOSE * min(medians) else None
    values = [
        f"{cell(one, like, bare=True)}{MARK if one is not None and one.extrapolated and one.high > 0 else ''}"
        for one in (row.base, row.new)
    ]
    return f"  {AT_MOST if _most(row) else row.quantity}", *values, change(row)


def _changes(result: Versus) -> list[str]:
    """What changed between two kernels, each step once with its triggers."""
    steps: dict[tuple[str, ...], tuple[VersusChange, list[str]]] = {}
    for one in result.triggers:
        for step in one.changes:
            shown = (step.kernel, step.strategy, step.placement, *step_sources(step))
            steps.setdefault(shown, (step, []))[1].append(one.trigger)
    lines = []
    for step, triggers in sorted(steps.values(), key=lambda pair: KERNELS[pair[0].kernel]):
        lines += wrap(f"{step.kernel}: {step.strategy}, hook {step.placement}", "  ", "    ")
        lines += wrap(f"at {', '.join(triggers)}", "      ", "         ")
        for text in step_sources(step):
            lines += wrap(text, "      ", "        ")
    return ["CHANGES IN THE KERNEL", *lines] if lines else []


def step_sources(step: VersusChange) -> list[str]:
    """Every decision of a step, its commits with their title; where the behaviour was read if none is known."""
    return [
        f'commit{"s" if len(one.commits) > 1 else ""} {", ".join(one.commits)} ("{one.title}")'
        for one in step.decisions
        if one.commits
    ] or [f"read in {step.source}"]


def _notes(result: Versus) -> list[str]:
    """Refusals, each gap once with its triggers."""
    gaps: dict[str, list[str]] = {}
    for one in result.triggers:
        for row in one.rows:
            if row.refused:
                gaps.setdefault(row.refused, []).append(one.trigger)
    if result.total.refused:
        gaps.setdefault(result.total.refused, []).append("total")
    lines = [line for gap, names in gaps.items() for line in wrap(f"- {', '.join(names)}: {gap}", "  ", "    ")]
    return ["REFUSED", *lines] if lines else []


def _warnings(result: Versus) -> list[str]:
    lines = [line for text in result.warnings for line in wrap(f"- {text}", "  ", "    ")]
    return ["WARNINGS", *lines] if lines else []


def legend(result: Versus) -> list[str]:
    """What the marks of the table mean."""
    text = (
        f"MODEL, median [90 % interval] of {result.draws} joint draws; change of new against base over the same draws, "
        "in percent or as a factor (xN: N times base, /N: an Nth of it); ~ cannot be told, same: equal in every draw."
    )
    if any(row.ratio is None and row.verdict in ("lower", "higher") for one in result.triggers for row in one.rows):
        text += " lower, higher: the intervals do not touch, or one side is zero."
    if result.extrapolated:
        text += f" {MARK} EXTRAPOLATED: a prior by rule went in."
    if any(_most(row) for row in (result.total, *(row for one in result.triggers for row in one.rows))):
        text += f" {AT_MOST}: the rate is a ceiling, and no interval holds how far the true rate lies below it."
    sides = [side for one in result.triggers for side in (one.base, one.new)]
    if any(side.state != "admissible" or side.needs != "nothing" for side in sides):
        text += f" {MARKS}"
    return wrap(text)


def foot(result: Versus) -> list[str]:
    """Legend, sources and the one command that prints the comparison again."""
    ids = ", ".join(row.id for row in result.sources if row.use != "machine")
    return [
        *legend(result),
        *(wrap(f"Sources (rows of data/measurements.csv): {ids}", "", "  ") if ids else []),
        "Again with:",
        *command_lines(result.command),
        f"costmodel {result.costmodel_version}, data {result.data_hash}, asked {result.asked_hash}",
    ]


# How many digits a number may show: the rounding rule of the Particle Data Group, and changes as text.

FACTOR = 4.0
"""A ratio whose interval spans more than this is written as a factor; so is one beyond PERCENT."""
PERCENT = (0.1, 2.0)


def pdg_decimals(uncertainty: float) -> int:
    """Decimals that a value with this uncertainty carries; negative where even the units are lost.

    Rule of the Particle Data Group (Review of Particle Physics, Introduction, section on rounding): with the three
    highest digits of the uncertainty between 100 and 354 keep two digits, up to 949 one, from 950 round up to 1000
    and keep two: 0.827 +- 0.119 is written 0.83 +- 0.12, and 0.827 +- 0.367 is written 0.8 +- 0.4. Raises ValueError
    unless the uncertainty is positive and finite.

    >>> pdg_decimals(0.119), pdg_decimals(0.367), pdg_decimals(0.0952), pdg_decimals(42.0)
    (2, 1, 2, -1)
    """
    if not 0 < uncertainty < math.inf:
        raise ValueError("an uncertainty is positive and finite")
    exponent = math.floor(math.log10(uncertainty))
    leading = round(uncertainty / 10.0 ** (exponent - 2))
    if leading >= 950:
        exponent += 1
    return (0 if 355 <= leading < 950 else 1) - exponent


def percent(low: float, median: float, high: float) -> str:
    """A change in percent from a ratio and its interval; whole percents at the coarsest, never a rounded zero.

    >>> percent(0.60, 0.69, 0.78), percent(1.104, 1.252, 1.407)
    ('-31 [-40, -22] %', '+25 [+10, +41] %')
    >>> percent(0.45, 0.96, 0.999)
    '-4 [-55, -0.1] %'
    """
    ends = [100 * (ratio - 1) for ratio in (low, median, high)]
    side = min(ends[1] - ends[0], ends[2] - ends[1])
    decimals = max(0, pdg_decimals(side)) if side > 0 else 1
    texts = [_signed(end, decimals) for end in ends]
    return f"{texts[1]} [{texts[0]}, {texts[2]}] %"


def _signed(end: float, decimals: int) -> str:
    """A change with `decimals` decimals, or as many more as keep it from being rounded to zero."""
    while decimals < 3 and round(end, decimals) == 0:
        decimals += 1
    return f"{round(end, decimals):+.{decimals}f}"


def change(row: VersusRow) -> str:
    """How new differs from base: `~` where that cannot be told, so that no percentage spans zero."""
    if row.verdict == "refused":
        return "refused"
    if row.verdict in ("equal", "undecided"):
        return "same" if row.verdict == "equal" else "~"
    ratio = row.ratio
    if ratio is None:
        return "was 0" if row.base is not None and row.base.high == 0 else row.verdict
    if ratio.high == 0:
        return "-100 %"
    if ratio.high <= FACTOR * ratio.low and PERCENT[0] < ratio.median < PERCENT[1]:
        return percent(ratio.low, ratio.median, ratio.high)
    return factor(ratio.low, ratio.median, ratio.high)


def factor(low: float, median: float, high: float) -> str:
    """A ratio as `xN` (N times the base) or `/N` (an Nth of it), so that losses read like gains.

    >>> factor(2.1, 4.3, 11.0), factor(0.016, 0.021, 0.030), factor(1e-7, 1e-6, 8e-6), factor(0.01, 0.11, 0.83)
    ('x4 [2, 10]', '/48 [33, 62]', '/1e6 [1e5, 1e7]', '/9 [1.2, 100]')
    """
    sign, values = ("x", (low, median, high)) if median >= 1 or low <= 0 else ("/", (1 / high, 1 / median, 1 / low))
    digits = 1 if values[0] <= 0 or values[2] > FACTOR * values[0] else 2
    texts = [_short(value, digits) for value in values]
    return f"{sign}{texts[1]} [{texts[0]}, {texts[2]}]"


def _short(value: float, digits: int) -> str:
    """A factor with `digits` digits, one more where it would be rounded to 1, a short exponent from 10000 on."""
    text = significant(value, digits)
    if float(text) >= 10_000:
        return f"{value:.{digits - 1}e}".replace("e+0", "e").replace("e+", "e")
    return significant(value, digits + 1) if text == "1" and value != 1 else text
