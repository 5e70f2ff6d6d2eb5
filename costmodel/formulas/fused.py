"""A recorded calculation over all points of a grid and all draws at once, by numpy or compiled by numba.

What hangs on the point alone is calculated once for each point, what hangs on the draw alone once for each draw. What
takes both, but the same numbers at many points of the grid (a power of the number of cores that flush), is looked up in
a table that holds each of its rows once. Only the rest is calculated for each point and draw.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy

from costmodel.cache import folder_of
from costmodel.errors import INSTALL, BadInput
from costmodel.formulas.compiled import CHUNK_POINTS
from costmodel.formulas.recorded import LEAVES, Recorded, Tape
from costmodel.hashing import value_hash, write_beside

DEAR = ("power", "exp", "expm1", "log", "log1p", "sqrt")
"""Operations that take many times an addition: worth a table wherever rows repeat."""
REPEATS = 2
"""A table is made where its rows would be calculated so many times and more."""
TABLE_VALUES = 2**22
"""The longest table, 32 MB."""
LONGEST_SEARCH = 2**20
"""Points among which rows that repeat are looked for."""


@dataclass(frozen=True)
class Rows:
    """Points of a grid that give other rows: `first` (k,) has one point of each, `of` the row of each point, by its
    place in the grid of the axes `over` alone.
    """

    over: tuple[str, ...]
    first: numpy.ndarray
    of: numpy.ndarray


def regrouped(tape: Tape, ends: Sequence[int]) -> tuple[Tape, list[int]]:
    """The same results with the factors of each product, and the terms of each sum, in another order: first those of
    the point alone and those of the draw alone, which cost nothing for each point and draw. A division by such a one
    becomes a factor. Results differ by rounding only.
    """
    order, new = tape.needed(ends), Tape(tape.n)
    uses = Counter([part for place in order for part in tape.nodes[place].parts] + list(ends))
    lists: dict[int, list[tuple[Recorded, bool]]] = {}
    values: dict[int, Recorded] = {}

    def kind(value: Recorded) -> str:
        node = new.nodes[value.place]
        return node.operation if node.operation in ("draws", "constant") else "drawn" if mixed(value) else "point"

    hangs: dict[int, bool] = {}

    def mixed(value: Recorded) -> bool:
        if value.place not in hangs:
            node = new.nodes[value.place]
            parts = [mixed(Recorded(new, part)) for part in node.parts]
            hangs[value.place] = node.operation == "draws" or any(parts)
        return hangs[value.place]

    def folded(items: list[tuple[Recorded, bool]], join: str, undo: str) -> Recorded:
        """Items that are joined (False) or undone (True), those that can be had for nothing first."""
        neutral = Recorded(new, new.place_of(1.0 if join == "multiply" else 0.0))
        free: dict[str, Recorded] = {}
        kept: dict[bool, Recorded] = {}
        for item, undone in items:
            what = kind(item)
            if what == "drawn":
                kept[undone] = new.add(join, [kept[undone], item]) if undone in kept else item
            else:
                before = free.get(what, neutral)
                free[what] = new.add(undo if undone else join, [before, item])
        found = kept.get(False, neutral)
        for what in ("draws", "point", "constant"):
            if what in free:
                found = new.add(join, [found, free[what]])
        return new.add(undo, [found, kept[True]]) if True in kept else found

    def items_of(place: int, undone: bool, joins: tuple[str, str]) -> list[tuple[Recorded, bool]]:
        """The factors or terms that a node is made of, where nothing else needs the node itself."""
        if tape.nodes[place].operation in joins and uses[place] == 1:
            return [(item, of != undone) for item, of in lists[place]]
        return [(values[place], undone)]

    for place in order:
        node = tape.nodes[place]
        joins = next((pair for pair in (("multiply", "divide"), ("add", "subtract")) if node.operation in pair), None)
        if node.operation == "input":
            values[place] = new.input(str(node.told))
        elif node.operation in LEAVES:
            values[place] = Recorded(new, new.place_of(tape.value_of(place)))
        elif joins:
            first, second = node.parts
            lists[place] = items_of(first, False, joins) + items_of(second, node.operation == joins[1], joins)
            values[place] = folded(lists[place], *joins)
        else:
            values[place] = new.add(node.operation, [values[part] for part in node.parts])
    return new, [values[end].place for end in ends]


class Program:
    """Results `ends` of a tape over a grid: `axes` has the values of each input, the last varies fastest."""

    def __init__(self, tape: Tape, ends: Sequence[int], axes: Mapping[str, numpy.ndarray]) -> None:
        self.tape, self.ends = tape, list(ends)
        self.axes = {name: numpy.asarray(values, dtype=float) for name, values in axes.items()}
        self.shape = tuple(len(values) for values in self.axes.values())
        self.points = math.prod(self.shape)
        self._over: list[frozenset[str]] = []
        self._drawn: list[bool] = []
        for node in tape.nodes:
            own = frozenset([str(node.told)]) if node.operation == "input" else frozenset()
            self._over.append(own.union(*(self._over[part] for part in node.parts)))
            self._drawn.append(node.operation == "draws" or any(self._drawn[part] for part in node.parts))
        self._tables: dict[int, tuple[Rows, numpy.ndarray]] = {}
        for place in tape.needed(self.ends):
            if tape.nodes[place].operation in DEAR and self._mixed(place):
                self._tabulate(place)

    def _mixed(self, place: int) -> bool:
        return bool(self._over[place]) and self._drawn[place]

    def _tabulate(self, place: int) -> None:
        rows = self.rows(place)
        if len(rows.first) * REPEATS <= self.points and len(rows.first) * self.tape.n <= TABLE_VALUES:
            self._tables[place] = rows, self.by_numpy(rows.first, [place])[:, 0]

    def tabulate_ends(self) -> None:
        """Calculate results once for each of their rows where these repeat: for results that are asked for at all
        points together.
        """
        for end in set(self.ends):
            if self._mixed(end) and end not in self._tables:
                self._tabulate(end)

    def rows(self, end: int) -> Rows:
        """The points at which a result differs, as far as the numbers tell that go into it."""
        over = tuple(name for name in self.axes if name in self._over[end])
        shape = tuple(len(self.axes[name]) for name in over)
        points = math.prod(shape)
        if points > LONGEST_SEARCH or not over:
            first, of = numpy.arange(points), numpy.arange(points)
        else:
            known = self._inputs(dict(zip(over, numpy.unravel_index(numpy.arange(points), shape), strict=True)))
            ends = self._of_the_point([end], {})
            told = numpy.stack([numpy.broadcast_to(a, points) for a in self.tape.carried_out(ends, known)], axis=1)
            _, first, of = numpy.unique(told, axis=0, return_index=True, return_inverse=True)
            order = numpy.argsort(first)
            rank = numpy.empty_like(order)
            rank[order] = numpy.arange(len(order))
            first, of = first[order], rank[of.reshape(-1)]
        index = dict(zip(over, numpy.unravel_index(first, shape), strict=True)) if over else {}
        nothing = numpy.zeros(len(first), dtype=int)
        everywhere = [index.get(name, nothing) for name in self.axes]
        return Rows(over, numpy.asarray(numpy.ravel_multi_index(everywhere, self.shape)), of)

    def rows_at(self, rows: Rows, points: numpy.ndarray) -> numpy.ndarray:
        """The row of each of `points`."""
        if not rows.over:
            return numpy.zeros(len(points), dtype=int)
        index = dict(zip(self.axes, numpy.unravel_index(points, self.shape), strict=True))
        shape = tuple(len(self.axes[name]) for name in rows.over)
        return numpy.asarray(rows.of[numpy.ravel_multi_index([index[name] for name in rows.over], shape)])

    def _of_the_point(self, ends: Sequence[int], known: Mapping[int, Any]) -> list[int]:
        """Numbers of the point alone that what differs from draw to draw is calculated with, and `ends` that are."""
        nodes, needed = self.tape.nodes, self.tape.needed(ends, known)
        found = {part for place in needed if self._drawn[place] for part in nodes[place].parts} | set(ends)
        return sorted(place for place in found if self._over[place] and not self._drawn[place])

    def _inputs(self, index: Mapping[str, numpy.ndarray]) -> dict[int, numpy.ndarray]:
        return {
            place: self.axes[str(node.told)][index[str(node.told)]]
            for place, node in enumerate(self.tape.nodes)
            if node.operation == "input" and node.told in index
        }

    def at(self, points: numpy.ndarray) -> dict[int, numpy.ndarray]:
        """Values of the inputs at `points`, by place."""
        return self._inputs(dict(zip(self.axes, numpy.unravel_index(points, self.shape), strict=True)))

    def by_numpy(self, points: numpy.ndarray, ends: Sequence[int] | None = None) -> numpy.ndarray:
        """Results (points, ends, draws) at some points, in pieces that stay in the cache."""
        wanted = self.ends if ends is None else list(ends)
        found = numpy.empty((len(points), len(wanted), self.tape.n))
        step = max(1, CHUNK_POINTS // self.tape.n)
        for start in range(0, len(points), step):
            part = points[start : start + step]
            known = {place: column[:, None] for place, column in self.at(part).items()}
            needed = set(self.tape.needed(wanted, self._tables))
            for place, (rows, table) in self._tables.items():
                if place in wanted or any(place in self.tape.nodes[one].parts for one in needed):
                    known[place] = table[self.rows_at(rows, part)]
            for k, result in enumerate(self.tape.carried_out(wanted, known)):
                found[start : start + step, k] = result
        return found

    def by_numba(self, points: numpy.ndarray, found: numpy.ndarray | None = None) -> numpy.ndarray:
        """The same from one compiled loop, which writes no intermediate result; releases the GIL."""
        code, numbers, tables = self._code, self._numbers, self._tables
        scalars = self.tape.carried_out(code.scalars, self.at(points))
        columns = numpy.empty((len(points), max(1, len(scalars))))
        for k, column in enumerate(scalars):
            columns[:, k] = column
        rows = numpy.empty((len(points), max(1, len(code.tables))), dtype=numpy.int64)
        for k, place in enumerate(code.tables):
            rows[:, k] = self.rows_at(tables[place][0], points) + self._offsets[k]
        if found is None:
            found = numpy.empty((len(points), len(self.ends), self.tape.n))
        compiled(code.source)(columns, rows, *numbers, found)
        return found

    @cached_property
    def _code(self) -> Code:
        return self._written()

    @cached_property
    def _offsets(self) -> list[int]:
        """Where each table begins in all of them, one below the other."""
        return [0, *numpy.cumsum([len(self._tables[place][1]) for place in self._code.tables]).tolist()]

    @cached_property
    def _numbers(self) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
        """Constants, arrays of draws and tables of the loop."""
        nodes, empty = self.tape.nodes, numpy.empty((0, self.tape.n))
        constants = numpy.array([float(nodes[place].told) for place in self._code.constants])
        arrays = [self.tape.arrays[int(nodes[place].told)][None, :] for place in self._code.arrays]
        tables = [self._tables[place][1] for place in self._code.tables]
        return constants, numpy.concatenate([empty, *arrays]), numpy.concatenate([empty, *tables])

    def _written(self) -> Code:
        nodes, drawn = self.tape.nodes, self._drawn
        needed = self.tape.needed(self.ends, self._tables)
        used = {part for place in needed if drawn[place] for part in nodes[place].parts} | set(self.ends)
        tables = sorted(used & set(self._tables))
        scalars = self._of_the_point(self.ends, self._tables)
        constants = sorted(place for place in used if nodes[place].operation == "constant")
        arrays = sorted(place for place in used if nodes[place].operation == "draws")
        names = {place: f"s{k}" for k, place in enumerate(scalars)} | {
            place: f"c{k}" for k, place in enumerate(constants)
        }
        head = [f"    c{k} = constants[{k}]" for k in range(len(constants))]
        each = [f"        s{k} = scalars[point, {k}]" for k in range(len(scalars))]
        each += [f"        t{k} = tables[rows[point, {k}]]" for k in range(len(tables))]
        each += [f"        o{k} = found[point, {k}]" for k in range(len(self.ends))]
        head += [f"    r{k} = arrays[{k}]" for k in range(len(arrays))]
        names |= {place: f"t{k}[draw]" for k, place in enumerate(tables)}
        names |= {place: f"r{k}[draw]" for k, place in enumerate(arrays)}
        loops = []
        for k, end in enumerate(self.ends):
            loops.append("        for draw in range(found.shape[2]):")
            for place in self.tape.needed([end], self._tables):
                if drawn[place] and place not in arrays:
                    parts = [names.get(part, f"x{part}") for part in nodes[place].parts]
                    loops.append(f"            x{place} = {LINES[nodes[place].operation].format(*parts)}")
            loops.append(f"            o{k}[draw] = {names.get(end, f'x{end}')}")
        lines = ["def run(scalars, rows, constants, arrays, tables, found):", *head]
        lines += ["    for point in range(found.shape[0]):", *each, *loops]
        return Code("\n".join(lines) + "\n", scalars, tables, constants, arrays)


@dataclass(frozen=True)
class Code:
    """The loop over points and draws in Python, and the places of what it is given."""

    source: str
    scalars: list[int]
    tables: list[int]
    constants: list[int]
    arrays: list[int]


LINES = {
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "divide": "{} / {}",
    "power": "{} ** {}",
    "negative": "-{}",
    "minimum": "{0} if {0} < {1} else {1}",
    "maximum": "{0} if {0} > {1} else {1}",
    "ceil": "math.ceil({})",
    "floor": "math.floor({})",
    "sqrt": "math.sqrt({})",
    "square": "{0} * {0}",
    "exp": "math.exp({})",
    "expm1": "math.expm1({})",
    "log": "math.log({})",
    "log1p": "math.log1p({})",
    "greater": "{} > {}",
    "greater_equal": "{} >= {}",
    "less": "{} < {}",
    "less_equal": "{} <= {}",
    "equal": "{} == {}",
    "not_equal": "{} != {}",
    "where": "{1} if {0} else {2}",
    "as_number": "1.0 if {} else 0.0",
}
"""What recorded.OPERATIONS are in the compiled loop: the same results for numbers that are none of NaN."""


@lru_cache(maxsize=64)
def compiled(source: str) -> Any:
    """The loop `run` of `source`, compiled by numba."""
    folder, name = _folder(), f"costmodel_fused_{value_hash(source)}"
    path = folder / f"{name}.py" if folder else Path(f"<{name}>")
    if folder and not path.exists():  # numba keys what it keeps by the file of a function, and finds it by its module
        write_beside(path, source)
    module = sys.modules[name] = ModuleType(name)
    module.__dict__["math"] = math
    exec(compile(source, str(path), "exec"), module.__dict__)
    return jitted(module.run)


def jitted(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled by numba, which releases the GIL; kept in the user's cache. Raises BadInput without numba."""
    try:
        import numba
    except ModuleNotFoundError:
        raise BadInput("numba is not installed", field="--engine", remedy=INSTALL.format("fast")) from None
    folder, settings = _folder(), cast(Any, numba.config)
    before = settings.CACHE_DIR
    settings.CACHE_DIR = str(folder or before)
    try:
        compiled = numba.njit(nogil=True, error_model="numpy", cache=folder is not None)(function)
    finally:
        settings.CACHE_DIR = before
    return cast(Callable[..., Any], compiled)


@lru_cache(maxsize=1)
def _folder() -> Path | None:
    return folder_of("fused")
