"""Parameter sets of all machines and measured hosts, calibrated from data/; with one source left out; and as a record.

`make calibration` runs this module to renew the sets that are shipped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple, cast

import numpy

from costmodel import cache
from costmodel.calibration import anchors, between_machines, parameters, rules
from costmodel.calibration.anchors import usable_rendezvous as usable
from costmodel.calibration.fit import Fit, Problem, fit
from costmodel.calibration.holdout import leave_groups_out
from costmodel.calibration.parameters import Distribution, Parameter, ParameterSet, fixed, lognormal
from costmodel.calibration.published import checks
from costmodel.calibration.rules import Calibration
from costmodel.errors import stated
from costmodel.evidence.hosts import Profile
from costmodel.evidence.records import Machine
from costmodel.evidence.store import Evidence, load
from costmodel.hashing import write_beside

# Parameters of a measured host: what its profile gives in the place of published figures and priors.

FEWEST_POINTS = 3
"""Fewer CPU counts give no slope."""
ON_THE_HOST = "measured on this host"
AGAIN = "a second run of `costmodel measure` on an idle host"
"""What would tell a parameter better that was measured there."""


def parameter_set(calibration: Calibration, machine: Machine) -> ParameterSet:
    """Every parameter of `machine`, catalogued or measured."""
    base = rules.catalog_parameters(calibration, machine)
    profile = calibration.evidence.hosts.get(machine.id)
    return with_profile(base, profile, calibration.evidence) if profile else base


def with_profile(base: ParameterSet, profile: Profile, evidence: Evidence) -> ParameterSet:
    """`base` with every parameter that the profile can give; the rest keeps its published value or prior."""
    found: dict[str, Parameter] = {}
    for build in (_lines, _bandwidth, _broadcast):
        for name, told in build(profile).items():
            known = evidence.parameter(name)
            found[name] = Parameter(
                name=name,
                unit=known.unit,
                description=known.on_host or known.description,
                distribution=told.distribution,
                rule=f"{told.rule}, on {profile.measured_on}",
                sources=(f"hosts/{profile.id}",),
                extrapolated=False,
                next_measurement=AGAIN,
                share=known.share,
            )
    missing = {name: gap for name, gap in base.missing.items() if name not in found}
    return ParameterSet(machine=base.machine, parameters={**base.parameters, **found}, missing=missing)


class Told(NamedTuple):
    """What a profile tells of a parameter: its distribution, and the rule by which that follows."""

    distribution: Distribution
    rule: str


def _seen(profile: Profile, quantity: str, rule: str) -> dict[str, Told]:
    """The host's own value of a quantity: run medians and a Student t over the runs."""
    seen = between_machines.of_host(profile).get(quantity)
    if seen is None:
        return {}
    return {rules.PARAMETER_OF[quantity]: Told(lognormal(math.exp(seen.level), seen.factor), rule)}


def _lines(profile: Profile) -> dict[str, Told]:
    """Start and slopes of the host's own sweep; the interval holds runs, page sizes and ranges up to its cache."""
    rule = f"CLFLUSHOPT {ON_THE_HOST}, 4 KiB to the last-level cache, both page sizes; run medians, Student t over runs"
    own: dict[str, Told] = {}
    for quantity in between_machines.RANGE_FLUSH:
        own |= _seen(profile, quantity, rule)
    if own and profile.machine.sockets == 1:
        own["remote_factor"] = Told(fixed(1.0), f"one socket, {ON_THE_HOST}")
    return own


def _bandwidth(profile: Profile) -> dict[str, Told]:
    """Of the socket what all its CPUs write back; of a CPU what it reads; of the domain where more CPUs add nothing."""
    rows = [row for row in profile.table("bandwidth") if row["kind"] == "write_back"]
    if not rows:
        return {}
    most = max(row["threads"] for row in rows)
    medians = between_machines.run_medians(
        (row["run"], row["measured_bytes_per_s"]) for row in rows if row["threads"] == most
    )
    rule = f"write-back with {most:g} threads {ON_THE_HOST}: all CPUs that it has"
    own = {
        "writeback_bytes_per_s": Told(_over(medians), rule),
        **_seen(profile, "domain_writeback", rule),
        **_seen(profile, "cpu_read", f"sequential re-read after a flush {ON_THE_HOST}, one thread"),
    }
    if "cpu_read_bytes_per_s" in own:
        one = own["cpu_read_bytes_per_s"]
        own["read_bytes_per_s"] = Told(one.distribution, f"{one.rule}, on {profile.measured_on}: a lower bound")
    return own


def _over(medians: list[float]) -> Distribution:
    """Log-normal for a run more: the median of the run medians, a Student t with the runs less one for the factor."""
    logs = [float(log) for log in numpy.log(medians)]
    return lognormal(math.exp(float(numpy.median(logs))), between_machines.factor_of_runs(logs, len(logs)))


def _broadcast(profile: Profile) -> dict[str, Told]:
    """Straight line through the run medians over the number of targets; an empty handler, so a lower bound.

    A run whose start or slope is not above zero has no logarithm: it is left out of that one, and counted.
    """
    runs: dict[tuple[int, float], list[float]] = {}
    for row in profile.table("broadcast"):
        runs.setdefault((int(row["run"]), row["targets"]), []).append(row["measured_call_s"])
    counts = sorted({count for _, count in runs})
    if len(counts) < FEWEST_POINTS:
        return {}
    starts, slopes = [], []
    for run in sorted({run for run, _ in runs}):
        points = [(count, float(numpy.median(runs[run, count]))) for count in counts if (run, count) in runs]
        targets, calls_s = zip(*points, strict=True)
        slope, start = numpy.polyfit(targets, calls_s, 1)
        starts.append(float(start))
        slopes.append(float(slope))
    rule = f"membarrier to 1 to {counts[-1]:g} CPUs {ON_THE_HOST}: a proxy with an empty handler"
    found = {}
    for name, fitted in (("broadcast_start_s", starts), ("broadcast_per_cpu_s", slopes)):
        above_zero = [seconds for seconds in fitted if seconds > 0]
        missing = len(fitted) - len(above_zero)
        note = f"; {missing} run{'s' if missing > 1 else ''} left out: no time above zero" if missing else ""
        if above_zero:
            found[name] = Told(_over(above_zero), rule + note)
    return found


# The parameter set of a machine, calibrated once per state of data and code and kept in the user's cache.


@lru_cache(maxsize=64)
def calibrated(evidence: Evidence, machine: str) -> ParameterSet:
    """What `parameters.parameters_of` gives, kept in the user's cache per state of data and code."""

    def build() -> dict[str, ParameterSet]:
        return {machine: parameter_set(_shared(evidence), evidence.machine(machine))}

    return remembered("parameters", [evidence.data_hash, machine], build)[machine]


@lru_cache(maxsize=4)
def _shared(evidence: Evidence) -> Calibration:
    """The fits that the machines share."""
    return Calibration(evidence)


def remembered(
    name: str, parts: Sequence[str], build: Callable[[], dict[str, ParameterSet]]
) -> dict[str, ParameterSet]:
    """What `build` returns, from the user's cache where the same `parts` were calibrated before."""

    def as_json() -> bytes:
        return json.dumps({label: entry.model_dump() for label, entry in build().items()}).encode()

    key = cache.key_of(parts, parameters.SOURCES)
    stored = json.loads(cache.recall(name, key, as_json))
    return {label: ParameterSet.model_validate(entry) for label, entry in stored.items()}


# Parameter sets with one row or one measured machine left out: a decision that flips on one of them is undecided.

ANCHORS = ("W01", "W02", "W08", "W09", "W10", "S01")


def tightest(evidence: Evidence) -> list[str]:
    """The logs that bound an empty and a full cache most tightly: without them the posterior is another."""
    rows = usable(evidence.rendezvous.values())
    boots = [row for row in rows if row.method == "boot"]
    empty = min(rows, key=lambda row: stated(row.line_at_most_s, f"bound of row {row.id}"), default=None)
    full = min(boots, key=lambda row: row.line_of_all_s, default=None)
    return sorted({row.id for row in (empty, full) if row is not None})


def all_variations(evidence: Evidence, machine: str) -> dict[str, ParameterSet]:
    """What `parameters.variations` gives, kept in the user's cache per state of data and code."""
    return remembered("variations", [evidence.data_hash, machine], lambda: varied(evidence, machine))


def varied(evidence: Evidence, machine: str) -> dict[str, ParameterSet]:
    """The parameter sets of `machine` without each row that may decide, and without each other measured machine."""
    host = evidence.machine(machine)
    slopes = [id for one in between_machines.of_rows(evidence) if one.vendor == host.vendor for id in one.sources]
    logs = tightest(evidence) if host.vendor == "amd" else []
    rows = [row for row in (*ANCHORS, *slopes) if row in evidence.measurements] + logs
    others = [name for name, other in evidence.hosts.items() if other.machine.vendor == host.vendor]
    return {f"without {row}": parameter_set(Calibration(evidence.without(row)), host) for row in rows} | {
        f"without {name}": parameter_set(Calibration(evidence, without_hosts=(name,)), host)
        for name in others
        if name != machine
    }


# The calibration as a record: every fit with residual, held-out error, bias, coverage; every parameter of a machine.


@dataclass(frozen=True)
class Regression:
    """A form that is fitted to published rows; a `rival` is only shown beside the form that held-out rows chose."""

    id: str
    form: str
    problem: Callable[[Evidence], Problem]
    rival: bool = False

    @property
    def title(self) -> str:
        return f"{self.form} (rival)" if self.rival else self.form


REGRESSIONS = {
    one.id: one
    for one in (
        Regression(
            "line_time",
            "latency of one flush, CLFLUSHOPT",
            partial(anchors.line_time_problem, instruction="CLFLUSHOPT"),
        ),
        Regression(
            "line_time_clflush",
            "latency of one flush, CLFLUSH",
            partial(anchors.line_time_problem, instruction="CLFLUSH"),
        ),
        Regression("range_length", "range length, linear", anchors.range_shape_problem),
        Regression("broadcast", "broadcast, linear", partial(anchors.broadcast_problem, formula="broadcast")),
        Regression(
            "broadcast_tree",
            "broadcast, tree",
            partial(anchors.broadcast_problem, formula="broadcast_tree"),
            rival=True,
        ),
        Regression(
            "broadcast_slowest",
            "broadcast, slowest of k late answers",
            partial(anchors.broadcast_problem, formula="broadcast_slowest"),
            rival=True,
        ),
    )
}


def fits(calibration: Calibration) -> list[dict[str, object]]:
    """One record per regression: values, residual, rank, error bars or why there are none, held-out errors."""
    records = [
        _record(one.title, fit(problem), leave_groups_out(problem).sentence())
        for one in REGRESSIONS.values()
        for problem in [one.problem(calibration.evidence)]
    ]
    for anchor in calibration.anchors:
        name = (
            f"whole-cache anchors, Skylake LLC {anchor.skylake_llc_bytes / 2**20:g} MiB, Sapphire Rapids LLC "
            f"{anchor.sapphire_llc_bytes / 2**20:g} MiB, {anchor.sapphire_cores_per_socket} cores per socket"
        )
        records.append(_record(name, anchor.result, "three rows, three parameters: nothing can be held out"))
    return records


@lru_cache(maxsize=4)
def fits_of(evidence: Evidence) -> tuple[dict[str, Any], ...]:
    """The records of `fits`, from the user's cache where the same rows were fitted before."""
    calibration = Calibration(evidence)
    rows = [one.problem(evidence).key for one in REGRESSIONS.values()]
    rows += [cast(Problem, anchor.result.problem).key for anchor in calibration.anchors]
    key = cache.key_of(rows, parameters.SOURCES)
    stored = cache.recall("fits", key, lambda: json.dumps(fits(calibration)).encode())
    return tuple(json.loads(stored))


def host_broadcast(profile: Profile) -> dict[str, object] | None:
    """The delay with which the CPUs of a measured host answer, as a record of its fit; None without the probe."""
    problem = anchors.host_broadcast_problem(profile)
    if problem is None:
        return None
    name = f"interrupt rounds of {profile.id}, slowest of k"
    return _record(name, fit(problem), leave_groups_out(problem).sentence())


def _record(name: str, result: Fit, held_out: str) -> dict[str, object]:
    problem = cast(Problem, result.problem)
    errors = {}
    if result.covariance is not None:
        errors = {
            u.name: float(e) for u, e in zip(result.problem.unknowns, result.covariance.diagonal() ** 0.5, strict=True)
        }
    return {
        "fit": name,
        "formula": problem.formula,
        "rows": list(problem.ids),
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


def shipped_text(evidence: Evidence) -> str:
    """What `parameters.SHIPPED` should hold: every machine, calibrated now."""
    calibration = Calibration(evidence)
    sets = {name: parameter_set(calibration, machine) for name, machine in evidence.machines.items()}
    variations = {name: varied(evidence, name) for name in evidence.machines}
    return parameters.shipped_text(parameters.follows_from(evidence), sets, variations)


if __name__ == "__main__":
    write_beside(parameters.SHIPPED, shipped_text(load()))
