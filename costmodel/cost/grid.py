"""Costs over a grid: all combinations of axes, for several strategies at once, over joint draws.

An axis is a number of the case or a parameter that is drawn else. The cost of each strategy is recorded once, by the
model itself, with the axes left open (`formulas.recorded`), and then carried out at all points (`formulas.fused`).

Work is cut into pieces that depend on the grid alone, and each result is that of one point: it has the same bytes with
any number of threads, here or on other machines with the same CPUs and libraries.
"""

from __future__ import annotations

import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from typing import Any, cast

import numpy

from costmodel.calibration.parameters import ParameterSet
from costmodel.cluster import map_in_order
from costmodel.cost.draws import Case
from costmodel.cost.event import mean_cost
from costmodel.cost.scenario import AXES, Scenario
from costmodel.cost.total import settled
from costmodel.errors import BadInput, MissingNumber, UnknownName
from costmodel.formulas.compiled import value
from costmodel.formulas.fused import Program, Rows, regrouped
from costmodel.formulas.recorded import Tape
from costmodel.hashing import value_hash
from costmodel.kvm.catalog import STRATEGIES

# What can be an axis.

NUMBERS: dict[str, tuple[str, Callable[[Scenario, Any], Scenario]]] = {
    **{name: (axis.unit, axis.at) for name, axis in AXES.items()},
    "vcpus": ("1", lambda s, v: replace(s, vcpus=v)),
    "resident_bytes": ("B", lambda s, v: replace(s, resident_bytes=v)),
    "event_fraction": ("1", lambda s, v: replace(s, event_fraction=v)),
    "l2_bytes_per_core": ("B", lambda s, v: replace(s, machine=replace(s.machine, l2_bytes_per_core=v))),
}
"""Numbers of the case: unit, and the case with another one. Every parameter of the machine is an axis as well."""
SHARES = ("event_fraction",)
"""Those of them that lie in 0 to 1; a parameter says so itself."""
WHOLE = ("cpus", "vcpus")
"""Those that are whole numbers."""
NEARLY = 1e-9
"""A value that is so near to a whole number, as a calculated 4.000000000000001, is that number."""


def axis_names(parameters: ParameterSet) -> list[str]:
    """Everything that a grid can run over."""
    return [*NUMBERS, *parameters.parameters]


def unit_of(name: str, parameters: ParameterSet) -> str:
    """The SI unit of an axis."""
    return NUMBERS[name][0] if name in NUMBERS else parameters[name].unit


def checked_axis(name: str, values: Sequence[float] | numpy.ndarray, case: Case) -> numpy.ndarray:
    """The values of an axis as numbers. Raises UnknownName, or BadInput for values that cannot be."""
    if name not in (known := axis_names(case.parameters)):
        raise UnknownName("axis of sweep()", name, known)
    found = numpy.asarray(values, dtype=float)
    least, most = _bounds(name, case)
    above = "above 0" if least == 0 and not _is_share(name, case) else f"from {least:g}"
    upper = "" if most == math.inf else f" to {most:g}"
    if found.size == 0:
        raise BadInput("no value was given", field=name, remedy=f"give values {above}{upper}")
    good = numpy.isfinite(found).all() and found.min() >= least and found.max() <= most
    if not good or (above == "above 0" and found.min() == 0):
        raise BadInput(f"needs values {above}{upper}", field=name, remedy="correct the values")
    if name in WHOLE:
        whole = numpy.round(found)
        if not numpy.allclose(found, whole, rtol=NEARLY, atol=0.0):
            raise BadInput("needs whole numbers", field=name, remedy="round them, and give each once")
        found = whole
    if len(numpy.unique(found)) < len(found):
        raise BadInput("has a value twice", field=name, remedy="give each value once")
    return found


def _bounds(name: str, case: Case) -> tuple[float, float]:
    machine = case.scenario.machine
    if name == "cpus":
        return 1.0, float(machine.logical_cpus)
    if name == "vcpus":
        return 1.0, math.inf
    if name in NUMBERS and NUMBERS[name][0] == "B":
        return float(machine.line_bytes), math.inf
    return 0.0, 1.0 if _is_share(name, case) else math.inf


def _is_share(name: str, case: Case) -> bool:
    return name in SHARES if name in NUMBERS else case.parameters[name].share


# Costs of strategies at a trigger, over a grid.

QUANTITIES = {"cpu_time": "s", "event_time": "s", "host_cpus": "1"}
"""What is calculated: CPU time and latency of an event, and host CPUs lost where a rate is known; with their units."""
QUANTILES = (0.05, 0.5, 0.95)
PIECE_VALUES = 2**22
"""Values of one piece of work, which one thread or one worker does."""
TILE_VALUES = 2**16
"""Values that are kept at once while they are reduced: half a megabyte, which stays in the cache."""
ENGINES = ("numpy", "numba")
AHEAD = 4
"""Pieces for each thread that are handed out before their turn."""
Told = Callable[[float], None]
"""Is told from time to time what share of a calculation is done, from 0 to 1."""


@dataclass(frozen=True, eq=False)
class Job:
    """Recorded costs, the grid and who carries them out; travels to the workers, which know it again by its `key`."""

    tape: Tape
    ends: tuple[int, ...]
    axes: tuple[tuple[str, numpy.ndarray], ...]
    engine: str
    key: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@lru_cache(maxsize=16)
def _program(job: Job) -> Program:
    return Program(job.tape, job.ends, dict(job.axes))


@lru_cache(maxsize=4)
def _program_of_all(job: Job) -> Program:
    """The program with results that repeat tabulated: for jobs that ask for all results at all points."""
    program = Program(job.tape, job.ends, dict(job.axes))
    program.tabulate_ends()
    return program


def _values(program: Program, engine: str, points: numpy.ndarray) -> numpy.ndarray:
    return program.by_numba(points) if engine == "numba" else program.by_numpy(points)


@dataclass(frozen=True)
class Cost:
    """One result of a grid: a `quantity` of a strategy, and its place among the recorded ends."""

    strategy: str
    quantity: str
    end: int


class Grid:
    """Costs of `strategies` at the case's trigger over all combinations of `axes`, the last of which varies fastest.

    `refused` holds the gap of strategies that have no number, `extrapolated` those that rest on a prior by rule. Raises
    BadInput or UnknownName.
    """

    def __init__(
        self,
        case: Case,
        strategies: Sequence[str],
        axes: Mapping[str, Sequence[float] | numpy.ndarray],
        engine: str = "numpy",
    ) -> None:
        if engine not in ENGINES:
            raise UnknownName("engine", engine, ENGINES)
        self.engine = engine
        self.axes = {name: checked_axis(name, values, case) for name, values in axes.items()}
        self.shape = tuple(len(values) for values in self.axes.values())
        self.points = math.prod(self.shape)
        self.draws = case.draws.n
        self.refused: dict[str, str] = {}
        self.extrapolated: set[str] = set()
        tape, found = Tape(self.draws), []
        for strategy in strategies:
            tracked = case.draws.tracking()
            try:
                found += [
                    Cost(strategy, quantity, tape.place_of(result))
                    for quantity, result in recorded(case.over(tracked), strategy, tape, self.axes).items()
                ]
            except MissingNumber as gap:
                self.refused[strategy] = gap.gap
            if tracked.extrapolated:
                self.extrapolated.add(strategy)
        self.tape, ends = regrouped(tape, [cost.end for cost in found])
        self.costs = [replace(cost, end=end) for cost, end in zip(found, ends, strict=True)]

    def cost(self, strategy: str, quantity: str = "cpu_time") -> Cost:
        """One result. Raises MissingNumber with the gap where there is none."""
        for cost in self.costs:
            if (cost.strategy, cost.quantity) == (strategy, quantity):
                return cost
        raise MissingNumber(f"{strategy}: {self.refused.get(strategy, f'{quantity} is not known here')}")

    def job(self, costs: Sequence[Cost]) -> Job:
        """The work of some results."""
        ends = tuple(cost.end for cost in costs)
        return Job(self.tape, ends, tuple(self.axes.items()), self.engine, value_hash([self._told, ends]))

    @cached_property
    def _told(self) -> str:
        """Hash of all that its jobs have in common."""
        axes = [[name, values.tolist()] for name, values in self.axes.items()]
        arrays = [array.tobytes().hex() for array in self.tape.arrays]
        return value_hash([self.tape.nodes, arrays, axes, self.engine])

    def values(self, cost: Cost) -> numpy.ndarray:
        """A result at every point and draw (points, draws)."""
        program, found = _program(self.job([cost])), numpy.empty((self.points, 1, self.draws))
        for part in _pieces(self.points, self.draws):
            if self.engine == "numba":
                program.by_numba(part, found[part[0] : part[-1] + 1])
            else:
                found[part[0] : part[-1] + 1] = program.by_numpy(part)
        return found[:, 0]

    def intervals(self, cost: Cost, scheduler: str | None = None, told: Told | None = None) -> numpy.ndarray:
        """Exact 5 %, 50 % and 95 % of a result (points, 3), by numpy with either engine: sorting takes longer than what is
        sorted. Found once for each of its rows.
        """
        job = self.job([cost])
        rows = _program(job).rows(cost.end)
        parts = [rows.first[part] for part in _pieces(len(rows.first), self.draws)]
        found = numpy.concatenate(list(_mapped(partial(_intervals, job), parts, scheduler, told)))
        return self._spread(rows, found)

    def _spread(self, rows: Rows, found: numpy.ndarray) -> numpy.ndarray:
        """What was found for each row, at every point."""
        shape = tuple(length if name in rows.over else 1 for name, length in zip(self.axes, self.shape, strict=True))
        over = found[rows.of].reshape((*shape, *found.shape[1:]))
        return numpy.broadcast_to(over, (*self.shape, *found.shape[1:])).reshape((self.points, *found.shape[1:]))

    def counted(self, costs: Sequence[Cost], scheduler: str | None = None, told: Told | None = None) -> Counted:
        """Results reduced while they are calculated: quantiles from buckets, and how often each is the least."""
        job = self.job(costs)
        parts = _pieces(self.points, self.draws * len(costs))
        found = list(_mapped(partial(_counted, job), parts, scheduler, told))
        keys, wins = (numpy.concatenate(column) for column in zip(*found, strict=True))
        return Counted(keys, wins, self.draws)

    def break_even(
        self, first: str, second: str, over: str, scheduler: str | None = None, told: Told | None = None
    ) -> numpy.ndarray:
        """Where the CPU time of `second` falls below that of `first`, or the other way round, along the axis `over`: at
        each point of the other axes 5 %, 50 % and 95 % over the draws, the share of draws that have one there, and the
        shares of those in which `first`, and in which `second`, costs less all along.

        Between two values of the axis it is interpolated in the logarithms. Draws without one count as beyond the end
        at which they would have it: 0 or infinite. Shape (points of the other axes, 6).
        """
        if over not in self.axes or len(self.axes[over]) < 2:
            raise BadInput("needs two values or more", field=over, remedy="give the axis along which to look")
        job = self.job([self.cost(first), self.cost(second)])
        place = list(self.axes).index(over)
        lines = numpy.moveaxis(numpy.arange(self.points).reshape(self.shape), place, -1).reshape(-1, self.shape[place])
        parts = [lines[part] for part in _pieces(len(lines), 2 * self.draws * self.shape[place])]
        return numpy.concatenate(list(_mapped(partial(_break_even, job, self.axes[over]), parts, scheduler, told)))


def recorded(case: Case, strategy: str, tape: Tape, axes: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    """What one strategy costs, with the axes left open: the model's own calculation, written down."""
    scenario, drawn = case.scenario, {}
    for name in axes:
        if name in NUMBERS:
            scenario = NUMBERS[name][1](scenario, tape.input(name))
        else:
            drawn[name] = cast(numpy.ndarray, tape.input(name))
    there = replace(case, scenario=scenario, draws=case.draws.with_values(**drawn) if drawn else case.draws)
    at, rate = settled(there, STRATEGIES[strategy])
    event = mean_cost(at, STRATEGIES[strategy])
    found: dict[str, Any] = {"cpu_time": event.stolen_s, "event_time": event.time_s}
    if rate is not None:
        cpus = scenario.machine.logical_cpus
        found["host_cpus"] = value(
            "host_loss", rate_per_s=rate, stolen_cpu_s_per_event=event.stolen_s, logical_cpus=cpus
        )
    return found


def _pieces(points: int, values_each: int) -> list[numpy.ndarray]:
    step = max(1, PIECE_VALUES // values_each)
    return [numpy.arange(start, min(start + step, points)) for start in range(0, points, step)]


def _mapped(
    function: Callable[[Any], Any], parts: Sequence[Any], scheduler: str | None, told: Told | None = None
) -> Iterator[Any]:
    """Results in order, and after each the share that is done to `told`: on a scheduler, or on as many threads as this
    process may use.
    """
    found = map_in_order(function, parts, scheduler) if scheduler is not None else _on_threads(function, parts)
    for done, result in enumerate(found, start=1):
        if told is not None:
            told(done / len(parts))
        yield result


def _on_threads(function: Callable[[Any], Any], parts: Sequence[Any]) -> Iterator[Any]:
    """Results in order. What ends it, such as Ctrl-C, waits for the parts that run and for none that would follow."""
    yield from map(function, parts[:1])  # alone: it compiles what the others need
    threads, rest = len(os.sched_getaffinity(0)), iter(parts[1:])
    if len(parts) < 2:
        return
    pool = ThreadPoolExecutor(threads)
    try:
        waiting = deque(pool.submit(function, part) for part in itertools.islice(rest, AHEAD * threads))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(function, part) for part in itertools.islice(rest, 1))
    finally:
        pool.shutdown(cancel_futures=True)


def _intervals(job: Job, points: numpy.ndarray) -> numpy.ndarray:
    values = _program(job).by_numpy(points)[:, 0]
    places = numpy.array(QUANTILES) * (values.shape[1] - 1)
    below, above = numpy.floor(places).astype(int), numpy.ceil(places).astype(int)
    values.partition(numpy.unique([below, above]), axis=1)  # numpy.quantile sorts along the first axis, more slowly
    low, high = values[:, below], values[:, above]
    return numpy.asarray(low + (high - low) * (places - below))


def _break_even(job: Job, along: numpy.ndarray, lines: numpy.ndarray) -> numpy.ndarray:
    program, n = _program(job), job.tape.n
    values = numpy.log(numpy.maximum(_values(program, job.engine, lines.reshape(-1)), SMALLEST_S))
    lead = (values[:, 0] - values[:, 1]).reshape(*lines.shape, n)
    lead[numpy.abs(lead) < TIE] = 0.0
    changes = lead[:, :-1] * lead[:, 1:] < 0
    rows, at, draws = numpy.arange(len(lines))[:, None], numpy.argmax(changes, axis=1), numpy.arange(n)[None, :]
    has = changes.any(axis=1)
    before, after = lead[rows, at, draws], lead[rows, at + 1, draws]
    share = numpy.divide(before, before - after, out=numpy.zeros_like(before), where=has)
    roots = numpy.exp(numpy.log(along)[at] + share * numpy.log(along[at + 1] / along[at]))
    rising = numpy.abs(lead[:, -1]) < numpy.abs(lead[:, 0])  # the two come nearer to each other along the axis
    roots = numpy.where(has, roots, numpy.where(rising, numpy.inf, 0.0))
    found = numpy.quantile(roots, QUANTILES, axis=1, method="closest_observation").T
    less = numpy.where(has, 0.0, lead.sum(axis=1))
    shares = numpy.stack([has.mean(axis=1), (less < 0).mean(axis=1), (less > 0).mean(axis=1)], axis=1)
    return numpy.concatenate([found, shares], axis=1)


SMALLEST_S = 1e-15
"""Below any cost: keeps the logarithm of none finite."""
TIE = 1e-12
"""Logarithm of a cost ratio that is rounding only."""


# Reduced while streaming: integers only, so that no order of additions can change a digit.

BUCKET_BITS = 8
"""256 buckets an octave: a quantile is off by 0.2 % at most, half the width of a bucket."""
SHIFT = 52 - BUCKET_BITS


@dataclass(frozen=True)
class Counted:
    """By point and result: the buckets of its quantiles `keys` (points, results, 3), and in how many draws it is the
    least, ties included, `wins` (points, results).
    """

    keys: numpy.ndarray
    wins: numpy.ndarray
    draws: int

    @property
    def quantiles(self) -> numpy.ndarray:
        """The middle of each bucket; 0 of what costs nothing."""
        keys = self.keys.astype(numpy.int64)
        middle = ((keys << SHIFT) + (1 << (SHIFT - 1))).view(float)
        return numpy.where(keys == 0, 0.0, middle)

    def of(self, results: numpy.ndarray) -> Counted:
        """The same of some of the results, by their places."""
        return Counted(self.keys[:, results], self.wins[:, results], self.draws)

    @property
    def shares(self) -> numpy.ndarray:
        """Share of the draws in which each is the least."""
        return self.wins / self.draws

    @property
    def least(self) -> numpy.ndarray:
        """Index of the result with the least median (points,); of several in its bucket that which is the least most
        often, then the first.
        """
        middle = self.keys[..., 1].astype(numpy.int64)
        return numpy.asarray(numpy.argmin(middle * (self.draws + 1) + (self.draws - self.wins), axis=1))


def ranks(draws: int) -> numpy.ndarray:
    """Places of the quantiles among the sorted draws."""
    return numpy.array([math.ceil(share * draws) - 1 for share in QUANTILES])


def _counted(job: Job, points: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    program, step = _program_of_all(job), max(1, TILE_VALUES // (job.tape.n * len(job.ends)))
    keys = numpy.empty((len(points), len(job.ends), len(QUANTILES)), dtype=numpy.int32)
    wins = numpy.empty(keys.shape[:2], dtype=numpy.int32)
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        values = _values(program, job.engine, points[part])
        if job.engine == "numba":
            from costmodel.cost.buckets import counted

            counted(values, ranks(job.tape.n), SHIFT, keys[part], wins[part])
        else:
            counted_by_numpy(values, ranks(job.tape.n), SHIFT, keys[part], wins[part])
    return keys, wins


def counted_by_numpy(
    values: numpy.ndarray, ranks: numpy.ndarray, shift: int, keys: numpy.ndarray, wins: numpy.ndarray
) -> None:
    """For each point, and each row of its `values` (points, rows, draws): the buckets of the values at `ranks`, and how
    often the row is the least.
    """
    wins[:] = (values <= values.min(axis=1, keepdims=True)).sum(axis=2)
    keys[:] = numpy.partition(values.view(numpy.int64) >> shift, ranks, axis=2)[..., ranks]
