"""Which reports stand as they were built: from the same inputs, and with the bytes that were written then.

Beside the reports lies what each was made from, as hashes, and the hash of each of its files. Whatever is not found
there, or differs, is built again. Every report names the hash of all data, so that a change of any file in data/ is a
change of every report.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from costmodel import cache
from costmodel.errors import BadInput
from costmodel.evidence.paths import evidence_hash, notebooks_dir
from costmodel.hashing import PACKAGE, files_hash, value_hash, write_beside

FILE = ".built"
LIBRARIES = (
    *cache.LIBRARIES,
    "ipykernel",
    "ipython",
    "jinja2",
    "markupsafe",
    "matplotlib",
    "nbclient",
    "nbformat",
    "pandas",
    "papermill",
    "seaborn",
)
"""What a report passes through."""
OF_THIS_HOST = frozenset({"this", "-"})
"""Names of a machine or a kernel whose content nobody can know beforehand: such a report is always built."""


def inputs_hash() -> str:
    """Hash of all that reports are made from except what is asked: sources, data, notebooks, libraries, CPU."""
    notebooks = notebooks_dir()
    return value_hash(
        [
            files_hash((path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"), PACKAGE),
            evidence_hash(),
            files_hash(notebooks.glob("*.ipynb"), notebooks),
            [_version(library) for library in LIBRARIES],
            sys.version,
            platform.machine(),
            cache.cpu(),
            {name: value for name, value in sorted(os.environ.items()) if name.startswith("COSTMODEL_")},
            [os.environ.get(name, "") for name in cache.CPU_VARIABLES],
        ]
    )


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def key_of(inputs: str, asked: Mapping[str, Any]) -> str | None:
    """Key of what is made from `inputs` for `asked`; None where nobody can tell beforehand what that is."""
    named = {str(asked.get(name)).lower() for name in ("machine", "kernel")}
    if named & OF_THIS_HOST or Path(str(asked.get("machine"))).exists():
        return None
    return value_hash([inputs, dict(asked)])


Noted = tuple[str | None, list[str], dict[str, str | None]]
"""A key, the names of the files that were written for it, and the hash of each."""


@dataclass
class Built:
    """What stands under `out`: `made` are the names of the files by the key of a report or of a whole command,
    `hashes` their hashes.
    """

    out: Path
    made: dict[str, list[str]] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    _noted: list[Noted] = field(default_factory=list)
    """Since it was read."""
    _written: int = 0
    """How many of those are written."""

    @classmethod
    def read(cls, out: Path) -> Built:
        """What was noted under `out`; nothing, where that cannot be read."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            noted = json.loads((out / FILE).read_bytes())
            made = {str(key): [str(name) for name in names] for key, names in noted["made"].items()}
            hashes = {str(name): str(hash_) for name, hash_ in noted["hashes"].items()}
            if all(name in hashes for names in made.values() for name in names):
                return cls(out, made, hashes)
        return cls(out)

    def stands(self, key: str | None) -> bool:
        """Whether all that was made under `key` is there, to the byte."""
        names = self.made.get(key or "")
        if not names:
            return False
        with ThreadPoolExecutor(2) as threads:
            found = threads.map(lambda name: _hash(self.out / name), names)
            return all(one == self.hashes[name] for name, one in zip(names, found, strict=True))

    def note(self, key: str | None, names: Iterable[str]) -> None:
        """Files that were just written for `key`. What was made of one of them before is forgotten."""
        written = sorted(set(names))
        found = {name: _hash(self.out / name) for name in written}
        self._noted.append((key, written, found))
        self._take(key, written, found)

    def disown(self) -> None:
        """The inputs changed while files were made: what was noted since the reading is of no key, as nobody can tell which of
        them it was made from.
        """
        self._noted = [(None, names, found) for _, names, found in self._noted]
        self._written = 0
        for noted in self._noted:
            self._take(*noted)

    def _take(self, key: str | None, written: list[str], found: Mapping[str, str | None]) -> None:
        changed = {name for name, hash_ in found.items() if hash_ is not None and self.hashes.get(name) != hash_}
        self.made = {
            other: kept for other, kept in self.made.items() if not changed & set(kept) and set(kept) != set(written)
        }
        if key and None not in found.values():
            self.made[key] = written
        self.hashes |= {name: hash_ for name, hash_ in found.items() if hash_ is not None}

    def write(self) -> None:
        """Keep it for the next time, beside what others noted meanwhile under the same directory. Without it everything is
        built again, so a failure to write is none.
        """
        with contextlib.suppress(BadInput, OSError), _alone(self.out):
            there = Built.read(self.out)
            for noted in self._noted[self._written :]:
                there._take(*noted)
            self.made, self.hashes, self._written = there.made, there.hashes, len(self._noted)
            kept = {name for names in self.made.values() for name in names}
            text = {"made": self.made, "hashes": {name: self.hashes[name] for name in sorted(kept)}}
            write_beside(self.out / FILE, json.dumps(text, indent=0, sort_keys=True) + "\n")


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While no other process is in such a block with this folder. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _hash(path: Path) -> str | None:
    """sha256 of a file, None where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
