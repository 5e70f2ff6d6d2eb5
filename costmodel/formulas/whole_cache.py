"""Whole-cache flush: WBINVD or WBNOINVD on every CPU of a mask.

T_domain(k) = (t_0 + lines c_empty) k^s sigma^[both siblings] + lines v c_valid k^r + v d bytes / B, with k the cores of
one last-level-cache domain that flush, v the share of its lines that are valid and d the share of those that are dirty.
What an empty cache costs and what a full one adds are two numbers: resumes of AMD machines leave at most 25 to 250
microseconds for the flush of an empty domain, where Skylake-SP takes 3.4 ms for the same procedure. A line that WBINVD
has dropped is valid for no other core, so r is 0; r = 1 is a rival for WBNOINVD, after which lines stay valid.

Cores and SMT siblings are told apart: rows W08 and W09 (21.5 ms against 12 ms for twice the CPUs, 1.8x) do not fit
k^s with the s of rows W09 and W01 (2^s = 1.1 to 1.3), so the published data contradict a common exponent.
"""

from __future__ import annotations

import sympy

from costmodel.formulas.formula import Formula, Quantity, symbol

C_llc, C_l2, L = symbol("llc_bytes_per_domain"), symbol("l2_bytes_per_core"), symbol("line_bytes")
t_0, c_e, c_v = symbol("walk_start_s"), symbol("line_empty_s"), symbol("line_valid_s")
k, s, r = symbol("cores_flushing"), symbol("serial_exponent"), symbol("valid_exponent")
sigma, both = symbol("smt_factor"), symbol("both_siblings")
v, d = symbol("valid_fraction"), symbol("dirty_fraction")
B_dom, B = symbol("domain_writeback_bytes_per_s"), symbol("writeback_bytes_per_s")
D = symbol("domains_per_socket")
T_dom = symbol("domain_flush_s")

_VALID = Quantity("dimensionless", "share of the domain's lines that are valid")
_DIRTY = Quantity("dimensionless", "share of the valid lines that are dirty")

DOMAIN_FLUSH = Formula(
    id="domain_flush",
    title="Time of a whole-cache flush in one last-level-cache domain",
    expression=(t_0 + (C_llc + C_l2) / L * c_e) * k**s * sigma**both
    + (C_llc + C_l2) / L * v * c_v * k**r
    + v * d * (C_llc + k * C_l2) / B_dom,
    unit="second",
    symbols={
        "walk_start_s": Quantity("second", "part of WBINVD that does not grow with the cache"),
        "llc_bytes_per_domain": Quantity("byte", "last-level cache of the domain (CCX on AMD, socket on Intel)"),
        "l2_bytes_per_core": Quantity("byte", "L2 of one core"),
        "line_bytes": Quantity("byte", "cache line size"),
        "line_empty_s": Quantity("second", "walk over one line of capacity, whatever it holds"),
        "line_valid_s": Quantity("second", "what a line that is valid adds"),
        "cores_flushing": Quantity("dimensionless", "cores of the domain that flush at once, at least 1"),
        "serial_exponent": Quantity("dimensionless", "0: cores flush in parallel for free, 1: one after another"),
        "valid_exponent": Quantity("dimensionless", "0: valid lines are walked once, 1: by each core of the domain"),
        "smt_factor": Quantity("dimensionless", "slow-down when both SMT siblings of a core flush"),
        "both_siblings": Quantity("dimensionless", "1 if both siblings flush, else 0"),
        "valid_fraction": _VALID,
        "dirty_fraction": _DIRTY,
        "domain_writeback_bytes_per_s": Quantity("byte / second", "write-back bandwidth of one domain"),
    },
    source="MODEL of T(k); rows W01-W02 (c_empty of Intel), boots and resumes in data/kvm/amd_rendezvous.csv (c_empty and "
    "c_valid of AMD), W08-W10 (s, sigma); dirty data is written once, not k times",
    validity="0 <= s <= 1; an upper bound where cores that walk at once share the valid lines, or write back while others "
    "walk; nobody has timed a full and dirty domain of an EPYC",
)

EVENT_FLUSH = Formula(
    id="whole_cache_flush",
    title="Time of a whole-cache flush over all its domains",
    expression=sympy.Max(T_dom, D * v * d * (C_llc + k * C_l2) / B),
    unit="second",
    symbols={
        "domain_flush_s": Quantity("second", "slowest domain"),
        "domains_per_socket": Quantity("dimensionless", "domains of one socket that flush"),
        "valid_fraction": _VALID,
        "dirty_fraction": _DIRTY,
        "llc_bytes_per_domain": Quantity("byte", "last-level cache of the domain"),
        "cores_flushing": Quantity("dimensionless", "cores of the domain that flush at once"),
        "l2_bytes_per_core": Quantity("byte", "L2 of one core"),
        "writeback_bytes_per_s": Quantity("byte / second", "sustained write-back bandwidth of the socket"),
    },
    source="domains flush in parallel; a socket's dirty bytes share its memory bandwidth",
    validity="as domain_flush",
)
FORMULAS = (DOMAIN_FLUSH, EVENT_FLUSH)
