"""Latency of one CLFLUSH or CLFLUSHOPT, from tests that flush one line again and again: by vendor, and on two sockets.

It is no slope of a range: CLFLUSHOPT is ordered against flushes of the same line only, so such a test waits each time
for what a range has in flight. It tells how much dearer a flush is that has to ask the other socket.
"""

from __future__ import annotations

import numpy

from costmodel.calibration.fit import Fit, Problem, Unknown, fit
from costmodel.evidence.records import Measurement
from costmodel.evidence.store import Evidence

INSTRUCTIONS = ("CLFLUSHOPT", "CLFLUSH")
OBSERVABLE = "range_flush.same_line_s"


def rows(evidence: Evidence, instruction: str) -> list[Measurement]:
    """Rows that calibrate the latency of `instruction`."""
    return [row for row in evidence.rows(observable=OBSERVABLE, instruction=instruction) if row.use == "fit"]


def problem(evidence: Evidence, instruction: str = "CLFLUSHOPT") -> Problem:
    """The regression problem: one reference and one factor for a second socket for each vendor."""
    used = rows(evidence, instruction)
    observed = numpy.array([row.si for row in used])
    two = numpy.array([1.0 if (row.sockets or 1) > 1 else 0.0 for row in used])
    unknowns = []
    for vendor in ("amd", "intel"):
        mask = numpy.array([row.vendor == vendor for row in used])
        middle = float(numpy.exp(numpy.mean(numpy.log(observed[mask])))) if mask.any() else 1e-8
        unknowns += [
            Unknown(f"{vendor}_s", "line_reference_s", middle, middle / 30, middle * 30, mask),
            Unknown(f"{vendor}_two_socket_factor", "two_socket_factor", 2.0, 0.2, 20.0, mask),
        ]
    groups = tuple(row.hardware for row in used)
    ids = tuple(row.id for row in used)
    return Problem("line_time", observed, {"two_sockets": two}, tuple(unknowns), groups, ids)


def calibrate(evidence: Evidence, instruction: str = "CLFLUSHOPT") -> Fit:
    """Fit of `instruction` (see `problem`)."""
    return fit(problem(evidence, instruction))


def dearest_on_two_sockets(result: Fit, vendor: str) -> float:
    """The largest latency seen on two sockets, as a multiple (1 or more) of the vendor's fitted latency on one.

    It is a bound, so it is no mean: some two-socket machines are no dearer than one socket.
    """
    problem, one = result.problem, result.values[f"{vendor}_s"]
    mask = next(unknown.mask for unknown in problem.unknowns if unknown.name == f"{vendor}_s")
    return float(problem.observed[mask & (problem.known["two_sockets"] == 1)].max(initial=one) / one)
