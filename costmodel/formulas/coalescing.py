"""Coalescing: concurrent initiators of one VM share a flush that has not begun yet.

A flush serves every initiator whose zap was done before it began, so what arrives while one runs is served by the
next. The kernel does not do this; deferral beyond that point lets a page go before its flush and is inadmissible.
"""

from __future__ import annotations

import sympy

from costmodel.formulas.formula import Formula, Quantity, symbol

lam, T, D = symbol("rate_per_s"), symbol("flush_s"), symbol("delay_s")
_batch = lam * T + sympy.exp(-lam * T)

RATE = Quantity("1 / second", "invalidations of one VM")
FLUSH = Quantity("second", "time of one flush")

COALESCED_BATCH = Formula(
    id="coalesced_batch",
    title="Events that share one flush",
    expression=_batch,
    unit="dimensionless",
    symbols={"rate_per_s": RATE, "flush_s": FLUSH},
    source="flushes follow each other while at least one event came during the last: cycle T + exp(-lambda T) / lambda",
    validity="independent arrivals; one waiting thread never has company: 1",
)
COALESCED_BUSY = Formula(
    id="coalesced_busy",
    title="Share of time a coalesced flush runs",
    expression=lam * T / _batch,
    unit="dimensionless",
    symbols={"rate_per_s": RATE, "flush_s": FLUSH},
    source="flush rate lambda / batch, each T long",
    validity="independent arrivals; below 1 at every rate: it never saturates",
)
COALESCED_LATENCY = Formula(
    id="coalesced_latency",
    title="Mean time from zap to flush done, coalesced",
    expression=T + lam * T / _batch * T / 2,
    unit="second",
    symbols={"rate_per_s": RATE, "flush_s": FLUSH},
    source="an event that meets a running flush waits for its end (T / 2 on average) and for the next",
    validity="independent arrivals",
)
QUEUED_LATENCY = Formula(
    id="queued_latency",
    title="Mean time from zap to flush done, one flush per event",
    expression=T + lam * T**2 / (2 * (1 - lam * T)),
    unit="second",
    symbols={"rate_per_s": RATE, "flush_s": FLUSH},
    source="M/D/1 (Khinchine 1932): CPUs execute the flushes of several initiators one after the other",
    validity="independent arrivals below 1 / T; what the kernel does",
)
DEFERRED_RATE = Formula(
    id="deferred_rate",
    title="Flushes per second if events are collected for a time D",
    expression=lam / (1 + lam * D),
    unit="1 / second",
    symbols={"rate_per_s": RATE, "delay_s": Quantity("second", "time for which releasing events are collected")},
    source="one flush per D after the first event of a batch",
    validity="inadmissible: pages are reused before their flush; shown for what it would save",
)
FORMULAS = (COALESCED_BATCH, COALESCED_BUSY, COALESCED_LATENCY, QUEUED_LATENCY, DEFERRED_RATE)
