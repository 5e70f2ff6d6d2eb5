"""Refill: fetching again what a flush evicted and the software would have used.

Only the floor is known: the bytes cannot come back faster than memory delivers them. No source times the refill itself.
WBNOINVD keeps the lines valid and has no refill.
"""

from __future__ import annotations

from costmodel.formulas.formula import Formula, Quantity, symbol

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
FORMULAS = (REFILL_FLOOR,)
