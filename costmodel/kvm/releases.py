"""Stable series: which releases were seen (data/kvm/releases.csv), and which fixes came to them
(data/kvm/backports.csv).

The hook that came to 5.15.70 is a kernel range of its own, and in neither table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from costmodel.errors import BadInput
from costmodel.evidence import tables
from costmodel.evidence.paths import data_dir
from costmodel.kvm import catalog

RELEASES, BACKPORTS = "releases.csv", "backports.csv"
RELEASE_COLUMNS = ("series", "newest_release", "kind", "seen_on", "source")
BACKPORT_COLUMNS = (
    "decision",
    "series",
    "first_release",
    "status",
    "date",
    "commit",
    "guest_types",
    "triggers",
    "strategy",
    "source",
    "note",
)
KINDS = ("longterm", "stable")
STATUSES = ("released", "queued", "dropped")
Version = tuple[int, int, int]


@dataclass(frozen=True)
class Release:
    """Newest release of a series that kernel.org maintained when it was seen (`seen_on`, ISO)."""

    version: Version
    kind: str
    seen_on: str
    source: str

    @property
    def name(self) -> str:
        return dotted(self.version)


@dataclass(frozen=True)
class Backport(catalog.Change):
    """A decision of upstream (`decision`: its number) that came to a stable series with `first`, or did not (None).

    `status`: released, queued (in the queue, no release yet) or dropped (was in the queue, not in the release).
    """

    decision: int
    series: tuple[int, int]
    first: Version | None
    status: str
    date: str
    commit: str

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
    found = []
    for row in tables.read_table(path, RELEASE_COLUMNS, "series"):
        place: tables.Place = {"file": path.name, "name": row["series"]}
        tables.filled(row, ("seen_on", "source"), **place)
        version = _version(row, "newest_release", _series(row, place), place)
        found.append(Release(version, tables.choice(row, "kind", KINDS, **place), row["seen_on"], row["source"]))
    return tuple(sorted(found, key=lambda release: release.version))


def read_backports(path: Path) -> tuple[Backport, ...]:
    """The fixes of a file. Raises BadInput with the row that cannot be read."""
    return tuple(_backport(row, path.name) for row in tables.read_table(path, BACKPORT_COLUMNS, ("decision", "series")))


def _backport(row: dict[str, str], file: str) -> Backport:
    place: tables.Place = {"file": file, "name": f"{row['decision']}, {row['series']}"}
    tables.filled(row, ("date", "commit", "guest_types", "triggers", "strategy", "source"), **place)
    series, status = _series(row, place), tables.choice(row, "status", STATUSES, **place)
    if (status == "released") != bool(row["first_release"]):
        raise BadInput(
            f"status {status} and first release {row['first_release']!r} do not fit",
            field="first_release",
            remedy="a released fix has a first release, another has none",
            file=file,
            row=place["name"],
        )
    return Backport(
        decision=tables.whole(row, "decision", required=True, **place),
        series=series,
        first=_version(row, "first_release", series, place) if row["first_release"] else None,
        status=status,
        date=row["date"],
        commit=row["commit"],
        **catalog.change_in(row, place),
    )


def _series(row: dict[str, str], place: tables.Place) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,3})\.(\d{1,3})", row["series"], re.ASCII)
    if not match:
        raise BadInput(
            f"{row['series']!r} is no series",
            field="series",
            remedy="write it as 6.12",
            file=place["file"],
            row=place["name"],
        )
    return int(match[1]), int(match[2])


def _version(row: dict[str, str], field: str, series: tuple[int, int], place: tables.Place) -> Version:
    match = re.fullmatch(r"(\d{1,3})\.(\d{1,3})\.(\d{1,4})", row[field], re.ASCII)
    if not match or (int(match[1]), int(match[2])) != series:
        raise BadInput(
            f"{row[field]!r} is no release of {'.'.join(map(str, series))}",
            field=field,
            remedy="write it as 6.12.61",
            file=place["file"],
            row=place["name"],
        )
    return *series, int(match[3])
