"""mmu_lock: an rwlock since v5.15. Notifiers write, page faults of the vCPUs read.

Writers and readers enter in the order in which they come (qrwlock), so a fault waits for the writers before it: the
work that an M/G/1 queue of writers holds at a random moment. Readers are many but short and finite in number; what
they add to the writers' wait is left out.
"""

from __future__ import annotations

import sympy

from costmodel.formulas.formula import Formula, Quantity, symbol

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
FORMULAS = (LOCK_HOLD, LOCK_BUSY, LOCK_SATURATION, LOCK_WAIT, LOCK_WAIT_QUANTILE)
