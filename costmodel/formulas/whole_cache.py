"""Whole-cache flush: WBINVD or WBNOINVD on every CPU of a mask.

T_domain(k) = (t_0 + lines c_walk) k^s sigma^[both siblings] + dirty bytes / B, with k the cores of one last-level-cache
domain that flush. Differs from MODEL.md section 2 in one point: k counts cores, and two SMT siblings of a core that
both flush cost a factor sigma of their own. Rows W08 and W09 (21.5 ms against 12 ms for twice the CPUs, 1.8x) do not
fit k^s with the s of rows W09 and W01 (2^s = 1.1 to 1.3), so the published data contradict the common exponent.
"""

from __future__ import annotations

import sympy

from costmodel.formulas.formula import Formula, Quantity, symbol

C_llc, C_l2, L = symbol("llc_bytes_per_domain"), symbol("l2_bytes_per_core"), symbol("line_bytes")
t_0, c_w = symbol("walk_start_s"), symbol("line_walk_s")
k, s = symbol("cores_flushing"), symbol("serial_exponent")
sigma, both = symbol("smt_factor"), symbol("both_siblings")
d, B = symbol("dirty_fraction"), symbol("writeback_bytes_per_s")
D = symbol("domains_per_socket")
T_dom = symbol("domain_flush_s")

DOMAIN_FLUSH = Formula(
    id="domain_flush",
    title="Time of a whole-cache flush in one last-level-cache domain",
    expression=(t_0 + (C_llc + C_l2) / L * c_w) * k**s * sigma**both + d * (C_llc + k * C_l2) / B,
    unit="second",
    symbols={
        "walk_start_s": Quantity("second", "part of WBINVD that does not grow with the cache"),
        "llc_bytes_per_domain": Quantity("byte", "last-level cache of the domain (CCX on AMD, socket on Intel)"),
        "l2_bytes_per_core": Quantity("byte", "L2 of one core"),
        "line_bytes": Quantity("byte", "cache line size"),
        "line_walk_s": Quantity("second", "walk over one line, clean or invalid"),
        "cores_flushing": Quantity("dimensionless", "cores of the domain that flush at once, at least 1"),
        "serial_exponent": Quantity("dimensionless", "0: cores flush in parallel for free, 1: one after another"),
        "smt_factor": Quantity("dimensionless", "slow-down when both SMT siblings of a core flush"),
        "both_siblings": Quantity("dimensionless", "1 if both siblings flush, else 0"),
        "dirty_fraction": Quantity("dimensionless", "share of the cached bytes that are dirty"),
        "writeback_bytes_per_s": Quantity("byte / second", "write-back bandwidth open to the domain"),
    },
    source="MODEL of T(k); rows W01-W02 (c_walk), W08-W10 (s, sigma); dirty data is written once, not k times",
    validity="0 <= s <= 1; no timing on any EPYC is public, none against dirty fraction",
)

EVENT_FLUSH = Formula(
    id="whole_cache_flush",
    title="Time of a whole-cache flush over all its domains",
    expression=sympy.Max(T_dom, D * d * (C_llc + k * C_l2) / B),
    unit="second",
    symbols={
        "domain_flush_s": Quantity("second", "slowest domain"),
        "domains_per_socket": Quantity("dimensionless", "domains of one socket that flush"),
        "dirty_fraction": Quantity("dimensionless", "share of the cached bytes that are dirty"),
        "llc_bytes_per_domain": Quantity("byte", "last-level cache of the domain"),
        "cores_flushing": Quantity("dimensionless", "cores of the domain that flush at once"),
        "l2_bytes_per_core": Quantity("byte", "L2 of one core"),
        "writeback_bytes_per_s": Quantity("byte / second", "sustained write-back bandwidth of the socket"),
    },
    source="domains flush in parallel; a socket's dirty bytes share its memory bandwidth",
    validity="as domain_flush",
)
FORMULAS = (DOMAIN_FLUSH, EVENT_FLUSH)
