"""Fit of the empty broadcast on rows I06a..h: per-loop time of a TLB shoot-down on Milan, an upper bound for a round."""

from __future__ import annotations

import numpy

from costmodel.calibration.fit import Fit, Problem, Unknown, fit
from costmodel.evidence.store import Evidence


def problem(evidence: Evidence, formula: str = "broadcast") -> Problem:
    """Loop time per thread = threads / loops per second, against the other threads' CPUs."""
    used = [row for row in evidence.rows(observable="broadcast.loops_per_s") if row.use == "fit"]
    threads = numpy.array([float(row.cpus) for row in used])
    observed = threads / numpy.array([row.si for row in used])
    unknowns = (
        Unknown("broadcast_start_s", "broadcast_start_s", 2e-6, 1e-8, 1e-3),
        Unknown("broadcast_per_cpu_s", "broadcast_per_cpu_s", 1e-6, 1e-9, 1e-3),
    )
    groups = tuple(str(row.cpus) for row in used)
    return Problem(formula, observed, {"target_cpus": threads - 1}, unknowns, groups, tuple(row.id for row in used))


def calibrate(evidence: Evidence, formula: str = "broadcast") -> Fit:
    """Fit of the linear form, or of the rival `broadcast_tree`."""
    return fit(problem(evidence, formula))
