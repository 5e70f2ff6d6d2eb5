"""Kernel tunables changed for the time of a probe and put back: after an error and after Ctrl-C too."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

from costmodel.measure.probe import Skipped


class Tunables:
    """Remembers the first value of every file that it writes; `restore` puts all back, the last one first."""

    def __init__(self) -> None:
        self._before: dict[Path, str] = {}

    def set(self, path: Path, text: str) -> None:
        """Write `text`. Raises Skipped where that is not allowed."""
        try:
            if path not in self._before:
                self._before[path] = _selected(path.read_text().strip())
            path.write_text(text)
        except OSError as error:
            raise Skipped(f"{path}: {error.strerror}") from None

    def restore(self) -> None:
        for path, text in reversed(self._before.items()):
            path.write_text(text)
        self._before.clear()


def _selected(text: str) -> str:
    """The choice of a file such as `always [madvise] never`, else its text."""
    return text.partition("[")[2].partition("]")[0] or text


@contextlib.contextmanager
def restored() -> Iterator[Tunables]:
    """Tunables that are put back at the end of the block; SIGTERM ends it like Ctrl-C."""
    tunables = Tunables()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not in the main thread
        before = None
    try:
        yield tunables
    finally:
        tunables.restore()
        if before is not None:
            signal.signal(signal.SIGTERM, before)
