"""The result of a replay, in SI units with intervals of 90 %: what `trace replay --json` prints and what a report
shows.

Intervals and break-evens over the passes, closed forms beside them, and in sentences what the trace cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import methodcaller
from pathlib import Path

import numpy

from costmodel import __version__
from costmodel.decision.estimates import interval_of
from costmodel.decision.result import Frozen, Interval
from costmodel.evidence.store import Evidence
from costmodel.formulas.compiled import value
from costmodel.hashing import value_hash
from costmodel.kvm.catalog import GUESTS
from costmodel.numbers import interval, quantity, significant
from costmodel.plain import visible
from costmodel.traces import store, summary
from costmodel.traces.replay import PIECES, SATURATED_FLUSHES, Levels, Outcome, Replayed
from costmodel.traces.service import NODES_BYTES, Shown, Way
from costmodel.traces.triggers import triggers_of


class TaskRow(Frozen):
    """Events of a task name and the triggers that they can stand for: by their call chains, else by the name."""

    task: str
    events: int
    triggers: list[str]
    decided: bool
    why: str


class StrategyRow(Frozen):
    """A strategy at the events of the trace; `from_kernel` is the first later kernel that has what it lacks in this
    one."""

    strategy: str
    state: str
    running: bool
    reason: str
    from_kernel: str | None = None


class Episode(Frozen):
    """Flushes without a gap in which at least ten stood in line: start from the first event of the trace, length."""

    start_s: float
    length_s: float
    events: int


class Experience(Frozen):
    """What the events meet if threads wait for their flushes (closed) or not (open).

    `behind_s`: closed, how far the slowest thread is behind the recording at its end; open, how long the line of
    flushes
    takes after the last event. `events_in_time`: done by the end of the recorded time. `host_fraction`: share of all
    CPU time of the host over the time that the replay takes.
    """

    arrivals: str
    p50_s: Interval
    p99_s: Interval
    p999_s: Interval
    longest_s: float
    in_progress_fraction: Interval
    host_fraction: Interval
    behind_s: Interval
    events_in_time: int | None
    slowest_thread: str
    aligned_s: float
    episodes: int
    episode_events: int
    episodes_s: float
    longest_episodes: list[Episode]


class Prediction(Frozen):
    """Closed forms for independent arrivals at the mean rate, at the median cost; null where they have no answer.

    `p99_is_lower_bound`: the quantile lies beyond one flush of waiting, where the form ends.
    """

    load: float
    mean_s: float | None
    p50_s: float | None
    p99_s: float | None
    p99_is_lower_bound: bool
    in_progress_fraction: float


class WayRow(Frozen):
    """Strategies of one cost. `serial`: whole caches, events wait in line for the same CPUs."""

    strategies: list[StrategyRow]
    serial: bool
    event_time_s: Interval
    cpu_s: Interval
    cpu_s_per_event: Interval
    closed: Experience | None
    open: Experience
    predicted: Prediction


class BreakEven(Frozen):
    """A range flush against a whole-cache flush, on the recorded lengths. Beyond `cap_cpu_bytes` the whole cache takes
    less CPU time, beyond `cap_time_bytes` its flush is over sooner; null where they never meet. `hybrid_cpu_s`: CPU
    time
    of the trace if each event takes the cheaper one.
    """

    ranged: list[str]
    whole: list[str]
    cap_cpu_bytes: Interval | None
    cap_time_bytes: Interval | None
    events_beyond_cap: int
    mean_range_bytes: float
    hybrid_cpu_s: Interval
    ranged_cpu_s: Interval
    whole_cpu_s: Interval
    saturation_rate_per_s: Interval


class Dispersion(Frozen):
    """Index of dispersion of the counts in windows of `window_s` (1: independent arrivals), and the fullest window."""

    window_s: float
    index: float | None
    most: int


class Replay(Frozen):
    """A trace under every strategy of a guest type on a machine. `events` were replayed, `outside` meet no memslot,
    at least `lost_events` more are missing from the recording;
    `bound` says what is not known about that; `headline` what the kernel does with it. `sampled_events`: events of the
    pieces behind the 90 % intervals.
    `own_gap_*`: between a thread's own events, its think time where the recorded host did not flush; null of single
    events.
    """

    file: str
    guest: str
    guest_title: str
    machine: str
    machine_title: str
    workload: str
    kernel: str
    arrivals: str
    events: int
    outside: int
    lost_events: int
    bound: str
    headline: str
    span_s: float
    rate_per_s: float | None
    threads: int
    own_gap_p50_s: float | None
    own_gap_p99_s: float | None
    gap_variation: float | None
    dispersion: list[Dispersion]
    range_mean_bytes: float
    range_p50_bytes: float
    range_p99_bytes: float
    tasks: list[TaskRow]
    ways: list[WayRow]
    refused: dict[str, str]
    without_flush: list[StrategyRow]
    break_evens: list[BreakEven]
    not_decidable: list[str]
    notes: list[str]
    sampled_events: int
    command: str
    costmodel_version: str
    data_hash: str
    asked_hash: str


SHARES = (0.5, 0.99, 0.999)


def result(
    found: Replayed,
    path: Path,
    evidence: Evidence,
    arrivals: str,
    slots_given: bool,
    command: str,
) -> Replay:
    """The result of a replay of the file at `path`."""
    case = found.service.scenario
    events = int(found.classes.sum())
    ways = [_way(found, at) for at in range(len(found.service.ways))]
    silent = [_strategy(s) for s in found.service.without_flush]
    return Replay(
        file=visible(path.name),
        guest=case.guest,
        guest_title=GUESTS[case.guest].title,
        machine=case.machine.id,
        machine_title=case.machine.title,
        workload=case.workload.id,
        kernel=case.kernel,
        arrivals=arrivals,
        events=events,
        outside=found.outside,
        lost_events=found.footer.lost_events,
        bound=bound(found, slots_given),
        headline=headline(silent, ways, case.kernel),
        span_s=found.footer.span_s,
        rate_per_s=_rate(found),
        threads=found.threads,
        own_gap_p50_s=_own_gap_s(found, 0.5),
        own_gap_p99_s=_own_gap_s(found, 0.99),
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
        break_evens=_break_evens(found),
        not_decidable=not_decidable(found),
        notes=notes(found, ways),
        sampled_events=found.sampled_events,
        command=command,
        costmodel_version=__version__,
        data_hash=evidence.data_hash,
        asked_hash=value_hash(command),
    )


def _rate(found: Replayed) -> float | None:
    events = int(found.classes.sum())
    return (events - 1) / found.footer.span_s if found.footer.span_s > 0 and events > 1 else None


def _own_gap_s(found: Replayed, share: float) -> float | None:
    """Quantile of the gap between a thread's own events, over the sampled blocks."""
    gaps = found.sampled.own_gaps_ns
    return gaps.quantile(share) * 1e-9 if gaps.total else None


def _task(name: str, chain_triggers: str, events: int) -> TaskRow:
    told = triggers_of(name, chain_triggers)
    return TaskRow(task=visible(name), events=events, triggers=list(told.triggers), decided=told.decided, why=told.why)


def _strategy(shown: Shown) -> StrategyRow:
    return StrategyRow(
        strategy=shown.strategy,
        state=shown.state,
        running=shown.running,
        reason=shown.reason,
        from_kernel=shown.from_kernel,
    )


def _lengths(found: Replayed) -> list[tuple[int, numpy.ndarray, numpy.ndarray]]:
    """(residency, events, mean length in bytes) of the classes that occur."""
    parts = []
    for residency, (counts, total) in enumerate(zip(found.classes, found.class_bytes, strict=True)):
        used = numpy.flatnonzero(counts)
        parts.append((residency, counts[used], total[used] / counts[used]))
    return parts


def _over_events(found: Replayed, way: Way, values: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """`values` (as way.time_s) of the classes that occur, shape (classes, draws), and their events."""
    parts = [(way.at(values, r, lengths), counts) for r, counts, lengths in _lengths(found) if len(counts)]
    return numpy.concatenate([v for v, _ in parts]), numpy.concatenate([c for _, c in parts])


def _way(found: Replayed, at: int) -> WayRow:
    way = found.service.ways[at]
    times, counts = _over_events(found, way, way.time_s)
    cpu, _ = _over_events(found, way, way.cpu_s)
    cpu_s = counts @ cpu
    mean_s = counts @ times / counts.sum()

    def experience(levels: Levels, arrivals: str) -> Experience:
        return _experience(found, way, levels, arrivals, (times, counts), cpu_s)

    return WayRow(
        strategies=[_strategy(s) for s in way.strategies],
        serial=way.serial,
        event_time_s=interval_of(mean_s, "s", way.extrapolated),
        cpu_s=interval_of(cpu_s, "s", way.extrapolated),
        cpu_s_per_event=interval_of(cpu_s / counts.sum(), "s", way.extrapolated),
        closed=experience(found.closed[at], "closed") if found.closed else None,
        open=experience(found.open[at], "open"),
        predicted=prediction(_rate(found), float(numpy.median(mean_s)), None if way.serial else (times, counts)),
    )


def _spread(levels: Levels, pick: Callable[[Outcome], float], unit: str, mark: bool) -> Interval:
    """Interval from the three levels of the cost. Where the median has been replayed over more events than the others,
    their ratio to the median over the same events carries over.
    """
    low, same, high = (pick(outcome) for outcome in levels.sampled)
    middle = pick(levels.median)
    scale = middle / same if same > 0 else 1.0
    ends = sorted((low * scale, middle, high * scale))
    return Interval(low=ends[0], median=middle, high=ends[2], unit=unit, extrapolated=mark)


def _experience(
    found: Replayed,
    way: Way,
    levels: Levels,
    arrivals: str,
    alone: tuple[numpy.ndarray, numpy.ndarray],
    cpu_s: numpy.ndarray,
) -> Experience:
    times, counts = alone
    mark = way.extrapolated
    one = levels.median
    whole = one.events == int(found.classes.sum())
    if way.serial:
        quantiles = [_spread(levels, methodcaller("latency_s", share), "s", mark) for share in SHARES]
        longest = one.longest_s
    else:
        quantiles = [_quantile_alone(times, counts, share, mark) for share in SHARES]
        longest = float(numpy.median(times, axis=1).max())
    scale = 1.0 if whole else int(found.classes.sum()) / one.events
    behind = _spread(levels, lambda o: o.behind_s * scale, "s", mark)
    fraction = _spread(levels, lambda o: o.in_progress_fraction, "1", mark)
    elapsed = {part: found.footer.span_s + getattr(behind, part) for part in ("low", "median", "high")}
    cpus = found.service.scenario.machine.logical_cpus
    taken = interval_of(cpu_s, "s", mark)
    host = {p: min(1.0, getattr(taken, p) / (elapsed[p] * cpus)) if elapsed[p] > 0 else 1.0 for p in elapsed}
    host["low"], host["high"] = min(host["low"], host["median"]), max(host["high"], host["median"])
    return Experience(
        arrivals=arrivals,
        p50_s=quantiles[0],
        p99_s=quantiles[1],
        p999_s=quantiles[2],
        longest_s=longest,
        in_progress_fraction=fraction.model_copy(update={"high": min(1.0, fraction.high)}),
        host_fraction=Interval(low=host["low"], median=host["median"], high=host["high"], unit="1", extrapolated=mark),
        behind_s=behind,
        events_in_time=one.in_time if whole else None,
        slowest_thread=thread(one, found),
        aligned_s=one.aligned_s,
        episodes=one.episodes,
        episode_events=one.episode_events,
        episodes_s=one.episodes_s,
        longest_episodes=[
            Episode(start_s=start, length_s=length, events=n) for start, length, n in one.longest_episodes
        ],
    )


def _quantile_alone(times: numpy.ndarray, counts: numpy.ndarray, share: float, mark: bool) -> Interval:
    """Quantile over the events of a time that depends on the length only, as an interval over the draws."""
    order = numpy.argsort(numpy.median(times, axis=1), kind="stable")
    running = numpy.cumsum(counts[order])
    at = order[min(int(numpy.searchsorted(running, share * running[-1])), len(order) - 1)]
    return interval_of(times[at], "s", mark)


def prediction(
    rate_per_s: float | None, event_s: float, side_by_side: tuple[numpy.ndarray, numpy.ndarray] | None = None
) -> Prediction:
    """Closed forms for independent arrivals at `rate_per_s`: M/D/1 where flushes wait in line, else M/D/infinity.

    `side_by_side`: latencies (classes, draws) of flushes that do not wait for each other, and the events of each class.
    """
    serial = side_by_side is None
    rate = rate_per_s or 0.0
    load = rate * event_s
    progress = value("in_progress", rate_per_s=rate, serial_s=event_s * serial, parallel_s=event_s * (not serial))
    if side_by_side is not None:
        p50, p99 = (_quantile_alone(*side_by_side, share, False).median for share in SHARES[:2])
        return _predicted(load, event_s, p50, p99, False, float(progress))
    if load >= 1 or rate == 0:
        return _predicted(load, None, None, None, False, float(progress))
    waits = [
        float(value("lock_wait_quantile", share=1 - q, rate_per_s=rate, hold_s=event_s, queueing=1.0))
        for q in SHARES[:2]
    ]
    mean = float(value("queued_latency", rate_per_s=rate, flush_s=event_s))
    return _predicted(load, mean, event_s + waits[0], event_s + waits[1], waits[1] >= event_s, float(progress))


def _predicted(
    load: float, mean: float | None, p50: float | None, p99: float | None, bound: bool, progress: float
) -> Prediction:
    return Prediction(
        load=load, mean_s=mean, p50_s=p50, p99_s=p99, p99_is_lower_bound=bound, in_progress_fraction=progress
    )


def _break_evens(found: Replayed) -> list[BreakEven]:
    """Each range flush against each whole-cache flush."""
    ways = found.service.ways
    return [_break_even(found, r, w) for w in ways if w.serial for r in ways if not r.serial]


def _break_even(found: Replayed, ranged: Way, whole: Way) -> BreakEven:
    mark = ranged.extrapolated or whole.extrapolated
    weights = found.classes.sum(axis=1)
    own, counts = _over_events(found, ranged, ranged.cpu_s)
    other, _ = _over_events(found, whole, whole.cpu_s)
    cap = _crossing(ranged.cpu_s, whole.cpu_s, weights)
    lengths = numpy.concatenate([length for _, _, length in _lengths(found)])
    beyond = int(counts[lengths > numpy.median(cap)].sum()) if cap is not None else 0
    times, _ = _over_events(found, whole, whole.time_s)
    return BreakEven(
        ranged=[s.strategy for s in ranged.strategies],
        whole=[s.strategy for s in whole.strategies],
        cap_cpu_bytes=interval_of(cap, "B", mark),
        cap_time_bytes=interval_of(_crossing(ranged.time_s, whole.time_s, weights), "B", mark),
        events_beyond_cap=beyond,
        mean_range_bytes=float(found.class_bytes.sum() / found.classes.sum()),
        hybrid_cpu_s=interval_of(counts @ numpy.minimum(own, other), "s", mark),
        ranged_cpu_s=interval_of(counts @ own, "s", mark),
        whole_cpu_s=interval_of(counts @ other, "s", mark),
        saturation_rate_per_s=interval_of(1.0 / times[0], "1/s", mark),
    )


def _crossing(ranged: numpy.ndarray, whole: numpy.ndarray, weights: numpy.ndarray) -> numpy.ndarray | None:
    """Range length per draw at which `ranged` (residencies, nodes, draws), averaged over the residencies with the
    events
    as weights, reaches `whole`; None where some draw never does up to the longest node.
    """
    own, other = (numpy.average(values, axis=0, weights=weights) for values in (ranged, whole))
    reached = own >= other
    if not reached[-1].all():
        return None
    high = numpy.argmax(reached, axis=0)
    draws = numpy.arange(own.shape[1])
    low = numpy.maximum(high - 1, 0)
    rise = own[high, draws] - own[low, draws]
    part = numpy.where(rise > 0, (other[low, draws] - own[low, draws]) / numpy.where(rise > 0, rise, 1), 0.0)
    return NODES_BYTES[low] + numpy.clip(part, 0, 1) * (NODES_BYTES[high] - NODES_BYTES[low])


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


def thread(outcome: Outcome, found: Replayed) -> str:
    """The thread that fell behind most, by pid or task name."""
    first_name = store.loops().NO_PID
    at = outcome.slowest_thread
    if at < 0:
        return ""
    return f"pid {at}" if at < first_name else visible(list(found.footer.tasks)[at - first_name])
