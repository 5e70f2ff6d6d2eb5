"""Hashes that name what a number came from: the code, the data, the parameters."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from costmodel.errors import BadInput

PACKAGE = Path(__file__).resolve().parent
DIGITS = 16
SOURCES = (".py", ".j2", ".css", ".js")
"""What code is made of, by the ends of the files' names."""


LARGE_BYTES = 2**16
"""A file of so many bytes is not read again by this process while its inode, its length and its times stay the same."""


def file_digest(path: Path) -> bytes:
    """sha256 of what the file holds now. Raises OSError."""
    found = path.stat()
    if found.st_size < LARGE_BYTES:
        return hashlib.sha256(path.read_bytes()).digest()
    return _large_digest(path, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))


@lru_cache(maxsize=1024)
def _large_digest(path: Path, _state: tuple[int, ...]) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def files_hash(paths: Iterable[Path], root: Path) -> str:
    """sha256 over names (relative to `root`) and contents, independent of the order given."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(file_digest(path))
    return digest.hexdigest()[:DIGITS]


@lru_cache(maxsize=32)
def code_hash(*subpackages: str) -> str:
    """Hash of the Python sources and templates of `subpackages`, or of the whole package."""
    roots = [PACKAGE / name for name in subpackages] or [PACKAGE]
    sources = (path for root in roots for path in root.rglob("*") if path.suffix in SOURCES)
    return files_hash(sources, PACKAGE)


def value_hash(value: object) -> str:
    """Hash of a JSON-serialisable value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def write_beside(path: Path, content: str | bytes) -> None:
    """Write `content` to a temporary name beside `path`, then rename: a reader never sees half a file.

    Raises BadInput where that cannot be done; what was at `path` then stays.
    """
    aside = place_beside(path)
    try:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)
        aside.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def place_beside(path: Path) -> Path:
    """Where what shall stand at `path` is written first. Raises BadInput where a rename would replace a device."""
    if not path.name:
        raise BadInput("is no name of a file", file=path, remedy="name the file to write")
    if os.path.exists(path) and not (path.is_file() or path.is_dir()):  # noqa: PTH110 (a name may be too long for stat)
        raise BadInput("is a device or pipe, which a file would replace", file=path, remedy="name a file")
    return path.with_name(f".{path.name}.{os.getpid()}")


def unwritable(path: Path, error: OSError) -> BadInput:
    """Why nothing can be written at `path`, in the words of the system and without the name that was tried first."""
    if not path.parent.is_dir():
        return BadInput("the directory does not exist", file=path, remedy="make it first, or choose another place")
    reason = os.strerror(error.errno) if error.errno else error
    return BadInput(f"cannot be written: {reason}", file=path, remedy="choose another place")
