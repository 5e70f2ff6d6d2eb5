"""A replayed trace as a record: its figures, what the trace cannot tell and how the replay was made in sentences, as
`trace replay --json` prints it; and two kernels or strategies compared on its events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from costmodel import __version__
from costmodel.decision.estimates import CPU_TIME, refused_row
from costmodel.decision.result import Kind, Versus, VersusSide
from costmodel.decision.versus import Side
from costmodel.evidence.store import Evidence
from costmodel.hashing import value_hash
from costmodel.kvm.catalog import GUESTS
from costmodel.numbers import interval, quantity, significant
from costmodel.plain import visible
from costmodel.report import versus
from costmodel.report.trace import lost, why
from costmodel.traces import store, summary
from costmodel.traces.replay import PIECES, SATURATED_FLUSHES, Replayed
from costmodel.traces.results import (
    Dispersion,
    Replay,
    TaskRow,
    WayRow,
    break_evens,
    own_gap_s,
    rate_per_s,
    way_rows,
)
from costmodel.traces.service import StrategyRow
from costmodel.traces.study import TRACE_TIME, Picked, Studied, compare_on_trace, study
from costmodel.traces.triggers import triggers_of


def replayed(path: Path, guest: str, machine: str, workload: str, kernel: str = "newest", **asked: Any) -> Replay:
    """The record of the imported trace at `path`, replayed; the arguments are those of `traces.study.study`. Raises
    UnknownName or BadInput.
    """
    return record(study(path, guest, machine, workload, kernel, **asked))


def record(studied: Studied) -> Replay:
    """The figures of a replay and the sentences about them."""
    found, case = studied.found, studied.found.service.scenario
    events = int(found.classes.sum())
    ways = [_worded(row) for row in way_rows(found)]
    silent = [_strategy(s) for s in found.service.without_flush]
    return Replay(
        file=visible(studied.path.name),
        guest=case.guest,
        guest_title=GUESTS[case.guest].title,
        machine=case.machine.id,
        machine_title=case.machine.title,
        workload=case.workload.id,
        kernel=case.kernel,
        arrivals=studied.arrivals,
        events=events,
        outside=found.outside,
        lost_events=found.footer.lost_events,
        bound=bound(studied),
        headline=headline(silent, ways, case.kernel),
        span_s=found.footer.span_s,
        rate_per_s=rate_per_s(found),
        threads=found.threads,
        own_gap_p50_s=own_gap_s(found, 0.5),
        own_gap_p99_s=own_gap_s(found, 0.99),
        gap_variation=found.sampled.gap_variation,
        dispersion=[
            Dispersion(window_s=w.length_ns * 1e-9, index=w.dispersion, most=w.most)
            for w in found.sampled.windows.values()
        ],
        range_mean_bytes=float(found.class_bytes.sum() / events),
        range_p50_bytes=found.ranges.quantile(0.5),
        range_p99_bytes=found.ranges.quantile(0.99),
        tasks=[
            _task(*group, count) for group, count in sorted(found.footer.groups.items(), key=lambda t: (-t[1], t[0]))
        ],
        ways=ways,
        refused=dict(found.service.refused),
        without_flush=silent,
        break_evens=break_evens(found),
        not_decidable=not_decidable(found),
        notes=notes(found, ways),
        sampled_events=found.sampled_events,
        command=studied.command,
        costmodel_version=__version__,
        data_hash=studied.evidence.data_hash,
        asked_hash=value_hash(studied.command),
    )


def _task(name: str, chain_triggers: str, events: int) -> TaskRow:
    told = triggers_of(name, chain_triggers)
    return TaskRow(
        task=visible(name),
        events=events,
        triggers=list(told.triggers),
        decided=told.decided,
        why=why(told),
        catalogued=told.basis != "uncatalogued",
    )


def _worded(row: WayRow) -> WayRow:
    return row.model_copy(update={"strategies": [_strategy(one) for one in row.strategies]})


def _strategy(shown: StrategyRow) -> StrategyRow:
    return shown.model_copy(update={"reason": reason(shown)})


def reason(shown: StrategyRow) -> str:
    """Why a strategy is safe at the events of a trace or not, or that the trace does not tell."""
    if shown.alike:
        return shown.reason
    safe = f"safe only at {', '.join(shown.safe)}"
    if shown.told:
        return f"unsafe at {', '.join(shown.unsafe)}" if shown.unsafe else f"{safe}, open at the others"
    return f"not decidable from this trace: {safe if shown.safe else 'open at some triggers, unsafe at others'}"


ALIGNED_SHARE = 0.02
"""Where aligning the threads' clocks at the end of blocks adds more than this to the time, the reader is told."""


def bound(studied: Studied) -> str:
    """What is known about memory slots."""
    found = studied.found
    if found.unknown_overlap == 0:
        source = "the slots given with --memslots" if studied.slots_given else "the recorded memslot overlap"
        return f"by {source}: {found.outside} events outside, only the part inside is flushed"
    if found.unknown_overlap == found.footer.events:
        return "upper bound: memslots are not recorded, every event counts as inside one (lower bound: no flush at all)"
    return f"upper bound: {found.unknown_overlap} events do not say whether they meet a memslot and count as inside"


def headline(without_flush: Sequence[StrategyRow], ways: Sequence[WayRow], kernel: str) -> str:
    """What the kernel does with the recorded events, and what that costs."""
    silent = [row.strategy for row in without_flush if row.running and row.state == "admissible"]
    if silent:
        return f"Kernel {kernel} does not flush at these events ({', '.join(silent)}): the trace costs nothing."
    for way in ways:
        running = [row.strategy for row in way.strategies if row.running]
        if running:
            met = way.closed or way.open
            mark = "*" if met.p99_s.extrapolated else ""
            host, p99 = (interval(v.low, v.median, v.high, v.unit) + mark for v in (met.host_fraction, met.p99_s))
            name = ", ".join(running)
            return (
                f"Kernel {kernel} runs {name}: {host} of the host's CPU time, p99 of an event {p99} ({met.arrivals})."
            )
    lost = [row.strategy for row in without_flush if row.running]
    if lost:
        return f"Kernel {kernel} does not flush at these events ({', '.join(lost)}), and that can lose a flush."
    return f"What kernel {kernel} does at these events is not catalogued."


def not_decidable(found: Replayed) -> list[str]:
    """What the tracepoint does not carry."""
    texts = [
        "the notifier's event type, so whether the page leaves the VM (SKIP_EVENT)",
    ]
    if not found.footer.with_vm:
        texts.append("the VM, so which masks of CPUs overlap")
    open_: dict[str, int] = {}
    for (name, told), number in found.footer.groups.items():
        if not triggers_of(name, told).decided:
            open_[name] = open_.get(name, 0) + number
    if open_:
        share = sum(open_.values()) / found.footer.events
        texts.append(
            f"the trigger of {significant(100 * share)} % of the events "
            f"({names([visible(n) for n in sorted(open_, key=lambda n: (-open_[n], n))])}); a strategy counts as "
            "admissible only where it is at every trigger that the name allows; call chains tell it (perf record -g, "
            "trace-cmd record -T)"
        )
    if found.unknown_overlap:
        texts.append("which ranges meet a memslot; give them with --memslots")
    return texts


def names(found: Sequence[str], most: int = 4) -> str:
    """The first names, and how many more."""
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def notes(found: Replayed, ways: Sequence[WayRow]) -> list[str]:
    """How the replay was made."""
    texts = [f"recording: {text}" for text in found.footer.remarks]
    if found.closed is not None:
        texts.append(
            "closed: each thread waits for its flush, then thinks as long as recorded, also while others flush; every "
            f"{store.GROUP_ROWS} events the clocks of all threads are set to that of the slowest"
        )
    texts.append("open: each event at its recorded time, whatever the flushes take")
    if found.sampled_events == int(found.classes.sum()):
        texts.append("intervals of waits: the trace replayed at 5 %, 50 % and 95 % of the event time")
    else:
        texts.append(
            f"whole-cache flushes at the median cost: all events; intervals of waits, overlap of range flushes and "
            f"burstiness: {PIECES} evenly spaced pieces ({found.sampled_events} events) at 5 %, 50 % and 95 % of the "
            "event time; a line that only grows is cut at the end of a piece"
        )
    texts.append("whole-cache flushes: one line for all events, as if the CPU masks of their VMs were the same")
    resident = found.service.scenario.resident_bytes
    longer = int(found.classes[:, summary.bin_of(resident) + 1 :].sum())
    if longer:
        texts.append(
            f"{longer} ranges are longer than the guest's {quantity(resident, 'B')} and are flushed as that much"
        )
    if found.footer.with_duration:
        texts.append("think time: recorded gap less the recorded flush, at least 0")
    else:
        texts.append(
            "think time: the recorded gap; no flush time is recorded, so a host that flushed while recording makes it "
            "too long"
        )
    if found.footer.without_pid:
        texts.append("events without a pid: one thread per task name")
    for way in ways:
        lag = way.closed.aligned_s if way.closed else 0.0
        if lag > ALIGNED_SHARE * (found.footer.span_s + way.closed.behind_s.median if way.closed else 1.0):
            names_ = ", ".join(s.strategy for s in way.strategies)
            texts.append(f"{names_}: aligning the threads' clocks has added {quantity(lag, 's')} to the closed replay")
    texts.append(f"saturation episode: flushes without a gap in which {SATURATED_FLUSHES} or more stood in line (open)")
    return texts


# Two sides on the events of a trace.


def compared(evidence: Evidence, kind: Kind, base: Side, new: Side, path: Path, memslots: Path | None) -> Versus:
    """Two sides on the imported trace at `path`. Raises BadInput."""
    on = compare_on_trace(evidence, kind, base, new, path, memslots)
    shown = record(on.studied)
    footer = on.studied.found.footer
    gaps = [text for text in (gap(on.base, base), gap(on.new, new)) if text]
    refused = "; ".join(dict.fromkeys(gaps))
    (one,) = on.compared.triggers
    trigger = one.model_copy(
        update={
            "trigger": "events of the trace",
            "title": f"{shown.events} events",
            "base": _side(on.base, base),
            "new": _side(on.new, new),
            "rows": [refused_row(CPU_TIME, refused)] if gaps else one.rows,
        }
    )
    notes = [f"memory slots: {shown.bound}", *(f"not decidable: {text}" for text in shown.not_decidable)]
    notes += [told] if (told := lost(shown.lost_events)) else []
    title = f"trace {shown.file}: {shown.events} events in {footer.span_s:.3g} s, {shown.threads} threads"
    total = refused_row(TRACE_TIME, refused) if gaps else on.compared.total
    return versus.versus_record(
        evidence, replace(on.compared, triggers=(trigger,), total=total, title=title, notes=tuple(notes))
    )


def gap(picked: Picked, side: Side) -> str:
    """Why there is no cost of a side; empty where there is one."""
    if picked.gap == "differs":
        return f"what kernel {side.label} does differs between triggers that the trace cannot tell apart"
    return f"{picked.strategy} can lose a flush at these events" if picked.gap == "lost" else picked.refused


def _side(picked: Picked, side: Side) -> VersusSide:
    """A side with what is to be said of it."""
    note = reason(picked.shown) if picked.shown is not None else gap(picked, side)
    return picked.side.model_copy(update={"note": note})
