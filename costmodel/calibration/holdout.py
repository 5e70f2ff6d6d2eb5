"""How well is predicted what was not fitted: groups of published rows, and cells, range decades and runs of a measured
host.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy

from costmodel import cache
from costmodel.calibration.fit import Problem, fit, prediction_factor
from costmodel.calibration.host_flush import PAGE_BYTES, Cell, FlushModel, cells_of, forms
from costmodel.errors import CostModelError
from costmodel.evidence.hosts import Profile

# Errors on groups that the fit has not seen: size, signed bias, coverage with its binomial interval.

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


# How well a measured host is predicted where it was not fitted: random cells, range decades, another run.

LEFT_OUT_FRACTION = 0.2
SEED = 1


@dataclass(frozen=True)
class HeldOut:
    """Errors of predicted run medians: |predicted / measured - 1|, and how many lay in their 90 % interval."""

    what: str
    n: int
    median_error: float
    p95_error: float
    bias: float
    covered: int
    coverage_low: float
    coverage_high: float

    @property
    def errors(self) -> str:
        """Size, bias and coverage of the errors, for a table that says elsewhere what was held out."""
        text = (
            f"n {self.n}, median error {self.median_error:.1%}, 95 % of the errors below "
            f"{self.p95_error:.1%}, bias {self.bias:+.1%}, the 90 % interval covers {self.covered} "
            f"({self.covered / self.n:.0%}, binomial {self.coverage_low:.0%} to {self.coverage_high:.0%})"
        )
        return text if self.n >= COVERAGE_TARGET_ROWS else f"{text}; no coverage target below {COVERAGE_TARGET_ROWS}"

    def sentence(self) -> str:
        """One line for a report."""
        return f"{self.what}: {self.errors}"


def held_out(profile: Profile) -> list[HeldOut]:
    """Random cells, whole range decades, and each run predicted from the others; tried once per profile and code."""
    tried = _remembered("held-out", profile, lambda: [asdict(trial) for trial in _trials(profile)])
    return [HeldOut(**trial) for trial in tried]


def _remembered(name: str, profile: Profile, build: Callable[[], object]) -> Any:
    key = cache.key_of([profile.digest], ["evidence", "calibration"])
    return json.loads(cache.recall(name, key, lambda: json.dumps(build()).encode()))


def _trials(profile: Profile) -> list[HeldOut]:
    cells = cells_of(profile)
    random = numpy.random.default_rng(SEED)
    inner = _inner(cells)
    picked = {id(cell) for cell in inner if random.random() < LEFT_OUT_FRACTION}
    decades = sorted({_decade(cell) for cell in inner})
    runs = sorted({run for cell in cells for run in cell.runs})
    trials: dict[str, tuple[list[list[Cell]], list[list[Cell]]]] = {
        "random cells": ([[c for c in cells if id(c) not in picked]], [[c for c in inner if id(c) in picked]]),
        "range decades": (
            [[c for c in cells if _decade(c) != decade or c not in inner] for decade in decades],
            [[c for c in inner if _decade(c) == decade] for decade in decades],
        ),
    }
    if len(runs) > 1:
        trials["a run left out"] = (
            [[replace(c, runs={r: v for r, v in c.runs.items() if r != run}) for c in cells] for run in runs],
            [[replace(c, runs={run: c.runs[run]}) for c in cells if run in c.runs] for run in runs],
        )
    found = []
    for what, (fitted, wanted) in trials.items():
        paged = [[c for c in own if c.range_bytes >= PAGE_BYTES] for own in wanted]
        found += [_score(what, fitted, wanted), _score(f"{what}, a page and more", fitted, paged)]
    return [entry for entry in found if entry is not None]


def repeat_run(profile: Profile, again: Profile) -> HeldOut | None:
    """The cells of another profile of the same host, each the median of its runs, predicted from this one."""
    medians = [replace(cell, runs={0: math.exp(cell.log)}) for cell in cells_of(again)]
    return _score("a repeated measurement", [cells_of(profile)], [medians])


def rivals(profile: Profile) -> dict[str, float]:
    """Median error of each form on inner ranges left out one at a time."""
    errors: dict[str, float] = _remembered("rivals", profile, lambda: _errors_of_forms(profile))
    return errors


def _errors_of_forms(profile: Profile) -> dict[str, float]:
    cells, machine = cells_of(profile), profile.machine
    model = FlushModel(cells)
    errors: dict[str, list[float]] = {}
    for name, form in forms(machine, profile.l1_bytes).items():
        for own in model.by_kind.values():
            for cell in own[1:-1]:
                predicted = form([c for c in own if c is not cell], cell.range_bytes)
                errors.setdefault(name, []).append(abs(math.expm1(predicted - cell.log)))
    return {name: float(numpy.median(found)) for name, found in errors.items()}


def _inner(cells: list[Cell]) -> list[Cell]:
    """Cells with a shorter and a longer one of their kind: only these can be interpolated."""
    return [cell for own in FlushModel(cells).by_kind.values() for cell in own[1:-1]]


def _decade(cell: Cell) -> int:
    return int(math.log10(cell.range_bytes))


def _score(what: str, fitted: list[list[Cell]], wanted: list[list[Cell]]) -> HeldOut | None:
    """Predict every run of the wanted cells from the fitted ones."""
    from scipy.stats import binomtest

    logs, inside = [], []
    for known, cells in zip(fitted, wanted, strict=True):
        model = FlushModel(known)
        for cell in cells:
            try:
                guess = model.predict(*cell.kind[:2], cell.range_bytes, cell.kind[2])
            except CostModelError:
                continue
            for value in cell.runs.values():
                logs.append(math.log(guess.line_s / value))
                low, high = guess.low_s, guess.high_s
                inside.append(low is not None and high is not None and low <= value <= high)
    if not logs:
        return None
    errors = numpy.abs(numpy.expm1(logs))
    interval = binomtest(sum(inside), len(inside)).proportion_ci(0.95)
    return HeldOut(
        what,
        len(logs),
        float(numpy.median(errors)),
        float(numpy.quantile(errors, 0.95)),
        float(numpy.mean(logs)),
        sum(inside),
        float(interval.low),
        float(interval.high),
    )
