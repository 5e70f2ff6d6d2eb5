"""One recorded trace from the question to the answer: replayed for one guest on one machine; and two kernels or two
strategies
on its events, CPU time over joint draws, latency with waiting.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy

from costmodel.calibration.parameters import parameters_of
from costmodel.cost.draws import Case, medians
from costmodel.cost.scenario import Scenario, not_applicable, scenario
from costmodel.cost.total import total
from costmodel.decision.estimates import CPU_TIME, Quantity, paired
from costmodel.decision.result import Interval, Kind, Verdict, VersusRow, VersusSide, VersusTrigger
from costmodel.decision.versus import Compared, Side, host_both
from costmodel.errors import BadInput, NotApplicable
from costmodel.evidence.records import Machine
from costmodel.evidence.store import Evidence, load, tell
from costmodel.kvm.kernels import placement_for
from costmodel.plain import file_argument, shell_line
from costmodel.traces import store
from costmodel.traces.reader import read_memslots
from costmodel.traces.replay import Replayed, replay
from costmodel.traces.results import way_rows
from costmodel.traces.service import Service, StrategyRow, Way, running_at, service


@dataclass(frozen=True)
class Studied:
    """The imported trace at `path`, replayed with the `arrivals` that were asked for; `command` gives it again."""

    found: Replayed
    evidence: Evidence
    path: Path
    arrivals: str
    slots_given: bool
    command: str


def study(
    path: Path,
    guest: str,
    machine: str,
    workload: str,
    kernel: str = "newest",
    *,
    arrivals: str = "closed",
    memslots: Path | None = None,
    evidence: Evidence | None = None,
    told: Machine | None = None,
    **numbers: Any,
) -> Studied:
    """Replay the imported trace at `path`. `numbers` are those of `scenario`; `told` is a machine that is only
    described, which another process does not know. Raises UnknownName or BadInput.
    """
    if told is not None:
        tell(told)
    evidence = evidence or load()
    case = scenario(evidence, guest, machine, workload, kernel, **numbers)
    if reason := not_applicable(case):
        raise NotApplicable(reason)
    footer = store.footer_of(path)
    parameters = parameters_of(evidence, machine)
    costs = service(evidence, case, parameters, list(footer.groups))
    given = read_memslots(memslots) if memslots else None
    found = replay(path, footer, costs, given, closed=arrivals == "closed")
    command = _command(path, case, arrivals, memslots)
    return Studied(found, evidence, path, arrivals, given is not None, command)


def _command(path: Path, case: Scenario, arrivals: str, memslots: Path | None) -> str:
    """The command line that gives this answer again; files by name only."""
    words = ["costmodel", "trace", "replay", file_argument(path.name), "--guest", case.guest]
    words += ["--machine", case.machine.word, "--workload", case.workload.id, "--kernel", case.version]
    if arrivals != "closed":
        words += ["--arrivals", arrivals]
    if memslots:
        words += ["--memslots", file_argument(memslots.name)]
    return shell_line([*words, *case.number_words])


FLUSH_TIME = Quantity("flush_time", "flush alone, mean", "s")
LATENCIES = (
    (Quantity("latency_p50", "latency, p50", "s"), "p50_s"),
    (Quantity("latency_p99", "latency, p99", "s"), "p99_s"),
)
TRACE_TIME = Quantity("trace_cpu_time", "CPU time, trace", "s")
ARRIVALS = "closed"


@dataclass(frozen=True)
class Picked:
    """What a side does at the events of the trace: `side` without words, `shown` with its verdict where it has one.
    `way` is None where nothing is flushed or there is no cost: as the kernel `differs` between triggers that the trace
    cannot tell apart, as a flush can be `lost`, or as the total is `refused` for what it names.
    """

    side: VersusSide
    way: Way | None = None
    shown: StrategyRow | None = None
    gap: Literal["differs", "lost", "refused"] | None = None
    refused: str = ""

    @property
    def strategy(self) -> str | None:
        return self.side.strategy


@dataclass(frozen=True)
class OnTrace:
    """A comparison on a trace: without its words, with the replay behind it and what each side does."""

    compared: Compared
    studied: Studied
    base: Picked
    new: Picked


def compare_on_trace(
    evidence: Evidence, kind: Kind, base: Side, new: Side, path: Path, memslots: Path | None
) -> OnTrace:
    """Compare two sides on the imported trace at `path`; threads wait for their flushes.

    Raises BadInput where machine or kernel cannot host the guest type, or the trace cannot be used.
    """
    host_both(base, new)
    case = base.scenario
    footer = store.footer_of(path)
    groups = list(footer.groups)
    parameters = parameters_of(evidence, case.machine.id)
    costs = service(evidence, case, parameters, groups)
    at_new = service(evidence, new.scenario, parameters, groups) if new.scenario != case else costs
    left, right = _picked(base, costs), _picked(new, at_new)
    ways = tuple({id(one.way): one.way for one in (left, right) if one.way is not None}.values())
    if not ways:
        raise BadInput(
            "neither side flushes at the events of this trace", field="--trace", remedy="compare without the trace"
        )
    found = replay(path, footer, replace(costs, ways=ways), read_memslots(memslots) if memslots else None)
    rows, whole = ([], None) if left.gap or right.gap else _rows(found, left, right)
    one = VersusTrigger(
        trigger="trace",
        title="",
        in_workload=True,
        base=left.side,
        new=right.side,
        changes=[],
        rows=rows,
        extrapolated=any(way.extrapolated for way in ways),
    )
    words = ["--trace", file_argument(path.name)]
    words += ["--memslots", file_argument(memslots.name)] if memslots else []
    compared = Compared(
        kind=kind,
        base=base,
        new=new,
        triggers=(one,),
        total=whole,
        used=frozenset(_used(base, new, left, right, costs, evidence)),
        draws=next(iter(ways)).cpu_s.shape[-1],
        options=tuple(words),
    )
    return OnTrace(compared, Studied(found, evidence, path, ARRIVALS, memslots is not None, ""), left, right)


def _picked(side: Side, costs: Service) -> Picked:
    """The way of a side's strategy; that of a kernel must be the same at every trigger that the trace can hold."""
    name = side.strategy or running_at(side.scenario, costs.triggers)
    place = placement_for(side.scenario.guest, costs.triggers[0], side.scenario.kernel)
    if name is None:
        return Picked(VersusSide(strategy=None, state="not catalogued", placement=place, note=""), gap="differs")
    for way in (*costs.ways, None):
        for shown in way.strategies if way else costs.without_flush:
            if shown.strategy == name:
                known = VersusSide(strategy=name, state=shown.state, placement=place, note="")
                lost = way is None and shown.state == "inadmissible"
                return Picked(known, way, shown, "lost" if lost else None)
    unsafe = VersusSide(strategy=name, state="inadmissible", placement=place, note="")
    if name in costs.refused:
        return Picked(unsafe, gap="refused", refused=costs.refused[name])
    return Picked(unsafe, gap="lost")


def _rows(found: Replayed, left: Picked, right: Picked) -> tuple[list[VersusRow], VersusRow]:
    """The quantities of the events, and the CPU time of the whole trace."""
    events = float(found.classes.sum())
    sides = (left, right)
    old, young = (bool(one.way and one.way.extrapolated) for one in sides)
    marks = (old, young)
    cpu_s = [_over_events(found, one.way, "cpu_s") for one in sides]
    time_s = [_over_events(found, one.way, "time_s") / events for one in sides]
    rows = [
        paired(CPU_TIME, cpu_s[0] / events, cpu_s[1] / events, marks),
        paired(FLUSH_TIME, time_s[0], time_s[1], marks),
    ]
    at = {id(way): row for way, row in zip(found.service.ways, way_rows(found), strict=True)}
    waits = [at[id(one.way)].closed if one.way is not None else None for one in sides]
    for quantity, part in LATENCIES:
        base, new = (getattr(wait, part) if wait else NOTHING for wait in waits)
        rows.append(apart(quantity, base, new))
    return rows, paired(TRACE_TIME, cpu_s[0], cpu_s[1], marks)


NOTHING = Interval(low=0.0, median=0.0, high=0.0, unit="s", extrapolated=False)


def _over_events(found: Replayed, way: Way | None, part: str) -> numpy.ndarray:
    """Sum of `part` (cpu_s or time_s) over the events of the trace, shape (draws,); zero without a flush."""
    if way is None:
        return numpy.zeros(1)
    found_s = numpy.zeros(1)
    for residency, (counts, total_bytes) in enumerate(zip(found.classes, found.class_bytes, strict=True)):
        used = numpy.flatnonzero(counts)
        if len(used):
            found_s = found_s + counts[used] @ way.at(getattr(way, part), residency, total_bytes[used] / counts[used])
    return found_s


def apart(quantity: Quantity, base: Interval, new: Interval) -> VersusRow:
    """Compare two intervals that do not come from the same draws: lower or higher only where they do not touch."""
    same = base == new
    verdict: Verdict = "lower" if new.high < base.low else "higher" if new.low > base.high else "undecided"
    return VersusRow(
        id=quantity.id,
        quantity=quantity.title,
        unit=quantity.unit,
        base=base,
        new=new,
        ratio=None,
        verdict="equal" if same else verdict,
        refused=None,
    )


def _used(base: Side, new: Side, left: Picked, right: Picked, costs: Service, evidence: Evidence) -> set[str]:
    """Names of the parameters that went in."""
    middle = medians(parameters_of(evidence, base.scenario.machine.id))
    found: set[str] = set()
    for side, one in ((base, left), (new, right)):
        if one.way is not None and one.strategy is not None:
            found.update(total(Case(costs.triggers[0], side.scenario, middle), one.strategy).parameters)
    return found
