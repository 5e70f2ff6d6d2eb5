"""data/kvm/amd_rendezvous.csv: kernel logs that bound WBINVD from above, because every CPU executes it there in turn.

Whenever the kernel sets the memory type ranges (MTRR) on all CPUs, a CPU without self-snoop executes WBINVD twice, and
a spinlock lets one CPU at a time do so: at boot right after "Total of N processors activated", on resume right after
"CPUn is up" of the last CPU. Two lines of a log so bound the time of all these flushes together. Nothing that follows
from the columns is typed into the file: the bounds are properties of a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from costmodel.errors import BadInput, stated
from costmodel.evidence import tables

FILE = "kvm/amd_rendezvous.csv"
COLUMNS = (
    "id",
    "method",
    "cpu",
    "family_model",
    "generation",
    "self_snoop",
    "sockets",
    "logical_cpus",
    "cores",
    "llc_bytes_per_domain",
    "l2_bytes_per_core",
    "kernel",
    "hz",
    "console",
    "gap_s",
    "lost_s",
    "deferred_init_s",
    "clock",
    "quality",
    "remarks",
    "source",
    "quote",
)
METHODS = ("boot", "resume-s3", "resume-s4")
"""S3 is suspend to memory, S4 hibernation."""
QUALITIES = ("good", "fair", "weak", "incomplete", "control")
"""`incomplete` rows lack the line that says what the clock lost, so they bound nothing; in a `control` no CPU
flushes.
"""
CONSOLES = ("none seen", "suspended", "serial", "unknown")
CLOCKS = ("stable", "stepped")
"""A stepped clock is led by the tick: it may stand up to one tick beside the time."""
TEXTS = ("cpu", "family_model", "generation", "kernel", "remarks", "source", "quote")
FLUSHES_PER_CPU = 2
SLOWEST_HZ = 100
"""Where a log does not tell the tick, it is taken for the longest that x86 can be built with."""
LINE_BYTES = 64


@dataclass(frozen=True)
class Rendezvous:
    """One rendezvous of all CPUs as a log shows it. Times in seconds, sizes in bytes; None is what the log does not
    tell.

    `gap_s` lies between the two quoted lines. `lost_s` is what the clock of the log did not count until it was called
    stable (boot; zero on resume, where the time-stamp counter counts on). `deferred_init_s` is other work inside the
    gap that the log names.
    """

    id: str
    method: str
    cpu: str
    family_model: str
    generation: str
    self_snoop: bool
    sockets: int | None
    logical_cpus: int
    cores: int | None
    llc_bytes_per_domain: float | None
    l2_bytes_per_core: float | None
    kernel: str
    hz: int | None
    console: str
    gap_s: float
    lost_s: float | None
    deferred_init_s: float
    clock: str
    quality: str
    remarks: str
    source: str
    quote: str

    @property
    def flushes(self) -> int:
        """WBINVD that all CPUs together execute, one after the other; none where the CPU snoops itself."""
        return 0 if self.self_snoop else FLUSHES_PER_CPU * self.logical_cpus

    @property
    def longest_s(self) -> float | None:
        """The longest that the rendezvous as a whole can have taken; None where the row bounds nothing.

        Where the clock steps, a tick is added, and a second one where deferred initialisation is taken out, which the
        kernel itself times in ticks.
        """
        if self.lost_s is None:
            return None
        whole = self.gap_s + self.lost_s - self.deferred_init_s
        return whole + ((self.clock == "stepped") + (self.deferred_init_s > 0)) * self.tick_s

    @property
    def tick_s(self) -> float:
        """The period of the kernel's tick; the longest that there is where the log does not tell it."""
        return 1.0 / (self.hz or SLOWEST_HZ)

    @property
    def flush_at_most_s(self) -> float | None:
        """The mean time of one WBINVD is at most this; None where the row bounds none."""
        return None if self.longest_s is None or not self.flushes else self.longest_s / self.flushes

    @property
    def capacity_lines(self) -> float | None:
        """Lines that the caches behind one CPU hold: its domain's last level and its own second level."""
        sizes = [size for size in (self.llc_bytes_per_domain, self.l2_bytes_per_core) if size is not None]
        return sum(sizes) / LINE_BYTES if sizes else None

    @property
    def line_at_most_s(self) -> float | None:
        """The mean time of one WBINVD per line of capacity is at most this; None where one of the two is not known."""
        return self.flush_at_most_s / self.capacity_lines if self.flush_at_most_s and self.capacity_lines else None

    @property
    def line_of_all_s(self) -> float:
        """The time of all flushes together, per line of capacity. Raises MissingNumber where one of the two is not
        known.
        """
        lines = stated(self.capacity_lines, f"cache sizes of row {self.id}")
        return stated(self.longest_s, f"bound of row {self.id}") / lines


def read(path: Path) -> dict[str, Rendezvous]:
    """All rows by id, in the order of the file. Raises BadInput."""
    return {row["id"]: _rendezvous(row, path.name) for row in tables.read_table(path, COLUMNS, "id")}


def _rendezvous(row: dict[str, str], file: str) -> Rendezvous:
    place: tables.Place = {"file": file, "name": row["id"]}
    tables.filled(row, ("cpu", "logical_cpus", "source", "quote"), **place)
    chosen: dict[str, Any] = {
        field: tables.choice(row, field, allowed, **place)
        for field, allowed in (("method", METHODS), ("quality", QUALITIES), ("console", CONSOLES), ("clock", CLOCKS))
    }
    snoops = tables.choice(row, "self_snoop", ("yes", "no"), **place) == "yes"
    told: dict[str, Any] = {field: row[field] for field in TEXTS}
    told |= {field: tables.whole(row, field, **place) for field in ("sockets", "logical_cpus", "cores", "hz")}
    told |= {field: tables.number(row, field, **place) for field in ("llc_bytes_per_domain", "l2_bytes_per_core")}
    found = Rendezvous(
        id=row["id"],
        self_snoop=snoops,
        **chosen,
        **told,
        gap_s=tables.number(row, "gap_s", required=True, **place),
        lost_s=_seconds(row, "lost_s", file),
        deferred_init_s=_seconds(row, "deferred_init_s", file) or 0.0,
    )
    _check(found, file)
    return found


def _seconds(row: dict[str, str], field: str, file: str) -> float | None:
    """A duration that may be zero; None where the cell is empty. Raises BadInput."""
    return 0.0 if row[field] == "0" else tables.number(row, field, file=file, name=row["id"])


def _check(found: Rendezvous, file: str) -> None:
    """Raise BadInput where columns contradict each other."""
    wrong = (
        ("lost_s", (found.lost_s is None) != (found.quality == "incomplete"), "goes with every quality but incomplete"),
        ("quality", found.self_snoop != (found.quality == "control"), "is control where the CPU snoops itself"),
        ("cores", (found.cores or 1) > found.logical_cpus, "is more than the logical CPUs"),
        ("sockets", (found.sockets or 1) > found.logical_cpus, "is more than the logical CPUs"),
        ("deferred_init_s", found.deferred_init_s > found.gap_s + found.tick_s, "is longer than the gap that holds it"),
        ("clock", found.method == "boot" and found.clock != "stepped", "is stepped at boot"),
        ("deferred_init_s", found.deferred_init_s > 0 and found.method != "boot", "occurs at boot only"),
    )
    for field, contradicts, problem in wrong:
        if contradicts:
            raise BadInput(problem, file=file, row=found.id, field=field, remedy="correct the row by its quote")
