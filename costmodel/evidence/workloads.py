"""data/workloads/*.toml: named loads on the host, each number with its source."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast, get_args

from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir
from costmodel.evidence.records import Loop, Number, Residency, Sourced, TriggerLoad, Workload, parse
from costmodel.evidence.tables import VALUE_MAX, read_document, read_toml, subtable, text, texts

FOLDER = "workloads"
DEFAULT = "autonuma-default"
"""The workload that is asked for where nobody names one: NUMA balancing as the kernel starts it."""
RESIDENT = "resident"
"""Range length of triggers that act on the whole VM."""

SCENARIO_FIELDS = ("vcpus", "resident_bytes", "vms")
LOAD_NUMBERS = ("threads", "events_per_cycle", "sleep_s", "event_fraction")
LOAD_KEYS = {
    "trigger",
    "loop",
    "thread",
    *LOAD_NUMBERS,
    "axis_per_s",
    "range_bytes",
    "residency",
    "residency_reason",
    "rate_reason",
    "sources",
    "tunables",
}
LOOPS: tuple[str, ...] = get_args(Loop)


@lru_cache(maxsize=8)
def trigger_ids(root: Path) -> frozenset[str]:
    """The triggers that the data package at `root` catalogues; what else is said of them, kvm.catalog checks."""
    entries = read_document(root / "kvm" / "triggers.toml").get("trigger")
    listed = entries if isinstance(entries, list) else []
    return frozenset(id for entry in listed if isinstance(entry, dict) and isinstance(id := entry.get("id"), str))


def read_numbers(path: Path) -> dict[str, Number]:
    """The sourced numbers of one workload by place, `vcpus` or `ksm_write_protect.sleep_s`. Raises BadInput."""
    return _numbers(read_toml(path), path.name)


def _numbers(document: dict[str, Any], file: str) -> dict[str, Number]:
    scenario = subtable(document, "scenario", file=file)
    found = {field: parse(scenario.get(field), file=file, field=field) for field in SCENARIO_FIELDS}
    for load in _loads(document, file):
        name = text(load, "trigger", file=file, allowed=trigger_ids(data_dir()))
        for field in LOAD_NUMBERS:
            if field in load:
                found[f"{name}.{field}"] = parse(load[field], file=file, row=name, field=field)
        for field, table in subtable(load, "tunables", file=file, row=name).items():
            found[f"{name}.tunables.{field}"] = parse(table, file=file, row=name, field=field)
    return found


def read(path: Path) -> Workload:
    """One workload. Raises BadInput."""
    document, file = read_toml(path), path.name
    numbers = {place: Sourced(n.si, n.sources, n.note) for place, n in _numbers(document, file).items()}
    resident = numbers["resident_bytes"].value
    loads = tuple(_load(load, numbers, resident, file) for load in _loads(document, file))
    names = [load.trigger for load in loads]
    for name in names:
        if names.count(name) > 1:
            raise BadInput("is there twice", file=file, row=name, field="trigger", remedy="merge the two")
    return Workload(
        id=document["id"],
        title=text(document, "title", file=file),
        description=text(document, "description", file=file),
        triggers=loads,
        **{field: numbers[field] for field in SCENARIO_FIELDS},
    )


def _loads(document: dict[str, Any], file: str) -> list[dict[str, Any]]:
    loads = document.get("triggers", [])
    if not isinstance(loads, list) or not all(isinstance(load, dict) for load in loads):
        raise BadInput("is no list of tables", file=file, field="triggers", remedy="begin each one with [[triggers]]")
    return loads


def _load(load: dict[str, Any], numbers: dict[str, Sourced], resident_bytes: float, file: str) -> TriggerLoad:
    name = load["trigger"]
    for field in load.keys() - LOAD_KEYS:
        raise BadInput("is unknown", file=file, row=name, field=field, remedy="remove it")
    loop = text(load, "loop", file=file, row=name, allowed=LOOPS)
    own = {field: numbers.get(f"{name}.{field}") for field in LOAD_NUMBERS}
    fraction, closed = own["event_fraction"], loop in ("closed_batch", "autonuma")
    if closed and (fraction is None or not fraction.value <= 1):
        raise BadInput("must be a fraction in (0, 1]", file=file, row=name, field="event_fraction", remedy="give it")
    if fraction is not None and not closed:
        raise BadInput(
            f"a {loop!r} trigger has no rate to scale", file=file, row=name, field="event_fraction", remedy="remove it"
        )
    if loop == "closed_batch" and not all(own.values()):
        raise BadInput(
            "a closed loop needs threads, events_per_cycle and sleep_s",
            file=file,
            row=name,
            field="loop",
            remedy="give the three numbers",
        )
    axis = load.get("axis_per_s", [])
    numeric = isinstance(axis, list) and all(type(rate) in (int, float) and 0 < rate < VALUE_MAX for rate in axis)
    if not numeric or (loop == "axis") != bool(axis):
        raise BadInput(
            'an axis of rates above zero goes with loop = "axis", and only with it',
            file=file,
            row=name,
            field="axis_per_s",
            remedy="correct the rates or the loop",
        )
    prefix = f"{name}.tunables."
    tunables = {place.removeprefix(prefix): n for place, n in numbers.items() if place.startswith(prefix)}
    lengths = {RESIDENT: resident_bytes, **{key: number.value for key, number in tunables.items()}}
    return TriggerLoad(
        trigger=name,
        loop=cast(Loop, loop),
        axis_per_s=tuple(float(rate) for rate in axis),
        thread=text(load, "thread", file=file, row=name) if "thread" in load else "",
        range_bytes=_ranges(load.get("range_bytes"), lengths, file, name),
        whole_vm=load.get("range_bytes") == RESIDENT,
        residency=cast(Residency, text(load, "residency", file=file, row=name, allowed=get_args(Residency))),
        residency_reason=text(load, "residency_reason", file=file, row=name),
        rate_reason=text(load, "rate_reason", file=file, row=name),
        sources=texts(load, "sources", file=file, row=name),
        tunables=tunables,
        **own,
    )


def _ranges(table: Any, lengths: dict[str, float], file: str, name: str) -> tuple[tuple[float, float], ...]:
    """(bytes, weight) pairs from the file, or the one length that the file names."""
    if isinstance(table, str) and table in lengths:
        return ((lengths[table], 1.0),)
    try:
        pairs = tuple((float(size), float(weight)) for size, weight in table)
    except (TypeError, ValueError, OverflowError):
        pairs = ()
    if (
        not pairs
        or any(not (0 < size < VALUE_MAX and weight > 0) for size, weight in pairs)
        or not math.isclose(sum(weight for _, weight in pairs), 1.0)
    ):
        raise BadInput(
            "is no list of [bytes, weight] with weights that sum to 1",
            file=file,
            row=name,
            field="range_bytes",
            remedy=f"write [[4096, 1.0]], {RESIDENT!r} or the name of a tunable",
        )
    return pairs


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
