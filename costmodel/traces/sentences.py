"""What a trace cannot tell, and what the reader of a replay must know, as sentences."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.numbers import interval, quantity, significant
from costmodel.plain import visible
from costmodel.traces import bins, libraries, model, store
from costmodel.traces.passes import SATURATED_FLUSHES, Outcome
from costmodel.traces.replay import PIECES, Replayed
from costmodel.traces.tasks import triggers_of

ALIGNED_SHARE = 0.02
"""Where aligning the threads' clocks at the end of blocks adds more than this to the time, the reader is told."""


def bound(found: Replayed, slots_given: bool) -> str:
    """What is known about memory slots."""
    if found.unknown_overlap == 0:
        source = "the slots given with --memslots" if slots_given else "the recorded memslot overlap"
        return f"by {source}: {found.outside} events outside, only the part inside is flushed"
    if found.unknown_overlap == found.footer.events:
        return "upper bound: memslots are not recorded, every event counts as inside one (lower bound: no flush at all)"
    return f"upper bound: {found.unknown_overlap} events do not say whether they meet a memslot and count as inside"


def headline(without_flush: Sequence[model.StrategyRow], ways: Sequence[model.WayRow], kernel: str) -> str:
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
            f"({names([visible(n) for n in sorted(open_, key=lambda n: (-open_[n], n))])}); a strategy counts as admissible only where it is "
            "at every trigger that the name allows; call chains tell it (perf record -g, trace-cmd record -T)"
        )
    if found.unknown_overlap:
        texts.append("which ranges meet a memslot; give them with --memslots")
    return texts


def names(found: Sequence[str], most: int = 4) -> str:
    """The first names, and how many more."""
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def notes(found: Replayed, ways: Sequence[model.WayRow]) -> list[str]:
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
    longer = int(found.classes[:, bins.index(resident) + 1 :].sum())
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


def thread(outcome: Outcome, found: Replayed) -> str:
    """The thread that fell behind most, by pid or task name."""
    first_name = libraries.kernels().NO_PID
    at = outcome.slowest_thread
    if at < 0:
        return ""
    return f"pid {at}" if at < first_name else visible(list(found.footer.tasks)[at - first_name])
