"""Event rates of a trigger under a strategy: a ceiling and a floor from the kernel's tunables, or what somebody counted.

Closed loops slow themselves down; axes have no rate; what the guest's setup rules out has the rate 0.
"""

from __future__ import annotations

import math

import numpy
from scipy.special import gammaincinv

from costmodel.cost.draws import Draws, uniforms
from costmodel.cost.scenario import Scenario
from costmodel.cost.strategy import mixed_cost
from costmodel.evidence.records import TriggerLoad
from costmodel.formulas.compiled import value
from costmodel.kvm.strategies import Strategy
from costmodel.kvm.triggers import trigger as trigger_of

JEFFREYS = 0.5
"""Events that the prior of a counted rate adds: a count of none still has an upper end."""


def event_rate(strategy: Strategy, trigger: str, scenario: Scenario, draws: Draws) -> numpy.ndarray | None:
    """Events per second (n,): what was counted, else the most that the kernel's tunables allow, else None."""
    if (counted := scenario.count(trigger)) is not None:
        return _counted(*counted, draws)
    if (rate := scenario.rate(trigger)) is not None:
        return numpy.full(draws.n, float(rate))
    if not scenario.firing(trigger).fires:
        return numpy.zeros(draws.n)
    load = scenario.load(trigger)
    if load is None or load.loop in ("axis", "once"):
        return None
    if load.loop == "closed_batch":
        return value(
            "closed_rate",
            threads=load.threads.value,
            event_fraction=load.event_fraction.value,
            events_per_cycle=_events_per_cycle(load, scenario),
            sleep_s=load.sleep_s.value,
            cycle_flush_s=_cycle_flush_s(strategy, load, scenario, draws),
        )
    ranges = ranges_per_pass(load, scenario)
    return _numa("numa_rate", strategy, load, scenario, draws, "numa_scan_period_min_s", ranges)


def least_rate(strategy: Strategy, trigger: str, scenario: Scenario, draws: Draws) -> numpy.ndarray | None:
    """Events per second (n,) that the tunables allow at least: one range per longest scan period; none where a thread
    scans what it need not change. None where `event_rate` is no ceiling.
    """
    if not is_ceiling(scenario, trigger):
        return None
    load = scenario.load(trigger)
    if load.loop == "closed_batch":
        return numpy.zeros(draws.n)
    return _numa("numa_rate_at_least", strategy, load, scenario, draws, "numa_scan_period_max_s", 1.0)


def is_ceiling(scenario: Scenario, trigger: str) -> bool:
    """Whether the rate is the most that tunables allow, and not what somebody measured."""
    return is_closed(scenario, trigger) and scenario.firing(trigger).fires


def stock(scenario: Scenario, trigger: str) -> float | None:
    """The most events that the guest has left to give, where each uses up a piece of it; None where it can go on for ever."""
    piece = trigger_of(trigger).stock_bytes
    return None if piece is None else float(math.ceil(scenario.resident_bytes / piece))


def _counted(count: float, seconds: float, draws: Draws) -> numpy.ndarray:
    """Rates that a Poisson count allows: a gamma distribution, by the prior of Jeffreys."""
    return gammaincinv(count + JEFFREYS, uniforms("counted_rate", draws.n)) / seconds


def _events_per_cycle(load: TriggerLoad, scenario: Scenario) -> float:
    """Events of one cycle: as many as the thread scans, and no more than the guest has pieces."""
    left = stock(scenario, load.trigger)
    return load.events_per_cycle.value if left is None else min(load.events_per_cycle.value, left)


def _cycle_flush_s(strategy: Strategy, load: TriggerLoad, scenario: Scenario, draws: Draws) -> numpy.ndarray:
    """Flush time in one full cycle of the load's thread: it waits for the flushes of all its triggers that can fire."""
    total = numpy.zeros(draws.n)
    for other in scenario.workload.triggers:
        if other.loop == "closed_batch" and other.thread == load.thread and scenario.firing(other.trigger).fires:
            flush_s = mixed_cost(strategy, other.trigger, scenario, draws)[0].time_s
            total = total + _events_per_cycle(other, scenario) * flush_s
    return total


def ranges_per_pass(load: TriggerLoad, scenario: Scenario) -> float:
    """Ranges of one NUMA balancing pass: one, or where none of their pages can be updated as many as it may skip."""
    if not scenario.firing(load.trigger).again:
        return 1.0
    tunables = load.tunables
    return float(
        value(
            "numa_flushes_per_pass",
            numa_virtpages_factor=tunables["numa_virtpages_factor"].value,
            numa_scan_size_bytes=tunables["numa_scan_size_bytes"].value,
            resident_bytes=scenario.resident_bytes,
        )
    )


def _numa(
    formula: str,
    strategy: Strategy,
    load: TriggerLoad,
    scenario: Scenario,
    draws: Draws,
    period: str,
    ranges: float,
) -> numpy.ndarray:
    """Rate of NUMA balancing by `formula`, at the scan period that the tunable `period` gives."""
    tunables = {name: sourced.value for name, sourced in load.tunables.items()}
    period_s = value(
        "numa_scan_period",
        numa_scan_size_bytes=tunables["numa_scan_size_bytes"],
        numa_max_scan_window_bytes_per_s=tunables["numa_max_scan_window_bytes_per_s"],
        task_scan_period_s=tunables[period],
        resident_bytes=scenario.resident_bytes,
    )
    return value(
        formula,
        event_fraction=load.event_fraction.value,
        flushes_per_pass=ranges,
        numa_scan_period_s=period_s,
        numa_limiter_factor=tunables["numa_limiter_factor"],
        vcpus=scenario.vcpus,
        event_flush_s=mixed_cost(strategy, load.trigger, scenario, draws)[0].time_s,
    )


def is_closed(scenario: Scenario, trigger: str) -> bool:
    """Whether the trigger waits for its own flush, so that it cannot saturate."""
    load = scenario.load(trigger)
    return scenario.rate(trigger) is None and load is not None and load.loop in ("closed_batch", "autonuma")
