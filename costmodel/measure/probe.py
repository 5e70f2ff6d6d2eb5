"""What every probe shares: cells in random order, repetitions, stability, the table that it returns."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from costmodel.errors import CostModelError

FEWEST_REPETITIONS = 6
"""Fewer repetitions carry no interval."""
UNSTABLE = 0.10
"""Halves of a run whose cell medians differ by more than this (median over cells) make the run unstable."""
OUTLIER_MADS = 8.0
OTHERS_CPUS, OTHERS_SHARE = 0.3, 0.02
"""A run is calm while others keep at most this many CPUs busy, or this share of all CPUs where that is more."""
STEAL_SHARE = 0.01
PREEMPTED_PER_S = 10.0
"""A run is calm while the hypervisor takes at most this share of the time, and its threads lose a CPU to others at most
this often."""

Cell = Mapping[str, Any]
Tick = Callable[[], None]


class Skipped(CostModelError):
    """The machine cannot run this probe; the text says what is missing."""


@contextlib.contextmanager
def allowed(what: object) -> Iterator[None]:
    """Where the kernel refuses what the block does, the probe is skipped with its reason."""
    try:
        yield
    except OSError as error:
        raise Skipped(f"{what}: {error.strerror}") from None


@dataclass(frozen=True)
class Settings:
    """`quick`: fewer cells and repetitions; `seed`: order of the cells; `runs`: fresh memory each, so that the interval
    of a prediction holds what changes between runs.
    """

    quick: bool = False
    seed: int = 1

    @property
    def runs(self) -> int:
        return 3 if self.quick else 5

    @property
    def repetitions(self) -> int:
        return 6 if self.quick else 9


@dataclass(frozen=True)
class Conditions:
    """What else the machine did: load average before the first probe, and during this one the CPUs that others kept
    busy, the share of time that the hypervisor took, and how often a thread of ours lost its CPU per second.
    """

    cpus: int
    load_before: float
    others_cpus: float
    steal_share: float
    preempted_per_s: float

    def disturbances(self) -> list[str]:
        """What was not calm, each with its limit."""
        most = max(OTHERS_CPUS, OTHERS_SHARE * self.cpus)
        limits = (
            ("load average {:.2g} before (at most {:.2g})", self.load_before, most),
            ("others took {:.2g} CPUs (at most {:.2g})", self.others_cpus, most),
            ("steal {:.1%} (at most {:.0%})", self.steal_share, STEAL_SHARE),
            ("preempted {:.3g} times per second (at most {:.2g})", self.preempted_per_s, PREEMPTED_PER_S),
        )
        return [text.format(value, limit) for text, value, limit in limits if value > limit]


class Watch:
    """Looks at the machine from here on; `conditions(load_before)` says what it saw."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._began = self._now()

    def _now(self) -> tuple[float, float, float, float, int]:
        """Wall clock, busy time of all CPUs, stolen time, own CPU time (seconds), own preemptions."""
        words = (self._proc / "stat").read_text().split(maxsplit=9)[1:9]
        user, nice, system, _, _, irq, softirq, steal = (int(word) / os.sysconf("SC_CLK_TCK") for word in words)
        own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        busy, own_s = user + nice + system + irq + softirq, sum(use.ru_utime + use.ru_stime for use in own)
        return time.monotonic(), busy, steal, own_s, sum(use.ru_nivcsw for use in own)

    def conditions(self, load_before: float) -> Conditions:
        """What happened since."""
        wall_s, busy_s, steal_s, own_s, preempted = (
            now - then for now, then in zip(self._now(), self._began, strict=True)
        )
        cpus, wall_s = os.cpu_count() or 1, max(wall_s, 1e-9)
        return Conditions(
            cpus=cpus,
            load_before=load_before,
            others_cpus=max(0.0, busy_s - own_s) / wall_s,
            steal_share=max(0.0, steal_s) / (wall_s * cpus),
            preempted_per_s=preempted / wall_s,
        )


@dataclass
class Table:
    """Every repetition of a probe; rows are dicts of one shape. `value` names the column whose stability is judged,
    empty where the rows are events; `conditions` is None where nobody looked.
    """

    probe: str
    value: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    conditions: Conditions | None = None

    @property
    def columns(self) -> list[str]:
        return list(self.rows[0]) if self.rows else []

    def cells(self) -> dict[tuple[object, ...], list[dict[str, Any]]]:
        """Rows by cell: all columns but run, repetition and the measured ones."""
        keys = [name for name in self.columns if name not in ("run", "repetition") and not name.startswith("measured_")]
        found: dict[tuple[object, ...], list[dict[str, Any]]] = {}
        for row in self.rows:
            found.setdefault(tuple(row[name] for name in keys), []).append(row)
        return found

    def judge(self) -> list[str]:
        """Findings about stability: halves of the run, other load, outliers, too few repetitions."""
        if not self.value:
            return []
        cells = [[float(r[self.value]) for r in rows] for rows in self.cells().values()]
        found = []
        few = sum(len(values) < FEWEST_REPETITIONS for values in cells)
        if few:
            found.append(f"{self.probe}: {few} cells have fewer than {FEWEST_REPETITIONS} repetitions: no interval")
        drifts = [
            abs(statistics.median(v[len(v) // 2 :]) / statistics.median(v[: len(v) // 2]) - 1)
            for v in cells
            if len(v) >= FEWEST_REPETITIONS and statistics.median(v[: len(v) // 2]) > 0
        ]
        disturbed = self.conditions.disturbances() if self.conditions else []
        drift = statistics.median(drifts) if drifts else 0.0
        seen = [f"halves of the run differ by {drift:.1%} (median over cells)"] if drifts else []
        seen += [f"the machine was not calm: {', '.join(disturbed)}"] if disturbed else []
        if seen:
            verdict = "UNSTABLE" if drift > UNSTABLE or disturbed else "stable"
            found.append(f"{self.probe}: {verdict}, {'; '.join(seen)}")
        outliers, total = sum(map(_outliers, cells)), sum(map(len, cells))
        if total:
            found.append(f"{self.probe}: {outliers} of {total} values lie beyond {OUTLIER_MADS:g} MAD of their cell")
        return found


def _outliers(values: Sequence[float]) -> int:
    middle = statistics.median(values)
    mad = statistics.median(abs(v - middle) for v in values)
    return sum(abs(v - middle) > OUTLIER_MADS * mad for v in values) if mad > 0 else 0


def repeat(
    table: Table,
    cells: Sequence[Cell],
    settings: Settings,
    run: int,
    measure: Callable[[Cell], Mapping[str, float]],
    tick: Tick,
) -> None:
    """Measure every cell `settings.repetitions` times, each round in a new random order, after one warm-up round."""
    order = random.Random(f"{settings.seed}-{run}-{table.probe}")
    for repetition in range(-1, settings.repetitions):
        for cell in order.sample(list(cells), len(cells)):
            values = measure(cell)
            if repetition >= 0:
                measured = {f"measured_{name}": value for name, value in values.items()}
                table.rows.append({**cell, "run": run, "repetition": repetition, **measured})
        tick()


def rounds(settings: Settings) -> int:
    """Ticks that `repeat` makes over all runs."""
    return settings.runs * (settings.repetitions + 1)


@contextlib.contextmanager
def pinned(cpu: int) -> Iterator[None]:
    """The calling thread runs on `cpu` only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
