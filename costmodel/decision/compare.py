"""Comparing strategies by cost: P(best), regret, corners of the prior, reruns without each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy

from costmodel.calibration.parameters import ParameterSet
from costmodel.cost.draws import Draws, medians
from costmodel.cost.scenario import Scenario
from costmodel.cost.totals import Total, total
from costmodel.decision.model import Corner
from costmodel.numbers import P_BOUNDS

CORNER_PARAMETERS = 4


@dataclass(frozen=True)
class Comparison:
    """Outcome of a comparison by CPU time stolen per event (the same work, whatever rate a closed loop reaches)."""

    winner: str
    p_best: Mapping[str, float]
    regret_s: Mapping[str, float]
    extrapolated: bool


def compare(costs: Mapping[str, Total]) -> Comparison:
    """Compare totals that all have numbers; joint draws with common parameters."""
    names = list(costs)
    stolen = numpy.stack([costs[name].event.stolen_s for name in names])
    best = stolen.min(axis=0)
    extrapolated = any(costs[name].extrapolated for name in names)
    low, high = P_BOUNDS if extrapolated else (0.0, 1.0)
    shares = {name: float(numpy.mean(row <= best)) for name, row in zip(names, stolen, strict=True)}
    regret = {name: float(numpy.mean(row - best)) for name, row in zip(names, stolen, strict=True)}
    middle = numpy.median(stolen, axis=1)
    return Comparison(
        winner=names[int(numpy.argmin(middle))],
        p_best={name: min(max(share, low), high) for name, share in shares.items()},
        regret_s=regret,
        extrapolated=extrapolated,
    )


def corners(
    strategies: Sequence[str], chosen: str, trigger: str, scenario: Scenario, parameters: ParameterSet
) -> list[Corner]:
    """Cheapest strategy at each corner of the prior: the parameters that matter most at 5 % and 95 %, the rest median."""
    names = influential(strategies, trigger, scenario, parameters)[:CORNER_PARAMETERS]
    ends = [(parameters[name].distribution.low, parameters[name].distribution.high) for name in names]
    grid = list(product(*ends))
    if not names:
        return []
    values = {name: numpy.array([point[i] for point in grid]) for i, name in enumerate(names)}
    at = Draws(
        parameters,
        len(grid),
        fixed={
            **{name: numpy.full(len(grid), entry.distribution.median) for name, entry in parameters.parameters.items()},
            **values,
        },
    )
    stolen = numpy.stack([total(trigger, name, scenario, at).event.stolen_s for name in strategies])
    own = stolen[list(strategies).index(chosen)]
    labels = [
        ", ".join(
            f"{name} {'high' if value == end[1] else 'low'}"
            for name, value, end in zip(names, point, ends, strict=True)
        )
        for point in grid
    ]
    return [
        Corner(
            corner=label,
            winner=strategies[int(numpy.argmin(stolen[:, i]))],
            regret_cpu_s_per_event=float(own[i] - stolen[:, i].min()),
        )
        for i, label in enumerate(labels)
    ]


def influential(strategies: Sequence[str], trigger: str, scenario: Scenario, parameters: ParameterSet) -> list[str]:
    """Parameters by how far the log of the cost ratio of the two cheapest strategies moves between 5 % and 95 %."""
    middle = medians(parameters)
    base = {name: total(trigger, name, scenario, middle) for name in strategies}
    ranked = sorted(strategies, key=lambda name: float(base[name].event.stolen_s[0]))[:2]
    used = sorted({name for strategy in ranked for name in base[strategy].parameters})
    swings = {}
    for name in used:
        entry = parameters[name].distribution
        if entry.shape == "fixed":
            continue
        ends = middle.with_values(**{name: numpy.array([entry.low, entry.high])})
        logs = [numpy.log(numpy.maximum(total(trigger, s, scenario, ends).event.stolen_s, 1e-15)) for s in ranked]
        ratio = logs[0] - logs[-1] if len(logs) > 1 else logs[0]
        ratio = numpy.broadcast_to(ratio, (2,))
        swings[name] = abs(float(ratio[1] - ratio[0]))
    return sorted(swings, key=lambda name: (-swings[name], name))


def winners_elsewhere(
    strategies: Sequence[str], trigger: str, scenario: Scenario, variations: Mapping[str, ParameterSet]
) -> dict[str, str]:
    """Cheapest strategy at the medians of each varied parameter set (a row or a measured machine left out).

    A variation that cannot give a number is left out: it refuses, it does not choose.
    """
    found = {}
    for label, parameters in variations.items():
        at = medians(parameters)
        costs = {name: total(trigger, name, scenario, at) for name in strategies}
        if all(cost.refused is None for cost in costs.values()):
            found[label] = min(costs, key=lambda name: float(costs[name].event.stolen_s[0]))
    return found
