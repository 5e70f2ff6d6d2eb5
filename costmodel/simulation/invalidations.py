"""A run of invalidations on one host: triggers, mmu_lock, notifier, flush and page faults put together.

The path of one invalidation is that of kvm_mmu_notifier_invalidate_range_start() and _end(): lock, begin, zap, the
flush where the hook is placed, unlock, the caller's own work on the PTEs, lock, end, unlock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING

import numpy

from costmodel.simulation import draws, trigger, vcpu
from costmodel.simulation.engine import environment
from costmodel.simulation.host import Coalescer, Host
from costmodel.simulation.lock import RwLock
from costmodel.simulation.notifier import Notifier

if TYPE_CHECKING:
    import simpy

UNDER_LOCK = "under_mmu_lock"
PLACEMENTS = (UNDER_LOCK, "after_unlock", "after_srcu")
"""Where the hook runs. The last two differ for memslot updates only, which are not simulated."""


@dataclass(frozen=True)
class Invalidations:
    """One setting. `rate_per_s` > 0: each VM has open events at that rate (`burst` of them together); else `threads`
    closed loops of `sleep_s` (fixed, or exponential) and the events of `pages` pages of which a share `page_fraction`
    leads to events, each one event per entry of `flush_s`.

    `flush_s` are the flush times of the kinds of events; `whole_cache`: all `cpus` execute the flush one initiator after
    the other (`coalesced`: they share it), else each initiator flushes a range by itself. `work_s` is the caller's own
    time in the window. Ranges hold a share `range_fraction` of the gfns each and lie in the first `region_fraction` of
    them; `vcpus` vCPUs fault anywhere, every `think_s`.
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
        self.env = environment()
        self.host = Host(self.env, setting.cpus)
        self.coalescer = Coalescer(self.host, range(setting.cpus), setting.flush_s[0])
        self.faults = vcpu.Faults()
        self.done = Done([0] * len(setting.flush_s))
        self.lock = RwLock(self.env)
        self.notifier = Notifier(self.env)
        arrivals, places, thinks, gfns, others = draws.streams(self.seed, 5)
        self._start_triggers(arrivals, draws.uniform(places), self.lock, self.notifier, self.done)
        for _ in range(setting.vms - 1):
            lock, notifier = RwLock(self.env), Notifier(self.env)
            self._start_triggers(others, draws.uniform(others), lock, notifier, Done([0] * len(setting.flush_s)))
        times = vcpu.FaultTimes(setting.fault_work_s, setting.read_hold_s, setting.retry_loop_s)
        for _ in range(setting.vcpus):
            think_s, place = draws.exponential(thinks, setting.think_s), draws.uniform(gfns)
            self.env.process(vcpu.vcpu(self.env, self.lock, self.notifier, times, think_s, place, self.faults))

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
            gap_s = draws.exponential(rng, setting.burst / setting.rate_per_s)
            if setting.burst == 1:
                self.env.process(trigger.open_trigger(self.env, gap_s, event))
            else:
                record = trigger.bursts(gap_s, setting.burst)
                self.env.process(trigger.recorded_trigger(self.env, record, event))
            return
        kinds = [lambda kind=kind: event(kind) for kind in range(len(setting.flush_s))]

        def cycle() -> Iterable[trigger.Event]:
            merged = int(rng.binomial(setting.pages, setting.page_fraction))
            return (kind for _ in range(merged) for kind in kinds)

        for _ in range(setting.threads):
            sleep = (
                draws.exponential(rng, setting.sleep_s) if setting.sleep_random else repeat(setting.sleep_s).__next__
            )
            self.env.process(trigger.closed_trigger(self.env, sleep, cycle))

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
