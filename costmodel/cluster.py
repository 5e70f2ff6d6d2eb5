"""Work on many cores of many machines: the tasks of a job on a Dask scheduler, their results in the order of the tasks.

A job is a function of one task without side effects, and a fixed list of tasks. Results come back in that order, so
that a reduction over them has the same bytes wherever the tasks ran. A task whose worker dies runs again on another.

A scheduler runs any code that a client sends it: one without TLS is taken only on this machine.
"""

from __future__ import annotations

import itertools
import logging
import os
import socket
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

from costmodel.errors import INSTALL, BadInput
from costmodel.hashing import code_hash

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LOOK_S = 5
"""How long a task may take before it is looked whether there is a worker to do it."""
CONNECT_S = 10
"""How long a scheduler may take to answer, and its first worker to be there."""
AHEAD = 4
"""Tasks for each thread of the workers that are sent before their turn: results that wait for one are kept in memory."""
LOGGERS = ("distributed", "distributed.client")
"""What Dask gives a level of their own."""

Task = TypeVar("Task")
Result = TypeVar("Result")


def map_in_order(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    scheduler: str | None = None,
    written: str = "nothing was written",
) -> Iterator[Result]:
    """Results of `function` over `tasks`, in their order: here, or on the workers of the Dask scheduler at an address.

    The function must be one of a module that the workers have too, or a `functools.partial` of one. `written` says what is
    left of the tasks that were done, where the scheduler goes away: functions that write say so. Raises BadInput
    where the scheduler cannot be used, and whatever the function raises.
    """
    if scheduler is None:
        yield from map(function, tasks)
        return
    with _client(scheduler) as client:
        threads = sum(client.nthreads().values())
        waiting: deque[Any] = deque()
        rest = iter(tasks)
        try:
            for task in itertools.islice(rest, AHEAD * threads):
                waiting.append(_sent(client, function, task))
            while waiting:
                yield _result(client, waiting.popleft(), scheduler, written)
                for task in itertools.islice(rest, 1):
                    waiting.append(_sent(client, function, task))
        finally:
            client.cancel(list(waiting))


def check_address(scheduler: str) -> str:
    """The address with its scheme. Raises BadInput for one without TLS that is not on this machine."""
    address = scheduler if "://" in scheduler else f"tcp://{scheduler}"
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port is None or parts.scheme not in ("tcp", "tls"):
        remedy = "write tls://HOST:PORT, or tcp://127.0.0.1:8786"
        raise BadInput(f"{scheduler!r} is no address of a scheduler", field="--scheduler", remedy=remedy)
    if parts.scheme == "tcp" and host not in LOOPBACK:
        raise BadInput(
            f"{scheduler} is on another machine and without TLS",
            field="--scheduler",
            remedy="start it with --tls-cert and write tls://HOST:PORT, or use one at tcp://127.0.0.1",
        )
    return address


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    """A client with a worker at least, closed at the end. Raises BadInput."""
    address = check_address(scheduler)
    try:
        import distributed
    except ModuleNotFoundError:
        problem, remedy = "distributed is not installed", INSTALL.format("cluster")
        raise BadInput(problem, field="--scheduler", remedy=remedy) from None
    if address.startswith("tls://"):
        _check_certificates()
    with _unlogged():
        try:
            client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError, TypeError) as error:
            problem = f"no scheduler answers at {scheduler}: {_reason(address, error)}"
            remedy = (
                "start one with `dask scheduler --host 127.0.0.1`; TLS needs distributed.comm.tls in Dask's settings"
            )
            raise BadInput(problem, field="--scheduler", remedy=remedy) from None
        with client:
            try:
                client.wait_for_workers(1, timeout=CONNECT_S)
            except TimeoutError:
                remedy = f"start some with `dask worker {scheduler}`"
                problem = f"the scheduler {scheduler} has no worker"
                raise BadInput(problem, field="--scheduler", remedy=remedy) from None
            yield client


@contextmanager
def _unlogged() -> Iterator[None]:
    """Without what Dask logs of workers and schedulers that it lost: the work is done again, or an error tells of it."""
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    try:
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _check_certificates() -> None:
    """Raise BadInput where Dask's settings name no certificates of the client, or some that cannot be used."""
    from distributed.security import Security

    remedy = "set distributed.comm.tls.ca-file, client.cert and client.key in Dask's settings, as docs/scaling.md tells"
    try:
        context = Security().get_connection_args("client").get("ssl_context")
    except (OSError, ValueError) as error:
        raise BadInput(f"certificates cannot be used: {error}", field="--scheduler", remedy=remedy) from None
    if context is None:
        raise BadInput("tls:// needs certificates, and none are set", field="--scheduler", remedy=remedy)


def _reason(address: str, error: Exception) -> str:
    """Why a scheduler was not reached: what the system says of a connection to its port, else what Dask says."""
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=1.0).close()
    except OSError as refused:
        return (os.strerror(refused.errno) if refused.errno and refused.errno > 0 else str(refused)).lower()
    return str(error) or type(error).__name__


def _sent(client: Any, function: Callable[[Task], Result], task: Task) -> Any:
    return client.submit(_same_code, code_hash(), function, task, pure=False, retries=0)


def _same_code(wanted: str, function: Callable[[Task], Result], task: Task) -> Result:
    """What `function` gives on a worker. Raises BadInput where the worker has other sources than the client."""
    if code_hash() != wanted:
        remedy = "install the same version of costmodel on every worker and start them again"
        raise BadInput("a worker has another version of costmodel", field="--scheduler", remedy=remedy)
    return function(task)


class NoWorkers(UserWarning):
    """A job waits because no worker is left to do it."""


def _result(client: Any, future: Any, scheduler: str, written: str) -> Any:
    """What a task gave; where no worker is left, a warning says so and the task waits for one."""
    import distributed

    try:
        while True:
            try:
                return future.result(timeout=LOOK_S)
            except TimeoutError:
                if future.done():
                    return future.result()
            _tell_of_no_workers(client, scheduler)
    except distributed.KilledWorker as error:
        problem = (
            f"{error.allowed_failures + 1} workers of {scheduler} died, one after the other, of one part of the work"
        )
        remedy = "give the workers more memory, or ask for less at once"
        raise BadInput(problem, field="--scheduler", remedy=remedy) from None
    except distributed.CancelledError:
        remedy = f"start it again, then the command; {written}"
        raise BadInput(f"the scheduler {scheduler} went away", field="--scheduler", remedy=remedy) from None


def _tell_of_no_workers(client: Any, scheduler: str) -> None:
    """Warn where the scheduler has no worker; a warning is shown once."""
    if not client.nthreads():
        text = f"{scheduler} has no worker left: waiting for one; start some with `dask worker {scheduler}`"
        warnings.warn(text, NoWorkers, stacklevel=2)
