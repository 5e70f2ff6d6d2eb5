"""The user's cache: it saves time, is never needed, and is believed only as far as it can be checked.

An entry is found by everything that its content follows from: the inputs, the sources, the libraries and the CPU. What
is read back must have the hash that was stored with it, else it is built again. A directory that belongs to somebody
else, or that others can write, is not used at all, because some entries are code.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import platform
import stat
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from costmodel.errors import BadInput
from costmodel.hashing import code_hash, value_hash, write_beside

LIBRARIES = ("numpy", "scipy", "sympy", "pydantic")
"""What numbers and generated code pass through on their way into an entry."""
CPU_VARIABLES = ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "GLIBC_TUNABLES", "NUMBA_CPU_NAME")
"""Variables by which a user chooses other kernels of linear algebra, of numpy, of libm and of numba."""
OTHERS_CAN_WRITE = stat.S_IWGRP | stat.S_IWOTH
MANIFEST = ".sha256.json"


class CacheRefused(UserWarning):
    """The cache directory is not used; everything is computed anew."""


@lru_cache(maxsize=4)
def _checked(base: Path) -> Path | None:
    path = base / "costmodel"
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = path.lstat()
    except OSError:
        return None
    if not stat.S_ISDIR(found.st_mode):
        problem = "is no directory"
    elif found.st_uid != os.geteuid():
        problem = f"belongs to user {found.st_uid}"
    elif found.st_mode & OTHERS_CAN_WRITE:
        problem = "can be written by others"
    else:
        return path
    warnings.warn(
        f"the cache {path} {problem} and is not used; remove it, or set XDG_CACHE_HOME to a directory of your own",
        CacheRefused,
        stacklevel=3,
    )
    return None


def directory() -> Path | None:
    """The cache directory (under XDG_CACHE_HOME, else ~/.cache), or None where none can be made or trusted."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return _checked(Path(base))
    try:
        return _checked(Path.home() / ".cache")
    except RuntimeError:  # neither HOME nor an entry in the table of users
        return None


@lru_cache(maxsize=1)
def _versions() -> list[str]:
    """The installed version of each library: the name of the folder in which its installer noted it, which takes a
    fiftieth of the time that importlib.metadata does; that is asked where there is none.
    """
    noted: dict[str, str] = {}
    for place in sys.path:
        with contextlib.suppress(OSError):
            for entry in Path(place).iterdir():
                library = entry.name.partition("-")[0]
                if library in LIBRARIES and entry.suffix in (".dist-info", ".egg-info"):
                    noted.setdefault(library, entry.name)
    return [noted.get(library) or _asked_version(library) for library in LIBRARIES]


def _asked_version(library: str) -> str:
    from importlib.metadata import version

    return version(library)


@lru_cache(maxsize=1)
def cpu() -> str:
    """What decides which kernels the numeric libraries pick: the CPU's flags."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.machine()
    wanted = ("cpu family", "model\t", "flags")
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(wanted))) or platform.machine()


def key_of(parts: Sequence[object], sources: Sequence[str]) -> str:
    """Key of an entry that follows from `parts` (JSON-like) by the code of the subpackages `sources`."""
    return value_hash(
        [
            list(parts),
            code_hash(*sources),
            sys.implementation.cache_tag,
            _versions(),
            cpu(),
            [os.environ.get(name, "") for name in CPU_VARIABLES],
        ]
    )


def recall(name: str, key: str, build: Callable[[], bytes], *, most: int | None = None) -> bytes:
    """The entry `name` under `key`, or what `build` returns, which is then kept. A damaged entry is built again; of
    `most` entries of that name the oldest go.
    """
    found = stored(name, key)
    if found is None:
        found = build()
        store(name, key, found, most=most)
    return found


def holds(name: str, key: str) -> bool:
    """Whether there is an entry `name` under `key`, whole or damaged."""
    folder = directory()
    return folder is not None and (folder / f"{name}-{key}").is_file()


def stored(name: str, key: str) -> bytes | None:
    """The entry `name` under `key`, or None where there is none that is whole."""
    folder = directory()
    return _read(folder / f"{name}-{key}") if folder else None


def store(name: str, key: str, content: bytes, *, most: int | None = None) -> None:
    """Keep `content` as the entry `name` under `key`; of `most` entries of that name the oldest go."""
    folder = directory()
    if folder is None:
        return
    with contextlib.suppress(BadInput, OSError):  # a cache that cannot be written is no cache
        write_beside(folder / f"{name}-{key}", hashlib.sha256(content).digest() + content)
        entries = sorted(folder.glob(f"{name}-*"), key=lambda path: path.stat().st_mtime_ns) if most else []
        for old in entries[: max(len(entries) - (most or 0), 0)]:
            old.unlink(missing_ok=True)


def _read(path: Path) -> bytes | None:
    """Content of an entry, or None where it is missing or not what was written."""
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    size = hashlib.sha256().digest_size
    content = stored[size:]
    return content if hashlib.sha256(content).digest() == stored[:size] else None


def folder_of(name: str) -> Path | None:
    """A directory for what a library keeps by itself, or None without a cache.

    At the end of the process the hashes of its files are noted; a file that then differs, or was never noted, empties
    the directory at the next start.
    """
    top = directory()
    if top is None:
        return None
    folder = top / name
    try:
        folder.mkdir(exist_ok=True, mode=0o700)
        if _hashes(folder) != _noted(folder):
            for path in _files(folder):
                path.unlink(missing_ok=True)
    except OSError:
        return None
    atexit.register(_note, folder)
    return folder


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in _files(folder)
    }


def _noted(folder: Path) -> dict[str, str]:
    try:
        return json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return {}


def _note(folder: Path) -> None:
    with contextlib.suppress(BadInput, OSError):
        write_beside(folder / MANIFEST, json.dumps(_hashes(folder)))
