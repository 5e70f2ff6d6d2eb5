"""What one event costs under each strategy, as a function of the range length, over joint draws.

Strategies that cost the same at every length are one `Way`. Between the nodes (four per octave) costs are linear in the
length, as the formulas are up to the size of the caches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy
from pydantic import Field

from costmodel.calibration.parameters import ParameterSet
from costmodel.cost.draws import Case, Draws
from costmodel.cost.event import event_cost
from costmodel.cost.scenario import Scenario
from costmodel.decision.choice import Candidate, candidates, from_kernel
from costmodel.decision.result import Frozen
from costmodel.errors import MissingNumber
from costmodel.evidence.store import Evidence
from costmodel.kvm.admissibility import State
from costmodel.kvm.catalog import STRATEGIES, TRIGGERS
from costmodel.kvm.kernels import BLASTED, KERNELS, upstream
from costmodel.traces import summary
from costmodel.traces.triggers import triggers_of

EVENT_DRAWS = 1024
"""Draws behind the cost of one event of a trace."""
NODES_BYTES = 2.0 ** (numpy.arange(4 * 6, 4 * 46 + 1) / 4)
LEVELS = (0.05, 0.5, 0.95)


class StrategyRow(Frozen):
    """A strategy with its verdict over all triggers that the trace can hold: the `reason` where every one has the same
    (`alike`); else at which it is `safe` and at which `unsafe`, and whether the trace tells which trigger it was
    (`told`). `from_kernel` is the first later kernel that has what it lacks in this one.
    """

    strategy: str
    state: State
    running: bool
    reason: str = ""
    from_kernel: str | None = None
    alike: bool = Field(default=True, exclude=True)
    told: bool = Field(default=True, exclude=True)
    safe: tuple[str, ...] = Field(default=(), exclude=True)
    unsafe: tuple[str, ...] = Field(default=(), exclude=True)


@dataclass(frozen=True)
class Way:
    """Strategies of one cost. `time_s` and `cpu_s` have shape (residencies, nodes, draws); `serial`: whole caches, so
    that events wait in line for the same CPUs. A range costs what one of at most `longest_bytes` (the guest) does.
    """

    strategies: tuple[StrategyRow, ...]
    serial: bool
    time_s: numpy.ndarray
    cpu_s: numpy.ndarray
    extrapolated: bool
    longest_bytes: float

    def at(self, values: numpy.ndarray, residency: int, lengths: numpy.ndarray) -> numpy.ndarray:
        """`values` (as time_s) at range lengths of shape (n,): shape (n, draws)."""
        lengths = numpy.minimum(lengths, self.longest_bytes)
        low = numpy.clip(numpy.searchsorted(NODES_BYTES, lengths, "right") - 1, 0, len(NODES_BYTES) - 2)
        part = numpy.clip((lengths - NODES_BYTES[low]) / (NODES_BYTES[low + 1] - NODES_BYTES[low]), 0, None)[:, None]
        return values[residency][low] * (1 - part) + values[residency][low + 1] * part

    def table_ns(self, level: int) -> numpy.ndarray:
        """Event time in ns at LEVELS[level] for each residency and range-length bin, flat: (residencies * BINS,)."""
        nodes = numpy.quantile(self.time_s, LEVELS[level], axis=2)[:, :, None]
        return numpy.concatenate([self.at(nodes, r, summary.bin_middles())[:, 0] for r in range(len(nodes))]) * 1e9


@dataclass(frozen=True)
class Service:
    """All ways to flush at the events of a trace. `residency_of_group` has one entry per group of the footer;
    `refused` maps a strategy to the missing number; `without_flush` are strategies that the rules allow or that run.
    """

    scenario: Scenario
    triggers: tuple[str, ...]
    residency_of_group: numpy.ndarray
    residencies: tuple[str, ...]
    ways: tuple[Way, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    without_flush: tuple[StrategyRow, ...] = ()


def service(
    evidence: Evidence, scenario: Scenario, parameters: ParameterSet, groups: Sequence[tuple[str, str]]
) -> Service:
    """Costs for the events of `groups` (of task and triggers told, in the order of the footer)."""
    told = {group: triggers_of(*group) for group in groups}
    stands_in = {group: _stand_in(evidence, told[group].triggers) for group in groups}
    residencies = tuple(dict.fromkeys(residency for _, residency in stands_in.values()))
    stand_ins = tuple(next(t for t, r in stands_in.values() if r == residency) for residency in residencies)
    codes = numpy.array([residencies.index(stands_in[group][1]) for group in groups], numpy.int64)
    triggers = tuple(dict.fromkeys(t for group in groups for t in told[group].triggers))
    decided = all(one.decided for one in told.values())
    verdicts = {t: {c.strategy: c for c in candidates(scenario, t)} for t in triggers}
    draws = Draws(parameters, EVENT_DRAWS)
    ways: list[Way] = []
    refused: dict[str, str] = {}
    silent: list[StrategyRow] = []
    for name, entry in STRATEGIES.items():
        judged = {t: verdicts[t][name] for t in triggers}
        shown = _combined(name, judged, scenario, decided)
        if entry.instruction == "none":
            if shown.state != "inadmissible" or shown.running:
                silent.append(shown)
            continue
        if not _compared(name, judged.values()):
            continue
        tracked = draws.tracking()
        try:
            costs = [event_cost(Case(t, scenario, tracked), entry, NODES_BYTES[:, None]) for t in stand_ins]
        except MissingNumber as gap:
            refused[name] = gap.gap
            continue
        size = (len(NODES_BYTES), EVENT_DRAWS)
        time_s, cpu_s = (
            numpy.stack([numpy.broadcast_to(getattr(cost, part), size) for cost in costs])
            for part in ("time_s", "stolen_s")
        )
        _join(ways, Way((shown,), entry.whole_cache, time_s, cpu_s, tracked.extrapolated, scenario.resident_bytes))
    return Service(scenario, triggers, codes, residencies, tuple(ways), refused, tuple(silent))


def running_at(case: Scenario, triggers: Iterable[str]) -> str | None:
    """The one strategy that the kernel of `case` runs at all `triggers`, or None."""
    found = {upstream(case.guest, name, case.kernel) for name in triggers}
    names = {one.strategies[0] for one in found if one is not None}
    return names.pop() if len(names) == 1 and None not in found else None


def _stand_in(evidence: Evidence, triggers: Sequence[str]) -> tuple[str, str]:
    """A trigger whose ranges are cached as those of all `triggers` are in every workload, and how: cold, hot; where
    they
    differ or nothing is catalogued, one of the hook that is in no workload, and unknown.
    """
    loads = [load for workload in evidence.workloads.values() for load in workload.triggers]
    found = {load.residency for load in loads if load.trigger in triggers}
    if len(found) != 1 or set(triggers) - {load.trigger for load in loads}:
        open_ones = (t.id for t in TRIGGERS.values() if t.in_window and t.id not in {load.trigger for load in loads})
        return next(open_ones), "unknown"
    return triggers[0], found.pop()


def _compared(name: str, judged: Iterable[Candidate]) -> bool:
    return any(c.verdict.label != "no" or (name == BLASTED and c.verdict.needed) for c in judged)


def _combined(name: str, judged: Mapping[str, Candidate], scenario: Scenario, decided: bool) -> StrategyRow:
    """One verdict: what every trigger says; else at which it is unsafe, where the trace tells each event's (`decided`),
    or
    that the trace does not tell which one it was.
    """
    states = {c.verdict.state for c in judged.values()}
    running = any(c.running for c in judged.values())
    first = next(iter(judged.values()))
    if len(states) == 1:
        reasons = {c.verdict.reason for c in judged.values()}
        newer = [from_kernel(scenario, trigger, one) for trigger, one in judged.items()]
        reason = first.verdict.reason if len(reasons) == 1 else ""
        return StrategyRow(
            strategy=name, state=first.verdict.state, running=running, reason=reason, from_kernel=_latest(newer)
        )
    safe = tuple(t for t, c in judged.items() if c.verdict.state == "admissible")
    unsafe = tuple(t for t, c in judged.items() if c.verdict.state == "inadmissible")
    state: State = "inadmissible" if decided and unsafe else "undecided"
    return StrategyRow(strategy=name, state=state, running=running, alike=False, told=decided, safe=safe, unsafe=unsafe)


def _latest(kernels: Sequence[str | None]) -> str | None:
    """The last of the kernel ranges; None where one is None."""
    known = [name for name in kernels if name is not None]
    return max(known, key=KERNELS.__getitem__) if len(known) == len(kernels) else None


def _join(ways: list[Way], new: Way) -> None:
    for at, way in enumerate(ways):
        same = way.serial == new.serial and way.extrapolated == new.extrapolated
        if same and numpy.array_equal(way.time_s, new.time_s) and numpy.array_equal(way.cpu_s, new.cpu_s):
            ways[at] = replace(way, strategies=(*way.strategies, *new.strategies))
            return
    ways.append(new)
