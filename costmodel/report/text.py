"""The plain-text block of a recommendation: 7-bit ASCII, at most 72 columns, fit to be pasted into a mail."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable

from costmodel.decision.model import Advice, CostRow, Interval, PolicyEntry, Recommendation
from costmodel.numbers import interval

WIDTH = 72


def ascii_text(text: str) -> str:
    """`text` on one line in printable ASCII; what has no ASCII form becomes `?`."""
    plain = unicodedata.normalize("NFKD", text).replace("\N{RIGHTWARDS ARROW}", "->")
    return "".join(c if " " <= c <= "~" else " " if c.isspace() else "?" for c in plain if not unicodedata.combining(c))


def wrap(text: str, first: str = "", rest: str | None = None) -> list[str]:
    """Lines of at most WIDTH columns; long words are broken rather than overflow."""
    return textwrap.wrap(
        ascii_text(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_on_hyphens=False,
    ) or [first.rstrip()]


def cell(value: Interval | None) -> str:
    """An interval, or a dash."""
    return "-" if value is None else interval(value.low, value.median, value.high, value.unit)


def render(result: Recommendation) -> str:
    """The whole block, ending with the one command that prints it again."""
    blocks = [_head(result)]
    if result.applicable:
        blocks += [
            _policy(result.policy),
            _costs(result),
            _advice("DO NOW", result.do_now),
            _advice("WORTH PATCHING (not in this kernel)", result.worth_patching),
            _list("SATURATION", result.saturation),
            _list("ASSUMPTIONS", result.assumptions),
            _list("WARNINGS", result.warnings),
            _list("GAPS", result.gaps),
            _list("MEASURE NEXT", result.measure_next),
        ]
    blocks.append(_foot(result))
    return "\n".join("\n".join(block) + "\n" for block in blocks if block)


def _head(result: Recommendation) -> list[str]:
    lines = wrap(f"{result.guest_title} on {result.machine_title}, {result.workload_title}, kernel {result.kernel}")
    lines += ["", *wrap(result.headline, "  ")]
    if result.applicable:
        lines += wrap(f"Cost: {result.headline_cost}", "  ", "    ")
        lines += wrap(f"Confidence: {result.confidence}", "  ", "    ")
        lines += [
            "",
            *wrap(
                "Every number below is MODEL, median [90 % interval]; * marks EXTRAPOLATED (a prior by rule "
                "went in). (i) inadmissible here, (u) undecided: a condition is open."
            ),
        ]
    return lines


def _policy(policy: Iterable[PolicyEntry]) -> list[str]:
    lines = ["POLICY", f"  {'trigger':<28}{'strategy':<23}{'basis':<10}P(best)"]
    for entry in policy:
        chance = "-" if entry.p_best is None else f"{entry.p_best:.2f}"
        name = entry.strategy or "none is safe"
        lines.append(f"  {entry.trigger[:27]:<28}{name:<23}{entry.basis or '-':<10}{chance}")
        for flip in entry.flips[:3]:
            lines += wrap(f"flips: {flip.sentence}", "      ", "        ")
    return lines


COLUMNS = (20, 16, 16)


def _costs(result: Recommendation) -> list[str]:
    rows = [row for row in result.costs if row.trigger == result.headline_trigger]
    if not rows:
        return []
    head = _columns("strategy", "per event", "CPU time/event", "host CPUs lost")
    return [
        f"COST at {rows[0].trigger} (hook {rows[0].placement})",
        *head,
        *(line for row in rows for line in _cost_row(row)),
    ]


def _columns(*cells: str) -> list[str]:
    """One table line; the last cell goes to a line of its own where it does not fit."""
    *first, last = cells
    line = "  " + "".join(f"{text:<{width}}" for text, width in zip(first, COLUMNS, strict=True))
    if len(line) + len(last) <= WIDTH:
        return [(line + last).rstrip()]
    return [line.rstrip(), f"{last:>{WIDTH}}"]


def _cost_row(row: CostRow) -> list[str]:
    if row.refused:
        return wrap(f"{row.strategy}: refused, {row.refused}", "  ", "      ")
    mark = "*" if row.extrapolated else ""
    name = row.strategy if row.state == "admissible" else f"{row.strategy} ({row.state[0]})"
    return _columns(name, cell(row.event_time_s), cell(row.stolen_cpu_s_per_event), cell(row.host_cpu_s_per_s) + mark)


def _advice(title: str, advice: Iterable[Advice]) -> list[str]:
    lines = []
    for item in advice:
        text = f"- {item.title}"
        if item.saves_cpu_s_per_s is not None:
            text += f": saves {cell(item.saves_cpu_s_per_s)} host CPUs"
        text += f" [{item.status}]"
        lines += wrap(text, "  ", "    ")
        if item.caveat:
            lines += wrap(item.caveat, "      ")
    return [title, *lines] if lines else []


def _list(title: str, texts: Iterable[str]) -> list[str]:
    lines = [line for text in texts for line in wrap(f"- {text}", "  ", "    ")]
    return [title, *lines] if lines else []


def _foot(result: Recommendation) -> list[str]:
    command = f"costmodel recommend --guest {result.guest} --machine {result.machine} --workload {result.workload}"
    ids = ", ".join(source.id for source in result.sources if source.use != "machine")
    lines = wrap(f"Sources (rows of data/measurements.csv): {ids}") if ids else []
    lines += ["Again with:", *wrap(command, "  ", "    ")]
    return [
        *lines,
        f"costmodel {result.costmodel_version}, data {result.data_hash}, code {result.code_hash},",
        f"parameters {result.parameter_hash}",
    ]
