"""Versions of kernels. Of the stable series: which releases were seen (data/kvm/releases.csv) and which fixes came to
them (data/kvm/backports.csv); the hook that came to 5.15.70 is a kernel range of its own, and in neither table.

Of a build, from what `uname -r` tells: its upstream version, who built it, and whether it is known. data/kvm/builders.csv
tells builders by their marks, data/kvm/builds.csv which builds were read, or dated, and which catalogued range each of
them behaves as; data/kvm/majors.csv which versions never were.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir
from costmodel.evidence.tables import Cell, Count, Pattern, Refused, YesNo, column, one_of, records
from costmodel.kvm import catalog

RELEASES, BACKPORTS = "releases.csv", "backports.csv"
Version = tuple[int, int, int]


def _numbers(what: str, pattern: str, example: str) -> Cell:
    """A cell of whole numbers with dots between them, as many as the pattern says."""

    def numbers(cell: str) -> tuple[int, ...]:
        if not re.fullmatch(pattern, cell, re.ASCII):
            raise Refused(f"{cell[:40]!r} is no {what}", f"write it as {example}")
        return tuple(map(int, cell.split(".")))

    return Cell(numbers)


Series = Annotated[tuple[int, int], _numbers("series", r"\d{1,3}\.\d{1,3}", "6.12")]
Released = Annotated[Version, _numbers("release", r"\d{1,3}\.\d{1,3}\.\d{1,4}", "6.12.61")]
BuildNumber = Annotated[tuple[int, ...], _numbers("build number", r"\d{1,4}(\.\d{1,4}){0,3}", "265 or 425.3.1")]


@dataclass(frozen=True, kw_only=True)
class Release:
    """Newest release of a series that kernel.org maintained when it was seen (`seen_on`, ISO)."""

    series: Series
    version: Released = column("newest_release")
    kind: Literal["longterm", "stable"]
    seen_on: str
    source: str

    def __post_init__(self) -> None:
        _belongs(self.version, self.series, "version")

    @property
    def name(self) -> str:
        return dotted(self.version)


@dataclass(frozen=True, kw_only=True)
class Backport(catalog.Change):
    """A decision of upstream (`decision`: its number) that came to a stable series with `first`, or did not (None).

    `status`: released, queued (in the queue, no release yet) or dropped (was in the queue, not in the release).
    """

    decision: Count
    series: Series
    first: Released | None = column("first_release", None)
    status: Literal["released", "queued", "dropped"]
    date: str
    commit: str
    triggers: catalog.TriggerIds = column("triggers")
    strategies: catalog.StrategyIds = column("strategy")

    def __post_init__(self) -> None:
        if (self.status == "released") != (self.first is not None):
            problem = f"a fix with the status {self.status} has {'a' if self.first else 'no'} first release"
            raise Refused(problem, "a released fix has a first release, another has none", "first")
        if self.first is not None:
            _belongs(self.first, self.series, "first")

    def is_in(self, release: Version) -> bool:
        """Whether the release has it."""
        return self.first is not None and release[:2] == self.series and release >= self.first


def dotted(version: Version) -> str:
    """`6.18.55`; `6.18` where the patch level is 0."""
    return ".".join(map(str, version if version[2] else version[:2]))


@lru_cache(maxsize=1)
def releases() -> tuple[Release, ...]:
    """The releases that an upgrade can lead to, oldest series first. Raises BadInput."""
    return read_releases(data_dir() / "kvm" / RELEASES)


@lru_cache(maxsize=1)
def backports() -> tuple[Backport, ...]:
    """The fixes of stable series, in the order of the file. Raises BadInput."""
    return read_backports(data_dir() / "kvm" / BACKPORTS)


def backport(guest: str, trigger: str, release: Version) -> Backport | None:
    """The fix that the release has at the trigger beyond what its first release did."""
    return next((b for b in backports() if b.concerns(guest, trigger) and b.is_in(release)), None)


def own_fixes(release: Version) -> list[Backport]:
    """The fixes that the release has beyond the first of its series."""
    return [b for b in backports() if b.is_in(release)]


def read_releases(path: Path) -> tuple[Release, ...]:
    """The releases of a file. Raises BadInput with the row that cannot be read."""
    return tuple(sorted(records(path, Release, ("series",)), key=lambda release: release.version))


def read_backports(path: Path) -> tuple[Backport, ...]:
    """The fixes of a file. Raises BadInput with the row that cannot be read."""
    return records(path, Backport, ("decision", "series"))


def _belongs(release: Version, series: tuple[int, int], field: str) -> None:
    if release[:2] != series:
        problem = f"{dotted(release)} is no release of {'.'.join(map(str, series))}"
        raise Refused(problem, "give one of its releases, or correct the series", field)


# Builds: what `uname -r` tells of a kernel, who built it, and whether that build is known.

BUILDERS, BUILDS, MAJORS = "builders.csv", "builds.csv", "majors.csv"
Basis = Literal["read", "dated"]
"""How a build is known: its source was read, or it is older than what would change it. Of guest types that a dated
build does not name nothing is known.
"""
UPSTREAM = "kernel.org"
THIS = "this"
"""As a kernel: the one that runs."""
RELEASE_FILE = Path("/proc/sys/kernel/osrelease")
_VERSION = re.compile(
    r"[vV]?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,4}))?(?:-rc\d{0,3})?((?:[-+~_]|\.(?=[a-z]))[!-~]{1,100})?", re.ASCII
)


@dataclass(frozen=True, kw_only=True)
class Builder:
    """Who builds kernels whose `uname -r` has the `mark` after the version, as the `example` has; its groups `number`
    and `release` tell builds and product releases apart. `in_step`: a tree of its time, which holds what its base has
    and at most what was queued for the release after it.
    """

    builder: str
    title: str
    in_step: YesNo
    mark: Pattern
    example: str


@dataclass(frozen=True)
class Build:
    """A kernel as `uname -r` names it. `version` has patch 0 where none is given (`patched` False); `number` is the
    builder's own number where that tells builds apart.
    """

    name: str
    version: Version
    patched: bool
    builder: str
    title: str
    number: tuple[int, ...] = ()

    @property
    def upstream(self) -> bool:
        return self.builder == UPSTREAM


def _catalogued(cell: str) -> str:
    from costmodel.kvm.kernels import KERNELS

    return one_of(cell, KERNELS)


@dataclass(frozen=True, kw_only=True)
class Read:
    """Builds of a builder's series, `first` to `last`, that were read, or are older than what would change them: they
    behave as `kernel_range` and run `guests`.
    """

    builder: str
    series: str
    first: BuildNumber = column("first_build")
    last: BuildNumber = column("last_build")
    kernel_range: Annotated[str, Cell(_catalogued)]
    guests: catalog.GuestIds = column("guest_types")
    basis: Basis
    source: str
    note: str = ""

    def __post_init__(self) -> None:
        if self.last < self.first:
            first, last = (".".join(map(str, number)) for number in (self.first, self.last))
            raise Refused(f"{last} is before {first}", "swap them", "last")

    def name(self, number: tuple[int, ...]) -> str:
        """How a build of this series is called: `5.10.146`, `4.18.0-425.3.1.el8`, `6.8.12-4-pve`."""
        text = ".".join(map(str, number))
        if self.builder == UPSTREAM:
            return f"{self.series}.{text}"
        return f"{self.series}-{text}-pve" if self.builder == "proxmox" else f"{self.series}-{text}.{self.builder}"


def running() -> str:
    """What `uname -r` prints here. Raises BadInput where /proc does not tell."""
    try:
        return RELEASE_FILE.read_text().strip()
    except OSError as error:
        problem = f"the kernel that runs cannot be told: {error.strerror}"
        raise BadInput(problem, field="kernel", remedy="give what uname -r prints on the host") from None


def parse(text: str) -> Build:
    """The build that `text` names: what `uname -r` prints, a version, or `this`. Raises BadInput where it cannot be
    read, and where no such version was ever released.
    """
    text = running() if text.lower() == THIS else text
    match = _VERSION.fullmatch(text)
    if not match:
        raise BadInput(
            f"cannot read the kernel version {text[:40]!r}",
            field="kernel",
            remedy="write it as 6.6, 6.17.3 or newest, or give what uname -r prints, or this",
        )
    major, minor, patch = int(match[1]), int(match[2]), int(match[3] or 0)
    last = majors().get(major)
    if last is not None and minor > last:
        problem = f"there is no Linux {major}.{minor}: {major}.{last} was followed by {major + 1}.0"
        raise BadInput(problem, field="kernel", remedy="give what uname -r prints on the host")
    builder, title, number = _builder(match[4]) if match[4] else (UPSTREAM, UPSTREAM, (patch,))
    return Build(text, (major, minor, patch), match[3] is not None, builder, title, number)


def _builder(rest: str) -> tuple[str, str, tuple[int, ...]]:
    """Id, title and number of the first builder whose mark is in what follows the version."""
    for one in builders().values():
        if found := one.mark.search(rest):
            told = {name: part or "" for name, part in found.groupdict().items()}
            release, number = told.get("release", ""), told.get("number", "")
            return one.builder + release, one.title.format(release), tuple(int(x) for x in number.split(".") if x)
    return "other", "an unknown builder", ()


@lru_cache(maxsize=1)
def builders() -> dict[str, Builder]:
    """Builders by id, in the order in which their marks are looked for. Raises BadInput."""
    return read_builders(data_dir() / "kvm" / BUILDERS)


def read_builders(path: Path) -> dict[str, Builder]:
    """The builders of a file. Raises BadInput with the row that cannot be read."""
    return {row.builder: row for row in records(path, Builder, ("builder",))}


def reads_of(build: Build) -> list[Read]:
    """What is known of the build's series, oldest first; nothing where the build has no number to be found by."""
    if not build.number:
        return []
    series = ".".join(map(str, build.version[: 2 if build.upstream else 3]))
    found = [read for read in builds() if (read.builder, read.series) == (build.builder, series)]
    return sorted(found, key=lambda read: read.first)


def read_of(build: Build) -> Read | None:
    """The row that has the build, if it was read."""
    return next((read for read in reads_of(build) if read.first <= build.number <= read.last), None)


def last_before(build: Build) -> Release | None:
    """The newest release of the build's series that was seen, where its patch level is above that."""
    newest = next((seen for seen in releases() if seen.version[:2] == build.version[:2]), None)
    return newest if build.upstream and newest and build.version > newest.version else None


@lru_cache(maxsize=1)
def majors() -> dict[int, int]:
    """The last minor version of each major one that is complete. Raises BadInput."""
    return read_majors(data_dir() / "kvm" / MAJORS)


@dataclass(frozen=True)
class Major:
    """A major version that is complete, with its last minor one."""

    major: Count
    last_minor: Count
    source: str


def read_majors(path: Path) -> dict[int, int]:
    """The last minor versions of a file. Raises BadInput with the row that cannot be read."""
    return {row.major: row.last_minor for row in records(path, Major, ("major",))}


@lru_cache(maxsize=1)
def builds() -> tuple[Read, ...]:
    """The builds that were read, in the order of the file. Raises BadInput."""
    return read_builds(data_dir() / "kvm" / BUILDS)


def read_builds(path: Path) -> tuple[Read, ...]:
    """The builds of a file. Raises BadInput with the row that cannot be read."""
    return records(path, Read, ("builder", "series", "first_build"))
