"""What all benchmarks share: commands that are timed, the state of the machine, one row of the table in docs/.

A row is one target: our command and the one it is compared with, both as they were run, absolute seconds of every run,
what caches were warm. Ratios are taken within one run of a benchmark, of the best and of the median.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RUNS = 5
WARM = "warm"
LOAD = os.getloadavg()[0]
"""Of the minute before the benchmark started: later it would be the benchmark's own."""


@dataclass
class Row:
    """One target. `cpu_s` and `wall_s` hold every run; `rival` is what it is compared with, None where nothing is."""

    target: str
    command: str
    caches: str
    cpu_s: list[float]
    wall_s: list[float]
    per: float = 1.0
    """Reports, points or refits that one run makes: figures are given for one."""
    rival: str | None = None
    rival_cpu_s: list[float] = field(default_factory=list)
    rival_per: float = 1.0
    note: str = ""


def model_name() -> str:
    """The CPU as the kernel names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def state(*packages: str) -> dict[str, object]:
    """The machine and the versions of what was run."""
    versions = {}
    for name in ("numpy", "scipy", "sympy", "pandas", *packages):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "cpu": model_name(), "cpus": len(os.sched_getaffinity(0)), "load": LOAD,
        "python": platform.python_version(), "kernel": platform.release(), "versions": versions,
    }  # fmt: skip


Times = tuple[list[float], list[float]]
"""CPU and wall seconds, run by run."""


def nothing() -> None:
    """What is prepared where nothing is."""


def in_turn(works: Sequence[tuple[Callable[[], object], Callable[[], object]]], runs: int = RUNS) -> list[Times]:
    """CPU and wall seconds of each work in this process and those that it starts: in each run one after the other, so
    that an hour in which the machine is slow is slow for all. A work is a pair: what is prepared, untimed, and what is
    timed.
    """
    found: list[Times] = [([], []) for _ in works]
    for _ in range(runs):
        for (prepare, work), (cpu, wall) in zip(works, found, strict=True):
            prepare()
            before, start = _cpu(), time.perf_counter()
            work()
            wall.append(time.perf_counter() - start)
            cpu.append(_cpu() - before)
    return found


def timed(work: Callable[[], object], runs: int = RUNS) -> Times:
    """CPU and wall seconds of `work` alone, which needs no preparation."""
    return in_turn([(nothing, work)], runs)[0]


def further(all_of_them: Times, few: Times) -> Times:
    """What all take more than a few, run by run: without what a command takes to start."""
    cpu, wall = ([more - less for more, less in zip(*pair, strict=True)] for pair in zip(all_of_them, few, strict=True))
    return cpu, wall


def _cpu() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def call(command: Sequence[object], **more: str) -> None:
    """Run a command that must succeed, with `more` in its environment and the bytecode of modules kept, as by default."""
    words = [str(word) for word in command]
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | more
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=own)
    if done.returncode:
        sys.exit(f"{' '.join(words)}\n{done.stderr}")


def shown(row: Row) -> str:
    """One line for a person: best and median, and the ratio to the rival."""
    best, middle = min(row.cpu_s) / row.per, statistics.median(row.cpu_s) / row.per
    text = (
        f"{row.target}: CPU {best:.3g} s best, {middle:.3g} s median of {len(row.cpu_s)} ({row.caches}): {row.command}"
    )
    if row.rival_cpu_s:
        theirs, median = min(row.rival_cpu_s) / row.rival_per, statistics.median(row.rival_cpu_s) / row.rival_per
        text += f"\n  against {theirs:.3g} s best, {median:.3g} s median of {len(row.rival_cpu_s)}: {row.rival}"
        text += f"\n  ratio {theirs / best:.3g} of the best, {median / middle:.3g} of the medians"
    return text


def arguments(doc: str | None) -> argparse.Namespace:
    """--runs and --out."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--out", type=Path, help="JSON file")
    return parser.parse_args()


def write(rows: Sequence[Row], out: Path | None, *packages: str) -> None:
    """Print the rows, and keep them as JSON with the state of the machine."""
    for row in rows:
        print(shown(row))
    if out is not None:
        record = {"state": state(*packages), "rows": [asdict(row) for row in rows]}
        out.write_text(json.dumps(record, indent=1) + "\n")
