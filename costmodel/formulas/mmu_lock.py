"""Window of an invalidation and its mmu_lock part: what a vCPU page fault meets.

Faults retry while an invalidation that covers their gfn is in progress (mmu_invalidate_retry_gfn()). Windows
that arrive independently overlap as in an M/G/infinity queue, so P(in progress) = 1 - exp(-lambda W).
"""

from __future__ import annotations

import sympy

from costmodel.formulas.formula import Formula, Quantity, symbol

lam, W, g = symbol("rate_per_s"), symbol("window_s"), symbol("range_gfn_fraction")
T_f, under = symbol("flush_s"), symbol("under_lock")

IN_PROGRESS = Formula(
    id="in_progress",
    title="Share of time an invalidation is in progress",
    expression=1 - sympy.exp(-lam * W),
    unit="dimensionless",
    symbols={
        "rate_per_s": Quantity("1 / second", "invalidations of one VM"),
        "window_s": Quantity("second", "from range_start to range_end; the flush lies inside for every placement"),
    },
    source="M/G/infinity occupancy (Takacs 1962); kvm_mmu_invalidate_begin/end() count nested invalidations",
    validity="independent arrivals; a closed loop gives rate x window instead",
)
FAULT_STALL = Formula(
    id="fault_stall",
    title="Probability that a vCPU fault must retry",
    expression=g * (1 - sympy.exp(-lam * W)),
    unit="dimensionless",
    symbols={
        "range_gfn_fraction": Quantity("dimensionless", "share of the guest's gfns inside the merged range"),
        "rate_per_s": Quantity("1 / second", "invalidations of one VM"),
        "window_s": Quantity("second", "length of the window"),
    },
    source="mmu_invalidate_retry_gfn(): retry if in progress and the gfn lies in the merged range",
    validity="as in_progress; merged ranges widen under overlap, so this is a lower bound",
)
LOCK_HOLD = Formula(
    id="lock_hold",
    title="Time the flush adds to one hold of mmu_lock",
    expression=under * T_f,
    unit="second",
    symbols={
        "under_lock": Quantity("dimensionless", "1 if the hook runs under mmu_lock, else 0"),
        "flush_s": Quantity("second", "time of the flush"),
    },
    source="KVM SEV hook: after unlock (<= v6.7), after SRCU (>= v6.8); TDX per-page chain: under the write lock",
    validity="the zap and TLB flush under the lock are common to all placements and not counted",
)
FORMULAS = (IN_PROGRESS, FAULT_STALL, LOCK_HOLD)
