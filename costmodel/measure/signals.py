"""SIGHUP, SIGINT and SIGTERM end a run in good order: first everything is put back, then an exception is raised."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal ended the run. Everything was put back before this is raised."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        return 128 + self.number


class Signals:
    """SIGHUP, SIGINT and SIGTERM while the block lasts: what `on_signal` says is done, then Interrupted is raised.

    Inside `held()` a signal waits: a change and its undoing are never cut in two. A signal that was ignored before the
    block (nohup) stays ignored.
    """

    def __init__(self) -> None:
        self.on_signal: Callable[[], object] = lambda: None
        self.ended_by = 0
        self._depth = 0
        self._waiting = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        for number in SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                with contextlib.suppress(ValueError):  # not in the main thread: nothing to be caught here
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self._depth:
            self._waiting = number
            return
        self._waiting, self.ended_by = 0, number
        self.on_signal()
        raise Interrupted(number)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._waiting and not self._depth:
                self._handle(self._waiting, None)
