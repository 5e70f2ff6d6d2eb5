"""A comparison as an aligned text table in the manner of benchstat: base, new, change, `~` where it cannot be told."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.decision.result import Versus, VersusChange, VersusRow, VersusTrigger
from costmodel.kvm.kernels import KERNELS
from costmodel.numbers import quantity
from costmodel.report.layout import aligned, cell, command_lines, wrap
from costmodel.report.recommendation import MARKS, mark_of
from costmodel.report.rounding import change

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
