"""Cost of interrupting k CPUs and waiting for all, through membarrier (private expedited).

A proxy for the broadcast of a flush: the kernel interrupts every CPU that runs a thread of this process and waits until
each has answered; the handler itself does nothing but a barrier. A whole-cache flush adds its own time on each CPU.
"""

from __future__ import annotations

import re
from pathlib import Path

from costmodel.measure import native
from costmodel.measure.host import Host, usable_cpus
from costmodel.measure.probe import Cell, Settings, Skipped, Table, Tick, pinned, repeat
from costmodel.measure.threads import spinning

REGISTER_PRIVATE_EXPEDITED = 1 << 4
PRIVATE_EXPEDITED = 1 << 3
CALLS = 200
HIT_SHARE = 0.98
"""A repetition counts where the targets took at least this share of the interrupts that they should have taken: a call
that finds a target idle or preempted interrupts nobody, and costs a twentieth of one that does."""
FEWEST_CPUS_FOR_SLOPE = 4


def probe(host: Host, settings: Settings, tick: Tick, proc: Path = Path("/proc")) -> Table:
    """Column measured_call_s: seconds per call with `targets` CPUs that run the process; measured_hit_share: interrupts
    that they took per interrupt due. Repetitions below HIT_SHARE are dropped, and a point with fewer than half left.
    """
    cpus = usable_cpus()
    if len(cpus) < 2:
        raise Skipped("broadcast: one CPU only, there is nobody to interrupt")
    if native.function("membarrier")(REGISTER_PRIVATE_EXPEDITED, 1) < 0:
        raise Skipped("broadcast: this kernel has no private expedited membarrier")
    table = Table("broadcast", "measured_call_s", notes=["proxy: membarrier (private expedited), an empty handler"])
    counts = list(range(1, len(cpus)))
    if len(cpus) < FEWEST_CPUS_FOR_SLOPE:
        counts = counts[-1:]
        table.notes.append(f"{len(cpus)} CPUs give one point: no slope, no slowest of k")
    with pinned(cpus[0]):
        for run in range(settings.runs):
            cells = [{"targets": count} for count in counts]
            repeat(table, cells, settings, run, lambda cell: _measure(cell, cpus, proc), tick)
    _keep_hits(table, settings.runs * settings.repetitions)
    if not table.rows:
        raise Skipped("broadcast: the target CPUs did not take the interrupts")
    return table


def _keep_hits(table: Table, taken: int) -> None:
    """Drop repetitions that missed their interrupts, and points that are left with less than half of the `taken`."""
    hits: dict[object, list[dict[str, object]]] = {row["targets"]: [] for row in table.rows}
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


def _measure(cell: Cell, cpus: list[int], proc: Path) -> dict[str, float]:
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
