"""Answers that were given before: a question whose answer follows from its words, the data and the code alone is
answered from the cache, without a library being imported.

What depends on anything else is asked anew each time: on a file, on standard input, on this host.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import TextIO

KEPT = frozenset(
    {"admissible", "block", "breakeven", "compare", "contention", "cost", "formula", "list", "predict", "recommend"}
)
"""Commands that read nothing but data/, the user's own machines and the words of the command line."""
NOT_WORDS = frozenset({"this", "-", "-h", "--help"})
"""This host, standard input, and help, which costs nothing and depends on the width of the terminal."""
ENTRY = "answer"
MOST_KEPT = 256


def kept(words: Sequence[str], answer: Callable[[], int]) -> int:
    """Exit code of the command line `words` after its output was printed: what was kept, or what `answer` does.

    An answer with a word on standard error, or that ends in an error, is given and not kept.
    """
    key = _key(words)
    if key is None:
        return answer()
    from costmodel import cache

    if stored := cache.stored(ENTRY, key):
        code, text = json.loads(stored)
        sys.stdout.write(text)
        return int(code)
    out, errors = _Like(sys.stdout), _Watched(sys.stderr)
    try:
        with redirect_stdout(out), redirect_stderr(errors):
            code = answer()
    finally:
        sys.stdout.write(out.getvalue())
    if not errors.used and key == _key(words):
        cache.store(ENTRY, key, json.dumps([code, out.getvalue()]).encode(), most=MOST_KEPT)
    return code


class _Like(io.StringIO):
    """Text that is kept, and that passes for a terminal where `stream` is one: colours depend on it."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def isatty(self) -> bool:
        return self._stream.isatty()


class _Watched(io.TextIOBase):
    """Standard error, and whether something was written there."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self.used = stream, False

    def write(self, text: str) -> int:
        self.used = self.used or bool(text)
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()


def _key(words: Sequence[str]) -> str | None:
    """What the answer follows from as a key of the cache, or None where it follows from something else too."""
    if not words or words[0] not in KEPT or "_COSTMODEL_COMPLETE" in os.environ:
        return None
    values = [part for word in words for part in (word, word.partition("=")[2]) if part]
    if any(value in NOT_WORDS or os.path.exists(value) for value in values):  # noqa: PTH110 (too long a name is none)
        return None
    from costmodel import cache
    from costmodel.evidence import paths

    settings = {name: value for name, value in os.environ.items() if name.startswith("COSTMODEL_") or "COLOR" in name}
    try:
        read = paths.evidence_hash()
    except (OSError, RuntimeError):
        return None
    return cache.key_of([list(words), sys.stdout.isatty(), sorted(settings.items()), read], [])
