"""Event rates of a trigger under a strategy: closed loops slow themselves down, axes have no rate."""

from __future__ import annotations

import numpy

from costmodel.cost.draws import Draws
from costmodel.cost.scenario import Scenario
from costmodel.cost.strategy import mixed_cost
from costmodel.evidence.records import TriggerLoad
from costmodel.formulas.compiled import value
from costmodel.kvm.strategies import Strategy


def event_rate(strategy: Strategy, trigger: str, scenario: Scenario, draws: Draws) -> numpy.ndarray | None:
    """Events per second (n,), a ceiling from the kernel's tunables; None where nobody published a rate."""
    if (rate := scenario.rate(trigger)) is not None:
        return numpy.full(draws.n, float(rate))
    load = scenario.load(trigger)
    if load is None or load.loop in ("axis", "once"):
        return None
    if load.loop == "closed_batch":
        return value(
            "closed_rate",
            threads=load.threads.value,
            event_fraction=load.event_fraction.value,
            events_per_cycle=load.events_per_cycle.value,
            sleep_s=load.sleep_s.value,
            cycle_flush_s=_cycle_flush_s(strategy, load, scenario, draws),
        )
    return _numa(strategy, load, scenario, draws)


def _cycle_flush_s(strategy: Strategy, load: TriggerLoad, scenario: Scenario, draws: Draws) -> numpy.ndarray:
    """Flush time in one full cycle of the load's thread: it waits for the flushes of all its triggers."""
    total = numpy.zeros(draws.n)
    for other in scenario.workload.triggers:
        if other.loop == "closed_batch" and other.thread == load.thread:
            total = (
                total + other.events_per_cycle.value * mixed_cost(strategy, other.trigger, scenario, draws)[0].time_s
            )
    return total


def _numa(strategy: Strategy, load: TriggerLoad, scenario: Scenario, draws: Draws) -> numpy.ndarray:
    tunables = {name: sourced.value for name, sourced in load.tunables.items()}
    period_s = value(
        "numa_scan_period",
        numa_scan_size_bytes=tunables["numa_scan_size_bytes"],
        numa_max_scan_window_bytes_per_s=tunables["numa_max_scan_window_bytes_per_s"],
        numa_scan_period_min_s=tunables["numa_scan_period_min_s"],
        resident_bytes=scenario.resident_bytes,
    )
    return value(
        "numa_rate",
        event_fraction=load.event_fraction.value,
        numa_scan_period_s=period_s,
        numa_limiter_factor=tunables["numa_limiter_factor"],
        vcpus=scenario.vcpus,
        event_flush_s=mixed_cost(strategy, load.trigger, scenario, draws)[0].time_s,
    )


def is_closed(scenario: Scenario, trigger: str) -> bool:
    """Whether the trigger waits for its own flush, so that it cannot saturate."""
    load = scenario.load(trigger)
    return scenario.rate(trigger) is None and load is not None and load.loop in ("closed_batch", "autonuma")
