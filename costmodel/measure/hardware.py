"""Probes of caches and CPUs: flushes of a range, of cells of cold, clean and dirty lines, refill, bandwidth, interrupts,
and a neighbour on the same memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from costmodel.evidence.hosts import ROUND_PROXY
from costmodel.measure import native
from costmodel.measure.host import Host, text_of, usable_cpus
from costmodel.measure.native import PAGES, Buffer, Worker, ended, spinning, together
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


# Cost of interrupting k CPUs and waiting for all, through membarrier (private expedited).
#
# A proxy for the broadcast of a flush: the kernel interrupts every CPU that runs a thread of this process and waits
# until each has answered; the handler itself does nothing but a barrier. A whole-cache flush adds its own time on each
# CPU.

REGISTER_PRIVATE_EXPEDITED = 1 << 4
PRIVATE_EXPEDITED = 1 << 3
CALLS = 200
HIT_SHARE = 0.98
"""A repetition counts where the targets took at least this share of the interrupts that they should have taken: a call
that finds a target idle or preempted interrupts nobody, and costs a twentieth of one that does."""
FEWEST_CPUS_FOR_SLOPE = 4


def broadcast_probe(host: Host, settings: Settings, tick: Tick, proc: Path = Path("/proc")) -> Table:
    """Column measured_call_s: seconds per call with `targets` CPUs that run the process; measured_hit_share: interrupts
    that they took per interrupt due. Repetitions below HIT_SHARE are dropped, and a point with fewer than half left.
    """
    cpus = usable_cpus()
    if len(cpus) < 2:
        raise Skipped("broadcast: one CPU only, there is nobody to interrupt")
    if native.function("membarrier")(REGISTER_PRIVATE_EXPEDITED, 1) < 0:
        raise Skipped("broadcast: this kernel has no private expedited membarrier")
    table = Table("broadcast", "measured_call_s", notes=[ROUND_PROXY])
    counts = list(range(1, len(cpus)))
    if len(cpus) < FEWEST_CPUS_FOR_SLOPE:
        counts = counts[-1:]
        table.notes.append(f"{len(cpus)} CPUs give one point: no slope, no slowest of k")
    with pinned(cpus[0]):
        for run in range(settings.runs):
            cells = [{"targets": count} for count in counts]
            repeat(table, cells, settings, run, lambda cell: _measure_broadcast(cell, cpus, proc), tick)
    _keep_hits(table, settings.runs * settings.repetitions)
    if not table.rows:
        raise Skipped("broadcast: the target CPUs did not take the interrupts")
    return table


def _keep_hits(table: Table, taken: int) -> None:
    """Drop repetitions that missed their interrupts, and points that are left with less than half of the `taken`."""
    hits: dict[object, list[dict[str, Any]]] = {row["targets"]: [] for row in table.rows}
    for row in table.rows:
        if row["measured_hit_share"] >= HIT_SHARE:
            hits[row["targets"]].append(row)
    good = {targets for targets, rows in hits.items() if len(rows) > taken // 2}
    for targets, rows in sorted(hits.items()):
        if targets not in good:
            table.notes.append(f"{targets} targets: refused, the CPUs did not take the interrupts")
        elif len(rows) < taken:
            missed = f"{taken - len(rows)} of {taken} repetitions missed interrupts (share below {HIT_SHARE:g})"
            table.notes.append(f"{targets} targets: {missed}; they are dropped")
    table.rows = [row for row in table.rows if row["targets"] in good and row["measured_hit_share"] >= HIT_SHARE]


def _measure_broadcast(cell: Cell, cpus: list[int], proc: Path) -> dict[str, float]:
    targets = cpus[1 : 1 + cell["targets"]]
    with spinning(targets):
        before = interrupts(proc, targets)
        ticks = native.function("membarrier")(PRIVATE_EXPEDITED, CALLS)
        taken = interrupts(proc, targets) - before
    return {"call_s": ticks * native.tick_s() / CALLS, "hit_share": taken / (CALLS * len(targets))}


def interrupts(proc: Path, cpus: list[int]) -> int:
    """Function-call interrupts (line CAL of /proc/interrupts) that `cpus` have taken."""
    lines = (proc / "interrupts").read_text().splitlines()
    columns = [int(number) for number in re.findall(r"CPU(\d+)", lines[0])]
    for line in lines[1:]:
        name, _, rest = line.partition(":")
        if name.strip() == "CAL":
            counts = dict(zip(columns, (int(n) for n in rest.split()[: len(columns)]), strict=True))
            return sum(counts[cpu] for cpu in cpus)
    raise Skipped("broadcast: /proc/interrupts has no line CAL, so that hits cannot be checked")


# How much a thread slows down on its CPU while another CPU flushes ranges: the noisy neighbour, for range flushes.

VICTIM_BYTES = 8 * 2**20
VICTIM_LINES = VICTIM_BYTES // native.LINE_BYTES
VICTIM_S = 0.01
START_S = 0.001
"""Time for the flushing thread to get going."""
VICTIMS = {"streaming": "read", "pointer_chasing": "chase", "compute": "compute"}
NEIGHBOUR_RANGES = (4096, 2**21)
RATES_PER_S = (1000.0, float("inf"))
"""inf flushes back to back. The victim is timed beside a thread that waits, then beside one that flushes."""


def neighbour_probe(host: Host, settings: Settings, tick: Tick) -> Table:
    """Column measured_slowdown: victim's time with a flushing neighbour over its time without one."""
    cpus = usable_cpus()
    if len(cpus) < 2:
        raise Skipped("neighbour: one CPU only, there is no neighbour")
    instruction = "CLFLUSHOPT" if host.has("clflushopt") else "CLFLUSH"
    rates = RATES_PER_S[-1:] if settings.quick else RATES_PER_S
    cells = [
        {"victim": victim, "instruction": instruction, "range_bytes": size, "wanted_per_s": rate}
        for victim in VICTIMS
        for size in NEIGHBOUR_RANGES
        for rate in rates
    ]
    table = Table("neighbour", "measured_slowdown", notes=host.notes()[1:2])
    with pinned(cpus[0]):
        for run in range(settings.runs):
            with Buffer(VICTIM_BYTES) as own, Buffer(max(NEIGHBOUR_RANGES)) as other:
                chain = random_chain(own, VICTIM_BYTES, run)
                own.array()[::8] = chain
                repeats = {name: _repeats(own, function) for name, function in VICTIMS.items()}
                repeat(
                    table,
                    cells,
                    settings,
                    run,
                    partial(_measure_neighbour, own=own, other=other, repeats=repeats, cpu=cpus[1]),
                    tick,
                )
    return table


def _repeats(own: Buffer, function: str) -> int:
    """How many times over its memory the victim goes in about VICTIM_S."""
    victim = native.function(function)
    victim(own.address, VICTIM_LINES)
    return max(1, round(VICTIM_S / (victim(own.address, VICTIM_LINES) * native.tick_s())))


def _measure_neighbour(cell, own: Buffer, other: Buffer, repeats: dict[str, int], cpu: int) -> dict[str, float]:
    alone, _ = _beside(lambda stop: _flush(cell, other, stop, 0.0), own, cell, repeats, cpu)
    disturbed, rate = _beside(lambda stop: _flush(cell, other, stop, cell["wanted_per_s"]), own, cell, repeats, cpu)
    return {"slowdown": disturbed / alone, "achieved_per_s": rate}


def _beside(work, own: Buffer, cell, repeats: dict[str, int], cpu: int) -> tuple[int, float]:
    """Ticks of the victim while `work(stop)` runs on `cpu`, and how often per second it flushed."""
    victim = native.function(VICTIMS[cell["victim"]])
    stop = threading.Event()
    barrier = threading.Barrier(2)
    flusher = Worker(cpu, lambda: work(stop), barrier)
    with ended([flusher], barrier, stop.set):
        flusher.start()
        barrier.wait()
        time.sleep(START_S)
        victim(own.address, VICTIM_LINES)
        ticks = sum(victim(own.address, VICTIM_LINES) for _ in range(repeats[cell["victim"]]))
    if flusher.error is not None:
        raise flusher.error
    return ticks, flusher.result / max(1e-9, flusher.ended_s - flusher.began_s)


def _flush(cell, other: Buffer, stop: threading.Event, per_s: float) -> int:
    """Dirty and flush the range at the wanted rate until told to stop; the number of flushes."""
    if per_s == 0.0:
        stop.wait()
        return 0
    lines = cell["range_bytes"] // native.LINE_BYTES
    dirty, flush = native.function("dirty"), native.flush(cell["instruction"])
    pause = 1.0 / per_s
    done = 0
    while not stop.is_set():
        dirty(other.address, lines)
        flush(other.address, lines)
        done += 1
        if pause and stop.wait(pause):
            break
    return done
