"""Parameter sets of all catalogued machines, calibrated once per state of data and code and kept in the user's cache."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache

from costmodel import cache
from costmodel.calibration.host import parameter_set
from costmodel.calibration.parameters import Calibration, ParameterSet
from costmodel.evidence.store import Evidence


@lru_cache(maxsize=4)
def _all(evidence: Evidence) -> dict[str, ParameterSet]:
    def build() -> dict[str, ParameterSet]:
        calibration = Calibration(evidence)
        return {name: parameter_set(calibration, machine) for name, machine in evidence.machines.items()}

    return remembered("parameters", [evidence.data_hash], build)


def remembered(
    name: str, parts: Sequence[str], build: Callable[[], dict[str, ParameterSet]]
) -> dict[str, ParameterSet]:
    """What `build` returns, from the user's cache where the same `parts` were calibrated before."""

    def as_json() -> bytes:
        return json.dumps({label: entry.model_dump() for label, entry in build().items()}).encode()

    key = cache.key_of(parts, ["evidence", "formulas", "calibration"])
    stored = json.loads(cache.recall(name, key, as_json))
    return {label: ParameterSet.model_validate(entry) for label, entry in stored.items()}


def parameters_of(evidence: Evidence, machine: str) -> ParameterSet:
    """The calibrated parameter set of `machine` (an id of data/machines)."""
    return _all(evidence)[machine]
