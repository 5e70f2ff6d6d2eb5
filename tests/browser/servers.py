"""A server of notebooks on loopback for the time of a test."""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.request

import pytest
from selenium.common.exceptions import StaleElementReferenceException

PATIENCE_S = 90
OWN = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR")
OWN += ("JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR", "MPLCONFIGDIR")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, what, seconds=PATIENCE_S):
    """The first true value of `condition`, or a failure that says what was waited for. A page that puts something else in the
    place of what was just found is looked at again.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(StaleElementReferenceException):
            if value := condition():
                return value
        time.sleep(0.2)
    pytest.fail(f"waited in vain for {what}")


@contextlib.contextmanager
def serving(command, home, folder):
    """Run a server in `folder` with its own configuration in `home`; its whole process group ends with the test."""
    environment = {**os.environ, **{name: str(home / name.lower()) for name in OWN}}
    with (home / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield home / "log.txt"
        finally:
            stop(process)


def answers(address):
    """Wait until a page can be fetched."""

    def fetched():
        try:
            with urllib.request.urlopen(address, timeout=2) as reply:
                return reply.status == 200
        except OSError:
            return False

    wait_for(fetched, f"an answer of {address.partition('?')[0]}")


def stop(process):
    """End the server and its kernels: ask, then insist."""
    for how, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
        if process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
    if process.poll() is not None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
