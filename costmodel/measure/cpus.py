"""Probes of what one CPU costs others: interrupts to all of them, and a neighbour on the same memory."""

from __future__ import annotations

import re
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from costmodel.evidence.hosts import ROUND_PROXY
from costmodel.measure import caches, native
from costmodel.measure.host import Host, usable_cpus
from costmodel.measure.native import Buffer, Worker, ended, spinning
from costmodel.measure.probe import Cell, Settings, Skipped, Table, Tick, pinned, repeat

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
RANGES = (4096, 2**21)
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
        for size in RANGES
        for rate in rates
    ]
    table = Table("neighbour", "measured_slowdown", notes=host.notes()[1:2])
    with pinned(cpus[0]):
        for run in range(settings.runs):
            with Buffer(VICTIM_BYTES) as own, Buffer(max(RANGES)) as other:
                chain = caches.random_chain(own, VICTIM_BYTES, run)
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
