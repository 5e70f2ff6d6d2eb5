"""Parameter sets with one row left out, or with the doubtful rows in: a decision that flips on one row is undecided."""

from __future__ import annotations

import json

from costmodel.calibration import line_time
from costmodel.calibration.host import parameter_set
from costmodel.calibration.parameters import Calibration, ParameterSet
from costmodel.evidence.store import Evidence
from costmodel.hashing import cache_dir, code_hash, value_hash, write_beside

ANCHORS = ("W01", "W02", "W08", "W09", "W10", "S01")


def variations(evidence: Evidence, machine: str) -> dict[str, ParameterSet]:
    """By label ("without C121", "with doubtful rows"). Kept in the user's cache per state of data and code."""
    key = value_hash([evidence.data_hash, code_hash("evidence", "formulas", "calibration"), machine])
    path = cache_dir() / f"variations-{key}.json"
    if path.is_file():
        stored = json.loads(path.read_text())
        return {label: ParameterSet.model_validate(entry) for label, entry in stored.items()}
    host = evidence.machine(machine)
    rows = [row.id for row in line_time.rows(evidence, "CLFLUSHOPT")]
    found = {
        f"without {row}": parameter_set(Calibration(evidence.without(row)), host)
        for row in (*ANCHORS, *rows)
        if row in evidence.measurements
    }
    found["with doubtful rows"] = parameter_set(Calibration(evidence, doubtful=True), host)
    write_beside(path, json.dumps({label: entry.model_dump() for label, entry in found.items()}))
    return found
