"""Dirty share of a cache when a flush comes: writes make lines dirty, each flush leaves them clean.

Natural write-back between the flushes, left out here, needs no other formula. With w lines written and u lines written back per second
the share is w / (w + u + rate lines): the share without flushes, w / (w + u), times the law for w + u lines that change
per second. The same holds of the valid lines, which a WBINVD drops and fills bring back.
"""

from __future__ import annotations

import sympy

from costmodel.formulas.formula import Formula, Quantity, symbol

w, lines, lam, gap = symbol("dirty_lines_per_s"), symbol("lines"), symbol("rate_per_s"), symbol("gap_s")

WRITES = Quantity("1 / second", "writes to lines of the domain, each to a random line")
LINES = Quantity("dimensionless", "lines of the domain")

DIRTY_OPEN = Formula(
    id="dirty_at_flush",
    title="Dirty share of a domain at a flush, flushes at random times",
    expression=w / (w + lam * lines),
    unit="dimensionless",
    symbols={"dirty_lines_per_s": WRITES, "lines": LINES, "rate_per_s": Quantity("1 / second", "flushes")},
    source="a line is still clean after a gap t with exp(-w t / lines); gaps are exponential",
    validity="writes to uniformly random lines; natural write-back between flushes left out (upper bound)",
)
DIRTY_CLOSED = Formula(
    id="dirty_at_flush_regular",
    title="Dirty share of a domain at a flush, flushes at equal gaps",
    expression=1 - sympy.exp(-w * gap / lines),
    unit="dimensionless",
    symbols={"dirty_lines_per_s": WRITES, "lines": LINES, "gap_s": Quantity("second", "time between two flushes")},
    source="a line is still clean after a gap t with exp(-w t / lines)",
    validity="as dirty_at_flush",
)
FORMULAS = (DIRTY_OPEN, DIRTY_CLOSED)
