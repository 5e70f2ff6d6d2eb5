"""Range flush: CLFLUSH or CLFLUSHOPT over every line of an address range, between two fences.

Source: clflush_cache_range() in arch/x86/mm/pat/set_memory.c (fence, one flush per line, fence). A call has a start, the
two fences and the latency of a single flush, and a slope per further line. The two are different quantities: CLFLUSHOPT
is ordered against flushes of the same line only, so many lines are in flight at once, and a test that flushes one line
again and again (the published latencies of 25 to 250 ns) says nothing about the slope (0.6 to 4 ns on three measured EPYC).
"""

from __future__ import annotations

import sympy

from costmodel.formulas.formula import Formula, Quantity, symbol

R, L, o = symbol("range_bytes"), symbol("line_bytes"), symbol("offset_bytes")
q, p, d = symbol("lines"), symbol("present_fraction"), symbol("dirty_fraction")
c_d, c_c, c_a = symbol("line_dirty_s"), symbol("line_clean_s"), symbol("line_absent_s")
t_0, g, B = symbol("range_start_s"), symbol("remote_factor"), symbol("writeback_bytes_per_s")

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
    expression=g * t_0 + sympy.Max(g * q * (p * (d * c_d + (1 - d) * c_c) + (1 - p) * c_a), q * L * p * d / B),
    unit="second",
    symbols={
        "range_start_s": Quantity("second", "the two fences and the latency of one flush"),
        "remote_factor": Quantity("dimensionless", "how much dearer lines are that the other socket's memory holds"),
        "lines": Quantity("dimensionless", "cache lines of the range"),
        "present_fraction": Quantity("dimensionless", "share of the lines that some cache holds"),
        "line_dirty_s": Quantity("second", "slope per line that a cache holds and that was written"),
        "line_clean_s": Quantity("second", "slope per line that a cache holds as memory does"),
        "line_absent_s": Quantity("second", "slope per line that no cache holds"),
        "line_bytes": Quantity("byte", "cache line size"),
        "dirty_fraction": Quantity("dimensionless", "share of the present lines that are dirty"),
        "writeback_bytes_per_s": Quantity("byte / second", "sustained write-back bandwidth of the socket"),
    },
    source="clflush_cache_range(); sweeps over 4 KiB to 64 MiB on the hosts of data/hosts; rows C04a..k (linear in lines); "
    "floor dirty bytes / bandwidth",
    validity="one thread, one call; lines of each state mixed uniformly; from a page to the last-level cache the slope "
    "changes by 1.4 at most on the measured hosts, which their intervals hold",
)
FORMULAS = (RANGE_LINES, RANGE_FLUSH)
