"""What one flush takes: line by line over a range, whole on every CPU of a mask, and the interrupt that starts it.

Each section names its symbols by letters of its own.
"""

from __future__ import annotations

import sympy

from costmodel.formulas.formula import Formula, Quantity, symbol

# Range flush: CLFLUSH or CLFLUSHOPT over every line of an address range, between two fences.
#
# Source: clflush_cache_range() in arch/x86/mm/pat/set_memory.c (fence, one flush per line, fence). A call has a start,
# the two fences and the latency of a single flush, and a slope per further line. The two are different quantities:
# CLFLUSHOPT is ordered against flushes of the same line only, so many lines are in flight at once, and a test that
# flushes one line again and again (the published latencies of 25 to 250 ns) says nothing about the slope (0.6 to 4 ns
# on three measured EPYC).

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
    source=(
        "clflush_cache_range(); sweeps over 4 KiB to 64 MiB on the hosts of data/hosts; rows C04a..k (linear in "
        "lines); floor dirty bytes / bandwidth"
    ),
    validity="one thread, one call; lines of each state mixed uniformly; from a page to the last-level cache the slope "
    "changes by 1.4 at most on the measured hosts, which their intervals hold",
)


# Latency of a flush on a machine: a reference time of the vendor, times a factor for the second socket.

c, g, two = symbol("line_reference_s"), symbol("two_socket_factor"), symbol("two_sockets")

LINE_TIME = Formula(
    id="line_time",
    title="Latency of one flush of one line, again and again",
    expression=c * g**two,
    unit="second",
    symbols={
        "line_reference_s": Quantity("second", "latency on a single-socket machine of the vendor"),
        "two_socket_factor": Quantity("dimensionless", "how much dearer a line is on a two-socket machine"),
        "two_sockets": Quantity("dimensionless", "1 on a machine with two sockets, else 0"),
    },
    source=(
        "regression on the rows of range_flush.same_line_s; of two two-socket machines of AMD one is dearer, one is not"
    ),
    validity="one thread, one line at a time: no slope of a range",
)


# How the time per flushed line depends on the length of the range: two rival forms, held against measured hosts.
#
# A mix over the cache levels that can hold the range, and a start bound by latency with a tail bound by throughput. On the first measured host interpolation between measured ranges beats both; `costmodel
# calibrate --host` prints the three errors.

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
    source="a supposition: the range fills the caches from the nearest on; held against the hosts of data/hosts, where "
    "interpolation between measured ranges beats it, so no cost rests on it",
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
    source="a supposition, rival of line_time_levels: a start bound by latency, then throughput; no cost rests on it",
    validity="lines of one state",
)


# Whole-cache flush: WBINVD or WBNOINVD on every CPU of a mask.
#
# T_domain(k) = (t_0 + lines c_empty) k^s sigma^[both siblings] + lines v c_valid k^r + v d bytes / B, with k the cores
# of one last-level-cache domain that flush, v the share of its lines that are valid and d the share of those that are
# dirty. What an empty cache costs and what a full one adds are two numbers: resumes of AMD machines leave at most 25 to
# 250 microseconds for the flush of an empty domain, where Skylake-SP takes 3.4 ms for the same procedure. A line that
# WBINVD has dropped is valid for no other core, so r is 0; r = 1 is a rival for WBNOINVD, after which lines stay valid.
#
# Cores and SMT siblings are told apart: rows W08 and W09 (21.5 ms against 12 ms for twice the CPUs, 1.8x) do not fit
# k^s with the s of rows W09 and W01 (2^s = 1.1 to 1.3), so the published data contradict a common exponent.

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
    source=(
        "the walk over all lines, what valid lines add, and the write-back of the dirty ones, one after another; rows "
        "W01-W02 (c_e of Intel), boots and resumes in data/kvm/amd_rendezvous.csv (c_e and c_v of AMD), W08-W10 (s and "
        "sigma); dirty data is written once, not k times"
    ),
    validity=(
        "0 <= s <= 1; an upper bound where cores that walk at once share the valid lines, or write back while others "
        "walk; nobody has timed a full and dirty domain of an EPYC"
    ),
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


# Broadcast: interrupting k other CPUs and waiting until all have answered.
#
# Source: smp_call_function_many_cond() sends to each target in turn and waits for each in turn, so the time grows with
# k. Two rival forms are fitted beside it, a tree and a wait for the slowest of k late answers; held-out CPU counts
# decide.
#
# The mean of the largest of k exponential delays is their mean times the harmonic number H_k. H_k is continued to any
# k >= 0 by its recurrence and the asymptotic series of H at k + 2, off by less than 2e-5.

a, b, k = symbol("broadcast_start_s"), symbol("broadcast_per_cpu_s"), symbol("target_cpus")
delay, x = symbol("response_delay_s"), symbol("share")
_far = k + sympy.Rational(5, 2)
_gamma = sympy.EulerGamma.evalf(17)
harmonic = sympy.log(_far) + _gamma + 1 / (24 * _far**2) - 7 / (960 * _far**4) - 1 / (k + 1) - 1 / (k + 2)

_SYMBOLS = {
    "broadcast_start_s": Quantity("second", "fixed part of an inter-processor interrupt round"),
    "broadcast_per_cpu_s": Quantity("second", "increment per target CPU (linear) or per doubling (tree)"),
    "target_cpus": Quantity("dimensionless", "CPUs that are interrupted"),
}
DELAY = Quantity("second", "mean time until a target answers: interrupts off, a virtual CPU that does not run")
BROADCAST = Formula(
    id="broadcast",
    title="Time of an empty broadcast to k CPUs",
    expression=a + b * k,
    unit="second",
    symbols=_SYMBOLS,
    source="smp_call_function_many_cond(); rows I06a..h (Milan, includes mmap_lock contention: an upper bound)",
    validity="1 to 72 CPUs on bare metal; virtual IPIs are one to two orders slower (rows I01 to I03)",
)
BROADCAST_TREE = Formula(
    id="broadcast_tree",
    title="Time of an empty broadcast to k CPUs, rival form",
    expression=a + b * sympy.log(1 + k, 2),
    unit="second",
    symbols=_SYMBOLS,
    source="rival of broadcast: interrupts spread as a tree",
    validity="shown beside the linear form only",
)
SLOWEST_RESPONSE = Formula(
    id="slowest_response",
    title="Mean delay of the slowest of k CPUs",
    expression=delay * harmonic,
    unit="second",
    symbols={"response_delay_s": DELAY, "target_cpus": _SYMBOLS["target_cpus"]},
    source="E[max of k exponential delays] = mean H_k, H_k = 1 + 1/2 + ... + 1/k",
    validity="independent exponential delays of one mean; no source publishes the delay",
)
BROADCAST_SLOWEST = Formula(
    id="broadcast_slowest",
    title="Time of an empty broadcast to k CPUs that answer late, rival form",
    expression=a + b * k + delay * harmonic,
    unit="second",
    symbols=_SYMBOLS | {"response_delay_s": DELAY},
    source="rival of broadcast: csd_lock_wait() waits for the slowest of k independent exponential delays",
    validity="delays of the targets independent, exponential and of one mean; shown beside the linear form only",
)
SLOWEST_QUANTILE = Formula(
    id="slowest_response_quantile",
    title="Delay of the slowest of k CPUs that a share x of the rounds exceeds",
    expression=-delay * sympy.log(1 - sympy.Max(0, 1 - x) ** (1 / k)),
    unit="second",
    symbols={
        "share": Quantity("dimensionless", "share of the rounds that take longer: 0.01 for the 99th percentile"),
        "target_cpus": _SYMBOLS["target_cpus"],
        "response_delay_s": DELAY,
    },
    source="P(all k below t) = (1 - exp(-t / mean))^k, solved for t",
    validity="as slowest_response",
)
BROADCAST_QUANTILE = Formula(
    id="broadcast_quantile",
    title="Time of an empty broadcast to k CPUs that a share x of the rounds exceeds",
    expression=BROADCAST.expression + SLOWEST_QUANTILE.expression,
    unit="second",
    symbols={**_SYMBOLS, **SLOWEST_QUANTILE.symbols},
    source="broadcast plus slowest_response_quantile",
    validity="as slowest_response",
)
