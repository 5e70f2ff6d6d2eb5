"""Jobs in processes of their own: one that dies says why, Ctrl-C ends all, nothing is left."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from costmodel.errors import BadInput
from costmodel.report.processes import ProcessDied, in_processes


def act(job):
    if job == "bad":
        raise BadInput("is bad", file="x.csv", row=3)
    if job == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "exits":
        os._exit(7)
    if job == "breaks":
        raise ValueError("what nobody expected")
    if job == "eats":
        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
        bytearray(2**33)
    Path(tempfile.mkdtemp(), "left").write_text("left behind")


def test_each_job_answers_for_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    jobs = ["good", "bad", "killed", "exits", "breaks", "eats", "good too"]
    found = dict(in_processes(act, jobs, 2))
    assert found["good"] is None and found["good too"] is None
    assert str(found["bad"]) == "x.csv, row 3: is bad" and found["bad"].row == 3
    assert isinstance(found["killed"], ProcessDied) and "SIGKILL" in str(found["killed"])
    assert str(found["exits"]) == "its process ended with code 7"
    assert "ValueError: what nobody expected" in str(found["breaks"])
    assert "MemoryError" in str(found["eats"])
    assert list(tmp_path.iterdir()) == [], "temporary files go with the run"


SCRIPT = """
import sys, time
from costmodel.report.processes import in_processes
def act(job):
    print("started", flush=True)
    time.sleep(600)
try:
    list(in_processes(act, [1, 2, 3], 2))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_an_interrupt_ends_all_and_leaves_nothing(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    run = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True, env=environment)
    assert [run.stdout.readline() for _ in range(2)] == ["started\n"] * 2
    run.send_signal(signal.SIGINT)
    assert run.stdout.readline() == "interrupted\n"
    assert run.wait(timeout=60) == 0
    assert list(tmp_path.iterdir()) == []
    deadline = time.monotonic() + 60
    while subprocess.run(["pgrep", "-f", "in_processes(act, \\[1, 2, 3\\]"], capture_output=True).stdout:
        assert time.monotonic() < deadline, "a process is left"
