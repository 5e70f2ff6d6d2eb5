"""How the time per flushed line depends on the length of the range: two rival forms, held against measured hosts.

Both are of MODEL.md section 2: a mix over the cache levels that can hold the range, and a start bound by latency with a
tail bound by throughput. On the first measured host interpolation between measured ranges beats both; `costmodel
calibrate --host` prints the three errors.
"""

from __future__ import annotations

import sympy

from costmodel.formulas.formula import Formula, Quantity, symbol

R, q = symbol("range_bytes"), symbol("lines")
C1, C2, C3 = symbol("l1_bytes"), symbol("l2_bytes_per_core"), symbol("llc_bytes_per_domain")
c1, c2, c3, c4 = symbol("line_l1_s"), symbol("line_l2_s"), symbol("line_llc_s"), symbol("line_memory_s")
t_0, c_t = symbol("range_start_s"), symbol("line_tail_s")

LINE_TIME_LEVELS = Formula(
    id="line_time_levels",
    title="Time per line as a mix over cache levels",
    expression=(
        sympy.Min(R, C1) * c1
        + sympy.Max(0, sympy.Min(R, C2) - C1) * c2
        + sympy.Max(0, sympy.Min(R, C3) - C2) * c3
        + sympy.Max(0, R - C3) * c4
    )
    / R,
    unit="second",
    symbols={
        "range_bytes": Quantity("byte", "length of the range"),
        "l1_bytes": Quantity("byte", "first-level data cache of a core"),
        "l2_bytes_per_core": Quantity("byte", "second-level cache of a core"),
        "llc_bytes_per_domain": Quantity("byte", "last-level cache of a domain"),
        "line_l1_s": Quantity("second", "flush of a line that the first level holds"),
        "line_l2_s": Quantity("second", "flush of a line that the second level holds"),
        "line_llc_s": Quantity("second", "flush of a line that the last level holds"),
        "line_memory_s": Quantity("second", "flush of a line beyond all caches"),
    },
    source="MODEL.md section 2, first candidate: the range fills the caches from the nearest on",
    validity="lines of one state, brought in order by one CPU; L1 < L2 < last level",
)

LINE_TIME_TAIL = Formula(
    id="line_time_tail",
    title="Time per line as start plus tail",
    expression=t_0 / q + c_t,
    unit="second",
    symbols={
        "range_start_s": Quantity("second", "latency-bound start of a range flush"),
        "lines": Quantity("dimensionless", "cache lines of the range"),
        "line_tail_s": Quantity("second", "throughput-bound time of each line"),
    },
    source="MODEL.md section 2, rival of the mix over levels",
    validity="lines of one state",
)
FORMULAS = (LINE_TIME_LEVELS, LINE_TIME_TAIL)
