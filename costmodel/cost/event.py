"""Cost of one event: from a strategy to the formula, the CPUs and the lines, over joint draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import numpy

from costmodel.calibration.parameters import WALK
from costmodel.cost.draws import Case, Draws
from costmodel.cost.scenario import Scenario
from costmodel.errors import MissingNumber
from costmodel.evidence.records import PAGE_BYTES, Machine
from costmodel.formulas.compiled import value
from costmodel.kvm.catalog import GAPS, GUESTS, STRATEGIES, TRIGGERS, Strategy

# Cost of one event: time, CPU time stolen and guest stall of a whole-cache or a range flush, over joint draws.
#
# Every function takes scalars or arrays that broadcast with the draws and returns arrays in seconds.

NEVER = 1e-12
"""Keeps a share at its end (a sweep reaches none and all) from a division by zero."""


@dataclass(frozen=True)
class EventCost:
    """`time_s`: latency of the event; `stolen_s`: CPU time it takes from the host; `irq_off_s`: longest time one CPU
    has interrupts off; `guest_s`: time each vCPU of the guest loses (a lower bound: the refill is only a floor);
    `neighbours_s`: the part of `stolen_s` that CPUs lose without standing still, to write-back and refill.
    """

    time_s: numpy.ndarray
    stolen_s: numpy.ndarray
    irq_off_s: numpy.ndarray
    guest_s: numpy.ndarray
    neighbours_s: numpy.ndarray


@dataclass(frozen=True)
class Spread:
    """How the CPUs that flush lie over the last-level-cache domains.

    `packed` fills one domain after the other, `over_domains` deals them out evenly.
    """

    cores_per_domain: numpy.ndarray
    both_siblings: numpy.ndarray
    domains_per_socket: numpy.ndarray
    sockets: numpy.ndarray

    @classmethod
    def of(cls, machine: Machine, cpus: numpy.ndarray | float, *, packed: bool) -> Spread:
        return cls.packed(machine, cpus) if packed else cls.over_domains(machine, cpus)

    @classmethod
    def packed(cls, machine: Machine, cpus: numpy.ndarray | float) -> Spread:
        in_domain = numpy.minimum(cpus, machine.cpus_per_domain)
        touched = numpy.ceil(cpus / machine.cpus_per_domain)
        return cls._of(machine, in_domain, touched, numpy.ceil(touched / machine.domains_per_socket))

    @classmethod
    def over_domains(cls, machine: Machine, cpus: numpy.ndarray | float) -> Spread:
        all_domains = machine.domains_per_socket * machine.sockets
        touched = numpy.minimum(cpus, all_domains)
        sockets = numpy.minimum(touched, machine.sockets)
        return cls._of(machine, numpy.ceil(cpus / all_domains), numpy.ceil(touched / machine.sockets), sockets)

    @classmethod
    def _of(cls, machine: Machine, in_domain: numpy.ndarray, domains: numpy.ndarray, sockets: numpy.ndarray) -> Spread:
        return cls(
            cores_per_domain=numpy.minimum(in_domain, machine.cores_per_domain),
            both_siblings=(in_domain > machine.cores_per_domain).astype(float),
            domains_per_socket=numpy.minimum(domains, machine.domains_per_socket),
            sockets=numpy.minimum(sockets, machine.sockets),
        )


def whole_cache(
    draws: Draws,
    machine: Machine,
    cpus: numpy.ndarray | float,
    *,
    invalidates: bool,
    packed: bool = True,
) -> EventCost:
    """WBINVD (`invalidates`) or WBNOINVD on `cpus` CPUs, sent by broadcast."""
    spread = Spread.of(machine, cpus, packed=packed)
    llc = machine.llc_bytes_per_domain
    geometry = {
        "llc_bytes_per_domain": llc,
        "l2_bytes_per_core": machine.l2_bytes_per_core,
        "cores_flushing": spread.cores_per_domain,
        "valid_fraction": draws["valid_fraction"],
        "dirty_fraction": draws["dirty_fraction"],
    }
    domain_s = value(
        "domain_flush",
        line_bytes=machine.line_bytes,
        both_siblings=spread.both_siblings,
        domain_writeback_bytes_per_s=domain_writeback(draws, machine),
        **{name: draws[name] for name in WALK},
        **geometry,
    )
    flush_s = value(
        "whole_cache_flush",
        domain_flush_s=domain_s,
        domains_per_socket=spread.domains_per_socket,
        writeback_bytes_per_s=draws["writeback_bytes_per_s"],
        **geometry,
    )
    broadcast_s = value(
        "broadcast",
        broadcast_start_s=draws["broadcast_start_s"],
        broadcast_per_cpu_s=draws["broadcast_per_cpu_s"],
        target_cpus=cpus - 1.0,
    )
    socket_bytes = (
        spread.domains_per_socket
        * draws["valid_fraction"]
        * (llc + spread.cores_per_domain * machine.l2_bytes_per_core)
    )
    stolen_s = value(
        "stolen_whole_cache",
        cpus_stopped=cpus,
        flush_s=flush_s,
        broadcast_s=broadcast_s,
        cpus_outside=cpus_outside(machine, spread, cpus),
        memory_bound_fraction=draws["memory_bound_fraction"],
        written_bytes_per_socket=draws["dirty_fraction"] * socket_bytes,
        writeback_bytes_per_s=draws["writeback_bytes_per_s"],
        reused_fraction=draws["reused_fraction"],
        evicted_bytes=invalidates * spread.sockets * socket_bytes,
        cpu_read_bytes_per_s=draws["cpu_read_bytes_per_s"],
    )
    guest_s = flush_s
    if invalidates:
        guest_s = flush_s + value(
            "refill_floor",
            evicted_bytes=socket_bytes,
            reused_fraction=draws["reused_fraction"],
            read_bytes_per_s=draws["read_bytes_per_s"],
        )
    stopped_s = cpus * flush_s + broadcast_s
    return EventCost(flush_s + broadcast_s, stolen_s, flush_s, guest_s, numpy.maximum(0.0, stolen_s - stopped_s))


def domain_writeback(draws: Draws, machine: Machine) -> numpy.ndarray:
    """Write-back bandwidth of one domain: its own limit, at most the socket's; the socket's where it is the only
    one.
    """
    socket = draws["writeback_bytes_per_s"]
    return socket if machine.domains_per_socket == 1 else numpy.minimum(draws["domain_writeback_bytes_per_s"], socket)


def cpus_outside(machine: Machine, spread: Spread, cpus: numpy.ndarray | float) -> numpy.ndarray:
    """CPUs that do not flush themselves, on the sockets on which others do."""
    on_them = spread.sockets * machine.logical_cpus / machine.sockets
    return numpy.maximum(0.0, on_them - cpus)


def at_rate(draws: Draws, machine: Machine, rate_per_s: numpy.ndarray) -> Draws:
    """The draws with the dirty share that a flush finds when it comes `rate_per_s` times a second (n,).

    Each flush leaves the caches clean; the software of the domain makes lines dirty again. Without flushes as many
    lines become dirty as its memory traffic writes back, F per second, so that lines change at F / (d (1 - d)) with d
    the share then dirty. That a WBINVD leaves caches empty too is left out: what it finds valid is an upper bound.
    """
    dirty = draws["dirty_fraction"]
    written = draws["traffic_fraction"] * domain_writeback(draws, machine) / machine.line_bytes
    found = value(
        "dirty_at_flush",
        dirty_lines_per_s=written / numpy.maximum(dirty * (1 - dirty), NEVER),
        lines=(machine.llc_bytes_per_domain + machine.l2_bytes_per_core) / machine.line_bytes,
        rate_per_s=rate_per_s,
    )
    return draws.with_values(dirty_fraction=dirty * found)


def present_fraction(
    draws: Draws, machine: Machine, resident_bytes: float, residency: str, range_bytes: numpy.ndarray | float
) -> numpy.ndarray:
    """Share of the range that is cached: cold at most cache / resident bytes, hot all, unknown log-uniform between.

    Never more than the caches hold.
    """
    known = present_arguments(draws, machine, resident_bytes, residency, range_bytes)
    if known is None:
        return numpy.broadcast_to(
            cached_fraction(machine, range_bytes), numpy.broadcast_shapes((draws.n,), numpy.shape(range_bytes))
        )
    return value(known["formula"], **known["arguments"])


def cached_fraction(machine: Machine, range_bytes: numpy.ndarray | float) -> numpy.ndarray:
    """Share of the range that all caches together can hold."""
    return numpy.minimum(1.0, machine.cache_bytes / numpy.maximum(range_bytes, machine.line_bytes))


class Term(TypedDict):
    """A formula and what it is evaluated at."""

    formula: str
    arguments: dict[str, object]


def present_arguments(
    draws: Draws, machine: Machine, resident_bytes: float, residency: str, range_bytes: numpy.ndarray | float
) -> Term | None:
    """Formula of the present share and its arguments; None for a hot range, which is all there as far as it fits."""
    if residency == "hot":
        return None
    return {
        "formula": "present_cold" if residency == "cold" else "present_between",
        "arguments": {
            "cold_fraction": numpy.minimum(1.0, machine.cache_bytes / resident_bytes),
            "presence_position": draws["presence_position"],
            "cached_fraction": cached_fraction(machine, range_bytes),
        },
    }


def range_flush(
    draws: Draws, machine: Machine, range_bytes: numpy.ndarray | float, present: numpy.ndarray, vcpus: int
) -> EventCost:
    """CLFLUSHOPT over a range on one CPU, one fence pair."""
    lines = value("range_lines", range_bytes=range_bytes, offset_bytes=0.0, line_bytes=machine.line_bytes)
    time_s = value(
        "range_flush",
        range_start_s=draws["range_start_s"],
        remote_factor=draws["remote_factor"],
        lines=lines,
        present_fraction=present,
        line_dirty_s=draws["line_dirty_s"],
        line_clean_s=draws["line_clean_s"],
        line_absent_s=draws["line_absent_s"],
        line_bytes=machine.line_bytes,
        dirty_fraction=draws["dirty_fraction"],
        writeback_bytes_per_s=draws["writeback_bytes_per_s"],
    )
    return _on_one_cpu(draws, time_s, range_bytes, present, vcpus)


def paged_flush(
    draws: Draws,
    machine: Machine,
    range_bytes: numpy.ndarray | float,
    present: numpy.ndarray,
    vcpus: int,
    *,
    page_bytes: float = PAGE_BYTES,
) -> EventCost:
    """Range flush page by page, each page (or folio) with its own fence pair."""
    page_s = range_flush(draws, machine, page_bytes, present, vcpus).time_s
    time_s = value("page_chain", pages=pieces(range_bytes, page_bytes), page_operation_s=page_s)
    return _on_one_cpu(draws, time_s, range_bytes, present, vcpus)


def pieces(range_bytes: numpy.ndarray | float, piece_bytes: float) -> numpy.ndarray:
    """Pages or folios of `piece_bytes` that a range begins."""
    return numpy.ceil(range_bytes / piece_bytes)


def each_folio(
    draws: Draws,
    machine: Machine,
    cpus: numpy.ndarray | float,
    folios: numpy.ndarray | float,
    *,
    invalidates: bool,
    packed: bool = True,
) -> EventCost:
    """A whole-cache flush for each of `folios` folios, one after the other: all but the first find the few lines that
    became dirty since the one before.
    """
    how = {"invalidates": invalidates, "packed": packed}
    first = whole_cache(draws, machine, cpus, **how)
    if numpy.all(folios == 1):
        return first
    again = whole_cache(at_rate(draws, machine, 1.0 / first.time_s), machine, cpus, **how)
    parts = (
        getattr(first, part) + (folios - 1) * getattr(again, part)
        for part in ("time_s", "stolen_s", "guest_s", "neighbours_s")
    )
    time_s, stolen_s, guest_s, neighbours_s = parts
    return EventCost(time_s, stolen_s, first.irq_off_s, guest_s, neighbours_s)


def with_rmpupdate(draws: Draws, cost: EventCost, entries: numpy.ndarray, vcpus: int) -> EventCost:
    """`cost` and one RMPUPDATE for each RMP entry that goes back to the host, by the thread that releases it.

    PSMASH, once for each 2 MiB entry that is released page by page, is left out: no source times it.
    """
    time_s = value("gmem_release", pages=entries, rmpupdate_s=draws["rmpupdate_s"], page_flush_s=0.0)
    return EventCost(
        cost.time_s + time_s,
        cost.stolen_s + time_s,
        cost.irq_off_s,
        cost.guest_s + time_s / vcpus,
        cost.neighbours_s,
    )


def _on_one_cpu(
    draws: Draws, time_s: numpy.ndarray, range_bytes: numpy.ndarray | float, present: numpy.ndarray, vcpus: int
) -> EventCost:
    evicted = {"evicted_bytes": present * range_bytes, "reused_fraction": draws["reused_fraction"]}
    refill_s = value("refill_floor", read_bytes_per_s=draws["read_bytes_per_s"], **evicted)
    stolen_s = value("stolen_range", time_s=time_s, cpu_read_bytes_per_s=draws["cpu_read_bytes_per_s"], **evicted)
    none = numpy.zeros_like(time_s)
    return EventCost(time_s, stolen_s, none, (time_s + refill_s) / vcpus, none)


def nothing(draws: Draws) -> EventCost:
    """No flush: no cost."""
    zero = numpy.zeros(draws.n)
    return EventCost(zero, zero, zero, zero, zero)


# From a strategy to its event cost: which formula, over which CPUs or lines. Refuses what no source times.


def cpus_flushed(strategy: Strategy, scenario: Scenario) -> float:
    """CPUs that execute the flush: all online, or those that ran the guest."""
    return float(scenario.machine.logical_cpus) if strategy.scope == "all_cpus" else scenario.cpus_that_ran


def invalidates(strategy: Strategy, scenario: Scenario) -> bool:
    """Whether a whole-cache flush drops the lines too: WBINVD does, and WBNOINVD where the CPU has only the former."""
    return executed(strategy, scenario).instruction == "wbinvd"


def executed(strategy: Strategy, scenario: Scenario) -> Strategy:
    """The strategy as the machine's CPUs carry it out: the kernel executes WBINVD where they lack WBNOINVD."""
    if strategy.instruction != "wbnoinvd" or scenario.machine.features.get("wbnoinvd", False):
        return strategy
    return next(s for s in STRATEGIES.values() if (s.instruction, s.scope) == ("wbinvd", strategy.scope))


def folios(trigger: str, scenario: Scenario, range_bytes: numpy.ndarray | float) -> numpy.ndarray | float:
    """Calls of the hook in one event: one for each folio of guest_memfd, else one."""
    if not TRIGGERS[trigger].per_folio:
        return 1.0
    return pieces(range_bytes, scenario.folio_bytes)


def leaves_rmp(trigger: str, scenario: Scenario) -> bool:
    """Whether RMPUPDATE is due at the trigger: pages of an RMP-enforced guest go back to the host."""
    return TRIGGERS[trigger].leaves_rmp and GUESTS[scenario.guest].has("rmp_enforced")


def left_out(trigger: str, scenario: Scenario) -> str:
    """What no source times and is small beside the rest, so that totals are given without it; empty where nothing
    is.
    """
    return GAPS["psmash"].text if leaves_rmp(trigger, scenario) and scenario.folio_bytes == PAGE_BYTES else ""


def event_cost(case: Case, strategy: Strategy, range_bytes: numpy.ndarray | float) -> EventCost:
    """Cost of one event of `trigger` with a range of `range_bytes`. Raises MissingNumber with the gap."""
    cost = _flush(case, strategy, range_bytes)
    if not leaves_rmp(case.trigger, case.scenario):
        return cost
    return with_rmpupdate(case.draws, cost, pieces(range_bytes, case.scenario.folio_bytes), case.scenario.vcpus)


def _flush(case: Case, strategy: Strategy, range_bytes: numpy.ndarray | float) -> EventCost:
    if strategy.instruction in ("wbinvd", "wbnoinvd") and strategy.scope in ("all_cpus", "mask"):
        return _whole(case, strategy, range_bytes)
    if strategy.instruction == "clflushopt":
        return _range(case, strategy, range_bytes)
    if strategy.instruction == "none":
        return nothing(case.draws)
    raise MissingNumber(GAPS[strategy.instruction if strategy.instruction in GAPS else "other"].text)


def _whole(case: Case, strategy: Strategy, range_bytes: numpy.ndarray | float) -> EventCost:
    there, machine = case.scenario, case.scenario.machine
    cpus, drops, packed = cpus_flushed(strategy, there), invalidates(strategy, there), there.packed
    calls = folios(case.trigger, there, range_bytes)

    def flush(draws: Draws) -> EventCost:
        return each_folio(draws, machine, cpus, calls, invalidates=drops, packed=packed)

    return case.draws.once(flush, machine, "whole", cpus, calls, drops, packed)


def _range(case: Case, strategy: Strategy, range_bytes: numpy.ndarray | float) -> EventCost:
    there, machine, vcpus = case.scenario, case.scenario.machine, case.scenario.vcpus
    load, piece, resident_bytes = there.shape(case.trigger), piece_bytes(strategy, there), there.resident_bytes
    residency = load.residency if load else "unknown"

    def flush(draws: Draws) -> EventCost:
        present = present_fraction(draws, machine, resident_bytes, residency, range_bytes)
        if piece:
            return paged_flush(draws, machine, range_bytes, present, vcpus, page_bytes=piece)
        return range_flush(draws, machine, range_bytes, present, vcpus)

    return case.draws.once(flush, machine, "range", range_bytes, resident_bytes, residency, piece, vcpus)


def piece_bytes(strategy: Strategy, scenario: Scenario) -> float | None:
    """What a range flush takes between two fences: a page, a folio, or None where it takes the whole range."""
    return {"gmem": scenario.folio_bytes, "pinned": PAGE_BYTES}.get(strategy.address_source or "")


def mean_cost(case: Case, strategy: Strategy) -> EventCost:
    """Mean cost over the trigger's range lengths (per draw)."""
    return _mean(case, _by_range(case, strategy))


def mixed_cost(case: Case, strategy: Strategy) -> tuple[EventCost, numpy.ndarray]:
    """Mean cost over the trigger's range lengths, and the 99th percentile of the event time over them (per draw)."""
    costs = _by_range(case, strategy)
    if len(costs) == 1:
        return costs[0], costs[0].time_s
    weights = numpy.array([weight for _, weight in case.scenario.ranges(case.trigger)])
    times = numpy.stack(numpy.broadcast_arrays(*(numpy.atleast_1d(cost.time_s) for cost in costs)))
    order = numpy.argsort(times, axis=0)
    reached = numpy.cumsum(weights[order], axis=0) >= 0.99 - 1e-12
    first = numpy.argmax(reached, axis=0)
    p99 = numpy.take_along_axis(numpy.sort(times, axis=0), first[None, :], axis=0)[0]
    return _mean(case, costs), p99


def _by_range(case: Case, strategy: Strategy) -> list[EventCost]:
    return [event_cost(case, strategy, size) for size, _ in case.scenario.ranges(case.trigger)]


def _mean(case: Case, costs: list[EventCost]) -> EventCost:
    """The costs weighed by the trigger's range lengths."""
    if len(costs) == 1:
        return costs[0]
    weights = [weight for _, weight in case.scenario.ranges(case.trigger)]
    return EventCost(
        *(
            sum(weight * getattr(cost, part) for weight, cost in zip(weights, costs, strict=True))
            for part in ("time_s", "stolen_s", "irq_off_s", "guest_s", "neighbours_s")
        )
    )
