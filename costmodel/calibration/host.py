"""Parameters of a measured host: what its profile gives in the place of published figures and priors."""

from __future__ import annotations

import math

import numpy

from costmodel.calibration import between_machines, parameters
from costmodel.calibration.distribution import Distribution, fixed, lognormal
from costmodel.calibration.parameters import Calibration, Parameter, ParameterSet
from costmodel.evidence.hosts import Profile
from costmodel.evidence.records import Machine

FEWEST_POINTS = 3
"""Fewer CPU counts give no slope."""
ON_THE_HOST = "measured on this host"


def parameter_set(calibration: Calibration, machine: Machine) -> ParameterSet:
    """Every parameter of `machine`, catalogued or measured."""
    base = parameters.parameter_set(calibration, machine)
    profile = calibration.evidence.hosts.get(machine.id)
    return with_profile(base, profile) if profile else base


def with_profile(base: ParameterSet, profile: Profile) -> ParameterSet:
    """`base` with every parameter that the profile can give; the rest keeps its published value or prior."""
    found = {
        name: parameter
        for build in (_lines, _bandwidth, _broadcast)
        for name, parameter in build(profile).items()
        if parameter is not None
    }
    missing = {name: gap for name, gap in base.missing.items() if name not in found}
    return ParameterSet(machine=base.machine, parameters={**base.parameters, **found}, missing=missing)


def _parameter(name: str, unit: str, description: str, spread: Distribution, rule: str, profile: Profile) -> Parameter:
    return Parameter(
        name=name,
        unit=unit,
        description=description,
        distribution=spread,
        rule=f"{rule}, on {profile.measured_on}",
        sources=(f"hosts/{profile.id}",),
        extrapolated=False,
        next_measurement="a second run of `costmodel measure` on an idle host",
    )


def _seen(profile: Profile, quantity: str, rule: str) -> dict[str, Parameter]:
    """The host's own value of a quantity: run medians and a Student t over the runs."""
    seen = between_machines.of_host(profile).get(quantity)
    if seen is None:
        return {}
    name, unit, description, _ = parameters.MEASURED_TEXT[quantity]
    return {name: _parameter(name, unit, description, lognormal(math.exp(seen.level), seen.factor), rule, profile)}


def _lines(profile: Profile) -> dict[str, Parameter]:
    """Start and slopes of the host's own sweep; the interval holds runs, page sizes and ranges up to its cache."""
    rule = f"CLFLUSHOPT {ON_THE_HOST}, 4 KiB to the last-level cache, both page sizes; run medians, Student t over runs"
    own = {}
    for quantity in between_machines.RANGE_FLUSH:
        own |= _seen(profile, quantity, rule)
    if own and profile.machine.sockets == 1:
        own["remote_factor"] = _parameter(
            "remote_factor", "1", "no other socket", fixed(1.0), f"one socket, {ON_THE_HOST}", profile
        )
    return own


def _bandwidth(profile: Profile) -> dict[str, Parameter]:
    """Of the socket what all its CPUs write back; of a CPU what it reads; of the domain where more CPUs add nothing."""
    rows = [row for row in profile.table("bandwidth") if row["kind"] == "write_back"]
    if not rows:
        return {}
    most = max(row["threads"] for row in rows)
    medians = between_machines.run_medians(
        (row["run"], row["measured_bytes_per_s"]) for row in rows if row["threads"] == most
    )
    rule = f"write-back with {most:g} threads {ON_THE_HOST}: all CPUs that it has"
    written = _over(medians)
    own = {
        "writeback_bytes_per_s": _parameter(
            "writeback_bytes_per_s", "B/s", "sustained write-back bandwidth", written, rule, profile
        ),
        **_seen(profile, "domain_writeback", rule),
        **_seen(profile, "cpu_read", f"sequential re-read after a flush {ON_THE_HOST}, one thread"),
    }
    if "cpu_read_bytes_per_s" in own:
        one = own["cpu_read_bytes_per_s"]
        own["read_bytes_per_s"] = _parameter(
            "read_bytes_per_s", "B/s", "memory read bandwidth", one.distribution, one.rule + ": a lower bound", profile
        )
    return own


def _over(medians: list[float]) -> Distribution:
    """Log-normal for a run more: the median of the run medians, a Student t with the runs less one for the factor."""
    logs = numpy.log(medians)
    return lognormal(math.exp(float(numpy.median(logs))), between_machines.factor_of_runs(logs, len(logs)))


def _broadcast(profile: Profile) -> dict[str, Parameter]:
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
        slope, start = numpy.polyfit(*zip(*points, strict=True), 1)
        starts.append(float(start))
        slopes.append(float(slope))
    rule = f"membarrier to 1 to {counts[-1]:g} CPUs {ON_THE_HOST}: a proxy with an empty handler"
    found = {}
    for name, description, fitted in (
        ("broadcast_start_s", "fixed part of an interrupt round", starts),
        ("broadcast_per_cpu_s", "interrupt round, per target CPU", slopes),
    ):
        told = [seconds for seconds in fitted if seconds > 0]
        missing = len(fitted) - len(told)
        note = f"; {missing} run{'s' if missing > 1 else ''} left out: no time above zero" if missing else ""
        if told:
            found[name] = _parameter(name, "s", description, _over(told), rule + note, profile)
    return found
