"""A papermill engine whose kernels are forked from this process, which has already imported what notebooks import.

Such a kernel is an ipykernel like any other, in a process and a session of its own, with a namespace of its own; only
its start is saved. `papermill --engine costmodel` names it too. Linux only: elsewhere a fork is not safe.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import gc
import logging
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from importlib import import_module, reload
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from queue import Empty
from typing import Any, NoReturn, cast

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from costmodel.hashing import code_hash, value_hash
from costmodel.report.runner import INLINE, THREADS, changed, plot_settings

NAME = "costmodel"
"""Of the engine, for papermill."""
START_S = 60.0
"""In which a kernel has its sockets; nbclient waits as long for its first word."""
MODULES = (
    "costmodel.api",
    "costmodel.report.sections",
    "costmodel.report.build",
    "IPython.core.completer",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.magics",
    "IPython.core.oinspect",
    "IPython.core.pylabtools",
    "IPython.extensions.storemagic",
    "contourpy",
    "ipykernel.debugger",
    "ipykernel.ipkernel",
    "ipykernel.kernelapp",
    "ipykernel.zmqshell",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "papermill",
    "psutil",
    "tornado.platform.asyncio",
)
"""What the notebooks of this project and a kernel import."""


@lru_cache(maxsize=1)
def warm_up() -> None:
    """Import all of MODULES without the user's configuration, print what every page has, draw one figure that nobody sees
    and check one notebook that nobody reads.
    """
    own = dict.fromkeys(THREADS, "1") | {"SOURCE_DATE_EPOCH": "0", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    with tempfile.TemporaryDirectory(prefix="cm") as empty, changed(own | plot_settings(Path(empty))):
        for name in MODULES:
            import_module(name)
        import nbformat
        from jupyter_client.provisioning.factory import KernelProvisionerFactory

        from costmodel.formulas.recorded import javascript_functions
        from costmodel.report import page, sections

        code_hash()  # what figures are kept under
        nbformat.validate(nbformat.v4.new_notebook())
        KernelProvisionerFactory.instance()  # reads the entry points of every package
        sections.formulas()
        page.compile_templates()
        javascript_functions()
        from matplotlib.backends import backend_registry
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure()
        figure.subplots().plot([0.0, 1.0], label="1")
        FigureCanvasAgg(figure).draw()
        backend_registry.list_all()
    gc.collect()
    gc.freeze()


class Forked:
    """A process that waits to become a kernel, with the part of `subprocess.Popen` that a provisioner uses.

    It is forked while this process has no socket and no second thread (those of an earlier notebook are closed), and ends
    with this process at the latest: then the other end of its pipe is closed.
    """

    stdin = stdout = stderr = None

    def __init__(self) -> None:
        context = multiprocessing.get_context("fork")
        orders, self._orders = context.Pipe()
        self._process: ForkProcess = context.Process(target=_wait, args=(orders, self._orders))
        self._process.start()
        orders.close()
        self.pid = cast(int, self._process.pid)

    def become(self, command: Sequence[str], environment: Mapping[str, str], folder: str | None) -> None:
        """Start the kernel with the arguments of its launcher, and wait until its sockets are there: whoever connects to
        a socket before that tries again 0.1 to 0.2 s later.
        """
        self._orders.send((list(command), dict(environment), folder or str(Path.cwd())))
        with contextlib.suppress(EOFError, OSError):  # it ended before, which its manager tells
            if self._orders.poll(START_S):
                self._orders.recv()

    async def ended(self, longest_s: float) -> None:
        """Return when it ends, or after `longest_s`."""
        loop, seen = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._process.sentinel, seen.set)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(seen.wait(), longest_s)
        finally:
            loop.remove_reader(self._process.sentinel)

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self._process.exitcode

    def wait(self) -> int | None:
        """Its exit code, once it has ended."""
        self._process.join()
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal to it alone."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it and every process that it started and that stayed in its group."""
        for send in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                send(self.pid, signal.SIGKILL)

    terminate = kill

    def close(self) -> None:
        """Kill it where it still runs, and what it left behind."""
        self.kill()
        self._process.join()
        self._process.close()
        self._orders.close()


def _wait(orders: Connection, other_end: Connection) -> NoReturn:
    """The life of a forked process: wait for an order, be a kernel, end without what the parent does at its end."""
    other_end.close()
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    code = 1
    try:
        command, environment, folder = orders.recv()
        threading.Thread(target=_end_with_parent, args=(orders,), daemon=True).start()
        _be_a_kernel(command, environment, folder, partial(orders.send, "ready"))
        code = 0
    except EOFError:
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    finally:
        os._exit(code)


def _end_with_parent(orders: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        orders.recv()
    os.killpg(os.getpid(), signal.SIGKILL)


def _be_a_kernel(
    command: Sequence[str], environment: Mapping[str, str], folder: str, ready: Callable[[], object]
) -> None:
    """What `python -m ipykernel_launcher` does, after forgetting what the parent had set for itself; calls `ready` when its
    sockets are there.
    """
    import matplotlib
    from ipykernel.kernelapp import IPKernelApp
    from IPython.core.interactiveshell import InteractiveShell

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    tempfile.tempdir = None
    with open(os.devnull) as nothing:  # noqa: PTH123 (a file descriptor is wanted)
        os.dup2(nothing.fileno(), 0)
    launcher = import_module("ipykernel_launcher").__file__ or ""
    sys.argv = [launcher, *command[command.index("ipykernel_launcher") + 1 :]]
    vars(builtins).pop("_", None)  # where it is set, a shell does not set its own
    reload(warnings)
    logging.disable(logging.NOTSET)
    logging.getLogger().handlers.clear()
    logging.getLogger().setLevel(logging.WARNING)
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()
    matplotlib.rcdefaults()
    matplotlib.rcParams["backend"] = environment.get("MPLBACKEND", INLINE)
    InteractiveShell.clear_instance()
    IPKernelApp.clear_instance()
    asyncio.set_event_loop(asyncio.new_event_loop())
    application = IPKernelApp.instance()
    application.initialize(sys.argv[1:])
    ready()
    from matplotlib import pyplot

    pyplot.close("all")
    # Whoever drew in the parent has chosen another backend for good. One that needs a screen where there is none is left
    # to the plot that needs it.
    with contextlib.suppress(ImportError):
        pyplot.switch_backend(matplotlib.rcParams["backend"])
    application.start()
    control = application.control_thread
    # It may still say that it is idle, by a pipe that close() closes first.
    if control is not None and control.is_alive():
        control.stop()
        control.join()
    application.close()


class ForkProvisioner(LocalProvisioner):
    """Gives a kernel manager the process that waits instead of a new one."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Let the waiting process be the kernel."""
        waiting: Forked = cast(Any, self.parent).waiting
        waiting.become(cmd, kwargs.get("env") or os.environ, kwargs.get("cwd"))
        self.process = cast(Any, waiting)
        self.pid = self.pgid = waiting.pid
        self.cwd = kwargs.get("cwd") or Path.cwd()
        return self.connection_info


class ForkClient(AsyncKernelClient):
    """Talks to a kernel whose sockets are there."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait for the kernel's first answer, on both channels. The base class then also waits until nothing has come for
        0.2 s; what does come belongs to no cell, and nbclient passes it over. Raises RuntimeError.
        """
        deadline = time.monotonic() + (timeout or START_S)
        while await self.is_alive():
            asked = self.kernel_info()
            try:
                reply = await self._recv_reply(asked, timeout=1)
                await self.get_iopub_msg(timeout=1)
            except (TimeoutError, Empty):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the kernel did not answer within {timeout or START_S:.0f} s") from None
            else:
                self._handle_kernel_info_reply(reply)
                return
        raise RuntimeError("the kernel died before it answered")


class ForkManager(AsyncKernelManager):
    """Manages the kernel that is forked; `waiting` is its process."""

    waiting: Forked
    client_factory = ForkClient

    async def _async_wait(self, pollinterval: float = 0.1) -> None:
        """Wait for the end of the process, at which the base class looks once in `pollinterval`."""
        while await self._async_is_alive():
            await self.waiting.ended(pollinterval)

    async def _async_pre_start_kernel(self, **kw: Any) -> Any:
        self.kernel_id = self.kernel_id or value_hash(self.waiting.pid)
        self.provisioner = ForkProvisioner(kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self)
        return await super()._async_pre_start_kernel(**kw)


@lru_cache(maxsize=1)
def _warm_engine() -> Any:
    """The class, made when it is asked for: papermill asks while it is itself half imported, whoever was first."""
    from papermill.engines import NBClientEngine

    class WarmEngine(NBClientEngine):
        """The engine of papermill, on forked kernels."""

        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
            """Run the notebook in a kernel that is forked from this process."""
            warm_up()
            waiting = Forked()
            manager = type("Manager", (ForkManager,), {"waiting": waiting})
            try:
                return super().execute_managed_notebook(nb_man, kernel_name, kernel_manager_class=manager, **options)
            finally:
                waiting.close()

    return WarmEngine


def __getattr__(name: str) -> Any:
    if name == "WarmEngine":  # what the entry point of the package names
        return _warm_engine()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def register() -> str:
    """Make the engine known to papermill here, also where the package was installed without it; its name."""
    from papermill.engines import papermill_engines

    papermill_engines.register(NAME, _warm_engine())
    return NAME
