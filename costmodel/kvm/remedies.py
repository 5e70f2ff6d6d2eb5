"""Remedies that are no flush: they stop a trigger, or make the flush smaller (data/kvm/remedies.csv)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache

from costmodel.evidence.paths import data_dir
from costmodel.kvm.kernels import KERNEL_RANGES
from costmodel.kvm.triggers import Trigger

ANY = "any"


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
        return not self.first_kernel or KERNEL_RANGES.index(kernel) >= KERNEL_RANGES.index(self.first_kernel)


@lru_cache(maxsize=1)
def remedies() -> tuple[Remedy, ...]:
    """All remedies in the order of the file."""
    with (data_dir() / "kvm" / "remedies.csv").open(newline="", encoding="utf-8") as file:
        return tuple(
            Remedy(
                row["id"],
                row["title"],
                row["effect"],
                frozenset(row["triggers"].split()),
                frozenset(row["guests"].split()),
                row["first_kernel"],
                row["caveat"],
                row["source"],
            )
            for row in csv.DictReader(file)
        )
