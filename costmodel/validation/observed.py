"""What was seen on real hosts and is no input of the model, and what others say: rules of thumb and published
figures.
"""

from __future__ import annotations

import math

import numpy

from costmodel.calibration.parameters import parameters_of
from costmodel.calibration.published import Check, checks
from costmodel.calibration.rules import Calibration
from costmodel.cost.draws import Case, Draws
from costmodel.cost.event import whole_cache
from costmodel.cost.scenario import scenario
from costmodel.cost.total import total
from costmodel.errors import stated
from costmodel.evidence.records import HUGE_PAGE_BYTES, PAGE_BYTES, Measurement
from costmodel.evidence.store import Evidence
from costmodel.formulas.compiled import value
from costmodel.numbers import interval, quantity, significant
from costmodel.validation.row import Row, Verdict

# What was seen on real hosts and is no input of the model: lock-ups, invalidations of a boot, shut-down times.

LARGE_HOST = "epyc-9654-2s"
"""The catalogued EPYC whose number of CPUs comes next to that of row E03; its caches stand for that host's."""
PLAUSIBLE = 0.05
"""Stated before the draws were looked at: what the model gives a chance of one in twenty it does not exclude."""
SHUTDOWNS = {"S06": "dynamic page removal", "S07": "reclaim in TD_TEARDOWN state"}
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
        what=f"soft lock-ups of a {significant(evidence.one('E01').si, 3)}-vCPU guest on {significant(cpus, 3)} CPUs",
        figure=f"a thread never leaves the flush from {interval(low, middle, high, '1')} events/s on; scans give up to "
        f"{significant(scans)} events/s, moves of huge pages {significant(huge)}, of small pages "
        f"{significant(threads * pages)}; in {significant(100 * reached)} % of the draws scans and huge pages suffice",
        target=f"they suffice in {100 * PLAUSIBLE:.0f} % of the draws at least: the lock-ups are plausible",
        verdict=verdict,
        source="A. Kalra, rows E01 to E03; rates N02c, N03, N07, N09, N17",
        value=given,
        low=low,
        high=high,
        unit="1/s",
        note=f"soft lock-up after {quantity(stalled, 's')} without a schedule (row L02): "
        f"{significant(stalled * middle)} flushes in a row; with full and dirty caches they suffice in "
        f"{significant(100 * _busy(evidence, draws, cpus, given))} % of the draws; migration rates are from inside a "
        "guest of 16 vCPUs (rows N02, N03), here per vCPU",
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
    cost = total(Case(load.trigger, case, Draws(parameters_of(evidence, case.machine.id))), "WBINVD_ALL")
    events = load.number("events_per_cycle")
    low, middle, high = (float(x) for x in numpy.quantile(events * cost.priced.time_s, (0.05, 0.5, 0.95)))
    slowest = events / float(_scan_rate(evidence))
    return Row(
        id="N30",
        what=f"{significant(events, 3)} invalidations of one guest boot",
        figure=f"WBINVD on all CPUs at each: the host stands still for {interval(low, middle, high, 's')} of the boot; "
        f"at the ceiling of the scanner they take {quantity(slowest, 's')} at least",
        target="the boot took longer than both",
        verdict="not testable",
        source="row N30 (mean of ten boots, 28 to 44)",
        value=middle,
        low=low,
        high=high,
        unit="s",
        note="the mail gives neither the boot's duration nor the guest's size",
    )


def _rmpupdate(evidence: Evidence) -> Row:
    """S01 and S02: RMPUPDATE of all pages of a 16 GB guest."""
    seen, one = evidence.one("S02"), evidence.one("S01")
    draws = Draws(parameters_of(evidence, "epyc-7763-2s"))
    pages = stated(seen.range_bytes, f"size of row {seen.id}") / PAGE_BYTES
    low, middle, high = (float(x) for x in numpy.quantile(pages * draws["rmpupdate_s"], (0.05, 0.5, 0.95)))
    return Row(
        id="S01-S02",
        what="RMPUPDATE of every 4 KiB page of a 16 GB guest",
        figure=f"{quantity(seen.si, 's')} published (at most), model {interval(low, middle, high, 's')}",
        target="the published total lies in the model's interval",
        verdict="pass" if low <= seen.si <= high else "fail",
        source=f"{seen.source_author}, {seen.source_date}",
        value=seen.si,
        low=low,
        high=high,
        unit="s",
        note=(
            f"both from one author; the model knows row S01 ({quantity(one.si, 's')} a page) with a factor 3 either way"
        ),
    )


def _shutdowns(evidence: Evidence) -> list[Row]:
    """S06 and S07: each TDX shut-down from the other two of its kind, by a constant time per page."""
    found = []
    for row, kind in SHUTDOWNS.items():
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
    note = "the two others differ too much to foretell a third" if verdict == "not testable" else ""
    return Row(
        id=seen.id,
        what=f"TDX shut-down, {kind}, {significant(pages * PAGE_BYTES / 1e9, 3)} GB",
        figure=(
            f"{quantity(seen.si, 's')} published, {interval(middle / factor, middle, middle * factor, 's')} from the "
            "time per page of the two others"
        ),
        target="inside the 90 % interval of the two others",
        verdict=verdict,
        source=f"{seen.source_author}, {seen.source_date}",
        value=seen.si,
        low=middle / factor,
        high=middle * factor,
        unit="s",
        note=note
        if inside
        else "no constant time per page, then; perhaps it grows with the vCPUs, which nothing here tests",
    )


# The model beside what others say: rules of thumb and thresholds (lore), and published measurements.

WIDEST = 100.0
"""A model interval whose ends lie further apart than this factor decides nothing."""
TOO_WIDE = f"the interval spans more than a factor of {WIDEST:.0f}: not decisive"
SIGNS = {"exact": "", "lower": ">= ", "upper": "<= "}
LORE_KINDS = ("claimed", "threshold")


def lore(evidence: Evidence) -> list[Row]:
    """Claimed figures and thresholds of other software beside the model's interval."""
    return [_published_row(evidence, check) for check in checks(Calibration(evidence)) if check.kind in LORE_KINDS]


def measured(evidence: Evidence) -> list[Row]:
    """Published measurements that were not fitted, beside the model's interval."""
    kept = [c for c in checks(Calibration(evidence)) if c.kind not in LORE_KINDS and c.use != "fit"]
    return [_published_row(evidence, check) for check in kept if check.kind == "measured"]


def _published_row(evidence: Evidence, check: Check) -> Row:
    verdicts: dict[str, Verdict] = {"met": "pass", "cannot check": "not testable", "missed": "fail"}
    verdict, note = verdicts[check.verdict], check.note
    source = evidence.measurements[check.id]
    model = "no number"
    low, high = check.low, check.high
    if low is not None and high is not None:
        middle = math.sqrt(low * high) if low > 0 else high / 2
        model = f"model {interval(low, middle, high, check.unit)}"
        if verdict == "pass" and high > WIDEST * low:
            verdict, note = "not testable", TOO_WIDE if low > 0 else check.note
    reached = "the published figure lies in the model's interval"
    return Row(
        id=check.id,
        what=check.quantity,
        figure=f"{SIGNS[source.bound]}{quantity(check.published, check.unit)} published, {model}",
        target=reached if source.bound == "exact" else "the model's interval reaches the published bound",
        verdict=verdict,
        source=f"{source.source_author}, {source.source_date}: {source.source_title}",
        value=check.published,
        low=check.low,
        high=check.high,
        unit=check.unit,
        note=note,
        details={"kind": check.kind, "use": check.use},
    )
