"""What a guest leaves behind: the CPUs that it ran on, and the lines that are cached, valid and dirty when a flush
comes.

Each section names its symbols by letters of its own.
"""

from __future__ import annotations

import sympy

from costmodel.formulas.formula import Formula, Quantity, symbol

# CPUs that ran a guest: a set that only grows (`have_run_cpus`), and the cache domains that it touches.
#
# Each migration of a vCPU lands on any of the s - 1 other CPUs that it may run on with the same probability. A CPU that
# was missed by M migrations is still outside the mask, and a pinned guest (M = 0) keeps the CPUs of its vCPUs. No
# source publishes a migration rate, so it is an axis everywhere.

s, v, M = symbol("allowed_cpus"), symbol("vcpus"), symbol("migrations")
o, y, m = symbol("other_cpus"), symbol("untouched_fraction"), symbol("mask_cpus")
mu, lam = symbol("migration_rate_per_s"), symbol("rate_per_s")
K, k = symbol("domains"), symbol("cpus_per_domain")

others = sympy.Max(1, s - 1)

ALLOWED = Quantity("dimensionless", "CPUs over which the scheduler spreads the guest")
VCPUS = Quantity("dimensionless", "vCPUs, at the start each on a CPU of its own; at most the allowed CPUs")
MIGRATIONS = Quantity("dimensionless", "migrations of all vCPUs together: rate times time")

MASK_COUNTED = Formula(
    id="mask_after_migrations",
    title="Distinct CPUs that ran a guest after exactly M migrations",
    expression=o + 2 - (o + 2 - v) * (o / (o + 1)) ** M,
    unit="dimensionless",
    symbols={
        "other_cpus": Quantity("dimensionless", "allowed CPUs that a migration neither leaves nor lands on: s - 2"),
        "vcpus": VCPUS,
        "migrations": MIGRATIONS,
    },
    source="s - (s - v)(1 - 1/(s - 1))^M, expectation: a migration goes to another CPU; pre_sev_run() sets it in "
    "have_run_cpus, nothing clears it",
    validity="uniform destinations; a scheduler that stays near the last CPU fills the mask more slowly",
)
MASK = Formula(
    id="mask_cpus",
    title="Distinct CPUs that ran a guest after M migrations on average",
    expression=s - (s - v) * sympy.exp(-M / others),
    unit="dimensionless",
    symbols={"allowed_cpus": ALLOWED, "vcpus": VCPUS, "migrations": MIGRATIONS},
    source="mask_after_migrations over a Poisson count: E[(1 - 1/(s - 1))^M] = exp(-M/(s - 1))",
    validity="uniform destinations: a scheduler that stays near fills the mask more slowly; few vCPUs: one that picks "
    "CPUs without a vCPU of the guest fills it faster; migrations at random times",
)
MIGRATIONS_TO_SHARE = Formula(
    id="migrations_to_share",
    title="Migrations until the mask leaves only a share y of the allowed CPUs out",
    expression=others * sympy.log(sympy.Max(1, (s - v) / (s * y))),
    unit="dimensionless",
    symbols={
        "allowed_cpus": ALLOWED,
        "vcpus": VCPUS,
        "untouched_fraction": Quantity("dimensionless", "share of the allowed CPUs outside the mask, above 0"),
    },
    source="mask_cpus solved for M; over the rate it is a time, over a time it is a rate",
    validity="as mask_cpus; 0 where the vCPUs alone fill the share",
)
MASK_BETWEEN = Formula(
    id="mask_between_flushes",
    title="Distinct CPUs that ran a guest since its last flush, flushes at random times",
    expression=s - (s - v) * lam * others / (lam * others + mu),
    unit="dimensionless",
    symbols={
        "allowed_cpus": ALLOWED,
        "vcpus": VCPUS,
        "rate_per_s": Quantity("1 / second", "flushes of the VM"),
        "migration_rate_per_s": Quantity("1 / second", "migrations of all vCPUs together"),
    },
    source="mask_cpus over exponential gaps; at equal gaps it is mask_cpus with the migrations of one gap",
    validity="tried on the KVM list and dropped: clearing the mask loses a flush unless flushes are serialised",
)
DOMAINS_TOUCHED = Formula(
    id="domains_touched",
    title="Cache domains that m CPUs at random places touch",
    expression=sympy.Max(sympy.Min(1, m), K * (1 - sympy.Max(0, 1 - m / sympy.Max(1, K * k - (k - 1) / 2)) ** k)),
    unit="dimensionless",
    symbols={
        "domains": Quantity("dimensionless", "last-level-cache domains"),
        "cpus_per_domain": Quantity("dimensionless", "CPUs of one domain"),
        "mask_cpus": Quantity("dimensionless", "CPUs of the mask"),
    },
    source="K (1 - C(Kk-k, m) / C(Kk, m)); the k factors 1 - m/(Kk-i) are set to that of their middle",
    validity="within 0.05 domains of the exact number; a scheduler that packs touches fewer, one that spreads more",
)


# Share of a range that is cached, between the cold end (cache over resident bytes) and the hot end (all of it).

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


# Refill: fetching again what a flush evicted and the software would have used.
#
# Only the floor is known: the bytes cannot come back faster than memory delivers them. No source times the refill
# itself. WBNOINVD keeps the lines valid and has no refill.

E, rho, B = symbol("evicted_bytes"), symbol("reused_fraction"), symbol("read_bytes_per_s")

REFILL_FLOOR = Formula(
    id="refill_floor",
    title="Least time to fetch evicted lines again",
    expression=rho * E / B,
    unit="second",
    symbols={
        "evicted_bytes": Quantity("byte", "bytes that the flush took out of the caches"),
        "reused_fraction": Quantity("dimensionless", "share that would have been used before natural eviction"),
        "read_bytes_per_s": Quantity("byte / second", "memory read bandwidth of the socket"),
    },
    source="bytes / bandwidth; rows M2a..c, M3, M4a",
    validity="a lower bound: dependent misses are slower (no source says by how much on these machines)",
)


# Dirty share of a cache when a flush comes: writes make lines dirty, each flush leaves them clean.
#
# Natural write-back between the flushes, left out here, needs no other formula. With w lines written and u lines
# written back per second the share is w / (w + u + rate lines): the share without flushes, w / (w + u), times the law
# for w + u lines that change per second. The same holds of the valid lines, which a WBINVD drops and fills bring back.

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
