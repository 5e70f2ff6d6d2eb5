"""CPU and wall time of reports: `costmodel report` beside a shell loop of papermill and `jupyter nbconvert`.

    python benchmarks/reports.py [--runs 5] [--rival-runs 5] [--every 9] [--out reports.json]

Ours makes every guest type on every machine, two reports at a time. The loop makes every ninth of these (`--every`), since
it takes about the same for each; both figures are for one report, children included. Both run the same notebook with the
user's caches warm (calibration, fonts, templates), once with figures that were drawn before, once without. Another row is a
run in which nothing changed, the last one report after a number of its machine changed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from bench import WARM, Row, call, timed, write

from costmodel import cache
from costmodel.evidence.paths import data_dir, notebooks_dir
from costmodel.evidence.store import load
from costmodel.kvm.catalog import GUESTS

NOTEBOOK = "flush_strategy.ipynb"
CHANGED = ("sev", "epyc-7763-2s")
VERSIONS = ("papermill", "nbconvert", "nbclient", "ipykernel", "matplotlib", "sympy", "numpy")
NUMBER, STEP_KIB = "llc_bytes_per_domain", 64
BIN = Path(sys.executable).parent
COMMAND = [sys.executable, "-m", "costmodel", "report"]


def rival(cases: Sequence[tuple[str, str]], out: Path) -> None:
    """papermill, then nbconvert, for one report after the other."""
    for guest, machine in cases:
        executed = out / f"{guest}-{machine}.ipynb"
        words = ["-p", "guest", guest, "-p", "machine", machine, "--no-progress-bar", "--log-level", "ERROR"]
        call([BIN / "papermill", notebooks_dir() / NOTEBOOK, executed, *words])
        call([BIN / "jupyter", "nbconvert", "--log-level", "ERROR", "--to", "html", executed])


def forget_figures() -> None:
    """Remove every figure from the user's cache."""
    for kept in cast(Path, cache.directory()).glob("figure-*"):
        kept.unlink()


def after_a_change(data: Path, out: Path) -> None:
    """One report, after the last-level cache of its machine grew, which moves all costs and so all figures."""
    description = data / "machines" / f"{CHANGED[1]}.toml"
    text, before = description.read_text(), re.compile(rf"(?<={NUMBER} = {{ value = )[0-9]+")
    description.write_text(before.sub(lambda found: str(int(found.group()) + STEP_KIB), text))
    words = ["--guest", CHANGED[0], "--machine", CHANGED[1], "--out", out]
    call([*COMMAND, *words], COSTMODEL_DATA=str(data))


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rival-runs", type=int, default=5)
    parser.add_argument("--every", type=int, default=9, help="The loop makes every so many-th report of the matrix.")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    cases = [(guest, machine) for guest in GUESTS for machine in load().machines]
    some = cases[asked.every // 3 :: asked.every]
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        data, reports, loop = place / "data", place / "reports", place / "loop"
        loop.mkdir()
        shutil.copytree(data_dir(), data)
        rival(some[:1], loop)
        call([*COMMAND, "--guest", CHANGED[0], "--machine", CHANGED[1], "--out", reports])

        def anew() -> None:
            shutil.rmtree(reports)
            call([*COMMAND, "--out", reports])

        def undrawn(act: Callable[[], None]) -> None:
            forget_figures()
            act()

        theirs = timed(lambda: rival(some, loop), asked.rival_runs)
        theirs_undrawn = timed(lambda: undrawn(lambda: rival(some, loop)), asked.rival_runs)
        whole_undrawn = timed(lambda: undrawn(anew), asked.runs)
        whole = timed(anew, asked.runs)
        unchanged = timed(lambda: call([*COMMAND, "--out", reports]), asked.runs)
        changed = timed(lambda: after_a_change(data, place / "one"), asked.runs)
    beside = f"for {len(some)} of them: papermill NOTEBOOK OUT -p guest G -p machine M; jupyter nbconvert --to html OUT"
    rows = [
        Row("one report of the matrix", "costmodel report", f"{WARM}; reports removed first", *whole, len(cases),
            beside, theirs[0], len(some)),
        Row("one report of the matrix, no figure drawn before", "costmodel report",
            f"{WARM}; reports and kept figures removed first", *whole_undrawn, len(cases), beside, theirs_undrawn[0],
            len(some)),
        Row(f"unchanged, {len(cases)} in all", "costmodel report, again", WARM, *unchanged),
        Row("one report, a number of its machine changed", f"costmodel report --guest {CHANGED[0]} --machine {CHANGED[1]}",
            "calibration, answers and figures stale, the rest warm", *changed),
    ]  # fmt: skip
    write(rows, asked.out, *VERSIONS)


if __name__ == "__main__":
    main()
