"""Who pays for a flush: the guest that caused it, everyone else on the host, and what one tenant can force."""

from __future__ import annotations

import sympy

from costmodel.formulas.formula import Formula, Quantity, symbol

A, T, m, v = symbol("stolen_cpu_s_per_event"), symbol("flush_s"), symbol("cpus_stopped"), symbol("vcpus")
Z, L, n, lam, x = (
    symbol("think_s"),
    symbol("limit_s"),
    symbol("logical_cpus"),
    symbol("rate_per_s"),
    symbol("lost_fraction"),
)
event = symbol("event_s")

OTHERS_PAY = Formula(
    id="others_pay",
    title="CPU time per event taken from CPUs that do not run the guest",
    expression=sympy.Max(0, m - v) * T,
    unit="second",
    symbols={
        "cpus_stopped": Quantity("dimensionless", "CPUs that execute the flush"),
        "vcpus": Quantity("dimensionless", "vCPUs of the guest that caused it, each on a CPU of its own"),
        "flush_s": Quantity("second", "time for which each of them stands still"),
    },
    source="on_each_cpu_mask(wait=1): every CPU of the mask runs the flush with IRQs off, whoever it works for",
    validity="vCPUs all running; what other guests and the host itself pay of it depends on who runs there",
)
FORCED_LOSS = Formula(
    id="forced_loss",
    title="Host CPUs that one attacking thread can take",
    expression=A / (event + Z),
    unit="dimensionless",
    symbols={
        "stolen_cpu_s_per_event": Quantity("second", "CPU time that one event takes from all CPUs it stops"),
        "event_s": Quantity("second", "time that the attacker waits for its event"),
        "think_s": Quantity("second", "time between its events: system call, zap, touching the page again"),
    },
    source="closed loop of one thread: MADV_DONTNEED, mprotect, memslot add and delete (KVM list, 2022)",
    validity="an upper bound at think time 0; attackers on several threads wait in line for the same CPUs",
)
INITIATORS_AT_LIMIT = Formula(
    id="initiators_at_limit",
    title="Initiators waiting in line that trip a lock-up limit",
    expression=L / T,
    unit="dimensionless",
    symbols={
        "limit_s": Quantity("second", "limit of the detector"),
        "flush_s": Quantity("second", "time of one flush with IRQs off on each CPU"),
    },
    source="a CPU executes all queued requests of other CPUs in one interrupt (flush_smp_call_function_queue())",
    validity="all initiators flush the same CPUs at once; each is a CPU of its own (it waits with preemption off), so "
    "there are at most as many as online CPUs less one; each flush costs alike: where the later ones find what the first "
    "left, more are needed",
)
VMS_AT_LOSS = Formula(
    id="vms_at_loss",
    title="Equal VMs at which a given share of the host is lost",
    expression=x * n / (lam * A),
    unit="dimensionless",
    symbols={
        "lost_fraction": Quantity("dimensionless", "share of all CPU time of the host"),
        "logical_cpus": Quantity("dimensionless", "online logical CPUs"),
        "rate_per_s": Quantity("1 / second", "events of one VM"),
        "stolen_cpu_s_per_event": Quantity("second", "CPU time that one event takes"),
    },
    source="rates add over VMs, caches and CPUs are shared",
    validity="triggers that each VM pulls by itself (NUMA balancing); ksmd and khugepaged are one thread per host",
)
FORMULAS = (OTHERS_PAY, FORCED_LOSS, INITIATORS_AT_LIMIT, VMS_AT_LOSS)
