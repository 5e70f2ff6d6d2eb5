"""Parameter sets of all catalogued machines, calibrated once per state of data and code and kept in the user's cache."""

from __future__ import annotations

import json
from functools import lru_cache

from costmodel.calibration.host import parameter_set
from costmodel.calibration.parameters import Calibration, ParameterSet
from costmodel.evidence.store import Evidence
from costmodel.hashing import cache_dir, code_hash, value_hash, write_beside


@lru_cache(maxsize=4)
def _all(evidence: Evidence) -> dict[str, ParameterSet]:
    key = value_hash([evidence.data_hash, code_hash("evidence", "formulas", "calibration")])
    path = cache_dir() / f"parameters-{key}.json"
    if path.is_file():
        stored = json.loads(path.read_text())
        return {name: ParameterSet.model_validate(entry) for name, entry in stored.items()}
    calibration = Calibration(evidence)
    sets = {name: parameter_set(calibration, machine) for name, machine in evidence.machines.items()}
    write_beside(path, json.dumps({name: entry.model_dump() for name, entry in sets.items()}))
    return sets


def parameters_of(evidence: Evidence, machine: str) -> ParameterSet:
    """The calibrated parameter set of `machine` (an id of data/machines)."""
    return _all(evidence)[machine]
