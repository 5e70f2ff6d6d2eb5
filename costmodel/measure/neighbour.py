"""How much a thread slows down on its CPU while another CPU flushes ranges: the noisy neighbour, for range flushes."""

from __future__ import annotations

import threading
import time

from costmodel.measure import native, refill
from costmodel.measure.buffer import Buffer
from costmodel.measure.host import Host, usable_cpus
from costmodel.measure.probe import Settings, Skipped, Table, Tick, pinned, repeat
from costmodel.measure.threads import Worker

VICTIM_BYTES = 8 * 2**20
VICTIM_S = 0.01
VICTIMS = {"streaming": "read", "pointer_chasing": "chase", "compute": "compute"}
RANGES = (4096, 2**21)
RATES_PER_S = (0.0, 100.0, 1000.0, float("inf"))
"""0 is the undisturbed victim; inf flushes back to back."""


def probe(host: Host, settings: Settings, tick: Tick) -> Table:
    """Column measured_slowdown: victim's time with a flushing neighbour over its time without one."""
    cpus = usable_cpus()
    if len(cpus) < 2:
        raise Skipped("neighbour: one CPU only, there is no neighbour")
    instruction = "CLFLUSHOPT" if host.has("clflushopt") else "CLFLUSH"
    rates = RATES_PER_S[-1:] if settings.quick else RATES_PER_S[1:]
    cells = [
        {"victim": victim, "instruction": instruction, "range_bytes": size, "wanted_per_s": rate}
        for victim in VICTIMS
        for size in RANGES
        for rate in rates
    ]
    table = Table("neighbour", "measured_slowdown", notes=host.notes()[1:2])
    with pinned(cpus[0]):
        for run in range(settings.runs):
            with Buffer(VICTIM_BYTES) as own, Buffer(max(RANGES)) as other:
                chain = refill._chain(own, VICTIM_BYTES, run)
                own.array()[::8] = chain
                steps = {name: _steps(own, function) for name, function in VICTIMS.items()}
                repeat(
                    table,
                    cells,
                    settings,
                    run,
                    lambda cell, own=own, other=other, steps=steps: _measure(cell, own, other, steps, cpus[1]),
                    tick,
                )
    return table


def _steps(own: Buffer, function: str) -> int:
    """Steps of the victim that take about VICTIM_S; a streaming victim reads its whole memory."""
    lines = VICTIM_BYTES // native.LINE_BYTES
    if function == "read":
        return lines
    ticks = native.function(function)(own.address, lines)
    return max(1, int(lines * VICTIM_S / (ticks * native.tick_s())))


def _measure(cell, own: Buffer, other: Buffer, steps: dict[str, int], cpu: int) -> dict[str, float]:
    victim = native.function(VICTIMS[cell["victim"]])
    count = steps[cell["victim"]]
    victim(own.address, count)
    alone = victim(own.address, count)
    stop = threading.Event()
    barrier = threading.Barrier(2)
    flusher = Worker(cpu, lambda: _flush(cell, other, stop), barrier)
    flusher.start()
    barrier.wait()
    time.sleep(0.001)
    disturbed = victim(own.address, count)
    stop.set()
    flusher.join()
    if flusher.error is not None:
        raise flusher.error
    rate = flusher.result / max(1e-9, flusher.ended_s - flusher.began_s)
    return {"slowdown": disturbed / alone, "achieved_per_s": rate}


def _flush(cell, other: Buffer, stop: threading.Event) -> int:
    """Dirty and flush the range at the wanted rate until told to stop; the number of flushes."""
    lines = cell["range_bytes"] // native.LINE_BYTES
    dirty, flush = native.function("dirty"), native.flush(cell["instruction"])
    pause = 1.0 / cell["wanted_per_s"]
    done = 0
    while not stop.is_set():
        dirty(other.address, lines)
        flush(other.address, lines)
        done += 1
        if pause and stop.wait(pause):
            break
    return done
