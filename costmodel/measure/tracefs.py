"""The kernel's trace of mmu-notifier invalidations (tracepoint kvm:kvm_unmap_hva_range), in an instance of our own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from costmodel.measure import traces
from costmodel.measure.journal import TRACING, Changes
from costmodel.measure.probe import Skipped
from costmodel.measure.traces import EVENT

BUFFER_KB = 16384


@dataclass(frozen=True)
class Invalidation:
    """One event: command name and thread, time in seconds, address range [start, end)."""

    comm: str
    pid: int
    time_s: float
    start: int
    end: int


def tracing_folder(changes: Changes) -> Path:
    """The tracing directory, mounted for the time being where it is not. Raises Skipped."""
    for place in TRACING:
        if (folder := changes.system.path(place)).joinpath("instances").is_dir():
            return folder
    return changes.mount_tracefs()


class Trace:
    """An instance of our own with the one event on; it goes when `changes` are put back."""

    def __init__(self, tracing: Path, changes: Changes) -> None:
        if not (tracing / "events/kvm" / EVENT).is_dir():
            raise Skipped(f"this kernel has no tracepoint kvm:{EVENT} (is the kvm module loaded?)")
        self._system = changes.system
        self._folder = changes.make_instance(tracing)
        self._write("buffer_size_kb", str(BUFFER_KB))
        self._write("trace_clock", "mono")
        self._write(f"events/kvm/{EVENT}/enable", "1")
        self.clear()

    def _write(self, name: str, text: str) -> None:
        path = self._folder / name
        try:
            self._system.write(path, text)
        except OSError as error:
            raise Skipped(f"{path}: {error.strerror}") from None

    def clear(self) -> None:
        """Forget what was recorded."""
        self._write("trace", "")

    def read(self) -> tuple[list[Invalidation], int]:
        """Events since `clear` in order of time, and how many were lost because the buffer was full."""
        reading = traces.Reading(self._folder / "trace", traces.Notes())
        numbered = enumerate((self._folder / "trace").read_text().splitlines(), start=1)
        found = [
            Invalidation(comm, pid or 0, time_ns * 1e-9, start, end)
            for events in traces.batches(numbered, reading)
            for time_ns, comm, pid, _, start, end, _ in events
        ]
        lost = 0
        for stats in self._folder.glob("per_cpu/cpu*/stats"):
            lost += sum(int(n) for n in re.findall(r"^(?:overrun|dropped events): (\d+)", stats.read_text(), re.M))
        return sorted(found, key=lambda event: event.time_s), lost
