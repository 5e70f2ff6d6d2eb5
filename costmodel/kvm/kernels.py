"""Kernels: what each catalogued range does at each trigger (data/kvm/upstream_behaviour.csv), which range a version is in,
and what upstream decided about these flushes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir
from costmodel.evidence.tables import Cell, Count, YesNo, among, column, one_of, parted, parts, records
from costmodel.kvm import catalog, releases
from costmodel.kvm.catalog import ANY, GUESTS, STRATEGIES, TRIGGERS, Catalog, GuestId, Trigger, TriggerId, triggers_of
from costmodel.kvm.releases import Build, Version, backport, dotted

TDX_FIRST, TDX_RANGE = "v6.16", "v6.11-v6.16"
"""Label of the facts for TDX in v6.16, the first kernel that has it; it stands for the range up to v6.16."""
MASK_KERNEL = "v6.17-v7.2"
"""First range that flushes only the CPUs that ran the guest (commit 6f38f8c57464)."""
STABLE_HOOK = "v5.15.70+"
"""First range in which the event that frees a page flushes: the stable series that has the hook of v5.18."""
SOURCE_FLUSH_KERNEL = "v7.3-rc"
"""First range that flushes on the source of an intra-host migration while it still counts as SEV."""
NOTHING_KNOWN = ("n/a", "unverified")
FACTS_OF_5_4 = "v5.4"
"""Label of the facts in which v5.4 differs from v5.11, for kernels up to v5.4."""
OLDEST, OLDEST_READ_AFTER = (5, 4), (5, 10)
"""First series that was read, and the next one."""
STEPS = (
    ((5, 18), "sev_guest_memory_reclaimed"),
    ((6, 11), "sev_gmem_invalidate"),
    ((6, 16), "tdh_phymem_page_wbinvd_hkid"),
    ((6, 17), "wbnoinvd_on_cpus_mask"),
)
"""Releases that changed which flush an event gets, and a symbol of /proc/kallsyms that tells the change from what was
before, in kernels that took it as a backport as well.
"""
LOOK = f"grep -w {' '.join(f'-e {symbol}' for _, symbol in STEPS)} /proc/kallsyms"
"""How to find out which of the flushes a kernel has."""
BLASTED = "WBINVD_ALL"
"""What the kernels of the 2023 thread ran, which it calls the blast: always shown beside the rest."""
OUT_OF_TREE = (BLASTED,)
"""Hosts of the 2023 thread ran SNP without guest_memfd out of tree, with the SEV hook (KVM list, 2022 to 2023)."""
OUT_OF_TREE_RANGE = "v5.18-v6.7"
"""Mainline range of the time of that thread (2023-08-18)."""


@dataclass(frozen=True, order=True, kw_only=True)
class Kernel:
    """A catalogued range of kernels that flush alike; ranges compare by their first release.

    `first_name` and `last_name` are its ends in words, `covers_to` the last series that behaves so, `stands_for` the
    release that is taken for the range. A range that is not `mainline` is a stable series of its own.
    """

    first: Annotated[Version, Cell(lambda cell: releases.parse(cell.removesuffix("+")).version)]
    id: str = field(compare=False)
    first_name: str = column("first", compare=False)
    last_name: str = column("last", compare=False)
    covers_to: Annotated[tuple[int, int], Cell(lambda cell: releases.parse(cell).version[:2])] = field(compare=False)
    stands_for: Annotated[Version, Cell(lambda cell: releases.parse(cell).version)] = field(compare=False)
    mainline: YesNo = field(compare=False)
    source: str = field(compare=False)


def read_kernels(path: Path) -> dict[str, Kernel]:
    """The ranges of a file by id, oldest first. Raises BadInput with the row that cannot be read."""
    return {kernel.id: kernel for kernel in records(path, Kernel, ("id",))}


KERNELS: Catalog[Kernel] = Catalog("kernel range", lambda: read_kernels(data_dir() / "kvm" / "kernels.csv"))


def oldest() -> str:
    """The oldest catalogued range."""
    return next(iter(KERNELS))


def newest() -> str:
    """The newest catalogued range."""
    return [*KERNELS][-1]


def after(kernel: str) -> list[str]:
    """The ranges later than `kernel`, oldest first."""
    return [name for name, one in KERNELS.items() if one > KERNELS[kernel]]


@dataclass(frozen=True)
class Upstream:
    """Strategies of a kernel range at a trigger (several where the CPU decides) and where that was read."""

    strategies: tuple[str, ...]
    locator: str
    note: str = ""


def first_release(version: str) -> Version:
    """(major, minor, patch) of a version without a builder, such as `v6.16`."""
    return releases.parse(version).version


@dataclass(frozen=True)
class Ground:
    """Why a kernel is taken as another one, or when it behaves as that; the `names` are those that the words of its
    kind (report/names.py) tell.
    """

    kind: str
    names: Mapping[str, str]


@dataclass(frozen=True)
class Candidate:
    """A kernel that the one asked for may behave as: `kernel` is a version or range without a builder."""

    kernel: str
    grounds: tuple[Ground, ...] = ()

    @classmethod
    def on(cls, kernel: str, kind: str, **names: str) -> Candidate:
        """One on a single ground."""
        return cls(kernel, (Ground(kind, names),))


class SeveralKernels(BadInput):
    """A build of which no source tells which of the `candidates` it behaves as; `looked` says what the output of LOOK
    stands for.
    """

    def __init__(self, problem: str, candidates: tuple[Candidate, ...] = ()) -> None:
        self.candidates = candidates
        remedy = (
            "with the KVM module loaded, the last of them that it shows stands for "
            f"{', '.join('.'.join(map(str, version)) for version, _ in STEPS)} in this order, none of them for 5.11: "
            "give that version"
        )
        self.looked = remedy
        remedy = f"costmodel recommend answers for each of them; or look with {LOOK}: {remedy}"
        super().__init__(problem, field="kernel", remedy=remedy)


def candidates(version: str, guest: str | None = None) -> tuple[Candidate, ...]:
    """What the kernel `version` (a version, range, `newest`, `this`, or what uname -r prints) may behave as: one, or
    several where no source tells. Those that treat `guest` alike are one. Raises BadInput.
    """
    plain = version.lower()
    if plain == "newest" or plain in KERNELS:
        return (Candidate(plain),)
    build = releases.parse(version)
    found = _of_upstream(build) if build.upstream else _of_builder(build, guest)
    if len(found) < 2:
        return found
    told = {_behaviour(one.kernel, guest): one for one in reversed(found)}
    if len(told) == 1:
        return (Candidate.on(found[0].kernel, "unchanged", build=build.name, builder=build.title),)
    return tuple(reversed(told.values()))


def settled(version: str, guest: str | None = None) -> str:
    """The one kernel that `version` behaves as for `guest`. Raises SeveralKernels, and BadInput as `candidates`
    does.
    """
    found = candidates(version, guest)
    if len(found) > 1:
        build, may = releases.parse(version), " or ".join(one.kernel for one in found)
        raise SeveralKernels(
            f"{build.name} is a kernel of {build.title}, and no source here tells what was backported to it: it "
            f"behaves as {may}",
            found,
        )
    return found[0].kernel


def is_build(version: str) -> bool:
    """Whether `version` names a kernel that somebody else than kernel.org built. Raises BadInput."""
    plain = version.lower()
    return plain != "newest" and plain not in KERNELS and not releases.parse(version).upstream


def _of_upstream(build: Build) -> tuple[Candidate, ...]:
    """The range of a version of kernel.org, with what must be told beside it. Raises BadInput."""
    series, version = build.version[:2], build.name.lower().removeprefix("v")
    if series < OLDEST:
        raise BadInput(
            f"kernel {build.name[:40]} is older than v5.4, the oldest that was read",
            field="kernel",
            remedy=(
                "give 5.4 for what that one does, or what uname -r prints: builds of RHEL 8 (4.18.0) are known by it"
            ),
        )
    if series > KERNELS[newest()].covers_to:
        raise BadInput(
            f"kernel {build.name[:40]} is newer than {newest()}, the last that was read: what it does is not known",
            field="kernel",
            remedy="give newest for what that one does",
        )
    return (Candidate(version, tuple(_nearest(build))),)


def _nearest(build: Build) -> Iterator[Ground]:
    """Which kernels stand for one that is older than the catalogue, and whether the release was ever seen."""
    if OLDEST < build.version[:2] < OLDEST_READ_AFTER:
        yield Ground("unread", {"build": build.name, "kernel": oldest()})
    elif rows := releases.reads_of(build):
        row = _row(build, rows)
        note = f" ({row.note})" if row.note else ""
        yield Ground("older", {"build": build.name, "kernel": row.kernel_range, "oldest": oldest(), "note": note})
        if build.patched and build.number > row.last:
            yield Ground("late", {"read": row.name(row.last)})
    if seen := releases.last_before(build):
        yield Ground("unreleased", {"build": build.name, "seen_on": seen.seen_on, "seen": seen.name})


def _row(build: Build, rows: list[releases.Read]) -> releases.Read:
    """The row of an old series that stands for the release; the last one where no patch level is given."""
    return next((row for row in rows if build.patched and build.number <= row.last), rows[-1])


def _of_builder(build: Build, guest: str | None) -> tuple[Candidate, ...]:
    """What a build that is not of kernel.org may behave as, oldest first. Raises BadInput."""
    read = releases.read_of(build)
    silent = read is not None and read.basis == "dated" and guest not in (None, *read.guests)
    if read and not silent:
        note = f"; {read.note}" if read.note else ""
        return (Candidate.on(read.kernel_range, read.basis, build=build.name, note=note),)
    if (rows := releases.reads_of(build)) and not silent:
        return _between(build, rows)
    base = ".".join(map(str, build.version[: 3 if build.patched else 2]))
    mainline = releases.parse(base)
    _of_upstream(mainline)
    following = _queued(mainline) if _in_step(build) else _steps(build.version[:2])
    if not following:
        return (Candidate.on(base, "based", build=build.name, builder=build.title),)
    return (Candidate.on(base, "plain"), *following)


def _in_step(build: Build) -> bool:
    known = releases.builders().get(build.builder)
    return known is not None and known.in_step


def _queued(mainline: Build) -> tuple[Candidate, ...]:
    """The next range, where the version is the last before it."""
    here = _range_of(mainline)
    later = after(here)
    if mainline.version[:2] != KERNELS[here].covers_to or not later:
        return ()
    return (Candidate.on(dotted(KERNELS[later[0]].first), "queued"),)


def _steps(after: tuple[int, int]) -> tuple[Candidate, ...]:
    """Later changes of the flush that a builder may have taken."""
    return tuple(
        Candidate.on(".".join(map(str, version)), "symbol", symbol=symbol)
        for version, symbol in STEPS
        if version > after
    )


def _between(build: Build, rows: list[releases.Read]) -> tuple[Candidate, ...]:
    """A build between two that were read behaves as one of them; one after the last as that, or as a later kernel."""
    before = [row for row in rows if row.last < build.number][-1:]
    later = [row for row in rows if build.number < row.first][:1]
    if not before:
        return tuple(
            Candidate.on(row.kernel_range, "only-after", build=build.name, read=row.name(row.first)) for row in later
        )
    found = [Candidate.on(row.kernel_range, "before", read=row.name(row.last)) for row in before]
    found += [Candidate.on(row.kernel_range, "after", read=row.name(row.first)) for row in later]
    return tuple(found) if later else (*found, *_steps(KERNELS[found[-1].kernel].covers_to))


def _behaviour(kernel: str, guest: str | None) -> object:
    """What tells two kernels apart for a guest type: its flushes; without one the range."""
    name = resolve(kernel)
    if guest is None or not runs(guest, name, release(kernel)):
        return name if guest is None else ()
    return tuple(
        done.strategies if (done := upstream(guest, trigger.id, name, release(kernel))) else None
        for trigger in triggers_of(guest)
    )


def resolve(version: str) -> str:
    """Range of a version such as `6.6`, `v6.17.3`, `7.3-rc5`, of a range id, `newest`, `this`, or what uname -r prints.

    Raises SeveralKernels where no source tells which of several ranges a build behaves as, and BadInput.
    """
    kernel = settled(version)
    if kernel == "newest":
        return newest()
    return kernel if kernel in KERNELS else _range_of(releases.parse(kernel))


def _range_of(build: Build) -> str:
    """The range of a version of kernel.org."""
    series, patch = build.version[:2], build.version[2]
    if rows := releases.reads_of(build):
        return _row(build, rows).kernel_range
    if series == (5, 15):
        return STABLE_HOOK if patch >= KERNELS[STABLE_HOOK].first[2] or not build.patched else oldest()
    if series < (5, 18):
        return oldest()
    return next(name for name, one in KERNELS.items() if series <= one.covers_to)


def release(version: str) -> tuple[int, int, int]:
    """(major, minor, patch) of a version that `resolve` understands; of a range, and of `newest`, the last release that
    behaves as the range does. Raises BadInput.
    """
    kernel = settled(version)
    name = resolve(kernel)
    if kernel in ("newest", name):
        return KERNELS[name].stands_for
    return releases.parse(kernel).version


def not_hosted(guest: str, version: str) -> str:
    """Why the kernel has no guests of this type although its range has; empty where it has them, or nothing was
    read.
    """
    if version in KERNELS or not GUESTS[guest].has("upstream"):
        return ""
    build = releases.parse(version)
    if build.builder == "snp-host" and not hosts(guest, resolve(version)):
        problem = (
            f"Linux {dotted(build.version)} does not run {GUESTS[guest].title} guests, and no source here tells how "
            f"{build.title} runs them; the guest type sev-snp stands for SNP out of tree"
        )
        return problem
    read = releases.read_of(build)
    if read is None and build.upstream and (rows := releases.reads_of(build)):
        read = _row(build, rows)
    known = (
        read.guests
        if read and read.basis == "read"
        else {"plain", "sev"}
        if build.version[:2] < OLDEST_READ_AFTER
        else {guest}
    )
    return "" if guest in known else f"kernel {version} does not run {GUESTS[guest].title} guests"


@lru_cache(maxsize=1)
def _rows() -> dict[tuple[str, str, str], Upstream]:
    return read(data_dir() / "kvm" / "upstream_behaviour.csv")


@dataclass(frozen=True)
class Behaviour:
    """A row of data/kvm/upstream_behaviour.csv."""

    guest_type: GuestId
    trigger: TriggerId
    kernel_range: Annotated[str, Cell(lambda cell: one_of(cell, (*KERNELS, TDX_FIRST, FACTS_OF_5_4)))]
    upstream_strategy: Annotated[tuple[str, ...], Cell(lambda cell: parts(cell, (*NOTHING_KNOWN, *STRATEGIES)))]
    locator: str


def read(path: Path) -> dict[tuple[str, str, str], Upstream]:
    """What a file says of each guest type, trigger and kernel range. Raises BadInput with the row that cannot be
    read.
    """
    rows = records(path, Behaviour, ("guest_type", "trigger", "kernel_range"))
    return {
        (row.guest_type, row.trigger, row.kernel_range): Upstream(row.upstream_strategy, row.locator) for row in rows
    }


def upstream(guest: str, trigger: str, kernel: str, release: Version = (0, 0, 0)) -> Upstream | None:
    """What the range `kernel` does, or None where the guest did not exist or nothing was verified; what was backported
    to `release` replaces it.

    SNP without guest_memfd was never upstream: the out-of-tree hosts of the thread stand for it.
    """
    if not GUESTS[guest].has("upstream"):
        event = TRIGGERS[trigger]
        return Upstream(OUT_OF_TREE, "thread of 2023-08-18", "out of tree") if event.by_hva else None
    if (fix := backport(guest, trigger, release)) and fix.first:
        return Upstream(fix.strategies, f"commit {fix.commit}; {fix.source}", f"from {dotted(fix.first)} on")
    row = _rows().get((guest, trigger, kernel))
    if (0, 0, 0) < release < (*OLDEST_READ_AFTER, 0):
        row = _rows().get((guest, trigger, FACTS_OF_5_4), row)
    if (row is None or row.strategies[0] in NOTHING_KNOWN) and kernel == "v6.11-v6.16":
        row = _rows().get((guest, trigger, TDX_FIRST), row)
    return None if row is None or row.strategies[0] in NOTHING_KNOWN else row


def runs(guest: str, kernel: str, release: Version) -> bool:
    """Whether the release, of the range `kernel`, has guests of this type."""
    return hosts(guest, kernel) and (not GUESTS[guest].has("keyid_keyed") or release >= first_release(TDX_FIRST))


def hosts(guest: str, kernel: str) -> bool:
    """Whether anything is catalogued of `guest` on the range `kernel`: the guest type exists there."""
    return any(upstream(guest, trigger.id, kernel) for trigger in triggers_of(guest))


HOOK_PLACEMENTS = ("under_mmu_lock", "after_unlock", "after_srcu", "after_range_end")
"""Where a notifier hook can run, in the order of the code path; each is dominated by the admissible ones after it."""
SRCU_KERNEL = "v6.8-v6.10"
"""First range whose hook runs after SRCU is dropped (commits cec29eef0a81, 193bbfaacc84)."""


def placement_for(guest_id: str, trigger_id: str, kernel: str) -> str:
    """Id of the placement that the kernel range uses at the trigger."""
    g, t = GUESTS[guest_id], TRIGGERS[trigger_id]
    if g.has("keyid_keyed") and t.page_may_leave_vm and not t.by_hva:
        return "under_mmu_lock"
    if g.has("asid_keyed") and t.pfn_source == "gmem" and t.by_vmm:
        return "gmem_window"
    if not t.in_window:
        return "outside_notifier"
    return "after_srcu" if KERNELS[kernel] >= KERNELS[SRCU_KERNEL] else "after_unlock"


# What upstream decided about these flushes, commit by commit (data/kvm/upstream_decisions.csv).

DECISIONS = "upstream_decisions.csv"
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
        return tuple(dict.fromkeys(name for version in self.versions if (name := _range_of_release(version))))

    def version_in(self, kernel: str) -> str:
        """Its release in the range `kernel`; its first one where that range has it from a later release."""
        return next((version for version in self.versions if _range_of_release(version) == kernel), self.versions[0])

    @property
    def commit(self) -> str:
        """`commit HASH` or `commits HASH, HASH`, or the source where no hash was read."""
        if not self.commits:
            return self.source
        return f"commit{'s' if len(self.commits) > 1 else ''} {', '.join(self.commits)}"


def _range_of_release(version: str) -> str | None:
    """Range of a release such as v6.17; None for a stable queue such as 6.12.y and for older kernels."""
    if not _RELEASE.fullmatch(version) or release(version) < KERNELS[oldest()].first:
        return None
    return resolve(version)


@lru_cache(maxsize=1)
def decisions() -> tuple[UpstreamDecision, ...]:
    """All decisions, oldest first. Raises BadInput with the row that cannot be read."""
    return read_decisions(data_dir() / "kvm" / DECISIONS)


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
