"""Who pays for a flush, what one tenant can force, how many VMs a host carries, how near a lock-up is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from costmodel.cost.draws import Case, Draws
from costmodel.cost.event import at_rate, cpus_flushed, mixed_cost
from costmodel.cost.scenario import Scenario
from costmodel.cost.total import REFINEMENTS, Rate, Total, event_rate
from costmodel.formulas.compiled import value
from costmodel.kvm.catalog import STRATEGIES, TRIGGERS

PER_VM_LOOPS = ("autonuma", "axis", "once")
"""Loops that every VM has for itself; a `closed_batch` thread (ksmd, khugepaged) is one per host."""


@dataclass(frozen=True)
class Bill:
    """Arrays over the draws. `own_s` and `others_s`: CPU time per event from CPUs that run the guest, and from the
    rest, who also wait for memory and fetch their lines again; `neighbour_fraction`: share of its time that a CPU of
    someone else loses if it is among those that flush (None without a rate; 0 for a range flush, which stops one CPU
    only); `forced_cpus`: host CPUs that one attacking thread can take at most (None where no VMM makes the event at
    will); `late_answer_s`: mean delay of the CPUs' answers from which on waiting for the slowest takes longer than the
    flush (None for a range flush); `vms_at` maps a share of the host to the number of equal VMs that loses it (None
    where one thread serves all VMs or no rate is known).
    """

    own_s: numpy.ndarray
    others_s: numpy.ndarray
    neighbour_fraction: numpy.ndarray | None
    forced_cpus: numpy.ndarray | None
    late_answer_s: numpy.ndarray | None
    vms_at: dict[float, numpy.ndarray | None]


def bill(cost: Total, scenario: Scenario, shares: tuple[float, ...]) -> Bill | None:
    """The bill of `cost`'s strategy; None where nothing flushes."""
    if cost.event is None or not numpy.all(cost.event.stolen_s > 0):
        return None
    strategy = STRATEGIES[cost.strategy]
    event = cost.event
    others, late = numpy.zeros_like(event.stolen_s), None
    if strategy.whole_cache:
        stopped = cpus_flushed(strategy, scenario)
        others = value("others_pay", cpus_stopped=stopped, vcpus=float(scenario.vcpus), flush_s=event.irq_off_s)
        others = others + event.neighbours_s
        late = event.irq_off_s / value("slowest_response", response_delay_s=1.0, target_cpus=max(1.0, stopped - 1))
    forced = None
    if TRIGGERS[cost.trigger].by_vmm:
        forced = value("forced_loss", stolen_cpu_s_per_event=event.stolen_s, event_s=event.time_s, think_s=0.0)
        forced = numpy.minimum(forced, scenario.machine.logical_cpus)
    return Bill(
        own_s=event.stolen_s - others,
        others_s=others,
        neighbour_fraction=_neighbour(cost, strategy.whole_cache),
        forced_cpus=forced,
        late_answer_s=late,
        vms_at={share: _vms(cost, scenario, share) for share in shares},
    )


def _neighbour(cost: Total, whole_cache: bool) -> numpy.ndarray | None:
    if cost.rate_per_s is None:
        return None
    return (
        numpy.minimum(1.0, cost.rate_per_s * cost.priced.guest_s) if whole_cache else numpy.zeros_like(cost.rate_per_s)
    )


def _vms(cost: Total, scenario: Scenario, share: float) -> numpy.ndarray | None:
    load = scenario.load(cost.trigger)
    if cost.rate_per_s is None or not numpy.all(cost.rate_per_s > 0) or load is None or load.loop not in PER_VM_LOOPS:
        return None
    return value(
        "vms_at_loss",
        lost_fraction=share,
        logical_cpus=scenario.machine.logical_cpus,
        rate_per_s=cost.rate_per_s,
        stolen_cpu_s_per_event=cost.priced.stolen_s,
    )


# What several guests on one host lose together.
#
# A flush on all CPUs stops every guest's vCPUs, and leaves the next flush, whoever asks for it, fewer dirty lines. That
# flushes of several guests wait for the same CPUs is left out: it makes closed loops slower, so the sum is an upper
# bound.


@dataclass(frozen=True)
class Part:
    """`vms` equal guests, each in `scenario`, with the strategy of its kernel at one trigger (ids)."""

    vms: int
    scenario: Scenario
    trigger: str
    strategy: str

    @property
    def loops(self) -> int:
        """Loops that make the events: one for each guest, but one for all where a kernel thread of the host scans
        them.
        """
        load = self.scenario.load(self.trigger)
        shared = self.scenario.rate(self.trigger) is None and load is not None and load.loop == "closed_batch"
        return 1 if shared else self.vms


def losses(parts: Sequence[Part], draws: Draws, rate_of: Rate = event_rate) -> list[numpy.ndarray]:
    """Host CPU-seconds per second (n,) that each part takes, together at most the host's CPUs. Raises MissingNumber."""
    if not parts:
        return []
    machine, found = parts[0].scenario.machine, [draws] * len(parts)
    rates, stolen = _once(parts, found, rate_of)
    for _ in range(REFINEMENTS):
        whole = sum(r * STRATEGIES[p.strategy].whole_cache for r, p in zip(rates, parts, strict=True))
        if not numpy.any(whole > 0):
            break
        met = at_rate(draws, machine, numpy.asarray(whole))
        found = [met if STRATEGIES[part.strategy].whole_cache else draws for part in parts]
        rates, stolen = _once(parts, found, rate_of)
    taken = [rate * each for rate, each in zip(rates, stolen, strict=True)]
    total = sum(taken)
    share = numpy.minimum(1.0, machine.logical_cpus / numpy.maximum(total, 1e-300))
    return [one * share for one in taken]


def _once(
    parts: Sequence[Part], found: Sequence[Draws], rate_of: Rate
) -> tuple[list[numpy.ndarray], list[numpy.ndarray]]:
    """Events per second of all loops of each part, and the CPU time that one of them takes; none where no rate is
    known.
    """
    rates, stolen = [], []
    for part, draws in zip(parts, found, strict=True):
        entry = STRATEGIES[part.strategy]
        case = Case(part.trigger, part.scenario, draws)
        rate = rate_of(case, entry)
        rates.append(numpy.zeros(draws.n) if rate is None else part.loops * rate)
        stolen.append(mixed_cost(case, entry)[0].stolen_s)
    return rates, stolen
