"""CPU and wall time of reports: `costmodel report` beside a shell loop of papermill and `jupyter nbconvert`.

    python benchmarks/reports.py [--runs 5] [--every 13] [--out reports.json]

Ours makes every guest type on every machine, two reports at a time. The loop makes every thirteenth of these (`--every`),
since it takes minutes for all; both figures are for one report, children included. Both run the same notebook, in turn:
in each run the loop, then ours. The cache is one of this benchmark's own and warm: both have made all of their reports
once before. Once everything is kept (calibration, records, templates, fonts, figures, Sobol indices), once figures and
Sobol indices are removed before each. Other rows: reports that flush and those of guest types that cannot run there, alone;
a run in which nothing changed; one report after a number of its machine changed, also for the first time.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from bench import WARM, Row, call, further, in_turn, nothing, timed, write

from costmodel import cache
from costmodel.evidence.paths import data_dir, notebooks_dir
from costmodel.evidence.store import load
from costmodel.kvm.catalog import GUESTS

NOTEBOOK = "flush_strategy.ipynb"
CHANGED = ("sev", "epyc-7763-2s")
FLUSHING, IMPOSSIBLE = "sev", "tdx"
"""Guest types of which most reports flush, and of which most cannot run."""
VERSIONS = ("papermill", "nbconvert", "nbclient", "ipykernel", "matplotlib", "sympy", "numpy")
NUMBER, STEP_KIB = "llc_bytes_per_domain", 64
FEW = 2
"""Reports of the shorter of two commands whose difference is without their start; one alone is made in another way."""
BIN = Path(sys.executable).parent
COMMAND = [sys.executable, "-m", "costmodel", "report"]
Report = tuple[str, str]
"""Guest type and machine."""


def every(cases: Sequence[Report], step: int) -> list[Report]:
    """Every `step`-th of the matrix, so that guest types and machines take turns; from this one on, every thirteenth flushes
    and can run about as often as all do.
    """
    return list(cases[step // 3 :: step])


def flushing(cases: Sequence[Report], reports: Path) -> list[Report]:
    """Those of `cases` that have a flush to show."""
    return [case for case in cases if _told(case, reports)["costliest_trigger"] is not None]


def running(cases: Sequence[Report], reports: Path) -> list[Report]:
    """Those of `cases` whose guest type can run on the machine."""
    return [case for case in cases if _told(case, reports)["applicable"]]


def _told(case: Report, reports: Path) -> dict[str, Any]:
    guest, machine = case
    return json.loads((reports / guest / f"{machine}.json").read_text())


def rival(cases: Sequence[Report], out: Path) -> None:
    """papermill, then nbconvert, for one report after the other."""
    for guest, machine in cases:
        executed = out / f"{guest}-{machine}.ipynb"
        words = ["-p", "guest", guest, "-p", "machine", machine, "--no-progress-bar", "--log-level", "ERROR"]
        call([BIN / "papermill", notebooks_dir() / NOTEBOOK, executed, *words])
        call([BIN / "jupyter", "nbconvert", "--log-level", "ERROR", "--to", "html", executed])


def forget() -> None:
    """Remove every figure and all Sobol indices from the cache, so that little but the calibration is kept."""
    for name in ("figure", "sensitivities"):
        for kept in cast(Path, cache.directory()).glob(f"{name}-*"):
            kept.unlink()


def grow(data: Path) -> None:
    """Make the last-level cache of a machine larger, which moves all of its costs and so all figures."""
    description = data / "machines" / f"{CHANGED[1]}.toml"
    text, before = description.read_text(), re.compile(rf"(?<={NUMBER} = {{ value = )[0-9]+")
    description.write_text(before.sub(lambda found: str(int(found.group()) + STEP_KIB), text))


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--every", type=int, default=13, help="The loop makes every so many-th report of the matrix.")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        os.environ["XDG_CACHE_HOME"] = str(place / "cache")
        cases = [(guest, machine) for guest in GUESTS for machine in load().machines]
        reports, shipped = place / "reports", place / "cache-shipped"
        call([*COMMAND, "--out", reports])
        shutil.copytree(place / "cache", shipped)
        rows = beside_the_loop(cases, every(cases, asked.every), reports, place / "loop", asked.runs)
        rows.append(Row(f"unchanged, {len(cases)} in all", "costmodel report, again", WARM,
                        *timed(lambda: call([*COMMAND, "--out", reports]), asked.runs)))  # fmt: skip
        rows += by_kind(cases, reports, asked.runs)
        rows += after_a_change(place, shipped, asked.runs)
    write(rows, asked.out, *VERSIONS)


def beside_the_loop(cases: Sequence[Report], some: Sequence[Report], reports: Path, loop: Path, runs: int) -> list[Row]:
    """All of `cases` by one command beside `some` of them by the loop, each of which is made once before."""

    def anew() -> None:
        call([*COMMAND, "--out", reports])

    def remove() -> None:
        shutil.rmtree(reports)

    def remove_and_forget() -> None:
        remove()
        forget()

    loop.mkdir()
    rival(some, loop)
    flush, run = flushing(some, reports), running(some, reports)
    among = f"{len(flush)} flush, {len(run)} can run there; of all {len(cases)}: " + (
        f"{len(flushing(cases, reports))} and {len(running(cases, reports))}"
    )
    theirs, ours, theirs_anew, ours_anew = in_turn(
        [
            (nothing, lambda: rival(some, loop)),
            (remove, anew),
            (forget, lambda: rival(some, loop)),
            (remove_and_forget, anew),
        ],
        runs,
    )
    beside = (
        f"for {len(some)} of them ({among}): "
        "papermill NOTEBOOK OUT -p guest G -p machine M; jupyter nbconvert --to html OUT"
    )
    return [
        Row("one report of the matrix", "costmodel report", f"{WARM}; reports removed first", *ours, len(cases), beside,
            theirs[0], len(some)),
        Row("one report of the matrix, nothing kept but the calibration", "costmodel report",
            "calibration, records, templates and fonts warm; reports, figures and Sobol indices removed first",
            *ours_anew, len(cases), beside, theirs_anew[0], len(some)),
    ]  # fmt: skip


def by_kind(cases: Sequence[Report], reports: Path, runs: int) -> list[Row]:
    """One report of those that flush and one of those that cannot run there, without the start of the command: what all of
    a guest type's take more than a few, both in a directory where the others stand.
    """
    of_guest = {guest: [case for case in cases if case[0] == guest] for guest in (FLUSHING, IMPOSSIBLE)}
    run = running(of_guest[IMPOSSIBLE], reports)
    kinds = {
        "that flushes": (FLUSHING, flushing(of_guest[FLUSHING], reports)),
        "of a guest type that cannot run there": (
            IMPOSSIBLE, [case for case in of_guest[IMPOSSIBLE] if case not in run],
        ),
    }  # fmt: skip
    works: list[tuple[Callable[[], object], Callable[[], object]]] = []
    for guest, made in kinds.values():
        for gone in (made, made[:FEW]):

            def remove(gone: Sequence[Report] = gone) -> None:
                for name, machine in gone:
                    (reports / name / f"{machine}.json").unlink()

            works.append((remove, lambda guest=guest: call([*COMMAND, "--guest", guest, "--out", reports])))
    times = in_turn(works, runs)
    return [
        Row(f"one report {kind}", f"costmodel report --guest {guest}: {len(made)} less {FEW}",
            f"{WARM}; these reports removed first", *further(times[2 * place], times[2 * place + 1]), len(made) - FEW)
        for place, (kind, (guest, made)) in enumerate(kinds.items())
    ]  # fmt: skip


def after_a_change(place: Path, shipped: Path, runs: int) -> list[Row]:
    """One report after a number of its machine changed: where numbers were changed before, and for the first time since
    the data came, when the cache holds nothing that was calibrated here. `shipped` is a cache of that time.
    """
    data, fresh, out = place / "data", place / "cache-fresh", place / "one"
    shutil.copytree(data_dir(), data)

    def change(**more: str) -> None:
        words = ["--guest", CHANGED[0], "--machine", CHANGED[1], "--out", out]
        call([*COMMAND, *words], COSTMODEL_DATA=str(data), **more)

    def first() -> None:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(shipped, fresh)
        grow(data)

    grow(data)
    change()
    later, earliest = in_turn([(lambda: grow(data), change), (first, lambda: change(XDG_CACHE_HOME=str(fresh)))], runs)
    command = f"costmodel report --guest {CHANGED[0]} --machine {CHANGED[1]}"
    return [
        Row("one report, a number of its machine changed", command,
            "calibration, answers and figures stale, the rest warm", *later),
        Row("one report, the first change ever", command,
            "only what `costmodel report` with the shipped data leaves in an empty cache", *earliest),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
