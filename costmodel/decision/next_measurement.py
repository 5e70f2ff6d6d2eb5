"""What to measure next: the parameter whose knowledge would lower the probability of choosing wrongly the most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from costmodel.calibration.parameters import ParameterSet
from costmodel.cost.draws import uniforms
from costmodel.decision.model import Sensitivity
from costmodel.decision.policy import Study
from costmodel.numbers import P_BOUNDS, probability

SLICES = 64
"""Parts of the joint distribution within which the parameters of a measurement count as known."""
ENOUGH_SOBOL = 0.05
ENOUGH_DROP = 0.005
"""A drop below this is sampling noise at 4096 draws."""


@dataclass(frozen=True)
class Drop:
    """P(wrong) as it is, and expected once `measurement` has been made."""

    measurement: str
    now: float
    then: float


def drops(study: Study, parameters: ParameterSet) -> list[Drop]:
    """Expected drop of P(wrong strategy) per measurement, largest first; empty where cost does not decide.

    A measurement tells all parameters that name it. What slicing at random would seem to tell is taken off.
    """
    if study.comparison is None:
        return []
    costs = study.costed
    best = numpy.argmin(numpy.stack([cost.event.stolen_s for cost in costs.values()]), axis=0)
    now = 1.0 - float(numpy.bincount(best).max()) / len(best)
    told: dict[str, list[str]] = {}
    for name in sorted({name for cost in costs.values() for name in cost.parameters}):
        if parameters[name].distribution.shape != "fixed":
            told.setdefault(parameters[name].next_measurement, []).append(name)
    found = []
    for measurement, names in told.items():
        known = _wrong_within(best, _slices(names, study.draws.n))
        chance = _wrong_within(best, _slices([f"unrelated to {name}" for name in names], study.draws.n))
        found.append(Drop(measurement, now, now - max(0.0, chance - known)))
    return sorted(found, key=lambda drop: (drop.then, drop.measurement))


def _slices(names: Sequence[str], n: int) -> numpy.ndarray:
    """Index of the slice of each draw: the joint distribution of the parameters cut into about SLICES parts."""
    each = max(2, round(SLICES ** (1 / len(names))))
    index = numpy.zeros(n, dtype=int)
    for name in names:
        index = index * each + numpy.minimum((uniforms(name, n) * each).astype(int), each - 1)
    return index


def _wrong_within(best: numpy.ndarray, slices: numpy.ndarray) -> float:
    """Share of the draws in which the most frequent winner of their slice does not win."""
    counts = numpy.zeros((slices.max() + 1, best.max() + 1))
    numpy.add.at(counts, (slices, best), 1)
    return 1.0 - float(counts.max(axis=1).sum()) / len(best)


def measure_next(study: Study | None, parameters: ParameterSet, ranked: Sequence[Sensitivity]) -> list[str]:
    """Measurements, each once: by the drop of P(wrong) where cost decides, then by what moves the cost most (`ranked`)."""
    if study is None or study.chosen is None:
        return []
    found: dict[str, str] = {}
    for drop in drops(study, parameters):
        if drop.now - drop.then >= ENOUGH_DROP:
            marked = study.comparison.extrapolated
            now, then = (probability(_bounded(p, marked), extrapolated=marked) for p in (drop.now, drop.then))
            found[drop.measurement] = f"P(wrong strategy) would fall from {now} to {then} on average"
    for entry in ranked:
        if entry.sobol_total > ENOUGH_SOBOL:
            found.setdefault(parameters[entry.parameter].next_measurement, "narrows the cost, not the choice")
    return [f"{what} ({why})" for what, why in found.items()]


def _bounded(share: float, extrapolated: bool) -> float:
    return min(max(share, P_BOUNDS[0]), P_BOUNDS[1]) if extrapolated else share
