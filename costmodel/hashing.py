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


def files_hash(paths: Iterable[Path], root: Path) -> str:
    """sha256 over names (relative to `root`) and contents, independent of the order given."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:DIGITS]


@lru_cache(maxsize=8)
def code_hash(*subpackages: str) -> str:
    """Hash of the Python sources of `subpackages`, or of the whole package."""
    roots = [PACKAGE / name for name in subpackages] or [PACKAGE]
    return files_hash((path for root in roots for path in root.rglob("*.py")), PACKAGE)


def value_hash(value: object) -> str:
    """Hash of a JSON-serialisable value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def write_beside(path: Path, content: str | bytes) -> None:
    """Write `content` to a temporary name beside `path`, then rename: a reader never sees half a file.

    Raises BadInput where that cannot be done; what was at `path` then stays.
    """
    if not path.name:
        raise BadInput("is no name of a file", file=path, remedy="name the file to write")
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)
        aside.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> BadInput:
    if not path.parent.is_dir():
        return BadInput("the directory does not exist", file=path, remedy="make it first, or choose another place")
    return BadInput(f"cannot be written: {error.strerror or error}", file=path, remedy="choose another place")
