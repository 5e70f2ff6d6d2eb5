"""data/workloads/*.toml: named loads on the host, each number with its source."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from costmodel.errors import stated
from costmodel.evidence.paths import data_dir
from costmodel.evidence.records import Number
from costmodel.evidence.tables import (
    VALUE_MAX,
    Cell,
    Positive,
    Refused,
    Table,
    Text,
    document,
    one_of,
    placed,
    read_document,
)

FOLDER = "workloads"
DEFAULT = "autonuma-default"
"""The workload that is asked for where nobody names one: NUMA balancing as the kernel starts it."""
RESIDENT = "resident"
"""Range length of triggers that act on the whole VM."""

Loop = Literal["closed_batch", "autonuma", "axis", "once"]
Residency = Literal["cold", "hot", "unknown"]
SCENARIO_FIELDS = ("vcpus", "resident_bytes", "vms")
LOAD_NUMBERS = ("threads", "events_per_cycle", "sleep_s", "event_fraction")


@lru_cache(maxsize=8)
def trigger_ids(root: Path) -> frozenset[str]:
    """The triggers that the data package at `root` catalogues; what else is said of them, kvm.catalog checks."""
    entries = read_document(root / "kvm" / "triggers.toml").get("trigger")
    listed = entries if isinstance(entries, list) else []
    return frozenset(id for entry in listed if isinstance(entry, dict) and isinstance(id := entry.get("id"), str))


def _ranges(cell: Any) -> str | tuple[tuple[float, float], ...]:
    """(bytes, weight) pairs, or the name of a length."""
    if isinstance(cell, str):
        return cell
    try:
        pairs = tuple((float(size), float(weight)) for size, weight in cell)
    except (TypeError, ValueError, OverflowError):
        pairs = ()
    usable = all(0 < size < VALUE_MAX and weight > 0 for size, weight in pairs)
    if not pairs or not usable or not math.isclose(sum(weight for _, weight in pairs), 1.0):
        raise _NO_RANGES
    return pairs


_NO_RANGES = Refused(
    "is no list of [bytes, weight] with weights that sum to 1",
    f"write [[4096, 1.0]], {RESIDENT!r} or the name of a tunable",
    "range_bytes",
)


@dataclass(frozen=True, kw_only=True)
class TriggerLoad(Table):
    """How often a workload pulls one trigger, and with which ranges: an entry of [[triggers]].

    `loop` is one of
      closed_batch: a kernel thread makes `events_per_cycle` events, waits for each, then sleeps `sleep_s`;
      autonuma:     NUMA balancing passes, rate from the scan tunables and the guest's resident bytes;
      axis:         nobody published a rate: reports give break-even rates over `axis_per_s`;
      once:         once in a VM's lifetime (teardown, ASID recycling ...), `events_per_cycle` events where it is given.
    `event_fraction` scales the rate of the first two; the others have none.
    `range_bytes` is the distribution of range lengths as (bytes, weight) pairs, whose weights sum to 1, or the name of
    the one length that there is: a tunable, or `resident`, which is the whole guest and follows `resident_bytes` where
    the user sets another.
    Loads with the same `thread` share one loop: they wait for each other's flushes.
    `residency` is cold (present bytes <= cache / resident), hot (all present) or unknown (between).
    """

    trigger: Annotated[str, Cell(lambda cell: one_of(cell, trigger_ids(data_dir())))]
    loop: Loop
    thread: Text = ""
    threads: Number | None = None
    events_per_cycle: Number | None = None
    sleep_s: Number | None = None
    event_fraction: Number | None = None
    axis_per_s: tuple[Positive, ...] = ()
    range_bytes: Annotated[Any, Cell(_ranges)]
    residency: Residency
    residency_reason: Text
    rate_reason: Text
    sources: tuple[str, ...] = ()
    tunables: dict[str, Number] = field(default_factory=dict)

    def refuse_contradictions(self) -> None:
        """Raise Refused where fields contradict each other."""
        fraction, closed = self.event_fraction, self.loop in ("closed_batch", "autonuma")
        if closed and (fraction is None or not fraction.si <= 1):
            raise Refused("must be a fraction in (0, 1]", "give it", "event_fraction")
        if fraction is not None and not closed:
            raise Refused(f"a {self.loop!r} trigger has no rate to scale", "remove it", "event_fraction")
        if self.loop == "closed_batch" and None in (self.threads, self.events_per_cycle, self.sleep_s):
            problem = "a closed loop needs threads, events_per_cycle and sleep_s"
            raise Refused(problem, "give the three numbers", "loop")
        if (self.loop == "axis") != bool(self.axis_per_s):
            problem = 'an axis of rates above zero goes with loop = "axis", and only with it'
            raise Refused(problem, "correct the rates or the loop", "axis_per_s")
        if isinstance(self.range_bytes, str) and self.range_bytes not in (RESIDENT, *self.tunables):
            raise _NO_RANGES

    @property
    def whole_vm(self) -> bool:
        """Whether the range is the whole guest."""
        return bool(self.range_bytes == RESIDENT)

    def ranges(self, resident_bytes: float) -> tuple[tuple[float, float], ...]:
        """Lengths of the ranges as (bytes, weight) pairs, of a guest of so many bytes."""
        if isinstance(self.range_bytes, str):
            return ((resident_bytes if self.whole_vm else self.tunables[self.range_bytes].si, 1.0),)
        found: tuple[tuple[float, float], ...] = self.range_bytes
        return found

    def number(self, name: str) -> float:
        """The value of `threads`, `events_per_cycle`, `sleep_s` or `event_fraction`. Raises MissingNumber without
        one.
        """
        number: Number | None = getattr(self, name)
        return stated(number, f"{name} of {self.trigger} stands in no workload").si


@dataclass(frozen=True)
class Guests(Table):
    """The guests of the host: CPUs and present bytes of each, and how many they are."""

    vcpus: Number
    resident_bytes: Number
    vms: Number


@dataclass(frozen=True, kw_only=True)
class Workload(Table):
    """A named load on the host: the VM it is about and the triggers it pulls. `defaults`: the kernel makes it so by
    itself, without a setting of anybody.
    """

    id: str
    title: Text
    description: Text
    scenario: Guests
    triggers: tuple[TriggerLoad, ...] = ()
    defaults: bool = False

    def __post_init__(self) -> None:
        names = [load.trigger for load in self.triggers]
        for name in names:
            if names.count(name) > 1:
                raise Refused(f"{name} is there twice", "merge the two", "triggers")

    @property
    def vcpus(self) -> Number:
        return self.scenario.vcpus

    @property
    def resident_bytes(self) -> Number:
        return self.scenario.resident_bytes

    @property
    def vms(self) -> Number:
        return self.scenario.vms

    @property
    def numbers(self) -> Iterator[tuple[str, Number]]:
        """Each sourced number with its place, `vcpus` or `ksm_write_protect.sleep_s`."""
        yield from ((name, getattr(self.scenario, name)) for name in SCENARIO_FIELDS)
        for load in self.triggers:
            own = ((name, getattr(load, name)) for name in LOAD_NUMBERS)
            yield from ((f"{load.trigger}.{name}", number) for name, number in own if number is not None)
            yield from ((f"{load.trigger}.tunables.{name}", number) for name, number in load.tunables.items())

    def with_numbers(self, change: Callable[[str, Number], Number]) -> Workload:
        """The workload with `change(place, number)` in the place of each sourced number."""
        new = {place: change(place, number) for place, number in self.numbers}

        def changed(load: TriggerLoad) -> TriggerLoad:
            own: dict[str, Any] = {name: found for name in LOAD_NUMBERS if (found := new.get(f"{load.trigger}.{name}"))}
            tunables = {name: new[f"{load.trigger}.tunables.{name}"] for name in load.tunables}
            return replace(load, tunables=tunables, **own)

        guests = Guests(*(new[name] for name in SCENARIO_FIELDS))
        return replace(self, scenario=guests, triggers=tuple(map(changed, self.triggers)))

    def load(self, trigger: str) -> TriggerLoad | None:
        """The load on `trigger`, or None where this workload does not pull it."""
        return next((load for load in self.triggers if load.trigger == trigger), None)


def read(path: Path) -> Workload:
    """One workload. Raises BadInput."""
    found = document(path, Workload)
    for load in found.triggers:
        with placed(path.name, load.trigger):
            load.refuse_contradictions()
    return found
