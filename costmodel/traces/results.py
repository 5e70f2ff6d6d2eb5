"""From the passes of a replay to its result: intervals, break-evens, closed forms beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy

from costmodel import __version__
from costmodel.decision.estimates import interval_of
from costmodel.decision.result import Interval
from costmodel.evidence.store import Evidence
from costmodel.formulas.compiled import value
from costmodel.hashing import value_hash
from costmodel.kvm.catalog import GUESTS
from costmodel.plain import visible
from costmodel.traces import model, sentences
from costmodel.traces.passes import Outcome
from costmodel.traces.replay import Levels, Replayed
from costmodel.traces.service import NODES_BYTES, Shown, Way
from costmodel.traces.tasks import triggers_of

SHARES = (0.5, 0.99, 0.999)


def result(
    found: Replayed,
    path: Path,
    evidence: Evidence,
    arrivals: str,
    slots_given: bool,
    command: str,
) -> model.Replay:
    """The result of a replay of the file at `path`."""
    case = found.service.scenario
    events = int(found.classes.sum())
    ways = [_way(found, at) for at in range(len(found.service.ways))]
    silent = [_strategy(s) for s in found.service.without_flush]
    return model.Replay(
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
        bound=sentences.bound(found, slots_given),
        headline=sentences.headline(silent, ways, case.kernel),
        span_s=found.footer.span_s,
        rate_per_s=_rate(found),
        threads=found.threads,
        own_gap_p50_s=_own_gap_s(found, 0.5),
        own_gap_p99_s=_own_gap_s(found, 0.99),
        gap_variation=found.sampled.gap_variation,
        dispersion=[
            model.Dispersion(window_s=w.length_ns * 1e-9, index=w.dispersion, most=w.most)
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
        not_decidable=sentences.not_decidable(found),
        notes=sentences.notes(found, ways),
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


def _task(name: str, chain_triggers: str, events: int) -> model.TaskRow:
    told = triggers_of(name, chain_triggers)
    return model.TaskRow(
        task=visible(name), events=events, triggers=list(told.triggers), decided=told.decided, why=told.why
    )


def _strategy(shown: Shown) -> model.StrategyRow:
    return model.StrategyRow(
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


def _way(found: Replayed, at: int) -> model.WayRow:
    way = found.service.ways[at]
    times, counts = _over_events(found, way, way.time_s)
    cpu, _ = _over_events(found, way, way.cpu_s)
    cpu_s = counts @ cpu
    mean_s = counts @ times / counts.sum()

    def experience(levels: Levels, arrivals: str) -> model.Experience:
        return _experience(found, way, levels, arrivals, (times, counts), cpu_s)

    return model.WayRow(
        strategies=[_strategy(s) for s in way.strategies],
        serial=way.serial,
        event_time_s=interval_of(mean_s, "s", way.extrapolated),
        cpu_s=interval_of(cpu_s, "s", way.extrapolated),
        cpu_s_per_event=interval_of(cpu_s / counts.sum(), "s", way.extrapolated),
        closed=experience(found.closed[at], "closed") if found.closed else None,
        open=experience(found.open[at], "open"),
        predicted=prediction(_rate(found), float(numpy.median(mean_s)), way.serial, times, counts),
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
) -> model.Experience:
    times, counts = alone
    mark = way.extrapolated
    one = levels.median
    whole = one.events == int(found.classes.sum())
    if way.serial:
        quantiles = [_spread(levels, lambda o, q=q: o.latency_s(q), "s", mark) for q in SHARES]
        longest = one.longest_s
    else:
        quantiles = [_quantile_alone(times, counts, q, mark) for q in SHARES]
        longest = float(numpy.median(times, axis=1).max())
    share = 1.0 if whole else int(found.classes.sum()) / one.events
    behind = _spread(levels, lambda o: o.behind_s * share, "s", mark)
    fraction = _spread(levels, lambda o: o.in_progress_fraction, "1", mark)
    elapsed = {part: found.footer.span_s + getattr(behind, part) for part in ("low", "median", "high")}
    cpus = found.service.scenario.machine.logical_cpus
    taken = interval_of(cpu_s, "s", mark)
    host = {p: min(1.0, getattr(taken, p) / (elapsed[p] * cpus)) if elapsed[p] > 0 else 1.0 for p in elapsed}
    host["low"], host["high"] = min(host["low"], host["median"]), max(host["high"], host["median"])
    return model.Experience(
        arrivals=arrivals,
        p50_s=quantiles[0],
        p99_s=quantiles[1],
        p999_s=quantiles[2],
        longest_s=longest,
        in_progress_fraction=fraction.model_copy(update={"high": min(1.0, fraction.high)}),
        host_fraction=Interval(**host, unit="1", extrapolated=mark),
        behind_s=behind,
        events_in_time=one.in_time if whole else None,
        slowest_thread=sentences.thread(one, found),
        aligned_s=one.aligned_s,
        episodes=one.episodes,
        episode_events=one.episode_events,
        episodes_s=one.episodes_s,
        longest_episodes=[
            model.Episode(start_s=start, length_s=length, events=n) for start, length, n in one.longest_episodes
        ],
    )


def _quantile_alone(times: numpy.ndarray, counts: numpy.ndarray, share: float, mark: bool) -> Interval:
    """Quantile over the events of a time that depends on the length only, as an interval over the draws."""
    order = numpy.argsort(numpy.median(times, axis=1), kind="stable")
    running = numpy.cumsum(counts[order])
    at = order[min(int(numpy.searchsorted(running, share * running[-1])), len(order) - 1)]
    return interval_of(times[at], "s", mark)


def prediction(
    rate_per_s: float | None,
    event_s: float,
    serial: bool,
    times: numpy.ndarray | None = None,
    counts: numpy.ndarray | None = None,
) -> model.Prediction:
    """Closed forms for independent arrivals at `rate_per_s`: M/D/1 if `serial`, else M/D/infinity. `times` (classes,
    draws) and `counts` give the latencies of flushes side by side.
    """
    rate = rate_per_s or 0.0
    load = rate * event_s
    progress = value("in_progress", rate_per_s=rate, serial_s=event_s * serial, parallel_s=event_s * (not serial))
    if not serial:
        quantiles = [_quantile_alone(times, counts, q, False).median for q in SHARES[:2]]
        return _predicted(load, event_s, *quantiles, False, float(progress))
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
) -> model.Prediction:
    return model.Prediction(
        load=load, mean_s=mean, p50_s=p50, p99_s=p99, p99_is_lower_bound=bound, in_progress_fraction=progress
    )


def _break_evens(found: Replayed) -> list[model.BreakEven]:
    """Each range flush against each whole-cache flush."""
    ways = found.service.ways
    return [_break_even(found, r, w) for w in ways if w.serial for r in ways if not r.serial]


def _break_even(found: Replayed, ranged: Way, whole: Way) -> model.BreakEven:
    mark = ranged.extrapolated or whole.extrapolated
    weights = found.classes.sum(axis=1)
    own, counts = _over_events(found, ranged, ranged.cpu_s)
    other, _ = _over_events(found, whole, whole.cpu_s)
    cap = _crossing(ranged.cpu_s, whole.cpu_s, weights)
    lengths = numpy.concatenate([length for _, _, length in _lengths(found)])
    beyond = int(counts[lengths > numpy.median(cap)].sum()) if cap is not None else 0
    times, _ = _over_events(found, whole, whole.time_s)
    return model.BreakEven(
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
    """Range length per draw at which `ranged` (residencies, nodes, draws), averaged over the residencies with the events
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
