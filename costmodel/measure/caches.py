"""Probes of the caches: flushes of a range, of cells of cold, clean and dirty lines, refill, and bandwidth."""

from __future__ import annotations

import contextlib
import ctypes
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from costmodel.measure import native
from costmodel.measure.host import Host, text_of, usable_cpus
from costmodel.measure.native import PAGES, Buffer, together
from costmodel.measure.probe import Cell, Settings, Skipped, Table, Tick, pinned, repeat

# Time per line of CLFLUSH, CLFLUSHOPT and CLWB over line state, range length and page size.
#
# A range and its double are timed; the difference cancels the fences and the timer.

LARGEST_BYTES = 64 * 2**20
LINES_PER_VALUE = 2**15
"""A value stands for at least this many flushed lines, so that the step of the time-stamp counter does not count."""
BATCHES = 5
"""A value is the median of this many batches where the range is short: an interrupt spoils one of them."""


def ranges(quick: bool) -> list[int]:
    """Range lengths in bytes: powers of two (of four where quick), from one line."""
    step = 4 if quick else 2
    sizes = [64]
    while sizes[-1] * step <= LARGEST_BYTES:
        sizes.append(sizes[-1] * step)
    return sizes


def instructions(host: Host) -> list[str]:
    """The flush instructions that the CPU has; CLFLUSH every one has."""
    return [name for name in native.INSTRUCTIONS if name == "CLFLUSH" or host.has(name.lower())]


def pages(host: Host) -> tuple[str, ...]:
    """The sizes of pages that the kernel gives out."""
    return PAGES if host.transparent_hugepage in ("always", "madvise") else PAGES[:1]


def range_cells(host: Host, settings: Settings) -> list[Cell]:
    """Instruction x state x range x page; instructions that the CPU lacks are left out."""
    return [
        {"instruction": name, "state": state, "range_bytes": size, "page": page}
        for name in instructions(host)
        for state in native.STATES
        for size in ranges(settings.quick)
        for page in pages(host)
    ]


def skipped(host: Host) -> list[str]:
    """What is left out and why."""
    absent = [name for name in native.INSTRUCTIONS if name not in instructions(host)]
    found = [f"{name}: /proc/cpuinfo shows no {name.lower()}" for name in absent]
    if pages(host) != PAGES:
        found.append("2 MiB pages: transparent huge pages are off")
    return found


def flush_probe(host: Host, settings: Settings, tick: Tick, cpus: Sequence[int]) -> Table:
    """Measure, each run on the next of `cpus` from the last on: a new run may land on another one.

    Column measured_line_s is seconds per line, measured_total_s that of one flush of the range with fences and timer.
    """
    wanted = range_cells(host, settings)
    table = Table("flush", "measured_line_s", notes=skipped(host))
    for run in range(settings.runs):
        with (
            pinned(cpus[-1 - run % len(cpus)]),
            Buffer(2 * LARGEST_BYTES) as small,
            Buffer(2 * LARGEST_BYTES, "2MiB") as huge,
        ):
            memory = {"4KiB": small, "2MiB": huge}
            repeat(table, wanted, settings, run, partial(_measure_flush, memory), tick)
    return table


def _measure_flush(memory: Mapping[str, Buffer], cell: Cell) -> dict[str, float]:
    address = memory[cell["page"]].address
    lines = cell["range_bytes"] // native.LINE_BYTES
    pairs = native.pairs(cell["instruction"], cell["state"])
    count = max(1, LINES_PER_VALUE // (3 * lines * BATCHES))
    batches = BATCHES if count > 1 else 1
    ticks = statistics.median(pairs(address, lines, count) / (count * lines) for _ in range(batches))
    alone = statistics.median(_alone(address, lines, cell) for _ in range(batches))
    return {"line_s": ticks * native.tick_s(), "total_s": alone * native.tick_s()}


def _alone(address: int, lines: int, cell: Cell) -> int:
    """Ticks of one flush of the range, with its fences and the timer."""
    native.function("dirty")(address, lines)
    _leave(address, lines, cell["state"])
    return native.flush(cell["instruction"])(address, lines)


def _leave(address: int, lines: int, state: str) -> None:
    """Dirty lines become what `state` says."""
    if state != "dirty":
        native.flush("CLFLUSH")(address, lines)
    if state == "clean":
        native.function("read")(address, lines)


# Cells that show what a flush waits for: its own line, a fence, another core's cache, another socket's memory.
#
# same_line     one line again and again, no fence between: a flush is ordered against flushes of its own line
# in_turn       16, 32 or 64 lines in turn, no fence between: the same latency, shared by as many lines
# fence_each    a fence after every line of a range: the latency of a flush on its own
# other_core    a range that another CPU dirtied
# other_socket  a range whose memory belongs to another socket

SET_MEMPOLICY_NR = 238
"""System call number of set_mempolicy on x86-64."""
MPOL_DEFAULT, MPOL_BIND = 0, 2
TURNS = (16, 32, 64)
FLUSHES = 2**14
"""Flushes of one value of same_line and in_turn."""
FENCED_LINES = 2**15 // native.LINE_BYTES
RANGES = (2**15, 2**18, 2**21, 2**24)
WHOLE_RANGE = ("other_core", "other_socket")


def cells_of_states(host: Host, several_cpus: bool, several_sockets: bool) -> list[Cell]:
    """Instruction x cell x lines x state; `state` is that of the lines before (CLWB keeps a line that is there)."""
    found: list[Cell] = []
    for name in instructions(host):
        kept = "clean" if name == "CLWB" else "absent"
        shapes = [("same_line", 1, kept), *(("in_turn", lines, kept) for lines in TURNS)]
        shapes += [("fence_each", FENCED_LINES, state) for state in native.STATES]
        sizes = [size // native.LINE_BYTES for size in RANGES]
        shapes += [("other_core", lines, "dirty") for lines in sizes if several_cpus]
        shapes += [("other_socket", lines, s) for lines in sizes for s in ("dirty", "absent") if several_sockets]
        found += [{"instruction": name, "cell": cell, "lines": lines, "state": state} for cell, lines, state in shapes]
    return found


def flush_cells_probe(host: Host, settings: Settings, tick: Tick, cpus: Sequence[int], root: Path = Path("/")) -> Table:
    """Column measured_line_s: a call divided by its flushes, in seconds, the fences around it included.

    Each run on the next of `cpus` from the last on; the CPU before it is the other core.
    """
    table = Table("flush_cells", "measured_line_s")
    if len(cpus) < 2:
        table.notes.append("other_core: one CPU only")
    for run in range(settings.runs):
        cpu, other = (cpus[(step - run) % len(cpus)] for step in (-1, -2))
        with pinned(cpu), contextlib.ExitStack() as buffers:
            memory = {"own": buffers.enter_context(Buffer(max(RANGES)))}
            reason = ""
            try:
                with bound_to(other_node(cpu, root)):
                    memory["other"] = buffers.enter_context(Buffer(max(RANGES)))
            except Skipped as missing:
                reason = f"other_socket: {missing}"
            wanted = cells_of_states(host, len(cpus) > 1, not reason)
            if reason and reason not in table.notes:
                table.notes.append(reason)
            repeat(table, wanted, settings, run, partial(_measure_flush_cells, memory, other_cpu=other), tick)
    return table


def _measure_flush_cells(memory: dict[str, Buffer], cell: Cell, other_cpu: int) -> dict[str, float]:
    address = memory["other" if cell["cell"] == "other_socket" else "own"].address
    lines, name = cell["lines"], cell["instruction"]
    with pinned(other_cpu) if cell["cell"] == "other_core" else contextlib.nullcontext():
        native.function("dirty")(address, lines)
    _leave(address, lines, cell["state"])
    if cell["cell"] in WHOLE_RANGE:
        flushes, ticks = lines, native.flush(name)(address, lines)
    elif cell["cell"] == "fence_each":
        flushes, ticks = lines, native.fenced(name)(address, lines)
    else:
        flushes, ticks = FLUSHES, native.in_turn(name)(address, lines, FLUSHES)
    return {"line_s": ticks * native.tick_s() / flushes}


def other_node(cpu: int, root: Path = Path("/")) -> int:
    """A NUMA node with memory whose CPUs are on another socket than `cpu`. Raises Skipped where there is none."""

    def package(number: int) -> str:
        return text_of(root / f"sys/devices/system/cpu/cpu{number}/topology/physical_package_id")

    own = package(cpu)
    for node in sorted((root / "sys/devices/system/node").glob("node[0-9]*")):
        members = sorted(int(path.name[3:]) for path in node.glob("cpu[0-9]*"))
        memory = text_of(node / "meminfo").partition("MemTotal:")[2]
        if members and package(members[0]) not in ("", own) and not memory.startswith(" 0 "):
            return int(node.name[4:])
    raise Skipped("one socket only")


@contextlib.contextmanager
def bound_to(node: int) -> Iterator[None]:
    """Memory that this thread touches first in the block comes from `node`. Raises Skipped where that is refused."""
    words = node // 64 + 1
    mask = (ctypes.c_uint64 * words)()
    mask[node // 64] = 1 << node % 64
    _set_policy(MPOL_BIND, mask, words * 64 + 1)
    try:
        yield
    finally:
        _set_policy(MPOL_DEFAULT, None, 0)


def _set_policy(mode: int, mask: object, bits: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(ctypes.c_long(SET_MEMPOLICY_NR), ctypes.c_long(mode), mask, ctypes.c_ulong(bits)) < 0:
        raise Skipped(f"set_mempolicy: {os.strerror(ctypes.get_errno())}")


# Reading a working set again after it was flushed, one line after the other and each line from the one before.
#
# In 4 KiB pages reading at random also waits for address translation, so both page sizes are measured where they can
# be.

LARGEST_REFILL_BYTES = 64 * 2**20
PATTERNS = ("sequential", "dependent")
MEMORY = "memory"


def working_sets(host: Host, settings: Settings) -> list[tuple[str, int]]:
    """(level, bytes): half of each cache level, and a set that only memory holds."""
    found = [(f"L{c.level}", c.bytes // 2) for c in host.caches if c.kind in ("Data", "Unified")]
    found = [(level, size) for level, size in found if size <= LARGEST_REFILL_BYTES // 2] + [
        (MEMORY, LARGEST_REFILL_BYTES)
    ]
    return found[:1] + found[-2:] if settings.quick else found


def refill_probe(host: Host, settings: Settings, tick: Tick, cpu: int) -> Table:
    """Column measured_cold_line_s is seconds per line after a flush, measured_warm_line_s without one."""
    sizes = pages(host)
    sets = working_sets(host, settings)
    cells: list[Cell] = [
        {"pattern": pattern, "level": level, "range_bytes": size, "page": page}
        for pattern in PATTERNS
        for level, size in sets
        for page in sizes
    ]
    table = Table("refill", "measured_cold_line_s", notes=host.notes()[:1])
    if sizes != PAGES:
        table.notes.append("2 MiB pages: transparent huge pages are off")
    with pinned(cpu):
        for run in range(settings.runs):
            with contextlib.ExitStack() as buffers:
                memory = {page: buffers.enter_context(Buffer(LARGEST_REFILL_BYTES, page)) for page in sizes}
                chains = {(page, size): random_chain(memory[page], size, run) for page in sizes for _, size in sets}

                def measure(cell: Cell, memory=memory, chains=chains) -> dict[str, float]:
                    return _measure_refill(memory[cell["page"]], chains[cell["page"], cell["range_bytes"]], cell)

                repeat(table, cells, settings, run, measure, tick)
    return table


def random_chain(memory: Buffer, size: int, seed: int):
    """Pointers from each line to the next one of a random cycle over the first `size` bytes."""
    import numpy

    lines = size // native.LINE_BYTES
    order = numpy.random.default_rng(seed).permutation(lines)
    targets = numpy.empty(lines, dtype="uint64")
    targets[order] = memory.address + numpy.roll(order, -1).astype("uint64") * native.LINE_BYTES
    return targets


def _measure_refill(memory: Buffer, chain, cell: Cell) -> dict[str, float]:
    lines = cell["range_bytes"] // native.LINE_BYTES
    if cell["pattern"] == "dependent":
        memory.array()[: lines * 8 : 8] = chain
    read = native.function("read" if cell["pattern"] == "sequential" else "chase")
    if cell["level"] != MEMORY:  # a set that no cache holds is not warmer the second time
        read(memory.address, lines)
    warm = read(memory.address, lines)
    native.flush("CLFLUSH")(memory.address, lines)
    cold = read(memory.address, lines)
    return {"cold_line_s": cold * native.tick_s() / lines, "warm_line_s": warm * native.tick_s() / lines}


# Sustained write-back and copy bandwidth over the number of threads.

KINDS = ("write_back", "copy")
PER_THREAD_BYTES = 64 * 2**20


def bandwidth_probe(host: Host, settings: Settings, tick: Tick, cpus: list[int] | None = None) -> Table:
    """Column measured_bytes_per_s: bytes that all threads together wrote back (or copied) per second.

    write_back dirties every line of a range far larger than the private caches: each line is read, changed and evicted.
    """
    cpus = cpus or usable_cpus()
    cells = [{"kind": kind, "threads": count} for kind in KINDS for count in range(1, len(cpus) + 1)]
    table = Table("bandwidth", "measured_bytes_per_s", notes=host.notes()[-1:])
    for run in range(settings.runs):
        buffers = [Buffer(PER_THREAD_BYTES, "2MiB") for _ in cpus]
        try:
            repeat(table, cells, settings, run, partial(_measure_bandwidth, buffers=buffers, cpus=cpus), tick)
        finally:
            for buffer in buffers:
                buffer.close()
    return table


def _measure_bandwidth(cell, buffers: list[Buffer], cpus: list[int]) -> dict[str, float]:
    count = cell["threads"]
    half = PER_THREAD_BYTES // 2

    def write_back(buffer: Buffer) -> int:
        native.function("dirty")(buffer.address, PER_THREAD_BYTES // native.LINE_BYTES)
        return PER_THREAD_BYTES

    def copy(buffer: Buffer) -> int:
        ctypes.memmove(buffer.address, buffer.address + half, half)
        return half

    work = write_back if cell["kind"] == "write_back" else copy
    workers = together(cpus[:count], [partial(work, b) for b in buffers[:count]])
    time_s = max(w.ended_s for w in workers) - min(w.began_s for w in workers)
    return {"bytes_per_s": sum(w.result for w in workers) / time_s}
