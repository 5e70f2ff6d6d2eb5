"""Runs notebooks: through papermill, believing nothing but evidence that every cell ran, and in processes of their
own.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from costmodel import cache
from costmodel.errors import CostModelError, ExitCode
from costmodel.hashing import write_beside

# Runs a notebook through papermill and believes nothing but evidence that every cell ran.
#
# papermill marks cells `completed` after a killed kernel, a timeout and `sys.exit`, so the run counts only if every
# code cell has an execution count and the last cell, tagged `sentinel`, printed the sentinel.

Engine = Literal["warm", "kernel"]
SENTINEL = "report complete"
CELL_TIMEOUT_S = 120
ARGUMENTS = ("--log-level=CRITICAL", "--HistoryManager.enabled=False")
"""A kernel that is shut down logs its interrupt as an error; what fails in a notebook is raised here anyway. Nobody asks
for the history of a kernel that ends with its notebook.
"""
INLINE = "module://matplotlib_inline.backend_inline"
"""The backend of every kernel. It is named and not imported: what it hooks into belongs to one shell."""
LONGEST_SOCKET = 80
"""A Unix socket's path ends at 107 bytes; below this one there is room for the names that the kernel's sockets get."""


class ReportFailed(CostModelError):
    """A notebook did not run to its end. `notebook`, `cell` (from 1, or None) and `reason` say where and why."""

    exit_code = ExitCode.REPORT_FAILED

    def __init__(self, notebook: str, cell: int | None, reason: str) -> None:
        self.notebook, self.cell, self.reason = notebook, cell, reason
        place = f"{notebook}, cell {cell}" if cell else notebook
        super().__init__(f"{place}: {reason}")


class ReportsFailed(CostModelError):
    """Some of `asked` reports failed; `reasons` says why by the report's name. The others were built."""

    exit_code = ExitCode.REPORT_FAILED

    def __init__(self, reasons: Mapping[str, Exception], asked: int) -> None:
        self.reasons = dict(reasons)
        shown = "; ".join(f"{name}: {reason}" for name, reason in self.reasons.items())
        others = ", the others were built" if len(self.reasons) < asked else ""
        super().__init__(f"{len(self.reasons)} of {asked} reports failed{others}: {shown}")


def run(
    notebook: Path,
    parameters: Mapping[str, Any],
    out: Path,
    *,
    engine: Engine = "kernel",
    timeout_s: int = CELL_TIMEOUT_S,
) -> Any:
    """Execute `notebook` with `parameters` and write the normalised result to `out` (aside, then renamed).

    `engine` is `kernel`, a new kernel, or `warm`, one forked from this process (`warm`). Returns the executed notebook
    (nbformat 4 structure). Raises ReportFailed; `out` is then left as it was.
    """
    _leave_out_grammars()
    import nbformat
    from traitlets.config import Config

    with tempfile.TemporaryDirectory(prefix="cm") as scratch:
        raw = Path(scratch) / "out.ipynb"
        environment = _hermetic(Path(scratch))
        sockets = {"transport": "ipc", "ip": f"{scratch}/k"} if len(scratch) < LONGEST_SOCKET else {}
        config = Config({"KernelManager": sockets})
        reason = _execute(notebook, parameters, raw, environment, config, engine, timeout_s)
        executed = nbformat.read(raw, as_version=4) if raw.exists() else None
    _verify(notebook.name, executed, reason)
    normalise(executed)
    write_beside(out, nbformat.writes(executed) + "\n")
    return executed


def prepare(engine: Engine) -> None:
    """What `engine` does once in the process from which reports are forked."""
    if engine == "warm":
        _leave_out_grammars()
        from costmodel.report import warm

        warm.warm_up()


def _leave_out_grammars() -> None:
    """jsonschema would compile grammars of addresses for a second; notebooks never use them."""
    for name in ("rfc3987_syntax", "rfc3986_validator"):
        cast(dict[str, Any], sys.modules).setdefault(name, None)


def _hermetic(scratch: Path) -> dict[str, str]:
    """Environment of the kernel: no user configuration, one thread of linear algebra."""
    names = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    own = {name: str(scratch / name.lower()) for name in names} | plot_settings(scratch)
    if Path("~").expanduser() == Path("~"):  # neither HOME nor an entry in the table of users
        own["HOME"] = str(scratch)
    return {**own, **dict.fromkeys(THREADS, "1"), "SOURCE_DATE_EPOCH": "0"}


def plot_settings(scratch: Path) -> dict[str, str]:
    """Where matplotlib looks for a user's settings: in a folder that has none, and in which it keeps its list of fonts, so
    that it need not open each font again; and where it draws: in the notebook, not in a window.
    """
    return {"MPLCONFIGDIR": str(_fonts() or scratch / "matplotlib"), "MPLBACKEND": INLINE}


@lru_cache(maxsize=1)
def _fonts() -> Path | None:
    """One folder for this process and those forked from it: asked again, the cache would not know its new files."""
    return cache.folder_of("matplotlib")


def _execute(
    notebook: Path,
    parameters: Mapping[str, Any],
    raw: Path,
    environment: Mapping[str, str],
    config: object,
    engine: Engine,
    timeout_s: int,
) -> str | None:
    """Run papermill; the reason it gives for a failure, or None."""
    with changed(environment):
        import papermill
        from nbclient.exceptions import CellTimeoutError, DeadKernelError
        from papermill.exceptions import PapermillExecutionError

        # It takes `int | None` for no parameter and warns; ours are checked before a kernel starts.
        logging.getLogger("papermill").setLevel(logging.ERROR)
        try:
            papermill.execute_notebook(
                str(notebook),
                str(raw),
                parameters=dict(parameters),
                progress_bar=False,
                log_output=False,
                execution_timeout=timeout_s,
                request_save_on_cell_execute=False,
                config=config,
                extra_arguments=list(ARGUMENTS),
                kernel_name="python3",
                engine_name=_engine_name(engine),
            )
        except PapermillExecutionError as error:
            return f"{error.ename}: {error.evalue}"
        except CellTimeoutError:
            return f"a cell ran longer than {timeout_s} s"
        except DeadKernelError:
            return "the kernel died"
    return None


def _engine_name(engine: Engine) -> str | None:
    """What papermill calls it."""
    if engine == "kernel":
        return None
    from costmodel.report import warm

    return warm.register()


@contextlib.contextmanager
def changed(environment: Mapping[str, str]) -> Iterator[None]:
    """The environment of this process with `environment`, for a while."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _verify(name: str, executed: Any, reason: str | None) -> None:
    if executed is None:
        raise ReportFailed(name, None, reason or "no notebook was written")
    cells = [cell for cell in executed.cells if cell.cell_type == "code"]
    for number, cell in enumerate(cells, start=1):
        errors = [output for output in cell.outputs if output.output_type == "error"]
        if errors:
            raise ReportFailed(name, number, reason or f"{errors[0].ename}: {errors[0].evalue}")
        if cell.execution_count is None:
            raise ReportFailed(name, number, reason or "was never run")
    if reason:
        raise ReportFailed(name, None, reason)
    last = cells[-1] if cells else None
    printed = "".join(o.get("text", "") for o in last.outputs if o.output_type == "stream") if last else ""
    if last is None or "sentinel" not in last.metadata.get("tags", []) or SENTINEL not in printed:
        raise ReportFailed(name, len(cells) or None, "the sentinel cell was not reached")


def normalise(executed: Any) -> None:
    """Drop what differs between two runs of the same inputs: times, paths, random ids, versions."""
    executed.metadata.pop("papermill", None)
    executed.metadata.pop("widgets", None)
    executed.metadata.get("language_info", {}).pop("version", None)
    for number, cell in enumerate(executed.cells):
        cell.id = f"cell-{number}"
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)


# Jobs in processes of their own: one that dies takes no other with it, and says why it died.

Job = TypeVar("Job")
Answer = TypeVar("Answer")
Other = TypeVar("Other")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Each process computes on one thread: there are as many processes as CPUs."""


class ProcessDied(CostModelError):
    """A process ended without an answer; `code` is its exit code, negative for a signal."""

    def __init__(self, code: int) -> None:
        self.code = code
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        super().__init__(f"its process {how}")


@dataclass(eq=False)
class _Running:
    """A process that does one job after the other, and the number of the one that it has."""

    process: BaseProcess
    orders: Connection
    answers: Connection
    number: int

    @property
    def handles(self) -> tuple[Any, ...]:
        """What becomes readable when it has an answer, or ends."""
        return self.answers, self.process.sentinel


def in_processes(
    act: Callable[[Job], Answer], jobs: Sequence[Job], workers: int
) -> Iterator[tuple[Job, Answer | Exception]]:
    """Each job with what `act` returned for it, or the error that it raised, as they end; `workers` processes do one job
    after the other. One in which a job raised an error does no other: a new one follows it.

    Left early, by an exception or by Ctrl-C, it kills what runs, kernels included, and removes its temporary files.
    """
    waiting = deque(range(len(jobs)))
    running: list[_Running] = []
    with tempfile.TemporaryDirectory(prefix="cm", ignore_cleanup_errors=True) as scratch:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    with _no_interrupt():
                        running.append(_begun(act, jobs, scratch, running))
                    _order(running[-1], waiting.popleft())
                ready = wait([handle for one in running for handle in one.handles])
                for one in [one for one in running if any(handle in ready for handle in one.handles)]:
                    number = one.number
                    answer, well = _answer(one)
                    if well and waiting and one.process.is_alive():
                        _order(one, waiting.popleft())
                    else:
                        running.remove(one)
                        _end(one)
                    yield jobs[number], answer
        finally:
            for left in running:
                _kill(left)


def beside(act: Callable[[Job], Answer], job: Job, meanwhile: Callable[[], Other]) -> tuple[Answer | Exception, Other]:
    """What `act` returned for `job` in a process of its own, or the error that it raised, and what `meanwhile` returned in
    this one.
    """
    running: list[_Running] = []
    with tempfile.TemporaryDirectory(prefix="cm", ignore_cleanup_errors=True) as scratch:
        try:
            with _no_interrupt():
                running.append(_begun(act, [job], scratch, running))
            _order(running[0], 0)
            other = meanwhile()
            wait(running[0].handles)
            answer, _ = _answer(running[0])
            _end(running.pop())
            return cast(Answer | Exception, answer), other
        finally:
            for left in running:
                _kill(left)


def _begun(act: Callable[[Job], object], jobs: Sequence[Job], scratch: str, others: Sequence[_Running]) -> _Running:
    """A process for some of the jobs. It closes its copies of what leads to `others`, which end when nobody could give
    them another job.
    """
    context = multiprocessing.get_context("fork")
    answers, send = context.Pipe(duplex=False)
    receive, orders = context.Pipe(duplex=False)
    foreign = [answers, orders, *(end for other in others for end in (other.orders, other.answers))]
    process = context.Process(target=_worker, args=(act, jobs, receive, send, scratch, foreign))
    process.start()
    receive.close()
    send.close()
    return _Running(process, orders, answers, -1)


def _order(one: _Running, number: int) -> None:
    """Give it a job. Whether it still lives is seen where its answer is awaited."""
    one.number = number
    with contextlib.suppress(BrokenPipeError):
        one.orders.send(number)


def _end(one: _Running) -> None:
    """Let a process end that has no more jobs, or has ended."""
    one.orders.close()
    one.answers.close()
    one.process.join()


def _kill(left: _Running) -> None:
    """End a process and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(cast(int, left.process.pid), signal.SIGKILL)
    left.process.kill()
    left.process.join()


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Hold Ctrl-C back while a process is forked: what Python calls around a fork swallows exceptions."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _worker(
    act: Callable[[Job], object],
    jobs: Sequence[Job],
    orders: Connection,
    answers: Connection,
    scratch: str,
    foreign: Sequence[Connection],
) -> None:
    """Do jobs by their numbers, as the leader of a process group, with temporary files in `scratch`, until one fails or
    nobody can give another.
    """
    for end in foreign:
        end.close()
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    tempfile.tempdir = scratch
    for name in THREADS:
        os.environ.setdefault(name, "1")
    well = True
    while well:
        try:
            number = orders.recv()
        except EOFError:
            return
        answer, well = _done(act, jobs[number])
        try:
            answers.send_bytes(answer)
        except BrokenPipeError:  # who asked was killed
            return


def _done(act: Callable[[Job], object], job: Job) -> tuple[bytes, bool]:
    """What `act` returned for a job, or the error that it raised, and whether it returned: pickled, and the latter."""
    try:
        return pickle.dumps((act(job), True)), True
    except CostModelError as error:
        return pickle.dumps((error, False)), False
    except Exception as error:
        return pickle.dumps((CostModelError(f"{type(error).__name__}: {error}"), False)), False


def _answer(one: _Running) -> tuple[Any, bool]:
    """What the process sent, or how it ended without a word, and whether it can do another job."""
    with contextlib.suppress(EOFError, OSError):  # it ended before its answer was whole
        if one.answers.poll():
            return cast(tuple[Any, bool], one.answers.recv())
    one.process.join()
    return ProcessDied(cast(int, one.process.exitcode)), False
