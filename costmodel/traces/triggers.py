"""Which triggers an event can stand for: by its call chain (data/kvm/call_chains.csv), else by the name of its task
(data/kvm/task_names.csv).

A user task allows many: then the trace alone does not decide.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from costmodel.evidence.paths import data_dir
from costmodel.evidence.tables import Pattern, column, parted, records
from costmodel.kvm.catalog import TRIGGERS
from costmodel.measure.counts import UNCATALOGUED

HVA = tuple(trigger.id for trigger in TRIGGERS.values() if trigger.path == "hva_notifier")
"""Triggers that end in the mmu notifier, hence in the tracepoint."""
Basis = Literal["chain", "uncatalogued", "name", "any"]
"""What tells the triggers of an event: its call chain, which may tell an event that no trigger is catalogued for; the name
of its task; or nothing, as any task of user space and any worker can be behind it.
"""


@dataclass(frozen=True)
class TaskTriggers:
    """Triggers that fit an event; `decided` if it is one. `source` is where those of a task's name were read."""

    triggers: tuple[str, ...]
    basis: Basis
    source: str = ""

    @property
    def decided(self) -> bool:
        return len(self.triggers) == 1


@dataclass(frozen=True, kw_only=True)
class TaskName:
    """A pattern of the whole name of a task of the kernel or of a daemon, and the triggers of its events."""

    pattern: Pattern = column("name")
    triggers: Annotated[tuple[str, ...], parted(TRIGGERS, None)]
    source: str


@lru_cache(maxsize=1)
def names() -> tuple[tuple[re.Pattern[str], TaskTriggers], ...]:
    """Patterns of the whole name of a task, and its triggers. Raises BadInput."""
    return read_names(data_dir() / "kvm" / "task_names.csv")


def read_names(path: Path) -> tuple[tuple[re.Pattern[str], TaskTriggers], ...]:
    """The names of a file. Raises BadInput with the row that cannot be read."""
    rows = records(path, TaskName, ("name",))
    return tuple((row.pattern, TaskTriggers(row.triggers, "name", row.source)) for row in rows)


@dataclass(frozen=True, kw_only=True)
class TellingFunction:
    """A function of the kernel whose name in a call chain tells the triggers; none where none is catalogued."""

    function: str
    triggers: Annotated[tuple[str, ...], parted(TRIGGERS, None)] = ()
    source: str
    checked: str
    note: str = ""


@lru_cache(maxsize=1)
def functions() -> dict[str, tuple[str, ...]]:
    """Functions of the kernel that tell the trigger of the events below them. Raises BadInput."""
    return read(data_dir() / "kvm" / "call_chains.csv")


def read(path: Path) -> dict[str, tuple[str, ...]]:
    """The triggers of each function of a file, none where no trigger is catalogued. Raises BadInput with the row."""
    return {row.function: row.triggers for row in records(path, TellingFunction, ("function",))}


def trigger_of_chain(chain: Sequence[str]) -> str:
    """Triggers of a call chain (functions, innermost first), joined by a blank: the innermost function that tells one
    decides.
    Empty where none does, UNCATALOGUED where it tells an event without a catalogued trigger.

    >>> trigger_of_chain(["__mmu_notifier_invalidate_range_start", "change_protection", "change_prot_numa"])
    'autonuma_prot_none_scan'
    """
    known = functions()
    told = next((known[name] for name in chain if name in known), None)
    return "" if told is None else " ".join(told) or UNCATALOGUED


def unknown_triggers(label: str) -> list[str]:
    """Words of what `trigger_of_chain` returned, or somebody wrote in its place, that are no trigger."""
    return [word for word in label.split() if word not in TRIGGERS and label != UNCATALOGUED]


def triggers_of(name: str, chain_triggers: str = "") -> TaskTriggers:
    """The triggers of events of the task `name` whose call chains told `chain_triggers` (empty: they told none)."""
    if chain_triggers == UNCATALOGUED:
        return TaskTriggers(HVA, "uncatalogued")
    if chain_triggers:
        return TaskTriggers(tuple(chain_triggers.split()), "chain")
    return triggers_of_task(name)


def triggers_of_task(name: str) -> TaskTriggers:
    """The triggers that `name` (comm of the task) can stand for.

    >>> triggers_of_task("kcompactd0").triggers, triggers_of_task("CPU 0/KVM").decided
    (('numa_or_compaction_migrate',), False)
    """
    return next((told for pattern, told in names() if pattern.fullmatch(name)), TaskTriggers(HVA, "any"))
