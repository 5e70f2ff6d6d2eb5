"""Speed of sweeps, as ratios within one run, in JSON.

    python benchmarks/sweep.py [--full]

The rival is what one would write without this package: the whole cost of each strategy as one sympy expression,
`lambdify(numpy, cse=True)`, in 16,384-point chunks on one thread. A point is one evaluation of one strategy's whole
cost at one draw. `--full` reduces 1e9 points as well. Best and median of ROUNDS.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from importlib.metadata import version

import numpy
import sympy

import costmodel as cm
from costmodel.cost.draws import Case, Draws
from costmodel.cost.grid import Grid, _program
from costmodel.decision.swept import study_at
from costmodel.evidence.store import load
from costmodel.formulas.compiled import CHUNK_POINTS
from costmodel.formulas.recorded import Tape

ROUNDS = 5
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


def timed(work: Callable[[], object], rounds: int = ROUNDS) -> dict[str, float]:
    """CPU and wall seconds of `work`: best and median."""
    cpu, wall = [], []
    for _ in range(rounds):
        start = time.process_time(), time.perf_counter()
        work()
        cpu.append(time.process_time() - start[0])
        wall.append(time.perf_counter() - start[1])
    found = {"cpu_s": min(cpu), "cpu_s_median": statistics.median(cpu)}
    return found | {"wall_s": min(wall), "wall_s_median": statistics.median(wall), "rounds": rounds}


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


def rival(grid: Grid, points: numpy.ndarray) -> Callable[[], None]:
    """All strategies at some grid points and all draws, flat columns in chunks that stay in the L2 cache."""
    work = []
    index = dict(zip(grid.axes, numpy.unravel_index(points, grid.shape), strict=True))
    for name in STRATEGIES:
        expression, symbols = symbolic(grid.tape, grid.cost(name).end)
        function = sympy.lambdify([symbol for symbol, _ in symbols], expression, "numpy", cse=True)
        columns = [
            numpy.repeat(grid.axes[told][index[told]], DRAWS)
            if isinstance(told, str)
            else numpy.tile(grid.tape.arrays[told], len(points))
            for _, told in symbols
        ]
        work.append((function, columns))
    found = numpy.empty(len(points) * DRAWS)

    def run() -> None:
        with numpy.errstate(all="ignore"):
            for function, columns in work:
                for start in range(0, len(found), CHUNK_POINTS):
                    part = slice(start, start + CHUNK_POINTS)
                    found[part] = function(*(column[part] for column in columns))

    return run


def main() -> None:
    """Print one JSON document."""
    case = cm.case("sev", "epyc-7763-2s", cpus_that_ran=8)
    study = study_at(load(), case.scenario)
    asked = Case(study.trigger.id, case.scenario, Draws(study.parameters, DRAWS))
    found: dict[str, object] = {}
    grids = {engine: Grid(asked, STRATEGIES, AXES, engine) for engine in ("numpy", "numba")}
    points = numpy.arange(0, grids["numpy"].points, 20)
    values = len(points) * DRAWS * len(STRATEGIES)
    slow = timed(rival(grids["numpy"], points))
    found["rival"] = slow | {"ns_per_point": slow["cpu_s"] / values * 1e9}
    for engine, grid in grids.items():
        program = _program(grid.job([grid.cost(name) for name in STRATEGIES]))
        run = program.by_numba if engine == "numba" else program.by_numpy
        run(points[:2])
        own = timed(lambda run=run: run(points))
        found[engine] = own | {"ns_per_point": own["cpu_s"] / values * 1e9, "times": slow["cpu_s"] / own["cpu_s"]}
    lengths, taken = [], []
    for count in (25, 100, 400):
        axes = AXES | {"range_bytes": numpy.geomspace(4096, 2.0**30, count)}
        grid = Grid(asked, STRATEGIES, axes, "numba")
        costs = [grid.cost(name) for name in STRATEGIES]
        grid.counted(costs)
        lengths.append(grid.points)
        taken.append(timed(lambda grid=grid, costs=costs: grid.counted(costs), 3)["cpu_s"])
    slope = numpy.polyfit(numpy.log(lengths), numpy.log(taken), 1)[0]
    found["reduced"] = {"grid_points": lengths, "cpu_s": taken, "log_log_slope": float(slope)}
    found["sweep of 1e4 points, 512 draws"] = timed(
        lambda: case.sweep(range_bytes=numpy.geomspace(4096, 2.0**30, 25), cpus=AXES["cpus"],
                           rate_per_s=numpy.geomspace(0.1, 1e4, 10), cache_bytes=AXES["cache_bytes"])
    )  # fmt: skip
    grid = grids["numba"]
    grid.values(grid.cost("WBNOINVD_MASK"))
    tracemalloc.start()
    kept = grid.values(grid.cost("WBNOINVD_MASK"))
    found["memory"] = {"bytes_per_point_kept": tracemalloc.get_traced_memory()[1] / kept.size}
    tracemalloc.stop()
    if "--full" in sys.argv:
        axes = AXES | {"range_bytes": numpy.geomspace(4096, 2.0**30, math.ceil(1e9 / (DRAWS * len(STRATEGIES) * 200)))}
        grid = Grid(asked, STRATEGIES, axes, "numba")
        costs = [grid.cost(name) for name in STRATEGIES]
        total = grid.points * DRAWS * len(STRATEGIES)
        found["1e9 reduced points"] = timed(lambda: grid.counted(costs), 2) | {"points": total}
    names = ("numpy", "numba", "sympy", "pandas")
    machine = {"cpu": platform.processor() or platform.machine(), "cpus": len(os.sched_getaffinity(0))}
    machine |= {"load": os.getloadavg(), "python": platform.python_version()} | {name: version(name) for name in names}
    print(json.dumps({"machine": machine, "caches": "compiled code warm", **found}, indent=2))


if __name__ == "__main__":
    main()
