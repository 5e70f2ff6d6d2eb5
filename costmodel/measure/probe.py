"""What every probe shares: cells in random order, repetitions, stability, the table that it returns."""

from __future__ import annotations

import contextlib
import os
import random
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from costmodel.errors import CostModelError

FEWEST_REPETITIONS = 6
"""Fewer repetitions carry no interval."""
UNSTABLE = 0.10
"""Halves of a run whose cell medians differ by more than this (median over cells) make the run unstable."""
OUTLIER_MADS = 8.0

Cell = Mapping[str, object]
Tick = Callable[[], None]


class Skipped(CostModelError):
    """The machine cannot run this probe; the text says what is missing."""


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


@dataclass
class Table:
    """Every repetition of a probe; rows are dicts of one shape. `value` names the column whose stability is judged,
    empty where the rows are events.
    """

    probe: str
    value: str
    rows: list[dict[str, object]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        return list(self.rows[0]) if self.rows else []

    def cells(self) -> dict[tuple[object, ...], list[dict[str, object]]]:
        """Rows by cell: all columns but run, repetition and the measured ones."""
        keys = [name for name in self.columns if name not in ("run", "repetition") and not name.startswith("measured_")]
        found: dict[tuple[object, ...], list[dict[str, object]]] = {}
        for row in self.rows:
            found.setdefault(tuple(row[name] for name in keys), []).append(row)
        return found

    def judge(self) -> list[str]:
        """Findings about stability: halves of the run, outliers, too few repetitions."""
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
        if drifts:
            drift = statistics.median(drifts)
            verdict = "UNSTABLE" if drift > UNSTABLE else "stable"
            found.append(f"{self.probe}: {verdict}, halves of the run differ by {drift:.1%} (median over cells)")
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
