"""Jobs on a scheduler: results in order, a worker that dies, addresses that are refused."""

import contextlib
import logging
import logging.handlers
import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from costmodel import cluster as cluster_module
from costmodel.cluster import LOGGERS, NoWorkers, _result, check_address, map_in_order
from costmodel.errors import BadInput
from costmodel.report import build

pytestmark = pytest.mark.skipif(find_spec("distributed") is None, reason="the extra cluster is not installed")


def squared(number):
    return number * number


def slow_pid(folder, number):
    """Notes which process works on the task, so that a test can end it midway."""
    (folder / str(os.getpid())).touch()
    time.sleep(0.05)
    return number * number


def refuses(number):
    raise BadInput(f"no {number}", remedy="give another")


def free_port():
    """A port of loopback at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def started(*words):
    """A process of the command line of Dask, ended at the end."""
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen([sys.executable, "-m", "distributed.cli." + words[0], *words[1:]], env=here)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster():
    """Address of a scheduler on loopback with two workers of one thread each."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    own = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    worker = ("dask_worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard")
    with started("dask_scheduler", *own), started(*worker), started(*worker):
        from distributed import Client

        with Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield address


def test_without_a_scheduler_tasks_run_here_in_order():
    assert list(map_in_order(squared, range(5))) == [0, 1, 4, 9, 16]


def test_results_come_in_the_order_of_the_tasks(cluster):
    assert list(map_in_order(squared, range(100), cluster)) == [squared(n) for n in range(100)]


def test_what_the_function_raises_reaches_the_caller(cluster):
    with pytest.raises(BadInput, match="no 0; give another"):
        list(map_in_order(refuses, range(3), cluster))


def test_a_worker_that_is_killed_midway_costs_no_result(cluster, tmp_path):
    """The nanny starts another worker; both lost tasks and lost results are done again."""
    found = map_in_order(partial(slow_pid, tmp_path), range(60), cluster)
    first = [next(found) for _ in range(5)]
    os.kill(int(next(tmp_path.iterdir()).name), signal.SIGKILL)
    assert first + list(found) == [n * n for n in range(60)]


@contextlib.contextmanager
def logged_by_dask():
    """What Dask logs in this process, at levels that it shows to a user."""
    kept = logging.handlers.BufferingHandler(1000)
    for name in LOGGERS:
        logging.getLogger(name).addHandler(kept)
    try:
        yield kept.buffer
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(kept)


def test_results_that_are_lost_with_their_workers_are_no_message_of_dask(cluster, tmp_path):
    """They are done again; what Dask logs outside a job is as it was."""
    with logged_by_dask() as lines:
        found = map_in_order(partial(slow_pid, tmp_path), range(60), cluster)
        first = [next(found)]
        time.sleep(1.0)  # more results are there by then
        for pid in tmp_path.iterdir():
            os.kill(int(pid.name), signal.SIGKILL)
        assert first + list(found) == [n * n for n in range(60)]
        assert lines == []
        logging.getLogger("distributed.client").warning("of another client")
        assert {line.getMessage() for line in lines} == {"of another client"}


def test_work_that_ends_every_worker_is_one_line_of_ours():
    import distributed

    class Deadly:
        def result(self, timeout):
            raise distributed.KilledWorker("_same_code-1", "tcp://127.0.0.1:1", 3)

    with pytest.raises(BadInput, match="4 workers of tcp://h:1 died, .* part of the work; give the workers") as refused:
        _result(None, Deadly(), "tcp://h:1", "nothing was written")
    assert "http" not in str(refused.value) and "_same_code" not in str(refused.value)


def test_a_scheduler_that_goes_away_is_told_with_what_is_left_of_the_work(tmp_path, monkeypatch):
    """Reports are written one by one, so that those before it went are there."""
    import distributed

    class Gone:
        def result(self, timeout):
            raise distributed.CancelledError

    @contextlib.contextmanager
    def client(_):
        yield SimpleNamespace(nthreads=lambda: {"tcp://w:1": 1}, submit=lambda *_, **__: Gone(), cancel=lambda _: None)

    monkeypatch.setattr(cluster_module, "_client", client)
    with pytest.raises(BadInput, match="the scheduler tcp://h:1 went away; start it again, .* nothing was written"):
        list(map_in_order(squared, [1], "tcp://h:1"))
    jobs = build.matrix(["sev"], ["epyc-7763-2s"], {"workload": "autonuma-default", "kernel": "v7.3-rc"})
    with pytest.raises(BadInput, match="went away; .* a report that was written before is whole") as refused:
        build.build_all(jobs, tmp_path, 1, lambda: None, scheduler="tcp://h:1")
    assert "nothing" not in str(refused.value)


def test_a_job_without_a_worker_left_says_that_it_waits_and_goes_on_with_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr("costmodel.cluster.LOOK_S", 0.2)
    address = f"tcp://127.0.0.1:{free_port()}"
    own = ("--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--no-dashboard")
    worker = ("dask_worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard", "--no-nanny")
    with started("dask_scheduler", *own), started(*worker):
        found = map_in_order(partial(slow_pid, tmp_path), range(40), address)
        first = [next(found) for _ in range(2)]
        os.kill(int(next(tmp_path.iterdir()).name), signal.SIGKILL)
        with pytest.warns(NoWorkers, match="has no worker left: waiting for one"), started(*worker):
            assert first + list(found) == [n * n for n in range(40)]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("tcp://10.0.0.7:8786", "without TLS"),
        ("10.0.0.7:8786", "without TLS"),
        ("tcp://127.0.0.1.example.org:8786", "without TLS"),
        ("tcp://user@evil:8786", "without TLS"),
        ("http://127.0.0.1:8786", "no address"),
        ("127.0.0.1", "no address"),
        ("tcp://127.0.0.1:port", "no address"),
        ("", "no address"),
    ],
)
def test_an_address_that_cannot_be_trusted_or_read_is_refused(address, told):
    with pytest.raises(BadInput, match=told):
        check_address(address)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "localhost:1", "tcp://[::1]:8786", "tls://node7:8786"])
def test_loopback_and_tls_are_taken(address):
    assert check_address(address).endswith(address)


def test_a_scheduler_that_does_not_answer_is_told_in_one_line(monkeypatch):
    monkeypatch.setattr("costmodel.cluster.CONNECT_S", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(BadInput, match="no scheduler answers") as refused:
            list(map_in_order(squared, range(3), f"tcp://127.0.0.1:{silent.getsockname()[1]}"))
    assert "\n" not in str(refused.value)


def test_a_port_where_nobody_listens_is_told_in_the_words_of_the_system(monkeypatch):
    monkeypatch.setattr("costmodel.cluster.CONNECT_S", 0.5)
    with pytest.raises(BadInput, match="no scheduler answers at .*: connection refused; start one"):
        list(map_in_order(squared, range(3), f"tcp://127.0.0.1:{free_port()}"))


def test_tls_without_certificates_is_told_before_anything_is_tried():
    import dask

    with pytest.raises(BadInput, match="tls:// needs certificates, and none are set; set distributed.comm.tls.ca-file"):
        list(map_in_order(squared, range(3), "tls://127.0.0.1:1999"))
    lost = {f"distributed.comm.tls.{name}": f"/nowhere/{name}.pem" for name in ("ca-file", "client.cert", "client.key")}
    with dask.config.set(lost), pytest.raises(BadInput, match="certificates cannot be used: .*No such file"):
        list(map_in_order(squared, range(3), "tls://127.0.0.1:1999"))
