"""The table of a mail or a commit message, and the sentences below it on what upstream decided: 7-bit ASCII, prose of
at most 72 columns, tables of at most 75.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from costmodel.decision.result import Alternatives, MeasuredHost, ModelRow, Upstreamed
from costmodel.evidence.hosts import Limit
from costmodel.kvm.catalog import STRATEGIES
from costmodel.numbers import interval, quantity
from costmodel.report.layout import TABLE_WIDTH, aligned, ascii_text, cell, command_lines, widths_of, wrap
from costmodel.report.names import capitalised
from costmodel.report.recommendation import NEEDS
from costmodel.report.versus import change

LOST, LOST_AT_MOST = "host CPUs lost", "host CPUs, at most"
HEADS = (
    ("  CPU time/event", LOST, "event latency", "CPU time vs. first"),
    ("  CPU time/event", LOST, "event latency", "vs. first"),
)
"""Heads of the table, the second where the first is too wide."""
MODEL, MEASURED, MARK = "MODEL", "MEASURED", "*"


def render_block(result: Alternatives) -> str:
    """Title, table, sentences, limits and the command that prints it again."""
    parts = [title(result), table(result), [*history(result), *mask_note(result)], limits(result), again(result)]
    return "\n".join("\n".join(part) + "\n" for part in parts if part)


def title(result: Alternatives) -> list[str]:
    """What the table is about: trigger, machine, workload and guest."""
    sizes = " or ".join(quantity(size, "B", 3) for size in result.range_bytes)
    note = f" ({result.range_note})" if result.range_note else ""
    return wrap(
        f"{result.trigger_title} ({result.trigger}), {result.workload_title}, on {result.machine_title}, "
        f"{result.logical_cpus} CPUs. One guest, {result.vcpus} vCPUs, {quantity(result.resident_bytes, 'B', 3)}, "
        f"{sizes} per event{note}."
    )


def table(result: Alternatives) -> list[str]:
    """Two lines per model row, one per measured value, each with its kind at the right edge."""
    values = [_values(row) for row in result.rows if not row.refused]
    most = any(row.host_cpus_lost is not None and row.host_cpus_lost.at_most for row in result.rows)
    heads = [tuple(LOST_AT_MOST if most and text == LOST else text for text in head) for head in HEADS]
    head, longest = next(
        ((head, longest) for head in heads if sum(longest := widths_of([head, *values])) + len(longest) <= TABLE_WIDTH),
        (heads[-1], widths_of([heads[-1], *values])),
    )
    airy = sum(longest) + 2 * (len(longest) - 1) <= TABLE_WIDTH
    widths = [length + airy for length in longest]
    lines = _aligned(head, widths)
    for row in result.rows:
        lines += _labelled(label(row), MODEL + (MARK if _extrapolated(row) else ""))
        lines += wrap(f"refused: {row.refused}", "  ", "    ") if row.refused else _aligned(_values(row), widths)
    for host in result.measured:
        lines += ["", *_measured(host)]
    return lines + _beside(result)


def label(row: ModelRow) -> str:
    """Guest type, kernels and what is flushed, in words."""
    if row.instruction == "none":
        text = "no flush"
    elif row.scope == "all_cpus":
        text = f"{row.instruction.upper()} on all {row.cpus} CPUs"
    elif row.scope == "mask":
        text = f"{row.instruction.upper()} on the {row.cpus} CPUs that ran it"
    else:
        text = row.strategy_title
    text = f"{row.guest}, {row.where}: {text}{' (pinned)' if row.pinned else ''}"
    notes = [note for note in (UNSAFE.get(row.state), NEEDS.get(row.needs)) if note]
    return f"{text} ({', '.join(notes)})" if notes else text


UNSAFE = {"inadmissible": "can lose a flush", "undecided": "a condition is open"}


def _extrapolated(row: ModelRow) -> bool:
    cost = row.cpu_time_per_event_s
    return cost is not None and cost.extrapolated and cost.high > 0


def _values(row: ModelRow) -> tuple[str, ...]:
    against = change(row.change) if row.change else ""
    lost = cell(row.host_cpus_lost, bare=True)  # the column's head says that it is a ceiling
    return f"  {cell(row.cpu_time_per_event_s)}", lost, cell(row.latency_s), against


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    return aligned(cells, widths, gap=" ", room=None)


def _labelled(text: str, kind: str) -> list[str]:
    """`text` with `kind` at the right edge of its first line."""
    room = TABLE_WIDTH - len(kind) - 1
    first, *rest = textwrap.wrap(ascii_text(text), room, subsequent_indent="    ", break_on_hyphens=False)
    return [f"{first:<{room}} {kind}", *rest]


def _measured(host: MeasuredHost) -> list[str]:
    counts = {(value.n, value.runs) for value in host.values}
    same = f" n = {host.values[0].n} in {host.values[0].runs} runs," if len(counts) == 1 else ""
    lines = wrap(
        f"Measured on {host.hardware}, microcode {host.microcode}, kernel {host.kernel}, {host.measured_on};{same} "
        "median [5%, 95%]:"
    )
    for value in host.values:
        one = value.interval
        own = "" if same else f", n={value.n}"
        lines += _labelled(f"  {value.what}: {interval(one.low, one.median, one.high, value.unit)}{own}", MEASURED)
    return lines


def _beside(result: Alternatives) -> list[str]:
    """What the model has per line for the machine of the table, beside the measured lines of another host."""
    if not result.model_lines:
        return []
    texts = [f"{cell(one)}{MARK if one.extrapolated else ''} {state}" for state, one in result.model_lines.items()]
    return wrap(f"Per line the MODEL rows have, for {result.machine_title}: {', '.join(texts)}. Another CPU.")


def statement(result: Alternatives) -> list[str]:
    """What the first row says; where that kernel does not flush, whether this loses flushes, and what a flush costs."""
    first = result.rows[0]
    if first.refused:
        return wrap(f"The model gives no number for {label(first)}: {first.refused}.")
    if first.instruction != "none":
        return wrap(_costs(result, first))
    why = f" {STRATEGIES[first.strategy].why}".rstrip() if first.state == "admissible" else ""
    text = f"There is no flush at {_one(result)} ({first.guest}, {first.where}): {LOSS[first.state]}{why}."
    other = next((row for row in result.rows if row.instruction != "none" and not row.asked and not row.refused), None)
    return wrap(f"{text} {_costs(result, other)}" if other else text)


def _one(result: Alternatives) -> str:
    """The trigger with its article."""
    title = result.trigger_title
    return f"{'an' if title.startswith(VOWELS) else 'a'} {title}"


VOWELS = ("a", "e", "i", "o", "u", "A", "SNP", "RMP")
"""What a title begins with if it is spoken with a vowel first."""
LOSS = {
    "admissible": "none is needed",
    "inadmissible": "flushes can be lost there",
    "undecided": "whether one is lost hangs on an open condition",
}


def _costs(result: Alternatives, row: ModelRow) -> str:
    text = f"One flush at {_one(result)} costs the host {cell(row.cpu_time_per_event_s)} of CPU time"
    text += f" and takes {cell(row.latency_s)}"
    lost = row.host_cpus_lost
    if lost is not None:
        text += f"; at the rate of this workload that is {cell(lost)} of its {result.logical_cpus} CPUs"
    return f"{text} ({MODEL}; {label(row)})."


def mask_note(result: Alternatives) -> list[str]:
    """What becomes of the mask if nobody pins the guest, where a row flushes the CPUs of the mask."""
    if not any(row.scope == "mask" and row.cpus == result.logical_cpus for row in result.rows):
        return []
    return wrap(
        "The mask of CPUs that ran the guest only grows: without pinned vCPUs it ends up holding all of them, and then "
        "the CPU time is that of a flush on all CPUs."
    )


def limits(result: Alternatives) -> list[str]:
    """What the numbers are, what they rest on, where they hold, and what is not covered."""
    text = f"MODEL: median [90% interval] of {result.draws} joint draws; `vs. first` is of the CPU time of one event."
    if result.extrapolated:
        told = ": " + ". ".join(capitalised(prior) for prior in result.priors) if result.priors else ""
        text += f" {MARK} extrapolated: priors went in, not data of this CPU{told}."
    lines = wrap(text)
    if result.rate_is:
        lines += wrap(f"The rate is a {result.rate_is}. No interval holds how far the true rate lies below it.")
    lines += wrap(f"Valid for one guest of {result.vcpus} vCPUs on this machine under this load.")
    lines += wrap(f"Not covered: {'; '.join(result.not_covered)}.")
    for note in dict.fromkeys(f"{row.strategy}: {row.note}." for row in result.rows if row.note):
        lines += wrap(note)
    for host in result.measured:
        if host.limits:
            lines += wrap(f"{host.id}: {'; '.join(_findings(host.limits))}.")
    return lines


def _findings(limits: Sequence[Limit]) -> list[str]:
    """Limits without their asides, those of one probe together."""
    found: dict[str, list[str]] = {}
    for one in limits:
        found.setdefault(one.about, []).append(one.said)
    return [f"{about}: {', '.join(said)}" for about, said in found.items()]


def again(result: Alternatives) -> list[str]:
    """The command, as a shell reads it over several lines, and the hashes of what it ran on."""
    return [
        "Again with:",
        *command_lines(result.command),
        f"(costmodel {result.costmodel_version}, data {result.data_hash})",
    ]


def history(result: Alternatives) -> list[str]:
    """One sentence per release that changed the flush between the rows; guest types that it treats alike together."""
    return [line for guests, steps in releases(result.upstream) for line in wrap(sentence(guests, steps))]


def releases(decisions: Sequence[Upstreamed]) -> list[tuple[list[str], list[Upstreamed]]]:
    """The decisions by guest type and release, as (guest types, decisions); equal ones of several guest types once."""
    by_release: dict[tuple[str, str], list[Upstreamed]] = {}
    for one in decisions:
        by_release.setdefault((one.guest_title, one.version), []).append(one)
    found: dict[tuple, tuple[list[str], list[Upstreamed]]] = {}
    for (guest, version), steps in by_release.items():
        key = (version, *((one.change, one.more, one.commit) for one in steps))
        found.setdefault(key, ([], steps))[0].append(guest)
    return list(found.values())


def sentence(guests: Sequence[str], steps: Sequence[Upstreamed]) -> str:
    """What one release did: `Upstream VERSION CHANGE for GUEST (COMMIT) and CHANGE (COMMIT).`"""
    first, *others = steps
    clauses = [_clause(f"{first.change} for {' and '.join(guests)}", first)]
    clauses += [_clause(one.change, one) for one in others]
    return f"Upstream {first.version} {' and '.join(clauses)}."


def _clause(text: str, one: Upstreamed) -> str:
    return f"{text} {one.more} ({one.commit})" if one.more else f"{text} ({one.commit})"
