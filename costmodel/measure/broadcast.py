"""Cost of interrupting k CPUs and waiting for all, through membarrier (private expedited).

A proxy for the broadcast of a flush: the kernel interrupts every CPU that runs a thread of this process and waits until
each has answered; the handler itself does nothing but a barrier. A whole-cache flush adds its own time on each CPU.
"""

from __future__ import annotations

import re
from pathlib import Path

from costmodel.measure import native
from costmodel.measure.host import Host, usable_cpus
from costmodel.measure.probe import Settings, Skipped, Table, Tick, pinned, repeat
from costmodel.measure.threads import spinning

REGISTER_PRIVATE_EXPEDITED = 1 << 4
PRIVATE_EXPEDITED = 1 << 3
CALLS = 200
HIT_SHARE = 0.9
"""A point counts where the targets took at least this share of the interrupts that they should have taken."""
FEWEST_CPUS_FOR_SLOPE = 4


def probe(host: Host, settings: Settings, tick: Tick, proc: Path = Path("/proc")) -> Table:
    """Column measured_call_s: seconds per call with `targets` CPUs that run the process."""
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
    refused: dict[int, int] = {}
    with pinned(cpus[0]):
        for run in range(settings.runs):
            cells = [{"targets": count} for count in counts]
            repeat(table, cells, settings, run, lambda cell: _measure(cell, cpus, proc, refused), tick)
    bad = {k for k, times in refused.items() if times > settings.runs * settings.repetitions // 2}
    table.rows = [row for row in table.rows if row["targets"] not in bad]
    table.notes += [f"{k} targets: refused, the CPUs did not take the interrupts" for k in sorted(bad)]
    if not table.rows:
        raise Skipped("broadcast: the target CPUs did not take the interrupts")
    return table


def _measure(cell, cpus: list[int], proc: Path, refused: dict[int, int]) -> dict[str, float]:
    targets = cpus[1 : 1 + cell["targets"]]
    with spinning(targets):
        before = interrupts(proc, targets)
        ticks = native.function("membarrier")(PRIVATE_EXPEDITED, CALLS)
        taken = interrupts(proc, targets) - before
    if taken < HIT_SHARE * CALLS * len(targets):
        refused[cell["targets"]] = refused.get(cell["targets"], 0) + 1
    return {"call_s": ticks * native.tick_s() / CALLS}


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
