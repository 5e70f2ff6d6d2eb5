"""The designed grid: settings of the simulator that cover what the contention formulas claim, and some beyond it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import product

from costmodel.simulation.address import UserAddress
from costmodel.simulation.cache import DirtyCache
from costmodel.simulation.invalidations import Invalidations
from costmodel.simulation.mask import Migrations, RandomMask
from costmodel.simulation.numa import NumaScan
from costmodel.simulation.response import Broadcast
from costmodel.validation.simulated_design import Case, points, rounded
from costmodel.validation.simulated_edges import edges

TIMES_S = (1e-4, 2e-2)
"""Flush times: a range of some MiB up to a whole cache."""


@lru_cache(maxsize=1)
def grid() -> tuple[Case, ...]:
    """All settings, each with an id of its own."""
    families = (
        _lock_open(),
        _lock_p99(),
        _lock_faults(),
        _window_parallel(),
        _retries(),
        _window_serial(),
        _closed(),
        _coalesced(),
        _queued(),
        _saturated(),
        _batches(),
        _attackers(),
        _dirty(),
        _masks(),
        _domains(),
        _broadcasts(),
        _addresses(),
        _numa(),
        edges(),
    )
    return tuple(case for family in families for case in family)


def _lock_open() -> Iterator[Case]:
    """Writers of mmu_lock that come independently; the flush under the lock or not."""
    design = points(11, 30, TIMES_S, (0.03, 0.6), (0.0, 0.25), (0.0, 1.0), (0.0, 0.9))
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


def _lock_faults() -> Iterator[Case]:
    """What faults really wait for mmu_lock: vCPUs that fault outside the invalidated region, short read holds."""
    for index, (hold_s, load) in enumerate(points(25, 7, TIMES_S, (0.15, 0.5))):
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


def _lock_p99() -> Iterator[Case]:
    """The 99th percentile of the wait, at loads at which it is below one hold."""
    for index, (hold_s, load) in enumerate(points(12, 10, TIMES_S, (0.03, 0.12))):
        setting = Invalidations(
            flush_s=(hold_s,), rate_per_s=load / hold_s, placement="under_mmu_lock", work_s=hold_s / 10
        )
        outputs = {"lock_wait": "lock_wait", "lock_wait_quantile": "lock_wait_quantile@0.01"}
        yield Case(f"lock-p99-{index:02d}", "lock_open", setting, outputs, share=0.01)


def _window_parallel() -> Iterator[Case]:
    """Range flushes outside mmu_lock: windows that overlap."""
    design = points(13, 36, TIMES_S, (0.1, 1.2), (0.01, 0.4), (0.0, 0.8))
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


def _retries() -> Iterator[Case]:
    """vCPUs that fault and retry while invalidations are in progress; each is stalled for a small part of its time."""
    design = points(26, 8, TIMES_S, (0.3, 1.0), (0.1, 0.4))
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


def _window_serial() -> Iterator[Case]:
    """Whole-cache flushes: the CPUs execute them one initiator after the other, then the caller goes on by itself."""
    design = points(14, 36, TIMES_S, (0.05, 0.6), (0.0, 0.8), (1.0, 4.99), (0.01, 0.4))
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


def _closed() -> Iterator[Case]:
    """One thread that waits for its own flush."""
    for index, (flush_s, busy, range_fraction, end_share) in enumerate(
        points(15, 28, TIMES_S, (0.1, 0.9), (0.02, 0.5), (0.0, 0.2))
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


def _coalesced() -> Iterator[Case]:
    for index, (flush_s, load) in enumerate(points(16, 18, TIMES_S, (0.1, 4.0))):
        setting = Invalidations(
            flush_s=(flush_s,), rate_per_s=load / flush_s, whole_cache=True, coalesced=True, cpus=1 + index % 8
        )
        outputs = {"coalesced_batch": "batch", "coalesced_busy": "stopped_fraction", "coalesced_latency": "latency"}
        yield Case(f"coalesced-{index:02d}", "line", setting, outputs)


def _queued() -> Iterator[Case]:
    for index, (flush_s, load) in enumerate(points(17, 16, TIMES_S, (0.05, 0.7))):
        setting = Invalidations(flush_s=(flush_s,), rate_per_s=load / flush_s, whole_cache=True, cpus=1 + index % 8)
        yield Case(f"queued-{index:02d}", "line", setting, {"queued_latency": "latency"})


def _saturated() -> Iterator[Case]:
    """Threads enough to keep mmu_lock busy all the time: what goes through is the saturation rate."""
    for index, (hold_s, end_share, threads) in enumerate(points(18, 8, TIMES_S, (0.0, 0.4), (6, 16))):
        setting = Invalidations(
            flush_s=(hold_s,),
            threads=int(threads),
            sleep_s=hold_s / 10,
            placement="under_mmu_lock",
            end_hold_s=hold_s * end_share,
        )
        yield Case(f"saturated-{index:02d}", "saturated", setting, {"lock_saturation": "rate_per_s"})


def _batches() -> Iterator[Case]:
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


def _attackers() -> Iterator[Case]:
    """One thread that forces flushes in a loop; the CPU time it takes from all CPUs."""
    for index, (flush_s, think) in enumerate(points(20, 8, TIMES_S, (0.02, 2.0))):
        setting = Invalidations(
            flush_s=(flush_s,), threads=1, sleep_s=think * flush_s, whole_cache=True, cpus=2 ** (index % 5)
        )
        yield Case(f"attacker-{index:02d}", "attacker", setting, {"forced_loss": "stopped_fraction"})


def _dirty() -> Iterator[Case]:
    for index, (lines, gap_s, writes) in enumerate(points(21, 30, (256, 1024), (1e-3, 1.0), (0.03, 4.0))):
        random = index % 3 > 0
        setting = DirtyCache(int(lines), writes * int(lines) / gap_s, gap_s, random)
        output = "dirty_at_flush" if random else "dirty_at_flush_regular"
        yield Case(f"dirty-{index:02d}", "dirty", setting, {output: "dirty_fraction"})


def _masks() -> Iterator[Case]:
    """Few vCPUs on many CPUs; each migration goes to another CPU."""
    names = {"poisson": "mask_cpus", "fixed": "mask_after_migrations", "geometric": "mask_between_flushes"}
    for index, (allowed, vcpus, fill) in enumerate(points(22, 36, (16, 160), (1, 8), (0.05, 2.5))):
        count = tuple(names)[index % 3]
        setting = Migrations(int(allowed), int(vcpus), round(fill * allowed), count)
        yield Case(f"mask-{index:02d}", "mask", setting, {names[count]: "mask_cpus"})


def _domains() -> Iterator[Case]:
    for index, (domains, per_domain, share) in enumerate(points(23, 16, (2, 16.99), (4, 16.99), (0.02, 0.9))):
        cpus = int(domains) * int(per_domain)
        setting = RandomMask(int(domains), int(per_domain), max(1, round(share * cpus)))
        yield Case(f"domains-{index:02d}", "domains", setting, {"domains_touched": "domains_touched"})


def _broadcasts() -> Iterator[Case]:
    outputs = {"slowest_response": "slowest_s", "slowest_response_quantile": "slowest_quantile_s"}
    for index, (cpus, share) in enumerate(product((1, 3, 8, 24, 72, 192), (0.01, 0.1))):
        setting = Broadcast(cpus, delay_s=1e-5 * (1 + index), share=share)
        yield Case(f"broadcast-{index:02d}", "broadcast", setting, outputs, share=share)


def _addresses() -> Iterator[Case]:
    for index, (rate, pages, same) in enumerate(points(24, 14, (10.0, 1e4), (1, 200), (0.02, 1.5))):
        setting = UserAddress(rate, int(pages), same * int(pages) / rate)
        yield Case(f"address-{index:02d}", "address", setting, {"missed_flushes": "missed_per_s"})


def _numa() -> Iterator[Case]:
    """Scans bound by the limiter of few threads, or by the period of many; in between turns are lost."""
    settings = ((1, 1.0, 0.004), (1, 0.1, 0.02), (2, 0.1, 0.04), (4, 0.2, 0.1), (32, 0.1, 0.002), (24, 0.1, 0.004))
    for index, (vcpus, period_s, pass_s) in enumerate(settings):
        setting = NumaScan(vcpus, period_s, pass_s, tick_s=0.002)
        yield Case(f"numa-{index:02d}", "numa", setting, {"numa_rate": "passes_per_s"})
