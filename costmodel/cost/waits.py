"""What waits for a flush (mmu_lock, page faults, memslot updates, by the placement of the hook), and who pays for it.

Only what the flush itself adds is counted: SPTE zap, remote TLB flush and the caller's own work in the window are the
same for every placement and strategy, and no source times them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from costmodel.cost.draws import Case, Draws
from costmodel.cost.event import at_rate, cpus_flushed, mixed_cost
from costmodel.cost.scenario import Scenario
from costmodel.cost.total import REFINEMENTS, Rate, Total, event_rate
from costmodel.formulas.compiled import value
from costmodel.kvm.catalog import PLACEMENTS, STRATEGIES, TRIGGERS

# What waits, and how long.

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


# Who pays for a flush, what one tenant can force, how many VMs a host carries, how near a lock-up is.

PER_VM_LOOPS = ("autonuma", "axis", "once")
"""Loops that every VM has for itself; a `closed_batch` thread (ksmd, khugepaged) is one per host."""


@dataclass(frozen=True)
class Bill:
    """Arrays over the draws. `own_s` and `others_s`: CPU time per event from CPUs that run the guest, and from the
    rest, who also wait for memory and fetch their lines again; `neighbour_fraction`: share of its time that a CPU of
    someone else loses if it is among those that flush (None without a rate; 0 for a range flush, which stops one CPU
    only); `forced_cpus`: host CPUs that one attacking thread can take at most (None where no VMM makes the event at
    will); `late_answer_s`: mean delay of the CPUs' answers from which on waiting for the slowest takes longer than the
    flush (None for a range flush); `vms_at` maps a share of the host to the number of equal VMs that loses it (None
    where one thread serves all VMs or no rate is known).
    """

    own_s: numpy.ndarray
    others_s: numpy.ndarray
    neighbour_fraction: numpy.ndarray | None
    forced_cpus: numpy.ndarray | None
    late_answer_s: numpy.ndarray | None
    vms_at: dict[float, numpy.ndarray | None]


def bill(cost: Total, scenario: Scenario, shares: tuple[float, ...]) -> Bill | None:
    """The bill of `cost`'s strategy; None where nothing flushes."""
    if cost.event is None or not numpy.all(cost.event.stolen_s > 0):
        return None
    strategy = STRATEGIES[cost.strategy]
    event = cost.event
    others, late = numpy.zeros_like(event.stolen_s), None
    if strategy.whole_cache:
        stopped = cpus_flushed(strategy, scenario)
        others = value("others_pay", cpus_stopped=stopped, vcpus=float(scenario.vcpus), flush_s=event.irq_off_s)
        others = others + event.neighbours_s
        late = event.irq_off_s / value("slowest_response", response_delay_s=1.0, target_cpus=max(1.0, stopped - 1))
    forced = None
    if TRIGGERS[cost.trigger].by_vmm:
        forced = value("forced_loss", stolen_cpu_s_per_event=event.stolen_s, event_s=event.time_s, think_s=0.0)
        forced = numpy.minimum(forced, scenario.machine.logical_cpus)
    return Bill(
        own_s=event.stolen_s - others,
        others_s=others,
        neighbour_fraction=_neighbour(cost, strategy.whole_cache),
        forced_cpus=forced,
        late_answer_s=late,
        vms_at={share: _vms(cost, scenario, share) for share in shares},
    )


def _neighbour(cost: Total, whole_cache: bool) -> numpy.ndarray | None:
    if cost.rate_per_s is None:
        return None
    return (
        numpy.minimum(1.0, cost.rate_per_s * cost.priced.guest_s) if whole_cache else numpy.zeros_like(cost.rate_per_s)
    )


def _vms(cost: Total, scenario: Scenario, share: float) -> numpy.ndarray | None:
    load = scenario.load(cost.trigger)
    if cost.rate_per_s is None or not numpy.all(cost.rate_per_s > 0) or load is None or load.loop not in PER_VM_LOOPS:
        return None
    return value(
        "vms_at_loss",
        lost_fraction=share,
        logical_cpus=scenario.machine.logical_cpus,
        rate_per_s=cost.rate_per_s,
        stolen_cpu_s_per_event=cost.priced.stolen_s,
    )


# What several guests on one host lose together.
#
# A flush on all CPUs stops every guest's vCPUs, and leaves the next flush, whoever asks for it, fewer dirty lines. That
# flushes of several guests wait for the same CPUs is left out: it makes closed loops slower, so the sum is an upper
# bound.


@dataclass(frozen=True)
class Part:
    """`vms` equal guests, each in `scenario`, with the strategy of its kernel at one trigger (ids)."""

    vms: int
    scenario: Scenario
    trigger: str
    strategy: str

    @property
    def loops(self) -> int:
        """Loops that make the events: one for each guest, but one for all where a kernel thread of the host scans
        them.
        """
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
    """Events per second of all loops of each part, and the CPU time that one of them takes; none where no rate is
    known.
    """
    rates, stolen = [], []
    for part, draws in zip(parts, found, strict=True):
        entry = STRATEGIES[part.strategy]
        case = Case(part.trigger, part.scenario, draws)
        rate = rate_of(case, entry)
        rates.append(numpy.zeros(draws.n) if rate is None else part.loops * rate)
        stolen.append(mixed_cost(case, entry)[0].stolen_s)
    return rates, stolen
