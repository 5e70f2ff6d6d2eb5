"""Totals of one strategy at one trigger, as intervals; refused, with the gap named, where a term is unknown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy

from costmodel.cost.draws import Draws
from costmodel.cost.flush import EventCost, at_rate
from costmodel.cost.rates import event_rate, is_ceiling, is_closed, least_rate
from costmodel.cost.scenario import Scenario
from costmodel.cost.strategy import mixed_cost
from costmodel.errors import MissingNumber
from costmodel.formulas.compiled import value
from costmodel.kvm.strategies import STRATEGIES, Strategy

Rate = Callable[[Strategy, str, Scenario, Draws], numpy.ndarray | None]
REFINEMENTS = 3
"""A flush that comes often finds fewer dirty lines, ends sooner, and may come sooner: times that this is followed up."""


@dataclass(frozen=True)
class Total:
    """Cost over the draws. `rate_per_s` is None where nobody published a rate; `refused` names a missing number.

    `least_per_s` is the floor of a rate that is a ceiling, None where the rate was measured or is none; `least_stolen_s`
    is the CPU time that one event takes at that floor. `never` says why the trigger cannot happen, empty where it can.
    `parameters` are the names of the parameters that went in.
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
        return numpy.minimum(1.0, self.rate_per_s * self.event.guest_s)

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
    strategy: Strategy, trigger: str, scenario: Scenario, draws: Draws, rate_of: Rate = event_rate
) -> tuple[EventCost, numpy.ndarray, numpy.ndarray | None]:
    """Cost of one event, its 99th percentile over the range lengths, and the rate: what a whole-cache flush finds dirty
    hangs on how often it comes, and how often it comes on how long it takes. Raises MissingNumber with the gap.
    """
    event, p99_s = mixed_cost(strategy, trigger, scenario, draws)
    rate = rate_of(strategy, trigger, scenario, draws)
    if rate is not None and strategy.whole_cache and numpy.any(rate > 0):
        for _ in range(REFINEMENTS):
            found = at_rate(draws, scenario.machine, rate)
            event, p99_s = mixed_cost(strategy, trigger, scenario, found)
            rate = rate_of(strategy, trigger, scenario, found)
    return event, p99_s, rate


def total(trigger: str, strategy: str, scenario: Scenario, draws: Draws) -> Total:
    """Cost of `strategy` at `trigger` (ids) in `scenario`."""
    entry = STRATEGIES[strategy]
    tracked = draws.tracking()
    cpus = scenario.machine.logical_cpus
    never = scenario.firing(trigger).why
    try:
        event, p99_s, rate = event_of(entry, trigger, scenario, tracked)
        at_least, least = None, None
        if is_ceiling(scenario, trigger):
            at_least, _, least = event_of(entry, trigger, scenario, tracked, least_rate)
    except MissingNumber as gap:
        used = tuple(sorted(tracked.used))
        return Total(trigger, strategy, None, None, None, False, cpus, used, False, gap.gap, never=never)
    return Total(
        trigger=trigger,
        strategy=strategy,
        event=event,
        p99_s=p99_s,
        rate_per_s=rate,
        closed=is_closed(scenario, trigger) and not never,
        logical_cpus=cpus,
        parameters=tuple(sorted(tracked.used)),
        extrapolated=tracked.extrapolated,
        refused=None,
        least_per_s=least,
        least_stolen_s=None if at_least is None else at_least.stolen_s,
        never=never,
    )
