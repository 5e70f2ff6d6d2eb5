"""Settings beyond what a formula claims: how far off it is there, with the limit that says so."""

from __future__ import annotations

from collections.abc import Iterator

from costmodel.simulation.cache import DirtyCache
from costmodel.simulation.invalidations import Invalidations
from costmodel.simulation.mask import Migrations
from costmodel.simulation.numa import NumaScan
from costmodel.simulation.response import Broadcast
from costmodel.validation.simulated_design import Case

T_S = 1e-3
"""Flush time or hold of every edge: only ratios matter."""
THREADS = "one thread: several that flush the same CPUs wait for each other"
READERS = "short read holds: long ones lengthen the writers' line"
COVERED = "faults outside the merged range: those inside retry until none is in progress"
STALE = "one take of the lock: a fault whose sequence count changed meanwhile takes it again"
POPULATION = "faults at random moments: a vCPU that waits does not fault meanwhile"
GAPS = "loop much shorter than the window and than the gaps between windows"
BURSTS = "independent arrivals"
OTHERS = "one VM: others that flush the same CPUs lengthen its windows"
EVICTION = "natural write-back between flushes left out (upper bound)"
NEAR = "uniform destinations: a scheduler that stays near fills the mask more slowly"
IDLE = "few vCPUs: one that picks CPUs without a vCPU of the guest fills it faster"
DELAYS = "independent exponential delays of one mean"
CEILING = "a ceiling: a thread that loses its turn to scan waits for another period"
WORK = "work other than flushing is not counted (rate ceiling)"


def edges() -> Iterator[Case]:
    """One or a few settings per limit."""
    for threads in (2, 6):
        setting = Invalidations(flush_s=(T_S,), threads=threads, sleep_s=threads * T_S, whole_cache=True)
        outputs = {"closed_rate": "rate_per_s", "in_progress_closed": "in_progress"}
        yield _edge(f"threads-{threads}", "closed", setting, outputs, THREADS)
    readers = _lock(0.3, vcpus=16, think_s=2 * T_S, read_hold_s=T_S / 4)
    yield _edge("readers", "lock_open", readers, {"lock_wait": "lock_wait_of_faults"}, READERS)
    few = _lock(0.4, vcpus=1, think_s=T_S / 5, read_hold_s=T_S / 1000)
    yield _edge("population", "lock_open", few, {"lock_wait": "lock_wait_of_faults"}, POPULATION)
    covered = _lock(0.3, vcpus=8, think_s=30 * T_S, read_hold_s=T_S / 1000, range_fraction=0.5)
    yield _edge("covered", "lock_open", covered, {"lock_wait": "wait_of_faults"}, COVERED)
    stale = _lock(0.5, vcpus=24, think_s=32 * T_S, read_hold_s=T_S / 1000)
    yield _edge("stale", "lock_open", stale, {"lock_wait": "wait_of_faults"}, STALE)
    bursts = Invalidations(flush_s=(T_S,), rate_per_s=0.3 / T_S, burst=4, placement="under_mmu_lock")
    yield _edge("bursts", "lock_open", bursts, {"lock_wait": "lock_wait", "in_progress": "in_progress"}, BURSTS)
    gaps = Invalidations(
        flush_s=(T_S,),
        threads=1,
        sleep_s=T_S / 10,
        range_fraction=0.3,
        vcpus=24,
        think_s=64 * T_S,
        fault_work_s=T_S / 200,
        retry_loop_s=T_S / 20,
    )
    yield _edge("gaps", "closed", gaps, {"retries_per_fault": "retries"}, GAPS)
    neighbours = Invalidations(flush_s=(T_S,), rate_per_s=0.12 / T_S, vms=5, whole_cache=True)
    yield _edge("neighbours", "window", neighbours, {"in_progress": "in_progress"}, OTHERS)
    evicted = DirtyCache(512, 512.0, 1.0, True, evictions_per_s=256.0)
    yield _edge("eviction", "dirty", evicted, {"dirty_at_flush": "dirty_fraction"}, EVICTION)
    yield _edge("near", "mask", Migrations(64, 4, 64, to="near"), {"mask_cpus": "mask_cpus"}, NEAR)
    yield _edge("idle", "mask", Migrations(64, 24, 32, to="idle"), {"mask_cpus": "mask_cpus"}, IDLE)
    outputs = {"slowest_response": "slowest_s"}
    yield _edge("delays", "broadcast", Broadcast(32, 1e-5, shape=4.0), outputs, DELAYS)
    yield _edge("turns", "numa", NumaScan(4, 0.1, 0.01), {"numa_rate": "passes_per_s"}, CEILING)
    busy = Invalidations(flush_s=(T_S,), threads=1, pages=50, sleep_s=0.02, work_s=T_S, range_fraction=0.1)
    yield _edge("work", "flush_only", busy, {"closed_rate": "rate_per_s"}, WORK)


def _lock(load: float, **more: float) -> Invalidations:
    common = {"range_fraction": 0.001, "region_fraction": 0.001, "retry_loop_s": T_S / 50}
    if "range_fraction" in more:
        common["region_fraction"] = 1.0
    return Invalidations(flush_s=(T_S,), rate_per_s=load / T_S, placement="under_mmu_lock", **{**common, **more})


def _edge(name: str, family: str, setting: object, outputs: dict[str, str], limit: str) -> Case:
    return Case(f"edge-{name}", family, setting, outputs, limits=dict.fromkeys(outputs, limit), share=0.01)
