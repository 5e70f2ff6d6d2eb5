"""Sustained write-back and copy bandwidth over the number of threads."""

from __future__ import annotations

import ctypes

from costmodel.measure import native
from costmodel.measure.buffer import Buffer
from costmodel.measure.host import Host, usable_cpus
from costmodel.measure.probe import Settings, Table, Tick, repeat
from costmodel.measure.threads import together

KINDS = ("write_back", "copy")
PER_THREAD_BYTES = 64 * 2**20


def probe(host: Host, settings: Settings, tick: Tick, cpus: list[int] | None = None) -> Table:
    """Column measured_bytes_per_s: bytes that all threads together wrote back (or copied) per second.

    write_back dirties every line of a range far larger than the private caches: each line is read, changed and evicted.
    """
    cpus = cpus or usable_cpus()
    cells = [{"kind": kind, "threads": count} for kind in KINDS for count in range(1, len(cpus) + 1)]
    table = Table("bandwidth", "measured_bytes_per_s", notes=host.notes()[-1:])
    for run in range(settings.runs):
        buffers = [Buffer(PER_THREAD_BYTES, "2MiB") for _ in cpus]
        try:
            repeat(table, cells, settings, run, lambda cell, b=buffers: _measure(cell, b, cpus), tick)
        finally:
            for buffer in buffers:
                buffer.close()
    return table


def _measure(cell, buffers: list[Buffer], cpus: list[int]) -> dict[str, float]:
    count = cell["threads"]
    half = PER_THREAD_BYTES // 2

    def write_back(buffer: Buffer) -> int:
        native.function("dirty")(buffer.address, PER_THREAD_BYTES // native.LINE_BYTES)
        return PER_THREAD_BYTES

    def copy(buffer: Buffer) -> int:
        ctypes.memmove(buffer.address, buffer.address + half, half)
        return half

    work = write_back if cell["kind"] == "write_back" else copy
    workers = together(cpus[:count], [lambda b=b: work(b) for b in buffers[:count]])
    time_s = max(w.ended_s for w in workers) - min(w.began_s for w in workers)
    return {"bytes_per_s": sum(w.result for w in workers) / time_s}
