"""CPU and wall time of reports: `costmodel report` beside a shell loop of papermill and `jupyter nbconvert`.

    python benchmarks/reports.py [--runs 5] [--rival-runs 1] [--whole] [--out reports.json]

Both make the same reports from the same notebook, with the user's caches warm (calibration, fonts); one report at a time
on each side for CPU seconds, children included. `--whole` takes every guest type on every machine instead of four of
them. Prints both absolute figures and their ratio, and the time of a run in which nothing changed; every run counts,
and best and median are shown. JSON holds all runs with the state of the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from costmodel.evidence.paths import notebooks_dir
from costmodel.evidence.store import load
from costmodel.kvm.catalog import GUESTS

NOTEBOOK = "flush_strategy.ipynb"
FEW = [("sev", "epyc-7763-2s"), ("sev-snp-gmem", "epyc-9654-2s"), ("tdx", "xeon-8570-2s"), ("sev", "xeon-8570-2s")]
"""Three that apply and one that does not, as about half of the matrix."""
VERSIONS = ("papermill", "nbconvert", "nbclient", "ipykernel", "matplotlib", "sympy", "numpy")
BIN = Path(sys.executable).parent
COMMAND = [sys.executable, "-m", "costmodel", "report"]


def timed(work: Callable[[], object]) -> dict[str, float]:
    """CPU seconds of the processes that `work` starts, and wall seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    work()
    wall_s, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, "wall_s": wall_s}


def call(command: Sequence[str | Path]) -> None:
    """Run a command that must succeed."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")


def rival(cases: Sequence[tuple[str, str]], out: Path) -> None:
    """papermill, then nbconvert, for one report after the other."""
    for guest, machine in cases:
        executed = out / f"{guest}-{machine}.ipynb"
        words = ["-p", "guest", guest, "-p", "machine", machine, "--no-progress-bar", "--log-level", "ERROR"]
        call([BIN / "papermill", notebooks_dir() / NOTEBOOK, executed, *words])
        call([BIN / "jupyter", "nbconvert", "--log-level", "ERROR", "--to", "html", executed])


def ours(cases: Sequence[tuple[str, str]], whole: bool, out: Path) -> None:
    """`costmodel report`: the whole matrix in one call, or one call for each of the few."""
    if whole:
        call([*COMMAND, "--out", out])
        return
    script = (
        "import sys; from pathlib import Path; from costmodel.report import build; "
        "values = {'workload': 'autonuma-default', 'kernel': 'newest'}; cases = zip(sys.argv[2::2], sys.argv[3::2]); "
        "jobs = [job for g, m in cases for job in build.matrix([g], [m], values)]; "
        "build.build_all(jobs, Path(sys.argv[1]), 2, lambda: None, 'warm')"
    )
    call([sys.executable, "-c", script, out, *(word for case in cases for word in case)])


def shown(name: str, runs: Sequence[dict[str, float]], reports: int) -> str:
    """Best and median of the runs."""
    parts = []
    for what in ("cpu_s", "wall_s"):
        values = [run[what] / reports for run in runs]
        parts.append(f"{what[:-2]} {min(values):.2f} s best, {statistics.median(values):.2f} s median")
    return f"  {name:<34}{'; '.join(parts)} of {len(runs)}"


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rival-runs", type=int, default=1)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    cases = [(guest, machine) for guest in GUESTS for machine in load().machines] if asked.whole else FEW
    state = {
        "cpu": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in VERSIONS},
        "caches": "warm: one run of each before the first that counts; reports themselves are removed before each run",
    }
    found: dict[str, list[dict[str, float]]] = {"rival": [], "ours": [], "unchanged": []}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        rival(cases[:1], place)
        ours(cases[:1], False, place / "warm")
        for name, runs, work in (
            ("rival", asked.rival_runs, lambda out: rival(cases, out)),
            ("ours", asked.runs, lambda out: ours(cases, asked.whole, out)),
        ):
            for _ in range(runs):
                shutil.rmtree(place / name, ignore_errors=True)
                (place / name).mkdir()
                found[name].append(timed(lambda work=work, name=name: work(place / name)))
        same = [*COMMAND, "--out", place / "same"]
        one = [] if asked.whole else ["--guest", cases[0][0], "--machine", cases[0][1]]
        call([*same, *one])
        found["unchanged"] = [timed(lambda: call([*same, *one])) for _ in range(asked.runs)]
    print(f"{len(cases)} reports, per report; load {state['load'][0]:.1f}, {state['cpus']} CPUs, caches warm")
    print(shown("papermill + nbconvert, a loop", found["rival"], len(cases)))
    print(shown("costmodel report, warm engine", found["ours"], len(cases)))
    ratio = min(run["cpu_s"] for run in found["rival"]) / min(run["cpu_s"] for run in found["ours"])
    print(f"  ratio of CPU time, best of each: {ratio:.1f}")
    print(shown(f"unchanged, the whole command of {len(cases) if asked.whole else 1}", found["unchanged"], 1))
    if asked.out:
        record = {"cases": cases, "state": state, "runs": found}
        asked.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
