"""Flip conditions: values of an axis or a parameter beyond which another admissible strategy is cheapest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from costmodel.calibration.parameters import ParameterSet
from costmodel.cost.axes import AXES
from costmodel.cost.crossing import crossings
from costmodel.cost.draws import Draws, medians
from costmodel.cost.scenario import Scenario
from costmodel.cost.totals import event_of
from costmodel.decision.model import Flip
from costmodel.kvm.strategies import STRATEGIES
from costmodel.numbers import quantity

FLIP_AXES = ("range_bytes", "cpus", "cache_bytes")
PARAMETER_SPAN = 100.0


def stolen_at(
    strategy: str, trigger: str, scenario: Scenario, middle: Draws, name: str, values: numpy.ndarray
) -> numpy.ndarray:
    """CPU-seconds that one event of `strategy` steals at the medians `middle`, with axis or parameter `name` at each of
    `values`, shape (n,).
    """
    chosen = STRATEGIES[strategy]
    if name in AXES:
        cases = [AXES[name].at(scenario, float(value)) for value in values]
        return numpy.array([float(event_of(chosen, trigger, case, middle)[0].stolen_s[0]) for case in cases])
    stolen_s = event_of(chosen, trigger, scenario, middle.with_values(**{name: values}))[0].stolen_s
    return numpy.broadcast_to(stolen_s, values.shape)


def winner_at(
    strategies: Sequence[str], trigger: str, scenario: Scenario, middle: Draws, name: str, value: float
) -> str:
    """Cheapest of `strategies` at the medians `middle`, with axis or parameter `name` at `value`."""
    at = numpy.array([value])
    return min(strategies, key=lambda s: stolen_at(s, trigger, scenario, middle, name, at)[0])


def flips(
    strategies: Sequence[str],
    winner: str,
    trigger: str,
    scenario: Scenario,
    parameters: ParameterSet,
    names: Sequence[str],
) -> list[Flip]:
    """Where `winner` stops being the cheapest along each axis and along the parameters `names`, nearest first."""
    found, middle = [], medians(parameters)
    for name in (*FLIP_AXES, *names):
        if name in AXES:
            axis = AXES[name]
            current = axis.here(scenario, trigger)
            low, high = axis.span(scenario)
            unit, label = axis.unit, axis.label
        else:
            entry = parameters[name]
            current = entry.distribution.median
            low, high = current / PARAMETER_SPAN, current * PARAMETER_SPAN
            if entry.unit == "1" and name.endswith(("fraction", "position", "exponent")):
                low, high = 1e-4, 1.0
            unit, label = entry.unit, entry.description
        found.extend(_along(strategies, winner, trigger, scenario, middle, name, label, unit, current, low, high))
    return found


def _along(
    strategies: Sequence[str],
    winner: str,
    trigger: str,
    scenario: Scenario,
    middle: Draws,
    name: str,
    label: str,
    unit: str,
    current: float,
    low: float,
    high: float,
) -> list[Flip]:
    """Crossings next to the current value, one on each side at most."""
    others = [s for s in strategies if s != winner]

    def lead(values: numpy.ndarray) -> numpy.ndarray:
        costs = [stolen_at(s, trigger, scenario, middle, name, values) for s in others]
        return numpy.min(costs, axis=0) - stolen_at(winner, trigger, scenario, middle, name, values)

    roots = crossings(lead, low, high)
    below = [root for root in roots if root < current]
    above = [root for root in roots if root > current]
    found = []
    for root, side in ((below[-1:] or [None])[0], 0.99), ((above[:1] or [None])[0], 1.01):
        if root is None:
            continue
        other = winner_at(strategies, trigger, scenario, middle, name, root * side)
        inside = winner_at(strategies, trigger, scenario, middle, name, root / side)
        if other == inside:
            continue
        word = "below" if side < 1 else "above"
        found.append(
            Flip(
                parameter=name,
                unit=unit,
                current=current,
                at=root,
                winner=other,
                objective="host CPU-seconds per event",
                sentence=f"{other} is cheaper {word} {label} {quantity(root, unit)} (now {quantity(current, unit)})",
            )
        )
    return found
