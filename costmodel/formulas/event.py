"""What one event costs a host, from the parts: release of guest_memfd pages, CPU time taken, neighbours that pay.

Each section names its symbols by letters of its own.
"""

from __future__ import annotations

import sympy

from costmodel.formulas.flush import BROADCAST, DOMAIN_FLUSH, EVENT_FLUSH, RANGE_FLUSH
from costmodel.formulas.formula import Formula, Quantity, symbol

# guest_memfd release (SNP): per folio RMPUPDATE to shared, fence, line flushes, fence.
#
# Source: sev_gmem_invalidate() from kvm_gmem_free_folio(); folios are order 0 in every tree read, so a hole of N pages
# is N such calls. Whatever flushes, each call makes its pages shared first.

N, t_r, t_p = symbol("pages"), symbol("rmpupdate_s"), symbol("page_flush_s")

GMEM_RELEASE = Formula(
    id="gmem_release",
    title="Time to release N pages of a guest_memfd",
    expression=N * (t_r + t_p),
    unit="second",
    symbols={
        "pages": Quantity("dimensionless", "folios of the hole: 4 KiB pages in every tree read"),
        "rmpupdate_s": Quantity("second", "RMPUPDATE of one entry to shared"),
        "page_flush_s": Quantity("second", "flush of one folio; 0 where it is counted apart"),
    },
    source="sev_gmem_invalidate() (v6.11 on); row S01 (claimed) bounds RMPUPDATE",
    validity=(
        "one thread; pages that are not assigned in the RMP are skipped and cost nothing; PSMASH, once for each 2 MiB "
        "entry that is released page by page, is not in it: no source times it"
    ),
)
PAGE_CHAIN = Formula(
    id="page_chain",
    title="Time of N per-page operations in a row",
    expression=N * symbol("page_operation_s"),
    unit="second",
    symbols={
        "pages": Quantity("dimensionless", "4 KiB pages"),
        "page_operation_s": Quantity("second", "one per-page operation (for TDX: a chain of SEAMCALLs)"),
    },
    source="tdx_sept_remove_private_spte(); sev_clflush_pages()",
    validity="one thread; rows S06, S07 bound the TDX chain from above",
)


# CPU time that one event takes from the host: CPUs that stand still times how long, and what their neighbours lose.

m, T, T_b = symbol("cpus_stopped"), symbol("flush_s"), symbol("broadcast_s")
o, beta, W, B = (
    symbol("cpus_outside"),
    symbol("memory_bound_fraction"),
    symbol("written_bytes_per_socket"),
    symbol("writeback_bytes_per_s"),
)
rho, E, b = symbol("reused_fraction"), symbol("evicted_bytes"), symbol("cpu_read_bytes_per_s")
t = symbol("time_s")

REFILL = {
    "reused_fraction": Quantity("dimensionless", "share of the evicted bytes that would have been used again"),
    "evicted_bytes": Quantity("byte", "bytes that the flush took out of the caches, all domains"),
    "cpu_read_bytes_per_s": Quantity("byte / second", "memory read bandwidth of one CPU alone"),
}
STOLEN_WHOLE = Formula(
    id="stolen_whole_cache",
    title="CPU time taken by one whole-cache flush on m CPUs",
    expression=m * T + T_b + o * beta * W / B + rho * E / b,
    unit="second",
    symbols={
        "cpus_stopped": Quantity("dimensionless", "CPUs that execute WBINVD or WBNOINVD"),
        "flush_s": Quantity("second", "time of the flush on the slowest domain"),
        "broadcast_s": Quantity("second", "the initiator's wait for the interrupt round"),
        "cpus_outside": Quantity("dimensionless", "CPUs of the sockets concerned that do not flush"),
        "memory_bound_fraction": Quantity("dimensionless", "share of their time in which these wait for memory"),
        "written_bytes_per_socket": Quantity("byte", "dirty bytes that one socket writes back"),
        "writeback_bytes_per_s": Quantity("byte / second", "sustained write-back bandwidth of the socket"),
        **REFILL,
    },
    source=(
        "on_each_cpu_mask(wait=1): every target runs the instruction with IRQs off, the initiator waits for all; the "
        "write-back takes the socket's memory from the CPUs outside the mask; who finds lines gone fetches them again"
    ),
    validity=(
        "targets of one domain that contend are all held until the domain is done (upper bound per CPU); the refill "
        "counts bandwidth, misses that wait for each other take longer; WBNOINVD evicts nothing; a flush in line "
        "behind another finds what that left, so it takes less"
    ),
)
STOLEN_RANGE = Formula(
    id="stolen_range",
    title="CPU time taken by one range flush",
    expression=t + rho * E / b,
    unit="second",
    symbols={"time_s": Quantity("second", "time of the flush on its CPU"), **REFILL},
    source="the CPU that flushes, and the refill of the lines that it evicted",
    validity="the refill counts bandwidth: misses that wait for each other take longer",
)
BREAK_EVEN_BYTES = Formula(
    id="break_even_range",
    title="Range length at which a range flush costs as much as a whole-cache flush",
    expression=(symbol("whole_cache_s") - symbol("range_start_s")) / symbol("line_s") * symbol("line_bytes"),
    unit="byte",
    symbols={
        "whole_cache_s": Quantity("second", "cost of the whole-cache flush in the objective compared"),
        "range_start_s": Quantity("second", "cost of the range flush that does not grow with the range"),
        "line_s": Quantity("second", "cost of the range flush per line"),
        "line_bytes": Quantity("byte", "cache line size"),
    },
    source="range_flush = W solved for the range against one opaque W",
    validity="where the bandwidth floor of the range flush is not active",
)


# Cost of one event as a single expression, composed of the registered terms, so that its slope is exact.
#
# Nothing is written anew here: each expression is another formula's with its intermediate times substituted. The lines
# of a range stay a symbol, because a rounded number has no slope.


def _symbols(*parts: Formula, without: set[str], more: dict[str, Quantity]) -> dict[str, Quantity]:
    merged = {name: quantity for part in parts for name, quantity in part.symbols.items() if name not in without}
    return merged | more


_flush = EVENT_FLUSH.expression.subs(symbol("domain_flush_s"), DOMAIN_FLUSH.expression)
_round = BROADCAST.expression.subs(symbol("target_cpus"), symbol("cpus_stopped") - 1)
_cached = symbol("domains_per_socket") * (
    symbol("llc_bytes_per_domain") + symbol("cores_flushing") * symbol("l2_bytes_per_core")
)
_valid = symbol("valid_fraction")
_written = _valid * symbol("dirty_fraction") * _cached
_evicted = symbol("invalidates") * symbol("sockets") * _valid * _cached

WHOLE_CACHE_EVENT = Formula(
    id="whole_cache_event",
    title="CPU time taken by one whole-cache flush, from the cost parameters",
    expression=STOLEN_WHOLE.expression.subs(
        {
            symbol("flush_s"): _flush,
            symbol("broadcast_s"): _round,
            symbol("written_bytes_per_socket"): _written,
            symbol("evicted_bytes"): _evicted,
        }
    ),
    unit="second",
    symbols=_symbols(
        STOLEN_WHOLE,
        DOMAIN_FLUSH,
        EVENT_FLUSH,
        BROADCAST,
        without={
            "flush_s",
            "broadcast_s",
            "domain_flush_s",
            "target_cpus",
            "written_bytes_per_socket",
            "evicted_bytes",
        },
        more={
            "sockets": Quantity("dimensionless", "sockets on which a CPU flushes"),
            "invalidates": Quantity("dimensionless", "1 for WBINVD, 0 for WBNOINVD"),
        },
    ),
    source="stolen_whole_cache of whole_cache_flush of domain_flush, and of broadcast to all but the initiator",
    validity="as its parts",
)
_range = RANGE_FLUSH.expression
_range_stolen = STOLEN_RANGE.expression.subs(
    {
        symbol("time_s"): _range,
        symbol("evicted_bytes"): symbol("present_fraction") * symbol("lines") * symbol("line_bytes"),
    }
)
_REFILL = {name: STOLEN_RANGE.symbols[name] for name in ("reused_fraction", "cpu_read_bytes_per_s")}
_RANGE = {**RANGE_FLUSH.symbols, **_REFILL}
_PAGES = {"pages": PAGE_CHAIN.symbols["pages"]}
RANGE_EVENT = Formula(
    id="range_event",
    title="CPU time taken by one range flush, from the cost parameters",
    expression=_range_stolen,
    unit="second",
    symbols=_RANGE,
    source="stolen_range of range_flush of range_lines",
    validity="as range_flush; lines from range_lines",
)
PAGED_EVENT = Formula(
    id="paged_event",
    title="CPU time taken by a range flush page by page, from the cost parameters",
    expression=PAGE_CHAIN.expression.subs(symbol("page_operation_s"), _range_stolen),
    unit="second",
    symbols=_RANGE | _PAGES,
    source="page_chain of stolen_range of range_flush over the lines of one page",
    validity="as page_chain and range_flush",
)


# Who pays for a flush: the guest that caused it, everyone else on the host, and what one tenant can force.

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
    "there are at most as many as online CPUs less one; each flush costs alike: where the later ones find what the "
    "first left, more are needed",
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
