"""A session of measurements on this machine: probes run one after the other, and what they found becomes a profile.

A profile is a folder with host.toml and one CSV per probe, written whole or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from costmodel import __version__
from costmodel.errors import INSTALL, BadInput
from costmodel.evidence.tables import csv_text
from costmodel.measure import hardware, invalidations, kvm
from costmodel.measure.host import Host, describe, usable_cpus
from costmodel.measure.journal import Changes
from costmodel.measure.native import NativeUnavailable
from costmodel.measure.probe import Settings, Skipped, Table, Tick, Watch, rounds
from costmodel.numbers import shortened

PROBES: dict[str, Callable[[Host, Settings, Tick, Changes | None], Table]] = {
    "flush": lambda host, settings, tick, _: hardware.flush_probe(host, settings, tick, usable_cpus()),
    "flush_cells": lambda host, settings, tick, _: hardware.flush_cells_probe(host, settings, tick, usable_cpus()),
    "refill": lambda host, settings, tick, _: hardware.refill_probe(host, settings, tick, usable_cpus()[-1]),
    "neighbour": lambda host, settings, tick, _: hardware.neighbour_probe(host, settings, tick),
    "bandwidth": lambda host, settings, tick, _: hardware.bandwidth_probe(host, settings, tick),
    "broadcast": lambda host, settings, tick, _: hardware.broadcast_probe(host, settings, tick),
    "invalidations": invalidations.probe,
    "sev": lambda host, settings, tick, _: kvm.probe(host, settings, tick),
}
"""Probes of one CPU begin with the last that the process may use: CPU 0 takes most interrupts."""
WITHOUT_GUESTS = "--on-a-host-with-guests runs it all the same, and first says what it will do to them"


def ticks(name: str, settings: Settings) -> int:
    """Steps of progress that the probe makes."""
    return len(invalidations.CAUSES) if name == "invalidations" else rounds(settings)


def this_host() -> Host:
    """The machine that we run on. Raises BadInput where /proc does not tell it."""
    try:
        return describe()
    except OSError as error:
        raise BadInput(
            f"cannot be read: {error.strerror}", file=error.filename, remedy="measure needs /proc and /sys of Linux"
        ) from None


def disturbing(names: Sequence[str], changes: Changes | None) -> list[str]:
    """Those of the probes that guests on this host would feel, where they can run at all."""
    able = {"invalidations": changes is not None, "sev": "sev" in names and not kvm.missing()}
    return [name for name in names if able.get(name)]


def refused(names: Sequence[str], proc: Path = Path("/proc")) -> dict[str, str]:
    """Why these probes must not run, by name: somebody else's virtual machines do."""
    reason = kvm.guests(proc).sentence() if names else ""
    return dict.fromkeys(names, f"{reason}; {WITHOUT_GUESTS}") if reason else {}


@dataclass
class Outcome:
    """What a call of `measure` found: tables by probe, and what was skipped with the reason."""

    host: Host
    command: str
    tables: dict[str, Table] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def findings(self) -> list[str]:
        """Stability of each probe, notes, skipped probes, what this machine cannot tell."""
        found = [text for table in self.tables.values() for text in table.judge()]
        found += [f"{table.probe}: {note}" for table in self.tables.values() for note in table.notes]
        found += [f"{name}: skipped, {reason.removeprefix(f'{name}: ')}" for name, reason in self.skipped.items()]
        return list(dict.fromkeys([*found, *self.host.notes()]))


def run(
    names: Sequence[str],
    settings: Settings,
    command: str,
    progress: Callable[[str], Tick],
    changes: Changes | None = None,
    refusals: Mapping[str, str] | None = None,
) -> Outcome:
    """Run the probes; one that this machine lacks something for, or that is refused, is noted with the reason."""
    outcome = Outcome(this_host(), command, skipped=dict(refusals or {}))
    for name in names:
        if name in outcome.skipped:
            continue
        try:
            watch = Watch()
            table = PROBES[name](outcome.host, settings, progress(name), changes)
            table.conditions = watch.conditions(outcome.host.load_average)
            outcome.tables[name] = table
        except Skipped as reason:
            outcome.skipped[name] = str(reason)
        except BrokenPipeError:
            raise
        except (OSError, MemoryError) as error:
            outcome.skipped[name] = f"{name}: {error or 'not enough memory'}"
    return outcome


# The profile.

HOST_FILE = "host.toml"
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
DIGITS = 6
ROOM_BYTES = 8 * 2**20
"""A profile of every probe on a host of many CPUs fits into this."""


def default_name(host: Host) -> str:
    """A name from CPU model and count: nothing that names the machine itself."""
    words = re.sub(r"[^a-z0-9]+", "-", host.cpu_model.lower()).strip("-") or host.vendor
    words = re.sub(r"-?\d+-core-processor", "", words)
    kind = "-vm" if host.virtual else ""
    return f"{words}-f{host.family}m{host.model}-{host.logical_cpus}cpu{kind}"[:63]


def checked_name(name: str) -> str:
    """`name` if it can be the name of a folder. Raises BadInput."""
    if not NAME.fullmatch(name):
        raise BadInput(f"{name!r} is no name of a profile", field="--name", remedy="use a-z, 0-9, dot and hyphen")
    return name


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """CSV text of rows of one shape, floats with six digits.

    Foreign text does no harm: control characters are escaped, and what a spreadsheet would run gets a quote before it.
    """
    header = list(rows[0]) if rows else []
    return csv_text(header, [[shortened(row[name], DIGITS) for name in header] for row in rows])


def files(outcome: Outcome, name: str) -> dict[str, str]:
    """Contents by file name: the CSV of each probe and host.toml with their checksums."""
    import tomli_w

    tables = {f"{probe}.csv": as_csv(table.rows) for probe, table in outcome.tables.items()}
    document = {
        "id": name,
        "measured_on": datetime.now(UTC).date().isoformat(),
        "command": outcome.command,
        "versions": {"costmodel": __version__, "python": platform.python_version(), "llvmlite": _llvmlite()},
        "findings": outcome.findings(),
        "host": outcome.host.as_dict(),
        "sha256": {file: hashlib.sha256(text.encode()).hexdigest() for file, text in tables.items()},
    }
    return {**tables, HOST_FILE: tomli_w.dumps(document)}


def require() -> None:
    """Raises NativeUnavailable where a library of the extra `measure` is missing: before anything is measured."""
    for library in ("llvmlite", "tomli_w"):
        if importlib.util.find_spec(library) is None:
            raise NativeUnavailable(f"{library} is not installed: {INSTALL.format('measure')}")


def _llvmlite() -> str:
    try:
        import llvmlite
    except ImportError:
        return "absent"
    return llvmlite.__version__


@contextlib.contextmanager
def prepared(folder: Path) -> Iterator[None]:
    """Room for the profile `folder`, made and tried before the block measures anything.

    Folders above it that were made for it go again when the block fails. Raises BadInput where `folder` exists or
    cannot be written.
    """
    above: list[Path] = []
    try:
        with _unwritable(folder):
            _must_be_new(folder)
            above = [path for path in (folder.parent, *folder.parent.parents) if not path.exists()]
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder.parent) as stream:
                os.posix_fallocate(stream.fileno(), 0, ROOM_BYTES)
        yield
    except BaseException:
        for path in above:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


@contextlib.contextmanager
def _unwritable(folder: Path) -> Iterator[None]:
    """An error of the file system in the block becomes BadInput."""
    try:
        yield
    except OSError as error:
        raise BadInput(
            f"cannot be written: {error.strerror}", file=folder, remedy="choose another place with --out"
        ) from None


def _must_be_new(folder: Path) -> None:
    if folder.exists():
        raise BadInput("exists already", file=folder, remedy="choose another --name or --out, or remove it")


def write(outcome: Outcome, folder: Path) -> Path:
    """Write the profile as `folder`; the folder appears whole or not at all. Raises BadInput where it cannot."""
    if not outcome.tables:
        raise BadInput("nothing was measured", field="probe", remedy="; ".join(outcome.skipped.values()))
    with _unwritable(folder):
        _must_be_new(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".measure-", dir=folder.parent))
        try:
            for file, text in files(outcome, folder.name).items():
                (aside / file).write_text(text)
            aside.chmod(0o755)
            aside.rename(folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    return folder
