"""What several guests on one host lose together.

A flush on all CPUs stops every guest's vCPUs, and leaves the next flush, whoever asks for it, fewer dirty lines. That
flushes of several guests wait for the same CPUs is left out: it makes closed loops slower, so the sum is an upper bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from costmodel.cost.draws import Draws
from costmodel.cost.flush import at_rate
from costmodel.cost.rates import event_rate
from costmodel.cost.scenario import Scenario
from costmodel.cost.strategy import mixed_cost
from costmodel.cost.totals import REFINEMENTS, Rate
from costmodel.kvm.strategies import STRATEGIES


@dataclass(frozen=True)
class Part:
    """`vms` equal guests, each in `scenario`, with the strategy of its kernel at one trigger (ids)."""

    vms: int
    scenario: Scenario
    trigger: str
    strategy: str

    @property
    def loops(self) -> int:
        """Loops that make the events: one for each guest, but one for all where a kernel thread of the host scans them."""
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
    """Events per second of all loops of each part, and the CPU time that one of them takes; none where no rate is known."""
    rates, stolen = [], []
    for part, draws in zip(parts, found, strict=True):
        entry = STRATEGIES[part.strategy]
        rate = rate_of(entry, part.trigger, part.scenario, draws)
        rates.append(numpy.zeros(draws.n) if rate is None else part.loops * rate)
        stolen.append(mixed_cost(entry, part.trigger, part.scenario, draws)[0].stolen_s)
    return rates, stolen
