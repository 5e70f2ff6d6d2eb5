"""The kernel's trace of mmu-notifier invalidations (tracepoint kvm:kvm_unmap_hva_range), in an instance of our own."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from costmodel.measure.probe import Skipped

EVENT = "kvm_unmap_hva_range"
INSTANCE = "costmodel"
BUFFER_KB = 16384
MOUNTS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
LINE = re.compile(
    r"^\s*(?P<comm>\S.{0,15}?)(?:-|\s+)(?P<pid>\d+)\s+(?:\([\s\-\d]+\)\s+)?\[\d+\]\s+(?:\S+\s+)?(?P<time>\d+\.\d+):\s+"
    r"(?:kvm:)?kvm_unmap_hva_range:\s+mmu notifier unmap range:\s+(?P<start>(?:0x)?[0-9a-f]+) -- (?P<end>(?:0x)?[0-9a-f]+)"
)


@dataclass(frozen=True)
class Invalidation:
    """One event: command name and thread, time in seconds, address range [start, end)."""

    comm: str
    pid: int
    time_s: float
    start: int
    end: int


def parse(line: str) -> Invalidation | None:
    """An event of the text format that tracefs, trace-cmd report and perf script share; None if the line is none."""
    found = LINE.match(line)
    if found is None:
        return None
    start, end = int(found["start"], 16), int(found["end"], 16)
    return (
        Invalidation(found["comm"].strip(), int(found["pid"]), float(found["time"]), start, end)
        if end > start
        else None
    )


@contextlib.contextmanager
def mounted(places: tuple[Path, ...] = MOUNTS) -> Iterator[Path]:
    """The tracing directory; mounted for the time being where it is not. Raises Skipped."""
    for place in places:
        if (place / "instances").is_dir():
            yield place
            return
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["mount", "-t", "tracefs", "nodev", folder], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Skipped(f"invalidations: tracefs cannot be mounted: {done.stderr.strip() or 'no permission'}")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], capture_output=True, check=False)


class Trace:
    """An instance with the one event on; gone after the block, also after an error."""

    def __init__(self, tracing: Path) -> None:
        if not (tracing / "events/kvm" / EVENT).is_dir():
            raise Skipped(f"invalidations: this kernel has no tracepoint kvm:{EVENT} (is the kvm module loaded?)")
        self._folder = tracing / "instances" / INSTANCE

    def __enter__(self) -> Trace:
        self._folder.mkdir(exist_ok=True)
        self._write("buffer_size_kb", str(BUFFER_KB))
        self._write("trace_clock", "mono")
        self._write(f"events/kvm/{EVENT}/enable", "1")
        self.clear()
        return self

    def __exit__(self, *_: object) -> None:
        self._write(f"events/kvm/{EVENT}/enable", "0")
        self._folder.rmdir()

    def _write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text)

    def clear(self) -> None:
        """Forget what was recorded."""
        self._write("trace", "")

    def read(self) -> tuple[list[Invalidation], int]:
        """Events since `clear` in order of time, and how many were lost because the buffer was full."""
        found = [event for line in (self._folder / "trace").read_text().splitlines() if (event := parse(line))]
        lost = 0
        for stats in self._folder.glob("per_cpu/cpu*/stats"):
            lost += sum(int(n) for n in re.findall(r"^(?:overrun|dropped events): (\d+)", stats.read_text(), re.M))
        return sorted(found, key=lambda event: event.time_s), lost
