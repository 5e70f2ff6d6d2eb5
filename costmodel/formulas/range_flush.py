"""Range flush: CLFLUSH or CLFLUSHOPT over every line of an address range, between two fences.

Source: clflush_cache_range() in arch/x86/mm/pat/set_memory.c (fence, one flush per line, fence). That the time
grows with the lines of the range, not with the lines cached, is seen in rows C04a..C04k. The mix over present
and absent lines is the first candidate of MODEL.md section 2; published data cannot separate cache levels.
"""

from __future__ import annotations

import sympy

from costmodel.formulas.formula import Formula, Quantity, symbol

R, L, o = symbol("range_bytes"), symbol("line_bytes"), symbol("offset_bytes")
q, p, d = symbol("lines"), symbol("present_fraction"), symbol("dirty_fraction")
c_p, c_a = symbol("line_present_s"), symbol("line_absent_s")
t_f, B = symbol("fence_s"), symbol("writeback_bytes_per_s")

RANGE_LINES = Formula(
    id="range_lines",
    title="Cache lines that a range touches",
    expression=sympy.ceiling((o + R) / L),
    unit="dimensionless",
    symbols={
        "range_bytes": Quantity("byte", "length of the range"),
        "offset_bytes": Quantity("byte", "start of the range modulo the line size"),
        "line_bytes": Quantity("byte", "cache line size (CPUID 1 EBX)"),
    },
    source="clflush_cache_range(): the start is rounded down to a line",
    validity="any range; a single kernel call takes less than 4 GiB",
)

RANGE_FLUSH = Formula(
    id="range_flush",
    title="Time of a range flush on one CPU",
    expression=2 * t_f + sympy.Max(q * (p * c_p + (1 - p) * c_a), q * L * p * d / B),
    unit="second",
    symbols={
        "fence_s": Quantity("second", "one MFENCE around the loop"),
        "lines": Quantity("dimensionless", "cache lines of the range"),
        "present_fraction": Quantity("dimensionless", "share of the lines that some cache holds"),
        "line_present_s": Quantity("second", "flush of a line that is cached, throughput"),
        "line_absent_s": Quantity("second", "flush of a line that no cache holds, throughput"),
        "line_bytes": Quantity("byte", "cache line size"),
        "dirty_fraction": Quantity("dimensionless", "share of the present lines that are dirty"),
        "writeback_bytes_per_s": Quantity("byte / second", "sustained write-back bandwidth of the socket"),
    },
    source="clflush_cache_range(); rows C1xx (time per line), C04a..k (linear in lines); floor dirty bytes / bandwidth",
    validity="one thread; lines of one state mixed uniformly; cache levels are not told apart by published data",
)
FORMULAS = (RANGE_LINES, RANGE_FLUSH)
