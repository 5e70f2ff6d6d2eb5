"""Held-out error, bias and coverage of each fitted term: published rows, and every measured host."""

from __future__ import annotations

import math

import numpy

from costmodel.calibration import anchors
from costmodel.calibration.anchors import host_broadcast_problem as host_problem
from costmodel.calibration.between_machines import held_out_machines
from costmodel.calibration.calibrate import REGRESSIONS
from costmodel.calibration.fit import Fit, fit, prediction_factor
from costmodel.calibration.holdout import HeldOut, HoldOut, held_out, leave_groups_out
from costmodel.calibration.rules import Calibration
from costmodel.evidence.hosts import Profile
from costmodel.evidence.store import Evidence
from costmodel.numbers import interval, quantity
from costmodel.validation.row import Row, Verdict

COVERAGE = (0.85, 0.95)
"""Wanted of 90 % intervals, where there are rows enough to tell."""
LEVEL = 0.9
ENOUGH_ROWS = 100


def rows(evidence: Evidence) -> list[Row]:
    """One row per fit to published figures, one per kind of held-out cell on each host, one per whole-cache anchor."""
    calibration = Calibration(evidence)
    found = []
    for one in REGRESSIONS.values():
        problem = one.problem(evidence)
        found.append(_published(one.title, fit(problem), leave_groups_out(problem), rival=one.rival))
    found.append(_anchors(calibration))
    found.append(_machines(evidence))
    for name, profile in evidence.hosts.items():
        found += [_host(name, number, trial) for number, trial in enumerate(held_out(profile))]
        if (rounds := host_problem(profile)) is not None:
            found.append(_published(f"interrupt rounds of {name}", fit(rounds), leave_groups_out(rounds)))
        found += [_latency(evidence, profile, one) for one in anchors.INSTRUCTIONS if profile.has("flush_cells")]
    return found


def covers(covered: int, n: int, low: float, high: float) -> Verdict:
    """Whether the share is 85 to 95 %, or cannot be told from it: its binomial interval reaches in.

    A few rows refute a coverage as well as many; they confirm none.
    """
    if low > COVERAGE[1] or high < COVERAGE[0]:
        return "fail"
    return "pass" if n >= ENOUGH_ROWS else "not testable"


def _published(name: str, result: Fit, trial: HoldOut, *, rival: bool = False) -> Row:
    verdict: Verdict = "not testable"
    if trial.covered is not None and trial.coverage_low is not None and trial.coverage_high is not None:
        verdict = covers(trial.covered, trial.n, trial.coverage_low, trial.coverage_high)
    few, bare = trial.n < ENOUGH_ROWS, result.covariance is None
    because = [name for name, holds in (("few rows", few), ("rival", rival), ("no error bars", bare)) if holds]
    return Row(
        id=name.replace(",", "").replace(" ", "-"),
        kind="held-out",
        what=name,
        figure=trial.sentence(),
        verdict=verdict,
        source="data/measurements.csv",
        value=trial.error,
        unit="1",
        names={"enough": str(ENOUGH_ROWS), "withheld": str(result.withheld)},
        because=tuple(because),
        details={"bias": trial.bias, "n": trial.n, "covered": trial.covered, "groups": trial.groups},
    )


def _anchors(calibration: Calibration) -> Row:
    walks = [anchor.result.values["line_empty_s"] for anchor in calibration.anchors]
    return Row(
        id="whole-cache-walk",
        kind="walk",
        names={"least_ns": f"{min(walks) * 1e9:.1f}", "most_ns": f"{max(walks) * 1e9:.1f}"},
        verdict="not testable",
        source="rows W01, W02, W08, W09, W10",
        low=min(walks),
        high=max(walks),
        unit="s",
    )


def _machines(evidence: Evidence) -> Row:
    """Every measured machine foretold by the others alone, quantity by quantity: what a catalogued machine is told."""
    from scipy.stats import binomtest

    trials = held_out_machines(evidence)
    inside = sum(trial.inside for trial in trials)
    found = binomtest(inside, len(trials)).proportion_ci(0.95)
    missed = ", ".join(f"{t.quantity} of {t.machine} ({t.ratio:.2g} times)" for t in trials if not t.inside)
    reached = found.low <= LEVEL <= found.high
    return Row(
        id="machines-foretold-by-others",
        kind="machines",
        names={
            "inside": f"{inside} of {len(trials)}",
            "binomial": f"{found.low:.0%} to {found.high:.0%}",
            "missed": missed,
        },
        because=("outside",) if missed else (),
        verdict="pass" if reached else "fail",
        source="data/hosts",
        value=inside / len(trials),
        low=float(found.low),
        high=float(found.high),
        unit="1",
        details={"machines": len({t.machine for t in trials}), "n": len(trials), "covered": inside},
    )


def _latency(evidence: Evidence, profile: Profile, instruction: str) -> Row:
    """The published latency of one line again and again, which no host entered, against that of a measured host."""
    result = anchors.fit_line_time(evidence, instruction)
    vendor, sockets = profile.machine.vendor, profile.machine.sockets
    names = [f"{vendor}_s", *([f"{vendor}_two_socket_factor"] if sockets > 1 else [])]
    middle = math.prod(result.values[name] for name in names)
    gradient = numpy.array([float(unknown.name in names) for unknown in result.problem.unknowns])
    factor = prediction_factor(result, gradient)
    seen = float(
        numpy.median(
            [
                row["measured_line_s"]
                for row in profile.table("flush_cells")
                if (row["instruction"], row["cell"]) == (instruction, "same_line")
            ]
        )
    )
    low, high = middle / factor, middle * factor
    return Row(
        id=f"latency-{instruction.lower()}-{profile.id}",
        kind="latency",
        names={
            "instruction": instruction,
            "host": profile.id,
            "foretold": interval(low, middle, high, "s"),
            "seen": quantity(seen, "s"),
        },
        verdict="pass" if low <= seen <= high else "fail",
        source=f"data/hosts/{profile.id}",
        value=seen,
        low=low,
        high=high,
        unit="s",
    )


def _host(host: str, number: int, trial: HeldOut) -> Row:
    return Row(
        id=f"{host}-{number}",
        kind="host",
        names={"host": host, "cells": trial.what},
        figure=trial.errors,
        verdict=covers(trial.covered, trial.n, trial.coverage_low, trial.coverage_high),
        source=f"data/hosts/{host}",
        value=trial.median_error,
        unit="1",
        details={"bias": trial.bias, "n": trial.n, "covered": trial.covered, "p95_error": trial.p95_error},
    )
