"""Jobs in processes of their own: one that dies takes no other with it, and says why it died."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeVar

from costmodel.errors import CostModelError

Job = TypeVar("Job")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Each process computes on one thread: there are as many processes as CPUs."""


class ProcessDied(CostModelError):
    """A process ended without an answer; `code` is its exit code, negative for a signal."""

    def __init__(self, code: int) -> None:
        self.code = code
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        super().__init__(f"its process {how}")


@dataclass
class _Running:
    job: object
    process: BaseProcess
    answers: Connection


def in_processes(
    act: Callable[[Job], object], jobs: Sequence[Job], workers: int
) -> Iterator[tuple[Job, Exception | None]]:
    """Each job with the error that `act` raised on it, or None, as they end; `workers` run at a time.

    Left early, by an exception or by Ctrl-C, it kills what runs, kernels included, and removes its temporary files.
    """
    context = multiprocessing.get_context("fork")
    waiting, running = deque(jobs), {}
    with tempfile.TemporaryDirectory(prefix="cm", ignore_cleanup_errors=True) as scratch:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    job = waiting.popleft()
                    answers, asked = context.Pipe(duplex=False)
                    process = context.Process(target=_child, args=(act, job, asked, scratch))
                    process.start()
                    asked.close()
                    running[process.sentinel] = _Running(job, process, answers)
                for sentinel in wait(list(running)):
                    ended = running.pop(sentinel)
                    ended.process.join()
                    yield ended.job, _answer(ended)
        finally:
            for left in running.values():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(left.process.pid, signal.SIGKILL)
                left.process.kill()
                left.process.join()


def _child(act: Callable[[Job], object], job: Job, answers: Connection, scratch: str) -> None:
    """Run one job as the leader of a process group, with temporary files in `scratch`."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    tempfile.tempdir = scratch
    for name in THREADS:
        os.environ.setdefault(name, "1")
    try:
        act(job)
        answers.send(None)
    except CostModelError as error:
        answers.send(error)
    except Exception as error:
        answers.send(CostModelError(f"{type(error).__name__}: {error}"))


def _answer(ended: _Running) -> Exception | None:
    with ended.answers:
        try:
            return ended.answers.recv() if ended.answers.poll() else ProcessDied(ended.process.exitcode)
        except EOFError:
            return ProcessDied(ended.process.exitcode)
