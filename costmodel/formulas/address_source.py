"""What the source of the address adds: events that only SPTEs see, and flushes that a user address misses."""

from __future__ import annotations

import sympy

from costmodel.formulas.formula import Formula, Quantity, symbol

lam, W, o = symbol("rate_per_s"), symbol("window_s"), symbol("same_page_fraction")
kvm, hit = symbol("kvm_zaps_per_s"), symbol("overlap_fraction")

RATE = Quantity("1 / second", "notifier events of one VM")

MISSED_FLUSHES = Formula(
    id="missed_flushes",
    title="Flushes per second whose user mapping is already gone",
    expression=lam * (1 - sympy.exp(-lam * o * W)),
    unit="1 / second",
    symbols={
        "rate_per_s": RATE,
        "same_page_fraction": Quantity("dimensionless", "share of the other events that unmap the same page"),
        "window_s": Quantity("second", "from range_start to the flush through the user address"),
    },
    source="mmu_notifier_invalidate_range_start() calls are not serialised (thread of 2023-08-18)",
    validity="independent events; any value above 0 makes the user address inadmissible",
)
SPTE_EVENTS = Formula(
    id="spte_events",
    title="Flushes per second if PFNs come from SPTEs",
    expression=lam + kvm,
    unit="1 / second",
    symbols={
        "rate_per_s": RATE,
        "kvm_zaps_per_s": Quantity("1 / second", "leaf SPTEs that KVM zaps itself (memslots, dirty logging, recovery)"),
    },
    source="every leaf SPTE that is zapped needs a flush, even when KVM initiates the zap (thread of 2023-08-18)",
    validity="no rate of KVM's own zaps is published: an axis",
)
PRECISE_EVENTS = Formula(
    id="precise_events",
    title="Flushes per second if only events flush that overlap a memslot",
    expression=hit * lam,
    unit="1 / second",
    symbols={
        "rate_per_s": RATE,
        "overlap_fraction": Quantity("dimensionless", "share of the events that overlap a memslot"),
    },
    source="kvm_main.c: up to v6.7 `if (locked)`, from v6.8 found_memslot; both flush only where a memslot overlapped",
    validity="an imprecise hook pays for all events",
)
FORMULAS = (MISSED_FLUSHES, SPTE_EVENTS, PRECISE_EVENTS)
