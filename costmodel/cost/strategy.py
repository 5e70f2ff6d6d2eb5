"""From a strategy to its event cost: which formula, over which CPUs or lines. Refuses what no source times."""

from __future__ import annotations

import numpy

from costmodel.cost import flush
from costmodel.cost.draws import Draws
from costmodel.cost.flush import EventCost
from costmodel.cost.scenario import Scenario
from costmodel.errors import MissingNumber
from costmodel.kvm.guests import guest
from costmodel.kvm.strategies import Strategy

GAPS = {
    "wrmsr": "no timing of the VM_PAGE_FLUSH MSR (0xC001011E) is public",
    "seamcall": "no timing of TDH.PHYMEM.PAGE.WBINVD or TDH.PHYMEM.CACHE.WB is public "
    "(rows S06, S07 bound the whole removal chain from above)",
    "df_flush": "no timing of DF_FLUSH or SNP_DF_FLUSH is public",
    "defer": "how many events share one flush is not published",
    "guest": "the guest's own reads are not timed by any source",
    "other": "not an x86 operation",
}


def cpus_flushed(strategy: Strategy, scenario: Scenario) -> float:
    """CPUs that execute the flush: all online, or those that ran the guest."""
    return float(scenario.machine.logical_cpus) if strategy.scope == "all_cpus" else scenario.cpus_that_ran


def invalidates(strategy: Strategy, scenario: Scenario) -> bool:
    """Whether a whole-cache flush drops the lines too: WBINVD does, and WBNOINVD where the CPU has only the former."""
    return strategy.instruction == "wbinvd" or not scenario.machine.features.get("wbnoinvd", False)


def event_cost(
    strategy: Strategy, trigger: str, scenario: Scenario, draws: Draws, range_bytes: numpy.ndarray | float
) -> EventCost:
    """Cost of one event of `trigger` with a range of `range_bytes`. Raises MissingNumber with the gap."""
    if strategy.instruction in ("wbinvd", "wbnoinvd") and strategy.scope in ("all_cpus", "mask"):
        cpus, drops = cpus_flushed(strategy, scenario), invalidates(strategy, scenario)
        return flush.whole_cache(draws, scenario.machine, cpus, invalidates=drops, packed=scenario.packed)
    if strategy.instruction == "clflushopt":
        return _range(strategy, trigger, scenario, draws, range_bytes)
    if strategy.instruction == "none":
        return flush.nothing(draws)
    raise MissingNumber(GAPS.get(strategy.instruction, GAPS["other"]))


def _range(
    strategy: Strategy, trigger: str, scenario: Scenario, draws: Draws, range_bytes: numpy.ndarray | float
) -> EventCost:
    load = scenario.shape(trigger)
    residency = load.residency if load else "unknown"
    present = flush.present_fraction(draws, scenario.machine, scenario.resident_bytes, residency, range_bytes)
    if strategy.address_source in ("gmem", "pinned"):
        rmp = strategy.address_source == "gmem" and guest(scenario.guest).has("rmp_enforced")
        return flush.paged_flush(draws, scenario.machine, range_bytes, present, scenario.vcpus, rmpupdate=rmp)
    return flush.range_flush(draws, scenario.machine, range_bytes, present, scenario.vcpus)


def mixed_cost(strategy: Strategy, trigger: str, scenario: Scenario, draws: Draws) -> tuple[EventCost, numpy.ndarray]:
    """Mean cost over the trigger's range lengths, and the 99th percentile of the event time over them (per draw)."""
    ranges = scenario.ranges(trigger)
    costs = [event_cost(strategy, trigger, scenario, draws, size) for size, _ in ranges]
    if len(costs) == 1:
        return costs[0], costs[0].time_s
    weights = numpy.array([weight for _, weight in ranges])
    mean = EventCost(
        *(
            sum(weight * getattr(cost, part) for weight, cost in zip(weights, costs, strict=True))
            for part in ("time_s", "stolen_s", "irq_off_s", "guest_s", "neighbours_s")
        )
    )
    times = numpy.stack(numpy.broadcast_arrays(*(numpy.atleast_1d(cost.time_s) for cost in costs)))
    order = numpy.argsort(times, axis=0)
    reached = numpy.cumsum(weights[order], axis=0) >= 0.99 - 1e-12
    first = numpy.argmax(reached, axis=0)
    p99 = numpy.take_along_axis(numpy.sort(times, axis=0), first[None, :], axis=0)[0]
    return mean, p99
