"""CPU time of the commands that users run most, each in a process of its own.

    python benchmarks/cli.py [--runs N] [--out FILE]

`recommend` as it was asked before (the answer is kept), with a new question (calibration and formulas are kept), and for
the first time after installation (an empty cache directory); `--help`; `cost`. A new question has an event fraction that
no run of this benchmark asked for before, whatever the cache holds.
"""

from __future__ import annotations

import random
import sys
import tempfile

from bench import WARM, Row, arguments, call, timed, write

COSTMODEL = (sys.executable, "-m", "costmodel")
CASE = ("--guest", "sev", "--machine", "epyc-7763-2s")
ASKED = "costmodel recommend --guest sev --machine epyc-7763-2s"


def new_fraction() -> str:
    """Between 0.1 and 0.2, of as many digits that nobody asks for it twice."""
    return f"{random.uniform(0.1, 0.2):.15f}"


def main() -> None:
    """One row for each command."""
    asked = arguments(__doc__)
    rows = []

    def row(target: str, command: str, caches: str, work) -> None:
        work()
        rows.append(Row(target, command, caches, *timed(work, asked.runs)))

    def new() -> None:
        call([*COSTMODEL, "recommend", *CASE, "--event-fraction", new_fraction()])

    def first() -> None:
        with tempfile.TemporaryDirectory() as empty:
            call([*COSTMODEL, "recommend", *CASE], XDG_CACHE_HOME=empty)

    row("recommend, asked before", ASKED, WARM, lambda: call([*COSTMODEL, "recommend", *CASE]))
    row("recommend, a new question", f"{ASKED} --event-fraction F, a new F each time", "calibration warm", new)
    row("recommend, the first", f"XDG_CACHE_HOME=EMPTY {ASKED}", "cold", first)
    row("costs", "costmodel cost ...", WARM, lambda: call([*COSTMODEL, "cost", *CASE]))
    row("help", "costmodel --help", "none used", lambda: call([*COSTMODEL, "--help"]))
    row("Python alone", "python -c pass", "none used", lambda: call([sys.executable, "-c", "pass"]))
    write(rows, asked.out, "click")


if __name__ == "__main__":
    main()
