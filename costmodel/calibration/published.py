"""The model held against every published number: inside its interval, outside, or not checkable, with the count.

This is the "lore versus model" table too: claimed figures stand beside the model's own and are never fitted.
A row without an uncertainty gets the scatter between machines of its family.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass

import numpy

from costmodel.calibration import anchors, between_machines
from costmodel.calibration.anchors import per_flush_s
from costmodel.calibration.fit import prediction_factor
from costmodel.calibration.parameters import ROUND
from costmodel.calibration.rules import CLAIM_FACTOR, Calibration
from costmodel.calibration.rules import catalog_parameters as parameter_set
from costmodel.errors import CostModelError, stated
from costmodel.evidence.records import CACHE_LEVELS, PAGE_BYTES, Machine, Measurement
from costmodel.evidence.store import Evidence
from costmodel.formulas.compiled import value

NO_TERM = "the model has no term for it"
NO_CHECK = "the model has no check for it: its machine is not catalogued"
FLUSHED = "whole_cache.broadcast_s"
"""The observable of a flush of whole caches on many CPUs."""
INPUT = "an input of the model: not checked against itself"
BY_EVENT = "a whole event of a catalogued machine: `costmodel validate` holds its cost against it"


@dataclass(frozen=True)
class Check:
    """One published number beside the model's interval, in `unit`. `verdict`: met, missed, or cannot check."""

    id: str
    quantity: str
    kind: str
    use: str
    published: float
    unit: str
    low: float | None
    high: float | None
    verdict: str
    note: str


def checks(calibration: Calibration) -> list[Check]:
    """Every row that is not only an input: measured, claimed and threshold rows, and specified ones that check."""
    rows = [row for row in calibration.evidence.measurements.values() if row.kind != "specified" or row.use == "check"]
    used = inputs(calibration)
    return [_check(calibration, row, INPUT if row.id in used else NO_TERM) for row in rows]


def inputs(calibration: Calibration) -> frozenset[str]:
    """Ids of the rows that the parameters of a machine or the numbers of a workload or of a machine come from."""
    evidence = calibration.evidence
    found = set(_sources(tuple(evidence.workloads.values())))
    for machine in evidence.machines.values():
        found.update(row for rows in machine.provenance.values() for row in rows)
        found.update(_sources(tuple(parameter_set(calibration, machine).parameters.values())))
    return frozenset(found & evidence.measurements.keys())


def _sources(value: object) -> Iterator[str]:
    """The `sources` of a record and of all records in it."""
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple):
        for entry in value:
            yield from _sources(entry)
        return
    yield from getattr(value, "sources", ())
    if is_dataclass(value):
        for entry in fields(value):
            yield from _sources(getattr(value, entry.name))


def _check(calibration: Calibration, row: Measurement, note: str) -> Check:
    """`note` is what to say where the model predicts no such number."""
    predict = PREDICTORS.get(row.observable)
    interval = None
    if predict is not None:
        try:
            interval, note = predict(calibration, row)
        except CostModelError as gap:
            interval, note = None, str(gap)
    return judged(row, interval, note)


def judged(row: Measurement, interval: tuple[float, float] | None, note: str) -> Check:
    """The row beside the interval that the model has for it, None where it has none."""
    low, high = interval or (None, None)
    verdict = "cannot check" if interval is None else "met" if _meets(row, *interval) else "missed"
    return Check(row.id, row.quantity, row.kind, row.use, row.si, row.si_unit, low, high, verdict, note)


def _meets(row: Measurement, low: float, high: float) -> bool:
    """Overlap of the published range (value, or low to high, or a bound) with the model's interval."""
    bottom, top = row.low_si or row.si, row.high_si or row.si
    if row.bound == "upper":
        bottom = 0.0
    if row.bound == "lower":
        top = math.inf
    return bottom <= high and top >= low


def _same_line(calibration: Calibration, row: Measurement) -> tuple[tuple[float, float] | None, str]:
    if row.instruction not in anchors.INSTRUCTIONS:
        return None, "no fit for this instruction"
    result = anchors.fit_line_time(calibration.evidence, row.instruction)
    if result.covariance is None:
        return None, str(result.withheld)
    two = 1.0 if (row.sockets or 1) > 1 else 0.0
    name, factor_name = f"{row.vendor}_s", f"{row.vendor}_two_socket_factor"
    names = [unknown.name for unknown in result.problem.unknowns]
    gradient = numpy.array([1.0 if n == name else two if n == factor_name else 0.0 for n in names])
    middle = result.values[name] * result.values[factor_name] ** two
    factor = prediction_factor(result, gradient)
    return (middle / factor, middle * factor), "latency of one flush, interval for a new machine of the vendor"


def _slope(calibration: Calibration, row: Measurement, state: str) -> tuple[tuple[float, float] | None, str]:
    """Slope of CLFLUSHOPT on a machine of the row's vendor and generation that nobody measured."""
    if row.instruction != between_machines.INSTRUCTION:
        return None, f"no slope of {row.instruction} is fitted"
    if not row.vendor:
        return None, "hardware not stated"
    seen = calibration.measured.predict(row.vendor, row.microarchitecture, state)
    return (seen.median / seen.factor, seen.median * seen.factor), f"slope of {state} lines, one machine more"


def _in_turn(calibration: Calibration, row: Measurement) -> tuple[tuple[float, float] | None, str]:
    interval, note = _slope(calibration, row, "absent")
    return interval, f"{note}; a few lines in turn cost at least that"


def _swept(calibration: Calibration, row: Measurement) -> tuple[tuple[float, float] | None, str]:
    return _slope(calibration, row, row.line_state)


def _range_time(calibration: Calibration, row: Measurement) -> tuple[tuple[float, float] | None, str]:
    """CLFLUSH is ordered against itself: a line costs at most its latency, on one socket or on two."""
    result = anchors.fit_line_time(calibration.evidence, "CLFLUSH")
    if result.covariance is None:
        return None, str(result.withheld)
    lines = stated(row.range_bytes, f"range of row {row.id}") / 64.0
    scatter = prediction_factor(result, numpy.zeros(len(result.theta)))
    near, factor = result.values["intel_s"], result.values["intel_two_socket_factor"]
    return (lines * near / scatter, lines * near * factor * scatter), "CLFLUSH on Intel: its latency per line"


def _range_bandwidth(calibration: Calibration, row: Measurement) -> tuple[tuple[float, float] | None, str]:
    interval, note = _slope(calibration, row, "absent")
    return (64.0 / interval[1], 64.0 / interval[0]) if interval else None, note


def _serial_procedure(calibration: Calibration, row: Measurement) -> tuple[tuple[float, float] | None, str]:
    """Haswell is the outlier: its caches are smaller than any catalogued part, so the walk predicts far less."""
    if row.id in anchors.ANCHORED:
        return None, "anchor of the cost of an empty cache: fitted, not checked"
    if row.id != "W03":
        return None, NO_CHECK
    smallest = min(dump.l3_bytes + dump.l2_bytes for dump in calibration.evidence.dumps.values())
    walks = [anchor.result.values["line_empty_s"] for anchor in calibration.anchors]
    one = smallest / 64.0 * max(walks) * CLAIM_FACTOR
    seen = per_flush_s(calibration.evidence, "W03", "W04")
    top = row.si - (seen - one) * stated(row.cpus, f"CPUs of row {row.id}") * 2
    return (0.0, top), f"{seen * 1e3:.0f} ms per flush against at most {one * 1e3:.1f} ms: the unexplained outlier"


ICE_LAKE_SP, ICE_LAKE_SP_SIGNATURE = "ice-lake-sp", "000606A6"
ICE_LAKE_SP_SOCKETS = 2
"""Row W11 tells 128 CPUs and no sockets; its part, the Platinum 8369B, has 32 cores."""


def _broadcast_flush(calibration: Calibration, row: Measurement) -> tuple[tuple[float, float] | None, str]:
    """A flush of whole caches on many CPUs: of Ice Lake-SP by the geometry of its dumps. That of a catalogued machine is an
    event, with the draws of its parameters; of any other part nothing is said.
    """
    if row.id in anchors.ANCHORED:
        return None, "anchor of the serial exponent and the SMT factor: fitted, not checked"
    if timed_machine(calibration.evidence, row) is not None:
        return None, BY_EVENT
    if row.microarchitecture != ICE_LAKE_SP:
        return None, NO_CHECK
    results = [anchor.result.values for anchor in calibration.anchors]
    dump = max(calibration.evidence.geometry(ICE_LAKE_SP_SIGNATURE), key=lambda d: d.l3_bytes)
    sockets = row.sockets or ICE_LAKE_SP_SOCKETS
    cores = stated(row.cpus, f"CPUs of row {row.id}") / (sockets * (dump.threads_per_core or 1))
    ends = [
        _domain_flush(
            llc_bytes_per_domain=dump.l3_bytes,
            l2_bytes_per_core=dump.l2_bytes,
            line_bytes=64,
            cores_flushing=cores,
            both_siblings=1,
            line_empty_s=walk,
            serial_exponent=exponent,
            smt_factor=factor,
        )
        for walk, exponent, factor in (
            (min(r["line_empty_s"] for r in results) / CLAIM_FACTOR, 0.0, 1.0),
            (max(r["line_empty_s"] for r in results) * CLAIM_FACTOR, 1.0, calibration.evidence.one("W10").si),
        )
    ]
    return (ends[0], ends[1]), "upper bound; Ice Lake-SP geometry, exponent 0 to 1"


def _domain_flush(**known: float) -> float:
    """Seconds; what is not given is that of Intel, whose rows cannot tell a full cache from an empty one."""
    intel = {
        "walk_start_s": 0.0,
        "line_valid_s": 0.0,
        "valid_exponent": 0.0,
        "valid_fraction": 1.0,
        "dirty_fraction": 0.0,
        "domain_writeback_bytes_per_s": 1.0,
    }
    return float(value("domain_flush", **{**intel, **known}))


def timed_machine(evidence: Evidence, row: Measurement) -> Machine | None:
    """The catalogued machine of which the row times a flush of whole caches on many CPUs, in no fit; None for any other row."""
    timed = row.observable == FLUSHED and row.id not in anchors.ANCHORED
    return catalogued(evidence.machines.values(), row) if timed else None


def catalogued(machines: Iterable[Machine], row: Measurement) -> Machine | None:
    """The machine that the hardware of a row is: the same vendor, part number and, where the row tells them, sockets.

    Virtual machines have no part number, so they are never meant.
    """
    words = set(PART.findall(row.hardware.upper()))
    for machine in machines:
        parts = set(PART.findall(machine.title.upper().partition(" (")[0]))
        same_host = machine.vendor == row.vendor and row.sockets in (None, machine.sockets)
        if parts and parts <= words and same_host:
            return machine
    return None


PART = re.compile(r"(?<![0-9A-Z])(?:W\d-)?\d{4}[0-9A-Z]*\+?")
"""The number of a server part, such as 7763, 5520+ or W9-3475X."""


def _smt_ratio(calibration: Calibration, row: Measurement) -> tuple[tuple[float, float], str]:
    fitted = calibration.anchors[0].result.values["smt_factor"]
    scatter = 1.2
    return (fitted / scatter, fitted * scatter), "W08/W09, to 20 % (the row says ~2x)"


def _loops(calibration: Calibration, row: Measurement) -> tuple[tuple[float, float] | None, str]:
    result = calibration.broadcast
    if result.covariance is None:
        return None, str(result.withheld)
    cpus = stated(row.cpus, f"CPUs of row {row.id}")
    round_s = float(
        value(
            "broadcast",
            target_cpus=cpus - 1,
            **{name: result.values[name] for name in ROUND},
        )
    )
    factor = prediction_factor(result, numpy.zeros(2))
    rate = cpus / round_s
    return (rate / factor, rate * factor), "linear fit"


def _one_round(calibration: Calibration, row: Measurement) -> tuple[tuple[float, float] | None, str]:
    """A host round against the fitted line with factor 3 either way."""
    if row.cpus is None:
        return None, "CPU count not stated"
    values = calibration.broadcast.values
    targets = max(1, row.cpus - 1)
    middle = values["broadcast_start_s"] + values["broadcast_per_cpu_s"] * targets
    return (middle / CLAIM_FACTOR, middle * CLAIM_FACTOR), "fitted line, factor 3 either way"


def _rule(calibration: Calibration, row: Measurement) -> tuple[tuple[float, float] | None, str]:
    """A rule of thumb for k CPUs: the loops of the fit hold mmap_lock too, so their line refutes only what lies
    above.
    """
    interval, note = _one_round(calibration, row)
    return (0.0, interval[1]) if interval else None, f"{note}; it holds contention for mmap_lock: an upper bound"


def _virtual_round(calibration: Calibration, row: Measurement) -> tuple[None, str]:
    return None, "interrupts between vCPUs, whose host must schedule each: no formula is of them"


def _flush_share(calibration: Calibration, row: Measurement) -> tuple[tuple[float, float], str]:
    rows = [calibration.evidence.one(name).si for name in ("W01", "W02", "W03", "W04")]
    shares = sorted((1 - rows[1] / rows[0], 1 - rows[3] / rows[2]))
    return (shares[0] - 0.005, shares[1] + 0.005), "(with - without) / with of rows W01 to W04, rounded to 1 %"


def _one_cpu_walk(calibration: Calibration) -> tuple[float, float]:
    """One WBINVD over the smallest and the largest catalogued last-level cache, seconds."""
    sizes = [dump.l3_bytes + dump.l2_bytes for dump in calibration.evidence.dumps.values()]
    walks = [anchor.result.values["line_empty_s"] for anchor in calibration.anchors]
    return min(sizes) / 64 * min(walks) / CLAIM_FACTOR, max(sizes) / 64 * max(walks) * CLAIM_FACTOR


def _stall(calibration: Calibration, row: Measurement) -> tuple[tuple[float, float], str]:
    return _one_cpu_walk(calibration), "one WBINVD on the smallest to the largest catalogued cache"


def _switch(calibration: Calibration, row: Measurement) -> tuple[tuple[float, float], str]:
    """Range at which flushing its lines costs as much as one WBINVD, over the catalogued Intel geometry."""
    walk = _one_cpu_walk(calibration)
    latency = anchors.fit_line_time(calibration.evidence, "CLFLUSH").values
    dear = latency["intel_s"] * latency["intel_two_socket_factor"]
    cheap = calibration.measured.predict("intel", None, "absent").median
    ends = [
        float(value("break_even_range", whole_cache_s=whole, range_start_s=0, line_s=line, line_bytes=64))
        for whole, line in ((walk[0], dear), (walk[1], cheap))
    ]
    return (ends[0], ends[1]), "break-even with one WBINVD, from CLFLUSH on two sockets to CLFLUSHOPT of absent lines"


def _guest_total(calibration: Calibration, row: Measurement) -> tuple[tuple[float, float], str]:
    pages = stated(row.range_bytes, f"guest size of row {row.id}") / PAGE_BYTES
    middle = pages * calibration.evidence.one("S01").si
    return (middle / CLAIM_FACTOR, middle * CLAIM_FACTOR), "4 KiB pages of the guest times row S01, factor 3 either way"


def _geometry(calibration: Calibration, row: Measurement) -> tuple[tuple[float, float] | None, str]:
    """Cache sizes against the CPUID dumps of the same model."""
    column = CACHE_LEVELS[row.cache_level]
    dumps = [dump for dump in calibration.evidence.dumps.values() if dump.dump in row.source_locator]
    sizes = {getattr(dump, column) * 1024.0 for dump in dumps}
    return ((min(sizes), max(sizes)), "catalogued geometry, from the CPUID dump") if sizes else (None, "no such dump")


def _llc_per_socket(calibration: Calibration, row: Measurement) -> tuple[tuple[float, float] | None, str]:
    """Last-level cache of a socket against the catalogued machine of that microarchitecture."""
    sizes = [
        machine.llc_bytes_per_domain * machine.domains_per_socket
        for machine in calibration.evidence.machines.values()
        if machine.microarchitecture == row.microarchitecture
    ]
    return ((min(sizes), max(sizes)), "catalogued machine") if sizes else (None, "no such machine")


PREDICTORS: dict[str, Callable[[Calibration, Measurement], tuple[tuple[float, float] | None, str]]] = {
    "geometry.cache_bytes": _geometry,
    "geometry.llc_per_socket_bytes": _llc_per_socket,
    "range_flush.same_line_s": _same_line,
    "range_flush.in_turn_s": _in_turn,
    "range_flush.slope_s": _swept,
    "range_flush.range_time_s": _range_time,
    "range_flush.bandwidth_bytes_per_s": _range_bandwidth,
    "whole_cache.procedure_with_flush_s": _serial_procedure,
    FLUSHED: _broadcast_flush,
    "whole_cache.smt_ratio": _smt_ratio,
    "whole_cache.flush_share_fraction": _flush_share,
    "whole_cache.stall_s": _stall,
    "threshold.switch_bytes": _switch,
    "gmem_release.guest_total_s": _guest_total,
    "broadcast.loops_per_s": _loops,
    "broadcast.total_s": _one_round,
    "broadcast.rule_s": _rule,
    "broadcast.virtual_s": _virtual_round,
}
