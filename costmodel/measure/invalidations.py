"""mmu-notifier invalidations of the live kernel: what each trigger sends to KVM, how long the ranges, how many.

A VM with a memory slot is created, the tracepoint kvm:kvm_unmap_hva_range enabled, and each trigger caused in turn.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from costmodel.measure import trace_formats
from costmodel.measure.host import Host
from costmodel.measure.journal import SIGNALS, TRACING, Changes, System, swaps
from costmodel.measure.kvm import Vm
from costmodel.measure.native import HUGE_BYTES, Buffer
from costmodel.measure.probe import Settings, Skipped, Table, Tick, allowed
from costmodel.measure.trace_formats import EVENT

PAGE_BYTES = 4096
MEMORY_BYTES = 8 * 2**20
MADV_PAGEOUT, MADV_COLLAPSE = 21, 25
KSM = "sys/kernel/mm/ksm"
KSM_SETTINGS = {"sleep_millisecs": "1", "pages_to_scan": "4096", "smart_scan": "0", "run": "1"}
"""What the KSM probe writes into the tunables of KSM, in this order."""
COMPACT = "proc/sys/vm/compact_memory"
ZRAM = "zram0"
WAIT_S = 20.0
UNMERGE_S = 2.0
"""So long ksmd gets to forget our pages before its settings are put back."""
THREADS = ("ksmd", "khugepaged", "kcompactd", "kswapd")
"""Kernel threads that may stand in a record by name; the probe itself is `probe`, everything else `other`."""


@dataclass(frozen=True)
class Cause:
    """How to provoke a trigger. `page` is the page size of the memory; `proxy` says for what it stands in; `after`
    tidies the memory up once the events are read, before the tunables are put back.
    """

    trigger: str
    page: str
    act: Callable[[Buffer, Changes], None]
    proxy: str = ""
    after: Callable[[Buffer, Changes], None] = lambda memory, changes: None


@dataclass(frozen=True)
class Changed:
    """A tunable that the probe writes: what it holds now, None where it takes a command; or a device that becomes swap
    of `swap_bytes`.
    """

    path: str
    before: str | None = None
    written: str = ""
    swap_bytes: int = 0


def planned(system: System) -> list[Changed]:
    """What the probe will change for a time on this machine."""
    paths = {system.path(KSM) / name: text for name, text in KSM_SETTINGS.items()}
    found = [Changed(str(path), system.read(path).strip(), text) for path, text in paths.items() if path.exists()]
    found.append(Changed(str(system.path(COMPACT)), written="1"))
    if not swaps(system) and (system.path("sys/block") / ZRAM).exists():
        found.append(Changed(str(system.path("dev") / ZRAM), swap_bytes=8 * MEMORY_BYTES))
    return found


def probe(host: Host, settings: Settings, tick: Tick, changes: Changes | None) -> Table:
    """One row per event: measured_range_bytes, time since the trigger was caused, whether it meets the memory slot.

    `changes` is the leave to change tunables, None for a user who may not.
    """
    if changes is None:
        raise Skipped("invalidations: needs root (tracefs, /dev/kvm, KSM and compaction tunables)")
    table = Table("invalidations", "")
    if host.numa_nodes < 2:
        table.notes.append("AutoNUMA itself is not measurable on one NUMA node; mprotect is its proxy")
    with changes.restored():
        trace = Trace(tracing_folder(changes), changes)
        for cause in CAUSES:
            try:
                _record(cause, trace, table, changes)
            except Skipped as reason:
                table.notes.append(f"{cause.trigger}: skipped, {reason}")
            tick()
    if not table.rows:
        raise Skipped("invalidations: no trigger could be caused (" + "; ".join(table.notes) + ")")
    return table


def _record(cause: Cause, trace: Trace, table: Table, changes: Changes) -> None:
    device = changes.system.path("dev/kvm")
    with Buffer(MEMORY_BYTES, cause.page) as memory, Vm(memory, device):
        events, lost, began_s = observed(cause, memory, trace, changes)
    if lost:
        table.notes.append(f"{cause.trigger}: {lost} events lost, the buffer was full")
    if not events:
        table.notes.append(f"{cause.trigger}: caused, but the kernel sent no invalidation")
    last = memory.address + MEMORY_BYTES
    for event in events:
        overlap = max(0, min(event.end, last) - max(event.start, memory.address))
        table.rows.append(
            {
                "trigger": cause.trigger,
                "proxy": cause.proxy,
                "thread": _thread(event),
                "measured_time_s": event.time_s - began_s,
                "measured_start_offset_bytes": event.start - memory.address,
                "measured_range_bytes": event.end - event.start,
                "measured_overlap_bytes": overlap,
                "measured_memslot_bytes": MEMORY_BYTES,
            }
        )


def observed(cause: Cause, memory: Buffer, trace: Trace, changes: Changes) -> tuple[list[Invalidation], int, float]:
    """The events while the trigger was caused, how many were lost, and when it began; changes are put back."""
    with changes.restored():
        trace.clear()
        began_s = time.monotonic()
        try:
            cause.act(memory, changes)
            ended_s = time.monotonic()
            events, lost = trace.read()
        finally:
            cause.after(memory, changes)
    return [event for event in events if began_s <= event.time_s <= ended_s], lost, began_s


def _thread(event: Invalidation) -> str:
    if event.pid == os.getpid():
        return "probe"
    return next((name for name in THREADS if event.comm.startswith(name)), "other")


def _mprotect(memory: Buffer, _: Changes) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for protection in (mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE):
        libc.mprotect(ctypes.c_void_p(memory.address), ctypes.c_size_t(memory.bytes), protection)


def _dontneed(memory: Buffer, _: Changes) -> None:
    for start in range(0, MEMORY_BYTES, HUGE_BYTES):
        memory.madvise(mmap.MADV_DONTNEED, start, HUGE_BYTES)


def _split(memory: Buffer, _: Changes) -> None:
    """Give back one 4 KiB page of each huge page."""
    for start in range(0, MEMORY_BYTES, HUGE_BYTES):
        memory.madvise(mmap.MADV_DONTNEED, start + PAGE_BYTES, PAGE_BYTES)


def _fork_and_write(memory: Buffer, _: Changes) -> None:
    """A child that shares the pages; each write of the parent then copies one."""
    ready, finish = os.pipe(), os.pipe()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    child = os.fork()
    if child == 0:
        _wait_for_parent(ready[1], (ready[0], finish[1]), finish[0], mask)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(ready[1])
        os.read(ready[0], 1)
        for start in range(0, MEMORY_BYTES, PAGE_BYTES):
            ctypes.memset(memory.address + start, 2, 1)
    finally:
        os.close(finish[1])
        os.waitpid(child, 0)
        for end in (ready[0], finish[0]):
            os.close(end)


def _wait_for_parent(ready: int, foreign: tuple[int, ...], finish: int, mask: set[int]) -> None:
    """The child: says that it is there and ends with its parent, however that ends. It undoes nothing."""
    try:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for end in foreign:
            os.close(end)
        os.write(ready, b".")
        os.read(finish, 1)
    finally:
        os._exit(0)


def _ksm(memory: Buffer, changes: Changes) -> None:
    """Pages of one content, merged until nothing is left to merge."""
    system = changes.system
    folder = system.path(KSM)
    if not (folder / "run").exists():
        raise Skipped("the kernel has no KSM")
    if system.read(folder / "run").strip() == "2":
        raise Skipped(f"{folder / 'run'} is 2: whoever unmerged all pages of this host wants none merged")
    own = system.path("proc/self/ksm_merging_pages")
    merged = own if own.exists() else folder / "pages_sharing"
    ctypes.memset(memory.address, 7, memory.bytes)
    with allowed("MADV_MERGEABLE"):
        memory.madvise(mmap.MADV_MERGEABLE)
    wanted = int(system.read(merged)) + MEMORY_BYTES // PAGE_BYTES * 9 // 10
    for name, text in KSM_SETTINGS.items():
        if (folder / name).exists():
            changes.set(folder / name, text)
    end_s = time.monotonic() + WAIT_S
    while int(system.read(merged)) < wanted:
        if time.monotonic() > end_s:
            raise Skipped(f"KSM merged fewer than {wanted} pages in {WAIT_S:g} s")
        time.sleep(0.02)


def _unmerge(memory: Buffer, changes: Changes) -> None:
    """Our pages are our own again, and where ksmd still runs it forgets them.

    Writing 2 into KSM's `run` would do it faster, for every process of the host.
    """
    try:
        memory.madvise(mmap.MADV_UNMERGEABLE)
    except OSError:  # no KSM, or no memory for the copies: the pages go with this process
        return
    system = changes.system
    end_s = time.monotonic() + UNMERGE_S
    while system.read(system.path(KSM) / "run").strip() == "1" and time.monotonic() < end_s:
        if not _remembered(system):
            return
        time.sleep(0.02)


def _remembered(system: System) -> int:
    """Pages of this process that ksmd keeps account of; 0 where the kernel does not tell (before v6.1)."""
    path = system.path("proc/self/ksm_stat")
    fields = dict(line.split()[:2] for line in system.read(path).splitlines()) if path.exists() else {}
    return int(fields.get("ksm_rmap_items", 0))


def _collapse(memory: Buffer, _: Changes) -> None:
    memory.madvise(mmap.MADV_HUGEPAGE)
    with allowed("MADV_COLLAPSE"):
        memory.madvise(MADV_COLLAPSE)


def _compact(memory: Buffer, changes: Changes) -> None:
    """Holes in memory that was handed out beside ours, then compaction of all of it."""
    path = changes.system.path(COMPACT)
    with Buffer(2 * MEMORY_BYTES) as holes:
        for start in range(0, holes.bytes, 2 * PAGE_BYTES):
            holes.madvise(mmap.MADV_DONTNEED, start, PAGE_BYTES)
        with allowed(path):
            changes.system.write(path, "1")


def _swap_out(memory: Buffer, changes: Changes) -> None:
    """Swap to zram; a zram device that nobody uses is set up for the time being."""
    if not swaps(changes.system):
        changes.swap_on(ZRAM, 8 * MEMORY_BYTES)
    memory.madvise(MADV_PAGEOUT)


CAUSES = (
    Cause("mprotect_or_uffd_wp", "4KiB", _mprotect, proxy="autonuma_prot_none_scan"),
    Cause("munmap_or_discard", "4KiB", _dontneed),
    Cause("fork_cow", "4KiB", _fork_and_write),
    Cause("thp_collapse", "4KiB", _collapse),
    Cause("thp_split", "2MiB", _split),
    Cause("ksm", "4KiB", _ksm, after=_unmerge),
    Cause("numa_or_compaction_migrate", "4KiB", _compact),
    Cause("swap_reclaim", "4KiB", _swap_out),
)


# The kernel's trace of the tracepoint kvm:kvm_unmap_hva_range, in an instance of our own.

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
        with allowed(path):
            self._system.write(path, text)

    def clear(self) -> None:
        """Forget what was recorded."""
        self._write("trace", "")

    def read(self) -> tuple[list[Invalidation], int]:
        """Events since `clear` in order of time, and how many were lost because the buffer was full."""
        reading = trace_formats.Reading(self._folder / "trace", trace_formats.Notes())
        numbered = enumerate((self._folder / "trace").read_text().splitlines(), start=1)
        found = [
            Invalidation(comm, pid or 0, time_ns * 1e-9, start, end)
            for events in trace_formats.batches(numbered, reading)
            for time_ns, comm, pid, _, start, end, _ in events
        ]
        lost = 0
        for stats in self._folder.glob("per_cpu/cpu*/stats"):
            lost += sum(int(n) for n in re.findall(r"^(?:overrun|dropped events): (\d+)", stats.read_text(), re.M))
        return sorted(found, key=lambda event: event.time_s), lost
