"""What published figures identify: fits of the line time and of the broadcast, anchors of the whole-cache flush, bounds
from boot logs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy
from numpy.typing import ArrayLike

from costmodel import cache
from costmodel.calibration.fit import Fit, Problem, Unknown, kept
from costmodel.calibration.parameters import Distribution, loguniform, tabulated
from costmodel.errors import stated
from costmodel.evidence.hosts import Profile
from costmodel.evidence.records import Measurement, Rendezvous
from costmodel.evidence.store import Evidence

# Latency of one CLFLUSH or CLFLUSHOPT, from tests that flush one line again and again: by vendor, and on two sockets.
#
# It is no slope of a range: CLFLUSHOPT is ordered against flushes of the same line only, so such a test waits each time
# for what a range has in flight. It tells how much dearer a flush is that has to ask the other socket.

INSTRUCTIONS = ("CLFLUSHOPT", "CLFLUSH")
OBSERVABLE = "range_flush.same_line_s"


def line_time_rows(evidence: Evidence, instruction: str) -> list[Measurement]:
    """Rows that calibrate the latency of `instruction`."""
    return [row for row in evidence.rows(observable=OBSERVABLE, instruction=instruction) if row.use == "fit"]


def line_time_problem(evidence: Evidence, instruction: str = "CLFLUSHOPT") -> Problem:
    """The regression problem: one reference and one factor for a second socket for each vendor."""
    used = line_time_rows(evidence, instruction)
    observed = numpy.array([row.si for row in used])
    two = numpy.array([1.0 if (row.sockets or 1) > 1 else 0.0 for row in used])
    unknowns = []
    for vendor in ("amd", "intel"):
        mask = numpy.array([row.vendor == vendor for row in used])
        middle = float(numpy.exp(numpy.mean(numpy.log(observed[mask])))) if mask.any() else 1e-8
        unknowns += [
            Unknown(f"{vendor}_s", "line_reference_s", middle, middle / 30, middle * 30, mask),
            Unknown(f"{vendor}_two_socket_factor", "two_socket_factor", 2.0, 0.2, 20.0, mask),
        ]
    groups = tuple(row.hardware for row in used)
    ids = tuple(row.id for row in used)
    return Problem("line_time", observed, {"two_sockets": two}, tuple(unknowns), groups, ids)


def fit_line_time(evidence: Evidence, instruction: str = "CLFLUSHOPT") -> Fit:
    """Fit of `instruction` (see `problem`)."""
    return kept(line_time_problem(evidence, instruction))


def dearest_on_two_sockets(result: Fit, vendor: str) -> float:
    """The largest latency seen on two sockets, as a multiple (1 or more) of the vendor's fitted latency on one.

    It is a bound, so it is no mean: some two-socket machines are no dearer than one socket.
    """
    problem, one = result.problem, result.values[f"{vendor}_s"]
    mask = next(unknown.mask for unknown in problem.unknowns if unknown.name == f"{vendor}_s")
    on_two = numpy.asarray(problem.known["two_sockets"]) == 1
    return float(problem.observed[on_two if mask is None else mask & on_two].max(initial=one) / one)


# Fits of the empty broadcast: rows I06a..h (per-loop time of a TLB shoot-down on Milan, an upper bound for a round),
# and the delay with which CPUs answer on a measured host.

START = Unknown("broadcast_start_s", "broadcast_start_s", 2e-6, 1e-8, 1e-3)
PER_CPU = Unknown("broadcast_per_cpu_s", "broadcast_per_cpu_s", 1e-6, 1e-9, 1e-3)
DELAY = Unknown("response_delay_s", "response_delay_s", 1e-6, 1e-10, 1e-2)
EXCEEDED = numpy.arange(0.95, 0.04, -0.05)
"""Shares of the rounds at which the distribution of a host's rounds is compared."""


def broadcast_problem(evidence: Evidence, formula: str = "broadcast") -> Problem:
    """Loop time per thread = threads / loops per second, against the other threads' CPUs."""
    used = [row for row in evidence.rows(observable="broadcast.loops_per_s") if row.use == "fit"]
    threads = numpy.array([float(stated(row.cpus, f"CPUs of row {row.id}")) for row in used])
    observed = threads / numpy.array([row.si for row in used])
    unknowns = (START, PER_CPU, *((DELAY,) if formula == "broadcast_slowest" else ()))
    groups = tuple(str(row.cpus) for row in used)
    return Problem(formula, observed, {"target_cpus": threads - 1}, unknowns, groups, tuple(row.id for row in used))


def fit_broadcast(evidence: Evidence, formula: str = "broadcast") -> Fit:
    """Fit of the linear form, or of a rival: `broadcast_tree`, `broadcast_slowest`."""
    return kept(broadcast_problem(evidence, formula))


def host_broadcast_problem(profile: Profile) -> Problem | None:
    """Quantiles of the rounds of a measured host, over its numbers of targets; None where it has no broadcast probe.

    The groups are the numbers of targets: leaving one out asks whether the slowest of k is predicted from other k.
    """
    rounds: dict[float, list[float]] = {}
    for row in profile.table("broadcast"):
        rounds.setdefault(row["targets"], []).append(row["measured_call_s"])
    if not rounds:
        return None
    counts = numpy.repeat(sorted(rounds), len(EXCEEDED))
    observed = numpy.concatenate([numpy.quantile(rounds[count], 1 - EXCEEDED) for count in sorted(rounds)])
    known = {"target_cpus": counts, "share": numpy.tile(EXCEEDED, len(rounds))}
    groups = tuple(f"{count:g}" for count in counts)
    return Problem("broadcast_quantile", observed, known, (START, PER_CPU, DELAY), groups, groups)


# What the Intel anchors say about a whole-cache flush: cost per line of capacity, serial exponent, SMT factor.
#
# The anchors identify different quantities: Skylake-SP flushes one CPU at a time with near-clean caches (what an empty
# cache costs), Sapphire Rapids flushes all at once (exponent, SMT factor), Ice Lake is an upper bound only, Haswell is
# the outlier to test against. The sources do not name the exact parts, so the fit runs at each corner of the geometry
# that catalogued parts of the family have.

WITH_FLUSH, WITHOUT_FLUSH, ONE_THREAD, ALL_THREADS = "W01", "W02", "W09", "W08"
ANCHORED = frozenset({WITH_FLUSH, WITHOUT_FLUSH, ONE_THREAD, ALL_THREADS})
"""The rows that the anchors are fitted to: each identifies another quantity, so they are named and not selected."""
LINE_BYTES = 64.0
FLUSHES_PER_CPU = 2
"""mtrr_aps_init() flushes twice on every CPU (conditions of row W01)."""


@dataclass(frozen=True)
class Anchor:
    """One fit: a choice of the geometry that the sources leave open."""

    skylake_llc_bytes: float
    sapphire_llc_bytes: float
    sapphire_cores_per_socket: int
    result: Fit


def per_flush_s(evidence: Evidence, with_id: str, without_id: str) -> float:
    """Time of one WBINVD in the serial MTRR procedure: (with - without) / (CPUs * 2), in seconds."""
    with_flush, without = evidence.one(with_id), evidence.one(without_id)
    cpus = stated(with_flush.cpus, f"CPUs of row {with_id}")
    return (with_flush.si - without.si) / (cpus * FLUSHES_PER_CPU)


def whole_cache_anchors(evidence: Evidence) -> list[Anchor]:
    """The fit at every corner of the open geometry; raises MissingNumber if a row is gone."""
    skylake = [row.l3_bytes for row in evidence.geometry("00050654") if row.l3_bytes >= SKYLAKE_CLASS_BYTES]
    sapphire = [row.l3_bytes for row in evidence.geometry("000806F8")]
    skylake_l2 = evidence.geometry("00050654")[0].l2_bytes
    sapphire_l2 = evidence.geometry("000806F8")[0].l2_bytes
    both, one = evidence.one(ALL_THREADS), evidence.one(ONE_THREAD)
    stated_cores = stated(one.cpus, f"CPUs of row {ONE_THREAD}")
    corners = product((min(skylake), max(skylake)), (min(sapphire), max(sapphire)), (stated_cores // 2, stated_cores))
    found = []
    for llc_skylake, llc_sapphire, cores in corners:
        problem = Problem(
            formula="domain_flush",
            observed=numpy.array([per_flush_s(evidence, WITH_FLUSH, WITHOUT_FLUSH), one.si, both.si]),
            known={
                "walk_start_s": 0.0,
                "llc_bytes_per_domain": numpy.array([llc_skylake, llc_sapphire, llc_sapphire]),
                "l2_bytes_per_core": numpy.array([skylake_l2, sapphire_l2, sapphire_l2]),
                "line_bytes": LINE_BYTES,
                "cores_flushing": numpy.array([1.0, cores, cores]),
                "both_siblings": numpy.array([0.0, 0.0, 1.0]),
                "line_valid_s": 0.0,
                "valid_exponent": 0.0,
                "valid_fraction": 0.0,
                "dirty_fraction": 0.0,
                "domain_writeback_bytes_per_s": 1.0,
            },
            unknowns=(
                Unknown("line_empty_s", "line_empty_s", 5e-9, 1e-10, 1e-6),
                Unknown("serial_exponent", "serial_exponent", 0.3, 0.0, 1.0, log=False),
                Unknown("smt_factor", "smt_factor", 1.8, 0.5, 4.0),
            ),
            groups=("skylake-sp", "sapphire-rapids", "sapphire-rapids"),
            ids=(f"{WITH_FLUSH}-{WITHOUT_FLUSH}", ONE_THREAD, ALL_THREADS),
        )
        found.append(Anchor(llc_skylake, llc_sapphire, cores, kept(problem)))
    return found


SKYLAKE_CLASS_BYTES = 32 * 2**20
"""Skylake-SP dumps with at least this last-level cache are server parts of the size a 104-core host needs."""


# Is a range flush linear in the range? Rows C04a..k, by differences only: the intercept is no fence cost.


def range_shape_problem(evidence: Evidence) -> Problem:
    """Time of flushing a whole array against its lines: slope per line and a nuisance intercept."""
    used = [row for row in evidence.rows(observable="range_flush.range_time_s") if row.use == "fit"]
    size = numpy.array([row.range_bytes for row in used])
    known: dict[str, ArrayLike] = {
        "lines": size / LINE_BYTES,
        "present_fraction": 1.0,
        "remote_factor": 1.0,
        "line_dirty_s": 0.0,
        "line_absent_s": 0.0,
        "line_bytes": LINE_BYTES,
        "dirty_fraction": 0.0,
        "writeback_bytes_per_s": 1.0,
    }
    unknowns = (
        Unknown("intercept_s", "range_start_s", 1e-4, 1e-7, 1e-2),
        Unknown("line_s", "line_clean_s", 5e-8, 1e-9, 1e-6),
    )
    decades = tuple(
        "below 8 MiB" if s < 8 * 2**20 else "8 MiB to 16 MiB" if s < 16 * 2**20 else "above 16 MiB" for s in size
    )
    observed = numpy.array([row.si for row in used])
    return Problem("range_flush", observed, known, unknowns, decades, tuple(row.id for row in used))


# What boots and resumes of AMD machines leave of the prior on WBINVD: two costs per line, bounded from above.
#
# In such a rendezvous every CPU executes WBINVD twice, one CPU at a time, and a log shows how long all of it took at
# most. Nearly all of these flushes meet an empty cache: who waits only spins, and each CPU's second flush follows its
# first. At boot one domain holds what the boot CPU has touched, a share v of its lines that no log tells. So a boot
# says
#
#     flushes x lines x c_empty + lines x v x c_valid <= longest time,
#
# a resume the same without the second term, and what else the machine did in that time only makes the bound weaker. The
# likelihood is censored: a log tells that the sum is below its time, not by how much. Machines differ from each other,
# so the bound of one is no bound of another: they are let lie apart as far as measured machines do in a range flush,
# with the degrees of freedom that these few leave. What is left has an upper end only: how low the costs go is the
# prior's.

DECADES_BELOW = 3.0
"""The prior starts so far below the anchor: an empty 32 MiB then takes microseconds, less than any other term."""
POINTS_PER_DECADE = 60
SPREAD_POINTS = 81
SHARES = tuple((i + 0.5) / 8 for i in range(8))
"""Shares of the boot CPU's domain that may be valid, each as likely: uniform on [0, 1]."""


@dataclass(frozen=True)
class Bounded:
    """`before` is the prior of either cost, `empty` and `valid` what is left for one machine more, in seconds per
    line.
    """

    before: Distribution
    empty: Distribution
    valid: Distribution
    used: tuple[str, ...]


def usable_rendezvous(rows: Iterable[Rendezvous]) -> list[Rendezvous]:
    """Zen machines whose log bounds the flushes and whose caches are known."""
    return [
        row
        for row in rows
        if row.generation.startswith("zen") and row.flush_at_most_s is not None and row.capacity_lines is not None
    ]


@lru_cache(maxsize=64)
def bounded(rows: tuple[Rendezvous, ...], anchor_s: float, factor: float, deviation: float, freedom: int) -> Bounded:
    """Prior and posterior from the logs, from the user's cache where the same logs were asked before.

    `anchor_s`: Intel's cost per line of capacity. `factor`: how far above it the prior reaches. `deviation`: standard
    deviation of the logarithm between machines, known with `freedom` degrees of freedom.
    """
    used = usable_rendezvous(rows)
    before = loguniform(anchor_s * 10.0**-DECADES_BELOW, anchor_s * factor)

    def as_json() -> bytes:
        return json.dumps([one.model_dump() for one in _posterior(used, before, deviation, freedom)]).encode()

    said = [(row.id, row.method, row.line_of_all_s, row.flushes) for row in used]
    key = cache.key_of([said, before.a, before.b, deviation, freedom], ["calibration"])
    empty, valid = (Distribution.model_validate(one) for one in json.loads(cache.recall("rendezvous", key, as_json)))
    return Bounded(before=before, empty=empty, valid=valid, used=tuple(row.id for row in used))


def _posterior(
    used: list[Rendezvous], before: Distribution, deviation: float, freedom: int
) -> tuple[Distribution, Distribution]:
    """What the logs leave of the prior `before` on the cost of an empty line and on that of a valid one."""
    grid = _grid(before.a, before.b)
    likelihood = numpy.ones((len(grid), len(grid)))
    for row in used:
        shares = SHARES if row.method == "boot" else (0.0,)
        likelihood = likelihood * _likelihood(
            row.line_of_all_s, row.flushes, shares, before.a, before.b, deviation, freedom
        )
    empty, valid = (_one_more(grid, likelihood.sum(axis=axis), deviation, freedom) for axis in (1, 0))
    return empty, valid


def _grid(low: float, high: float) -> numpy.ndarray:
    """Costs of a line between the ends of the prior."""
    return numpy.geomspace(low, high, round(POINTS_PER_DECADE * numpy.log10(high / low)) + 1)


@lru_cache(maxsize=32)
def _likelihood(
    line_of_all_s: float,
    flushes: float,
    shares: tuple[float, ...],
    low: float,
    high: float,
    deviation: float,
    freedom: int,
) -> numpy.ndarray:
    """How likely one log is, by the cost of an empty line (first axis) and of a valid one. Calibrations that leave out
    another log ask for it again.
    """
    from scipy.special import stdtr

    grid = _grid(low, high)
    empty_s, valid_s = grid[:, None], grid[None, :]
    below = [
        stdtr(freedom, numpy.log(line_of_all_s / (flushes * empty_s + share * valid_s)) / deviation) for share in shares
    ]
    return numpy.asarray(sum(below) / len(below))


def _one_more(grid: numpy.ndarray, weight: numpy.ndarray, deviation: float, freedom: int) -> Distribution:
    """The level on a geometric grid, spread by what one machine more differs from it."""
    from scipy.special import stdtrit

    steps = stdtrit(freedom, (numpy.arange(SPREAD_POINTS) + 0.5) / SPREAD_POINTS) * deviation
    values = numpy.log(grid)[:, None] + steps[None, :]
    weights = numpy.broadcast_to((weight / weight.sum())[:, None] / SPREAD_POINTS, values.shape)
    order = numpy.argsort(values, axis=None, kind="stable")
    reached = numpy.cumsum(weights.ravel()[order])
    return tabulated(lambda p: numpy.exp(numpy.interp(p, reached, values.ravel()[order])))
