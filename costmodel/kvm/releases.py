"""Stable series: which releases were seen (data/kvm/releases.csv), and which fixes came to them
(data/kvm/backports.csv).

The hook that came to 5.15.70 is a kernel range of its own, and in neither table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from costmodel.evidence.paths import data_dir
from costmodel.evidence.tables import Cell, Count, Refused, column, records
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
