"""vCPUs that fault: each runs, faults at a random gfn, and retries until the fault is mapped.

kvm_mmu_faultin_pfn() (v6.8 on) takes a snapshot of the sequence count and re-enters the guest at once while the gfn is
being invalidated; then it gets the page, takes mmu_lock for read and looks again (is_page_fault_stale()).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from costmodel.simulation.lock import RwLock
from costmodel.simulation.notifier import Notifier

if TYPE_CHECKING:
    import simpy


@dataclass
class Faults:
    """Totals over the faults that were mapped: retries, waits for mmu_lock the first time and in all, retry loops."""

    count: int = 0
    retries: int = 0
    first_wait_s: float = 0.0
    lock_wait_s: float = 0.0
    loops_s: float = 0.0

    def take(self) -> Faults:
        """The totals so far; counting starts anew."""
        taken = replace(self)
        self.count = self.retries = 0
        self.first_wait_s = self.lock_wait_s = self.loops_s = 0.0
        return taken


@dataclass(frozen=True)
class FaultTimes:
    """`work_s` from the snapshot to mmu_lock, `hold_s` of the read lock, `loop_s` of one round of exit and entry."""

    work_s: float
    hold_s: float
    loop_s: float


def vcpu(
    env: simpy.Environment,
    lock: RwLock,
    notifier: Notifier,
    times: FaultTimes,
    think_s: Callable[[], float],
    place: Callable[[], float],
    faults: Faults,
) -> Iterator[simpy.Event]:
    """One vCPU, for ever: run for `think_s()`, fault at gfn `place()`, go on when it is mapped."""
    while True:
        yield env.timeout(think_s())
        gfn = place()
        waits_s = []
        retries = -1
        mapped = False
        while not mapped:
            retries += 1
            if retries:
                yield env.timeout(times.loop_s)
            snapshot = notifier.sequence
            if notifier.covers(gfn):
                continue
            if times.work_s:
                yield env.timeout(times.work_s)
            asked_s = env.now
            blocked = lock.read()
            if blocked is not None:
                yield blocked
            waits_s.append(env.now - asked_s)
            mapped = notifier.sequence == snapshot and not notifier.covers(gfn)
            if mapped:
                yield env.timeout(times.hold_s)
            lock.read_unlock()
        faults.count += 1
        faults.retries += retries
        faults.first_wait_s += waits_s[0]
        faults.lock_wait_s += sum(waits_s)
        faults.loops_s += retries * times.loop_s
