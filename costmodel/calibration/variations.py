"""Parameter sets with one row left out, or with the doubtful rows in: a decision that flips on one row is undecided."""

from __future__ import annotations

from costmodel.calibration import line_time
from costmodel.calibration.cached import remembered
from costmodel.calibration.host import parameter_set
from costmodel.calibration.parameters import Calibration, ParameterSet
from costmodel.evidence.store import Evidence

ANCHORS = ("W01", "W02", "W08", "W09", "W10", "S01")


def variations(evidence: Evidence, machine: str) -> dict[str, ParameterSet]:
    """By label ("without C121", "with doubtful rows"). Kept in the user's cache per state of data and code."""
    host = evidence.machine(machine)

    def build() -> dict[str, ParameterSet]:
        rows = [row.id for row in line_time.rows(evidence, "CLFLUSHOPT")]
        found = {
            f"without {row}": parameter_set(Calibration(evidence.without(row)), host)
            for row in (*ANCHORS, *rows)
            if row in evidence.measurements
        }
        found["with doubtful rows"] = parameter_set(Calibration(evidence, doubtful=True), host)
        return found

    return remembered("variations", [evidence.data_hash, machine], build)
