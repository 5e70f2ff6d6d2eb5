"""Elasticities of an event's CPU time in the cost parameters, from the derivatives of the symbolic expression."""

from __future__ import annotations

from costmodel.calibration.parameters import ParameterSet
from costmodel.cost import flush
from costmodel.cost.draws import Draws, medians
from costmodel.cost.scenario import Scenario
from costmodel.cost.strategy import cpus_flushed, invalidates
from costmodel.formulas.compiled import slope, value
from costmodel.kvm.guests import guest
from costmodel.kvm.strategies import STRATEGIES, Strategy

PAGE_BYTES = flush.PAGE_BYTES
DOMAIN = "domain_writeback_bytes_per_s"


def elasticities(strategy: str, trigger: str, scenario: Scenario, parameters: ParameterSet) -> dict[str, float]:
    """Percent of CPU time per percent of each parameter, at the medians; empty for a strategy that flushes nothing.

    Raises MissingNumber where a parameter has no number.
    """
    entry = STRATEGIES[strategy]
    at = medians(parameters).tracking()
    if entry.whole_cache:
        parts = [(1.0, "whole_cache_event", _whole(entry, scenario, at), None)]
    elif entry.instruction == "clflushopt":
        parts = [(weight, *_range(entry, trigger, scenario, at, size)) for size, weight in scenario.ranges(trigger)]
    else:
        return {}
    cost = sum(weight * float(value(formula, **arguments)[0]) for weight, formula, arguments, _ in parts)
    found = {}
    for name in sorted(at.used):
        change = sum(
            weight * _slope(name, formula, arguments, present) for weight, formula, arguments, present in parts
        )
        found[name] = change * float(at[name][0]) / cost
    return found


def _slope(name: str, formula: str, arguments: dict[str, object], present: dict[str, object] | None) -> float:
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


def _whole(strategy: Strategy, scenario: Scenario, at: Draws) -> dict[str, object]:
    machine, cpus = scenario.machine, cpus_flushed(strategy, scenario)
    spread = flush.Spread.of(machine, cpus, packed=scenario.packed)
    shares = ("valid_fraction", "dirty_fraction", "reused_fraction", "memory_bound_fraction")
    rates = ("writeback_bytes_per_s", "cpu_read_bytes_per_s", "broadcast_start_s", "broadcast_per_cpu_s")
    return {
        "cpus_stopped": cpus,
        "cpus_outside": flush.cpus_outside(machine, spread, cpus),
        "llc_bytes_per_domain": machine.llc_bytes_per_domain,
        "l2_bytes_per_core": machine.l2_bytes_per_core,
        "line_bytes": machine.line_bytes,
        "cores_flushing": spread.cores_per_domain,
        "both_siblings": spread.both_siblings,
        "domains_per_socket": spread.domains_per_socket,
        "sockets": spread.sockets,
        "invalidates": float(invalidates(strategy, scenario)),
        DOMAIN: flush.domain_writeback(at, machine),
        **{name: at[name] for name in (*flush.WALK, *shares, *rates)},
    }


def _range(
    strategy: Strategy, trigger: str, scenario: Scenario, at: Draws, range_bytes: float
) -> tuple[str, dict[str, object], dict[str, object] | None]:
    """Formula, its arguments, and how the present share follows from its position (None where it is given)."""
    machine, load = scenario.machine, scenario.shape(trigger)
    residency = load.residency if load else "unknown"
    present = flush.present_arguments(at, machine, scenario.resident_bytes, residency, range_bytes)
    paged = strategy.address_source in ("gmem", "pinned")
    length = PAGE_BYTES if paged else range_bytes
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
        "lines": value("range_lines", range_bytes=length, offset_bytes=0.0, line_bytes=machine.line_bytes),
        "line_bytes": machine.line_bytes,
        "present_fraction": flush.present_fraction(at, machine, scenario.resident_bytes, residency, range_bytes),
        **{name: at[name] for name in names},
    }
    if not paged:
        return "range_event", arguments, present
    arguments["pages"] = -(-range_bytes // PAGE_BYTES)
    if strategy.address_source == "gmem" and guest(scenario.guest).has("rmp_enforced"):
        return "gmem_event", {**arguments, "rmpupdate_s": at["rmpupdate_s"]}, present
    return "paged_event", arguments, present
