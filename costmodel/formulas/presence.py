"""Share of a range that is cached, between the cold end (cache over resident bytes) and the hot end (all of it)."""

from __future__ import annotations

import sympy

from costmodel.formulas.formula import Formula, Quantity, symbol

p_0, x, p_max = symbol("cold_fraction"), symbol("presence_position"), symbol("cached_fraction")

_SYMBOLS = {
    "cold_fraction": Quantity("dimensionless", "cache bytes of the host over resident bytes of the guest, at most 1"),
    "presence_position": Quantity("dimensionless", "where the share lies: 0 at the low end, 1 at the high end"),
    "cached_fraction": Quantity("dimensionless", "share of the range that all caches together hold"),
}
PRESENT_COLD = Formula(
    id="present_cold",
    title="Cached share of a range that nobody used lately",
    expression=sympy.Min(p_0 * x, p_max),
    unit="dimensionless",
    symbols=_SYMBOLS,
    source="at most the caches' share of the guest's memory; the position is an open prior",
    validity="ranges that a scan or a migration picks",
)
PRESENT_BETWEEN = Formula(
    id="present_between",
    title="Cached share of a range of unknown use",
    expression=sympy.Min(p_0 ** (1 - x), p_max),
    unit="dimensionless",
    symbols=_SYMBOLS,
    source="log-uniform between the cold end and all of it, for lack of a source",
    validity="where no workload says how the range is used",
)
FORMULAS = (PRESENT_COLD, PRESENT_BETWEEN)
