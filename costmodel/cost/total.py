"""Totals of one strategy at one trigger: event rates, CPU time per second, and how far the kernel's lock-up limits
are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy

from costmodel.cost.draws import Case, Draws, uniforms
from costmodel.cost.event import EventCost, at_rate, mean_cost, mixed_cost
from costmodel.cost.scenario import Scenario
from costmodel.errors import MissingNumber, stated
from costmodel.evidence.store import Evidence
from costmodel.evidence.workloads import TriggerLoad
from costmodel.formulas.compiled import value
from costmodel.kvm.catalog import STRATEGIES, TRIGGERS, Strategy

# Event rates of a trigger under a strategy: a ceiling and a floor from the kernel's tunables, or what somebody counted.
#
# Closed loops slow themselves down; axes have no rate; what the guest's setup rules out has the rate 0.

JEFFREYS = 0.5
"""Events that the prior of a counted rate adds: a count of none still has an upper end."""


def event_rate(case: Case, strategy: Strategy) -> numpy.ndarray | None:
    """Events per second (n,): what was counted, else the most that the kernel's tunables allow, else None."""
    if (counted := case.scenario.count(case.trigger)) is not None:
        return _counted(*counted, case.draws)
    if (rate := case.scenario.rate(case.trigger)) is not None:
        return rate + numpy.zeros(case.draws.n)
    if not case.scenario.firing(case.trigger).fires:
        return numpy.zeros(case.draws.n)
    load = case.scenario.load(case.trigger)
    if load is None or load.loop in ("axis", "once"):
        return None
    if load.loop == "closed_batch":
        return value(
            "closed_rate",
            threads=load.number("threads"),
            event_fraction=load.number("event_fraction"),
            events_per_cycle=_events_per_cycle(load, case.scenario),
            sleep_s=load.number("sleep_s"),
            cycle_flush_s=_cycle_flush_s(strategy, load, case.scenario, case.draws),
        )
    ranges = ranges_per_pass(load, case.scenario)
    return _numa("numa_rate", strategy, load, case.scenario, case.draws, "numa_scan_period_min_s", ranges)


def least_rate(case: Case, strategy: Strategy) -> numpy.ndarray | None:
    """Events per second (n,) that the tunables allow at least: one range per longest scan period; none where a thread
    scans what it need not change. None where `event_rate` is no ceiling.
    """
    load = case.scenario.load(case.trigger)
    if load is None or not is_ceiling(case.scenario, case.trigger):
        return None
    if load.loop == "closed_batch":
        return numpy.zeros(case.draws.n)
    return _numa("numa_rate_at_least", strategy, load, case.scenario, case.draws, "numa_scan_period_max_s", 1.0)


def is_ceiling(scenario: Scenario, trigger: str) -> bool:
    """Whether the rate is the most that tunables allow, and not what somebody measured."""
    return is_closed(scenario, trigger) and scenario.firing(trigger).fires


def stock(scenario: Scenario, trigger: str) -> float | None:
    """The most events that the guest has left to give, where each uses up a piece of it; None where it can go on for
    ever.
    """
    piece = TRIGGERS[trigger].stock_bytes
    return None if piece is None else numpy.ceil(scenario.resident_bytes / piece)


def _counted(count: float, seconds: float, draws: Draws) -> numpy.ndarray:
    """Rates that a Poisson count allows: a gamma distribution, by the prior of Jeffreys."""
    from scipy.special import gammaincinv  # most rates are not counted, and the import takes longer than the answer

    return numpy.asarray(gammaincinv(count + JEFFREYS, uniforms("counted_rate", draws.n)) / seconds)


def _events_per_cycle(load: TriggerLoad, scenario: Scenario) -> float:
    """Events of one cycle: as many as the thread scans, and no more than the guest has pieces."""
    left = stock(scenario, load.trigger)
    return load.number("events_per_cycle") if left is None else numpy.minimum(load.number("events_per_cycle"), left)


def _cycle_flush_s(strategy: Strategy, load: TriggerLoad, scenario: Scenario, draws: Draws) -> numpy.ndarray:
    """Flush time in one full cycle of the load's thread: it waits for the flushes of all its triggers that can fire."""
    total = numpy.zeros(draws.n)
    for other in scenario.workload.triggers:
        if other.loop == "closed_batch" and other.thread == load.thread and scenario.firing(other.trigger).fires:
            flush_s = mean_cost(Case(other.trigger, scenario, draws), strategy).time_s
            total = total + _events_per_cycle(other, scenario) * flush_s
    return total


def ranges_per_pass(load: TriggerLoad, scenario: Scenario) -> float:
    """Ranges of one NUMA balancing pass: one, or where none of their pages can be updated as many as it may skip."""
    if not scenario.firing(load.trigger).again:
        return 1.0
    tunables = load.tunables
    found = value(
        "numa_flushes_per_pass",
        numa_virtpages_factor=tunables["numa_virtpages_factor"].si,
        numa_scan_size_bytes=tunables["numa_scan_size_bytes"].si,
        resident_bytes=scenario.resident_bytes,
    )
    return cast(float, found)  # one number; with the guest's memory as an axis, a recorded one


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
    tunables = {name: number.si for name, number in load.tunables.items()}
    period_s = value(
        "numa_scan_period",
        numa_scan_size_bytes=tunables["numa_scan_size_bytes"],
        numa_max_scan_window_bytes_per_s=tunables["numa_max_scan_window_bytes_per_s"],
        task_scan_period_s=tunables[period],
        resident_bytes=scenario.resident_bytes,
    )
    return value(
        formula,
        event_fraction=load.number("event_fraction"),
        flushes_per_pass=ranges,
        numa_scan_period_s=period_s,
        numa_limiter_factor=tunables["numa_limiter_factor"],
        vcpus=scenario.vcpus,
        event_flush_s=mean_cost(Case(load.trigger, scenario, draws), strategy).time_s,
    )


def is_closed(scenario: Scenario, trigger: str) -> bool:
    """Whether the trigger waits for its own flush, so that it cannot saturate."""
    load = scenario.load(trigger)
    return scenario.rate(trigger) is None and load is not None and load.loop in ("closed_batch", "autonuma")


# Totals of one strategy at one trigger, as intervals; refused, with the gap named, where a term is unknown.

Rate = Callable[[Case, Strategy], numpy.ndarray | None]
REFINEMENTS = 3
"""A flush that comes often finds fewer dirty lines, ends sooner, and may come sooner: times that this is followed
up.
"""


@dataclass(frozen=True)
class Total:
    """Cost over the draws. `rate_per_s` is None where nobody published a rate; `refused` names a missing number.

    `least_per_s` is the floor of a rate that is a ceiling, None where the rate was measured or is none;
    `least_stolen_s` is the CPU time that one event takes at that floor. `never` says why the trigger cannot happen,
    empty where it can. `parameters` are the names of the parameters that went in.
    """

    trigger: str
    strategy: str
    event: EventCost | None
    p99_s: numpy.ndarray | None
    rate_per_s: numpy.ndarray | None
    closed: bool
    logical_cpus: int
    parameters: tuple[str, ...]
    extrapolated: bool
    refused: str | None
    least_per_s: numpy.ndarray | None = None
    least_stolen_s: numpy.ndarray | None = None
    never: str = ""

    @property
    def priced(self) -> EventCost:
        """Cost of one event. Raises MissingNumber with the gap where it was refused."""
        return stated(self.event, self.refused or f"{self.strategy} at {self.trigger}")

    @property
    def at_most(self) -> bool:
        """Whether the rate, and what is lost by it, is a ceiling."""
        return self.least_per_s is not None

    @property
    def least_host_cpu_s_per_s(self) -> numpy.ndarray | None:
        """Host CPU-seconds lost per second at the floor of the rate; None where the rate is no ceiling."""
        if self.least_per_s is None or self.least_stolen_s is None:
            return None
        return value(
            "host_loss",
            rate_per_s=self.least_per_s,
            stolen_cpu_s_per_event=self.least_stolen_s,
            logical_cpus=self.logical_cpus,
        )

    @property
    def host_cpu_s_per_s(self) -> numpy.ndarray | None:
        """Host CPU-seconds lost per second of wall time."""
        if self.event is None or self.rate_per_s is None:
            return None
        return value(
            "host_loss",
            rate_per_s=self.rate_per_s,
            stolen_cpu_s_per_event=self.event.stolen_s,
            logical_cpus=self.logical_cpus,
        )

    @property
    def guest_stall_fraction(self) -> numpy.ndarray | None:
        """Share of time a vCPU of the guest stands still (lower bound)."""
        if self.event is None or self.rate_per_s is None:
            return None
        return numpy.asarray(numpy.minimum(1.0, self.rate_per_s * self.event.guest_s))

    @property
    def in_progress_fraction(self) -> numpy.ndarray | None:
        """Share of time the flush keeps an invalidation in progress; whole-cache flushes wait in line for the CPUs."""
        if self.event is None or self.rate_per_s is None:
            return None
        rate, time_s = self.rate_per_s, self.event.time_s
        if self.closed:
            return value("in_progress_closed", rate_per_s=rate, window_s=time_s)
        serial = STRATEGIES[self.strategy].whole_cache
        return value("in_progress", rate_per_s=rate, serial_s=time_s * serial, parallel_s=time_s * (not serial))

    @property
    def saturation_rate_per_s(self) -> numpy.ndarray | None:
        """Rate at which an open trigger would spend all its time in the flush: one over the event time."""
        if self.event is None or not numpy.all(self.event.time_s > 0):
            return None
        return 1.0 / self.event.time_s


def event_of(
    case: Case, strategy: Strategy, rate_of: Rate = event_rate
) -> tuple[EventCost, numpy.ndarray, numpy.ndarray | None]:
    """Cost of one event, its 99th percentile over the range lengths, and the rate: what a whole-cache flush finds dirty
    hangs on how often it comes, and how often it comes on how long it takes. Raises MissingNumber with the gap.
    """
    there, rate = settled(case, strategy, rate_of)
    event, p99_s = mixed_cost(there, strategy)
    return event, p99_s, rate


def settled(case: Case, strategy: Strategy, rate_of: Rate = event_rate) -> tuple[Case, numpy.ndarray | None]:
    """The case over draws with the dirty share that flushes at their own rate find, and that rate."""
    there, rate = case, rate_of(case, strategy)
    if rate is not None and strategy.whole_cache and numpy.any(rate > 0):
        for _ in range(REFINEMENTS):
            found = at_rate(case.draws, case.scenario.machine, stated(rate, f"the rate of {case.trigger}"))
            there = case.over(found)
            rate = rate_of(there, strategy)
    return there, rate


def total(case: Case, strategy: str) -> Total:
    """Cost of `strategy` at `trigger` (ids) in `scenario`."""
    entry = STRATEGIES[strategy]
    tracked = case.draws.tracking()
    cpus = case.scenario.machine.logical_cpus
    never = case.scenario.firing(case.trigger).why
    try:
        event, p99_s, rate = event_of(case.over(tracked), entry)
        at_least, least = None, None
        if is_ceiling(case.scenario, case.trigger):
            at_least, _, least = event_of(case.over(tracked), entry, least_rate)
    except MissingNumber as gap:
        used = tuple(sorted(tracked.used))
        return Total(case.trigger, strategy, None, None, None, False, cpus, used, False, gap.gap, never=never)
    return Total(
        trigger=case.trigger,
        strategy=strategy,
        event=event,
        p99_s=p99_s,
        rate_per_s=rate,
        closed=is_closed(case.scenario, case.trigger) and not never,
        logical_cpus=cpus,
        parameters=tuple(sorted(tracked.used)),
        extrapolated=tracked.extrapolated,
        refused=None,
        least_per_s=least,
        least_stolen_s=None if at_least is None else at_least.stolen_s,
        never=never,
    )


# How far the longest time with interrupts off lies from the kernel's lock-up limits.


class Distance(NamedTuple):
    """`ratio` = limit / time with interrupts off: below 1 one flush alone trips the limit."""

    id: str
    limit: str
    limit_s: float
    ratio: float


def distances(evidence: Evidence, irq_off_s: float) -> list[Distance]:
    """Each sourced limit (rows of term `limits` in seconds), nearest first; empty where interrupts stay on."""
    if irq_off_s <= 0:
        return []
    rows = [row for row in evidence.measurements.values() if row.term == "limits" and row.si_unit == "s"]
    found = [Distance(row.id, row.quantity, row.si, row.si / irq_off_s) for row in rows]
    return sorted(found, key=lambda distance: distance.limit_s)
