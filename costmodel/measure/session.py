"""Running probes one after the other on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from costmodel.errors import BadInput
from costmodel.measure import caches, cpus, invalidations, kvm
from costmodel.measure.host import Host, describe, usable_cpus
from costmodel.measure.journal import Changes
from costmodel.measure.probe import Settings, Skipped, Table, Tick, Watch, rounds
from costmodel.measure.profile import Outcome

PROBES: dict[str, Callable[[Host, Settings, Tick, Changes | None], Table]] = {
    "flush": lambda host, settings, tick, _: caches.flush_probe(host, settings, tick, usable_cpus()),
    "flush_cells": lambda host, settings, tick, _: caches.flush_cells_probe(host, settings, tick, usable_cpus()),
    "refill": lambda host, settings, tick, _: caches.refill_probe(host, settings, tick, usable_cpus()[-1]),
    "neighbour": lambda host, settings, tick, _: cpus.neighbour_probe(host, settings, tick),
    "bandwidth": lambda host, settings, tick, _: caches.bandwidth_probe(host, settings, tick),
    "broadcast": lambda host, settings, tick, _: cpus.broadcast_probe(host, settings, tick),
    "invalidations": invalidations.probe,
    "sev": lambda host, settings, tick, _: kvm.probe(host, settings, tick),
}
"""Probes of one CPU begin with the last that the process may use: CPU 0 takes most interrupts."""
WITHOUT_GUESTS = "--on-a-host-with-guests runs it all the same, and first says what it will do to them"


def ticks(name: str, settings: Settings) -> int:
    """Steps of progress that the probe makes."""
    return len(invalidations.CAUSES) if name == "invalidations" else rounds(settings)


def this_host() -> Host:
    """The machine that we run on. Raises BadInput where /proc does not tell it."""
    try:
        return describe()
    except OSError as error:
        raise BadInput(
            f"cannot be read: {error.strerror}", file=error.filename, remedy="measure needs /proc and /sys of Linux"
        ) from None


def disturbing(names: Sequence[str], changes: Changes | None, root: Path = Path("/")) -> list[str]:
    """Those of the probes that guests on this host would feel, where they can run at all."""
    able = {"invalidations": changes is not None, "sev": "sev" in names and not kvm.missing(root)}
    return [name for name in names if able.get(name)]


def refused(names: Sequence[str], proc: Path = Path("/proc")) -> dict[str, str]:
    """Why these probes must not run, by name: somebody else's virtual machines do."""
    reason = kvm.guests(proc).sentence() if names else ""
    return dict.fromkeys(names, f"{reason}; {WITHOUT_GUESTS}") if reason else {}


def planned(names: Sequence[str], settings: Settings, changes: Changes | None) -> list[str]:
    """What these probes will do to the rest of the host, in sentences."""
    found = [kvm.planned(settings)] if "sev" in names else []
    return found + (invalidations.planned(changes.system) if "invalidations" in names and changes else [])


def run(
    names: Sequence[str],
    settings: Settings,
    command: str,
    progress: Callable[[str], Tick],
    changes: Changes | None = None,
    refusals: Mapping[str, str] | None = None,
) -> Outcome:
    """Run the probes; one that this machine lacks something for, or that is refused, is noted with the reason."""
    outcome = Outcome(this_host(), command, skipped=dict(refusals or {}))
    for name in names:
        if name in outcome.skipped:
            continue
        try:
            watch = Watch()
            table = PROBES[name](outcome.host, settings, progress(name), changes)
            table.conditions = watch.conditions(outcome.host.load_average)
            outcome.tables[name] = table
        except Skipped as reason:
            outcome.skipped[name] = str(reason)
        except BrokenPipeError:
            raise
        except (OSError, MemoryError) as error:
            outcome.skipped[name] = f"{name}: {error or 'not enough memory'}"
    return outcome
