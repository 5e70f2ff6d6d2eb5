"""A file that somebody gives: plain or compressed, or standard input; recordings that only their own tool reads are
refused.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import importlib
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from costmodel.errors import BadInput
from costmodel.plain import shell_word

FRONT_BYTES = 2**16
STDIN = Path("-")
PACKED = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd"}
RECORDINGS = {
    b"PERFILE2": (
        "is a recording of perf record",
        "perf script --ns -i {0} | costmodel trace import - --out t.parquet",
    ),
    b"\x17\x08\x44tracing": (
        "is a recording of trace-cmd record",
        "trace-cmd report -t -i {0} | costmodel trace import - --out t.parquet",
    ),
    b"PK\x03\x04": ("is a zip archive", "unpack it first"),
}
"""What no text reader can read, by its first bytes, with what to do."""
TAR_AT, TAR = 257, b"ustar"


class _Joined(io.RawIOBase):
    """What was read already, then the rest."""

    def __init__(self, front: bytes, rest: BinaryIO) -> None:
        self._front, self._rest = front, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = len(buffer)
        part = self._front[:wanted] if self._front else self._rest.read(wanted)
        self._front = self._front[wanted:]
        buffer[: len(part)] = part
        return len(part)


@dataclass(frozen=True)
class Opened:
    """`stream` from the first byte on, unpacked; `front` are the first bytes; `plain`: the file itself can be read."""

    path: Path
    stream: BinaryIO
    front: bytes
    plain: bool

    def lines(self, most: int) -> Iterator[str]:
        """Lines of at most so many characters, whatever ends them. Raises BadInput where the packed file is damaged."""
        with io.TextIOWrapper(self.stream, encoding="utf-8", errors="replace") as stream, _damage(self.path):
            while line := stream.readline(most):
                yield line


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """`path`, or standard input for `-`. Raises BadInput for an empty or damaged file and for a recording."""
    with contextlib.ExitStack() as files:
        raw = sys.stdin.buffer if path == STDIN else files.enter_context(path.open("rb"))
        shown = Path("standard input") if path == STDIN else path
        begin = _read(raw)
        stream: BinaryIO = io.BufferedReader(_Joined(begin, raw))
        kind = next((kind for magic, kind in PACKED.items() if begin.startswith(magic)), None)
        if kind is not None:
            with _damage(shown):
                rest = _unpacked(kind, stream, shown)
                begin = _read(rest)
            stream = io.BufferedReader(_Joined(begin, rest))
        if not begin:
            raise BadInput("is empty", file=shown, remedy="record with kvm:kvm_unmap_hva_range on")
        for magic, (problem, remedy) in RECORDINGS.items():
            if begin.startswith(magic):
                name = shell_word(str(path) if path != STDIN else "FILE")
                raise BadInput(problem, file=shown, remedy=remedy.format(name))
        if begin[TAR_AT : TAR_AT + len(TAR)] == TAR:
            raise BadInput("is a tar archive", file=shown, remedy="unpack it first")
        yield Opened(shown, stream, begin, kind is None and path != STDIN)


def _read(stream: BinaryIO) -> bytes:
    """The first FRONT_BYTES, however they trickle in."""
    found = b""
    while len(found) < FRONT_BYTES and (part := stream.read(FRONT_BYTES - len(found))):
        found += part
    return found


def _unpacked(kind: str, stream: BinaryIO, path: Path) -> BinaryIO:
    if kind == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=stream))
    if kind == "xz":
        return cast(BinaryIO, lzma.LZMAFile(stream))
    if kind == "bzip2":
        return cast(BinaryIO, bz2.BZ2File(stream))
    try:
        arrow = importlib.import_module("pyarrow")
    except ModuleNotFoundError:
        raise BadInput("is packed with zstd", file=path, remedy="zstd -d it first, or install pyarrow") from None
    return arrow.CompressedInputStream(arrow.PythonFile(stream, mode="r"), "zstd")


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    """What the unpackers raise becomes BadInput."""
    try:
        yield
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        what = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise BadInput(f"cannot be unpacked: {what}", file=path, remedy="copy or pack it again") from None
