"""Settings of the grid about mmu_lock: how busy it is, how long writers and faults wait for it, its saturation."""

from __future__ import annotations

import math
from collections.abc import Iterator

from costmodel.simulation.invalidations import Invalidations
from costmodel.validation.simulated_design import FLUSH_TIMES_S, Case, points, rounded


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
