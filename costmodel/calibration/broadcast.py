"""Fits of the empty broadcast: rows I06a..h (per-loop time of a TLB shoot-down on Milan, an upper bound for a round), and
the delay with which CPUs answer on a measured host.
"""

from __future__ import annotations

import numpy

from costmodel.calibration.fit import Fit, Problem, Unknown, fit
from costmodel.evidence.hosts import Profile
from costmodel.evidence.store import Evidence

START = Unknown("broadcast_start_s", "broadcast_start_s", 2e-6, 1e-8, 1e-3)
PER_CPU = Unknown("broadcast_per_cpu_s", "broadcast_per_cpu_s", 1e-6, 1e-9, 1e-3)
DELAY = Unknown("response_delay_s", "response_delay_s", 1e-6, 1e-10, 1e-2)
EXCEEDED = numpy.arange(0.95, 0.04, -0.05)
"""Shares of the rounds at which the distribution of a host's rounds is compared."""


def problem(evidence: Evidence, formula: str = "broadcast") -> Problem:
    """Loop time per thread = threads / loops per second, against the other threads' CPUs."""
    used = [row for row in evidence.rows(observable="broadcast.loops_per_s") if row.use == "fit"]
    threads = numpy.array([float(row.cpus) for row in used])
    observed = threads / numpy.array([row.si for row in used])
    unknowns = (START, PER_CPU, *((DELAY,) if formula == "broadcast_slowest" else ()))
    groups = tuple(str(row.cpus) for row in used)
    return Problem(formula, observed, {"target_cpus": threads - 1}, unknowns, groups, tuple(row.id for row in used))


def calibrate(evidence: Evidence, formula: str = "broadcast") -> Fit:
    """Fit of the linear form, or of a rival: `broadcast_tree`, `broadcast_slowest`."""
    return fit(problem(evidence, formula))


def host_problem(profile: Profile) -> Problem | None:
    """Quantiles of the rounds of a measured host, over its numbers of targets; None where it has no broadcast probe.

    The groups are the numbers of targets: leaving one out asks whether the slowest of k is predicted from other k.
    """
    rounds: dict[float, list[float]] = {}
    for row in profile.table("broadcast"):
        rounds.setdefault(row["targets"], []).append(row["measured_call_s"])
    if not rounds:
        return None
    counts = numpy.repeat(sorted(rounds), len(EXCEEDED))
    observed = numpy.concatenate([numpy.quantile(rounds[count], 1 - EXCEEDED) for count in sorted(rounds)])
    known = {"target_cpus": counts, "share": numpy.tile(EXCEEDED, len(rounds))}
    groups = tuple(f"{count:g}" for count in counts)
    return Problem("broadcast_quantile", observed, known, (START, PER_CPU, DELAY), groups, groups)
