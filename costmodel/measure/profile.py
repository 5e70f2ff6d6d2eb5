"""A measured machine as files: host.toml and one CSV per probe, written whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import importlib.util
import io
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from costmodel import __version__
from costmodel.errors import INSTALL, BadInput
from costmodel.measure.host import Host
from costmodel.measure.native import NativeUnavailable
from costmodel.measure.probe import Table
from costmodel.numbers import shortened
from costmodel.plain import csv_cell

HOST_FILE = "host.toml"
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
DIGITS = 6
ROOM_BYTES = 8 * 2**20
"""A profile of every probe on a host of many CPUs fits into this."""


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
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        cells: Any = shortened(dict(row), DIGITS)
        writer.writerow({name: csv_cell(cell) for name, cell in cells.items()})
    return stream.getvalue()


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
