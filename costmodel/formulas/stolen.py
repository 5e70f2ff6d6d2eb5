"""CPU time that one event takes from the host: every CPU that stands still, times how long."""

from __future__ import annotations

from costmodel.formulas.formula import Formula, Quantity, symbol

m, T, T_b = symbol("cpus_stopped"), symbol("flush_s"), symbol("broadcast_s")
c_w, q = symbol("range_line_s"), symbol("lines")

STOLEN_WHOLE = Formula(
    id="stolen_whole_cache",
    title="CPU time taken by one whole-cache flush on m CPUs",
    expression=m * T + T_b,
    unit="second",
    symbols={
        "cpus_stopped": Quantity("dimensionless", "CPUs that execute WBINVD or WBNOINVD"),
        "flush_s": Quantity("second", "time of the flush on the slowest domain"),
        "broadcast_s": Quantity("second", "the initiator's wait for the interrupt round"),
    },
    source="on_each_cpu_mask(wait=1): every target runs the instruction with IRQs off, the initiator waits for all",
    validity="targets of one domain that contend are all held until the domain is done (upper bound per CPU)",
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
FORMULAS = (STOLEN_WHOLE, BREAK_EVEN_BYTES)
