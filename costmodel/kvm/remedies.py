"""Remedies that are no flush: they stop a trigger, or make the flush smaller (data/kvm/remedies.csv)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from costmodel.evidence import table
from costmodel.evidence.paths import data_dir
from costmodel.kvm.catalog import GUESTS, TRIGGERS, Trigger
from costmodel.kvm.kernels import KERNEL_RANGES, since

ANY = "any"
COLUMNS = ("id", "title", "effect", "triggers", "guests", "first_kernel", "caveat", "source")
EFFECTS = ("stops", "pin_vcpus")


@dataclass(frozen=True)
class Remedy:
    """`effect`: `stops` the triggers, or `pin_vcpus` (the mask shrinks to one CPU per vCPU)."""

    id: str
    title: str
    effect: str
    triggers: frozenset[str]
    guests: frozenset[str]
    first_kernel: str
    caveat: str
    source: str

    def applies_to(self, guest_id: str, trigger: Trigger) -> bool:
        """Whether it helps this guest type at this trigger."""
        return bool({ANY, guest_id} & self.guests) and bool({ANY, trigger.id} & self.triggers)

    def works_in(self, kernel: str) -> bool:
        """Whether the kernel range is new enough."""
        return not self.first_kernel or since(kernel, self.first_kernel)


@lru_cache(maxsize=1)
def remedies() -> tuple[Remedy, ...]:
    """All remedies in the order of the file. Raises BadInput."""
    return read(data_dir() / "kvm" / "remedies.csv")


def read(path: Path) -> tuple[Remedy, ...]:
    """The remedies of a file. Raises BadInput with the row that cannot be read."""
    return tuple(_remedy(row, path.name) for row in table.read_table(path, COLUMNS, "id"))


def _remedy(row: dict[str, str], file: str) -> Remedy:
    place = {"file": file, "name": row["id"]}
    table.filled(row, ("title", "triggers", "guests", "caveat", "source"), **place)
    return Remedy(
        row["id"],
        row["title"],
        table.choice(row, "effect", EFFECTS, **place),
        frozenset(table.choices(row, "triggers", (ANY, *TRIGGERS), None, **place)),
        frozenset(table.choices(row, "guests", (ANY, *GUESTS), None, **place)),
        table.choice(row, "first_kernel", ("", *KERNEL_RANGES), **place),
        row["caveat"],
        row["source"],
    )
