"""WBINVD timed through /proc/mtrr: bare metal, a CPU without self-snoop, root, and nobody's virtual machines.

A write to /proc/mtrr stops all CPUs (set_mtrr() in arch/x86/kernel/cpu/mtrr/mtrr.c), and each of them executes WBINVD
twice, one CPU at a time: with N CPUs one write is 2N flushes. An unused range is added and deleted again. The rest of
the stop is in the time too, and an empty one cannot be had, so what comes out is an upper bound of the mean.

The sequence is tested against a simulation of mtrr_write(); no live run was made.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir
from costmodel.evidence.records import FLUSHES_PER_CPU, RENDEZVOUS, read_rendezvous
from costmodel.measure import kvm, native
from costmodel.measure.host import Host
from costmodel.measure.journal import Changes, Mtrr, System, memory_ranges
from costmodel.measure.native import Buffer
from costmodel.measure.probe import Skipped, pinned

MTRR = "proc/mtrr"
REMEDIES = {
    errno.EPERM: "run as root, outside of a container",
    errno.EINVAL: "the kernel does not take this range: see dmesg",
    errno.ENOSPC: "no register for memory type ranges is free on this host, so it cannot be measured",
}
RANGE_BYTES = 2**20
TYPE = "uncachable"
CANDIDATES = 2**14
"""Places for the range that are tried, from the top of the physical addresses down."""
TRUSTED = ("good", "fair")
"""Qualities of the logs that the length of the pause is estimated from."""
STOPS = 2
"""One to add the range, one to delete it."""


@dataclass(frozen=True)
class Result:
    """Two stops of all CPUs. Times in seconds; `dirty_bytes` were dirtied by one CPU just before the second."""

    cpus: int
    add_s: float
    delete_s: float
    dirty_bytes: int

    @property
    def flushes_per_stop(self) -> int:
        return FLUSHES_PER_CPU * self.cpus

    @property
    def flush_at_most_s(self) -> float:
        """The mean time of one WBINVD is at most this: the shorter stop, all of it taken for flushes."""
        return min(self.add_s, self.delete_s) / self.flushes_per_stop

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "flushes_per_stop": self.flushes_per_stop,
            "flush_at_most_s": self.flush_at_most_s,
        }


def missing(host: Host, root: Path = Path("/"), euid: int | None = None) -> list[str]:
    """Why this host cannot be measured, each in words; empty where it can."""
    flags = re.search(r"^flags\s*:(.*)$", (root / "proc/cpuinfo").read_text(), flags=re.M)
    found = []
    if host.virtual:
        found.append("a virtual machine: WBINVD is the hypervisor's business")
    if flags is None or "ss" in flags[1].split():
        found.append("the CPU snoops itself (flag ss): the kernel executes no WBINVD when it sets memory type ranges")
    if not (root / MTRR).exists():
        found.append("/proc/mtrr is missing")
    if (os.geteuid() if euid is None else euid) != 0:
        found.append("needs root")
    return found


@dataclass(frozen=True)
class StopPlan:
    """What a run does to the host: how often `cpus` stop, for how many flushes one after the other, and the least and
    the most that one of them takes at most by the logs of others, in seconds. `range_bytes` are added and deleted again.
    """

    cpus: int
    stops: int
    flushes: int
    flush_s: tuple[float, float]
    range_bytes: int = RANGE_BYTES


def planned(host: Host) -> StopPlan:
    """What a run does to the host, with the length of the pause as far as logs of others tell."""
    rows = read_rendezvous(data_dir() / RENDEZVOUS).values()
    seen = [row.flush_at_most_s for row in rows if row.flush_at_most_s is not None and row.quality in TRUSTED]
    flushes = STOPS * FLUSHES_PER_CPU * host.logical_cpus
    return StopPlan(host.logical_cpus, STOPS, flushes, (min(seen), max(seen)))


def refusal(proc: Path = Path("/proc")) -> str:
    """Why this host must not be stopped; empty where there is no reason. There is no way around it."""
    return kvm.guests(proc).sentence()


def free_range(system: System) -> Mtrr:
    """An unused range at the top of the physical addresses. Raises Skipped."""
    width = re.search(r"(\d+) bits physical", system.read(system.path("proc/cpuinfo")))
    if width is None:
        raise Skipped("wbinvd: /proc/cpuinfo does not tell the width of physical addresses")
    used = [(one.base, one.base + one.size) for one in memory_ranges(system.read(system.path(MTRR)))]
    mapped = re.findall(r"([0-9a-f]+)-([0-9a-f]+) :", system.read(system.path("proc/iomem")))
    used += [(int(first, 16), int(last, 16) + 1) for first, last in mapped]
    top = 2 ** int(width[1])
    for place in range(1, CANDIDATES + 1):
        base = top - place * RANGE_BYTES
        if all(last <= base or base + RANGE_BYTES <= first for first, last in used):
            return Mtrr(str(system.path(MTRR)), hex(base), hex(RANGE_BYTES), TYPE)
    raise Skipped("wbinvd: no unused range was found at the top of the physical addresses")


def measure(host: Host, changes: Changes, cpu: int, dirty: bool) -> Result:
    """One add and one delete. Where `dirty`, `cpu` dirties as much as its last-level cache holds before the delete.

    Raises BadInput where the kernel refuses.
    """
    entry = free_range(changes.system)
    size = host.llc.bytes if dirty and host.llc else 0
    with pinned(cpu), Buffer(max(size, native.LINE_BYTES)) as memory:
        try:
            add_s = changes.add_memory_range(entry)
            if size:
                native.function("dirty")(memory.address, size // native.LINE_BYTES)
            delete_s = changes.delete_memory_range(entry)
        except OSError as error:
            raise BadInput(
                f"refused the write: {error.strerror}",
                file="/proc/mtrr",
                remedy=REMEDIES.get(error.errno or 0, "see dmesg"),
            ) from None
    return Result(host.logical_cpus, add_s, delete_s, size)


def check(host: Host, root: Path = Path("/"), euid: int | None = None) -> None:
    """Raise BadInput where the host cannot be measured, or where guests run."""
    if lacks := missing(host, root, euid):
        remedy = "`costmodel measure bootlog` bounds WBINVD without any of it"
        raise BadInput(f"wbinvd is skipped: {'; '.join(lacks)}", remedy=remedy)
    if reason := refusal(root / "proc"):
        raise BadInput(f"wbinvd is refused: {reason}", remedy="move them away first, there is no way around it")
