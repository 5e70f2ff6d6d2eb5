"""data/validation/simulation.csv: what the simulator gave for each setting of the grid, so that a reader need not wait.

A value counts only for the setting that it was made of: `asked` is the hash of the setting, and where it differs the
setting is simulated anew. That the simulator still gives these values is tested on a sample.
`python -m costmodel.validation.simulated_data` writes the file from all settings.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from costmodel.evidence import paths, table
from costmodel.hashing import value_hash, write_beside
from costmodel.simulation.measure import Estimate
from costmodel.validation.simulated_design import Case

FILE = Path("validation", "simulation.csv")
COLUMNS = ("setting", "asked", "output", "value", "half_width")
Simulated = dict[str, dict[str, Estimate]]


def asked(case: Case, entropy: int) -> str:
    """Hash of what the simulator is asked: the setting, its outputs and the source of its random numbers."""
    return value_hash([case.id, type(case.setting).__name__, asdict(case.setting), case.outputs, entropy])


def read(root: Path) -> dict[tuple[str, str], dict[str, Estimate]]:
    """Outputs by setting and hash. Raises BadInput; empty where there is no such file."""
    path = root / FILE
    found: dict[tuple[str, str], dict[str, Estimate]] = {}
    for row in table.read_table(path, COLUMNS, ("setting", "output")) if path.exists() else []:
        estimate = Estimate(*(_number(row, field, path.name) for field in ("value", "half_width")))
        found.setdefault((row["setting"], row["asked"]), {})[row["output"]] = estimate
    return found


def _number(row: dict[str, str], field: str, file: str) -> float:
    """The cell, which may be zero. Raises BadInput."""
    return 0.0 if row[field] == "0" else table.number(row, field, file=file, name=row["setting"], required=True)


def text(cases: tuple[Case, ...], known: Simulated, entropy: int) -> str:
    """The file with the outputs of all `cases`."""
    rows = [
        (case.id, asked(case, entropy), output, f"{estimate.value:.17g}", f"{estimate.half_width:.17g}")
        for case in cases
        for output, estimate in sorted(known[case.id].items())
    ]
    return table.csv_text(COLUMNS, rows)


if __name__ == "__main__":
    from costmodel.validation.simulated_grid import grid
    from costmodel.validation.simulated_results import ENTROPY, simulate_all

    found = simulate_all(grid(), lambda: print(".", end="", flush=True))
    write_beside(paths.data_dir() / FILE, text(grid(), found, ENTROPY))
