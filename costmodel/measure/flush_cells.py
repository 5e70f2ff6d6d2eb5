"""Cells that show what a flush waits for: its own line, a fence, another core's cache, another socket's memory.

same_line     one line again and again, no fence between: a flush is ordered against flushes of its own line
in_turn       16, 32 or 64 lines in turn, no fence between: the same latency, shared by as many lines
fence_each    a fence after every line of a range: the latency of a flush on its own
other_core    a range that another CPU dirtied
other_socket  a range whose memory belongs to another socket
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from costmodel.measure import native
from costmodel.measure.buffer import Buffer
from costmodel.measure.host import Host
from costmodel.measure.probe import Cell, Settings, Skipped, Table, Tick, pinned, repeat

SET_MEMPOLICY_NR = 238
"""System call number of set_mempolicy on x86-64."""
MPOL_DEFAULT, MPOL_BIND = 0, 2
TURNS = (16, 32, 64)
FLUSHES = 2**14
"""Flushes of one value of same_line and in_turn."""
FENCED_LINES = 2**15 // native.LINE_BYTES
RANGES = (2**15, 2**18, 2**21, 2**24)
WHOLE_RANGE = ("other_core", "other_socket")


def cells(host: Host, several_cpus: bool, several_sockets: bool) -> list[Cell]:
    """Instruction x cell x lines x state; `state` is that of the lines before (CLWB keeps a line that is there)."""
    names = [name for name in native.INSTRUCTIONS if name == "CLFLUSH" or host.has(name.lower())]
    found: list[Cell] = []
    for name in names:
        kept = "clean" if name == "CLWB" else "absent"
        shapes = [("same_line", 1, kept), *(("in_turn", lines, kept) for lines in TURNS)]
        shapes += [("fence_each", FENCED_LINES, state) for state in native.STATES]
        sizes = [size // native.LINE_BYTES for size in RANGES]
        shapes += [("other_core", lines, "dirty") for lines in sizes if several_cpus]
        shapes += [("other_socket", lines, s) for lines in sizes for s in ("dirty", "absent") if several_sockets]
        found += [{"instruction": name, "cell": cell, "lines": lines, "state": state} for cell, lines, state in shapes]
    return found


def probe(host: Host, settings: Settings, tick: Tick, cpus: Sequence[int], root: Path = Path("/")) -> Table:
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
            wanted = cells(host, len(cpus) > 1, not reason)
            if reason and reason not in table.notes:
                table.notes.append(reason)
            repeat(table, wanted, settings, run, lambda cell, m=memory, o=other: _measure(m, cell, o), tick)
    return table


def _measure(memory: dict[str, Buffer], cell: Cell, other_cpu: int) -> dict[str, float]:
    address = memory["other" if cell["cell"] == "other_socket" else "own"].address
    lines, name = cell["lines"], cell["instruction"]
    with pinned(other_cpu) if cell["cell"] == "other_core" else contextlib.nullcontext():
        native.function("dirty")(address, lines)
    if cell["state"] != "dirty":
        native.flush("CLFLUSH")(address, lines)
    if cell["state"] == "clean":
        native.function("read")(address, lines)
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
        try:
            return (root / f"sys/devices/system/cpu/cpu{number}/topology/physical_package_id").read_text().strip()
        except OSError:
            return ""

    own = package(cpu)
    for node in sorted((root / "sys/devices/system/node").glob("node[0-9]*")):
        members = sorted(int(path.name[3:]) for path in node.glob("cpu[0-9]*"))
        memory = (node / "meminfo").read_text() if (node / "meminfo").exists() else ""
        if members and package(members[0]) not in ("", own) and not memory.partition("MemTotal:")[2].startswith(" 0 "):
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
