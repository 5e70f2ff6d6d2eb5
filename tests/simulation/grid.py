"""The designed grid: settings of the simulator that cover what the contention formulas claim, and some beyond it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product

import numpy
from scipy.stats.qmc import LatinHypercube

from tests.simulation.invalidations import Invalidations
from tests.simulation.samples import (
    AT_ONCE,
    IN_TURN,
    SHARES,
    Broadcast,
    DirtyCache,
    Migrations,
    NumaScan,
    RandomMask,
    UserAddress,
    WholeCache,
)

# What a simulated setting is, and points that fill a space evenly.

SIGNIFICANT = 4
FLUSH_TIMES_S = (1e-4, 2e-2)
"""Flush times of the grid: a range of some MiB up to a whole cache."""


@dataclass(frozen=True)
class Case:
    """One setting of the simulator and the outputs to compare: {formula id: simulated output}.

    `limits` are, by formula id, the stated limits of validity beyond which the setting lies; `share` is that of a
    quantile.
    """

    id: str
    family: str
    setting: object
    outputs: dict[str, str]
    limits: dict[str, str] = field(default_factory=dict)
    share: float = 0.0


def points(seed: int, count: int, *ranges: tuple[float, float]) -> Iterator[list[float]]:
    """`count` points of a Latin hypercube over `ranges`; a range whose ends are a factor of 5 apart is logarithmic."""
    for unit in LatinHypercube(len(ranges), rng=numpy.random.default_rng(seed)).random(count):
        yield [rounded(_place(share, *ends)) for share, ends in zip(unit, ranges, strict=True)]


def _place(share: float, low: float, high: float) -> float:
    if low > 0 and high / low > 5:
        return float(low * (high / low) ** share)
    return float(low + (high - low) * share)


def rounded(value: float) -> float:
    """`value` with the digits that a setting carries."""
    return float(f"{value:.{SIGNIFICANT}g}")


# Settings of the grid about flushes one after the other: whole caches in line, batches of a thread, attackers.


def coalesced() -> Iterator[Case]:
    """Whole-cache flushes of which those that wait share the next one."""
    for index, (flush_s, load) in enumerate(points(16, 18, FLUSH_TIMES_S, (0.1, 4.0))):
        setting = Invalidations(
            flush_s=(flush_s,), rate_per_s=load / flush_s, whole_cache=True, coalesced=True, cpus=1 + index % 8
        )
        outputs = {"coalesced_batch": "batch", "coalesced_busy": "stopped_fraction", "coalesced_latency": "latency"}
        yield Case(f"coalesced-{index:02d}", "line", setting, outputs)


def queued() -> Iterator[Case]:
    """Whole-cache flushes, each event with one of its own, in line."""
    for index, (flush_s, load) in enumerate(points(17, 16, FLUSH_TIMES_S, (0.05, 0.7))):
        setting = Invalidations(flush_s=(flush_s,), rate_per_s=load / flush_s, whole_cache=True, cpus=1 + index % 8)
        yield Case(f"queued-{index:02d}", "line", setting, {"queued_latency": "latency"})


def batches() -> Iterator[Case]:
    """ksmd: a batch of pages, two kinds of events per merged page, each waited for; then it sleeps."""
    for index, (flush_s, ratio, fraction, sleep) in enumerate(
        points(19, 20, (1e-4, 5e-3), (0.2, 1.0), (0.02, 1.0), (0.2, 5.0))
    ):
        pages = (20, 50, 100)[index % 3]
        setting = Invalidations(
            flush_s=(flush_s, flush_s * ratio),
            threads=1 + index % 2,
            pages=pages,
            page_fraction=fraction,
            sleep_s=sleep * pages * fraction * flush_s,
            sleep_random=False,
        )
        outputs = {"closed_rate": "first_kind_rate_per_s" if index % 2 else "last_kind_rate_per_s"}
        yield Case(f"batch-{index:02d}", "closed", setting, outputs)


def attackers() -> Iterator[Case]:
    """One thread that forces flushes in a loop; the CPU time it takes from all CPUs."""
    for index, (flush_s, think) in enumerate(points(20, 8, FLUSH_TIMES_S, (0.02, 2.0))):
        setting = Invalidations(
            flush_s=(flush_s,), threads=1, sleep_s=think * flush_s, whole_cache=True, cpus=2 ** (index % 5)
        )
        yield Case(f"attacker-{index:02d}", "attacker", setting, {"forced_loss": "stopped_fraction"})


# Settings of the grid about mmu_lock: how busy it is, how long writers and faults wait for it, its saturation.


def lock_open() -> Iterator[Case]:
    """Writers of mmu_lock that come independently; the flush under the lock or not."""
    design = points(11, 30, FLUSH_TIMES_S, (0.03, 0.6), (0.0, 0.25), (0.0, 1.0), (0.0, 0.9))
    for index, (hold_s, load, end_share, work, under) in enumerate(design):
        end_hold_s = hold_s * end_share * (index % 3 > 0)
        rate = load / (hold_s + end_hold_s)
        outputs = {"lock_busy": "lock_busy", "lock_wait": "lock_wait", "in_progress": "in_progress"}
        share = rounded(math.sqrt(load * max(1 - (1 - load) * math.exp(load), 1e-3)))
        if not end_hold_s:
            outputs["lock_wait_quantile"] = f"lock_wait_quantile@{share}"
        setting = Invalidations(
            flush_s=(hold_s * under,),
            zap_s=hold_s * (1 - under),
            rate_per_s=rate,
            placement="under_mmu_lock",
            work_s=work / rate,
            end_hold_s=end_hold_s,
        )
        yield Case(f"lock-open-{index:02d}", "lock_open", setting, outputs, share=share)


def lock_faults() -> Iterator[Case]:
    """What faults really wait for mmu_lock: vCPUs that fault outside the invalidated region, short read holds."""
    for index, (hold_s, load) in enumerate(points(25, 7, FLUSH_TIMES_S, (0.15, 0.5))):
        rate = load / hold_s
        setting = Invalidations(
            flush_s=(hold_s,),
            rate_per_s=rate,
            placement="under_mmu_lock",
            range_fraction=1e-4,
            region_fraction=1e-3,
            vcpus=24,
            think_s=16 / rate,
            read_hold_s=hold_s / 2000,
            fault_work_s=hold_s / 100,
            retry_loop_s=hold_s / 10,
        )
        outputs = {"lock_busy": "lock_busy", "lock_wait": "lock_wait_of_faults"}
        yield Case(f"lock-faults-{index:02d}", "lock_open", setting, outputs)


def lock_p99() -> Iterator[Case]:
    """The 99th percentile of the wait, at loads at which it is below one hold."""
    for index, (hold_s, load) in enumerate(points(12, 10, FLUSH_TIMES_S, (0.03, 0.12))):
        setting = Invalidations(
            flush_s=(hold_s,), rate_per_s=load / hold_s, placement="under_mmu_lock", work_s=hold_s / 10
        )
        outputs = {"lock_wait": "lock_wait", "lock_wait_quantile": "lock_wait_quantile@0.01"}
        yield Case(f"lock-p99-{index:02d}", "lock_open", setting, outputs, share=0.01)


def saturated() -> Iterator[Case]:
    """Threads enough to keep mmu_lock busy all the time: what goes through is the saturation rate."""
    for index, (hold_s, end_share, threads) in enumerate(points(18, 8, FLUSH_TIMES_S, (0.0, 0.4), (6, 16))):
        setting = Invalidations(
            flush_s=(hold_s,),
            threads=int(threads),
            sleep_s=hold_s / 10,
            placement="under_mmu_lock",
            end_hold_s=hold_s * end_share,
        )
        yield Case(f"saturated-{index:02d}", "saturated", setting, {"lock_saturation": "rate_per_s"})


# Settings of the grid about what a flush meets: dirty lines, CPUs that ran a guest, interrupts, addresses, scans.


def dirty() -> Iterator[Case]:
    """Lines dirtied between two flushes, written at random or one after the other."""
    for index, (lines, gap_s, writes) in enumerate(points(21, 30, (256, 1024), (1e-3, 1.0), (0.03, 4.0))):
        random = index % 3 > 0
        setting = DirtyCache(int(lines), writes * int(lines) / gap_s, gap_s, random)
        output = "dirty_at_flush" if random else "dirty_at_flush_regular"
        yield Case(f"dirty-{index:02d}", "dirty", setting, {output: "dirty_fraction"})


def masks() -> Iterator[Case]:
    """Few vCPUs on many CPUs; each migration goes to another CPU."""
    names = {"poisson": "mask_cpus", "fixed": "mask_after_migrations", "geometric": "mask_between_flushes"}
    for index, (allowed, vcpus, fill) in enumerate(points(22, 36, (16, 160), (1, 8), (0.05, 2.5))):
        count = tuple(names)[index % 3]
        setting = Migrations(int(allowed), int(vcpus), round(fill * allowed), count)
        yield Case(f"mask-{index:02d}", "mask", setting, {names[count]: "mask_cpus"})


def domains() -> Iterator[Case]:
    """Cache domains that a random set of CPUs touches."""
    for index, (domains, per_domain, share) in enumerate(points(23, 16, (2, 16.99), (4, 16.99), (0.02, 0.9))):
        cpus = int(domains) * int(per_domain)
        setting = RandomMask(int(domains), int(per_domain), max(1, round(share * cpus)))
        yield Case(f"domains-{index:02d}", "domains", setting, {"domains_touched": "domains_touched"})


def broadcasts() -> Iterator[Case]:
    """Interrupt rounds: the slowest of independent responses."""
    outputs = {"slowest_response": "slowest_s", "slowest_response_quantile": "slowest_quantile_s"}
    for index, (cpus, share) in enumerate(product((1, 3, 8, 24, 72, 192), (0.01, 0.1))):
        setting = Broadcast(cpus, delay_s=1e-5 * (1 + index), share=share)
        yield Case(f"broadcast-{index:02d}", "broadcast", setting, outputs, share=share)


def addresses() -> Iterator[Case]:
    """Flushes through a user address whose PTE another event on the same page may have cleared."""
    for index, (rate, pages, same) in enumerate(points(24, 14, (10.0, 1e4), (1, 200), (0.02, 1.5))):
        setting = UserAddress(rate, int(pages), same * int(pages) / rate)
        yield Case(f"address-{index:02d}", "address", setting, {"missed_flushes": "missed_per_s"})


def numa() -> Iterator[Case]:
    """Scans bound by the limiter of few threads, or by the period of many; in between turns are lost."""
    settings = ((1, 1.0, 0.004), (1, 0.1, 0.02), (2, 0.1, 0.04), (4, 0.2, 0.1), (32, 0.1, 0.002), (24, 0.1, 0.004))
    for index, (vcpus, period_s, pass_s) in enumerate(settings):
        setting = NumaScan(vcpus, period_s, pass_s, tick_s=0.002)
        yield Case(f"numa-{index:02d}", "numa", setting, {"numa_rate": "passes_per_s"})


# Settings of the grid about the whole cache: one domain that its cores walk, flushes in line, answers that take as
# long.
#
# Each family tests the formulas that it names. What simulation and formula share are the numbers of the setting: the
# times per line, the shares of lines and the number of cores; which exponent a way to walk means (one after the other s
# = 1, at once s = 0; WBNOINVD one after the other r = 1) is in tests/simulation/predicted.py. Domains are a few hundred
# lines instead of half a million, so that a setting takes a second: all terms are linear in them.

LINE_S = 1e-9
SHARED = "valid lines are walked by one core: cores that walk at once share them, which takes less (upper bound)"
OVERLAP = "walk and write-back add up: cores that walk at once write while others walk (upper bound)"
DIVIDED = "0 <= s: cores that walk a share of the lines each take less (upper bound)"
FOUND_EMPTY = (
    "each flush costs alike: one in line behind another finds what that left (upper bound of time, lower of number)"
)
HELD = "cores are held until their domain is done: those that walk first go on before (upper bound)"


def walks() -> Iterator[Case]:
    """domain_flush: cores of a domain that walk it one after the other, or at once where nothing is valid, or where
    WBNOINVD leaves what is clean valid for each.
    """
    for index, (cores, valid, dirty, valid_s, write_s) in enumerate(
        points(41, 12, (1, 8.99), (0.0, 1.0), (0.0, 0.6), (0.3, 3.0), (0.3, 3.0))
    ):
        walk, invalidates = (IN_TURN, index % 3 > 0) if index % 4 else (AT_ONCE, index % 8 == 0)
        if walk == AT_ONCE:
            valid, dirty = (0.0 if invalidates else valid), 0.0
        setting = WholeCache(
            int(cores), 400, valid, dirty, LINE_S, valid_s * LINE_S, write_s * LINE_S, walk, invalidates=invalidates
        )
        yield Case(f"walk-{index:02d}", "whole", setting, {"domain_flush": "flush_s"})


def in_line() -> Iterator[Case]:
    """Flushes that several CPUs ask of the whole host at once, of caches that hold nothing: each takes its whole
    time.
    """
    for index, (cores, initiators, share) in enumerate(points(42, 6, (1, 8.99), (2, 8.99), (0.5, 0.95))):
        walk = (IN_TURN, AT_ONCE)[index % 2]
        flush_s = 200 * LINE_S * (int(cores) if walk == IN_TURN else 1)
        setting = WholeCache(
            int(cores),
            200,
            0.0,
            0.0,
            LINE_S,
            LINE_S,
            LINE_S,
            walk,
            initiators=int(initiators),
            limit_s=share * int(initiators) * flush_s,
        )
        outputs = {"initiators_at_limit": "initiators_in_line"}
        if walk == AT_ONCE:
            outputs["stolen_whole_cache"] = "stolen_s"
        yield Case(f"in-line-{index:02d}", "whole", setting, outputs)


def answers() -> Iterator[Case]:
    """slowest_response and its quantile at the length of a whole-cache flush: each CPU takes a random time of that
    mean.
    """
    outputs = {"slowest_response": "slowest_s", "slowest_response_quantile": "slowest_quantile_s"}
    for index, cpus in enumerate((16, 64, 128, 256)):
        setting = Broadcast(cpus, delay_s=1e-3 * (1 + 3 * index), share=0.1)
        yield Case(f"answers-{index:02d}", "broadcast", setting, outputs, share=0.1)


def whole_edges() -> Iterator[Case]:
    """Beyond what domain_flush, stolen_whole_cache and initiators_at_limit state."""

    def one(name: str, outputs: dict[str, str], limit: str, *numbers: object, **more: object) -> Case:
        cores, valid, dirty, walk = numbers
        setting = WholeCache(cores, 400, valid, dirty, LINE_S, LINE_S, LINE_S, walk, **more)
        return Case(f"edge-whole-{name}", "whole", setting, outputs, limits=dict.fromkeys(outputs, limit))

    domain = {"domain_flush": "flush_s"}
    yield one("shared", domain, SHARED, 8, 0.8, 0.0, AT_ONCE)
    yield one("overlap", domain, OVERLAP, 8, 0.8, 0.5, AT_ONCE)
    yield one("divided", domain, DIVIDED, 8, 0.8, 0.0, SHARES)
    yield one("held", {"stolen_whole_cache": "stolen_s"}, HELD, 8, 0.5, 0.1, IN_TURN)
    line = {"initiators_at_limit": "initiators_in_line"}
    found_empty = {"initiators": 6, "limit_s": 1.2e-6}
    yield one("found-empty", line, FOUND_EMPTY, 1, 0.8, 0.3, IN_TURN, **found_empty)
    yield one("found-clean", line, FOUND_EMPTY, 1, 0.8, 0.3, IN_TURN, invalidates=False, **found_empty)
    yield one("stolen-in-line", {"stolen_whole_cache": "stolen_s"}, FOUND_EMPTY, 4, 0.8, 0.3, AT_ONCE, initiators=6)


# Settings of the grid about the window in which an invalidation is in progress: stalls, merged ranges, retries.


def window_parallel() -> Iterator[Case]:
    """Range flushes outside mmu_lock: windows that overlap."""
    design = points(13, 36, FLUSH_TIMES_S, (0.1, 1.2), (0.01, 0.4), (0.0, 0.8))
    for index, (window_s, overlap, range_fraction, own) in enumerate(design):
        share = _stall_share(overlap, range_fraction)
        setting = Invalidations(
            flush_s=(window_s * (1 - own),),
            work_s=window_s * own,
            rate_per_s=overlap / window_s,
            placement=("after_unlock", "after_srcu")[index % 2],
            range_fraction=range_fraction,
        )
        outputs = {
            "in_progress": "in_progress",
            "window_stall": "window_stall",
            "merged_fraction": "merged_fraction",
            "fault_stall": "fault_stall",
            "stall_quantile": f"stall_quantile@{share}",
        }
        yield Case(f"window-parallel-{index:02d}", "window", setting, outputs, share=share)


def _stall_share(overlap: float, range_fraction: float) -> float:
    """A share of the faults whose stall is near half a window, so that the quantile lies well inside one."""
    inside = range_fraction + (1 - range_fraction) * overlap / 3
    return rounded(inside * (1 - math.exp(-overlap) * (1 + overlap / 2)))


def retries() -> Iterator[Case]:
    """vCPUs that fault and retry while invalidations are in progress; each is stalled for a small part of its time."""
    design = points(26, 8, FLUSH_TIMES_S, (0.3, 1.0), (0.1, 0.4))
    for index, (window_s, overlap, range_fraction) in enumerate(design):
        setting = Invalidations(
            flush_s=(window_s,),
            rate_per_s=overlap / window_s,
            range_fraction=range_fraction,
            vcpus=64,
            think_s=64 * window_s,
            fault_work_s=window_s / 200,
            read_hold_s=window_s / 2000,
            retry_loop_s=window_s / 20,
        )
        yield Case(f"retries-{index:02d}", "window", setting, {"retries_per_fault": "retries"})


def window_serial() -> Iterator[Case]:
    """Whole-cache flushes: the CPUs execute them one initiator after the other, then the caller goes on by itself."""
    design = points(14, 36, FLUSH_TIMES_S, (0.05, 0.6), (0.0, 0.8), (1.0, 4.99), (0.01, 0.4))
    for index, (flush_s, load, overlap, cpus, range_fraction) in enumerate(design):
        rate = load / flush_s
        setting = Invalidations(
            flush_s=(flush_s,),
            whole_cache=True,
            cpus=2 ** int(cpus),
            rate_per_s=rate,
            zap_s=flush_s / 100,
            work_s=overlap / rate * (index % 4 > 0),
            placement=("after_unlock", "after_srcu")[index % 2],
            range_fraction=range_fraction,
        )
        outputs = {"in_progress": "in_progress", "window_stall": "window_stall"}
        if load > 0.25:
            outputs |= {"merged_fraction": "merged_fraction", "fault_stall": "fault_stall"}
        yield Case(f"window-serial-{index:02d}", "window", setting, outputs)


def closed() -> Iterator[Case]:
    """One thread that waits for its own flush."""
    for index, (flush_s, busy, range_fraction, end_share) in enumerate(
        points(15, 28, FLUSH_TIMES_S, (0.1, 0.9), (0.02, 0.5), (0.0, 0.2))
    ):
        under = index % 2 == 0
        zap_s, end_hold_s = flush_s / 20, flush_s * end_share * (index % 3 == 0)
        sleep_s = flush_s * (1 - busy) / busy
        outputs = {"closed_rate": "rate_per_s", "in_progress_closed": "in_progress"}
        share = 0.01
        if under:
            outputs |= {"lock_busy": "lock_busy", "lock_wait": "lock_wait"}
            if not end_hold_s:
                outputs["lock_wait_quantile"] = f"lock_wait_quantile@{share}"
        else:
            share = rounded(min(0.01, range_fraction * busy / 2))
            outputs |= {
                "merged_fraction": "merged_fraction",
                "fault_stall": "fault_stall",
                "stall_quantile_closed": f"stall_quantile@{share}",
            }
        faults = not under and busy < 0.7 and range_fraction > 0.12
        if faults:
            outputs["retries_per_fault"] = "retries"
        setting = Invalidations(
            flush_s=(flush_s,),
            threads=1,
            sleep_s=sleep_s,
            sleep_random=index % 5 > 0,
            placement="under_mmu_lock" if under else "after_srcu",
            whole_cache=index % 3 == 1,
            zap_s=zap_s,
            work_s=flush_s / 10,
            end_hold_s=end_hold_s,
            range_fraction=range_fraction,
            vcpus=48 * faults,
            think_s=48 * (flush_s + sleep_s),
            fault_work_s=flush_s / 200,
            read_hold_s=flush_s / 2000,
            retry_loop_s=flush_s / 25,
        )
        yield Case(f"closed-{index:02d}", "closed", setting, outputs, share=share)


# Settings beyond what a formula claims: how far off it is there, with the limit that says so.

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


# The designed grid: settings of the simulator that cover what the contention formulas claim, and some beyond it.


@lru_cache(maxsize=1)
def grid() -> tuple[Case, ...]:
    """All settings, each with an id of its own."""
    families = (
        lock_open(),
        lock_p99(),
        lock_faults(),
        window_parallel(),
        retries(),
        window_serial(),
        closed(),
        coalesced(),
        queued(),
        saturated(),
        batches(),
        attackers(),
        dirty(),
        masks(),
        domains(),
        broadcasts(),
        addresses(),
        numa(),
        edges(),
        walks(),
        in_line(),
        answers(),
        whole_edges(),
    )
    return tuple(case for family in families for case in family)
