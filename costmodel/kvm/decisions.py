"""What upstream decided about these flushes, and remedies that are no flush."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from costmodel.evidence.paths import data_dir
from costmodel.evidence.tables import Cell, Count, among, column, parted, parts, records
from costmodel.kvm import catalog, kernels
from costmodel.kvm.catalog import ANY, GUESTS, TRIGGERS, Trigger
from costmodel.kvm.kernels import KERNELS, release, resolve, upstream

# What upstream decided about these flushes, commit by commit (data/kvm/upstream_decisions.csv).

FILE = "upstream_decisions.csv"
_RELEASE = re.compile(r"v?\d+\.\d+(?:\.\d+)?(?:-rc\d*)?")


@dataclass(frozen=True, kw_only=True)
class UpstreamDecision(catalog.Change):
    """One decision of the kernel developers. An empty cell of the file is an empty string or tuple: it was not read.

    `status` is merged, refused (proposed on the list and not merged), withdrawn (by who posted it) or queued (in the
    queue of a stable kernel). `strategies` are what the kernel does since then, or would have done; none where the
    decision moves a hook, changes a trigger or adds a helper. `date` is ISO, and short where only a part was read.
    """

    number: Count
    commits: Annotated[tuple[str, ...], parted()] = ()
    status: Literal["merged", "refused", "withdrawn", "queued"]
    title: str = ""
    author: str = ""
    date: str = ""
    versions: Annotated[tuple[str, ...], parted()] = column("version", ())
    effect: str

    @property
    def ranges(self) -> tuple[str, ...]:
        """Catalogued kernel ranges in which it was released; none for what was not, or came before v5.11."""
        return tuple(dict.fromkeys(name for version in self.versions if (name := _range(version))))

    def version_in(self, kernel: str) -> str:
        """Its release in the range `kernel`; its first one where that range has it from a later release."""
        return next((version for version in self.versions if _range(version) == kernel), self.versions[0])

    @property
    def commit(self) -> str:
        """`commit HASH` or `commits HASH, HASH`, or the source where no hash was read."""
        if not self.commits:
            return self.source
        return f"commit{'s' if len(self.commits) > 1 else ''} {', '.join(self.commits)}"


def _range(version: str) -> str | None:
    """Range of a release such as v6.17; None for a stable queue such as 6.12.y and for older kernels."""
    if not _RELEASE.fullmatch(version) or release(version) < KERNELS[kernels.oldest()].first:
        return None
    return resolve(version)


@lru_cache(maxsize=1)
def decisions() -> tuple[UpstreamDecision, ...]:
    """All decisions, oldest first. Raises BadInput with the row that cannot be read."""
    return read_decisions(data_dir() / "kvm" / FILE)


def read_decisions(path: Path) -> tuple[UpstreamDecision, ...]:
    """The decisions of a file, in its order. Raises BadInput with the row that cannot be read."""
    return records(path, UpstreamDecision, ("number",))


def mainline(first: str, last: str) -> tuple[str, ...]:
    """Catalogued ranges from `first` to `last`, oldest first in either order of the two; a stable series (`v5.15.70+`)
    only where it is one of the two, for mainline does not go through it.
    """
    low, high = sorted((KERNELS[first], KERNELS[last]))
    inside = (one for one in KERNELS.values() if low <= one <= high)
    return tuple(one.id for one in inside if one.id in (first, last) or one.mainline)


def changes(guest: str, trigger: str, before: str, after: str) -> tuple[UpstreamDecision, ...]:
    """All merged decisions that turned what `before` does for `guest` at `trigger` into what the later range `after`
    does.

    In the order of the list: one release may have several, and what an earlier one of them brought, the next one may
    have replaced at once. A stable series may have the decision of a later release. None where the list holds none.
    """
    was, now = upstream(guest, trigger, before), upstream(guest, trigger, after)
    old, new = (set(done.strategies if done else ()) for done in (was, now))
    if not new - old:
        return ()
    fitting = [
        d for d in decisions() if d.status == "merged" and d.concerns(guest, trigger) and set(d.strategies) - old
    ]
    window = {name for name, one in KERNELS.items() if KERNELS[before] < one <= KERNELS[after]}
    inside = [d for d in fitting if window & set(d.ranges)]
    if not inside and not KERNELS[after].mainline:
        inside = [d for d in fitting if set(d.strategies) & new]
    return tuple(inside)


def moved(guest: str, trigger: str, kernel: str) -> tuple[UpstreamDecision, ...]:
    """The merged decisions released in the range `kernel` that keep the strategy of the trigger but not its hook."""
    return tuple(
        d
        for d in decisions()
        if d.status == "merged" and not d.strategies and kernel in d.ranges and d.concerns(guest, trigger)
    )


# Remedies that are no flush: they stop a trigger, or make the flush smaller (data/kvm/remedies.csv).


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """`short` is the title as a part of a sentence. `effect`: `stops` the triggers, or `pin_vcpus` (the mask shrinks to one CPU per vCPU)."""

    id: str
    title: str
    short: str
    effect: Literal["stops", "pin_vcpus"]
    triggers: Annotated[frozenset[str], Cell(lambda cell: parts(cell, (ANY, *TRIGGERS), None))]
    guests: Annotated[frozenset[str], Cell(lambda cell: parts(cell, (ANY, *GUESTS), None))]
    first_kernel: Annotated[str, among(KERNELS)] = ""
    caveat: str
    source: str

    def applies_to(self, guest_id: str, trigger: Trigger) -> bool:
        """Whether it helps this guest type at this trigger."""
        return bool({ANY, guest_id} & self.guests) and bool({ANY, trigger.id} & self.triggers)

    def works_in(self, kernel: str) -> bool:
        """Whether the kernel range is new enough."""
        return not self.first_kernel or KERNELS[kernel] >= KERNELS[self.first_kernel]


@lru_cache(maxsize=1)
def remedies() -> tuple[Remedy, ...]:
    """All remedies in the order of the file. Raises BadInput."""
    return read_remedies(data_dir() / "kvm" / "remedies.csv")


def read_remedies(path: Path) -> tuple[Remedy, ...]:
    """The remedies of a file. Raises BadInput with the row that cannot be read."""
    return records(path, Remedy, ("id",))
