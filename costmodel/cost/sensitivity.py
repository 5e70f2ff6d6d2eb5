"""Elasticities of an event's CPU time in the cost parameters, from the derivatives of the symbolic expression."""

from __future__ import annotations

from costmodel.cost import event
from costmodel.cost.draws import Case, Draws, medians
from costmodel.cost.event import Term, cpus_flushed, folios, invalidates, leaves_rmp, piece_bytes
from costmodel.cost.scenario import Scenario
from costmodel.formulas.compiled import slope, value
from costmodel.kvm.catalog import STRATEGIES, Strategy

DOMAIN = "domain_writeback_bytes_per_s"


def elasticities(case: Case, strategy: str) -> dict[str, float]:
    """Percent of CPU time per percent of each parameter, at the medians; empty for a strategy that flushes nothing.

    Raises MissingNumber where a parameter has no number.
    """
    entry = STRATEGIES[strategy]
    at = medians(case.parameters).tracking()
    if not (entry.whole_cache or entry.instruction == "clflushopt"):
        return {}
    parts = [
        (weight * times, formula, arguments, present)
        for size, weight in case.scenario.ranges(case.trigger)
        for times, formula, arguments, present in _parts(entry, case.trigger, case.scenario, at, size)
    ]
    cost = sum(weight * float(value(formula, **arguments)[0]) for weight, formula, arguments, _ in parts)
    found = {}
    for name in sorted(at.used):
        change = sum(
            weight * _slope(name, formula, arguments, present) for weight, formula, arguments, present in parts
        )
        found[name] = change * float(at[name][0]) / cost
    return found


def _slope(name: str, formula: str, arguments: dict[str, object], present: Term | None) -> float:
    """d CPU time / d parameter; the position of the present share acts through that share, and a socket's bandwidth is
    that of its only domain too.
    """
    if name in arguments:
        only = name == "writeback_bytes_per_s" and arguments.get(DOMAIN) is arguments[name]
        return sum(float(slope(formula, one, **arguments)[0]) for one in ((name, DOMAIN) if only else (name,)))
    if name == "presence_position" and present is not None:
        inner = float(slope(present["formula"], name, **present["arguments"])[0])
        return inner * float(slope(formula, "present_fraction", **arguments)[0])
    return 0.0


def _parts(
    strategy: Strategy, trigger: str, scenario: Scenario, at: Draws, size: float
) -> list[tuple[float, str, dict[str, object], Term | None]]:
    """What one event of `size` bytes is made of: how often, formula, arguments, and where its present share is from."""
    found: list[tuple[float, str, dict[str, object], Term | None]] = []
    if strategy.whole_cache:
        found.append((1.0, "whole_cache_event", _whole(strategy, scenario, at), None))
        if (calls := float(folios(trigger, scenario, size))) > 1:
            cpus = cpus_flushed(strategy, scenario)
            drops = invalidates(strategy, scenario)
            first = event.whole_cache(at, scenario.machine, cpus, invalidates=drops, packed=scenario.packed)
            again = event.at_rate(at, scenario.machine, 1.0 / first.time_s)
            found.append((calls - 1, "whole_cache_event", _whole(strategy, scenario, again), None))
    else:
        found.append((1.0, *_range(strategy, trigger, scenario, at, size)))
    if leaves_rmp(trigger, scenario):
        entries = event.pieces(size, scenario.folio_bytes)
        updates = {"pages": entries, "rmpupdate_s": at["rmpupdate_s"], "page_flush_s": 0.0}
        found.append((1.0, "gmem_release", updates, None))
    return found


def _whole(strategy: Strategy, scenario: Scenario, at: Draws) -> dict[str, object]:
    machine, cpus = scenario.machine, cpus_flushed(strategy, scenario)
    spread = event.Spread.of(machine, cpus, packed=scenario.packed)
    shares = ("valid_fraction", "dirty_fraction", "reused_fraction", "memory_bound_fraction")
    rates = ("writeback_bytes_per_s", "cpu_read_bytes_per_s", "broadcast_start_s", "broadcast_per_cpu_s")
    return {
        "cpus_stopped": cpus,
        "cpus_outside": event.cpus_outside(machine, spread, cpus),
        "llc_bytes_per_domain": machine.llc_bytes_per_domain,
        "l2_bytes_per_core": machine.l2_bytes_per_core,
        "line_bytes": machine.line_bytes,
        "cores_flushing": spread.cores_per_domain,
        "both_siblings": spread.both_siblings,
        "domains_per_socket": spread.domains_per_socket,
        "sockets": spread.sockets,
        "invalidates": float(invalidates(strategy, scenario)),
        DOMAIN: event.domain_writeback(at, machine),
        **{name: at[name] for name in (*event.WALK, *shares, *rates)},
    }


def _range(
    strategy: Strategy, trigger: str, scenario: Scenario, at: Draws, range_bytes: float
) -> tuple[str, dict[str, object], Term | None]:
    """Formula, its arguments, and how the present share follows from its position (None where it is given)."""
    machine, load = scenario.machine, scenario.shape(trigger)
    residency = load.residency if load else "unknown"
    present = event.present_arguments(at, machine, scenario.resident_bytes, residency, range_bytes)
    piece = piece_bytes(strategy, scenario)
    names = (
        "range_start_s",
        "line_dirty_s",
        "line_clean_s",
        "line_absent_s",
        "remote_factor",
        "dirty_fraction",
        "writeback_bytes_per_s",
        "reused_fraction",
        "cpu_read_bytes_per_s",
    )
    arguments: dict[str, object] = {
        "lines": value(
            "range_lines", range_bytes=piece or range_bytes, offset_bytes=0.0, line_bytes=machine.line_bytes
        ),
        "line_bytes": machine.line_bytes,
        "present_fraction": event.present_fraction(at, machine, scenario.resident_bytes, residency, range_bytes),
        **{name: at[name] for name in names},
    }
    if piece is None:
        return "range_event", arguments, present
    return "paged_event", {**arguments, "pages": event.pieces(range_bytes, piece)}, present
