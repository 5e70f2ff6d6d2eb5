"""From draws to the intervals that are printed, and from two quantities over the same draws to lower, higher or
undecided.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, overload

import numpy

from costmodel.cost.total import Total
from costmodel.decision.result import Interval, Verdict, VersusRow

# From draws to the interval that a report prints.


@overload
def interval_of(
    values: numpy.ndarray, unit: str, extrapolated: bool, most: float | None = None, at_most: bool = False
) -> Interval: ...
@overload
def interval_of(
    values: numpy.ndarray | None, unit: str, extrapolated: bool, most: float | None = None, at_most: bool = False
) -> Interval | None: ...
def interval_of(
    values: numpy.ndarray | None, unit: str, extrapolated: bool, most: float | None = None, at_most: bool = False
) -> Interval | None:
    """Median and central 90 % of `values` (any shape), or None; `most` is the largest that the quantity can be.

    `at_most` marks what rests on a ceiling.
    """
    if values is None:
        return None
    low, median, high = _ends(numpy.asarray(values, dtype=float).tobytes())
    return Interval(low=low, median=median, high=high, unit=unit, extrapolated=extrapolated, most=most, at_most=at_most)


@lru_cache(maxsize=256)
def _ends(values: bytes) -> tuple[float, float, float]:
    """Central 90 % and median of an array, given as its bytes: many rows of an answer show the same cost."""
    low, median, high = (float(x) for x in numpy.quantile(numpy.frombuffer(values), (0.05, 0.5, 0.95)))
    return low, median, high


# Two quantities over the same draws: is one lower, higher, equal, or can it not be told.


class Quantity(NamedTuple):
    """What a row compares: its name in frames and JSON, its title in tables, its SI unit."""

    id: str
    title: str
    unit: str


CPU_TIME = Quantity("cpu_time", "CPU time/event", "s")
HOST_CPUS = Quantity("host_cpus", "host CPUs lost", "1")
QUANTITIES: tuple[tuple[Quantity, Callable[[Total], numpy.ndarray | None]], ...] = (
    (CPU_TIME, lambda cost: cost.priced.stolen_s),
    (HOST_CPUS, lambda cost: cost.host_cpu_s_per_s),
    (Quantity("event_time", "event latency", "s"), lambda cost: cost.priced.time_s),
    (Quantity("event_time_p99", "event latency, p99", "s"), lambda cost: cost.p99_s),
    (Quantity("interrupts_off", "IRQs off", "s"), lambda cost: cost.priced.irq_off_s),
    (Quantity("guest_stall_time", "vCPU stall", "s"), lambda cost: cost.priced.guest_s),
)
"""Each quantity with its array: the mean over the trigger's range lengths, and its p99 for the latency."""


def rows_of(base: Total, new: Total) -> list[VersusRow]:
    """One row per quantity that both totals have; a single refused row where a number is missing."""
    refused = [cost.refused for cost in (base, new) if cost.refused]
    if refused:
        return [refused_row(CPU_TIME, "; ".join(dict.fromkeys(refused)))]
    marks = (base.extrapolated, new.extrapolated)
    found = []
    for quantity, part in QUANTITIES:
        left, right = part(base), part(new)
        if left is not None and right is not None:
            ceilings = (base.at_most, new.at_most) if quantity is HOST_CPUS else (False, False)
            found.append(paired(quantity, left, right, marks, ceilings))
    return found


def refused_row(quantity: Quantity, gap: str) -> VersusRow:
    """A row without numbers that names the gap."""
    return VersusRow(
        id=quantity.id,
        quantity=quantity.title,
        unit=quantity.unit,
        base=None,
        new=None,
        ratio=None,
        verdict="refused",
        refused=gap,
    )


def paired(
    quantity: Quantity,
    base: numpy.ndarray,
    new: numpy.ndarray,
    extrapolated: tuple[bool, bool],
    ceilings: tuple[bool, bool] = (False, False),
) -> VersusRow:
    """Compare two arrays of the same draws; `extrapolated` marks base and new, `ceilings` what rests on a ceiling."""
    base, new = numpy.broadcast_arrays(numpy.atleast_1d(base).astype(float), numpy.atleast_1d(new).astype(float))
    unit = quantity.unit
    ratio: Interval | None = None
    verdict: Verdict
    if numpy.array_equal(base, new):
        verdict = "equal"
    elif not numpy.all(base > 0):
        verdict = _signed(new - base)
    else:
        found = interval_of(new / base, "1", any(extrapolated))
        verdict = "lower" if found.high < 1 else "higher" if found.low > 1 else "undecided"
        ratio = found
    return VersusRow(
        id=quantity.id,
        quantity=quantity.title,
        unit=unit,
        base=interval_of(base, unit, extrapolated[0], at_most=ceilings[0]),
        new=interval_of(new, unit, extrapolated[1], at_most=ceilings[1]),
        ratio=ratio,
        verdict=verdict,
        refused=None,
    )


def _signed(difference: numpy.ndarray) -> Verdict:
    """Verdict by the 90 % interval of a difference, where a base of zero leaves no ratio."""
    low, high = numpy.quantile(difference, (0.05, 0.95))
    return "lower" if high < 0 else "higher" if low > 0 else "undecided"
