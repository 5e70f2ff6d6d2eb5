"""Settings of the grid about the window in which an invalidation is in progress: stalls, merged ranges, retries."""

from __future__ import annotations

import math
from collections.abc import Iterator

from costmodel.simulation.invalidations import Invalidations
from costmodel.validation.simulated_design import FLUSH_TIMES_S, Case, points, rounded


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
