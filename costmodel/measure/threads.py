"""Native loops on several CPUs at once: one pinned thread each."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from costmodel.measure import native


class Worker(threading.Thread):
    """Runs `work()` on `cpu` after the barrier; keeps result, error and the times of begin and end in seconds."""

    def __init__(self, cpu: int, work: Callable[[], object], barrier: threading.Barrier) -> None:
        super().__init__(daemon=True)
        self._cpu, self._work, self._barrier = cpu, work, barrier
        self.result: object = None
        self.error: BaseException | None = None
        self.began_s = self.ended_s = 0.0

    def run(self) -> None:
        try:
            os.sched_setaffinity(0, {self._cpu})
            self._barrier.wait()
            self.began_s = time.monotonic()
            self.result = self._work()
            self.ended_s = time.monotonic()
        except BaseException as error:
            self.error = error
            self._barrier.abort()


@contextlib.contextmanager
def ended(
    workers: Sequence[Worker], barrier: threading.Barrier, stop: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """No worker outlives the block, whatever ends it: the memory that they work on goes next. `stop` tells them to end."""
    try:
        yield
    except BaseException:
        barrier.abort()
        raise
    finally:
        stop()
        for worker in workers:
            if worker.ident is not None:
                worker.join()


def together(cpus: Sequence[int], works: Sequence[Callable[[], object]]) -> list[Worker]:
    """Run each work on its CPU, all released at once; raises the first error."""
    barrier = threading.Barrier(len(cpus))
    workers = [Worker(cpu, work, barrier) for cpu, work in zip(cpus, works, strict=True)]
    with ended(workers, barrier):
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    for worker in workers:
        if worker.error is not None and not isinstance(worker.error, threading.BrokenBarrierError):
            raise worker.error
    return workers


@contextlib.contextmanager
def spinning(cpus: Sequence[int]) -> Iterator[None]:
    """One thread of this process runs on each of `cpus` for as long as the block lasts."""
    stop = ctypes.c_int64(0)
    barrier = threading.Barrier(len(cpus) + 1)
    address = ctypes.addressof(stop)
    workers = [Worker(cpu, lambda: native.function("until")(address, 0), barrier) for cpu in cpus]
    with ended(workers, barrier, lambda: setattr(stop, "value", 1)):
        for worker in workers:
            worker.start()
        barrier.wait()
        yield
