"""What a reply says below the quoted lines: three sentences (claim, number, catch), a table of at most five rows, one
caveat and the command that gives it again; at most 30 lines of 72 columns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from costmodel.decision.result import Alternatives, Interval, ModelRow
from costmodel.decision.tables import RangeLimit
from costmodel.kvm.admissibility import judge
from costmodel.kvm.catalog import STRATEGIES
from costmodel.numbers import factor, interval, quantity, significant
from costmodel.report.layout import ascii_text, cell, command_lines, widths_of, wrap
from costmodel.report.names import capitalised

MOST_ROWS = 5
LONGEST_NAME = 38
"""Columns of a row's name: with the numbers beside it a line has at most WIDTH."""
_ROWS = re.compile(r" \(rows? [^)]*\)")
"""Where a sentence names rows of the data: a mail does not."""


def short_answer(
    result: Alternatives,
    limit: RangeLimit | None = None,
    never: str = "",
    nothing: Sequence[str] = (),
    *,
    bound: str = "",
    yes_or_no: bool = False,
) -> list[str]:
    """The part below the quote. `limit` compares a range flush that was asked about, with Yes or No before where
    `yes_or_no`; `never` says why the event cannot happen, `nothing` names other events of the quote that cannot happen
    either, `bound` is what is known where the model gives no number.
    """
    rows = chosen_rows(result)
    number = _number(rows, limit, yes_or_no=yes_or_no)
    said = (_claim(result, never, bound), number, _catch(result, rows, limit), _besides(nothing))
    parts = [
        wrap(" ".join(filter(None, said))),
        _table(rows),
        wrap(_caveat(rows)),
        _again(result),
    ]
    return [line for part in parts if part for line in (*part, "")][:-1]


def chosen_rows(result: Alternatives) -> list[ModelRow]:
    """The rows that tell most: the first, what was asked for, then each other flush once, without the guest types and
    kernels that do the same.
    """
    picked: list[ModelRow] = []
    for row in (result.rows[0], *(one for one in result.rows if one.asked), *result.rows):
        if all(_kind(one) != _kind(row) for one in picked) and len(picked) < MOST_ROWS:
            picked.append(row)
    return sorted(picked, key=result.rows.index)


def _kind(row: ModelRow) -> tuple[str, int, str]:
    """The same flush on as many CPUs, at about the same rate: kernels whose rates differ do not do the same."""
    lost = "" if row.host_cpus_lost is None else significant(row.host_cpus_lost.median, 1)
    return row.strategy, row.cpus, lost


def _flush(row: ModelRow) -> str:
    """What is flushed where, in words."""
    if row.instruction == "none":
        return "no flush"
    if row.scope == "all_cpus":
        return f"{row.instruction.upper()} on all {row.cpus} CPUs"
    if row.scope == "mask":
        return f"{row.instruction.upper()} on the {row.cpus} CPUs that ran it"
    by_name = row.scope not in ("range", "page") or row.instruction == "seamcall"
    return STRATEGIES[row.strategy].title if by_name else _range(row.strategy)


def _range(strategy: str) -> str:
    source = ADDRESSES.get(STRATEGIES[strategy].address_source or "", "")
    return f"{STRATEGIES[strategy].instruction.upper()} over the range{source}"


ADDRESSES = {"user_va": " (user address)", "spte": " (SPTE)", "pinned": " (pinned pages)", "gmem": " (guest_memfd)"}


def _claim(result: Alternatives, never: str, bound: str) -> str:
    """What one flush costs, and what its events can take of the host."""
    first = next((row for row in result.rows if row.cpu_time_per_event_s and row.instruction != "none"), result.rows[0])
    if never:
        flush = (
            f" Where a VMM lets it happen, one {_flush(first)} takes {cell(first.cpu_time_per_event_s)} of CPU time."
        )
        known = first.instruction != "none" and first.cpu_time_per_event_s is not None
        return f"{result.trigger_title} cannot happen to this guest: {never}.{flush if known else ''}"
    if first.cpu_time_per_event_s is None:
        why = _ROWS.sub("", str(first.refused))
        measured = f" Measured: {_ROWS.sub('', bound)}." if bound else ""
        return f"The model gives no number for {_flush(first)}: {why}.{measured}"
    if first.instruction == "none":
        why = f" {STRATEGIES[first.strategy].why}".rstrip()
        return f"Nothing is flushed for this guest at {result.trigger_title}, in {first.where}{why}."
    text = f"On {result.machine_title} one {_flush(first)} takes {cell(first.cpu_time_per_event_s)} of CPU time"
    worst = max((row for row in result.rows if not row.asked and row.guest == first.guest), key=_lost, default=first)
    if _lost(worst) > 0:
        kernel = "" if worst.where == first.where else f" ({worst.where})"
        lost = f"{cell(worst.host_cpus_lost)} of the {result.logical_cpus} CPUs{kernel}"
        text += f"; {result.trigger_title} can cost one such guest {lost}"
    return f"{text}."


def _lost(row: ModelRow) -> float:
    return row.host_cpus_lost.median if row.host_cpus_lost is not None else 0.0


def _number(rows: Sequence[ModelRow], limit: RangeLimit | None, *, yes_or_no: bool) -> str:
    """The break-even of the range flush that was asked about, else the flush that takes least."""
    if limit is not None:
        ranged, whole = STRATEGIES[limit.ranged].instruction.upper(), STRATEGIES[limit.whole].instruction.upper()
        size = quantity(limit.size_bytes, "B", 2)
        upto = "any length" if limit.beyond else f"up to {_bytes(limit.limit_bytes)}"
        shorter = limit.size_bytes <= limit.limit_bytes.median
        text = (
            f"{ranged} over the range takes less CPU time than {whole} for ranges of {upto}; at {size} it takes "
            f"{cell(limit.ranged_s)} on one CPU instead of {cell(limit.whole_s)}."
            if shorter
            else f"{ranged} over {size} takes {cell(limit.ranged_s)}, more than the {cell(limit.whole_s)} of {whole}; it "
            f"takes less for ranges of {upto}."
        )
        return f"{'Yes' if shorter else 'No'}: {text}" if yes_or_no else text
    less = [row for row in rows if _factor(row) > 1]
    if not less:
        return ""
    best = max(less, key=_factor)
    return f"{capitalised(_flush(best))} takes {factor(_factor(best))}x less."


def _bytes(value: Interval) -> str:
    return interval(value.low, value.median, value.high, "B")


def _factor(row: ModelRow) -> float:
    """How many times less CPU time than the first row it takes; 0 where that cannot be told."""
    ratio = row.change.ratio if row.change is not None and row.change.verdict == "lower" else None
    return 1 / ratio.median if ratio is not None and ratio.high < 1 and ratio.median > 0 else 0.0


def _catch(result: Alternatives, rows: Sequence[ModelRow], limit: RangeLimit | None) -> str:
    """What speaks against the flush that is cheaper, or what it takes to have it."""
    if limit is not None and limit.state == "inadmissible":
        return f"But it can lose a flush: {limit.why}."
    unsafe = next((row for row in rows if row.state == "inadmissible" and row.instruction != "none"), None)
    if unsafe is not None:
        it = "It" if unsafe is max(rows, key=_factor) else _flush(unsafe)
        return f"{it} can lose a flush, though: {judge(unsafe.guest, result.trigger, unsafe.strategy).why}."
    if any(row.scope == "mask" and row.pinned for row in rows):
        return "The mask of CPUs that ran the guest only grows, so that only vCPUs pinned from the start keep it small."
    return ""


def _besides(nothing: Sequence[str]) -> str:
    """Events that the quote names and that cannot happen to this guest."""
    return f"{' and '.join(nothing)} cannot happen to this guest as its memory is set up." if nothing else ""


HEAD = ("", "CPU time", "CPUs x wait", "max CPUs")
HEAD_EXACT = ("", "CPU time", "CPUs x wait", "CPUs lost")


def _table(rows: Sequence[ModelRow]) -> list[str]:
    """One line per flush, medians only: the intervals are in the sentences and behind --full. None where no number is
    known.
    """
    if all(row.cpu_time_per_event_s is None for row in rows):
        return []
    ceiling = any(row.host_cpus_lost is not None and row.host_cpus_lost.at_most for row in rows)
    rated = any(map(_rated, rows))
    several = len({row.guest for row in rows}) > 1
    cells = [HEAD if ceiling else HEAD_EXACT, *(_cells(row, f"{row.guest}: " if several else "") for row in rows)]
    if not rated:
        cells = [line[:3] for line in cells]
    widths = widths_of(cells)
    lines = []
    for line in cells:
        numbers = (f"{text:>{width}}" for text, width in zip(line[1:], widths[1:], strict=True))
        lines.append("  ".join([f"  {line[0]:<{widths[0]}}", *numbers]).rstrip())
    return lines


def _rated(row: ModelRow) -> bool:
    """Whether the event costs something by the second."""
    return row.host_cpus_lost is not None and row.host_cpus_lost.high > 0


def _cells(row: ModelRow, guest: str) -> tuple[str, ...]:
    name = f"{guest}{_name(row)}, {row.where}"
    name = f"{guest}{_name(row)}" if len(name) > LONGEST_NAME or row.asked else name
    name = name.replace(" over the range", "") if len(name) > LONGEST_NAME else name
    if row.cpu_time_per_event_s is None:
        return ascii_text(name), "unknown", "-", "-"
    lasts = quantity(row.latency_s.median, "s", 1) if row.latency_s else "-"
    cpus = row.cpus or 1
    lost = row.host_cpus_lost
    stops = "-" if row.instruction == "none" else f"{cpus} x {lasts}"
    most = "-" if lost is None else significant(lost.median, 1)
    return ascii_text(name), quantity(row.cpu_time_per_event_s.median, "s", 1), stops, most


def _name(row: ModelRow) -> str:
    """What is flushed where, short, with a mark where it is not safe."""
    if row.instruction == "none":
        return "no flush"
    if row.scope not in ("all_cpus", "mask", "range"):
        return f"{row.strategy_title}{UNSAFE.get(row.state, '')}"
    where = {"all_cpus": f"all {row.cpus} CPUs", "mask": f"{row.cpus} CPUs"}.get(row.scope, "over the range")
    text = f"{row.instruction.upper()}{',' if row.cpus else ''} {where}"
    return f"{text}{', pinned' if row.pinned else ''}{UNSAFE.get(row.state, '')}"


UNSAFE = {"inadmissible": " (unsafe)", "undecided": " (open)"}


def _caveat(rows: Sequence[ModelRow]) -> str:
    """What the numbers are and how far they can be off."""
    known = [row.cpu_time_per_event_s for row in rows if row.cpu_time_per_event_s and row.cpu_time_per_event_s.high > 0]
    if all(row.cpu_time_per_event_s is None for row in rows):
        return "--full says what else is known."
    if not known:
        return "Modelled; --full says what it rests on."
    text = "Modelled, medians; brackets are 90 % intervals, --full has all of them."
    if known[0].extrapolated and known[0].median > 0:
        wide = max(known[0].high / known[0].median, known[0].median / max(known[0].low, 1e-30))
        text += (
            f" Nobody has timed the whole-cache flush of this CPU in public, so its size is a guess, a factor "
            f"{factor(wide)} either way."
        )
    if any(_rated(row) and row.host_cpus_lost is not None and row.host_cpus_lost.at_most for row in rows):
        text += ' "At most" is the kernel\'s fastest rate; perf stat -e kvm:kvm_unmap_hva_range tells yours.'
    return text


def _again(result: Alternatives) -> list[str]:
    return [*command_lines(result.command), f"  (costmodel {result.costmodel_version}, data {result.data_hash})"]
