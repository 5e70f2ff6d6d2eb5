"""Speed of formula evaluation, as ratios within one run and as operation counts.

    python benchmarks/evaluate.py [points]

Compares the cached numpy form over 16,384-point chunks with one call over the full array, with the same code called
point by point, and with sympy substitution. Prints ratios, because absolute times belong to one machine.
"""

from __future__ import annotations

import sys
import time

import numpy
import sympy

from costmodel.formulas import compiled
from costmodel.formulas.catalog import FORMULAS
from costmodel.formulas.formula import symbol

NAME = "domain_flush"
POINTWISE = 2_000
SYMBOLIC = 50


def arguments(points: int) -> dict[str, numpy.ndarray | float]:
    """Random walk times, exponents and dirty shares; the rest fixed at a Milan domain."""
    random = numpy.random.default_rng(1)
    return {
        "walk_start_s": 0.0,
        "llc_bytes_per_domain": 32 * 2.0**20,
        "l2_bytes_per_core": 2.0**19,
        "line_bytes": 64.0,
        "line_empty_s": random.uniform(1e-11, 1e-10, points),
        "line_valid_s": random.uniform(1e-10, 1e-8, points),
        "valid_fraction": 0.5,
        "valid_exponent": 0.0,
        "cores_flushing": 8.0,
        "serial_exponent": random.uniform(0, 1, points),
        "smt_factor": 1.5,
        "both_siblings": 1.0,
        "dirty_fraction": random.uniform(0, 1, points),
        "domain_writeback_bytes_per_s": 2.5e10,
    }


def seconds(work, repeats: int = 5) -> float:
    """Best of `repeats` runs."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 4_000_000
    columns = arguments(points)
    chunked = seconds(lambda: max(part.max() for _, part in compiled.chunks(NAME, points, **columns))) / points
    whole = seconds(lambda: compiled.value(NAME, **columns).max()) / points
    single = arguments(1)
    pointwise = seconds(lambda: [compiled.value(NAME, **single) for _ in range(POINTWISE)]) / POINTWISE
    expression = FORMULAS[NAME].expression
    numbers = {symbol(name): float(numpy.ravel(value)[0]) for name, value in single.items()}
    symbolic = seconds(lambda: [expression.subs(numbers).evalf() for _ in range(SYMBOLIC)], 1) / SYMBOLIC
    print(f"formula {NAME}, {points} points, {sympy.count_ops(expression)} operations")
    print(f"  chunks of {compiled.CHUNK_POINTS}   1.0 x")
    for label, value in (("one full array", whole), ("point by point", pointwise), ("sympy subs", symbolic)):
        print(f"  {label:<18}{value / chunked:.3g} x slower")


if __name__ == "__main__":
    main()
