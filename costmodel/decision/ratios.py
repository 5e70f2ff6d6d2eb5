"""Two quantities over the same draws: is one lower, higher, equal, or can it not be told."""

from __future__ import annotations

import numpy

from costmodel.cost.totals import Total
from costmodel.decision.intervals import interval_of
from costmodel.decision.versus_model import VersusRow

QUANTITIES = (
    ("CPU time/event", "s", lambda cost: cost.event.stolen_s),
    ("host CPUs lost", "1", lambda cost: cost.host_cpu_s_per_s),
    ("event latency", "s", lambda cost: cost.event.time_s),
    ("event latency, p99", "s", lambda cost: cost.p99_s),
    ("IRQs off", "s", lambda cost: cost.event.irq_off_s),
    ("vCPU stall", "s", lambda cost: cost.event.guest_s),
)
"""Name, SI unit and array of each quantity: the mean over the trigger's range lengths, and its p99 for the latency."""


def rows_of(base: Total, new: Total) -> list[VersusRow]:
    """One row per quantity that both totals have; a single refused row where a number is missing."""
    refused = [cost.refused for cost in (base, new) if cost.refused]
    if refused:
        return [refused_row("CPU time/event", "s", "; ".join(dict.fromkeys(refused)))]
    marks = (base.extrapolated, new.extrapolated)
    found = []
    for name, unit, part in QUANTITIES:
        left, right = part(base), part(new)
        if left is not None and right is not None:
            found.append(paired(name, unit, left, right, marks))
    return found


def refused_row(quantity: str, unit: str, gap: str) -> VersusRow:
    """A row without numbers that names the gap."""
    return VersusRow(quantity=quantity, unit=unit, base=None, new=None, ratio=None, verdict="refused", refused=gap)


def paired(
    quantity: str, unit: str, base: numpy.ndarray, new: numpy.ndarray, extrapolated: tuple[bool, bool]
) -> VersusRow:
    """Compare two arrays of the same draws; `extrapolated` marks base and new."""
    base, new = numpy.broadcast_arrays(numpy.atleast_1d(base).astype(float), numpy.atleast_1d(new).astype(float))
    ratio = None
    if numpy.array_equal(base, new):
        verdict = "equal"
    elif not numpy.all(base > 0):
        verdict = _signed(new - base)
    else:
        ratio = interval_of(new / base, "1", any(extrapolated))
        verdict = "lower" if ratio.high < 1 else "higher" if ratio.low > 1 else "undecided"
    return VersusRow(
        quantity=quantity,
        unit=unit,
        base=interval_of(base, unit, extrapolated[0]),
        new=interval_of(new, unit, extrapolated[1]),
        ratio=ratio,
        verdict=verdict,
        refused=None,
    )


def _signed(difference: numpy.ndarray) -> str:
    """Verdict by the 90 % interval of a difference, where a base of zero leaves no ratio."""
    low, high = numpy.quantile(difference, (0.05, 0.95))
    return "lower" if high < 0 else "higher" if low > 0 else "undecided"
