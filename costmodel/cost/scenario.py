"""What is asked: a guest on a machine under a workload and a kernel, with the numbers a user may set, and the axes along
which it is swept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy

from costmodel.errors import BadInput, UnknownName, known_id
from costmodel.evidence.records import PAGE_BYTES, Machine
from costmodel.evidence.store import Evidence
from costmodel.evidence.workloads import TriggerLoad, Workload
from costmodel.kvm import catalog, events, kernels, predicates, releases
from costmodel.kvm.catalog import GAPS, GUESTS, TRIGGERS, triggers_of
from costmodel.kvm.releases import dotted
from costmodel.kvm.setup import Setup
from costmodel.kvm.setup import setup as setup_of
from costmodel.numbers import MOST_PER_S, MOST_VCPUS


@dataclass(frozen=True)
class Scenario:
    """`cpus_that_ran` is the size of the mask of CPUs that ran the guest since it was created; it only grows, so an
    unpinned guest has all online CPUs; `packed` says whether they fill one cache domain after the other or are dealt
    out over all. `range_bytes` and `rate_per_s` override the workload at every trigger where a sweep sets them; `rates`
    are (trigger, events per second) that the user measured: such a trigger is open. `counts` are (trigger, events,
    seconds) that were counted, which tell how sure the rate is. In both, ALL stands for every event at the hook,
    whatever caused it. `setup` says how the guest's memory is set up. `kernel` is the catalogued range, `release` the
    (major, minor, patch) whose memory management it has, `version` the kernel as it was asked for: a release, what
    uname -r prints, or the range where that was asked for. `folio_bytes` is the folio size of guest_memfd: 4 KiB in
    every tree that was read. `noncoherent_dma` says that a device of the guest does DMA that bypasses the caches.
    `elsewhere` holds loads of other workloads: they tell the range of a trigger that this workload does not pull.
    """

    machine: Machine
    guest: str
    workload: Workload
    kernel: str
    vcpus: int
    resident_bytes: float
    cpus_that_ran: float
    setup: Setup
    packed: bool = True
    event_fraction: float | None = None
    range_bytes: float | None = None
    rate_per_s: float | None = None
    rates: tuple[tuple[str, float], ...] = ()
    counts: tuple[tuple[str, float, float], ...] = ()
    elsewhere: Mapping[str, TriggerLoad] = field(default_factory=dict, compare=False)
    release: tuple[int, int, int] = (0, 0, 0)
    version: str = field(default="", compare=False)
    folio_bytes: float = 4096.0
    noncoherent_dma: bool = False

    def on(self, version: str) -> Scenario:
        """The same on another kernel: a version such as `6.12.61`, a range, `newest` or what uname -r prints. Raises
        BadInput.
        """
        kernel = kernels.settled(version, self.guest)
        return replace(
            self,
            kernel=kernels.resolve(kernel),
            release=release_of(self.guest, kernel),
            version=version_of(version),
        )

    def load(self, trigger: str) -> TriggerLoad | None:
        """The workload's load on `trigger`, with the event fraction of the scenario."""
        load = self.workload.load(trigger)
        if load is None or load.event_fraction is None or self.event_fraction is None:
            return load
        return replace(load, event_fraction=replace(load.event_fraction, value=self.event_fraction, unit="1"))

    def rate(self, trigger: str) -> float | None:
        """Events per second that somebody set for `trigger`; None where the workload tells, or nobody."""
        if self.rate_per_s is not None:
            return self.rate_per_s
        given = dict(self.rates) | {name: count / seconds for name, count, seconds in self.counts}
        if trigger in given or ALL not in given or not TRIGGERS[trigger].in_window:
            return given.get(trigger)
        return given[ALL] if trigger == self.trigger_of_all else 0.0

    def count(self, trigger: str) -> tuple[float, float] | None:
        """Events and seconds behind the rate of `trigger`, where they were counted."""
        if self.rate_per_s is not None or trigger in dict(self.rates):
            return None
        counted = {name: (count, seconds) for name, count, seconds in self.counts}
        if trigger in counted or ALL not in counted:
            return counted.get(trigger)
        return counted[ALL] if trigger == self.trigger_of_all else None

    @property
    def trigger_of_all(self) -> str | None:
        """The trigger whose ranges stand for those of ALL events: the first of the workload, else of all, that passes
        the hook and can happen.
        """
        ids = [load.trigger for load in self.workload.triggers] + [trigger.id for trigger in triggers_of(self.guest)]
        return next((id for id in ids if TRIGGERS[id].in_window and self._can_happen(id).fires), None)

    def stands_for_all(self, trigger: str) -> bool:
        """Whether the rate at `trigger` is that of every event at the hook, so that nobody knows what caused them."""
        given = dict(self.rates) | {name: count for name, count, _ in self.counts}
        own = self.rate_per_s is None and trigger not in given
        return own and ALL in given and trigger == self.trigger_of_all

    def firing(self, trigger: str) -> events.Firing:
        """Whether the guest's setup lets `trigger` happen on this release. A rate that somebody measured says that it
        does.
        """
        found = self._can_happen(trigger)
        measured = self.rate(trigger)
        return found if measured is None or numpy.all(measured == 0) else replace(found, fires=True, why="")

    def _can_happen(self, trigger: str) -> events.Firing:
        return events.firing(TRIGGERS[trigger], catalog.GUESTS[self.guest], self.setup, self.release)

    def known(self, trigger: str) -> dict[str, bool]:
        """What machine, guest, kernel and setup tell of the predicates at `trigger`."""
        pinned, dma = self.setup.pinned_for_sure, self.noncoherent_dma
        return predicates.known(self.guest, trigger, self.machine.features, self.kernel, self.release, pinned, dma)

    def pulls(self, trigger: str) -> bool:
        """Whether the workload, or a rate that was set, makes the trigger happen."""
        return self.workload.load(trigger) is not None or self.rate(trigger) is not None

    def shape(self, trigger: str) -> TriggerLoad | None:
        """The load that tells range lengths and residency: the workload's own, else that of another workload."""
        return self.workload.load(trigger) or self.elsewhere.get(trigger)

    def ranges(self, trigger: str) -> tuple[tuple[float, float], ...]:
        """Range lengths of the trigger as (bytes, weight); one 4 KiB page where `range_is_assumed`."""
        if self.range_bytes is not None:
            return ((self.range_bytes, 1.0),)
        if load := self.shape(trigger):
            return load.ranges(self.resident_bytes)
        return ((self.resident_bytes if TRIGGERS[trigger].path in WHOLE_GUEST else PAGE_BYTES, 1.0),)

    def range_is_assumed(self, trigger: str) -> bool:
        """Whether nothing published tells the range of the trigger, so that one page stands for it. Where nobody's
        lines are at stake there is no range.
        """
        told = self.range_bytes is not None or self.shape(trigger) is not None or TRIGGERS[trigger].lines is None
        return not told and TRIGGERS[trigger].path not in WHOLE_GUEST

    def range_note(self, trigger: str) -> str:
        """What every output says beside an assumed range; empty where the range is known."""
        return GAPS["range"].text if self.range_is_assumed(trigger) else ""

    @property
    def number_words(self) -> list[str]:
        """Words of a command line that set the numbers of this scenario again, where they are not the defaults."""
        words = []
        if self.vcpus != self.workload.vcpus.si:
            words += ["--vcpus", str(self.vcpus)]
        if self.resident_bytes != self.workload.resident_bytes.si:
            words += ["--resident-bytes", f"{self.resident_bytes:.17g}"]
        if self.cpus_that_ran != self.machine.logical_cpus:
            words += ["--cpus-that-ran", f"{self.cpus_that_ran:g}"]
        if self.event_fraction is not None:
            words += ["--event-fraction", f"{self.event_fraction:.17g}"]
        if self.folio_bytes != PAGE_BYTES:
            words += ["--folio-bytes", f"{self.folio_bytes:.0f}"]
        if self.noncoherent_dma:
            words.append("--noncoherent-dma")
        for trigger, rate in self.rates:
            words += ["--rate", f"{trigger}={rate:.17g}"]
        for trigger, count, seconds in self.counts:
            words += ["--rate", f"{trigger}={count:.17g}/{seconds:.17g}"]
        return words + self.setup.words(self.guest)


ALL = "all"
"""In rates: every event at the guest's hook."""
FOLIO_BYTES = (4096, 2**21)
"""Sizes of a page and of a huge page, those that an RMP entry can have."""
WHOLE_GUEST = ("context_move",)
"""Paths of triggers that are about the guest as a whole: sev_migrate_from() moves the ASID with all of its memory."""


def release_of(guest: str, version: str) -> tuple[int, int, int]:
    """The release whose memory management a guest runs on: the version's own, or that of the mainline which the
    out-of-tree hosts of the thread were based on, for a guest type that mainline never had. Raises BadInput.
    """
    own = kernels.release(version)
    return own if catalog.GUESTS[guest].has("upstream") else min(own, kernels.release(kernels.OUT_OF_TREE_RANGE))


def version_of(version: str) -> str:
    """A kernel as a user gives it: what uname -r prints, a release such as `6.12.61`, or the range where that or
    `newest` was asked for. Raises BadInput.
    """
    if kernels.is_build(version):
        return releases.parse(version).name
    name = kernels.resolve(version)
    if version in ("newest", name):
        return name
    release = kernels.release(version)
    series = dotted(release)  # 5.15 stands for its last release, 5.15.0 for its first
    return series if kernels.resolve(series) == name else ".".join(map(str, release))


def scenario(
    evidence: Evidence,
    guest: str,
    machine: str,
    workload: str,
    kernel: str = "newest",
    *,
    vcpus: int | None = None,
    resident_bytes: float | None = None,
    cpus_that_ran: int | None = None,
    event_fraction: float | None = None,
    rates: Mapping[str, float | tuple[float, float]] | None = None,
    vmm: str | None = None,
    pinned: bool | None = None,
    backing: str | None = None,
    mempolicy: str | None = None,
    mergeable: bool | None = None,
    folio_bytes: int | None = None,
    noncoherent_dma: bool = False,
) -> Scenario:
    """Look up the ids and check the numbers. `rates`: events per second, or (events, seconds), by trigger or ALL.

    Raises UnknownName or BadInput.
    """
    host = evidence.machine(machine)
    load = evidence.workload(workload)
    guest = catalog.GUESTS[guest].id
    settled = kernels.settled(kernel, guest)
    cpus = vcpus if vcpus is not None else int(load.vcpus.si)
    if not 1 <= cpus <= MOST_VCPUS:
        raise BadInput(f"must lie in 1 to {MOST_VCPUS}", field="vcpus", remedy="give the number of vCPUs")
    ran = cpus_that_ran if cpus_that_ran is not None else host.logical_cpus
    if not 1 <= ran <= host.logical_cpus:
        raise BadInput(
            f"{ran} is not between 1 and the {host.logical_cpus} CPUs of {host.id}",
            field="cpus_that_ran",
            remedy="give the number of CPUs that ran the guest",
        )
    if event_fraction is not None and not 0 <= event_fraction <= 1:
        raise BadInput(f"{event_fraction} is not in [0, 1]", field="event_fraction", remedy="give a fraction")
    if folio_bytes not in (None, *FOLIO_BYTES):
        raise BadInput(f"{folio_bytes} is no folio size", field="folio_bytes", remedy="give 4096 or 2097152")
    check_dma(guest, noncoherent_dma)
    resident = resident_bytes if resident_bytes is not None else load.resident_bytes.si
    if not 0 < resident < math.inf:
        raise BadInput("must be positive and finite", field="resident_bytes", remedy="give the guest's memory in bytes")
    _check_stocks(load, float(resident))
    given = _given(guest, rates or {})
    return Scenario(
        host,
        guest,
        load,
        kernels.resolve(settled),
        cpus,
        float(resident),
        float(ran),
        setup_of(guest, vmm, pinned=pinned, backing=backing, mempolicy=mempolicy, mergeable=mergeable),
        event_fraction=None if event_fraction is None else abs(event_fraction),
        rates=given.per_s,
        counts=given.counted,
        elsewhere={t.trigger: t for other in reversed(evidence.workloads.values()) for t in other.triggers},
        release=release_of(guest, settled),
        version=version_of(kernel),
        folio_bytes=float(folio_bytes or PAGE_BYTES),
        noncoherent_dma=noncoherent_dma,
    )


def check_dma(guest: str, noncoherent_dma: bool) -> None:
    """Raise BadInput where DMA that bypasses the caches is told of a guest that the model does not know with it."""
    if not isinstance(noncoherent_dma, bool):
        problem = f"{noncoherent_dma!r} is neither true nor false"
        raise BadInput(problem, field="noncoherent_dma", remedy="give true or false")
    if noncoherent_dma and catalog.GUESTS[guest].has("encrypted"):
        without = ", ".join(name for name, other in catalog.GUESTS.items() if not other.has("encrypted"))
        raise BadInput(
            f"{guest} has encrypted memory: WBINVD that the guest executes is modelled only for guests without",
            field="noncoherent_dma",
            remedy=f"leave it out, or ask for the guest {without}",
        )


def _check_stocks(load: Workload, resident_bytes: float) -> None:
    """Raise BadInput where the workload makes more events than the guest has pieces, each of which is used up."""
    for entry in load.triggers:
        piece = TRIGGERS[entry.trigger].stock_bytes
        if piece is None or entry.loop != "once":
            continue
        most, events_ = math.ceil(resident_bytes / piece), entry.number("events_per_cycle")
        if events_ > most:
            raise BadInput(
                f"{events_:g} events of {entry.trigger}, but the guest has {most} pieces of {piece:g} bytes to give",
                field="resident_bytes",
                remedy="correct the workload's count, or give the guest more memory",
            )


class _Given(NamedTuple):
    per_s: tuple[tuple[str, float], ...]
    counted: tuple[tuple[str, float, float], ...]


def _given(guest: str, rates: Mapping[str, float | tuple[float, float]]) -> _Given:
    """The rates by trigger, each trigger one that the guest type has, or ALL. Raises UnknownName or BadInput."""
    own = [ALL, *(trigger.id for trigger in triggers_of(guest))]
    per_s, counted = [], []
    for name, rate in sorted(rates.items()):
        trigger = known_id(f"trigger of {guest}", name, own)
        if isinstance(rate, tuple):
            count, seconds = rate
            if not (0 <= count < math.inf and 0 < seconds < math.inf and count / seconds <= MOST_PER_S):
                raise BadInput(
                    f"{trigger}: {count:g} events in {seconds:g} s cannot be",
                    field="rates",
                    remedy="give the events counted, and the seconds in which they were",
                )
            counted.append((trigger, float(count), float(seconds)))
        elif not 0 < rate <= MOST_PER_S:
            raise BadInput(
                f"{trigger}: {rate:g} is not above 0 and at most {MOST_PER_S:g}",
                field="rates",
                remedy="give events per second",
            )
        else:
            per_s.append((trigger, float(rate)))
    return _Given(tuple(per_s), tuple(counted))


VENDORS = {"amd": "an AMD", "intel": "an Intel"}


def not_applicable(case: Scenario) -> str | None:
    """What is wrong with the guest type on this machine or kernel, as NotApplicable says it; None where it can run."""
    guest, problem = GUESTS[case.guest], None
    if guest.vendor and guest.vendor != case.machine.vendor:
        problem = f"{guest.title} needs {VENDORS[guest.vendor]} CPU"
    elif feature := next((name for name in guest.requires if not case.machine.features.get(name, False)), None):
        why = case.machine.missing.get(f"features.{feature}", case.machine.missing.get(feature, ""))
        problem = f"the CPU has no {feature.replace('_', '-')}" + (f" ({why})" if why else "")
    elif lacking := kernels.not_hosted(guest.id, case.version):
        problem = lacking
    elif not kernels.hosts(guest.id, case.kernel):
        first = next(kernel for kernel in kernels.KERNELS if kernels.hosts(guest.id, kernel))
        problem = f"kernel {case.version} does not run {guest.title}; the first catalogued one that does is {first}"
    elif guest.has("keyid_keyed") and case.release < kernels.release(kernels.TDX_FIRST):
        problem = f"kernel {case.version} does not run {guest.title}; the first that does is {kernels.TDX_FIRST}"
    return problem


# Axes along which a cost is swept: how each changes a scenario, its unit and its range.


@dataclass(frozen=True)
class Axis:
    """`at(scenario, value)` is the scenario with the axis set, to one value or an array of them; `values(scenario)` a
    logarithmic grid; `here` its value.
    """

    id: str
    unit: str
    at: Callable[[Scenario, Any], Scenario]
    span: Callable[[Scenario], tuple[float, float]]
    here: Callable[[Scenario, str], float]
    integer: bool = False

    def values(self, scenario: Scenario, points: int) -> numpy.ndarray:
        """`points` values from the low to the high end, evenly spaced in the logarithm."""
        low, high = self.span(scenario)
        grid = numpy.geomspace(low, high, points)
        return numpy.unique(numpy.round(grid)) if self.integer else grid


def _mean_range(scenario: Scenario, trigger: str) -> float:
    return sum(size * weight for size, weight in scenario.ranges(trigger))


def _with_llc(scenario: Scenario, value: float) -> Scenario:
    return replace(scenario, machine=replace(scenario.machine, llc_bytes_per_domain=value))


def _with_cpus(scenario: Scenario, value: float) -> Scenario:
    return replace(scenario, cpus_that_ran=value)


AXES = {
    axis.id: axis
    for axis in (
        Axis(
            "range_bytes",
            "B",
            lambda s, v: replace(s, range_bytes=v),
            lambda s: (float(s.machine.line_bytes), 64 * 2.0**30),
            _mean_range,
        ),
        Axis(
            "cpus",
            "1",
            _with_cpus,
            lambda s: (1.0, float(s.machine.logical_cpus)),
            lambda s, _: s.cpus_that_ran,
            integer=True,
        ),
        Axis(
            "rate_per_s",
            "1/s",
            lambda s, v: replace(s, rate_per_s=v),
            lambda s: (0.01, 1e5),
            lambda s, trigger: s.rate(trigger) or float("nan"),
        ),
        Axis(
            "cache_bytes",
            "B",
            _with_llc,
            lambda s: (2.0**20, 2.0**30),
            lambda s, _: s.machine.llc_bytes_per_domain,
        ),
    )
}


def look_up_axis(name: str) -> Axis:
    """The axis called `name`; raises UnknownName."""
    if name not in AXES:
        raise UnknownName("axis", name, AXES)
    return AXES[name]
