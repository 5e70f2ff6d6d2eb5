"""CPU time that one event takes from the host: CPUs that stand still times how long, and what their neighbours lose."""

from __future__ import annotations

from costmodel.formulas.formula import Formula, Quantity, symbol

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
    source="on_each_cpu_mask(wait=1): every target runs the instruction with IRQs off, the initiator waits for all; the "
    "write-back takes the socket's memory from the CPUs outside the mask; who finds lines gone fetches them again",
    validity="targets of one domain that contend are all held until the domain is done (upper bound per CPU); the refill "
    "counts bandwidth, misses that wait for each other take longer; WBNOINVD evicts nothing; a flush in line behind another finds "
    "what that left, so it takes less",
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
FORMULAS = (STOLEN_WHOLE, STOLEN_RANGE, BREAK_EVEN_BYTES)
