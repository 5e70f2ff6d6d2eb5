"""Reading a working set again after it was flushed, one line after the other and each line from the one before.

In 4 KiB pages reading at random also waits for address translation, so both page sizes are measured where they can be.
"""

from __future__ import annotations

import contextlib

from costmodel.measure import native
from costmodel.measure.buffer import PAGES, Buffer
from costmodel.measure.host import Host
from costmodel.measure.probe import Cell, Settings, Table, Tick, pinned, repeat

LARGEST_BYTES = 64 * 2**20
PATTERNS = ("sequential", "dependent")
MEMORY = "memory"


def working_sets(host: Host, settings: Settings) -> list[tuple[str, int]]:
    """(level, bytes): half of each cache level, and a set that only memory holds."""
    found = [(f"L{c.level}", c.bytes // 2) for c in host.caches if c.kind in ("Data", "Unified")]
    found = [(level, size) for level, size in found if size <= LARGEST_BYTES // 2] + [(MEMORY, LARGEST_BYTES)]
    return found[:1] + found[-2:] if settings.quick else found


def probe(host: Host, settings: Settings, tick: Tick, cpu: int) -> Table:
    """Column measured_cold_line_s is seconds per line after a flush, measured_warm_line_s without one."""
    pages = PAGES if host.transparent_hugepage in ("always", "madvise") else PAGES[:1]
    sets = working_sets(host, settings)
    cells: list[Cell] = [
        {"pattern": pattern, "level": level, "range_bytes": size, "page": page}
        for pattern in PATTERNS
        for level, size in sets
        for page in pages
    ]
    table = Table("refill", "measured_cold_line_s", notes=host.notes()[:1])
    if len(pages) < len(PAGES):
        table.notes.append("2 MiB pages: transparent huge pages are off")
    with pinned(cpu):
        for run in range(settings.runs):
            with contextlib.ExitStack() as buffers:
                memory = {page: buffers.enter_context(Buffer(LARGEST_BYTES, page)) for page in pages}
                chains = {(page, size): random_chain(memory[page], size, run) for page in pages for _, size in sets}

                def measure(cell: Cell, memory=memory, chains=chains) -> dict[str, float]:
                    return _measure(memory[cell["page"]], chains[cell["page"], cell["range_bytes"]], cell)

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


def _measure(memory: Buffer, chain, cell: Cell) -> dict[str, float]:
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
