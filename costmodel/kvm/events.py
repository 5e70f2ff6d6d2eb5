"""Which events can happen: what the kernel tests before and after a trigger's notifier, judged on the guest's setup.

The rules name no guest type and no trigger: a cause (`costmodel.kvm.triggers.Cause`) lists conditions, and a condition
looks at properties. data/kvm/events.csv is what was read in the sources, row by row; a test holds the rules to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from costmodel.errors import BadInput
from costmodel.evidence import tables
from costmodel.evidence.paths import data_dir
from costmodel.evidence.tables import read_records
from costmodel.kvm.catalog import STRICT, TRIGGERS, Catalog, Cause, Guest, Trigger
from costmodel.kvm.setup import BACKINGS, MEMPOLICIES, SWITCHES, VMMS, Setup

Release = tuple[int, int, int]
WITH_MOF = ("default", "numa-balancing")
"""Memory policies that carry MPOL_F_MOF, without which the scanner skips a VMA; memory of tmpfs has the default policy
of the file, which does not carry it.
"""
FIRES, FAILS, NEVER = "yes", "fails", "no"
"""The notifier fires; it fires and then the page stays after all; it never fires."""
COLUMNS = (
    "trigger",
    "cause",
    "encrypted",
    "pinned",
    "mergeable",
    "backing",
    "mempolicy",
    "vmm",
    "first_release",
    "last_release",
    "fires",
    "page_leaves",
    "source",
    "checked",
    "note",
)


@dataclass(frozen=True)
class Refusal:
    """Why nothing happens where a condition does not hold, and where that was read; `refusal` may name the guest's
    `{mempolicy}`.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    id: str
    refusal: str
    source: str


REFUSALS: Catalog[Refusal] = Catalog(
    "condition", lambda: read_records(data_dir() / "kvm" / "conditions.toml", "condition", Refusal)
)
CONDITIONS: dict[str, Callable[[Setup], bool]] = {
    "policy_mof": lambda setup: setup.mempolicy in WITH_MOF[setup.backing == "memfd" :],
    "no_pinned_huge_page": lambda setup: not (setup.pinned and setup.backing == "thp"),
    "not_hugetlb": lambda setup: setup.backing != "hugetlb",
    "mergeable": lambda setup: setup.mergeable,
    "unpinned": lambda setup: not setup.pinned,
    "unpinned_or_shared": lambda setup: not setup.pinned or setup.backing in ("memfd", "hugetlb"),
    "pin_overlooked": lambda setup: not setup.pinned or setup.backing in ("thp", "memfd"),
    "huge_pages": lambda setup: setup.backing in ("thp", "guest_memfd"),
    "registered": lambda setup: setup.pinned,
    "discards": lambda setup: not (setup.vmm == "qemu" and setup.pinned),
}
"""What the kernel or the VMM tests, by id. Shared memory of a guest with guest_memfd counts as anonymous memory, with or
without huge pages.
"""


def _refusal(name: str, guest: Guest, setup: Setup) -> str:
    """Why nothing happens, as a condition does not hold."""
    by_vmm = name == "mergeable" and setup.vmm == "qemu" and guest.has("encrypted")
    return REFUSALS["mergeable_under_qemu" if by_vmm else name].refusal.format(mempolicy=setup.mempolicy)


@dataclass(frozen=True)
class Outcome:
    """What comes of a cause: `fires` is FIRES, FAILS (the notifier fires, then the page stays after all) or NEVER, with
    `why` where it is not FIRES.
    """

    cause: Cause
    fires: str
    why: str

    @property
    def page_leaves(self) -> bool:
        """Whether the page leaves the guest."""
        return self.fires == FIRES and self.cause.moves


@dataclass(frozen=True)
class Firing:
    """Whether a trigger can fire, and why not. `again`: nothing is changed by the event, so that the scanner goes on to
    the next range in the same pass.
    """

    fires: bool
    why: str
    again: bool


def outcomes(trigger: Trigger, guest: Guest, setup: Setup, release: Release) -> list[Outcome]:
    """What comes of every cause that the release has, in the order of the catalogue."""
    return [_outcome(cause, guest, setup) for cause in trigger.causes if cause.exists_in(release)]


def _outcome(cause: Cause, guest: Guest, setup: Setup) -> Outcome:
    for names, verdict in ((cause.before, NEVER), (cause.after, FAILS)):
        refused = [_refusal(name, guest, setup) for name in names if not CONDITIONS[name](setup)]
        if refused:
            return Outcome(cause, verdict, "; ".join(refused))
    return Outcome(cause, FIRES, "")


def firing(trigger: Trigger, guest: Guest, setup: Setup, release: Release) -> Firing:
    """Whether any cause of the trigger raises the notifier; a trigger without causes is no notifier: KVM makes it."""
    found = outcomes(trigger, guest, setup, release)
    if not trigger.causes:
        return Firing(True, "", False)
    raised = [one for one in found if one.fires != NEVER]
    if raised:
        return Firing(True, "", any(one.cause.goes_on and one.fires == FAILS for one in raised))
    return Firing(False, "; ".join(dict.fromkeys(one.why for one in found)), False)


@dataclass(frozen=True)
class EventRow:
    """One line of data/kvm/events.csv: what the sources say of a cause in a setup; None or () where any will do."""

    trigger: str
    cause: str
    encrypted: bool | None
    pinned: bool | None
    mergeable: bool | None
    backing: tuple[str, ...]
    mempolicy: tuple[str, ...]
    vmm: tuple[str, ...]
    first_release: Release
    last_release: Release
    fires: str
    page_leaves: bool
    source: str
    checked: str
    note: str

    def covers(self, guest: Guest, setup: Setup) -> bool:
        """Whether the row speaks of this guest and setup."""
        pairs = (
            (self.encrypted, guest.has("encrypted")),
            (self.pinned, setup.pinned),
            (self.mergeable, setup.mergeable),
        )
        known = all(told is None or told == value for told, value in pairs)
        listed = setup.backing in self.backing and setup.mempolicy in self.mempolicy and setup.vmm in self.vmm
        return known and listed

    def lasts(self, release: Release) -> bool:
        """Whether the row speaks of this release."""
        return self.first_release <= release and release[:2] <= self.last_release[:2]


@lru_cache(maxsize=1)
def event_rows() -> tuple[EventRow, ...]:
    """All lines of the table. Raises BadInput."""
    return read(data_dir() / "kvm" / "events.csv")


ANY = "any"
MOF = {
    "any": MEMPOLICIES,
    "mof": WITH_MOF,
    "not-mof": tuple(name for name in MEMPOLICIES if name not in WITH_MOF),
    **{name: (name,) for name in MEMPOLICIES},
}
"""Words of the column `mempolicy`, and the policies that each stands for."""
SWITCH = {"any": None, **SWITCHES}
OLDEST, ENDLESS = (5, 15, 70), (9999, 0, 0)


def read(path: Path) -> tuple[EventRow, ...]:
    """The lines of a file. Raises BadInput with the row that cannot be read."""
    found = []
    for row in tables.read_table(path, COLUMNS, COLUMNS[:10]):
        place = {"file": path.name, "name": tables.row_name(row, COLUMNS[:2])}
        trigger = TRIGGERS[tables.choice(row, "trigger", TRIGGERS, **place)]
        tables.choice(row, "cause", {cause.id for cause in trigger.causes}, **place)
        tables.filled(row, ("source", "checked"), **place)
        vmm = VMMS if row["vmm"] == ANY else tables.choices(row, "vmm", VMMS, None, **place)
        backing = BACKINGS if row["backing"] == ANY else tables.choices(row, "backing", BACKINGS, None, **place)
        found.append(
            EventRow(
                trigger=trigger.id,
                cause=row["cause"],
                **{
                    name: SWITCH[tables.choice(row, name, SWITCH, **place)]
                    for name in ("encrypted", "pinned", "mergeable")
                },
                backing=backing,
                mempolicy=MOF[tables.choice(row, "mempolicy", MOF, **place)],
                vmm=vmm,
                first_release=_release(row, "first_release", OLDEST, **place),
                last_release=_release(row, "last_release", ENDLESS, **place),
                fires=tables.choice(row, "fires", (FIRES, FAILS, NEVER), **place),
                page_leaves=tables.choice(row, "page_leaves", ("yes", "no"), **place) == "yes",
                source=row["source"],
                checked=row["checked"],
                note=row["note"],
            )
        )
    return tuple(found)


def _release(row: dict[str, str], field: str, open_end: Release, *, file: str, name: str) -> Release:
    """`v6.19` as numbers; `any` is an open end."""
    if row[field] == ANY:
        return open_end
    try:
        major, minor = (int(part) for part in row[field].removeprefix("v").split("."))
    except ValueError:
        problem = f"{row[field][:40]!r} is no release"
        raise BadInput(problem, file=file, row=name, field=field, remedy="write v6.19, or any") from None
    return major, minor, 0
