"""Time of the calibration: each fit of `costmodel calibrate` beside lmfit, and 1,000 bootstrap refits of it.

    pip install --target /tmp/lmfit lmfit; PYTHONPATH=/tmp/lmfit python benchmarks/calibration.py [--runs N] [--out FILE]

lmfit minimises the same residuals from the same eight starts within the same bounds, by its default method (leastsq,
numeric derivatives); both must end at the same sum of squares. All in one process: imports and compiled formulas are
warm, every fit is solved anew. lmfit belongs to no extra of this package: where it is missing, only our own times count.
"""

from __future__ import annotations

import math

import numpy
from bench import WARM, Row, arguments, in_turn, nothing, timed, write

from costmodel.calibration import fit as fits
from costmodel.calibration import solver
from costmodel.calibration.calibrate import REGRESSIONS
from costmodel.evidence.store import load

SAME = 1e-6
"""Relative difference of two sums of squares that are one optimum."""
MANY = 5
"""Fits in one run: one alone is too short for the clock of CPU time."""


def by_lmfit(problem: fits.Problem) -> float:
    """Least sum of squares from the same starts."""
    import lmfit

    low, high, start = (
        [math.log(getattr(u, side)) if u.log else getattr(u, side) for u in problem.unknowns]
        for side in ("low", "high", "start")
    )
    names = [f"p{place}" for place in range(len(start))]

    def residual(found: lmfit.Parameters) -> numpy.ndarray:
        return problem.residual([found[name].value for name in names])

    least = math.inf
    for begin in solver.starts(*(numpy.array(side) for side in (start, low, high))):
        asked = lmfit.Parameters()
        for name, value, bottom, top in zip(names, begin, low, high, strict=True):
            asked.add(name, value=value, min=bottom, max=top)
        least = min(least, float(lmfit.minimize(residual, asked).chisqr))
    return least


def main() -> None:
    """One row for each fit, one for each bootstrap."""
    asked = arguments(__doc__)
    try:
        import lmfit  # noqa: F401
    except ModuleNotFoundError:
        print("lmfit is not installed: no ratio")
        rival = False
    else:
        rival = True
    rows = []
    for name, one in REGRESSIONS.items():
        problem = one.problem(load())
        result = fits._solve(problem, solver.STARTS)
        works = [(nothing, lambda problem=problem: [fits._solve(problem, solver.STARTS) for _ in range(MANY)])]
        if rival:
            least = by_lmfit(problem)
            same = math.isclose(least, float((result.residuals**2).sum()), rel_tol=SAME)
            works.append((nothing, lambda problem=problem: [by_lmfit(problem) for _ in range(MANY)]))
        (cpu, wall), *theirs = in_turn(works, asked.runs)
        row = Row(f"fit {name}", f"fit({name}), {solver.STARTS} starts", WARM, cpu, wall, MANY)
        for rival_cpu_s, _ in theirs:
            row.rival, row.rival_per = "lmfit.minimize, the same starts and bounds", MANY
            row.rival_cpu_s = rival_cpu_s
            row.note = "same optimum" if same else f"other optimum: lmfit {least:.9g}"
        rows.append(row)
        cpu, wall = timed(lambda result=result: fits.bootstrap(result), asked.runs)
        rows.append(Row(f"1,000 refits of {name}", f"bootstrap({name})", WARM, cpu, wall))
    write(rows, asked.out, "lmfit")


if __name__ == "__main__":
    main()
