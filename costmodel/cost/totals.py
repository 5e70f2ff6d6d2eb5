"""Totals of one strategy at one trigger, as intervals; refused, with the gap named, where a term is unknown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from costmodel.cost.draws import Draws
from costmodel.cost.flush import EventCost, at_rate
from costmodel.cost.rates import event_rate, is_closed
from costmodel.cost.scenario import Scenario
from costmodel.cost.strategy import mixed_cost
from costmodel.errors import MissingNumber
from costmodel.formulas.compiled import value
from costmodel.kvm.strategies import STRATEGIES, Strategy

REFINEMENTS = 3
"""A flush that comes often finds fewer dirty lines, ends sooner, and may come sooner: times that this is followed up."""


@dataclass(frozen=True)
class Total:
    """Cost over the draws. `rate_per_s` is None where nobody published a rate; `refused` names a missing number.

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
    strategy: Strategy, trigger: str, scenario: Scenario, draws: Draws
) -> tuple[EventCost, numpy.ndarray, numpy.ndarray | None]:
    """Cost of one event, its 99th percentile over the range lengths, and the rate: what a whole-cache flush finds dirty
    hangs on how often it comes, and how often it comes on how long it takes. Raises MissingNumber with the gap.
    """
    event, p99_s = mixed_cost(strategy, trigger, scenario, draws)
    rate = event_rate(strategy, trigger, scenario, draws)
    if rate is not None and strategy.whole_cache:
        for _ in range(REFINEMENTS):
            found = at_rate(draws, scenario.machine, rate)
            event, p99_s = mixed_cost(strategy, trigger, scenario, found)
            rate = event_rate(strategy, trigger, scenario, found)
    return event, p99_s, rate


def total(trigger: str, strategy: str, scenario: Scenario, draws: Draws) -> Total:
    """Cost of `strategy` at `trigger` (ids) in `scenario`."""
    entry = STRATEGIES[strategy]
    tracked = draws.tracking()
    cpus = scenario.machine.logical_cpus
    try:
        event, p99_s, rate = event_of(entry, trigger, scenario, tracked)
    except MissingNumber as gap:
        return Total(trigger, strategy, None, None, None, False, cpus, tuple(sorted(tracked.used)), False, gap.gap)
    closed = is_closed(scenario, trigger)
    used = tuple(sorted(tracked.used))
    return Total(trigger, strategy, event, p99_s, rate, closed, cpus, used, tracked.extrapolated, None)
