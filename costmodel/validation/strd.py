"""Does the calibrator find the least squares? The 27 certified sets of NIST, from both published starts.

Each start gives two answers: that of the start alone, and the best of several starts around it. An answer may be
wrong, but not in silence: a diagnostic must say so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from costmodel.calibration import solver
from costmodel.calibration.fit import Fit, fit
from costmodel.evidence.store import Evidence
from costmodel.validation.row import Row
from costmodel.validation.strd_sets import Certified, images, load, names

DIGITS = {"Lower": 6.0, "Average": 4.0, "Higher": 4.0}
"""Digits asked for from the second start."""
RIGHT_DIGITS = 4.0
"""An answer with fewer digits is wrong."""
MOST_DIGITS = 11.0
"""NIST certifies eleven digits."""
SOURCE = "NIST StRD, nonlinear regression"


@dataclass(frozen=True)
class Answer:
    """Digits of agreement (minimum over the parameters) and what the diagnostics say, empty where nothing."""

    digits: float
    deviation_digits: float | None
    sum_digits: float
    doubt: str

    @property
    def right(self) -> bool:
        return self.digits >= RIGHT_DIGITS


def digits(estimate: numpy.ndarray | float, certified: numpy.ndarray | float) -> float:
    """-log10 of the relative error, the least over all elements, between 0 and MOST_DIGITS."""
    error = numpy.max(numpy.abs(numpy.subtract(estimate, certified)) / numpy.abs(certified))
    return float(numpy.clip(-numpy.log10(max(float(error), 10.0**-MOST_DIGITS)), 0.0, MOST_DIGITS))


def single_and_multi(known: Certified, start: int) -> tuple[Answer, Answer, Fit]:
    """The answer of a published start alone, the best of several starts around it, and the fit of the latter."""
    problem = known.problem(start)
    one, several = fit(problem, starts=1), fit(problem)
    own = one.withheld or solver.doubt(one.attempts[0], several.attempts, problem.size) or ""
    return answer(known, one, own), answer(known, several, several.withheld or ""), several


def answer(known: Certified, result: Fit, doubt: str) -> Answer:
    """Score of a fit against the certified values."""
    deviations = None
    if result.covariance is not None:
        deviations = _digits_of_image(known, numpy.sqrt(result.covariance.diagonal()), known.deviations)
    total = float(result.residuals @ result.residuals)
    return Answer(
        _digits_of_image(known, result.theta, known.values), deviations, digits(total, known.sum_of_squares), doubt
    )


def _digits_of_image(known: Certified, estimate: numpy.ndarray, certified: numpy.ndarray) -> float:
    """Digits of the best of all parameter vectors that mean the same model: two peaks may have changed places."""
    return max(digits(image, certified) for image in images(known.name, estimate))


def rows(evidence: Evidence) -> list[Row]:
    """One row per set and published start, and one over all starts that were tried."""
    found, tried = [], []
    for name in names():
        known = load(name)
        for start in (1, 2):
            one, several, result = single_and_multi(known, start)
            found.append(_row(known, start, one, several))
            tried.append((known, result))
    return [*found, _silence(tried)]


def _row(known: Certified, start: int, one: Answer, several: Answer) -> Row:
    asked = DIGITS[known.level]
    silent = [answer for answer in (one, several) if not answer.right and not answer.doubt]
    good = not silent and several.right and (start == 1 or min(one.digits, several.digits) >= asked)
    note = one.doubt if one.doubt == several.doubt else f"start alone: {one.doubt}" if one.doubt else ""
    if several.doubt and several.doubt != one.doubt:
        note = f"{note}; several: {several.doubt}" if note else f"several: {several.doubt}"
    deviations = "-" if several.deviation_digits is None else f"{several.deviation_digits:.1f}"
    return Row(
        id=f"{known.name}-{start}",
        what=f"{known.name}, {known.level.lower()} difficulty, start {start}",
        figure=f"{one.digits:.1f} digits alone, {several.digits:.1f} of several; s.d. {deviations}; "
        f"RSS {several.sum_digits:.1f}",
        target=f"at least {asked:g} digits"
        if start == 2
        else f"several starts: {RIGHT_DIGITS:g} digits; wrong alone: said so",
        verdict="pass" if good else "fail",
        source=f"{SOURCE}, {known.name}.dat",
        value=several.digits,
        unit="1",
        note=note,
        details={
            "digits_of_start_alone": one.digits,
            "digits_of_several_starts": several.digits,
            "digits_of_standard_deviations": several.deviation_digits,
            "digits_of_residual_sum_of_squares": several.sum_digits,
            "doubt_of_start_alone": one.doubt,
            "doubt_of_several_starts": several.doubt,
        },
    )


def _silence(tried: list[tuple[Certified, Fit]]) -> Row:
    """Every start that was tried, taken as if it were the only answer shown beside the others' sums of squares."""
    total = wrong = own = compared = 0
    for known, result in tried:
        for attempt in result.attempts:
            total += 1
            if _digits_of_image(known, attempt.theta, known.values) >= RIGHT_DIGITS:
                continue
            wrong += 1
            size = result.problem.size
            alone = solver.judge(attempt, (attempt,), result.problem.jacobian, size).withheld
            if alone is not None:
                own += 1
            elif solver.doubt(attempt, result.attempts, size) is not None:
                compared += 1
    silent = wrong - own - compared
    return Row(
        id="silence",
        what="answers of all starts tried, most of them far off",
        figure=f"{wrong} of {total} wrong: {own} say so alone, {compared} beside the other starts, {silent} in silence",
        target="none wrong in silence",
        verdict="pass" if silent == 0 else "fail",
        source=SOURCE,
        value=float(silent),
        unit="1",
        note="a local minimum looks like a minimum: only another start can tell",
        details={
            "starts": total,
            "wrong": wrong,
            "found_alone": own,
            "found_by_comparison": compared,
            "silent": silent,
        },
    )
