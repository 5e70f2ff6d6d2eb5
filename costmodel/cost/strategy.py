"""From a strategy to its event cost: which formula, over which CPUs or lines. Refuses what no source times."""

from __future__ import annotations

import numpy

from costmodel.cost import flush
from costmodel.cost.draws import Draws
from costmodel.cost.flush import EventCost
from costmodel.cost.scenario import Scenario
from costmodel.errors import MissingNumber
from costmodel.kvm.guests import guest
from costmodel.kvm.strategies import STRATEGIES, Strategy
from costmodel.kvm.triggers import trigger as trigger_of

GAPS = {
    "wrmsr": "no timing of the VM_PAGE_FLUSH MSR (0xC001011E) is public",
    "seamcall": "no timing of TDH.PHYMEM.PAGE.WBINVD or TDH.PHYMEM.CACHE.WB is public "
    "(rows S06, S07 bound the whole removal chain from above)",
    "df_flush": "no timing of DF_FLUSH or SNP_DF_FLUSH is public",
    "defer": "how many events share one flush is not published",
    "guest": "the guest's own reads are not timed by any source",
    "other": "not an x86 operation",
}

PSMASH = (
    "PSMASH is in no total: a 2 MiB entry of the reverse map table is split once when guest_memfd releases it page by "
    "page (at most one PSMASH for 512 RMPUPDATE), and no source times it"
)


NO_WBNOINVD = "this CPU has no WBNOINVD"


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


def title_on(name: str, scenario: Scenario) -> str:
    """What the strategy `name` is on the machine, in words."""
    strategy = STRATEGIES[name]
    done = executed(strategy, scenario)
    return strategy.title if done is strategy else f"{done.title} ({NO_WBNOINVD})"


def folios(trigger: str, scenario: Scenario, range_bytes: numpy.ndarray | float) -> numpy.ndarray:
    """Calls of the hook in one event: one for each folio of guest_memfd, else one."""
    if not trigger_of(trigger).per_folio:
        return numpy.ones(())
    return flush.pieces(range_bytes, scenario.folio_bytes)


def leaves_rmp(trigger: str, scenario: Scenario) -> bool:
    """Whether RMPUPDATE is due at the trigger: pages of an RMP-enforced guest go back to the host."""
    return trigger_of(trigger).leaves_rmp and guest(scenario.guest).has("rmp_enforced")


def left_out(trigger: str, scenario: Scenario) -> str:
    """What no source times and is small beside the rest, so that totals are given without it; empty where nothing is."""
    return PSMASH if leaves_rmp(trigger, scenario) and scenario.folio_bytes == flush.PAGE_BYTES else ""


def event_cost(
    strategy: Strategy, trigger: str, scenario: Scenario, draws: Draws, range_bytes: numpy.ndarray | float
) -> EventCost:
    """Cost of one event of `trigger` with a range of `range_bytes`. Raises MissingNumber with the gap."""
    cost = _flush(strategy, trigger, scenario, draws, range_bytes)
    if not leaves_rmp(trigger, scenario):
        return cost
    return flush.with_rmpupdate(draws, cost, flush.pieces(range_bytes, scenario.folio_bytes), scenario.vcpus)


def _flush(
    strategy: Strategy, trigger: str, scenario: Scenario, draws: Draws, range_bytes: numpy.ndarray | float
) -> EventCost:
    if strategy.instruction in ("wbinvd", "wbnoinvd") and strategy.scope in ("all_cpus", "mask"):
        cpus, drops = cpus_flushed(strategy, scenario), invalidates(strategy, scenario)
        calls = folios(trigger, scenario, range_bytes)
        return flush.each_folio(draws, scenario.machine, cpus, calls, invalidates=drops, packed=scenario.packed)
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
    if piece := piece_bytes(strategy, scenario):
        return flush.paged_flush(draws, scenario.machine, range_bytes, present, scenario.vcpus, page_bytes=piece)
    return flush.range_flush(draws, scenario.machine, range_bytes, present, scenario.vcpus)


def piece_bytes(strategy: Strategy, scenario: Scenario) -> float | None:
    """What a range flush takes between two fences: a page, a folio, or None where it takes the whole range."""
    return {"gmem": scenario.folio_bytes, "pinned": flush.PAGE_BYTES}.get(strategy.address_source)


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
