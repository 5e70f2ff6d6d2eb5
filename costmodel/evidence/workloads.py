"""data/workloads/*.toml: named loads on the host, each number with its source."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from costmodel.evidence.paths import data_dir
from costmodel.evidence.records import Loop, Number, Residency, Sourced, TriggerLoad, Workload
from costmodel.evidence.tables import VALUE_MAX, Cell, Positive, Refused, Table, Text, document, one_of, read_document

FOLDER = "workloads"
DEFAULT = "autonuma-default"
"""The workload that is asked for where nobody names one: NUMA balancing as the kernel starts it."""
RESIDENT = "resident"
"""Range length of triggers that act on the whole VM."""

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
class LoadFile(Table):
    """An entry of [[triggers]]."""

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

    def __post_init__(self) -> None:
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

    def load(self, resident_bytes: float) -> TriggerLoad:
        """The load, of a guest of so many bytes."""
        tunables = {name: _sourced(number) for name, number in self.tunables.items()}
        lengths = {RESIDENT: resident_bytes, **{name: number.value for name, number in tunables.items()}}
        named = isinstance(self.range_bytes, str)
        told: dict[str, Any] = {name: getattr(self, name) for name in SAME}
        told |= {name: (number := getattr(self, name)) and _sourced(number) for name in LOAD_NUMBERS}
        return TriggerLoad(
            **told,
            range_bytes=((lengths[self.range_bytes], 1.0),) if named else self.range_bytes,
            whole_vm=self.range_bytes == RESIDENT,
            tunables=tunables,
        )


SAME = ("trigger", "loop", "thread", "axis_per_s", "residency", "residency_reason", "rate_reason", "sources")
"""Fields of a load that are those of its entry."""


def _sourced(number: Number) -> Sourced:
    return Sourced(number.si, number.sources, number.note)


@dataclass(frozen=True)
class Scenario(Table):
    """The host and its guests."""

    vcpus: Number
    resident_bytes: Number
    vms: Number


@dataclass(frozen=True, kw_only=True)
class WorkloadFile(Table):
    """A file of data/workloads."""

    id: str
    title: Text
    description: Text
    scenario: Scenario
    triggers: tuple[LoadFile, ...] = ()
    defaults: bool = False

    def __post_init__(self) -> None:
        names = [load.trigger for load in self.triggers]
        for name in names:
            if names.count(name) > 1:
                raise Refused(f"{name} is there twice", "merge the two", "triggers")


def read_numbers(path: Path) -> dict[str, Number]:
    """The sourced numbers of one workload by place, `vcpus` or `ksm_write_protect.sleep_s`. Raises BadInput."""
    told = document(path, WorkloadFile)
    found = {name: getattr(told.scenario, name) for name in SCENARIO_FIELDS}
    for load in told.triggers:
        own = {name: getattr(load, name) for name in LOAD_NUMBERS}
        found |= {f"{load.trigger}.{name}": number for name, number in own.items() if number is not None}
        found |= {f"{load.trigger}.tunables.{name}": number for name, number in load.tunables.items()}
    return found


def read(path: Path) -> Workload:
    """One workload. Raises BadInput."""
    told = document(path, WorkloadFile)
    scenario = {name: _sourced(getattr(told.scenario, name)) for name in SCENARIO_FIELDS}
    loads = tuple(load.load(scenario["resident_bytes"].value) for load in told.triggers)
    return Workload(
        id=told.id,
        title=told.title,
        description=told.description,
        triggers=loads,
        defaults=told.defaults,
        **scenario,
    )


def map_numbers(workload: Workload, change: Callable[[str, Sourced], Sourced]) -> Workload:
    """The workload with `change(place, number)` applied to each sourced number; places as in `read_numbers`."""
    loads = []
    for load in workload.triggers:
        own: dict[str, Any] = {
            field: change(f"{load.trigger}.{field}", getattr(load, field))
            for field in LOAD_NUMBERS
            if getattr(load, field) is not None
        }
        tunables = {key: change(f"{load.trigger}.tunables.{key}", n) for key, n in load.tunables.items()}
        loads.append(replace(load, tunables=tunables, **own))
    scenario: dict[str, Any] = {field: change(field, getattr(workload, field)) for field in SCENARIO_FIELDS}
    return replace(workload, triggers=tuple(loads), **scenario)
