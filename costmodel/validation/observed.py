"""What was observed and is no input of the model: on real hosts, in what others say (rules of thumb and published figures),
and rows and cells that were held out of each fit.
"""

from __future__ import annotations

import math

import numpy

from costmodel.calibration import anchors
from costmodel.calibration.anchors import host_broadcast_problem as host_problem
from costmodel.calibration.between_machines import held_out_machines
from costmodel.calibration.calibrate import REGRESSIONS
from costmodel.calibration.fit import Fit, fit, prediction_factor
from costmodel.calibration.holdout import HeldOut, HoldOut, held_out, leave_groups_out
from costmodel.calibration.parameters import parameters_of
from costmodel.calibration.published import Check, checks, judged, timed_machine
from costmodel.calibration.rules import Calibration
from costmodel.cost.draws import Case, Draws
from costmodel.cost.event import whole_cache
from costmodel.cost.scenario import scenario
from costmodel.cost.total import total
from costmodel.errors import stated
from costmodel.evidence.hosts import Profile
from costmodel.evidence.records import HUGE_PAGE_BYTES, PAGE_BYTES, Machine, Measurement
from costmodel.evidence.store import Evidence
from costmodel.formulas.compiled import value
from costmodel.kvm.kernels import BLASTED
from costmodel.numbers import interval, quantity, significant
from costmodel.validation.row import Row, Verdict

# What was seen on real hosts and is no input of the model: lock-ups, invalidations of a boot, shut-down times.

LARGE_HOST = "epyc-9654-2s"
"""The catalogued EPYC whose number of CPUs comes next to that of row E03; its caches stand for that host's."""
PLAUSIBLE = 0.05
"""Stated before the draws were looked at: what the model gives a chance of one in twenty it does not exclude."""
SHUTDOWN_ROWS = {"S06": "dynamic page removal", "S07": "reclaim in TD_TEARDOWN state"}
"""By the ids of their rows, so that one which is gone is missed; their observables are SHUTDOWNS."""
GUESTS = ("a", "b", "c")
"""Suffixes of the rows: three guests."""
WIDEST_SEEN = 4.0
"""An interval that spans more than this factor either way tests nothing."""


def rows(evidence: Evidence) -> list[Row]:
    """All retrodictions."""
    return [_lockup(evidence), _boot(evidence), _rmpupdate(evidence), *_shutdowns(evidence)]


def _lockup(evidence: Evidence) -> Row:
    """E01 to E03: the rate at which one thread spends all its time in the flush, against the rates that were given."""
    draws = Draws(parameters_of(evidence, LARGE_HOST))
    cpus = evidence.one("E03").si
    needed = _needed_per_s(evidence, draws, cpus)
    low, middle, high = (float(x) for x in numpy.quantile(needed, (0.05, 0.5, 0.95)))
    scans = float(_scan_rate(evidence))
    pages = evidence.one("N02c").si / evidence.one("N03").si
    threads = evidence.one("E01").si / stated(evidence.one("N02c").cpus, "CPUs of row N02c")
    huge = threads * pages * PAGE_BYTES / HUGE_PAGE_BYTES
    given = scans + huge
    stalled = evidence.one("L02").si
    reached = float(numpy.mean(needed <= given))
    verdict: Verdict = "pass" if reached >= PLAUSIBLE else "fail"
    return Row(
        id="E01-E03",
        kind="lockup",
        verdict=verdict,
        source="A. Kalra, rows E01 to E03; rates N02c, N03, N07, N09, N17",
        value=given,
        low=low,
        high=high,
        unit="1/s",
        names={
            "vcpus": significant(evidence.one("E01").si, 3),
            "cpus": significant(cpus, 3),
            "needed": interval(low, middle, high, "1"),
            "scans": significant(scans),
            "huge": significant(huge),
            "small": significant(threads * pages),
            "reached": significant(100 * reached),
            "plausible": f"{100 * PLAUSIBLE:.0f}",
            "stalled": quantity(stalled, "s"),
            "flushes": significant(stalled * middle),
            "busy": significant(100 * _busy(evidence, draws, cpus, given)),
        },
    )


def _busy(evidence: Evidence, draws: Draws, cpus: float, given: float) -> float:
    """The share of the draws in which `given` flushes a second suffice where every line is valid and dirty."""
    full = draws.with_values(valid_fraction=numpy.ones(draws.n), dirty_fraction=numpy.ones(draws.n))
    return float(numpy.mean(_needed_per_s(evidence, full, cpus) <= given))


def _needed_per_s(evidence: Evidence, draws: Draws, cpus: float) -> numpy.ndarray:
    """Events per second (n,) from which on a thread never leaves the flush of `cpus` CPUs."""
    event = whole_cache(draws, evidence.machine(LARGE_HOST), cpus, invalidates=True)
    return value("lock_saturation", hold_s=event.time_s, end_hold_s=0.0)


def _scan_rate(evidence: Evidence) -> numpy.ndarray:
    """NUMA balancing passes per second of a large guest at most, times the chunks that one pass may walk."""
    return value(
        "numa_rate",
        event_fraction=1.0,
        flushes_per_pass=evidence.one("N17").si,
        numa_scan_period_s=evidence.one("N07").si / evidence.one("N09").si,
        numa_limiter_factor=0.0,
        vcpus=1.0,
        event_flush_s=0.0,
    )


def _boot(evidence: Evidence) -> Row:
    """N30: the invalidations of one boot, as the time for which the whole host stands still."""
    case = scenario(evidence, "sev", "epyc-7763-2s", "vm-boot", "6.6")
    load = stated(case.load("autonuma_prot_none_scan"), "NUMA balancing while a guest boots")
    cost = total(Case(load.trigger, case, Draws(parameters_of(evidence, case.machine.id))), BLASTED)
    events = load.number("events_per_cycle")
    low, middle, high = (float(x) for x in numpy.quantile(events * cost.priced.time_s, (0.05, 0.5, 0.95)))
    slowest = events / float(_scan_rate(evidence))
    return Row(
        id="N30",
        kind="boot",
        names={
            "events": significant(events, 3),
            "still": interval(low, middle, high, "s"),
            "slowest": quantity(slowest, "s"),
        },
        verdict="not testable",
        source="row N30",
        value=middle,
        low=low,
        high=high,
        unit="s",
    )


def _rmpupdate(evidence: Evidence) -> Row:
    """S01 and S02: RMPUPDATE of all pages of a 16 GB guest."""
    seen, one = evidence.one("S02"), evidence.one("S01")
    draws = Draws(parameters_of(evidence, "epyc-7763-2s"))
    pages = stated(seen.range_bytes, f"size of row {seen.id}") / PAGE_BYTES
    low, middle, high = (float(x) for x in numpy.quantile(pages * draws["rmpupdate_s"], (0.05, 0.5, 0.95)))
    return Row(
        id="S01-S02",
        kind="rmpupdate",
        names={
            "seen": quantity(seen.si, "s"),
            "model": interval(low, middle, high, "s"),
            "page": quantity(one.si, "s"),
        },
        verdict="pass" if low <= seen.si <= high else "fail",
        source=f"{seen.source_author}, {seen.source_date}",
        value=seen.si,
        low=low,
        high=high,
        unit="s",
    )


def _shutdowns(evidence: Evidence) -> list[Row]:
    """S06 and S07: each TDX shut-down from the other two of its kind, by a constant time per page."""
    found = []
    for row, kind in SHUTDOWN_ROWS.items():
        seen = [evidence.one(f"{row}{guest}") for guest in GUESTS]
        per_page = [one.si / (stated(one.range_bytes, f"size of row {one.id}") / PAGE_BYTES) for one in seen]
        found += [_shutdown(one, kind, per_page[:i] + per_page[i + 1 :]) for i, one in enumerate(seen)]
    return found


def _shutdown(seen: Measurement, kind: str, others: list[float]) -> Row:
    from scipy.special import stdtrit

    logs = numpy.log(others)
    factor = math.exp(float(stdtrit(len(logs) - 1, 0.95)) * float(logs.std(ddof=1)) * math.sqrt(1 + 1 / len(logs)))
    pages = stated(seen.range_bytes, f"size of row {seen.id}") / PAGE_BYTES
    middle = float(value("page_chain", pages=pages, page_operation_s=math.exp(logs.mean())))
    inside = middle / factor <= seen.si <= middle * factor
    verdict: Verdict = "fail" if not inside else "pass" if factor <= WIDEST_SEEN else "not testable"
    why = "others differ" if verdict == "not testable" else "" if inside else "no constant"
    return Row(
        id=seen.id,
        kind="shutdown",
        names={
            "how": kind,
            "gigabytes": significant(pages * PAGE_BYTES / 1e9, 3),
            "seen": quantity(seen.si, "s"),
            "foretold": interval(middle / factor, middle, middle * factor, "s"),
        },
        because=(why,) if why else (),
        verdict=verdict,
        source=f"{seen.source_author}, {seen.source_date}",
        value=seen.si,
        low=middle / factor,
        high=middle * factor,
        unit="s",
    )


# The model beside what others say: rules of thumb and thresholds (lore), and published measurements.

WIDEST = 100.0
"""A model interval whose ends lie further apart than this factor decides nothing."""
SIGNS = {"exact": "", "lower": ">= ", "upper": "<= "}
LORE_KINDS = ("claimed", "threshold")


def lore(evidence: Evidence) -> list[Row]:
    """Claimed figures and thresholds of other software beside the model's interval."""
    return [
        _published_row(evidence, check, machine) for check, machine in _checks(evidence) if check.kind in LORE_KINDS
    ]


def measured(evidence: Evidence) -> list[Row]:
    """Published measurements that were not fitted, beside the model's interval."""
    return [
        _published_row(evidence, check, machine)
        for check, machine in _checks(evidence)
        if check.kind == "measured" and check.use != "fit"
    ]


def _checks(evidence: Evidence) -> list[tuple[Check, Machine | None]]:
    """What the calibration says of every published row; a flush of whole caches on a catalogued machine is held against its
    event there, and that machine is given too.
    """
    found: list[tuple[Check, Machine | None]] = []
    for check in checks(Calibration(evidence)):
        row = evidence.measurements[check.id]
        machine = timed_machine(evidence, row)
        found.append((judged(row, _event_of(evidence, machine, row), "") if machine else check, machine))
    return found


def _event_of(evidence: Evidence, machine: Machine, row: Measurement) -> tuple[float, float] | None:
    """5 % and 95 % of the seconds that the flush of all CPUs, or of one of each core, takes on `machine`; None for others."""
    if row.cpus not in (machine.logical_cpus, machine.cores):
        return None
    event = whole_cache(
        Draws(parameters_of(evidence, machine.id)),
        machine,
        row.cpus,
        invalidates=row.instruction != "WBNOINVD",
        packed=row.cpus == machine.logical_cpus,
    )
    low, high = (float(x) for x in numpy.quantile(event.time_s, (0.05, 0.95)))
    return low, high


def _published_row(evidence: Evidence, check: Check, machine: Machine | None = None) -> Row:
    verdicts: dict[str, Verdict] = {"met": "pass", "cannot check": "not testable", "missed": "fail"}
    verdict, wide = verdicts[check.verdict], False
    source = evidence.measurements[check.id]
    model = ""
    low, high = check.low, check.high
    if low is not None and high is not None:
        middle = math.sqrt(low * high) if low > 0 else high / 2
        model = interval(low, middle, high, check.unit)
        if verdict == "pass" and high > WIDEST * low:
            verdict, wide = "not testable", low > 0
    because = ("too wide",) if wide else ()
    if machine:
        because = ("event" if low is not None else "part of machine", *because)
    return Row(
        id=check.id,
        what=check.quantity,
        kind="published" if source.bound == "exact" else "bound",
        names={
            "published": f"{SIGNS[source.bound]}{quantity(check.published, check.unit)}",
            "model": f"model {model}" if model else "no number",
            "widest": f"{WIDEST:.0f}",
            "machine": machine.id if machine else "",
            "cpus": f"{source.cpus or 'unknown'}",
        },
        because=because,
        verdict=verdict,
        source=f"{source.source_author}, {source.source_date}: {source.source_title}",
        value=check.published,
        low=check.low,
        high=check.high,
        unit=check.unit,
        note="" if wide else check.note,
        details={"kind": check.kind, "use": check.use},
    )


# Held-out error, bias and coverage of each fitted term: published rows, and every measured host.

COVERAGE = (0.85, 0.95)
"""Wanted of 90 % intervals, where there are rows enough to tell."""
LEVEL = 0.9
ENOUGH_ROWS = 100


def term_rows(evidence: Evidence) -> list[Row]:
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
