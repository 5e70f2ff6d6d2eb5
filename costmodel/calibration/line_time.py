"""Fit of the time per flushed line: reference by vendor and line state, factor for a second socket.

One row per machine, so the residual scatter is the scatter between machines, which is what a prediction for a machine
that nobody measured needs.
"""

from __future__ import annotations

import numpy

from costmodel.calibration.fit import Fit, Problem, Unknown, fit
from costmodel.evidence.records import Measurement
from costmodel.evidence.store import Evidence

INSTRUCTIONS = ("CLFLUSHOPT", "CLFLUSH")
STATES = ("present", "absent")


def rows(evidence: Evidence, instruction: str, *, doubtful: bool = False) -> list[Measurement]:
    """Rows that calibrate `instruction`; with `doubtful` also the excluded ones."""
    found = evidence.rows(observable="range_flush.line_time_s", instruction=instruction)
    uses = ("fit", "exclude") if doubtful else ("fit",)
    return [row for row in found if row.use in uses and row.line_state in STATES]


def problem(evidence: Evidence, instruction: str = "CLFLUSHOPT", *, doubtful: bool = False) -> Problem:
    """The regression problem; raises MissingNumber through `fit` consumers if no row is left."""
    used = rows(evidence, instruction, doubtful=doubtful)
    observed = numpy.array([row.si for row in used])
    two = numpy.array([1.0 if (row.sockets or 1) > 1 else 0.0 for row in used])
    unknowns = []
    for vendor in ("amd", "intel"):
        for state in STATES:
            mask = numpy.array([row.vendor == vendor and row.line_state == state for row in used])
            if mask.any():
                middle = float(numpy.exp(numpy.mean(numpy.log(observed[mask]))))
                unknowns.append(
                    Unknown(f"{vendor}_{state}_s", "line_reference_s", middle, middle / 30, middle * 30, mask)
                )
    unknowns.append(Unknown("two_socket_factor", "two_socket_factor", 2.0, 0.2, 20.0))
    groups = tuple(row.hardware for row in used)
    return Problem("line_time", observed, {"two_sockets": two}, tuple(unknowns), groups, tuple(row.id for row in used))


def calibrate(evidence: Evidence, instruction: str = "CLFLUSHOPT", *, doubtful: bool = False) -> Fit:
    """Fit of `instruction` (see `problem`)."""
    return fit(problem(evidence, instruction, doubtful=doubtful))
