"""`costmodel host` on the machine that runs the tests, with a KVM guest of ours, and as a user without privileges."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import costmodel
from costmodel.cli import cli

QEMU = "qemu-system-x86_64"
NAME = "costmodel-tests-live"
SECRET = "hunter2-live"
MIB = 2**20
MEMFD = "memory-backend-memfd,id=m,size=256M,merge=off"
VARIANTS = {
    "as QEMU sets it up": ((), "thp", True),
    "memfd": (("-object", f"{MEMFD},share=on", "-machine", "memory-backend=m"), "memfd", False),
    "huge pages": (("-object", f"{MEMFD},hugetlb=on,reserve=off", "-machine", "memory-backend=m"), "hugetlb", False),
    "not to be merged": (("-machine", "mem-merge=off"), "thp", False),
}


@pytest.fixture
def guest():
    """Starts a paused KVM guest of two vCPUs and returns its pid; skips where that cannot be done."""
    if not shutil.which(QEMU):
        pytest.skip(f"{QEMU} is not installed")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.skip("/dev/kvm cannot be opened")
    started = []

    def start(*words, threads="on"):
        command = [QEMU, "-accel", "kvm", "-m", "256", "-smp", "2", "-display", "none", "-nodefaults", "-S"]
        command += ["-name", f"guest={NAME},debug-threads={threads}", "-object", f"secret,id=s0,data={SECRET}"]
        process = subprocess.Popen([*command, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        started.append(process)
        for _ in range(200):
            if process.poll() is not None:
                pytest.skip(f"{QEMU} does not start here: {process.stderr.read().decode()[-200:]}")
            if len(_threads(process.pid)) >= 4:
                return process.pid
            time.sleep(0.05)
        return pytest.skip("the guest has no vCPU threads after ten seconds")

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stderr.close()


def _threads(pid):
    return {int(path.parent.name): path.read_text().strip() for path in Path(f"/proc/{pid}/task").glob("*/comm")}


def looked():
    """Our guest as `costmodel host --json` finds it; other guests may run here too."""
    result = CliRunner().invoke(cli, ["host", "--json", "--names", "--machine", "epyc-7763-2s", "--kernel", "6.6"])
    assert result.exit_code == 0, result.exception
    assert SECRET not in result.stdout
    (found,) = [one for one in json.loads(result.stdout)["guests"] if one["name"] == NAME]
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_running_guest_is_seen_as_it_is(variant, guest):
    words, backing, mergeable = VARIANTS[variant]
    guest(*words)
    found = looked()
    if Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text().split().count("[never]") and backing == "thp":
        backing = "anon"
    assert (found["vmm"], found["guest"], found["vcpus"], found["memory_bytes"]) == ("qemu", "plain", 2, 256 * MIB)
    assert (found["backing"], found["mergeable"], found["mempolicy"]) == (backing, mergeable, "default")
    assert found["recommendation"]["guest"] == "plain" and not found["problem"]


def test_pinning_of_its_vcpu_threads_is_seen(guest):
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("one CPU: pinning changes nothing")
    pid = guest()
    assert looked()["allowed_cpus"] == len(cpus)
    for thread, name in _threads(pid).items():
        if name.endswith("/KVM"):
            os.sched_setaffinity(thread, cpus[:1])
    assert looked()["allowed_cpus"] == 1


def test_a_guest_without_names_of_threads_is_seen_by_its_process(guest):
    cpus = sorted(os.sched_getaffinity(0))
    pid = guest(threads="off")
    for thread in _threads(pid):
        os.sched_setaffinity(thread, cpus[:1])
    found = looked()
    assert found["allowed_cpus"] == 1 and not any("threads" in text for text in found["unseen"])


@pytest.fixture(scope="module")
def as_nobody(tmp_path_factory):
    """Runs `costmodel` as the user nobody, with the libraries of this interpreter; skips where that cannot be done."""
    if os.geteuid() != 0:
        pytest.skip("only root becomes another user")
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    home = tmp_path_factory.mktemp("nobody")
    source = Path(costmodel.__file__).parents[1]
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "XDG_CACHE_HOME": str(home / "not-there"),
        "PYTHONPATH": os.pathsep.join(map(str, [source, *libraries])),
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    def run(python, *words):
        become = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        return subprocess.run(
            [*become, python, *words], capture_output=True, text=True, env=environment, cwd="/", check=False
        )

    for python in (sys.executable, f"/usr/bin/{version}"):
        if Path(python).exists() and run(python, "-c", "import costmodel.cli, numpy, scipy, sympy").returncode == 0:
            return lambda *words: run(python, "-m", "costmodel", *words)
    return pytest.skip("no Python that nobody may run has the libraries")


@pytest.mark.nightly
def test_without_privileges_it_says_what_it_could_not_see(as_nobody, guest):
    guest()
    result = as_nobody("host", "--machine", "epyc-7763-2s", "--kernel", "6.6")
    assert result.returncode == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert "not seen: how often NUMA balancing scans, and how much (debugfs is not mounted, is locked, or needs" in text
    assert "plain, run by qemu, 2 vCPUs, 256 MiB" in text, "a command line is readable by everybody"
    for hidden in (NAME, SECRET, "Traceback", str(Path(costmodel.__file__).parent)):
        assert hidden not in result.stdout + result.stderr


@pytest.mark.nightly
def test_without_privileges_json_is_whole(as_nobody):
    result = as_nobody("host", "--json", "--machine", "epyc-7763-2s", "--kernel", "6.6")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["unseen"] and "numa_scan_period_min_ms" not in found["settings"]
