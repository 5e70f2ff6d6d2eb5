"""mmu_lock as the kernel has it since v5.15: a qrwlock, in which readers and writers enter in the order they come.

queued_read_lock_slowpath() and queued_write_lock_slowpath() line up on one wait_lock: a reader that comes after a
waiting writer waits for it, although readers hold the lock now.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import simpy


class RwLock:
    """A fair reader-writer lock. `write()` and `read()` return None if the lock was taken at once, else an event to
    wait for. `requested_s` and `released_s` are the times at which writers asked for the lock and let it go."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.writing = False
        self.readers = 0
        self.line: deque[tuple[bool, simpy.Event]] = deque()
        self.requested_s: list[float] = []
        self.released_s: list[float] = []

    def write(self) -> simpy.Event | None:
        """Ask for the lock exclusively."""
        self.requested_s.append(self.env.now)
        if not (self.writing or self.readers or self.line):
            self.writing = True
            return None
        return self._wait(True)

    def read(self) -> simpy.Event | None:
        """Ask for the lock shared."""
        if not (self.writing or self.line):
            self.readers += 1
            return None
        return self._wait(False)

    def write_unlock(self) -> None:
        """Release the exclusive hold."""
        self.released_s.append(self.env.now)
        self.writing = False
        self._grant()

    def read_unlock(self) -> None:
        """Release one shared hold."""
        self.readers -= 1
        self._grant()

    def _wait(self, exclusive: bool) -> simpy.Event:
        event = self.env.event()
        self.line.append((exclusive, event))
        return event

    def _grant(self) -> None:
        while self.line and not self.writing:
            exclusive, event = self.line[0]
            if exclusive and self.readers:
                return
            self.line.popleft()
            self.writing = exclusive
            self.readers += not exclusive
            event.succeed()
