"""A run of invalidations on one host: triggers, mmu_lock, notifier, flush and page faults put together.

The path of one invalidation is that of kvm_mmu_notifier_invalidate_range_start() and _end(): lock, begin, zap, the
flush where the hook is placed, unlock, the caller's own work on the PTEs, lock, end, unlock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat

import numpy
import simpy

from tests.simulation import host, statistics
from tests.simulation.host import Coalescer, Faults, Host, Notifier, RwLock
from tests.simulation.statistics import Estimate, Pieces, line_pieces, quantile, ratio

UNDER_LOCK = "under_mmu_lock"
PLACEMENTS = (UNDER_LOCK, "after_unlock", "after_srcu")
"""Where the hook runs. The last two differ for memslot updates only, which are not simulated."""


@dataclass(frozen=True)
class Invalidations:
    """One setting. `rate_per_s` > 0: each VM has open events at that rate (`burst` of them together); else `threads`
    closed loops of `sleep_s` (fixed, or exponential) and the events of `pages` pages of which a share `page_fraction`
    leads to events, each one event per entry of `flush_s`.

    `flush_s` are the flush times of the kinds of events; `whole_cache`: all `cpus` execute the flush one initiator
    after the other (`coalesced`: they share it), else each initiator flushes a range by itself. `work_s` is the
    caller's own time in the window. Ranges hold a share `range_fraction` of the gfns each and lie in the first
    `region_fraction` of them; `vcpus` vCPUs fault anywhere, every `think_s`.
    """

    flush_s: tuple[float, ...]
    rate_per_s: float = 0.0
    burst: int = 1
    threads: int = 0
    sleep_s: float = 0.0
    sleep_random: bool = True
    pages: int = 1
    page_fraction: float = 1.0
    placement: str = "after_srcu"
    whole_cache: bool = False
    coalesced: bool = False
    cpus: int = 1
    vms: int = 1
    zap_s: float = 0.0
    work_s: float = 0.0
    end_hold_s: float = 0.0
    range_fraction: float = 0.01
    region_fraction: float = 1.0
    vcpus: int = 0
    think_s: float = 0.0
    fault_work_s: float = 0.0
    read_hold_s: float = 0.0
    retry_loop_s: float = 0.0

    def cycle_s(self) -> float:
        """Time between events of the host if nothing waits: sets the length of a batch."""
        if self.rate_per_s:
            return 1.0 / (self.rate_per_s * self.vms)
        events = self.pages * self.page_fraction
        busy_s = events * sum(self.flush_s) + events * len(self.flush_s) * (self.zap_s + self.work_s + self.end_hold_s)
        return (self.sleep_s + busy_s) / (self.threads * max(events * len(self.flush_s), 1.0))


@dataclass
class Done:
    """Counts of finished events by kind, and sums over them of the time from zap to flush done."""

    events: list[int]
    latency_s: float = 0.0
    begun: int = 0
    held_s: float = 0.0


@dataclass
class System:
    """The first VM of a host under a setting, running. `advance()` lets time pass."""

    setting: Invalidations
    seed: int
    env: simpy.Environment = field(init=False)

    def __post_init__(self) -> None:
        setting = self.setting
        self.env = simpy.Environment()
        self.host = Host(self.env, setting.cpus)
        self.coalescer = Coalescer(self.host, range(setting.cpus), setting.flush_s[0])
        self.faults = host.Faults()
        self.done = Done([0] * len(setting.flush_s))
        self.lock = RwLock(self.env)
        self.notifier = Notifier(self.env)
        arrivals, places, thinks, gfns, others = statistics.streams(self.seed, 5)
        self._start_triggers(arrivals, statistics.uniform(places), self.lock, self.notifier, self.done)
        for _ in range(setting.vms - 1):
            lock, notifier = RwLock(self.env), Notifier(self.env)
            self._start_triggers(others, statistics.uniform(others), lock, notifier, Done([0] * len(setting.flush_s)))
        times = host.FaultTimes(setting.fault_work_s, setting.read_hold_s, setting.retry_loop_s)
        for _ in range(setting.vcpus):
            think_s, place = statistics.exponential(thinks, setting.think_s), statistics.uniform(gfns)
            self.env.process(host.vcpu(self.env, self.lock, self.notifier, times, think_s, place, self.faults))

    def advance(self, duration_s: float) -> None:
        """Let `duration_s` pass."""
        self.env.run(until=self.env.now + duration_s)

    def _start_triggers(
        self, rng: numpy.random.Generator, place: Callable[[], float], lock: RwLock, notifier: Notifier, done: Done
    ) -> None:
        setting = self.setting

        def event(kind: int = 0) -> Iterator[simpy.Event]:
            return self._invalidation(kind, place, lock, notifier, done)

        if setting.rate_per_s:
            gap_s = statistics.exponential(rng, setting.burst / setting.rate_per_s)
            if setting.burst == 1:
                self.env.process(host.open_trigger(self.env, gap_s, event))
            else:
                record = host.bursts(gap_s, setting.burst)
                self.env.process(host.recorded_trigger(self.env, record, event))
            return
        kinds = [lambda kind=kind: event(kind) for kind in range(len(setting.flush_s))]

        def cycle() -> Iterable[host.Event]:
            merged = int(rng.binomial(setting.pages, setting.page_fraction))
            return (kind for _ in range(merged) for kind in kinds)

        for _ in range(setting.threads):
            sleep = (
                statistics.exponential(rng, setting.sleep_s)
                if setting.sleep_random
                else repeat(setting.sleep_s).__next__
            )
            self.env.process(host.closed_trigger(self.env, sleep, cycle))

    def _invalidation(
        self, kind: int, place: Callable[[], float], lock: RwLock, notifier: Notifier, done: Done
    ) -> Iterator[simpy.Event]:
        setting, env = self.setting, self.env
        flush_s = setting.flush_s[kind]
        done.begun += 1
        start = place() * (setting.region_fraction - setting.range_fraction)
        blocked = lock.write()
        if blocked is not None:
            yield blocked
        begun_s = env.now
        notifier.begin(start, start + setting.range_fraction)
        if setting.zap_s:
            yield env.timeout(setting.zap_s)
        zapped_s = env.now
        if setting.placement == UNDER_LOCK:
            yield self._flush(flush_s)
            done.latency_s += env.now - zapped_s
        done.held_s += env.now - begun_s
        lock.write_unlock()
        if setting.placement != UNDER_LOCK:
            yield self._flush(flush_s)
            done.latency_s += env.now - zapped_s
        if setting.work_s:
            yield env.timeout(setting.work_s)
        blocked = lock.write()
        if blocked is not None:
            yield blocked
        notifier.end()
        if setting.end_hold_s:
            yield env.timeout(setting.end_hold_s)
        done.held_s += setting.end_hold_s
        lock.write_unlock()
        done.events[kind] += 1

    def _flush(self, flush_s: float) -> simpy.Event:
        if self.setting.coalesced:
            return self.coalescer.join()
        if self.setting.whole_cache:
            return self.host.flush(range(self.setting.cpus), flush_s)
        return self.env.timeout(flush_s)


# Run a system until its outputs are known: batches of one long run, the first discarded as warm-up.

BATCH_EVENTS = 1200
FEWEST_BATCHES = 16
MOST_BATCHES = 400
GROWTH = 1.4
RELATIVE_HALF_WIDTH = 0.019
"""A run goes on until every output asked for is known as well as this."""


@dataclass(frozen=True)
class Batch:
    """What one batch saw. `surplus` is the number of open events less the expected one, 0 for closed triggers."""

    length_s: float
    surplus: float
    begun: int
    events: tuple[int, ...]
    latency_s: float
    held_s: float
    stopped_s: float
    flushes: int
    initiators: int
    faults: Faults
    line: Pieces
    window: Pieces


def advance(system: System, length_s: float) -> Batch:
    """Let `length_s` pass and take what happened out of the system's logs."""
    done, lock, notifier, setting = system.done, system.lock, system.notifier, system.setting
    stopped_s = system.host.stopped_s
    system.advance(length_s)
    known = min(len(lock.released_s), len(lock.requested_s) - 1)
    line = line_pieces(lock.requested_s[: known + 1], lock.released_s[:known], length_s)
    del lock.requested_s[:known], lock.released_s[:known]
    start_s, end_s, covered = numpy.array(notifier.pieces).reshape(-1, 3).T
    notifier.pieces.clear()
    batches, system.coalescer.batches = system.coalescer.batches, []
    batch = Batch(
        length_s=length_s,
        surplus=done.begun - setting.rate_per_s * length_s if setting.rate_per_s else 0.0,
        begun=done.begun,
        events=tuple(done.events),
        latency_s=done.latency_s,
        held_s=done.held_s,
        stopped_s=system.host.stopped_s - stopped_s,
        flushes=len(batches),
        initiators=sum(batches),
        faults=system.faults.take(),
        line=line,
        window=Pieces(start_s, end_s, covered, length_s),
    )
    done.events[:] = [0] * len(done.events)
    done.latency_s = done.held_s = 0.0
    done.begun = 0
    return batch


def _per_time(total: Callable[[Batch], float]) -> Callable[[list[Batch], numpy.ndarray], Estimate]:
    return lambda batches, controls: _over(batches, controls, total, lambda batch: batch.length_s)


def _per(total: Callable[[Batch], float], other: Callable[[Batch], float]) -> Callable[..., Estimate]:
    return lambda batches, controls: _over(batches, controls, total, other)


def _over(batches: list[Batch], controls: numpy.ndarray, total: Callable, other: Callable) -> Estimate:
    return ratio([total(batch) for batch in batches], [other(batch) for batch in batches], controls)


OUTPUTS: dict[str, Callable[[list[Batch], numpy.ndarray], Estimate]] = {
    "rate_per_s": _per_time(lambda batch: sum(batch.events)),
    "first_kind_rate_per_s": _per_time(lambda batch: batch.events[0]),
    "last_kind_rate_per_s": _per_time(lambda batch: batch.events[-1]),
    "lock_busy": _per_time(lambda batch: batch.held_s),
    "lock_wait": _per_time(lambda batch: batch.line.wait_s2),
    "lock_wait_of_faults": _per(lambda batch: batch.faults.first_wait_s, lambda batch: batch.faults.count),
    "wait_of_faults": _per(
        lambda batch: batch.faults.lock_wait_s + batch.faults.loops_s, lambda batch: batch.faults.count
    ),
    "in_progress": _per_time(lambda batch: batch.window.time_s),
    "window_stall": _per(lambda batch: batch.window.wait_s2, lambda batch: batch.window.time_s),
    "merged_fraction": _per(lambda batch: batch.window.weighted_time_s, lambda batch: batch.window.time_s),
    "fault_stall": _per_time(lambda batch: batch.window.weighted_wait_s2),
    "retries": _per(lambda batch: batch.faults.retries, lambda batch: batch.faults.count),
    "latency": _per(lambda batch: batch.latency_s, lambda batch: sum(batch.events)),
    "batch": _per(lambda batch: batch.initiators, lambda batch: batch.flushes),
    "stopped_fraction": _per_time(lambda batch: batch.stopped_s),
}
"""Outputs that are ratios of totals. Waits are means over all moments of time, or over the faults that happened:
`lock_wait_of_faults` for the first read lock of a fault, `wait_of_faults` for all of them and the retry loops."""
QUANTILES = {
    "lock_wait_quantile": lambda batch: batch.line,
    "stall_quantile": lambda batch: batch.window,
}
"""Outputs that are waits exceeded by a share of all moments, written `name@share`."""


def estimate(output: str, batches: list[Batch]) -> Estimate:
    """The value of one output over the batches, with its interval."""
    controls = numpy.array([batch.surplus for batch in batches])
    name, _, share = output.partition("@")
    if share:
        return quantile([QUANTILES[name](batch) for batch in batches], float(share), controls)
    return OUTPUTS[name](batches, controls)


def simulate(setting: Invalidations, outputs: Sequence[str], seed: int) -> dict[str, Estimate]:
    """Estimates of `outputs`; the run ends when all are known to RELATIVE_HALF_WIDTH, or after MOST_BATCHES."""
    system = System(setting, seed)
    length_s = setting.cycle_s() * BATCH_EVENTS
    advance(system, length_s)
    batches: list[Batch] = []
    wanted = FEWEST_BATCHES
    while True:
        while len(batches) < wanted:
            batches.append(advance(system, length_s))
        found = {output: estimate(output, batches) for output in outputs}
        worst = max(value.relative_half_width for value in found.values())
        if worst <= RELATIVE_HALF_WIDTH or wanted >= MOST_BATCHES:
            return found
        wanted = min(MOST_BATCHES, int(wanted * min(4.0, max(GROWTH, 1.1 * (worst / RELATIVE_HALF_WIDTH) ** 2))) + 1)
