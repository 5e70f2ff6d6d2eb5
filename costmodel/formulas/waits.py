"""Who waits for an invalidation: a vCPU's page fault in its window, and whoever wants mmu_lock.

Each section names its symbols by letters of its own.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy
from sympy.codegen.cfunctions import expm1

from costmodel.formulas.formula import Formula, Quantity, symbol

# Window of an invalidation: what a vCPU page fault meets between range_start and range_end.
#
# Faults retry while an invalidation that covers their gfn is in progress (mmu_invalidate_retry_gfn()). The window of
# an event has a serial part, for which it waits in line (CPUs that flush for one initiator after the other, mmu_lock),
# and a parallel part that overlaps with those of other events. Events that arrive independently make the serial part
# an M/D/1 queue (busy periods: Takacs 1962) whose departures open windows as in an M/D/infinity queue.

lam, S, P = symbol("rate_per_s"), symbol("serial_s"), symbol("parallel_s")
W, g, r = symbol("window_s"), symbol("merged_fraction"), symbol("range_fraction")
x, stall, loop, work = symbol("share"), symbol("window_stall_s"), symbol("retry_loop_s"), symbol("fault_work_s")
progress = symbol("in_progress_fraction")

RATE = Quantity("1 / second", "invalidations of one VM (serial part: of all that share it)")
SERIAL = Quantity("second", "part of the window for which events wait in line")
PARALLEL = Quantity("second", "part of the window that overlaps with those of other events")
MERGED = Quantity("dimensionless", "share of the guest's gfns inside the merged range")

_load = lam * S
_overlap = sympy.Max(lam * P, sympy.Float(1e-6))  # keeps the shares below defined where windows are empty
_clear = sympy.exp(-_overlap)


def _left(busy: sympy.Expr, excess: sympy.Expr, overlap: sympy.Expr) -> sympy.Expr:
    """rate^2 times the integral over a period of the time left in it, weighted by `busy` and `excess` of the line."""
    return expm1(overlap) * busy + excess + expm1(overlap) - overlap


_stall = _left(_load / (1 - _load), (_load / (1 - _load)) ** 2 / 2, lam * P)
_stall_guarded = _left(_load / (1 - _load), (_load / (1 - _load)) ** 2 / 2, _overlap)
NODES = ((0.06943184420297371, 0.17392742256872693), (0.33000947820757187, 0.32607257743127307))
"""Gauss-Legendre nodes below the middle of (0, 1), and weights; those above it mirror them."""


def _over_merged(weighted: Callable[[sympy.Expr, sympy.Expr, sympy.Expr], sympy.Expr]) -> sympy.Expr:
    """2 E[1 / (N + 1)] of what `weighted` integrates over a period, N the invalidations merged so far.

    1 / (N + 1) is the integral of z^N over (0, 1), and z^N discounts the period; z = y exp(load (1 - y)) makes the
    busy period of the line (a solution of Takacs' equation) explicit. Four nodes: off by 0.2 % where rate times
    parallel part is 2, by 1.5 % where it is 5.
    """
    total = sympy.Integer(0)
    for place, weight in NODES:
        for y in (place, 1 - place):
            behind = _load * (1 - y)
            killed = 1 - y - y * expm1(behind)
            jacobian = sympy.exp(behind) * (1 - _load * y) / (1 + y * expm1(-_overlap))
            total += weight * y * jacobian * weighted(expm1(behind) / killed, behind, killed)
    return 2 * total


_merged = _over_merged(lambda busy, behind, killed: busy - expm1(-_overlap)) * (1 - _load) * _clear
_merged_left = _over_merged(
    lambda busy, behind, killed: _left(busy, sympy.exp(behind) * (behind + expm1(-behind)) / killed**2, _overlap)
)

IN_PROGRESS = Formula(
    id="in_progress",
    title="Share of time an invalidation is in progress",
    expression=1 - sympy.Max(0, 1 - _load) * sympy.exp(-lam * P),
    unit="dimensionless",
    symbols={"rate_per_s": RATE, "serial_s": SERIAL, "parallel_s": PARALLEL},
    source="M/D/1 busy share and M/D/infinity occupancy; kvm_mmu_invalidate_begin/end() count nested invalidations",
    validity="independent arrivals; one VM: others that flush the same CPUs lengthen its windows; 1 where the serial "
    "part is saturated; a closed loop gives in_progress_closed",
)
IN_PROGRESS_CLOSED = Formula(
    id="in_progress_closed",
    title="Share of time an invalidation of one waiting thread is in progress",
    expression=sympy.Min(1, lam * W),
    unit="dimensionless",
    symbols={"rate_per_s": RATE, "window_s": Quantity("second", "from range_start to range_end")},
    source="a thread that waits for its own flush has one window open at a time",
    validity="one thread: several that flush the same CPUs wait for each other (upper bound)",
)
WINDOW_STALL = Formula(
    id="window_stall",
    title="Mean time until no invalidation is in progress, seen at a random moment in one",
    expression=_stall * sympy.exp(lam * P) / (lam * (expm1(lam * P) + _load)),
    unit="second",
    symbols={"rate_per_s": RATE, "serial_s": SERIAL, "parallel_s": PARALLEL},
    source="E[B^2] / (2 E[B]) of the period B in which the count stays above 0 (renewal theory; Takacs 1962)",
    validity="independent arrivals, serial part not saturated, rate above 0; one waiting thread: half its window",
)
_MERGED_SYMBOLS = {
    "range_fraction": Quantity("dimensionless", "share of the gfns in one range"),
    "rate_per_s": RATE,
    "serial_s": SERIAL,
    "parallel_s": PARALLEL,
}
MERGED_FRACTION = Formula(
    id="merged_fraction",
    title="Share of the gfns that the merged range covers",
    expression=1 - (1 - r) * _merged / (_load * _clear - expm1(-_overlap)),
    unit="dimensionless",
    symbols=_MERGED_SYMBOLS,
    source="kvm_mmu_invalidate_range_add() widens to [min, max) until the count is 0: N uniform starts spread over "
    "(N - 1) / (N + 1), averaged over N at a random moment of the period (Takacs 1962); the long numbers are nodes and "
    "weights of a Gauss-Legendre quadrature with four points, which does that averaging",
    validity="independent arrivals, serial part not saturated; ranges of one length at uniform places; one waiting "
    "thread: its range",
)
MERGED_STALL = Formula(
    id="merged_fraction_stall",
    title="The same, weighted by the time until no invalidation is in progress",
    expression=1 - (1 - r) * _merged_left * _clear / _stall_guarded,
    unit="dimensionless",
    symbols=_MERGED_SYMBOLS,
    source="as merged_fraction; wide ranges and long stalls come together where events wait in line",
    validity="as merged_fraction; equal to it without a serial part",
)
FAULT_STALL = Formula(
    id="fault_stall",
    title="Mean wait of a vCPU fault for invalidations in progress",
    expression=g * progress * stall,
    unit="second",
    symbols={
        "merged_fraction": Quantity("dimensionless", "merged_fraction_stall; range_fraction for one waiting thread"),
        "in_progress_fraction": Quantity("dimensionless", "share of time an invalidation is in progress"),
        "window_stall_s": Quantity("second", "time until none is in progress"),
    },
    source="mmu_invalidate_retry_gfn(): retry if in progress and the gfn lies in the merged range",
    validity="faults at uniform gfns, independent of the events; the last retry loop is not counted",
)
STALL_QUANTILE = Formula(
    id="stall_quantile",
    title="Wait for invalidations in progress that a share x of the faults exceeds",
    expression=sympy.Max(0, sympy.Min(P, ((1 - x / g) * sympy.exp(lam * P) - 1) / lam)),
    unit="second",
    symbols={
        "share": Quantity("dimensionless", "share of all faults that wait longer: 0.01 for the 99th percentile"),
        "merged_fraction": MERGED,
        "rate_per_s": RATE,
        "parallel_s": PARALLEL,
    },
    source="first gap longer than P between Poisson arrivals: P(stall > t) = 1 - exp(-lambda P)(1 + lambda t), t <= P",
    validity="no serial part; a lower bound where it returns the whole parallel part",
)
STALL_QUANTILE_CLOSED = Formula(
    id="stall_quantile_closed",
    title="The same for one waiting thread",
    expression=sympy.Max(0, W - x / (lam * g)),
    unit="second",
    symbols={
        "window_s": Quantity("second", "from range_start to range_end"),
        "share": Quantity("dimensionless", "share of all faults that wait longer"),
        "rate_per_s": RATE,
        "merged_fraction": MERGED,
    },
    source="the rest of a window met at a random moment is uniform",
    validity="one thread, one range length",
)
RETRIES = Formula(
    id="retries_per_fault",
    title="Retries of a vCPU fault",
    expression=g * progress * (stall / loop + sympy.Rational(1, 2)) + 1 - sympy.exp(-lam * work),
    unit="dimensionless",
    symbols={
        "merged_fraction": MERGED,
        "in_progress_fraction": Quantity("dimensionless", "share of time an invalidation is in progress"),
        "window_stall_s": Quantity("second", "time until none is in progress"),
        "retry_loop_s": Quantity("second", "one round of guest entry, fault and exit"),
        "rate_per_s": RATE,
        "fault_work_s": Quantity("second", "from the snapshot of the sequence count to mmu_lock"),
    },
    source="kvm_mmu_faultin_pfn() re-enters the guest while in progress (>= v6.8); a changed sequence costs one retry",
    validity="loop much shorter than the window and than the gaps between windows, fault work shorter still; up to "
    "v6.6 each round also pays a GUP and a read lock",
)


# mmu_lock: an rwlock since v5.15. Notifiers write, page faults of the vCPUs read.
#
# Writers and readers enter in the order in which they come (qrwlock), so a fault waits for the writers before it: the
# work that an M/G/1 queue of writers holds at a random moment. Readers are many but short and finite in number; what
# they add to the writers' wait is left out.

zap, T, u, end = symbol("zap_s"), symbol("flush_s"), symbol("under_lock"), symbol("end_hold_s")
lam, hold, queueing, x = symbol("rate_per_s"), symbol("hold_s"), symbol("queueing"), symbol("share")

RATE = Quantity("1 / second", "invalidations of one VM")
HOLD = Quantity("second", "hold of mmu_lock by one range_start")
END = Quantity("second", "hold of mmu_lock by its range_end")
QUEUEING = Quantity("dimensionless", "1 if writers come independently, 0 for one thread that waits for its own flush")

LOCK_HOLD = Formula(
    id="lock_hold",
    title="Hold of mmu_lock by one range_start",
    expression=zap + u * T,
    unit="second",
    symbols={
        "zap_s": Quantity("second", "SPTE zap and remote TLB flush"),
        "under_lock": Quantity("dimensionless", "1 if the hook runs under mmu_lock, else 0"),
        "flush_s": Quantity("second", "time of the flush"),
    },
    source="KVM SEV hook: after unlock (<= v6.7), after SRCU (>= v6.8); TDX per-page chain: under the write lock",
    validity="one hold per event; the zap may yield the lock where the caller may block",
)
LOCK_BUSY = Formula(
    id="lock_busy",
    title="Share of time mmu_lock is held for write",
    expression=sympy.Min(1, lam * (hold + end)),
    unit="dimensionless",
    symbols={"rate_per_s": RATE, "hold_s": HOLD, "end_hold_s": END},
    source="work conservation: rate times hold",
    validity="1 means saturated: an open trigger's writers pile up",
)
LOCK_SATURATION = Formula(
    id="lock_saturation",
    title="Event rate at which mmu_lock saturates",
    expression=1 / (hold + end),
    unit="1 / second",
    symbols={"hold_s": HOLD, "end_hold_s": END},
    source="lock_busy solved for the rate at 1",
    validity="open triggers only: a closed loop slows itself down",
)
LOCK_WAIT = Formula(
    id="lock_wait",
    title="Mean wait of a vCPU fault for the writers of mmu_lock",
    expression=lam * (hold**2 + end**2) / (2 * (1 - queueing * lam * (hold + end))),
    unit="second",
    symbols={"rate_per_s": RATE, "hold_s": HOLD, "end_hold_s": END, "queueing": QUEUEING},
    source="Pollaczek-Khinchine formula for the work in an M/G/1 queue (Khinchine 1932), met by readers at random",
    validity="independent arrivals, lock not saturated; short read holds: long ones lengthen the writers' line; faults "
    "at random moments: a vCPU that waits does not fault meanwhile; faults outside the merged range: those inside "
    "retry until none is in progress; one take of the lock: a fault whose sequence count changed meanwhile takes it "
    "again",
)
LOCK_WAIT_QUANTILE = Formula(
    id="lock_wait_quantile",
    title="Wait for the writers of mmu_lock that a share x of the faults exceeds",
    expression=sympy.Max(
        0,
        queueing * sympy.Min(hold, sympy.log((1 - x) / (1 - queueing * lam * hold)) / lam)
        + (1 - queueing) * (hold - x / lam),
    ),
    unit="second",
    symbols={
        "share": Quantity("dimensionless", "share of all faults that wait longer: 0.01 for the 99th percentile"),
        "rate_per_s": RATE,
        "hold_s": HOLD,
        "queueing": QUEUEING,
    },
    source="work in an M/D/1 queue: P(work > t) = 1 - (1 - lambda H) exp(lambda t) for t <= H (Erlang 1909)",
    validity="range_end's short hold left out; a lower bound where it returns the whole hold",
)
