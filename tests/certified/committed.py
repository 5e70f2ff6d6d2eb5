"""Rows of the scoreboard that only tests can make: certified regressions and dimensions. `validate` shows them as
committed.
"""

from __future__ import annotations

import json
from pathlib import Path

from costmodel.hashing import write_beside
from costmodel.numbers import shortened
from costmodel.validation.row import Row
from costmodel.validation.scoreboard import COMMITTED
from tests.certified import dimensions, strd


def text(rows: list[Row]) -> str:
    """The file of one section, a row per line."""
    lines = [json.dumps(shortened(row.model_dump(mode="json")), sort_keys=True) for row in rows]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def write(root: Path) -> None:
    """Make all sections anew, under data/ at `root`."""
    for name, rows in (("strd", strd.rows()), ("formulas", dimensions.rows())):
        write_beside(root / COMMITTED / f"{name}.json", text(rows))
