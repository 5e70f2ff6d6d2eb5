"""mmu-notifier invalidations of the live kernel: what each trigger sends to KVM, how long the ranges, how many.

A VM with a memory slot is created, the tracepoint kvm:kvm_unmap_hva_range enabled, and each trigger caused in turn.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from costmodel.measure.buffer import HUGE_BYTES, Buffer
from costmodel.measure.host import Host
from costmodel.measure.kvm import Vm
from costmodel.measure.probe import Settings, Skipped, Table, Tick
from costmodel.measure.tracefs import Invalidation, Trace, mounted
from costmodel.measure.tunables import Tunables, restored

PAGE_BYTES = 4096
MEMORY_BYTES = 8 * 2**20
MADV_PAGEOUT, MADV_COLLAPSE = 21, 25
KSM = Path("/sys/kernel/mm/ksm")
OWN_MERGED = Path("/proc/self/ksm_merging_pages")
ZRAM = Path("/sys/block/zram0")
WAIT_S = 20.0
THREADS = ("ksmd", "khugepaged", "kcompactd", "kswapd")
"""Kernel threads that may stand in a record by name; the probe itself is `probe`, everything else `other`."""


@dataclass(frozen=True)
class Cause:
    """How to provoke a trigger. `page` is the page size of the memory; `proxy` says for what it stands in."""

    trigger: str
    page: str
    act: Callable[[Buffer, Tunables], None]
    proxy: str = ""


def probe(host: Host, settings: Settings, tick: Tick) -> Table:
    """One row per event: measured_range_bytes, time since the trigger was caused, whether it meets the memory slot."""
    if os.geteuid() != 0:
        raise Skipped("invalidations: needs root (tracefs, /dev/kvm, KSM and compaction tunables)")
    table = Table("invalidations", "")
    if host.numa_nodes < 2:
        table.notes.append("AutoNUMA itself is not measurable on one NUMA node; mprotect is its proxy")
    with mounted() as tracing, Trace(tracing) as trace:
        for cause in CAUSES:
            try:
                _record(cause, trace, table)
            except Skipped as reason:
                table.notes.append(f"{cause.trigger}: skipped, {reason}")
            tick()
    if not table.rows:
        raise Skipped("invalidations: no trigger could be caused (" + "; ".join(table.notes) + ")")
    return table


def _record(cause: Cause, trace: Trace, table: Table) -> None:
    with Buffer(MEMORY_BYTES, cause.page) as memory, Vm(memory), restored() as tunables:
        trace.clear()
        began_s = time.monotonic()
        cause.act(memory, tunables)
        ended_s = time.monotonic()
        events, lost = trace.read()
        events = [event for event in events if began_s <= event.time_s <= ended_s]
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


def _thread(event: Invalidation) -> str:
    if event.pid == os.getpid():
        return "probe"
    return next((name for name in THREADS if event.comm.startswith(name)), "other")


def _mprotect(memory: Buffer, _: Tunables) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for protection in (mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE):
        libc.mprotect(ctypes.c_void_p(memory.address), ctypes.c_size_t(memory.bytes), protection)


def _dontneed(memory: Buffer, _: Tunables) -> None:
    for start in range(0, MEMORY_BYTES, HUGE_BYTES):
        memory.madvise(mmap.MADV_DONTNEED, start, HUGE_BYTES)


def _split(memory: Buffer, _: Tunables) -> None:
    """Give back one 4 KiB page of each huge page."""
    for start in range(0, MEMORY_BYTES, HUGE_BYTES):
        memory.madvise(mmap.MADV_DONTNEED, start + PAGE_BYTES, PAGE_BYTES)


def _fork_and_write(memory: Buffer, _: Tunables) -> None:
    """A child that shares the pages; each write of the parent then copies one."""
    ready, finish = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(ready[1], b".")
        os.read(finish[0], 1)
        os._exit(0)
    try:
        os.read(ready[0], 1)
        for start in range(0, MEMORY_BYTES, PAGE_BYTES):
            ctypes.memset(memory.address + start, 2, 1)
    finally:
        os.write(finish[1], b".")
        os.waitpid(child, 0)
        for end in (*ready, *finish):
            os.close(end)


def _ksm(memory: Buffer, tunables: Tunables) -> None:
    """Pages of one content, merged until nothing is left to merge."""
    if not (KSM / "run").exists():
        raise Skipped("the kernel has no KSM")
    ctypes.memset(memory.address, 7, memory.bytes)
    memory.madvise(mmap.MADV_MERGEABLE)
    tunables.set(KSM / "sleep_millisecs", "1")
    tunables.set(KSM / "pages_to_scan", "4096")
    if (KSM / "smart_scan").exists():
        tunables.set(KSM / "smart_scan", "0")
    merged = OWN_MERGED if OWN_MERGED.exists() else KSM / "pages_sharing"
    wanted = int(merged.read_text()) + MEMORY_BYTES // PAGE_BYTES * 9 // 10
    end_s = time.monotonic() + WAIT_S
    tunables.set(KSM / "run", "1")
    while int(merged.read_text()) < wanted:
        if time.monotonic() > end_s:
            raise Skipped(f"KSM merged fewer than {wanted} pages in {WAIT_S:g} s")
        time.sleep(0.02)


def _collapse(memory: Buffer, _: Tunables) -> None:
    memory.madvise(mmap.MADV_HUGEPAGE)
    try:
        memory.madvise(MADV_COLLAPSE)
    except OSError as error:
        raise Skipped(f"MADV_COLLAPSE: {error.strerror}") from None


def _compact(memory: Buffer, tunables: Tunables) -> None:
    """Holes in memory that was handed out beside ours, then compaction of all of it."""
    path = Path("/proc/sys/vm/compact_memory")
    with Buffer(2 * MEMORY_BYTES) as holes:
        for start in range(0, holes.bytes, 2 * PAGE_BYTES):
            holes.madvise(mmap.MADV_DONTNEED, start, PAGE_BYTES)
        try:
            path.write_text("1")
        except OSError as error:
            raise Skipped(f"{path}: {error.strerror}") from None


def _swap_out(memory: Buffer, _: Tunables) -> None:
    """Swap to zram; a zram device that nobody uses is set up for the time being."""
    active = len(Path("/proc/swaps").read_text().splitlines()) > 1
    if active:
        memory.madvise(MADV_PAGEOUT)
        return
    if not (ZRAM / "disksize").exists() or (ZRAM / "disksize").read_text().strip() != "0":
        raise Skipped("no swap is active and no free zram device is there")
    try:
        (ZRAM / "disksize").write_text(str(8 * MEMORY_BYTES))
        for command in (["mkswap", "/dev/zram0"], ["swapon", "/dev/zram0"]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise Skipped(f"{command[0]}: {done.stderr.strip()}")
        memory.madvise(MADV_PAGEOUT)
    finally:
        subprocess.run(["swapoff", "/dev/zram0"], capture_output=True, check=False)
        (ZRAM / "reset").write_text("1")


CAUSES = (
    Cause("mprotect_or_uffd_wp", "4KiB", _mprotect, proxy="autonuma_prot_none_scan"),
    Cause("munmap_or_discard", "4KiB", _dontneed),
    Cause("fork_cow", "4KiB", _fork_and_write),
    Cause("thp_collapse", "4KiB", _collapse),
    Cause("thp_split", "2MiB", _split),
    Cause("ksm", "4KiB", _ksm),
    Cause("numa_or_compaction_migrate", "4KiB", _compact),
    Cause("swap_reclaim", "4KiB", _swap_out),
)
