"""What is simulated: CPUs, mmu_lock, the notifier's window, what triggers invalidations, and vCPUs that fault."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import simpy


# CPUs of the host that execute whole-cache flushes, and initiators that share one.
#
# on_each_cpu_mask(wait=1) queues a request on every CPU of the mask. A CPU executes the requests of several initiators
# one after the other with interrupts off (flush_smp_call_function_queue()), and each initiator waits for the slowest
# CPU (csd_lock_wait()).


class Host:
    """`cpus` CPUs. `stopped_s` is the CPU time taken so far, requests in line included."""

    def __init__(self, env: simpy.Environment, cpus: int) -> None:
        self.env = env
        self.free_at_s = [0.0] * cpus
        self.stopped_s = 0.0

    def flush(self, cpus: Iterable[int], flush_s: float) -> simpy.Event:
        """Flush on each of `cpus`, which takes `flush_s` there; the event comes when the slowest is done."""
        now = slowest = self.env.now
        for cpu in cpus:
            done = max(now, self.free_at_s[cpu]) + flush_s
            self.free_at_s[cpu] = done
            self.stopped_s += flush_s
            slowest = max(slowest, done)
        return self.env.timeout(slowest - now)


class Coalescer:
    """Initiators of one VM that share a flush which has not begun yet: the next one serves all that came meanwhile.

    Not in the kernel. A flush serves an initiator only if it begins after the initiator's zap. `batches` are the
    numbers of initiators per flush.
    """

    def __init__(self, host: Host, cpus: Iterable[int], flush_s: float) -> None:
        self.host, self.cpus, self.flush_s = host, tuple(cpus), flush_s
        self.waiting: list[simpy.Event] = []
        self.running = False
        self.batches: list[int] = []

    def join(self) -> simpy.Event:
        """The event of the first flush that begins from now on."""
        event = self.host.env.event()
        self.waiting.append(event)
        if not self.running:
            self.running = True
            self.host.env.process(self._run())
        return event

    def _run(self) -> Iterable[simpy.Event]:
        while self.waiting:
            served, self.waiting = self.waiting, []
            self.batches.append(len(served))
            yield self.host.flush(self.cpus, self.flush_s)
            for event in served:
                event.succeed()
        self.running = False


# mmu_lock as the kernel has it since v5.15: a qrwlock, in which readers and writers enter in the order they come.
#
# queued_read_lock_slowpath() and queued_write_lock_slowpath() line up on one wait_lock: a reader that comes after a
# waiting writer waits for it, although readers hold the lock now.


class RwLock:
    """A fair reader-writer lock. `write()` and `read()` return None if the lock was taken at once, else an event to
    wait for. `requested_s` and `released_s` are the times at which writers asked for the lock and let it go."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.writing = False
        self.readers = 0
        self.line: deque[tuple[bool, simpy.Event]] = deque()
        self.requested_s: list[float] = []
        self.released_s: list[float] = []

    def write(self) -> simpy.Event | None:
        """Ask for the lock exclusively."""
        self.requested_s.append(self.env.now)
        if not (self.writing or self.readers or self.line):
            self.writing = True
            return None
        return self._wait(True)

    def read(self) -> simpy.Event | None:
        """Ask for the lock shared."""
        if not (self.writing or self.line):
            self.readers += 1
            return None
        return self._wait(False)

    def write_unlock(self) -> None:
        """Release the exclusive hold."""
        self.released_s.append(self.env.now)
        self.writing = False
        self._grant()

    def read_unlock(self) -> None:
        """Release one shared hold."""
        self.readers -= 1
        self._grant()

    def _wait(self, exclusive: bool) -> simpy.Event:
        event = self.env.event()
        self.line.append((exclusive, event))
        return event

    def _grant(self) -> None:
        while self.line and not self.writing:
            exclusive, event = self.line[0]
            if exclusive and self.readers:
                return
            self.line.popleft()
            self.writing = exclusive
            self.readers += not exclusive
            event.succeed()


# State of KVM's MMU notifier: nested invalidations, the merged range and the sequence count.
#
# kvm_mmu_invalidate_begin() counts up and sets or widens the range (kvm_mmu_invalidate_range_add()), so the range grows
# until no invalidation is in progress. kvm_mmu_invalidate_end() changes the sequence count first and then counts down.
# Guest frame numbers are places in [0, 1).


class Notifier:
    """What page faults look at, and a log of it.

    `pieces` holds one tuple per time between two changes of a period in progress: time to the period's end at the start
    and at the end of the piece, and the share of the gfns that the merged range covers.
    """

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.in_progress = 0
        self.sequence = 0
        self.low = self.high = 0.0
        self.pieces: list[tuple[float, float, float]] = []
        self._begun: list[tuple[float, float]] = []

    def begin(self, start: float, end: float) -> None:
        """An invalidation of the gfns in [start, end) begins; the caller holds mmu_lock for write."""
        if self.in_progress == 0:
            self.low, self.high = start, end
        else:
            self.low, self.high = min(self.low, start), max(self.high, end)
        self.in_progress += 1
        self._begun.append((self.env.now, self.high - self.low))

    def end(self) -> None:
        """An invalidation ends; the caller holds mmu_lock for write."""
        self.sequence += 1
        self.in_progress -= 1
        if self.in_progress == 0:
            now = self.env.now
            left_s = [now - begun_s for begun_s, _ in self._begun] + [0.0]
            self.pieces += zip(left_s, left_s[1:], (covered for _, covered in self._begun), strict=False)
            self._begun.clear()

    def covers(self, gfn: float) -> bool:
        """Whether a fault at `gfn` must retry now: the first test of mmu_invalidate_retry_gfn()."""
        return self.in_progress > 0 and self.low <= gfn < self.high


# Who starts invalidations: open triggers, which come whatever happens, and threads that wait for their own.
#
# ksmd, khugepaged and an attacker in a loop are closed: ksm_do_scan() takes a batch of pages, waits for the events of
# each, and sleeps.

Event = Callable[[], "Iterator[simpy.Event]"]


def open_trigger(env: simpy.Environment, gap_s: Callable[[], float], event: Event) -> Iterator[simpy.Event]:
    """Events whose gaps are `gap_s()`: exponential ones make a Poisson process."""
    while True:
        yield env.timeout(gap_s())
        env.process(event())


def recorded_trigger(env: simpy.Environment, gaps_s: Iterable[float], event: Event) -> Iterator[simpy.Event]:
    """Events at recorded gaps; it ends with the record."""
    for gap_s in gaps_s:
        yield env.timeout(gap_s)
        env.process(event())


def closed_trigger(
    env: simpy.Environment,
    sleep_s: Callable[[], float],
    events_of_cycle: Callable[[], Iterable[Event]],
) -> Iterator[simpy.Event]:
    """A thread that sleeps, then makes the events of one cycle and waits for each before the next."""
    while True:
        yield env.timeout(sleep_s())
        for event in events_of_cycle():
            yield from event()


def bursts(gap_s: Callable[[], float], size: int) -> Iterator[float]:
    """Gaps of a record in which `size` events come together and bursts are `gap_s()` apart."""
    while True:
        yield gap_s()
        for _ in range(size - 1):
            yield 0.0


# vCPUs that fault: each runs, faults at a random gfn, and retries until the fault is mapped.
#
# kvm_mmu_faultin_pfn() (v6.8 on) takes a snapshot of the sequence count and re-enters the guest at once while the gfn
# is being invalidated; then it gets the page, takes mmu_lock for read and looks again (is_page_fault_stale()).


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
