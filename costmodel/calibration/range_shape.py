"""Is a range flush linear in the range? Rows C04a..k, by differences only: the intercept is no fence cost."""

from __future__ import annotations

import numpy

from costmodel.calibration.fit import Fit, Problem, Unknown, fit
from costmodel.evidence.store import Evidence

LINE_BYTES = 64.0


def problem(evidence: Evidence) -> Problem:
    """Time of flushing a whole array against its lines: slope per line and a nuisance intercept."""
    used = [row for row in evidence.rows(observable="range_flush.range_time_s") if row.use == "fit"]
    size = numpy.array([row.range_bytes for row in used])
    known = {
        "lines": size / LINE_BYTES,
        "present_fraction": 1.0,
        "remote_factor": 1.0,
        "line_dirty_s": 0.0,
        "line_absent_s": 0.0,
        "line_bytes": LINE_BYTES,
        "dirty_fraction": 0.0,
        "writeback_bytes_per_s": 1.0,
    }
    unknowns = (
        Unknown("intercept_s", "range_start_s", 1e-4, 1e-7, 1e-2),
        Unknown("line_s", "line_clean_s", 5e-8, 1e-9, 1e-6),
    )
    decades = tuple(
        "below 8 MiB" if s < 8 * 2**20 else "8 MiB to 16 MiB" if s < 16 * 2**20 else "above 16 MiB" for s in size
    )
    observed = numpy.array([row.si for row in used])
    return Problem("range_flush", observed, known, unknowns, decades, tuple(row.id for row in used))


def calibrate(evidence: Evidence) -> Fit:
    """Slope and intercept of the range test."""
    return fit(problem(evidence))
