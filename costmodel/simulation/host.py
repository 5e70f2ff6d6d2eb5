"""CPUs of the host that execute whole-cache flushes, and initiators that share one.

on_each_cpu_mask(wait=1) queues a request on every CPU of the mask. A CPU executes the requests of several initiators one
after the other with interrupts off (flush_smp_call_function_queue()), and each initiator waits for the slowest CPU
(csd_lock_wait()).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import simpy


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
