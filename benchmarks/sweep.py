"""Speed of sweeps beside the code that one would write without this package.

    python benchmarks/sweep.py [--runs N] [--out FILE]

The rivals are what one would write without this package: the whole cost of each strategy as one sympy expression,
`lambdify(numpy, cse=True)`, in 16,384-point chunks on one thread. One is given a flat column of each number, the other
one number a grid point and one a draw, shaped (points, 1) and (1, draws), so that numpy works out what only depends on
one of them once for each. Both must give our numbers. A point is one evaluation of one strategy's whole cost at one
draw.
"""

from __future__ import annotations

import math
import sys
import tracemalloc
from collections.abc import Callable

import numpy
import sympy
from bench import WARM, Row, arguments, in_turn, nothing, timed, write

import costmodel as cm
from costmodel.cost.draws import Case, Draws
from costmodel.cost.grid import Grid, _program
from costmodel.decision.swept import study_at
from costmodel.evidence.store import load
from costmodel.formulas.compiled import CHUNK_POINTS
from costmodel.formulas.recorded import Tape

FLAT = f"sympy.lambdify(numpy, cse=True), {CHUNK_POINTS}-point chunks"
BROADCAST = f"sympy.lambdify(numpy, cse=True), (points, 1) x (1, draws), {CHUNK_POINTS}-point chunks"
SAME = 1e-9
"""Relative difference of two numbers that are one."""
COMPILED = "compiled code warm"
DRAWS = 512
STRATEGIES = ("WBINVD_ALL", "WBNOINVD_ALL", "WBNOINVD_MASK", "CLFLUSHOPT_UVA", "CLFLUSHOPT_DM_PINNED")
AXES = {
    "range_bytes": numpy.geomspace(4096, 2.0**30, 25),
    "cpus": numpy.array([1, 2, 4, 8, 16, 64, 128, 256.0]),
    "rate_per_s": numpy.geomspace(0.1, 1e4, 5),
    "cache_bytes": numpy.geomspace(2.0**22, 2.0**29, 5),
}
SYMPY: dict[str, Callable[..., sympy.Expr]] = {
    "add": lambda a, b: sympy.Add(a, b, evaluate=False),
    "subtract": lambda a, b: sympy.Add(a, -b, evaluate=False),
    "multiply": lambda a, b: sympy.Mul(a, b, evaluate=False),
    "divide": lambda a, b: sympy.Mul(a, sympy.Pow(b, -1, evaluate=False), evaluate=False),
    "power": lambda a, b: sympy.Pow(a, b, evaluate=False),
    "minimum": lambda a, b: sympy.Min(a, b, evaluate=False),
    "maximum": lambda a, b: sympy.Max(a, b, evaluate=False),
    "ceil": lambda a: sympy.ceiling(a, evaluate=False),
    "greater": lambda a, b: sympy.Gt(a, b, evaluate=False),
    "where": lambda condition, a, b: sympy.Piecewise((a, condition), (b, True)),
}
"""Operations of a tape in sympy, as they stand: sympy would compare the arguments of each Max for minutes."""


def symbolic(tape: Tape, end: int) -> tuple[sympy.Expr, list[tuple[sympy.Symbol, str | int]]]:
    """A recorded cost as one sympy expression, and where the value of each symbol comes from: an axis, an array."""
    values, symbols = {}, []
    for place in tape.needed([end]):
        node = tape.nodes[place]
        if node.operation in ("input", "draws"):
            values[place] = sympy.Symbol(f"v{place}", positive=True)
            symbols.append((values[place], node.told))
        elif node.operation == "constant":
            values[place] = sympy.Float(node.told)
        else:
            values[place] = SYMPY[node.operation](*(values[part] for part in node.parts))
    return values[end], symbols


def rivals(grid: Grid, points: numpy.ndarray) -> dict[str, Callable[[], numpy.ndarray]]:
    """All strategies at some grid points and all draws in chunks that stay in the L2 cache, by the form of the arrays."""
    index = dict(zip(grid.axes, numpy.unravel_index(points, grid.shape), strict=True))
    flat, broadcast = [], []
    for name in STRATEGIES:
        expression, symbols = symbolic(grid.tape, grid.cost(name).end)
        function = sympy.lambdify([symbol for symbol, _ in symbols], expression, "numpy", cse=True)
        told = [
            grid.axes[source][index[source]][:, None] if isinstance(source, str) else grid.tape.arrays[source][None, :]
            for _, source in symbols
        ]
        broadcast.append((function, told))
        flat.append((function, [numpy.broadcast_to(one, (len(points), DRAWS)).ravel() for one in told]))

    def by_flat() -> numpy.ndarray:
        found = numpy.empty((len(STRATEGIES), len(points) * DRAWS))
        with numpy.errstate(all="ignore"):
            for row, (function, columns) in zip(found, flat, strict=True):
                for start in range(0, len(row), CHUNK_POINTS):
                    part = slice(start, start + CHUNK_POINTS)
                    row[part] = function(*(column[part] for column in columns))
        return found.reshape(len(STRATEGIES), len(points), DRAWS)

    def by_broadcast() -> numpy.ndarray:
        found = numpy.empty((len(STRATEGIES), len(points), DRAWS))
        with numpy.errstate(all="ignore"):
            for table, (function, told) in zip(found, broadcast, strict=True):
                for start in range(0, len(points), CHUNK_POINTS // DRAWS):
                    part = slice(start, start + CHUNK_POINTS // DRAWS)
                    table[part] = function(*(one if len(one) == 1 else one[part] for one in told))
        return found

    return {FLAT: by_flat, BROADCAST: by_broadcast}


def main() -> None:
    """Evaluation with each engine beside the rivals, a whole sweep, streaming reductions and memory."""
    given = arguments(__doc__)
    case = cm.case("sev", "epyc-7763-2s", cpus_that_ran=8)
    study = study_at(load(), case.scenario)
    asked = Case(study.trigger.id, case.scenario, Draws(study.parameters, DRAWS))
    grids = {engine: Grid(asked, STRATEGIES, AXES, engine) for engine in ("numpy", "numba")}
    points = numpy.arange(0, grids["numpy"].points, 20)
    values = len(points) * DRAWS * len(STRATEGIES)
    rows = []
    theirs = rivals(grids["numpy"], points)
    ours = {}
    for engine, grid in grids.items():
        program = _program(grid.job([grid.cost(name) for name in STRATEGIES]))
        run = program.by_numba if engine == "numba" else program.by_numpy
        ours[engine] = lambda run=run: run(points)
    expected = numpy.moveaxis(ours["numpy"](), 1, 0)
    for name, work in {**theirs, **ours}.items():
        found = work() if name in theirs else numpy.moveaxis(work(), 1, 0)
        if not numpy.allclose(found, expected, rtol=SAME, atol=0.0, equal_nan=True):
            sys.exit(f"other numbers: {name}")
    names = [*theirs, *ours]
    times = dict(zip(names, in_turn([(nothing, work) for work in (theirs | ours).values()], given.runs), strict=True))
    for engine in ours:
        for rival, form in ((FLAT, ""), (BROADCAST, ", beside arrays that broadcast")):
            beside = {"rival": rival, "rival_cpu_s": times[rival][0], "rival_per": values / 1e6}
            target = f"1e6 points, {engine}{form}"
            rows.append(Row(target, f"Grid(engine={engine!r})", COMPILED, *times[engine], values / 1e6, **beside))
    lengths, taken = [], []
    for count in (25, 100, 400):
        axes = AXES | {"range_bytes": numpy.geomspace(4096, 2.0**30, count)}
        grid = Grid(asked, STRATEGIES, axes, "numba")
        costs = [grid.cost(name) for name in STRATEGIES]
        grid.counted(costs)
        own = timed(lambda grid=grid, costs=costs: grid.counted(costs), 3)
        lengths.append(grid.points)
        taken.append(min(own[0]))
    slope = float(numpy.polyfit(numpy.log(lengths), numpy.log(taken), 1)[0])
    million = grid.points * DRAWS * len(STRATEGIES) / 1e6
    linear = f"CPU time over points: log-log slope {slope:.3f}"
    rows.append(Row("1e6 points reduced", "sweep --reduce cheapest, numba", COMPILED, *own, million, note=linear))

    def four_axes() -> object:
        return case.sweep(range_bytes=numpy.geomspace(4096, 2.0**30, 25), cpus=AXES["cpus"],
                          rate_per_s=numpy.geomspace(0.1, 1e4, 10), cache_bytes=AXES["cache_bytes"])  # fmt: skip

    four_axes()
    sweep = timed(four_axes, given.runs)
    grid = grids["numba"]
    grid.values(grid.cost("WBNOINVD_MASK"))
    tracemalloc.start()
    kept = grid.values(grid.cost("WBNOINVD_MASK"))
    memory = f"a point kept takes {tracemalloc.get_traced_memory()[1] / kept.size:.2g} bytes more"
    tracemalloc.stop()
    rows.append(Row("sweep of 1e4 points, 512 draws", "case.sweep over four axes", WARM, *sweep, note=memory))
    axes = AXES | {"range_bytes": numpy.geomspace(4096, 2.0**30, math.ceil(1e9 / (DRAWS * len(STRATEGIES) * 200)))}
    grid = Grid(asked, STRATEGIES, axes, "numba")
    costs = [grid.cost(name) for name in STRATEGIES]
    own = timed(lambda: grid.counted(costs), given.runs)
    rows.append(Row("1e9 points reduced", "the same", COMPILED, *own, note=f"{min(own[1]):.3g} s wall at best"))
    write(rows, given.out, "numba")


if __name__ == "__main__":
    main()
