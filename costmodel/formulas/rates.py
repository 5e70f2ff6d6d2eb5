"""How many flushes there are: by source of the address, by coalescing, and by the rate of what triggers them.

Each section names its symbols by letters of its own.
"""

from __future__ import annotations

import sympy

from costmodel.formulas.formula import Formula, Quantity, symbol

# What the source of the address adds: events that only SPTEs see, and flushes that a user address misses.

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


# Coalescing: concurrent initiators of one VM share a flush that has not begun yet.
#
# A flush serves every initiator whose zap was done before it began, so what arrives while one runs is served by the
# next. The kernel does not do this; deferral beyond that point lets a page go before its flush and is inadmissible.

lam, T, D = symbol("rate_per_s"), symbol("flush_s"), symbol("delay_s")
_batch = lam * T + sympy.exp(-lam * T)

RATE = Quantity("1 / second", "invalidations of one VM")
FLUSH = Quantity("second", "time of one flush")

COALESCED_BATCH = Formula(
    id="coalesced_batch",
    title="Events that share one flush",
    expression=_batch,
    unit="dimensionless",
    symbols={"rate_per_s": RATE, "flush_s": FLUSH},
    source="flushes follow each other while at least one event came during the last: cycle T + exp(-lambda T) / lambda",
    validity="independent arrivals; one waiting thread never has company: 1",
)
COALESCED_BUSY = Formula(
    id="coalesced_busy",
    title="Share of time a coalesced flush runs",
    expression=lam * T / _batch,
    unit="dimensionless",
    symbols={"rate_per_s": RATE, "flush_s": FLUSH},
    source="flush rate lambda / batch, each T long",
    validity="independent arrivals; below 1 at every rate: it never saturates",
)
COALESCED_LATENCY = Formula(
    id="coalesced_latency",
    title="Mean time from zap to flush done, coalesced",
    expression=T + lam * T / _batch * T / 2,
    unit="second",
    symbols={"rate_per_s": RATE, "flush_s": FLUSH},
    source="an event that meets a running flush waits for its end (T / 2 on average) and for the next",
    validity="independent arrivals",
)
QUEUED_LATENCY = Formula(
    id="queued_latency",
    title="Mean time from zap to flush done, one flush per event",
    expression=T + lam * T**2 / (2 * (1 - lam * T)),
    unit="second",
    symbols={"rate_per_s": RATE, "flush_s": FLUSH},
    source="M/D/1 (Khinchine 1932): CPUs execute the flushes of several initiators one after the other",
    validity="independent arrivals below 1 / T; what the kernel does",
)
DEFERRED_RATE = Formula(
    id="deferred_rate",
    title="Flushes per second if events are collected for a time D",
    expression=lam / (1 + lam * D),
    unit="1 / second",
    symbols={"rate_per_s": RATE, "delay_s": Quantity("second", "time for which releasing events are collected")},
    source="one flush per D after the first event of a batch",
    validity="inadmissible: pages are reused before their flush; shown for what it would save",
)


# How often a trigger fires: closed loops that wait for their own flush, and NUMA balancing.
#
# A kernel thread that makes E events per cycle, waits for each (T) and sleeps Z has the rate E/(Z + E T): it slows
# itself down and never saturates.

E, f, N = symbol("events_per_cycle"), symbol("event_fraction"), symbol("threads")
Z, T = symbol("sleep_s"), symbol("cycle_flush_s")
R, S, W = symbol("resident_bytes"), symbol("numa_scan_size_bytes"), symbol("numa_max_scan_window_bytes_per_s")
p_task, F, n = symbol("task_scan_period_s"), symbol("numa_limiter_factor"), symbol("vcpus")
k, V = symbol("flushes_per_pass"), symbol("numa_virtpages_factor")
T_e, period = symbol("event_flush_s"), symbol("numa_scan_period_s")
stolen, lam, n_cpu = symbol("stolen_cpu_s_per_event"), symbol("rate_per_s"), symbol("logical_cpus")

LATE_PERIODS = 2
"""Periods per vCPU by which a lost turn to scan can delay a pass."""

CLOSED_RATE = Formula(
    id="closed_rate",
    title="Event rate of a kernel thread that waits for its own flushes",
    expression=N * f * E / (Z + f * T),
    unit="1 / second",
    symbols={
        "threads": Quantity("dimensionless", "kernel threads in the loop"),
        "event_fraction": Quantity("dimensionless", "share of the scanned pages that lead to an event"),
        "events_per_cycle": Quantity("dimensionless", "events of this kind per cycle at event fraction 1"),
        "sleep_s": Quantity("second", "sleep between cycles"),
        "cycle_flush_s": Quantity("second", "flush time of all events of one full cycle of the thread"),
    },
    source="ksm_do_scan(): pages_to_scan, sleep_millisecs (rows N10, N11); khugepaged (rows N12, N13)",
    validity="closed loop: the thread waits for each flush; one thread: several that flush the same CPUs wait for each "
    "other; work other than flushing is not counted (rate ceiling)",
)
NUMA_PERIOD = Formula(
    id="numa_scan_period",
    title="NUMA-balancing scan period of a task",
    expression=sympy.Max(S / W, p_task / sympy.ceiling(R / S)),
    unit="second",
    symbols={
        "numa_scan_size_bytes": Quantity("byte", "bytes per scan pass"),
        "numa_max_scan_window_bytes_per_s": Quantity("byte / second", "MAX_SCAN_WINDOW"),
        "task_scan_period_s": Quantity("second", "scan_period_min or scan_period_max, for the whole task"),
        "resident_bytes": Quantity("byte", "resident memory of the VM"),
    },
    source="task_scan_min() and task_scan_max() in kernel/sched/fair.c (rows N05, N06, N07, N09)",
    validity="one pass per period and mm; hint faults move the period between the two ends",
)
NUMA_FLUSHES = Formula(
    id="numa_flushes_per_pass",
    title="Ranges that one NUMA-balancing pass walks where it can update nothing",
    expression=sympy.Min(V, sympy.ceiling(R / S)),
    unit="dimensionless",
    symbols={
        "numa_virtpages_factor": Quantity("dimensionless", "virtual pages that a pass may skip, per page of its size"),
        "resident_bytes": Quantity("byte", "resident memory of the VM"),
        "numa_scan_size_bytes": Quantity("byte", "bytes per scan pass"),
    },
    source=(
        "task_numa_work(): virtpages = pages * 8, which every range lowers, while pages is lowered only by a range in "
        "which something was updated (row N17)"
    ),
    validity="the notifier fires once per range, before its pages are looked at; one mapping that holds all memory",
)
NUMA_RATE = Formula(
    id="numa_rate",
    title="Ceiling of NUMA-balancing invalidations per second of one VM",
    expression=f * k / sympy.Max(period, (period + F * k * T_e) / n),
    unit="1 / second",
    symbols={
        "event_fraction": Quantity("dimensionless", "share of the passes that find something to update"),
        "flushes_per_pass": Quantity("dimensionless", "ranges, each with its notifier and flush, of one pass"),
        "numa_scan_period_s": Quantity("second", "scan period"),
        "numa_limiter_factor": Quantity("dimensionless", "node_stamp advances by this many times the pass"),
        "event_flush_s": Quantity("second", "flush time of one range"),
        "vcpus": Quantity("dimensionless", "threads of the VM that take turns to scan"),
    },
    source="task_tick_numa(): a thread's stamp moves on by the period, task_numa_work(): and by 32 * diff; one pass "
    "per numa_scan_period and mm",
    validity="a ceiling: a thread that loses its turn to scan waits for another period, so that passes come up to two "
    "periods per vCPU later (8 vCPUs, 0.1 s, 13 ms per pass: 10 passes a second against 8.7 simulated; "
    "numa_rate_at_least says 8.0); one range_start per range (>= v6.12; up to v6.11 two where a range straddles 1 "
    "GiB); memory without hint faults is scanned less after its first two scans (vma_is_accessed())",
)
NUMA_RATE_AT_LEAST = Formula(
    id="numa_rate_at_least",
    title="Floor of NUMA-balancing invalidations per second of one VM at a given scan period",
    expression=f * k / (sympy.Max(period, (period + F * k * T_e) / n) + LATE_PERIODS * period / n),
    unit="1 / second",
    symbols=NUMA_RATE.symbols,
    source=(
        "task_tick_numa(): a thread whose stamp is past while the mm's next scan is not yet due moves its stamp on by "
        "a period and loses its turn"
    ),
    validity=(
        "a pass comes at most two periods per vCPU later than numa_rate says: no simulated setting of 4 to 64 vCPUs, "
        "periods of 0.1 and 0.94 s and passes of 1 us to 50 ms was more than 1.5 periods late; as numa_rate otherwise"
    ),
)
HOST_LOSS = Formula(
    id="host_loss",
    title="Host CPU-seconds lost per second",
    expression=sympy.Min(lam * stolen, n_cpu),
    unit="dimensionless",
    symbols={
        "rate_per_s": Quantity("1 / second", "events"),
        "stolen_cpu_s_per_event": Quantity("second", "CPU time that one event takes from all CPUs it stops"),
        "logical_cpus": Quantity("dimensionless", "online logical CPUs: more cannot be lost"),
    },
    source="sum over every CPU that stands still, times how long",
    validity="rates add over VMs; at the ceiling an open trigger is saturated",
)
RATE_AT_LOSS = Formula(
    id="rate_at_loss",
    title="Event rate at which a given share of the host is lost",
    expression=symbol("lost_fraction") * n_cpu / stolen,
    unit="1 / second",
    symbols={
        "lost_fraction": Quantity("dimensionless", "share of all CPU time of the host"),
        "logical_cpus": Quantity("dimensionless", "online logical CPUs"),
        "stolen_cpu_s_per_event": Quantity("second", "CPU time that one event takes"),
    },
    source="host_loss solved for the rate",
    validity="open triggers; a closed loop may never reach it",
)
