"""The rules by which a machine gets its parameters: each as a distribution, with sources and the EXTRAPOLATED mark.

Measured where this machine or its twin was measured; else a prior built by a named rule from rows that bound it, marked
as extrapolated; else missing, and the gap is named.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import cast

from costmodel.calibration.anchors import (
    Anchor,
    Bounded,
    bounded,
    dearest_on_two_sockets,
    fit_broadcast,
    fit_line_time,
    whole_cache_anchors,
)
from costmodel.calibration.between_machines import BANDWIDTHS, RANGE_FLUSH, Measured
from costmodel.calibration.fit import Fit, Problem
from costmodel.calibration.parameters import Distribution, Parameter, ParameterSet, fixed, lognormal, uniform
from costmodel.errors import MissingNumber, stated
from costmodel.evidence.records import RENDEZVOUS as LOGS
from costmodel.evidence.records import Machine, Rendezvous
from costmodel.evidence.store import Evidence

WALK_FACTOR = 3.0
"""Width of the walk-time prior, either way."""
VENDOR_FACTOR = 3.0
"""How much dearer than Intel's another vendor's walk may be before its own evidence is looked at."""
CLAIM_FACTOR = 3.0
"""A figure that is only claimed bounds a prior of this factor either way."""
GOLDEN_COVE = ("sapphire-rapids", "emerald-rapids")


class Calibration:
    """The fits that all machines share, each done when first asked for; `without_hosts` inform no other machine."""

    def __init__(self, evidence: Evidence, *, without_hosts: tuple[str, ...] = ()) -> None:
        self.evidence = evidence
        self.without_hosts = without_hosts

    @cached_property
    def anchors(self) -> list[Anchor]:
        return whole_cache_anchors(self.evidence)

    @cached_property
    def latency(self) -> Fit:
        return fit_line_time(self.evidence)

    @cached_property
    def rendezvous(self) -> Bounded:
        """What all usable boots and resumes leave of the prior."""
        return self._bounded(tuple(self.evidence.rendezvous.values()))

    @cached_property
    def servers(self) -> Bounded:
        """What those of EPYC alone leave: a rival, since nobody knows whether a desktop part is like a server."""
        return self._bounded(tuple(row for row in self.evidence.rendezvous.values() if "EPYC" in row.cpu))

    def _bounded(self, rows: tuple[Rendezvous, ...]) -> Bounded:
        return bounded(rows, anchor_s(self), WALK_FACTOR * VENDOR_FACTOR, *self.measured.scatter("clean"))

    @cached_property
    def measured(self) -> Measured:
        return Measured(self.evidence, self.without_hosts)

    @cached_property
    def broadcast(self) -> Fit:
        return fit_broadcast(self.evidence)


def catalog_parameters(calibration: Calibration, machine: Machine) -> ParameterSet:
    """Every parameter of `machine` from the shared fits."""
    builders = (_walk, _sharing, _dirt, _bandwidth, _lines, _domain, _broadcast, _snp, _tdx)
    found: dict[str, Parameter] = {}
    missing: dict[str, str] = {}
    for build in builders:
        try:
            for parameter in build(calibration, machine):
                found[parameter.name] = parameter
        except MissingNumber as gap:
            for name in PROVIDES[build]:
                missing[name] = gap.gap
    return ParameterSet(machine=machine.id, parameters=found, missing=missing)


def _parameter(
    calibration: Calibration,
    name: str,
    distribution: Distribution,
    rule: str,
    sources: tuple[str, ...],
    *,
    extrapolated: bool = True,
) -> Parameter:
    known = calibration.evidence.parameter(name)
    return Parameter(
        name=name,
        unit=known.unit,
        description=known.description,
        distribution=distribution,
        rule=rule,
        sources=sources,
        extrapolated=extrapolated,
        next_measurement=known.next_measurement,
        share=known.share,
    )


def _require(evidence: Evidence, *ids: str) -> None:
    for row in ids:
        if row not in evidence.measurements:
            raise MissingNumber(f"row {row} of data/measurements.csv is missing")


def _walk(calibration: Calibration, machine: Machine) -> list[Parameter]:
    _require(calibration.evidence, "W01", "W02", "W08", "W09")
    return [
        *(_amd_walk if machine.vendor == "amd" else _intel_walk)(calibration),
        _parameter(
            calibration,
            "valid_exponent",
            fixed(0.0),
            "a line that a WBINVD has dropped is valid for no other core; the logs cannot tell, and for WBNOINVD 1 "
            "is a rival",
            (),
        ),
        _parameter(
            calibration,
            "walk_start_s",
            fixed(0.0),
            "the evidence cannot tell it from the walk (rank test)",
            (),
            extrapolated=False,
        ),
    ]


def _intel_walk(calibration: Calibration) -> tuple[Parameter, ...]:
    values = [anchor.result.values["line_empty_s"] for anchor in calibration.anchors]
    return (
        _parameter(
            calibration,
            "line_empty_s",
            lognormal(anchor_s(calibration), WALK_FACTOR),
            f"Skylake-SP anchor, mostly empty caches: {min(values) * 1e9:.1f} to {max(values) * 1e9:.1f} ns/line over "
            "the open geometry; log-normal, factor 3 either way",
            ("W01", "W02"),
        ),
        _parameter(
            calibration,
            "line_valid_s",
            fixed(0.0),
            "Intel's rows cannot tell a full cache from an empty one: the exponent is fitted to caches in use (W08, "
            "W09)",
            ("W08", "W09"),
        ),
    )


def _amd_walk(calibration: Calibration) -> tuple[Parameter, ...]:
    found = calibration.rendezvous
    if not found.used:
        raise MissingNumber("no boot or resume of an AMD machine in data/kvm/amd_rendezvous.csv bounds WBINVD")
    before = f"no EPYC timing is public: log-uniform, before the logs {_nanoseconds(found.before)} ns/line"
    logs = (
        f"{len(found.used)} boots and resumes of Zen machines bound it from above, its median is the prior's; one more"
    )
    alone = f"{before}; {len(calibration.servers.used)} boots and resumes of EPYC alone bound it from above; one more"
    return (
        _parameter(calibration, "line_empty_servers_s", calibration.servers.empty, alone, ("W01", "W02", LOGS)),
        _parameter(calibration, "line_valid_servers_s", calibration.servers.valid, alone, ("W01", "W02", LOGS)),
        _parameter(calibration, "line_empty_s", found.empty, f"{before}; {logs}", ("W01", "W02", LOGS)),
        _parameter(
            calibration,
            "line_valid_s",
            found.valid,
            f"{before}; {logs}; only boots bound it, where one domain holds what was touched",
            ("W01", "W02", LOGS),
        ),
    )


def _nanoseconds(spread: Distribution) -> str:
    return f"{spread.median * 1e9:.2g} [{spread.low * 1e9:.2g}, {spread.high * 1e9:.2g}]"


def anchor_s(calibration: Calibration) -> float:
    """Skylake-SP's cost of one line of capacity: the middle over the open geometry, in seconds."""
    values = [anchor.result.values["line_empty_s"] for anchor in calibration.anchors]
    return math.sqrt(min(values) * max(values))


def _sharing(calibration: Calibration, machine: Machine) -> list[Parameter]:
    _require(calibration.evidence, "W01", "W02", "W08", "W09", "W10")
    results = [anchor.result.values for anchor in calibration.anchors]
    exponents = [values["serial_exponent"] for values in results]
    smt = sorted((results[0]["smt_factor"], calibration.evidence.one("W10").si))
    same_core = machine.microarchitecture in GOLDEN_COVE
    return [
        _parameter(
            calibration,
            "serial_exponent",
            uniform(min(exponents), max(exponents)) if same_core else uniform(0.0, 1.0),
            f"Sapphire Rapids anchor: {min(exponents):.2f} to {max(exponents):.2f} over the open geometry"
            if same_core
            else "unpublished for this family: uniform on [0, 1]",
            ("W01", "W02", "W08", "W09") if same_core else (),
        ),
        _parameter(
            calibration,
            "smt_factor",
            fixed(1.0) if machine.threads_per_core == 1 else uniform(*smt) if same_core else uniform(1.0, max(smt)),
            "no SMT siblings"
            if machine.threads_per_core == 1
            else f"Sapphire Rapids: {smt[0]:.2f} (W08/W09) to {smt[1]:.2f} (W10)"
            if same_core
            else f"between free and the {max(smt):.1f}x seen on Sapphire Rapids",
            () if machine.threads_per_core == 1 else ("W08", "W09", "W10"),
            extrapolated=machine.threads_per_core > 1 and not same_core,
        ),
    ]


SHARES = ("valid_fraction", "dirty_fraction", "traffic_fraction", "memory_bound_fraction", "reused_fraction")
"""Unpublished shares, of which anything between none and all is as likely."""


def _dirt(calibration: Calibration, machine: Machine) -> list[Parameter]:
    rules = {
        **dict.fromkeys(SHARES, "uniform on [0, 1]"),
        "presence_position": "uniform between the cold and the hot end",
    }
    return [
        _parameter(calibration, name, uniform(0.0, 1.0), f"unpublished: {rule}", ()) for name, rule in rules.items()
    ]


def _bandwidth(calibration: Calibration, machine: Machine) -> list[Parameter]:
    peak = machine.dram_peak_bytes_per_s_per_socket
    if peak is None:
        reason = machine.missing.get("dram_peak_bytes_per_s_per_socket", "no source")
        raise MissingNumber(f"memory bandwidth of {machine.title}: {reason}")
    practice = calibration.evidence.rows(observable="bandwidth.dram_practice_bytes_per_s")
    if not practice:
        raise MissingNumber("no row of bandwidth.dram_practice_bytes_per_s in data/measurements.csv")
    shares = [row.si / stated(row.high_si, f"upper end of row {row.id}") for row in practice]
    ids = (*machine.provenance.get("dram_peak_bytes_per_s_per_socket", ()), *(row.id for row in practice))
    return [
        _parameter(
            calibration,
            "writeback_bytes_per_s",
            uniform(peak * min(shares) / 2, peak * min(shares)),
            f"peak times the lowest practice share {min(shares):.2f}; writes lie below reads: half of it to all of it",
            ids,
        ),
        _parameter(
            calibration,
            "read_bytes_per_s",
            uniform(peak * min(shares), peak * max(shares)),
            f"peak times the practice share {min(shares):.2f} to {max(shares):.2f}",
            ids,
        ),
    ]


PARAMETER_OF = {
    "start": "range_start_s",
    "dirty": "line_dirty_s",
    "clean": "line_clean_s",
    "absent": "line_absent_s",
    "domain_writeback": "domain_writeback_bytes_per_s",
    "cpu_read": "cpu_read_bytes_per_s",
}
"""The parameter of each quantity that measured machines tell of one that nobody measured."""


def _lines(calibration: Calibration, machine: Machine) -> list[Parameter]:
    return [*(_told(calibration, machine, quantity) for quantity in RANGE_FLUSH), _remote(calibration, machine)]


def _domain(calibration: Calibration, machine: Machine) -> list[Parameter]:
    return [_told(calibration, machine, quantity) for quantity in BANDWIDTHS]


def _told(calibration: Calibration, machine: Machine, quantity: str) -> Parameter:
    """From the measured machines of the generation, else of the vendor, for one machine more."""
    seen = calibration.measured.predict(machine.vendor, machine.microarchitecture, quantity)
    return _parameter(
        calibration,
        PARAMETER_OF[quantity],
        lognormal(seen.median, seen.factor),
        f"{len(seen.used)} measured machine(s) of {seen.whose}; interval for one machine more, Student t with "
        f"{seen.freedom} degrees of freedom between machines",
        tuple(source for one in seen.used for source in one.sources),
    )


def _remote(calibration: Calibration, machine: Machine) -> Parameter:
    """Nobody timed a range that the other socket's memory holds; the latency of one flush bounds the effect."""
    latency = calibration.latency
    most = dearest_on_two_sockets(latency, machine.vendor)
    alone = machine.sockets == 1
    return _parameter(
        calibration,
        "remote_factor",
        fixed(1.0) if alone else uniform(1.0, most),
        "one socket"
        if alone
        else f"between no effect and {most:.1f}x: the dearest latency of one flush on two sockets over that on one",
        () if alone else cast(Problem, latency.problem).ids,
        extrapolated=not alone,
    )


def _broadcast(calibration: Calibration, machine: Machine) -> list[Parameter]:
    result = calibration.broadcast
    same = machine.microarchitecture == "zen3"
    rule = "linear fit to the shoot-down loop of a 72-CPU Milan (contains mmap_lock contention: upper bound)"
    ids = cast(Problem, result.problem).ids
    return [
        _parameter(
            calibration,
            "broadcast_start_s",
            lognormal(result.values["broadcast_start_s"], CLAIM_FACTOR),
            rule + "; factor 3 either way",
            ids,
            extrapolated=not same,
        ),
        _parameter(
            calibration,
            "broadcast_per_cpu_s",
            lognormal(result.values["broadcast_per_cpu_s"], CLAIM_FACTOR),
            rule + "; factor 3 either way",
            ids,
            extrapolated=not same,
        ),
    ]


def _snp(calibration: Calibration, machine: Machine) -> list[Parameter]:
    if not machine.features.get("sev_snp"):
        raise MissingNumber(f"{machine.title} has no reverse map table, so no RMPUPDATE")
    _require(calibration.evidence, "S01")
    return [
        _parameter(
            calibration,
            "rmpupdate_s",
            lognormal(calibration.evidence.one("S01").si, CLAIM_FACTOR),
            "AMD's claim of about 1 us bounds a log-normal, factor 3 either way",
            ("S01",),
        )
    ]


def _tdx(calibration: Calibration, machine: Machine) -> list[Parameter]:
    raise MissingNumber("no timing of TDH.PHYMEM.PAGE.WBINVD or TDH.PHYMEM.CACHE.WB is public")


PROVIDES = {
    _walk: ("line_empty_s", "line_valid_s", "valid_exponent", "walk_start_s"),
    _sharing: ("serial_exponent", "smt_factor"),
    _dirt: (),
    _bandwidth: ("writeback_bytes_per_s", "read_bytes_per_s"),
    _lines: (*(PARAMETER_OF[quantity] for quantity in RANGE_FLUSH), "remote_factor"),
    _domain: tuple(PARAMETER_OF[quantity] for quantity in BANDWIDTHS),
    _broadcast: ("broadcast_start_s", "broadcast_per_cpu_s"),
    _snp: ("rmpupdate_s",),
    _tdx: ("tdx_page_wbinvd_s", "tdx_cache_wb_s"),
}
