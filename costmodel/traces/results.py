"""The figures of a replay, in SI units with intervals of 90 %: what every way to flush costs and makes events wait,
break-evens over the passes, and closed forms beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import methodcaller

import numpy
from pydantic import Field

from costmodel.decision.estimates import interval_of
from costmodel.decision.result import Frozen, Interval
from costmodel.formulas.compiled import value
from costmodel.plain import visible
from costmodel.traces import store
from costmodel.traces.replay import Levels, Outcome, Replayed
from costmodel.traces.service import NODES_BYTES, StrategyRow, Way


class TaskRow(Frozen):
    """Events of a task name and the triggers that they can stand for: by their call chains, else by the name. Not
    `catalogued`: no trigger is, for what their call chains told.
    """

    task: str
    events: int
    triggers: list[str]
    decided: bool
    why: str
    catalogued: bool = Field(default=True, exclude=True)


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


def rate_per_s(found: Replayed) -> float | None:
    events = int(found.classes.sum())
    return (events - 1) / found.footer.span_s if found.footer.span_s > 0 and events > 1 else None


def own_gap_s(found: Replayed, share: float) -> float | None:
    """Quantile of the gap between a thread's own events, over the sampled blocks."""
    gaps = found.sampled.own_gaps_ns
    return gaps.quantile(share) * 1e-9 if gaps.total else None


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


def way_rows(found: Replayed) -> list[WayRow]:
    """What every way to flush costs, and what the events meet, in the order of the service."""
    return [_way(found, at) for at in range(len(found.service.ways))]


def _way(found: Replayed, at: int) -> WayRow:
    way = found.service.ways[at]
    times, counts = _over_events(found, way, way.time_s)
    cpu, _ = _over_events(found, way, way.cpu_s)
    cpu_s = counts @ cpu
    mean_s = counts @ times / counts.sum()

    def experience(levels: Levels, arrivals: str) -> Experience:
        return _experience(found, way, levels, arrivals, (times, counts), cpu_s)

    return WayRow(
        strategies=list(way.strategies),
        serial=way.serial,
        event_time_s=interval_of(mean_s, "s", way.extrapolated),
        cpu_s=interval_of(cpu_s, "s", way.extrapolated),
        cpu_s_per_event=interval_of(cpu_s / counts.sum(), "s", way.extrapolated),
        closed=experience(found.closed[at], "closed") if found.closed else None,
        open=experience(found.open[at], "open"),
        predicted=prediction(rate_per_s(found), float(numpy.median(mean_s)), None if way.serial else (times, counts)),
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


def break_evens(found: Replayed) -> list[BreakEven]:
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


def thread(outcome: Outcome, found: Replayed) -> str:
    """The thread that fell behind most, by pid or task name."""
    first_name = store.loops().NO_PID
    at = outcome.slowest_thread
    if at < 0:
        return ""
    return f"pid {at}" if at < first_name else visible(list(found.footer.tasks)[at - first_name])
