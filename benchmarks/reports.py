"""CPU and wall time of reports: `costmodel report` beside a shell loop of papermill and `jupyter nbconvert`.

    python benchmarks/reports.py [--runs 5] [--rival-runs 5] [--whole] [--out reports.json]

Both make the same reports from the same notebook, with the user's caches warm (calibration, fonts); one report at a time
on each side for CPU seconds, children included. `--whole` takes every guest type on every machine instead of four of
them. A second row is a run in which nothing changed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import WARM, Row, call, timed, write

from costmodel.evidence.paths import notebooks_dir
from costmodel.evidence.store import load
from costmodel.kvm.catalog import GUESTS

NOTEBOOK = "flush_strategy.ipynb"
FEW = [("sev", "epyc-7763-2s"), ("sev-snp-gmem", "epyc-9654-2s"), ("tdx", "xeon-8570-2s"), ("sev", "xeon-8570-2s")]
"""Three that apply and one that does not, as about half of the matrix."""
VERSIONS = ("papermill", "nbconvert", "nbclient", "ipykernel", "matplotlib", "sympy", "numpy")
BIN = Path(sys.executable).parent
COMMAND = [sys.executable, "-m", "costmodel", "report"]


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


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rival-runs", type=int, default=5)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    cases = [(guest, machine) for guest in GUESTS for machine in load().machines] if asked.whole else FEW
    found: dict[str, tuple[list[float], list[float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        rival(cases[:1], place)
        ours(cases[:1], False, place / "warm")
        for name, runs, work in (
            ("rival", asked.rival_runs, lambda out: rival(cases, out)),
            ("ours", asked.runs, lambda out: ours(cases, asked.whole, out)),
        ):

            def anew(work=work, name=name) -> None:
                shutil.rmtree(place / name, ignore_errors=True)
                (place / name).mkdir()
                work(place / name)

            found[name] = timed(anew, runs)
        same = [*COMMAND, "--out", place / "same"]
        one = [] if asked.whole else ["--guest", cases[0][0], "--machine", cases[0][1]]
        call([*same, *one])
        found["unchanged"] = timed(lambda: call([*same, *one]), asked.runs)
    count = len(cases)
    loop = "for each: papermill NOTEBOOK OUT -p guest G -p machine M; jupyter nbconvert --to html OUT"
    command = "costmodel report" if asked.whole else f"costmodel report of {count} cases, two at a time"
    theirs = {"rival": loop, "rival_cpu_s": found["rival"][0], "rival_per": count}
    rows = [
        Row("one report of the matrix", command, f"{WARM}; reports removed first", *found["ours"], count, **theirs),
        Row(f"unchanged, {count if asked.whole else 1} in all", "costmodel report, again", WARM, *found["unchanged"]),
    ]
    write(rows, asked.out, *VERSIONS)


if __name__ == "__main__":
    main()
