"""Time per line of CLFLUSH, CLFLUSHOPT and CLWB over line state, range length and page size.

A range and its double are timed; the difference cancels the fences and the timer.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from costmodel.measure import native
from costmodel.measure.buffer import PAGES, Buffer
from costmodel.measure.host import Host
from costmodel.measure.probe import Cell, Settings, Skipped, Table, Tick, pinned, repeat

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


def cells(host: Host, settings: Settings) -> list[Cell]:
    """Instruction x state x range x page; instructions that the CPU lacks are left out."""
    names = [name for name in native.INSTRUCTIONS if name == "CLFLUSH" or host.has(name.lower())]
    pages = PAGES if host.transparent_hugepage in ("always", "madvise") else PAGES[:1]
    return [
        {"instruction": name, "state": state, "range_bytes": size, "page": page}
        for name in names
        for state in native.STATES
        for size in ranges(settings.quick)
        for page in pages
    ]


def skipped(host: Host) -> list[str]:
    """What is left out and why."""
    found = [
        f"{name}: /proc/cpuinfo shows no {name.lower()}"
        for name in native.INSTRUCTIONS[1:]
        if not host.has(name.lower())
    ]
    if host.transparent_hugepage not in ("always", "madvise"):
        found.append("2 MiB pages: transparent huge pages are off")
    return found


def probe(host: Host, settings: Settings, tick: Tick, cpus: Sequence[int]) -> Table:
    """Measure, each run on the next of `cpus` from the last on: a new run may land on another one.

    Column measured_line_s is seconds per line, measured_total_s that of one flush of the range with fences and timer.
    """
    wanted = cells(host, settings)
    if not wanted:
        raise Skipped("flush: no flush instruction")
    table = Table("flush", "measured_line_s", notes=skipped(host))
    for run in range(settings.runs):
        with (
            pinned(cpus[-1 - run % len(cpus)]),
            Buffer(2 * LARGEST_BYTES) as small,
            Buffer(2 * LARGEST_BYTES, "2MiB") as huge,
        ):
            memory = {"4KiB": small, "2MiB": huge}
            repeat(table, wanted, settings, run, lambda cell, memory=memory: _measure(memory, cell), tick)
    return table


def _measure(memory: Mapping[str, Buffer], cell: Cell) -> dict[str, float]:
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
    if cell["state"] != "dirty":
        native.flush("CLFLUSH")(address, lines)
    if cell["state"] == "clean":
        native.function("read")(address, lines)
    return native.flush(cell["instruction"])(address, lines)
