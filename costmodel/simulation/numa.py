"""NUMA balancing of one VM: task_tick_numa() and task_numa_work(), per vCPU thread and per mm.

Every tick of a running thread compares its run time with node_stamp + period. Where it is past, node_stamp moves on by
the period, and if the mm's numa_next_scan is due, the thread scans: it moves numa_next_scan (one winner by cmpxchg), puts
its node_stamp off by two ticks, makes the invalidation and waits for its flush, and puts node_stamp off by 32 times the
run time that took.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy

from costmodel.simulation.draws import streams
from costmodel.simulation.measure import Estimate, ratio

BATCHES = 12
PASSES_PER_BATCH = 48
LIMITER = 32


@dataclass(frozen=True)
class NumaScan:
    """`vcpus` threads that run all the time; a pass takes `pass_s`."""

    vcpus: int
    period_s: float
    pass_s: float
    tick_s: float = 0.004


def simulate(setting: NumaScan, seed: int) -> dict[str, Estimate]:
    """`passes_per_s`: scan passes per second, each of them one invalidation."""
    (rng,) = streams(seed, 1)
    stamps_s = (-setting.period_s * rng.random(setting.vcpus)).tolist()
    ticks = [(tick_s, thread) for thread, tick_s in enumerate((setting.tick_s * rng.random(setting.vcpus)).tolist())]
    heapq.heapify(ticks)
    next_scan_s, passes_s = 0.0, []
    while len(passes_s) <= (BATCHES + 1) * PASSES_PER_BATCH:
        now_s, thread = heapq.heappop(ticks)
        if now_s > stamps_s[thread] + setting.period_s:
            stamps_s[thread] += setting.period_s
            if now_s >= next_scan_s:
                next_scan_s = now_s + setting.period_s
                stamps_s[thread] += 2 * setting.tick_s + LIMITER * setting.pass_s
                passes_s.append(now_s)
                now_s += setting.pass_s
        heapq.heappush(ticks, (now_s + setting.tick_s, thread))
    edges_s = numpy.array(passes_s[PASSES_PER_BATCH::PASSES_PER_BATCH])
    return {"passes_per_s": ratio(numpy.full(BATCHES, float(PASSES_PER_BATCH)), numpy.diff(edges_s)[:BATCHES])}
