"""Answers to a broadcast: each CPU takes the interrupt when it lets interrupts in, and csd_lock_wait() waits for each.

The CPUs answer independently; the initiator goes on when the last of them has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from costmodel.simulation.draws import streams
from costmodel.simulation.measure import Estimate, half_width
from costmodel.simulation.sampling import mean_of

ROUNDS = 4000
QUANTILE_BATCHES = 40


@dataclass(frozen=True)
class Broadcast:
    """`cpus` CPUs answer after exponential delays of mean `delay_s`, or gamma ones of the same mean and of `shape`."""

    cpus: int
    delay_s: float
    shape: float = 1.0
    share: float = 0.01

    def waits_s(self, rng: numpy.random.Generator, rounds: int) -> numpy.ndarray:
        """Time until the last CPU has answered, per round."""
        delays_s = rng.gamma(self.shape, self.delay_s / self.shape, (rounds, self.cpus))
        return delays_s.max(axis=1)


def simulate(setting: Broadcast, seed: int) -> dict[str, Estimate]:
    """`slowest_s`: mean wait for the last answer; `slowest_quantile_s`: the wait that a share of the rounds exceeds."""
    (rng,) = streams(seed, 1)
    batches = setting.waits_s(rng, QUANTILE_BATCHES * ROUNDS).reshape(QUANTILE_BATCHES, -1)
    quantiles = numpy.quantile(batches, 1 - setting.share, axis=1)
    return {
        "slowest_s": mean_of(lambda: setting.waits_s(rng, ROUNDS)),
        "slowest_quantile_s": Estimate(float(quantiles.mean()), half_width(quantiles - quantiles.mean())),
    }
