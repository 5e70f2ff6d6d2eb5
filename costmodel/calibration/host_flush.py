"""Time per flushed line on a measured host: interpolation between measured ranges, with intervals for a new run.

Two forms with few parameters compete with it (formulas `line_time_levels` and `line_time_tail`); held-out data
decide. An interval holds what changes between runs and, between two measured ranges, what interpolation has missed
there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import numpy
from numpy.typing import ArrayLike

from costmodel.calibration.fit import Problem, Unknown, fit
from costmodel.errors import BadInput, UnknownName
from costmodel.evidence.hosts import Profile
from costmodel.evidence.records import Machine

LINE_BYTES = 64
DEFAULT_PAGE = "4KiB"
PAGE_BYTES = 4096
FEWEST_REPETITIONS = 6
FEWEST_RUNS = 2
GROUPS_OF_A_RUN = 2
"""Cells of one run move together (short ranges do, long ranges do), so they count as this many independent ones, not as
as many as there are; repeated measurements decide (`costmodel calibrate --host A --against B`).
"""

Kind = tuple[str, str, str]
"""Instruction, line state, page size."""


@dataclass(frozen=True)
class Cell:
    """Run medians (seconds per line) of one range; `runs` maps the run to its median over repetitions.

    `left_out` counts runs that could not tell the time: their median is not above zero.
    """

    kind: Kind
    range_bytes: float
    runs: Mapping[int, float]
    left_out: int = 0

    @cached_property
    def log(self) -> float:
        """Logarithm of the median over the runs."""
        return float(numpy.median([math.log(v) for v in self.runs.values()]))


@dataclass(frozen=True)
class Prediction:
    """Seconds per line: median and 90 % interval for a new run; low and high are None where too little was measured."""

    line_s: float
    low_s: float | None
    high_s: float | None
    note: str


def cells_of(profile: Profile, *, whole: bool = False) -> list[Cell]:
    """Run medians of every cell of the flush probe, per line: of the slope, or of the `whole` call with its fences.

    A slope is the difference of two noisy times and can be zero or less in one repetition; the median over a run's
    repetitions takes them as they are. A run whose median is not above zero has no logarithm: it is left out and
    counted, and so is a cell without any other run.
    """
    values: dict[tuple[Kind, float], dict[int, list[float]]] = {}
    for row in profile.table("flush"):
        kind = (str(row["instruction"]), str(row["state"]), str(row["page"]))
        runs = values.setdefault((kind, row["range_bytes"]), {})
        lines = max(1.0, row["range_bytes"] / LINE_BYTES)
        line_s = row["measured_total_s"] / lines if whole else row["measured_line_s"]
        runs.setdefault(int(row["run"]), []).append(line_s)
    cells = []
    for (kind, size), runs in sorted(values.items()):
        medians = {run: float(numpy.median(v)) for run, v in runs.items()}
        told = {run: median for run, median in medians.items() if median > 0}
        if told:
            cells.append(Cell(kind, size, told, left_out=len(medians) - len(told)))
    return cells


class FlushModel:
    """Predicts the time per line from cells. Raises BadInput where the profile holds none."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        self.by_kind: dict[Kind, list[Cell]] = {}
        for cell in cells:
            self.by_kind.setdefault(cell.kind, []).append(cell)
        if not self.by_kind:
            raise BadInput("holds no flush probe", field="--host", remedy="run `costmodel measure flush`")
        self.missed = cache(self._missed)

    @cached_property
    def _pools(self) -> dict[tuple[str, float], tuple[float, int]]:
        """By line state and range: standard deviation of the logarithm of a run's median around that of all runs, and
        its degrees of freedom. Instructions and page sizes are pooled: runs differ at short ranges, whatever flushes.
        """
        deviations: dict[tuple[str, float], list[numpy.ndarray]] = {}
        for cells in self.by_kind.values():
            for cell in cells:
                if len(cell.runs) > 1:
                    deviations.setdefault((cell.kind[1], cell.range_bytes), []).append(_deviations(cell))
        found = {}
        for key, rows in deviations.items():
            freedom = sum(len(row) - 1 for row in rows)
            found[key] = (_robust(numpy.concatenate(rows), freedom), freedom)
        return found

    def between_runs(self, state: str, range_bytes: float) -> tuple[float, int]:
        """Scatter between runs at a range: that of the measured range, or the larger one of its two neighbours."""
        sizes = sorted(size for own, size in self._pools if own == state)
        if not sizes:
            return math.nan, 0
        below = max((size for size in sizes if size <= range_bytes), default=sizes[0])
        above = min((size for size in sizes if size >= range_bytes), default=sizes[-1])
        return max(self._pools[state, below], self._pools[state, above])

    def _missed(self, kind: Kind, paged: bool) -> float:
        """Scatter of the logarithm of inner ranges around their interpolation from the neighbours, per octave between
        these; by kind, and apart for ranges of a page and more (`paged`), which are far smoother than shorter ones. Not
        a number where fewer than two ranges tell.
        """
        cells, errors = self.by_kind[kind], []
        for before, cell, after in zip(cells, cells[1:], cells[2:], strict=False):
            if _paged(cell.range_bytes) == paged:
                rest = [c for c in cells if c is not cell]
                errors.append((cell.log - _interpolate(rest, cell.range_bytes)) / _octaves(before, after))
        return _robust(numpy.array(errors), len(errors)) if len(errors) > 1 else math.nan

    def predict(self, instruction: str, state: str, range_bytes: float, page: str = DEFAULT_PAGE) -> Prediction:
        """Raises UnknownName where the kind was not measured, BadInput where the range lies outside what was."""
        kind = (instruction, state, page)
        if kind not in self.by_kind:
            raise UnknownName("measured cell", "/".join(kind), ["/".join(k) for k in self.by_kind])
        cells = self.by_kind[kind]
        low, high = cells[0].range_bytes, cells[-1].range_bytes
        if not low <= range_bytes <= 2 * high:
            raise BadInput(
                f"{range_bytes:g} lies outside the measured {low:g} to {2 * high:g} bytes",
                field="range_bytes",
                remedy="ask inside it",
            )
        middle = math.exp(_interpolate(cells, range_bytes))
        spread, freedom = self.between_runs(state, range_bytes)
        below = max((cell for cell in cells if cell.range_bytes <= range_bytes), key=lambda c: c.range_bytes)
        above = min(
            (cell for cell in cells if cell.range_bytes >= range_bytes), key=lambda c: c.range_bytes, default=below
        )
        runs = min(len(below.runs), len(above.runs))
        if freedom < FEWEST_REPETITIONS:
            return Prediction(middle, None, None, f"no interval: {freedom} degrees of freedom between runs")
        if runs < FEWEST_RUNS:
            return Prediction(middle, None, None, "no interval: one run only told a time above zero")
        measured = below is above and below.range_bytes == range_bytes
        extra = 0.0 if measured else self.missed(kind, _paged(range_bytes)) * max(1.0, _octaves(below, above))
        if math.isnan(extra):
            return Prediction(middle, None, None, "no interval: too few ranges to judge the interpolation")
        from scipy.special import stdtrit

        factor = math.exp(
            stdtrit(min(freedom, GROUPS_OF_A_RUN * (runs - 1)), 0.95) * math.sqrt(spread**2 * (1 + 1 / runs) + extra**2)
        )
        note = "measured range" if measured else "interpolated"
        if missing := below.left_out + (0 if measured else above.left_out):
            note += f"; {missing} run{'s' if missing > 1 else ''} left out: no time above zero"
        return Prediction(middle, middle / factor, middle * factor, note)


def _paged(range_bytes: float) -> bool:
    """Whether a range is one that the kernel flushes: a page or more."""
    return range_bytes >= PAGE_BYTES


def _octaves(below: Cell, above: Cell) -> float:
    """Doublings between two ranges."""
    return math.log2(above.range_bytes / below.range_bytes)


def _deviations(cell: Cell) -> numpy.ndarray:
    logs = numpy.log(list(cell.runs.values()))
    return numpy.asarray(logs - logs.mean())


def _robust(values: numpy.ndarray, freedom: int) -> float:
    """Standard deviation; the larger of the usual one of the inner 95 % and 1.4826 MAD guards against both tails."""
    trimmed = values[numpy.abs(values) <= numpy.quantile(numpy.abs(values), 0.95)]
    usual = math.sqrt(float(trimmed @ trimmed) / max(1, freedom * len(trimmed) / len(values)))
    return max(usual, 1.4826 * float(numpy.median(numpy.abs(values))))


def _interpolate(cells: list[Cell], range_bytes: float) -> float:
    """Monotone cubic in the logarithms; flat beyond the ends."""
    from scipy.interpolate import PchipInterpolator

    x = numpy.log([cell.range_bytes for cell in cells])
    y = numpy.array([cell.log for cell in cells])
    at = min(max(math.log(range_bytes), x[0]), x[-1])
    return float(PchipInterpolator(x, y)(at)) if len(cells) > 1 else float(y[0])


Form = Callable[[list[Cell], float], float]
"""Logarithm of the seconds per line at a range, from the cells of one kind."""


def forms(machine: Machine, l1_bytes: float) -> dict[str, Form]:
    """The rival forms by name; the two formulas are fitted by least squares."""

    def problem(cells: list[Cell], formula: str, known: dict[str, ArrayLike], names: tuple[str, ...]) -> Problem:
        sizes = numpy.array([cell.range_bytes for cell in cells])
        unknowns = tuple(Unknown(name, name, 2e-9, 1e-12, 1e-6) for name in names)
        observed = numpy.exp([cell.log for cell in cells])
        ids = tuple(f"{size:g}" for size in sizes)
        return Problem(formula, observed, known, unknowns, ids, ids)

    def levels(cells: list[Cell], range_bytes: float) -> float:
        def known(sizes: ArrayLike) -> dict[str, ArrayLike]:
            return {
                "range_bytes": sizes,
                "l1_bytes": l1_bytes,
                "l2_bytes_per_core": machine.l2_bytes_per_core,
                "llc_bytes_per_domain": machine.llc_bytes_per_domain,
            }

        names = ("line_l1_s", "line_l2_s", "line_llc_s", "line_memory_s")
        result = fit(problem(cells, "line_time_levels", known([c.range_bytes for c in cells]), names))
        at = Problem("line_time_levels", numpy.ones(1), known([range_bytes]), result.problem.unknowns, ("",), ("",))
        return math.log(float(at.predict(result.theta)[0]))

    def tail(cells: list[Cell], range_bytes: float) -> float:
        lines = [cell.range_bytes / LINE_BYTES for cell in cells]
        result = fit(problem(cells, "line_time_tail", {"lines": lines}, ("range_start_s", "line_tail_s")))
        at = Problem(
            "line_time_tail",
            numpy.ones(1),
            {"lines": [range_bytes / LINE_BYTES]},
            result.problem.unknowns,
            ("",),
            ("",),
        )
        return math.log(float(at.predict(result.theta)[0]))

    return {"interpolation": _interpolate, "mix over cache levels": levels, "start plus tail": tail}
