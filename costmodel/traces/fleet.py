"""Traces of many hosts as one answer: rates of each trigger over the fleet, the hosts that are hit most, and the CPU
time that each strategy would take on all of them.

A host is one file: an imported trace, or a summary of one. What is read of a host is small and stands for itself, so
hosts are read here or on many machines, and added up in the order of their names: the bytes are the same. Each host
counts with its own rate, whatever the length of its recording.
"""

from __future__ import annotations

import math
import posixpath
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy

from costmodel import __version__
from costmodel.calibration.parameters import parameters_of
from costmodel.cluster import map_in_order
from costmodel.cost.scenario import Scenario, not_applicable, scenario
from costmodel.decision.estimates import Quantity, interval_of, paired
from costmodel.decision.result import Frozen, Interval, Verdict
from costmodel.errors import LONGEST_NAME, MOST_LISTED, BadInput, near_names
from costmodel.evidence import machine_input
from costmodel.evidence.store import Evidence, load
from costmodel.evidence.tables import records
from costmodel.kvm.catalog import GUESTS
from costmodel.kvm.kernels import newest
from costmodel.measure.counts import UNCATALOGUED, Rate
from costmodel.plain import shell_line, visible
from costmodel.traces import store, summary
from costmodel.traces.service import EVENT_DRAWS, Service, Way, running_at, service
from costmodel.traces.triggers import triggers_of

SUFFIXES = (store.SUFFIX, ".json")
"""Files of a folder that are taken for hosts; of a pattern all that match are."""
SIDECAR = "machines.csv"
MOST_SHOWN = 20
"""Hosts of each list of the worst."""
SECOND_NS = 10**9
CPUS = Quantity("busy_cpus", "CPUs kept busy", "1")


@dataclass(frozen=True)
class Place:
    """A host by the name of its file without the suffix, and the address that any machine can read it from."""

    host: str
    address: str


@dataclass(frozen=True)
class Read:
    """What the fleet needs of a host: totals, and for each label of triggers its events and, by bin of the range length,
    how many and how many bytes they are in all (fractions where the events of a task name had several labels).
    """

    host: str
    events: int
    gaps: int
    span_ns: int
    lost_events: int
    fullest_second: int
    dispersion: float | None
    labels: dict[str, tuple[int, dict[int, tuple[float, float]]]]

    @property
    def seconds(self) -> float:
        return self.span_ns * 1e-9

    @property
    def rate_per_s(self) -> float:
        return self.gaps / self.seconds

    def rate_of(self, label: str) -> float:
        """Events per second with these triggers."""
        return self.rate_per_s * self.labels.get(label, (0, {}))[0] / self.events


@dataclass(frozen=True)
class Unread:
    """A host whose file cannot be used, and why."""

    host: str
    problem: str


class TriggerRate(Frozen):
    """Events that one of `triggers` caused, per host: the mean of the hosts' rates with its 90 % interval, and how they
    spread. `hosts` had any.
    """

    triggers: list[str]
    catalogued: bool
    events: int
    hosts: int
    rate_per_s: Interval
    median_host_per_s: float
    p95_host_per_s: float
    highest_host: str


class HostRow(Frozen):
    """One host; `busy_cpus` is what the flushes of the kernel that was asked for would keep busy, null where its
    machine is not named. `dispersion`: of the counts in windows of 1 s (1: independent arrivals).
    """

    host: str
    machine: str | None
    events: int
    seconds: float
    rate_per_s: Interval
    fullest_second: int
    dispersion: float | None
    busy_cpus: Interval | None


class StrategySum(Frozen):
    """A strategy on the `hosts` of which it could be costed: CPUs that it keeps busy over all of them, beside what the
    kernel does there; `ratio` to that, and `saved_cpus`. `states` counts hosts by admissibility at their events.
    """

    strategy: str
    running: bool
    hosts: int
    states: dict[str, int]
    refused: dict[str, int]
    busy_cpus: Interval | None
    running_busy_cpus: Interval | None
    saved_cpus: Interval | None
    ratio: Interval | None
    verdict: Verdict | None


class Fleet(Frozen):
    """A fleet of hosts. `not_costed` maps a host to the reason, such as a row of the table of machines that names none,
    `broken` to what is wrong with its file; `without_file` are hosts of the table of machines of which there is none,
    `brief` those that were recorded for less than a second.
    """

    place: str
    hosts: int
    events: int
    host_seconds: float
    lost_events: int
    rate_per_s: Interval
    triggers: list[TriggerRate]
    busiest: list[HostRow]
    costliest: list[HostRow]
    guest: str | None
    guest_title: str | None
    workload: str
    kernel: str
    machines: dict[str, int]
    without_machine: list[str]
    without_file: list[str]
    brief: list[str]
    not_costed: dict[str, str]
    broken: dict[str, str]
    strategies: list[StrategySum]
    command: str
    costmodel_version: str
    data_hash: str


# Where the files are: a folder, a pattern, an archive or an address, through fsspec.


def places(where: str) -> tuple[list[Place], str | None]:
    """The hosts at `where` in the order of their names, and the address of the table of machines beside them.

    Raises BadInput where nothing is there, or two files have the name of one host.
    """
    fsspec = store.library("fsspec")
    address = f"zip://::{where}" if where.endswith(".zip") and "::" not in where else where
    try:
        system, path = fsspec.core.url_to_fs(address)
        pattern = any(sign in path for sign in "*?[")
        folder = not pattern and system.isdir(path)
        found = system.glob(path, detail=True) if pattern else system.find(path, detail=True) if folder else {path: {}}
    except Exception as error:  # each file system raises what its own library does
        problem = f"cannot be listed: {type(error).__name__}: {store.first_line(error)}"
        raise BadInput(problem, file=visible(where), remedy="name a folder, a pattern or an address") from None
    files = sorted(name for name, told in found.items() if told.get("type", "file") == "file")
    chain = address.partition("::")[2]

    def whole(name: str) -> str:
        return system.unstrip_protocol(name) + (f"::{chain}" if chain else "")

    sidecar = next((whole(name) for name in files if posixpath.basename(name) == SIDECAR), None)
    traces = [name for name in files if not folder or name.endswith(SUFFIXES)]
    traces = [name for name in traces if posixpath.basename(name) != SIDECAR]
    if not traces:
        remedy = f"name a folder with {' or '.join(SUFFIXES)} files of `costmodel trace import` or `summary --json`"
        raise BadInput("holds no trace", file=visible(where), remedy=remedy)
    root = posixpath.commonpath([posixpath.dirname(name) for name in traces])
    hosts: dict[str, Place] = {}
    for name in traces:
        host = posixpath.splitext(posixpath.relpath(name, root or "."))[0]
        if host in hosts:
            raise BadInput(f"has two files of host {visible(host)}", file=visible(where), remedy="keep one of them")
        hosts[host] = Place(host, whole(name))
    return [hosts[host] for host in sorted(hosts)], sidecar


@dataclass(frozen=True)
class HostMachine:
    """A line of the table of machines: which machine a host is."""

    host: str
    machine: str


def machines_of(address: str, evidence: Evidence) -> tuple[dict[str, str], dict[str, BadInput]]:
    """The machine of each host by a table with the columns host, machine; and the hosts whose row names none, with what
    is wrong with it. Raises BadInput where the file is no such table.
    """
    known = machine_input.named(evidence)
    with _local(address) as path:
        rows = records(path, HostMachine, ("host",))
    file = visible(posixpath.basename(address))
    ids: dict[str, str] = {}
    refused: dict[str, BadInput] = {}
    for name in dict.fromkeys(row.machine for row in rows):
        try:
            ids[name] = _known_machine(name, known)
        except BadInput as error:
            refused[name] = error
    wrong = {row.host: refused[row.machine] for row in rows if row.machine in refused}
    return {row.host: ids[row.machine] for row in rows if row.machine in ids}, {
        host: BadInput(error.problem, file=file, row=host, field="machine", remedy=error.remedy)
        for host, error in wrong.items()
    }


def _known_machine(name: str, known: Collection[str]) -> str:
    """The id of the machine that one of the `known` names means. Raises BadInput for another, or one that cannot be read."""
    if name.casefold() in {one.casefold() for one in known}:
        return machine_input.told(name).id
    near = " or ".join(map(repr, near_names(name[:LONGEST_NAME], known)))
    remedy = f"did you mean {near}?" if near else "write an id of `costmodel list machines`"
    raise BadInput(f"{name[:LONGEST_NAME]!r} is no machine", remedy=remedy)


def _refuse_without_a_machine(wrong: Sequence[BadInput]) -> None:
    """Raise BadInput where no host has a machine, with every row that names a wrong one, as far as MOST_LISTED."""
    first, *others = wrong
    if not others:
        raise first
    told = [f"row {one.row}, field {one.field}: {one.problem}; {one.remedy}" for one in wrong[:MOST_LISTED]]
    more = f" ... and {len(wrong) - MOST_LISTED} rows more" if len(wrong) > MOST_LISTED else ""
    raise BadInput(f"names no machine of any host: {'; '.join(told)}{more}", file=first.file)


class _local:
    """The file at an address as a path on this machine, fetched where it is not there. Raises BadInput."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> Path:
        self._folder = tempfile.TemporaryDirectory()
        fsspec = store.library("fsspec")
        try:
            system, path = fsspec.core.url_to_fs(self._address)
            if "file" in system.protocol:
                return Path(path)
            target = Path(self._folder.name) / posixpath.basename(path)
            system.get_file(path, str(target))
        except Exception as error:  # each file system raises what its own library does
            self._folder.cleanup()
            problem = f"cannot be fetched: {type(error).__name__}: {store.first_line(error)}"
            raise BadInput(problem, file=visible(self._address), remedy="see that it can be read") from None
        return target

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


# What is read of one host.


def read(place: Place) -> Read | Unread:
    """What the fleet needs of a host; one that cannot be used is no error, it is named."""
    try:
        with _local(place.address) as path:
            return of_summary(place.host, summary.read(path))
    except BadInput as error:
        return Unread(place.host, visible(f"{error.problem}" + (f"; {error.remedy}" if error.remedy else "")))


def of_summary(host: str, found: summary.Summary) -> Read:
    """Totals of a summary, tasks added up by the triggers that they can stand for. Raises BadInput without a rate."""
    if not found.span_ns or not found.gaps:
        raise BadInput("holds a single event, which tells no rate", remedy="record for longer")
    labels: dict[str, tuple[int, dict[int, tuple[float, float]]]] = {}
    for task in sorted(found.tasks):
        for told, events in sorted(found.groups(task).items()):
            share = events / found.tasks[task].events
            label = _label(task, told)
            number, lengths = labels.get(label, (0, {}))
            ranges = found.tasks[task].ranges
            for at, count in sorted(ranges.counts.items()):
                known, known_bytes = lengths.get(at, (0.0, 0.0))
                middle = (ranges.least[at] + ranges.most[at]) / 2
                lengths[at] = (known + count * share, known_bytes + count * share * middle)
            labels[label] = (number + events, lengths)
    second = found.windows[SECOND_NS]
    return Read(
        host=host,
        events=found.events,
        gaps=found.gaps,
        span_ns=found.span_ns,
        lost_events=found.lost_events,
        fullest_second=second.most,
        dispersion=second.dispersion,
        labels=dict(sorted(labels.items())),
    )


def _label(task: str, told: str) -> str:
    """The triggers of a task's events as a call chain would tell them: tasks with the same ones are one row."""
    found = triggers_of(task, told)
    return UNCATALOGUED if found.basis == "uncatalogued" else " ".join(found.triggers)


# What it comes to.


def fleet(
    where: str,
    *,
    guest: str | None = None,
    machine: str | None = None,
    machines: Path | None = None,
    workload: str,
    kernel: str = "newest",
    scheduler: str | None = None,
    tick: Callable[[], None] = lambda: None,
    started: Callable[[int], None] = lambda hosts: None,
    **numbers: Any,
) -> Fleet:
    """The fleet of the files at `where`. A host's machine is the one of the table `machines` (else of machines.csv
    beside the files), or `machine` for all; without it a host has rates and no cost.

    `started` hears how many hosts there are, `tick` of each that was read. `numbers` are those of `scenario`. Raises
    BadInput or UnknownName; a file that cannot be used, and a host whose row names no known machine, are named in the
    answer.
    """
    evidence = load()
    found, sidecar = places(where)
    if scheduler is not None and where.startswith("memory:"):
        raise BadInput("is in the memory of this process", file=where, remedy="put it where workers can read it")
    names: dict[str, str] = {}
    wrong: dict[str, BadInput] = {}
    if machine is not None:
        names = {place.host: machine for place in found}
    elif machines is not None:
        names, wrong = machines_of(str(machines.resolve()), evidence)
    elif sidecar is not None:
        names, wrong = machines_of(sidecar, evidence)
    own = {place.host for place in found}
    absent = sorted((names.keys() | wrong.keys()) - own) if machine is None else []
    wrong = {host: error for host, error in wrong.items() if host in own}
    if wrong and not own & names.keys():
        _refuse_without_a_machine([*wrong.values()])
    started(len(found))
    hosts: list[Read] = []
    broken: dict[str, str] = {}
    for one in map_in_order(read, found, scheduler):
        if isinstance(one, Read):
            hosts.append(one)
        else:
            broken[one.host] = one.problem
        tick()
    if not hosts:
        host, problem = next(iter(broken.items()))
        raise BadInput(f"no file can be used; {visible(host)}: {problem}", file=visible(where))
    costed, not_costed = _costed(evidence, hosts, names, guest, workload, kernel, numbers)
    for host, error in wrong.items():
        if host not in broken:
            told = f"row in {error.file}, field {error.field}: {error.problem}; {error.remedy}"
            not_costed[host] = visible(told)
    by_rate = sorted(hosts, key=lambda one: (-one.rate_per_s, one.host))[:MOST_SHOWN]
    by_cost = sorted(costed.busy, key=lambda host: (-costed.busy[host], host))[:MOST_SHOWN]
    of_name = {one.host: one for one in hosts}
    used = [names[one.host] for one in hosts if one.host in names]
    return Fleet(
        place=visible(where),
        hosts=len(hosts),
        events=sum(one.events for one in hosts),
        host_seconds=math.fsum(one.seconds for one in hosts),
        lost_events=sum(one.lost_events for one in hosts),
        rate_per_s=mean_rate([one.rate_per_s for one in hosts], sum(one.gaps for one in hosts)),
        triggers=_trigger_rates(hosts),
        busiest=[_host_row(one, names, costed) for one in by_rate],
        costliest=[_host_row(of_name[host], names, costed) for host in by_cost],
        guest=guest,
        guest_title=GUESTS[guest].title if guest else None,
        workload=workload,
        kernel=newest() if kernel == "newest" else kernel,
        machines={name: used.count(name) for name in sorted(set(used))},
        without_machine=[visible(one.host) for one in hosts if one.host not in names.keys() | wrong.keys()],
        without_file=[visible(host) for host in absent],
        brief=[visible(one.host) for one in hosts if one.span_ns < SECOND_NS],
        not_costed={visible(host): why for host, why in not_costed.items()},
        broken={visible(host): problem for host, problem in broken.items()},
        strategies=costed.rows(),
        command=_command(where, guest, machine, machines, workload, kernel, numbers),
        costmodel_version=__version__,
        data_hash=evidence.data_hash,
    )


def mean_rate(rates_per_s: Sequence[float], events: int) -> Interval:
    """Mean of the hosts' rates with the wider of two 90 % intervals: that of a Poisson count of `events` (Garwood), and
    that of the mean of so many unlike hosts (Student t, on the logarithm).
    """
    from scipy.special import stdtrit

    mean = math.fsum(rates_per_s) / len(rates_per_s)
    low, high = Rate("", "", events, 1.0).interval_per_s
    factors = [low / events, high / events] if events else [0.0, math.inf]
    if len(rates_per_s) > 1 and mean > 0:
        error = float(numpy.std(rates_per_s, ddof=1)) / math.sqrt(len(rates_per_s)) / mean
        spread = math.exp(float(stdtrit(len(rates_per_s) - 1, 0.95)) * error)
        factors = [min(factors[0], 1 / spread), max(factors[1], spread)]
    return Interval(low=mean * factors[0], median=mean, high=mean * factors[1], unit="1/s", extrapolated=False)


def _trigger_rates(hosts: Sequence[Read]) -> list[TriggerRate]:
    rows = []
    for label in dict.fromkeys(label for one in hosts for label in one.labels):
        rates = [one.rate_of(label) for one in hosts]
        events = sum(one.labels[label][0] for one in hosts if label in one.labels)
        rows.append(
            TriggerRate(
                triggers=list(triggers_of("", label).triggers),
                catalogued=label != UNCATALOGUED,
                events=events,
                hosts=sum(label in one.labels for one in hosts),
                rate_per_s=mean_rate(rates, events),
                median_host_per_s=float(numpy.quantile(rates, 0.5)),
                p95_host_per_s=float(numpy.quantile(rates, 0.95)),
                highest_host=visible(hosts[int(numpy.argmax(rates))].host),
            )
        )
    return sorted(rows, key=lambda row: (-row.rate_per_s.median, row.triggers))


HOSTS_AT_ONCE = 256
"""Hosts whose busy CPUs are held at once, with all draws: a fixed number, so that sums are the same on every machine."""


@dataclass(frozen=True)
class _Machine:
    """All costed hosts of one machine: the costs of an event, and what `_by_length` gives of each, shape (hosts, labels,
    2, BINS).
    """

    case: Scenario
    costs: Service
    labels: tuple[str, ...]
    hosts: tuple[str, ...]
    per_s: numpy.ndarray
    running: str | None

    def busy(self, way: Way, per_s: numpy.ndarray) -> numpy.ndarray:
        """CPUs that the events of `per_s` (hosts, labels, 2, BINS) keep busy on all hosts, shape (draws,): on each at most
        its own, so that a host which is hit too often takes nothing from the others.
        """
        rates, total_bytes = per_s[:, :, 0], per_s[:, :, 1].sum(axis=0)
        together = rates.sum(axis=0)
        used = [numpy.flatnonzero(of_label) for of_label in together]
        costs_s = [
            way.at(way.cpu_s, residency, total_bytes[place, bins] / together[place, bins])
            for place, (residency, bins) in enumerate(zip(self.costs.residency_of_group, used, strict=True))
        ]
        total = numpy.zeros(EVENT_DRAWS)
        for start in range(0, len(rates), HOSTS_AT_ONCE):
            some = rates[start : start + HOSTS_AT_ONCE]
            taken = numpy.zeros((len(some), EVENT_DRAWS))
            for place, (bins, cost_s) in enumerate(zip(used, costs_s, strict=True)):
                taken += some[:, place, bins] @ cost_s
            total += numpy.minimum(taken, self.case.machine.logical_cpus).sum(axis=0)
        return total

    def way(self, strategy: str | None) -> Way | None:
        """The way of a strategy that flushes and has a cost."""
        return next((way for way in self.costs.ways if any(s.strategy == strategy for s in way.strategies)), None)

    @property
    def silent(self) -> bool:
        """Whether the kernel flushes nothing at these events."""
        return any(shown.strategy == self.running for shown in self.costs.without_flush)

    @cached_property
    def busy_now(self) -> numpy.ndarray | None:
        """`now` of all hosts."""
        return self.now(self.per_s)

    def now(self, per_s: numpy.ndarray) -> numpy.ndarray | None:
        """CPUs that what the kernel does keeps busy; None where that is not one strategy with a cost."""
        if self.silent:
            return numpy.zeros(EVENT_DRAWS)
        way = self.way(self.running)
        return None if way is None else self.busy(way, per_s)


@dataclass(frozen=True)
class _Costed:
    """Machines with their hosts, and for each host the CPUs that the running kernel's flushes keep busy (median)."""

    machines: tuple[_Machine, ...]
    busy: dict[str, float]
    of_host: dict[str, _Machine]

    def rows(self) -> list[StrategySum]:
        """One row for each strategy that has a verdict at some host, in the order of the catalogue."""
        rows = []
        for name in dict.fromkeys(name for one in self.machines for name in _strategies(one.costs)):
            rows.append(self._row(name))
        return sorted(rows, key=lambda row: (row.busy_cpus.median if row.busy_cpus else math.inf, row.strategy))

    def _row(self, name: str) -> StrategySum:
        states: dict[str, int] = {}
        refused: dict[str, int] = {}
        hosts, running, marks = 0, False, [False, False]
        busy: numpy.ndarray | None = None
        now: numpy.ndarray | None = None
        for one in self.machines:
            count = len(one.hosts)
            if name in one.costs.refused:
                gap = one.costs.refused[name]
                refused[gap] = refused.get(gap, 0) + count
                continue
            way = one.way(name)
            shown = next(
                (s for s in (*(way.strategies if way else ()), *one.costs.without_flush) if s.strategy == name), None
            )
            if shown is None:
                continue
            states[shown.state] = states.get(shown.state, 0) + count
            running |= one.running == name
            own = numpy.zeros(EVENT_DRAWS) if way is None else one.busy(way, one.per_s)
            base = one.busy_now
            current = one.way(one.running)
            hosts += count
            busy = own if busy is None else busy + own
            known = base if base is not None else numpy.full(EVENT_DRAWS, numpy.nan)
            now = known if now is None else now + known
            marks[0] |= bool(current and current.extrapolated)
            marks[1] |= bool(way and way.extrapolated)
        if busy is None or now is None or numpy.isnan(now).any():
            shown_busy = None if busy is None else interval_of(busy, "1", marks[1])
            return StrategySum(
                strategy=name, running=running, hosts=hosts, states=states, refused=refused, busy_cpus=shown_busy,
                running_busy_cpus=None, saved_cpus=None, ratio=None, verdict=None,
            )  # fmt: skip
        row = paired(CPUS, now, busy, (marks[0], marks[1]))
        return StrategySum(
            strategy=name, running=running, hosts=hosts, states=states, refused=refused, busy_cpus=row.new,
            running_busy_cpus=row.base, saved_cpus=interval_of(now - busy, "1", any(marks)), ratio=row.ratio,
            verdict=row.verdict,
        )  # fmt: skip


def _strategies(costs: Service) -> list[str]:
    shown = [s.strategy for way in costs.ways for s in way.strategies]
    return [*shown, *(s.strategy for s in costs.without_flush), *costs.refused]


def _costed(
    evidence: Evidence,
    hosts: Sequence[Read],
    names: dict[str, str],
    guest: str | None,
    workload: str,
    kernel: str,
    numbers: dict[str, Any],
) -> tuple[_Costed, dict[str, str]]:
    """The hosts whose machine is named, by machine; and why a machine cannot host the guest type."""
    found: list[_Machine] = []
    not_costed: dict[str, str] = {}
    for name in sorted({names[one.host] for one in hosts if one.host in names}) if guest else ():
        own = [one for one in hosts if names.get(one.host) == name]
        case = scenario(evidence, str(guest), name, workload, kernel, **numbers)
        if reason := not_applicable(case):
            not_costed |= {one.host: reason for one in own}
            continue
        labels = tuple(sorted({label for one in own for label in one.labels}))
        costs = service(evidence, case, parameters_of(evidence, name), [("", label) for label in labels])
        per_s = numpy.stack([_by_length(one, labels) for one in own])
        running = running_at(case, costs.triggers)
        found.append(_Machine(case, costs, labels, tuple(one.host for one in own), per_s, running))
    of_host = {host: one for one in found for host in one.hosts}
    busy: dict[str, float] = {}
    middle = {id(one): _median_cost(one) for one in found}
    for one in hosts:
        machine = of_host.get(one.host)
        if machine is not None and (table := middle[id(machine)]) is not None:
            busy[one.host] = float((_by_length(one, machine.labels)[:, 0] * table).sum())
    return _Costed(tuple(found), busy, of_host), not_costed


def _by_length(one: Read, labels: Sequence[str]) -> numpy.ndarray:
    """Events and bytes per second of a host by label and length bin, shape (labels, 2, BINS)."""
    found = numpy.zeros((len(labels), 2, summary.BINS))
    for place, label in enumerate(labels):
        lengths = one.labels.get(label, (0, {}))[1]
        for at, pair in lengths.items():
            found[place, :, at] = pair
    return found * (one.rate_per_s / one.events)


def _median_cost(machine: _Machine) -> numpy.ndarray | None:
    """CPU seconds of an event of what the kernel runs, by label and length bin, at the median over the draws: what
    hosts are ranked by.
    """
    way = machine.way(machine.running)
    if way is None:
        return numpy.zeros((len(machine.labels), summary.BINS)) if machine.silent else None
    nodes = numpy.median(way.cpu_s, axis=2)[:, :, None]
    return numpy.stack(
        [way.at(nodes, place, summary.bin_middles())[:, 0] for place in machine.costs.residency_of_group]
    )


def _host_row(one: Read, names: dict[str, str], costed: _Costed) -> HostRow:
    low, high = Rate("", "", one.gaps, one.seconds).interval_per_s
    busy = None
    machine = costed.of_host.get(one.host)
    cpus = machine.case.machine.logical_cpus if machine is not None else 0
    if machine is not None and (now := machine.now(_by_length(one, machine.labels)[None])) is not None:
        way = machine.way(machine.running)
        busy = interval_of(now, "1", bool(way and way.extrapolated), cpus)
    return HostRow(
        host=visible(one.host),
        machine=names.get(one.host),
        events=one.events,
        seconds=one.seconds,
        rate_per_s=Interval(low=low, median=one.rate_per_s, high=high, unit="1/s", extrapolated=False),
        fullest_second=one.fullest_second,
        dispersion=one.dispersion,
        busy_cpus=busy,
    )


def _command(
    where: str,
    guest: str | None,
    machine: str | None,
    machines: Path | None,
    workload: str,
    kernel: str,
    numbers: dict[str, Any],
) -> str:
    words: list[object] = ["costmodel", "trace", "fleet", where]
    for option, value in (("--guest", guest), ("--machine", machine), ("--machines", machines)):
        words += [option, value] if value is not None else []
    words += ["--workload", workload, "--kernel", kernel]
    for name, value in numbers.items():
        words += [f"--{name.replace('_', '-')}", f"{value:g}"] if value is not None else []
    return shell_line(words)
