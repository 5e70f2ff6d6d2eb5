"""How much a thread slows down on its CPU while another CPU flushes ranges: the noisy neighbour, for range flushes."""

from __future__ import annotations

import threading
import time

from costmodel.measure import native, refill
from costmodel.measure.buffer import Buffer
from costmodel.measure.host import Host, usable_cpus
from costmodel.measure.probe import Settings, Skipped, Table, Tick, pinned, repeat
from costmodel.measure.threads import Worker, ended

VICTIM_BYTES = 8 * 2**20
VICTIM_LINES = VICTIM_BYTES // native.LINE_BYTES
VICTIM_S = 0.01
START_S = 0.001
"""Time for the flushing thread to get going."""
VICTIMS = {"streaming": "read", "pointer_chasing": "chase", "compute": "compute"}
RANGES = (4096, 2**21)
RATES_PER_S = (1000.0, float("inf"))
"""inf flushes back to back. The victim is timed beside a thread that waits, then beside one that flushes."""


def probe(host: Host, settings: Settings, tick: Tick) -> Table:
    """Column measured_slowdown: victim's time with a flushing neighbour over its time without one."""
    cpus = usable_cpus()
    if len(cpus) < 2:
        raise Skipped("neighbour: one CPU only, there is no neighbour")
    instruction = "CLFLUSHOPT" if host.has("clflushopt") else "CLFLUSH"
    rates = RATES_PER_S[-1:] if settings.quick else RATES_PER_S
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
                chain = refill.random_chain(own, VICTIM_BYTES, run)
                own.array()[::8] = chain
                repeats = {name: _repeats(own, function) for name, function in VICTIMS.items()}
                repeat(
                    table,
                    cells,
                    settings,
                    run,
                    lambda cell, own=own, other=other, repeats=repeats: _measure(cell, own, other, repeats, cpus[1]),
                    tick,
                )
    return table


def _repeats(own: Buffer, function: str) -> int:
    """How many times over its memory the victim goes in about VICTIM_S."""
    victim = native.function(function)
    victim(own.address, VICTIM_LINES)
    return max(1, round(VICTIM_S / (victim(own.address, VICTIM_LINES) * native.tick_s())))


def _measure(cell, own: Buffer, other: Buffer, repeats: dict[str, int], cpu: int) -> dict[str, float]:
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
