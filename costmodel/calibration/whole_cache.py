"""What the Intel anchors say about a whole-cache flush: cost per line of capacity, serial exponent, SMT factor.

The anchors identify different quantities: Skylake-SP flushes one CPU at a time with near-clean
caches (what an empty cache costs), Sapphire Rapids flushes all at once (exponent, SMT factor), Ice Lake is an upper bound only, Haswell
is the outlier to test against. The sources do not name the exact parts, so the fit runs at each corner of the geometry
that catalogued parts of the family have.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy

from costmodel.calibration.fit import Fit, Problem, Unknown, fit
from costmodel.evidence.store import Evidence

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
    return (with_flush.si - without.si) / (with_flush.cpus * FLUSHES_PER_CPU)


def anchors(evidence: Evidence) -> list[Anchor]:
    """The fit at every corner of the open geometry; raises MissingNumber if a row is gone."""
    skylake = [row.l3_bytes for row in evidence.geometry("00050654") if row.l3_bytes >= SKYLAKE_CLASS_BYTES]
    sapphire = [row.l3_bytes for row in evidence.geometry("000806F8")]
    skylake_l2 = evidence.geometry("00050654")[0].l2_bytes
    sapphire_l2 = evidence.geometry("000806F8")[0].l2_bytes
    both, one = evidence.one("W08"), evidence.one("W09")
    stated_cores = one.cpus
    corners = product((min(skylake), max(skylake)), (min(sapphire), max(sapphire)), (stated_cores // 2, stated_cores))
    found = []
    for llc_skylake, llc_sapphire, cores in corners:
        problem = Problem(
            formula="domain_flush",
            observed=numpy.array([per_flush_s(evidence, "W01", "W02"), one.si, both.si]),
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
            ids=("W01-W02", "W09", "W08"),
        )
        found.append(Anchor(llc_skylake, llc_sapphire, cores, fit(problem)))
    return found


SKYLAKE_CLASS_BYTES = 32 * 2**20
"""Skylake-SP dumps with at least this last-level cache are server parts of the size a 104-core host needs."""
