"""What waits for a flush: mmu_lock, page faults, memslot updates, by the placement of the hook.

Only what the flush itself adds is counted: SPTE zap, remote TLB flush and the caller's own work in the window are the
same for every placement and strategy, and no source times them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from costmodel.cost.scenario import Scenario
from costmodel.cost.total import Total
from costmodel.formulas.compiled import value
from costmodel.kvm.catalog import PLACEMENTS, STRATEGIES

P99_SHARE = 0.01
TINY_RATE = 1e-12
"""Stands for no events where a formula divides by the rate."""


@dataclass(frozen=True)
class Contention:
    """Arrays over the draws. A fault's wait is counted in time in which its vCPU could run: while its own CPU executes
    a whole-cache flush it stands still (`standstill_fraction`) and cannot fault. `saturation_rate_per_s` is the rate of
    an open trigger at which lock or CPUs saturate. `faults_that_retry_fraction`: share of the faults that meet a window
    over their gfn and go round until it closes, `retry_mean_s`: for how long.
    """

    placement: str
    lock_busy_fraction: numpy.ndarray
    in_progress_fraction: numpy.ndarray
    standstill_fraction: numpy.ndarray
    fault_wait_mean_s: numpy.ndarray
    fault_wait_p99_s: numpy.ndarray | None
    memslot_wait_mean_s: numpy.ndarray
    saturation_rate_per_s: numpy.ndarray | None
    faults_that_retry_fraction: numpy.ndarray
    retry_mean_s: numpy.ndarray


def contention(cost: Total, scenario: Scenario, placement: str) -> Contention | None:
    """Waits under `cost`'s strategy with the hook at `placement`; None where nothing flushes or nobody knows a rate."""
    if cost.event is None or cost.rate_per_s is None or not numpy.all(cost.event.time_s > 0):
        return None
    whole = STRATEGIES[cost.strategy].whole_cache
    under = placement == "under_mmu_lock"
    gmem = placement == "gmem_window"  # filemap_invalidate_lock lets one hole in at a time; no memslot update waits
    in_line = whole or under or gmem
    inside = PLACEMENTS[placement].admissible
    rate, time_s = cost.rate_per_s, cost.event.time_s
    alone = Window(rate, time_s * inside, serial=in_line, closed=cost.closed)
    standing_s = cost.event.irq_off_s if whole else numpy.zeros_like(time_s)
    running = Window(rate, (time_s - standing_s) * inside, serial=under or gmem, closed=cost.closed)
    hold_s = value("lock_hold", zap_s=0.0, under_lock=float(under), flush_s=running.length_s)
    share = range_fraction(scenario, cost.trigger)
    merged = running.merged(share)
    mean, p99 = _lock_waits(rate, hold_s, cost.closed) if under else _stalls(running, share)
    if in_line and not cost.closed:  # no end to the line: no fault has a mean
        endless = rate * time_s * inside >= 1
        mean = numpy.where(endless, numpy.inf, mean)
        p99 = None if p99 is None else numpy.where(endless, numpy.inf, p99)
    return Contention(
        placement=placement,
        lock_busy_fraction=value(
            "lock_busy",
            rate_per_s=rate,
            hold_s=value("lock_hold", zap_s=0.0, under_lock=float(under), flush_s=time_s),
            end_hold_s=0.0,
        ),
        in_progress_fraction=alone.in_progress,
        standstill_fraction=numpy.minimum(1.0, rate * standing_s),
        fault_wait_mean_s=mean,
        fault_wait_p99_s=p99,
        memslot_wait_mean_s=numpy.zeros_like(time_s) if gmem else _memslot_wait_s(alone),
        saturation_rate_per_s=None if cost.closed or not in_line else 1.0 / time_s,
        faults_that_retry_fraction=merged * running.in_progress,
        retry_mean_s=running.stall_s,
    )


@dataclass(frozen=True)
class Window:
    """The part of a window that the flush makes: `length_s` (n,), for which events wait in line if `serial`."""

    rate_per_s: numpy.ndarray
    length_s: numpy.ndarray
    serial: bool
    closed: bool

    @property
    def _parts(self) -> dict[str, numpy.ndarray]:
        return {"serial_s": self.length_s * self.serial, "parallel_s": self.length_s * (not self.serial)}

    @property
    def in_progress(self) -> numpy.ndarray:
        """Share of time in progress."""
        if self.closed:
            return value("in_progress_closed", rate_per_s=self.rate_per_s, window_s=self.length_s)
        return value("in_progress", rate_per_s=self.rate_per_s, **self._parts)

    @property
    def stall_s(self) -> numpy.ndarray:
        """Mean time until none is in progress, met at a random moment in one; infinite where the line never ends."""
        if self.closed:
            return self.length_s / 2
        with numpy.errstate(divide="ignore", invalid="ignore", over="ignore"):
            stall = numpy.nan_to_num(value("window_stall", rate_per_s=self.rate_per_s, **self._parts), nan=numpy.inf)
        saturated = self.rate_per_s * self.length_s * self.serial >= 1
        empty = (self.rate_per_s == 0) | (self.length_s == 0)
        return numpy.where(empty, self.length_s / 2, numpy.where(saturated, numpy.inf, stall))

    def merged(self, range_fraction: float, formula: str = "merged_fraction") -> numpy.ndarray:
        """Share of the gfns that the merged range covers while in progress; all of them where the line never ends.

        `merged_fraction_stall` weighs it by the time that is left.
        """
        if self.closed:
            return numpy.full_like(self.length_s, range_fraction)
        with numpy.errstate(divide="ignore", invalid="ignore", over="ignore"):
            merged = value(formula, range_fraction=range_fraction, rate_per_s=self.rate_per_s, **self._parts)
        return numpy.asarray(numpy.clip(numpy.nan_to_num(merged, nan=1.0), range_fraction, 1.0))


def range_fraction(scenario: Scenario, trigger: str) -> float:
    """Share of the guest's gfns in one range of the trigger, mean over its range lengths."""
    mean = sum(size * weight for size, weight in scenario.ranges(trigger))
    return min(1.0, float(mean) / scenario.resident_bytes)


def _stalls(window: Window, share: float) -> tuple[numpy.ndarray, numpy.ndarray | None]:
    """Mean and 99th percentile over all faults of the wait for invalidations in progress; None without a closed
    form.
    """
    merged = window.merged(share)
    mean = value(
        "fault_stall",
        merged_fraction=window.merged(share, "merged_fraction_stall"),
        in_progress_fraction=window.in_progress,
        window_stall_s=window.stall_s,
    )
    if window.serial and not window.closed:
        return mean, None
    rate = numpy.maximum(window.rate_per_s, TINY_RATE)
    common = {"share": P99_SHARE, "merged_fraction": merged, "rate_per_s": rate}
    if window.closed:
        return mean, value("stall_quantile_closed", window_s=window.length_s, **common)
    with numpy.errstate(over="ignore"):  # a line that never ends: the quantile is the whole window
        return mean, value("stall_quantile", parallel_s=window.length_s, **common)


def _memslot_wait_s(window: Window) -> numpy.ndarray:
    """Mean wait of a memslot update: for every invalidation in progress, whatever its range."""
    return value(
        "fault_stall",
        merged_fraction=1.0,
        in_progress_fraction=window.in_progress,
        window_stall_s=window.stall_s,
    )


def _lock_waits(rate: numpy.ndarray, hold_s: numpy.ndarray, closed: bool) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Mean and 99th percentile over all faults of the wait for mmu_lock; infinite where it is saturated."""
    open_ = float(not closed)
    saturated = (rate * hold_s >= 1) & (not closed)
    held = numpy.where(saturated, 0.0, hold_s)
    mean = value("lock_wait", rate_per_s=rate, hold_s=held, end_hold_s=0.0, queueing=open_)
    p99 = value(
        "lock_wait_quantile",
        share=P99_SHARE,
        rate_per_s=numpy.maximum(rate, TINY_RATE),
        hold_s=held,
        queueing=open_,
    )
    return numpy.where(saturated, numpy.inf, mean), numpy.where(saturated, numpy.inf, p99)
