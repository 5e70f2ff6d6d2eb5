"""Running probes one after the other on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from costmodel.measure import bandwidth, broadcast, flush, invalidations, neighbour, refill, sev
from costmodel.measure.host import Host, describe, usable_cpus
from costmodel.measure.probe import Settings, Skipped, Table, Tick, rounds
from costmodel.measure.profile import Outcome

PROBES: dict[str, Callable[[Host, Settings, Tick], Table]] = {
    "flush": lambda host, settings, tick: flush.probe(host, settings, tick, usable_cpus()),
    "refill": lambda host, settings, tick: refill.probe(host, settings, tick, usable_cpus()[-1]),
    "neighbour": neighbour.probe,
    "bandwidth": bandwidth.probe,
    "broadcast": broadcast.probe,
    "invalidations": invalidations.probe,
    "sev": sev.probe,
}
"""Probes of one CPU begin with the last that the process may use: CPU 0 takes most interrupts."""


def ticks(name: str, settings: Settings) -> int:
    """Steps of progress that the probe makes."""
    return len(invalidations.CAUSES) if name == "invalidations" else rounds(settings)


def run(names: Sequence[str], settings: Settings, command: str, progress: Callable[[str], Tick]) -> Outcome:
    """Run the probes; one that this machine lacks something for is noted with the reason."""
    outcome = Outcome(describe(), command)
    for name in names:
        try:
            outcome.tables[name] = PROBES[name](outcome.host, settings, progress(name))
        except Skipped as reason:
            outcome.skipped[name] = str(reason)
    return outcome
