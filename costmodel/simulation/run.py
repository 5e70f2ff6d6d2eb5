"""Run a system until its outputs are known: batches of one long run, the first discarded as warm-up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy

from costmodel.simulation.invalidations import Invalidations, System
from costmodel.simulation.measure import Estimate, ratio
from costmodel.simulation.pieces import Pieces, line_pieces, quantile
from costmodel.simulation.vcpu import Faults

BATCH_EVENTS = 1200
FEWEST_BATCHES = 16
MOST_BATCHES = 400
GROWTH = 1.4
RELATIVE_HALF_WIDTH = 0.019
"""A run goes on until every output asked for is known as well as this."""


@dataclass(frozen=True)
class Batch:
    """What one batch saw. `surplus` is the number of open events less the expected one, 0 for closed triggers."""

    length_s: float
    surplus: float
    begun: int
    events: tuple[int, ...]
    latency_s: float
    held_s: float
    stopped_s: float
    flushes: int
    initiators: int
    faults: Faults
    line: Pieces
    window: Pieces


def advance(system: System, length_s: float) -> Batch:
    """Let `length_s` pass and take what happened out of the system's logs."""
    done, lock, notifier, setting = system.done, system.lock, system.notifier, system.setting
    stopped_s = system.host.stopped_s
    system.advance(length_s)
    known = min(len(lock.released_s), len(lock.requested_s) - 1)
    line = line_pieces(lock.requested_s[: known + 1], lock.released_s[:known], length_s)
    del lock.requested_s[:known], lock.released_s[:known]
    start_s, end_s, covered = numpy.array(notifier.pieces).reshape(-1, 3).T
    notifier.pieces.clear()
    batches, system.coalescer.batches = system.coalescer.batches, []
    batch = Batch(
        length_s=length_s,
        surplus=done.begun - setting.rate_per_s * length_s if setting.rate_per_s else 0.0,
        begun=done.begun,
        events=tuple(done.events),
        latency_s=done.latency_s,
        held_s=done.held_s,
        stopped_s=system.host.stopped_s - stopped_s,
        flushes=len(batches),
        initiators=sum(batches),
        faults=system.faults.take(),
        line=line,
        window=Pieces(start_s, end_s, covered, length_s),
    )
    done.events[:] = [0] * len(done.events)
    done.latency_s = done.held_s = 0.0
    done.begun = 0
    return batch


def _per_time(total: Callable[[Batch], float]) -> Callable[[list[Batch], numpy.ndarray], Estimate]:
    return lambda batches, controls: _over(batches, controls, total, lambda batch: batch.length_s)


def _per(total: Callable[[Batch], float], other: Callable[[Batch], float]) -> Callable[..., Estimate]:
    return lambda batches, controls: _over(batches, controls, total, other)


def _over(batches: list[Batch], controls: numpy.ndarray, total: Callable, other: Callable) -> Estimate:
    return ratio([total(batch) for batch in batches], [other(batch) for batch in batches], controls)


OUTPUTS: dict[str, Callable[[list[Batch], numpy.ndarray], Estimate]] = {
    "rate_per_s": _per_time(lambda batch: sum(batch.events)),
    "first_kind_rate_per_s": _per_time(lambda batch: batch.events[0]),
    "last_kind_rate_per_s": _per_time(lambda batch: batch.events[-1]),
    "lock_busy": _per_time(lambda batch: batch.held_s),
    "lock_wait": _per_time(lambda batch: batch.line.wait_s2),
    "lock_wait_of_faults": _per(lambda batch: batch.faults.first_wait_s, lambda batch: batch.faults.count),
    "wait_of_faults": _per(
        lambda batch: batch.faults.lock_wait_s + batch.faults.loops_s, lambda batch: batch.faults.count
    ),
    "in_progress": _per_time(lambda batch: batch.window.time_s),
    "window_stall": _per(lambda batch: batch.window.wait_s2, lambda batch: batch.window.time_s),
    "merged_fraction": _per(lambda batch: batch.window.weighted_time_s, lambda batch: batch.window.time_s),
    "fault_stall": _per_time(lambda batch: batch.window.weighted_wait_s2),
    "retries": _per(lambda batch: batch.faults.retries, lambda batch: batch.faults.count),
    "latency": _per(lambda batch: batch.latency_s, lambda batch: sum(batch.events)),
    "batch": _per(lambda batch: batch.initiators, lambda batch: batch.flushes),
    "stopped_fraction": _per_time(lambda batch: batch.stopped_s),
}
"""Outputs that are ratios of totals. Waits are means over all moments of time, or over the faults that happened:
`lock_wait_of_faults` for the first read lock of a fault, `wait_of_faults` for all of them and the retry loops."""
QUANTILES = {
    "lock_wait_quantile": lambda batch: batch.line,
    "stall_quantile": lambda batch: batch.window,
}
"""Outputs that are waits exceeded by a share of all moments, written `name@share`."""


def estimate(output: str, batches: list[Batch]) -> Estimate:
    """The value of one output over the batches, with its interval."""
    controls = numpy.array([batch.surplus for batch in batches])
    name, _, share = output.partition("@")
    if share:
        return quantile([QUANTILES[name](batch) for batch in batches], float(share), controls)
    return OUTPUTS[name](batches, controls)


def simulate(setting: Invalidations, outputs: Sequence[str], seed: int) -> dict[str, Estimate]:
    """Estimates of `outputs`; the run ends when all are known to RELATIVE_HALF_WIDTH, or after MOST_BATCHES."""
    system = System(setting, seed)
    length_s = setting.cycle_s() * BATCH_EVENTS
    advance(system, length_s)
    batches: list[Batch] = []
    wanted = FEWEST_BATCHES
    while True:
        while len(batches) < wanted:
            batches.append(advance(system, length_s))
        found = {output: estimate(output, batches) for output in outputs}
        worst = max(value.relative_half_width for value in found.values())
        if worst <= RELATIVE_HALF_WIDTH or wanted >= MOST_BATCHES:
            return found
        wanted = min(MOST_BATCHES, int(wanted * min(4.0, max(GROWTH, 1.1 * (worst / RELATIVE_HALF_WIDTH) ** 2))) + 1)
