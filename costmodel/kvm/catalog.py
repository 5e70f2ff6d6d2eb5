"""What KVM knows by id: guest types, flush strategies, triggers, hook placements and gaps, read from data/kvm/*.toml.

`STRATEGIES["wbnoinvd_mask"]` finds a record in any case and raises UnknownName. A file that says something impossible
is refused with the record and the field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal, TypeVar

from costmodel.errors import known_id
from costmodel.evidence import tables
from costmodel.evidence.paths import data_dir
from costmodel.evidence.tables import Cell, Identified, Refused, Table, among, column, entries, parted

Version = tuple[int, int, int]
Record = TypeVar("Record")
Entry = TypeVar("Entry", bound=Identified)
FIRST: Version = (0, 0, 0)
NO_END: Version = (9999, 0, 0)


class Catalog(Mapping[str, Record]):
    """Records of one `kind` by id, in the order of their file, which is read when the first of them is asked for."""

    def __init__(self, kind: str, read: Callable[[], dict[str, Record]]) -> None:
        self.kind, self._read = kind, read

    @cached_property
    def _records(self) -> dict[str, Record]:
        return self._read()

    def __getitem__(self, id: str) -> Record:
        """The record called `id`, in any case. Raises UnknownName."""
        return self._records[known_id(self.kind, id, self._records)]

    def get(self, id: str, default: Record | None = None) -> Record | None:  # type: ignore[override]  # an id, and no other type of default
        """The record with exactly this id, or `default`."""
        return self._records.get(id, default)

    def __contains__(self, id: object) -> bool:
        return id in self._records

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)


@dataclass(frozen=True)
class Guest(Table):
    """A guest type. `requires` names the machine features without which it cannot run; `vendor` is amd, intel or None;
    `successor` is the guest type that mainline has in its place; `properties` decide about its flushes
    (data/kvm/guests.toml says what each means).
    """

    id: str
    title: str
    properties: frozenset[str]
    note: str
    source: str
    vendor: Literal["amd", "intel"] | None = None
    requires: tuple[str, ...] = ()
    successor: str = ""

    def has(self, name: str) -> bool:
        """Whether the guest type has the property `name`."""
        return name in self.properties


def _release(cell: str) -> str:
    if not isinstance(cell, str) or not re.fullmatch(r"v\d{1,3}\.\d{1,3}", cell, re.ASCII):
        raise Refused(f"{tables.shown(cell)} is no release", 'write it with its v, as "v6.17", or leave it out')
    return cell


@dataclass(frozen=True)
class Strategy(Table):
    """One way to flush, or not to.

    `address_source` is that of a range; `skips`: why nothing is flushed, `why` the same in the words of the title.
    `first_version` is the first catalogued kernel that does it anywhere, None if no kernel version is known to;
    `features` are machine features. `contains` is another strategy that is a part of it, so that its cost is a lower
    bound.
    """

    id: str
    title: str
    instruction: Literal[
        "wbinvd", "wbnoinvd", "clflushopt", "wrmsr", "seamcall", "df_flush", "defer", "guest", "other", "none"
    ]
    scope: Literal["all_cpus", "mask", "range", "page", "package", "sequence", "none"]
    list_status: str
    source: str
    first_version: Annotated[str, Cell(_release)] | None = None
    address_source: Literal["user_va", "spte", "pinned", "gmem"] | None = None
    skips: Literal["always", "coherent", "event", "unreachable"] | None = None
    features: tuple[str, ...] = ()
    contains: str | None = None
    why: str = ""

    @property
    def whole_cache(self) -> bool:
        """Whether it writes back whole caches (WBINVD or WBNOINVD)."""
        return self.instruction in ("wbinvd", "wbnoinvd")


@dataclass(frozen=True)
class Cause(Table):
    """A way of the kernel to a trigger's notifier. `before` names the conditions (`costmodel.kvm.events`) that are
    tested before it fires, `after` those tested afterwards, where the page stays if one fails. `moves`: the page leaves
    the guest if all hold. `goes_on`: a pass that changed nothing goes on to the next range at once. `since` and `until`
    are the first release that works so and the first that does not.
    """

    id: str
    title: str
    source: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    moves: bool = False
    goes_on: bool = False
    since: Version = FIRST
    until: Version = NO_END

    def exists_in(self, release: Version) -> bool:
        """Whether the release works so."""
        return self.since <= release < self.until


@dataclass(frozen=True)
class Trigger(Table):
    """An event of the host or of KVM at which a flush may be due.

    `path` is the code path, `event` the mmu_notifier event. `lines` says whose cache lines are at stake: of the guest
    (a page goes back to the host), of the host (a page goes to the guest) or none. `pfn_source` is where the PFNs of
    the range come from: vma (only behind user addresses), pinned, kernel_va, gmem, module or none. `context` is the
    predicate that a flush of whole caches needs there. `by_vmm` says that the guest's own VMM makes the event at will,
    by a system call or an ioctl, as often as it likes. A guest has the trigger if it has all properties of `requires`
    and none of `excludes`. `causes` are the kernel's ways to the notifier; KVM's own events have none. `stock_bytes`:
    the event uses up one piece of this size of the guest, so that there are no more of them than pieces.
    """

    id: str
    title: str
    path: str
    source: str
    lines: Literal["guest", "host"] | None = None
    pfn_source: Literal["vma", "pinned", "kernel_va", "gmem", "module", "none"] = "none"
    event: str | None = None
    context: str = "irqs_enabled"
    requires: frozenset[str] = frozenset()
    excludes: frozenset[str] = frozenset()
    page_may_leave_vm: bool = False
    page_stays_in_vm: bool = False
    event_type_overloaded: bool = False
    flushed_elsewhere: bool = False
    user_abi: bool = False
    firmware_rule: Literal["df_flush", "cache_wb"] | None = None
    batched: bool = False
    kvm_pointer: bool = True
    vcpus_locked_out: bool = False
    guest_validates: bool = False
    by_vmm: bool = False
    causes: tuple[Cause, ...] = ()
    stock_bytes: float | None = None

    @property
    def by_hva(self) -> bool:
        """Whether the event comes with user addresses of the memslots."""
        return self.path in ("hva_notifier", "memslot")

    @property
    def in_window(self) -> bool:
        """Whether the hook runs between range_start and range_end of a notifier; the release of a whole mm has
        neither.
        """
        return self.path == "hva_notifier" and self.event != "RELEASE"

    @property
    def per_folio(self) -> bool:
        """Whether the hook runs once for each folio of guest_memfd, not once for the event: kvm_gmem_free_folio(), and
        from v7.3-rc on kvm_gmem_make_shared(), which walks the folios of a conversion.
        """
        return self.pfn_source == "gmem"

    @property
    def leaves_rmp(self) -> bool:
        """Whether pages with an RMP entry go back to the host: RMPUPDATE is due, whatever is flushed."""
        return self.lines == "guest" and (self.pfn_source == "gmem" or self.path == "rmp")

    def occurs_with(self, guest: Guest) -> bool:
        """Whether the guest type has this trigger."""
        return self.requires <= guest.properties and not self.excludes & guest.properties


@dataclass(frozen=True)
class Placement(Table):
    """Where a hook runs relative to mmu_lock, and who `waits` there; `admissible` is false where the page may be reused
    before the flush.

    `hooks` are the names that the thread of 2023-08-18 gives to a hook there: before/after pairs around lock and
    unlock, or on_lock and on_unlock symmetric with respect to the lock.
    """

    id: str
    title: str
    waits: str
    admissible: bool
    source: str
    hooks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gap(Table):
    """What no source tells, so that a total is refused, or is given without it or with an assumption."""

    id: str
    text: str
    source: str


def _read(name: str, key: str, record: type[Entry]) -> Callable[[], dict[str, Entry]]:
    return lambda: entries(data_dir() / "kvm" / f"{name}.toml", key, record)


GUESTS: Catalog[Guest] = Catalog("guest type", _read("guests", "guest", Guest))
STRATEGIES: Catalog[Strategy] = Catalog("strategy", _read("strategies", "strategy", Strategy))
TRIGGERS: Catalog[Trigger] = Catalog("trigger", _read("triggers", "trigger", Trigger))
PLACEMENTS: Catalog[Placement] = Catalog("placement", _read("placements", "placement", Placement))
GAPS: Catalog[Gap] = Catalog("gap", _read("gaps", "gap", Gap))


def triggers_of(guest_id: str) -> tuple[Trigger, ...]:
    """The triggers that a guest type has, in catalogue order. Raises UnknownName."""
    guest = GUESTS[guest_id]
    return tuple(entry for entry in TRIGGERS.values() if entry.occurs_with(guest))


ANY = "any"
HVA = "hva"
"""In the column triggers of the tables under data/kvm: every trigger that comes with user addresses of the memslots."""


def _members(cell: str, groups: Mapping[str, Collection[str]], known: Collection[str]) -> frozenset[str]:
    return frozenset(id for name in tables.parts(cell, (*groups, *known)) for id in groups.get(name, [name]))


def _triggers_of_cell(cell: str) -> frozenset[str]:
    by_hva = [id for id, trigger in TRIGGERS.items() if trigger.by_hva]
    return _members(cell, {ANY: list(TRIGGERS), HVA: by_hva}, TRIGGERS)


GuestId = Annotated[str, among(GUESTS)]
TriggerId = Annotated[str, among(TRIGGERS)]
StrategyId = Annotated[str, among(STRATEGIES)]
GuestIds = Annotated[frozenset[str], Cell(lambda cell: _members(cell, {ANY: list(GUESTS)}, GUESTS))]
"""Guest types of a column guest_types."""
TriggerIds = Annotated[frozenset[str], Cell(_triggers_of_cell)]
"""Triggers of a column triggers."""
StrategyIds = Annotated[tuple[str, ...], parted(STRATEGIES)]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What changes the flush of `guests` at `triggers`: `strategies` are done there since then."""

    guests: GuestIds = column("guest_types")
    triggers: TriggerIds = frozenset()
    strategies: StrategyIds = column("strategy", ())
    source: str
    note: str = ""

    def concerns(self, guest: str, trigger: str) -> bool:
        """Whether it is about this guest type at this trigger (ids)."""
        return guest in self.guests and trigger in self.triggers
