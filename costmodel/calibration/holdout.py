"""Errors on groups that the fit has not seen: size, signed bias, coverage with its binomial interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy

from costmodel.calibration.fit import Problem, fit, prediction_factor

COVERAGE_TARGET_ROWS = 100
"""A coverage target is set only from this many rows on."""


@dataclass(frozen=True)
class HoldOut:
    """Result of leaving out each group in turn.

    `error` is the median of |predicted/observed - 1|, `bias` the mean of ln(predicted/observed), `covered` of `n`
    rows lay inside their 90 % prediction interval; `refused` groups could not be predicted (the rest lost rank).
    """

    groups: int
    n: int
    error: float | None
    bias: float | None
    covered: int | None
    coverage_low: float | None
    coverage_high: float | None
    refused: tuple[str, ...]

    def sentence(self) -> str:
        """One line for a report."""
        if self.n == 0:
            return "no group could be left out: " + ", ".join(self.refused)
        text = f"left out {self.groups} groups, {self.n} rows: median error {self.error:.0%}, bias {self.bias:+.0%}"
        if self.covered is not None:
            text += f", 90 % interval covers {self.covered}/{self.n}"
            text += f" (binomial {self.coverage_low:.0%} to {self.coverage_high:.0%})"
            if self.n < COVERAGE_TARGET_ROWS:
                text += f"; no target below {COVERAGE_TARGET_ROWS} rows"
        if self.refused:
            text += f"; not predictable without itself: {', '.join(self.refused)}"
        return text


def leave_groups_out(problem: Problem) -> HoldOut:
    """Refit without each group of `problem` and predict it."""
    logs: list[float] = []
    inside: list[bool] = []
    refused: list[str] = []
    groups = sorted(set(problem.groups))
    labels = numpy.array(problem.groups)
    for group in groups:
        out = labels == group
        rest = problem.take(~out)
        if len(rest.observed) < len(problem.unknowns):
            refused.append(group)
            continue
        result = fit(rest)
        if result.rank < len(problem.unknowns):
            refused.append(group)
            continue
        held = problem.take(out)
        predicted = held.predict(result.theta)
        ratio = numpy.log(predicted / held.observed)
        logs.extend(ratio.tolist())
        if result.covariance is not None:
            for row, gradient in zip(ratio, held.jacobian(result.theta), strict=True):
                inside.append(abs(row) <= math.log(prediction_factor(result, gradient)))
    if not logs:
        return HoldOut(0, 0, None, None, None, None, None, tuple(refused))
    covered = low = high = None
    if len(inside) == len(logs):
        from scipy.stats import binomtest

        covered = int(sum(inside))
        interval = binomtest(covered, len(inside)).proportion_ci(0.95)
        low, high = float(interval.low), float(interval.high)
    errors = numpy.abs(numpy.expm1(logs))
    return HoldOut(
        len(groups) - len(refused),
        len(logs),
        float(numpy.median(errors)),
        float(numpy.mean(logs)),
        covered,
        low,
        high,
        tuple(refused),
    )
