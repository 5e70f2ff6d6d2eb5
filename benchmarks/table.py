"""The table of docs/benchmarks.md from benchmarks/results/*.json.

python benchmarks/table.py
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- table of benchmarks/table.py -->\n", "<!-- end of the table -->\n"
ORDER = ("reports", "cli", "explore_step", "sweep", "calibration", "trace_replay")


def seconds(value: float) -> str:
    """Two or three digits with a unit that can be read."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):  # noqa: B007
        if value >= factor:
            break
    return f"{value / factor:.3g} {unit}"


def pair(values: list[float], per: float) -> str:
    """Best and median of the runs."""
    return f"{seconds(min(values) / per)} / {seconds(statistics.median(values) / per)}"


def line(row: dict[str, Any]) -> str:
    """One row of the table."""
    cells = [row["target"], f"`{row['command']}`", row["caches"], pair(row["cpu_s"], row["per"])]
    cells += [pair(row["wall_s"], row["per"]), str(len(row["cpu_s"]))]
    if row["rival_cpu_s"]:
        own, theirs = ([one / per for one in values] for values, per in (
            (row["cpu_s"], row["per"]), (row["rival_cpu_s"], row["rival_per"])
        ))  # fmt: skip
        ratio = f"{min(theirs) / min(own):.3g} / {statistics.median(theirs) / statistics.median(own):.3g}"
        cells += [f"{row['rival']}: {pair(row['rival_cpu_s'], row['rival_per'])}", ratio]
    else:
        cells += ["", ""]
    return "| " + " | ".join([*cells, row["note"]]) + " |"


def table(records: dict[str, dict[str, Any]]) -> str:
    """The machine of each benchmark, and all rows."""
    machines: dict[str, list[str]] = {}
    for name, record in records.items():
        state = record["state"]
        versions = ", ".join(f"{package} {number}" for package, number in state["versions"].items())
        told = f"{state['cpu']}, {state['cpus']} CPUs, Linux {state['kernel']}, Python {state['python']}"
        machines.setdefault(told, []).append(f"{name}: load {state['load']:.1f}; {versions}")
    lines = []
    for told, each in machines.items():
        lines += [f"Machine: {told}.", "", *(f"- {text}" for text in each), ""]
    lines += [
        "| target | command | caches | CPU, best / median | wall, best / median | runs | beside, CPU best / median | times, best / median | note |",
        "|---|---|---|---|---|---|---|---|---|",
        *(line(row) for record in records.values() for row in record["rows"]),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Put the table between its two marks."""
    records = {
        name: json.loads(path.read_text()) for name in ORDER if (path := HERE / "results" / f"{name}.json").is_file()
    }
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(records)}\n{END}{after}")


if __name__ == "__main__":
    main()
