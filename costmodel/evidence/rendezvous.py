"""data/kvm/amd_rendezvous.csv: kernel logs that bound WBINVD from above, because every CPU executes it there in turn.

Whenever the kernel sets the memory type ranges (MTRR) on all CPUs, a CPU without self-snoop executes WBINVD twice, and
a spinlock lets one CPU at a time do so: at boot right after "Total of N processors activated", on resume right after
"CPUn is up" of the last CPU. Two lines of a log so bound the time of all these flushes together. Nothing that follows
from the columns is typed into the file: the bounds are properties of a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from costmodel.errors import stated
from costmodel.evidence.tables import Count, NotNegative, Positive, Refused, YesNo, among, placed, records

FILE = "kvm/amd_rendezvous.csv"
FLUSHES_PER_CPU = 2
SLOWEST_HZ = 100
"""Where a log does not tell the tick, it is taken for the longest that x86 can be built with."""
LINE_BYTES = 64


@dataclass(frozen=True, kw_only=True)
class Rendezvous:
    """One rendezvous of all CPUs as a log shows it. Times in seconds, sizes in bytes; None is what the log does not
    tell.

    `gap_s` lies between the two quoted lines. `lost_s` is what the clock of the log did not count until it was called
    stable (boot; zero on resume, where the time-stamp counter counts on). `deferred_init_s` is other work inside the
    gap that the log names. `method`: S3 is suspend to memory, S4 hibernation. A stepped `clock` is led by the tick: it
    may stand up to one tick beside the time. A row of the `quality` incomplete lacks the line that says what the clock
    lost, so it bounds nothing; in a control no CPU flushes.
    """

    id: str
    method: Annotated[str, among(("boot", "resume-s3", "resume-s4"))]
    cpu: str
    family_model: str = ""
    generation: str = ""
    self_snoop: YesNo
    sockets: Count | None = None
    logical_cpus: Count
    cores: Count | None = None
    llc_bytes_per_domain: Positive | None = None
    l2_bytes_per_core: Positive | None = None
    kernel: str = ""
    hz: Count | None = None
    console: Annotated[str, among(("none seen", "suspended", "serial", "unknown"))]
    gap_s: Positive
    lost_s: NotNegative | None = None
    deferred_init_s: NotNegative = 0.0
    clock: Annotated[str, among(("stable", "stepped"))]
    quality: Annotated[str, among(("good", "fair", "weak", "incomplete", "control"))]
    remarks: str = ""
    source: str
    quote: str

    def refuse_contradictions(self) -> None:
        """Raise Refused where columns contradict each other."""
        wrong = (
            (
                "lost_s",
                (self.lost_s is None) != (self.quality == "incomplete"),
                "goes with every quality but incomplete",
            ),
            ("quality", self.self_snoop != (self.quality == "control"), "is control where the CPU snoops itself"),
            ("cores", (self.cores or 1) > self.logical_cpus, "is more than the logical CPUs"),
            ("sockets", (self.sockets or 1) > self.logical_cpus, "is more than the logical CPUs"),
            (
                "deferred_init_s",
                self.deferred_init_s > self.gap_s + self.tick_s,
                "is longer than the gap that holds it",
            ),
            ("clock", self.method == "boot" and self.clock != "stepped", "is stepped at boot"),
            ("deferred_init_s", self.deferred_init_s > 0 and self.method != "boot", "occurs at boot only"),
        )
        for field, contradicts, problem in wrong:
            if contradicts:
                raise Refused(problem, "correct the row by its quote", field)

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
    found = {row.id: row for row in records(path, Rendezvous, ("id",))}
    for row in found.values():
        with placed(path.name, row.id):
            row.refuse_contradictions()
    return found
