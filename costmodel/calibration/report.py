"""The calibration as a record: every fit with residual, held-out error, bias, coverage; every parameter of a machine."""

from __future__ import annotations

from dataclasses import asdict

from costmodel.calibration import broadcast, line_time, range_shape
from costmodel.calibration.fit import Fit, Problem, fit
from costmodel.calibration.holdout import leave_groups_out
from costmodel.calibration.parameters import Calibration, ParameterSet
from costmodel.calibration.published import checks
from costmodel.evidence.hosts import Profile
from costmodel.evidence.store import Evidence


def problems(evidence: Evidence) -> dict[str, Problem]:
    """The regressions on published rows by name; rivals of a form say so."""
    return {
        "latency of one flush, CLFLUSHOPT": line_time.problem(evidence, "CLFLUSHOPT"),
        "latency of one flush, CLFLUSH": line_time.problem(evidence, "CLFLUSH"),
        "range length, linear": range_shape.problem(evidence),
        "broadcast, linear": broadcast.problem(evidence, "broadcast"),
        "broadcast, tree (rival)": broadcast.problem(evidence, "broadcast_tree"),
        "broadcast, slowest of k late answers (rival)": broadcast.problem(evidence, "broadcast_slowest"),
    }


def fits(calibration: Calibration) -> list[dict[str, object]]:
    """One record per regression: values, residual, rank, error bars or why there are none, held-out errors."""
    records = [
        _record(name, fit(problem), leave_groups_out(problem).sentence())
        for name, problem in problems(calibration.evidence).items()
    ]
    for anchor in calibration.anchors:
        name = (
            f"whole-cache anchors, Skylake LLC {anchor.skylake_llc_bytes / 2**20:g} MiB, Sapphire Rapids LLC "
            f"{anchor.sapphire_llc_bytes / 2**20:g} MiB, {anchor.sapphire_cores_per_socket} cores per socket"
        )
        records.append(_record(name, anchor.result, "three rows, three parameters: nothing can be held out"))
    return records


def host_broadcast(profile: Profile) -> dict[str, object] | None:
    """The delay with which the CPUs of a measured host answer, as a record of its fit; None without the probe."""
    problem = broadcast.host_problem(profile)
    if problem is None:
        return None
    name = f"interrupt rounds of {profile.id}, slowest of k"
    return _record(name, fit(problem), leave_groups_out(problem).sentence())


def _record(name: str, result: Fit, held_out: str) -> dict[str, object]:
    errors = {}
    if result.covariance is not None:
        errors = {
            u.name: float(e) for u, e in zip(result.problem.unknowns, result.covariance.diagonal() ** 0.5, strict=True)
        }
    return {
        "fit": name,
        "formula": result.problem.formula,
        "rows": list(result.problem.ids),
        "values": result.values,
        "standard_errors_of_logs": errors,
        "error_bars_withheld": result.withheld,
        "rms_log_residual": result.root_mean_square,
        "rank": result.rank,
        "parameters": len(result.problem.unknowns),
        "degrees_of_freedom": result.degrees_of_freedom,
        "held_out": held_out,
    }


def record(calibration: Calibration, sets: list[ParameterSet]) -> dict[str, object]:
    """Everything `costmodel calibrate` prints."""
    return {
        "fits": fits(calibration),
        "machines": {entry.machine: parameters_record(entry) for entry in sets},
        "published": [asdict(check) for check in checks(calibration)],
        "data_hash": calibration.evidence.data_hash,
    }


def parameters_record(entry: ParameterSet) -> dict[str, object]:
    """Every parameter of a machine with its interval, rule and sources, and what is missing."""
    return {
        "parameters": {
            name: {
                "low": p.distribution.low,
                "median": p.distribution.median,
                "high": p.distribution.high,
                "unit": p.unit,
                "rule": p.rule,
                "sources": list(p.sources),
                "extrapolated": p.extrapolated,
            }
            for name, p in entry.parameters.items()
        },
        "missing": entry.missing,
    }
