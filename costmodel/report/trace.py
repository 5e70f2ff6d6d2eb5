"""A replayed trace and a summary as plain text, 7-bit and fit to be pasted into a mail, and as a page and JSON beside
the report of the same guest and machine.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from costmodel.decision.result import Interval
from costmodel.numbers import quantity, shortened, significant
from costmodel.report import layout, page
from costmodel.report.layout import ascii_text, command_lines, listed, wrap
from costmodel.report.page import fragment
from costmodel.report.recommendation import NEWER_MARK, STATE_MARKS, safety_mark
from costmodel.traces import results
from costmodel.traces.results import Replay
from costmodel.traces.service import StrategyRow
from costmodel.traces.summary import BURST_GAP_NS, Histogram, Summary
from costmodel.traces.triggers import TaskTriggers, triggers_of

MOST_TASKS = 12
MOST_EPISODES = 5
DIFFERENT = 0.02
"""Open and closed arrivals are both printed where a number differs by more than this."""


def count(value: float) -> str:
    """A count with thousands separated.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{int(value):,}"


def plural(number: int, noun: str) -> str:
    """A count with its noun.

    >>> plural(1, "burst"), plural(2000, "burst")
    ('1 burst', '2,000 bursts')
    """
    return f"{count(number)} {noun}" + ("" if number == 1 else "s")


def lost(events: int) -> str:
    """What it means that the recording lost events, empty where it says of none."""
    if not events:
        return ""
    noun = "event was" if events == 1 else "events were"
    return f"at least {events} {noun} lost while recording: rates, bursts and waits are lower bounds"


CATALOGUED_BY_NONE = "fork, copy on write or another event that no trigger is catalogued for"
ANY_TASK = "a task of user space, or a worker: scan, migration, discard, copy on write and others end in the same event"


def why(told: TaskTriggers) -> str:
    """What tells the triggers of an event."""
    if told.basis == "name":
        return told.source
    texts = {"chain": "call chain (data/kvm/call_chains.csv)", "uncatalogued": CATALOGUED_BY_NONE, "any": ANY_TASK}
    return texts[told.basis]


def cell(value: Interval) -> str:
    """An interval, `*` where a prior by rule went in."""
    return layout.cell(value, marked=True)


def replay(found: results.Replay) -> str:
    """The whole block of a replay, ending with the command that prints it again."""
    blocks = [_head(found), _arrivals(found), _tasks(found)]
    blocks += [_way(found, way) for way in found.ways]
    blocks += [
        _without_flush(found),
        listed("REFUSED", [f"{name}: {gap}" for name, gap in found.refused.items()]),
        [line for row in found.break_evens for line in _break_even(found, row)],
        listed("NOT DECIDABLE FROM THIS TRACE", found.not_decidable),
        listed("HOW", found.notes),
        _foot(found),
    ]
    return "\n".join("\n".join(block) + "\n" for block in blocks if block)


def _head(found: results.Replay) -> list[str]:
    rate = f", {significant(found.rate_per_s, 3)} per second" if found.rate_per_s else ""
    lines = wrap(
        f"{found.file} replayed for {found.guest_title} on {found.machine_title}, kernel {found.kernel}", "", "  "
    )
    lines += wrap(
        f"{plural(found.events, 'event')} of {plural(found.threads, 'thread')} in "
        f"{quantity(found.span_s, 's', 3)}{rate}",
        "  ",
    )
    lines += wrap(f"Memslots: {found.bound}", "  ", "    ")
    if told := lost(found.lost_events):
        lines += wrap(f"Lost: {told}", "  ", "    ")
    lines += ["", *wrap(found.headline, "  ")]
    lines += [
        "",
        *wrap(
            "Times are MODEL, median [90 % interval], on recorded events; * marks EXTRAPOLATED (a prior by rule went "
            "in). '-' marks unsafe strategies, '?' those whose condition you must check or that this trace cannot "
            "tell, '+' what only a newer kernel has."
        ),
    ]
    return lines


def _arrivals(found: results.Replay) -> list[str]:
    lines = ["EVENTS"]
    lines += wrap(
        f"range length: mean {quantity(found.range_mean_bytes, 'B', 3)}, "
        f"median {quantity(found.range_p50_bytes, 'B', 3)}, p99 {quantity(found.range_p99_bytes, 'B', 3)}",
        "  ",
        "    ",
    )
    if found.own_gap_p50_s is not None and found.own_gap_p99_s is not None:
        p50, p99 = (quantity(gap, "s") for gap in (found.own_gap_p50_s, found.own_gap_p99_s))
        lines += wrap(f"think time, gap between a thread's own events: median {p50}, p99 {p99}", "  ", "    ")
    if found.gap_variation is not None:
        lines += wrap(
            f"gaps: squared coefficient of variation {significant(found.gap_variation)} (1: independent arrivals)",
            "  ",
            "    ",
        )
    lines += _dispersion([(d.window_s, d.index, d.most) for d in found.dispersion])
    return lines


def _dispersion(rows: Sequence[tuple[float, float | None, int]]) -> list[str]:
    shown = [(w, i, m) for w, i, m in rows if i is not None]
    if not shown:
        return wrap("index of dispersion: the trace is too short for ten windows", "  ", "    ")
    lines = ["  index of dispersion of the counts (1: independent), fullest window:"]
    return lines + [f"    {quantity(w, 's'):>7}  {significant(i, 3):>8}  {count(m):>9} events" for w, i, m in shown]


def _tasks(found: results.Replay) -> list[str]:
    lines = ["TASKS"]
    for task in found.tasks[:MOST_TASKS]:
        lines += _task(task.task, task.events, task.triggers, task.decided, task.catalogued)
    if len(found.tasks) > MOST_TASKS:
        rest = found.tasks[MOST_TASKS:]
        lines += wrap(f"{len(rest)} more names with {count(sum(t.events for t in rest))} events", "  ")
    return lines


def _task(name: str, events: int, triggers: Sequence[str], decided: bool, catalogued: bool) -> list[str]:
    if not catalogued:
        told = CATALOGUED_BY_NONE
    elif len(triggers) > 3:
        told = f"not decidable: any of {len(triggers)} triggers"
    else:
        told = " or ".join(triggers) + ("" if decided else " (not decidable)")
    return wrap(f"{ascii_text(name):<16} {count(events):>12}  {told}", "  ", " " * 33)


def _names(rows: Sequence[StrategyRow]) -> list[str]:
    lines = []
    for mark in (*STATE_MARKS.values(), NEWER_MARK):
        same = [r for r in rows if safety_mark(r.state, r.from_kernel) == mark]
        if same:
            text = ", ".join(r.strategy + (" (this kernel)" if r.running else "") for r in same)
            lines += wrap(text, f"{mark} ", "    ")
        for reason in dict.fromkeys(r.reason for r in same if r.state != "admissible" and r.reason):
            lines += wrap(reason, "      ")
    return lines


def _way(found: results.Replay, way: results.WayRow) -> list[str]:
    kind = "in line for the CPUs" if way.serial else "side by side"
    lines = _names(way.strategies)
    lines += wrap(f"event {cell(way.event_time_s)} on average, {kind}", "    ", "      ")
    lines += wrap(f"host CPU time {cell(way.cpu_s_per_event)} per event, {cell(way.cpu_s)} in all", "    ", "      ")
    shown = [way.open]
    if found.arrivals != "open" and way.closed is not None:
        shown = [way.closed, way.open] if differ(way.closed, way.open) else [way.closed]
    for one in shown:
        lines += _experience(found, one, way.serial)
    return lines + _predicted(way)


def differ(one: results.Experience, other: results.Experience) -> bool:
    """Whether the kind of arrivals changes a number by more than DIFFERENT."""
    pairs = [(getattr(one, n).median, getattr(other, n).median) for n in ("p50_s", "p99_s", "in_progress_fraction")]
    return any(not math.isclose(a, b, rel_tol=DIFFERENT) for a, b in pairs) or other.episodes > 0


def _experience(found: results.Replay, one: results.Experience, serial: bool) -> list[str]:
    lines = [f"    {one.arrivals}"]
    lines += wrap(f"latency p50 {cell(one.p50_s)}, p99 {cell(one.p99_s)},", "      ", "        ")
    lines += wrap(f"p99.9 {cell(one.p999_s)}, longest {quantity(one.longest_s, 's', 1)}", "        ", "        ")
    lines += wrap(f"in progress {cell(one.in_progress_fraction)} of the time", "      ", "        ")
    lines += wrap(f"host CPU time taken {cell(one.host_fraction)} of all", "      ", "        ")
    if one.arrivals == "closed":
        text = f"slowest thread ({one.slowest_thread}) falls behind by {cell(one.behind_s)}"
        if one.behind_s.median < 0:
            text = f"the last thread ends sooner than recorded, by {quantity(-one.behind_s.median, 's', 1)}"
        lines += wrap(text, "      ", "        ")
    elif serial:
        lines += wrap(f"line of flushes after the last event {cell(one.behind_s)}", "      ", "        ")
    if one.events_in_time is not None and one.events_in_time < found.events and serial:
        share = one.events_in_time / found.events
        lines += wrap(
            f"{count(one.events_in_time)} of {count(found.events)} events ({significant(100 * share)} %) are done "
            "within the recorded time",
            "      ",
            "        ",
        )
    if one.episodes:
        lines += wrap(
            f"{plural(one.episodes, 'saturation episode')}: {quantity(one.episodes_s, 's')} in all, "
            f"{count(one.episode_events)} events; longest:",
            "      ",
            "        ",
        )
        for episode in one.longest_episodes[:MOST_EPISODES]:
            start, length = quantity(episode.start_s, "s", 4), quantity(episode.length_s, "s", 3)
            lines.append(f"        at {start:>9}  for {length:>9}  {count(episode.events):>11} events")
    return lines


def _predicted(way: results.WayRow) -> list[str]:
    told = way.predicted
    form = "M/D/1" if way.serial else "M/D/inf"
    if told.mean_s is None or told.p50_s is None or told.p99_s is None:
        text = f"{form} at the mean rate: load {significant(told.load)}, no steady state"
    else:
        sign = ">= " if told.p99_is_lower_bound else ""
        text = (
            f"{form} at the mean rate: load {significant(told.load)}, p50 {quantity(told.p50_s, 's')}, "
            f"p99 {sign}{quantity(told.p99_s, 's')}, in progress {significant(told.in_progress_fraction)}"
        )
    return wrap(text, "    ", "      ")


def _without_flush(found: results.Replay) -> list[str]:
    if not found.without_flush:
        return []
    return ["WITHOUT A FLUSH", *("  " + line for line in _names(found.without_flush) if line.strip())]


def _break_even(found: results.Replay, row: results.BreakEven) -> list[str]:
    lines = wrap(f"BREAK-EVEN {', '.join(row.ranged)} against {', '.join(row.whole)}", "", "  ")
    for name, cap in (("CPU time", row.cap_cpu_bytes), ("event time", row.cap_time_bytes)):
        text = "the range flush never reaches it" if cap is None else f"whole cache from {cell(cap)} on"
        lines += wrap(f"{name}: {text}", "  ", "    ")
    lines += wrap(
        f"recorded: mean range {quantity(row.mean_range_bytes, 'B', 3)}, {count(row.events_beyond_cap)} of "
        f"{count(found.events)} events beyond the CPU-time cap",
        "  ",
        "    ",
    )
    lines += wrap(
        f"CPU time of the trace: range {cell(row.ranged_cpu_s)}, whole {cell(row.whole_cpu_s)}, the cheaper one of "
        f"each event {cell(row.hybrid_cpu_s)}",
        "  ",
        "    ",
    )
    rate = f"; recorded {significant(found.rate_per_s)} /s on average" if found.rate_per_s else ""
    lines += wrap(f"whole cache saturates at {cell(row.saturation_rate_per_s)}{rate}", "  ", "    ")
    return lines


def _foot(found: results.Replay) -> list[str]:
    return [
        "Again with:",
        *command_lines(found.command),
        f"costmodel {found.costmodel_version}, data {found.data_hash}, asked {found.asked_hash}",
    ]


def summary(found: Summary) -> str:
    """A summary: rates, lengths, gaps, bursts, triggers by task name."""
    rate = f", {significant(found.rate_per_s, 3)} per second" if found.rate_per_s else ""
    span = quantity(found.span_ns * 1e-9, "s", 3)
    lines = [f"{plural(found.recordings, 'recording')}, {plural(found.events, 'event')} in {span}{rate}"]
    if told := lost(found.lost_events):
        lines += wrap(told, "  ")
    for text in found.remarks:
        lines += wrap(ascii_text(text), "  ")
    if found.with_overlap:
        lines += wrap(f"{count(found.outside)} of {count(found.with_overlap)} events meet no memslot", "  ")
    lines += ["", "GAPS between events (all threads)", *wrap(_quantiles(found.gaps_ns, 1e-9, "s"), "  ")]
    if found.gap_variation is not None:
        lines.append(f"  squared coefficient of variation {significant(found.gap_variation)} (1: independent arrivals)")
    lines += _dispersion([(w.length_ns * 1e-9, w.dispersion, w.most) for w in found.windows.values()])
    lines += ["", "RANGE LENGTHS", *wrap(_quantiles(found.ranges, 1, "B", 3), "  "), *_octaves(found.ranges)]
    bursts = found.bursts
    lines += ["", f"BURSTS (events of a thread, gaps up to {quantity(BURST_GAP_NS * 1e-9, 's')})"]
    per_burst = _quantiles(bursts, 1, "1")
    lines += wrap(f"{plural(bursts.total, 'burst')}, events per burst: {per_burst}", "  ", "    ")
    lines += ["", "TASKS"]
    ranked = sorted(found.tasks.items(), key=lambda item: (-item[1].events, item[0]))
    for name, task in ranked[:MOST_TASKS]:
        for chain_triggers, events in sorted(found.groups(name).items(), key=lambda item: (-item[1], item[0])):
            of = triggers_of(name, chain_triggers)
            lines += _task(name, events, of.triggers, of.decided, of.basis != "uncatalogued")
        ranges = _quantiles(task.ranges, 1, "B", 3)
        lines += wrap(f"{plural(task.threads, 'thread')}; range {ranges}", "      ", "        ")
        if task.gaps_ns.total:
            lines += wrap(f"own gap {_quantiles(task.gaps_ns, 1e-9, 's')}", "      ", "        ")
    if len(ranked) > MOST_TASKS:
        lines.append(f"  {len(ranked) - MOST_TASKS} more names")
    return "\n".join(lines) + "\n"


def _quantiles(histogram: Histogram, factor: float, unit: str, digits: int = 2) -> str:
    if not histogram.total:
        return "none"
    parts = [f"{name} {quantity(histogram.quantile(q) * factor, unit, digits)}" for name, q in QUANTILES]
    return ", ".join(parts)


QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))


def _octaves(histogram: Histogram) -> list[str]:
    """Share of the events per power of two."""
    octaves: dict[int, int] = {}
    for at, number in histogram.counts.items():
        octaves[max(0, at - 1) // 64] = octaves.get(max(0, at - 1) // 64, 0) + number
    total = histogram.total
    return [
        f"  {quantity(2.0**octave, 'B', 3):>9} {count(number):>13}  {'#' * math.ceil(40 * number / total)}"
        for octave, number in sorted(octaves.items())
    ]


MOST_TASKS_ON_PAGE = 100


def html(found: Replay) -> str:
    """The sections of a replay; every text from the trace is escaped."""
    shown = found.tasks[:MOST_TASKS_ON_PAGE]
    words = {"count": count, "plural": plural, "lost": lost}
    return fragment("trace", r=found, tasks=shown, more=len(found.tasks) - len(shown), **words)


def as_json(found: Replay) -> str:
    """The replay as JSON, keys sorted, 6 significant digits."""
    return json.dumps(shortened(found.model_dump(mode="json")), indent=2, sort_keys=True, allow_nan=False) + "\n"


def stem(found: Replay) -> str:
    """guest/machine.trace, with the name of the trace's file so that several stand side by side."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in Path(found.file).stem)
    return f"{found.guest}/{found.machine}.trace-{kept[:60] or 'trace'}"


def files(found: Replay) -> dict[str, str]:
    """Contents by path relative to the directory of the reports."""
    name = stem(found)
    title = f"{found.guest} on {found.machine}: trace {found.file}"
    return {
        f"{name}.html": page.page(title, html(found), "../index.html"),
        f"{name}.txt": replay(found),
        f"{name}.json": as_json(found),
    }
