"""Winners for the three named objectives at a trigger, and the weight at which host time gives way to latency."""

from __future__ import annotations

from collections.abc import Callable

import numpy

from costmodel.cost.totals import Total
from costmodel.decision.intervals import interval_of
from costmodel.decision.model import Objective
from costmodel.decision.policy import Study
from costmodel.numbers import significant

OBJECTIVES: dict[str, tuple[str, Callable[[Total], numpy.ndarray]]] = {
    "host CPU-seconds per event": ("s", lambda cost: cost.event.stolen_s),
    "99th percentile event latency": ("s", lambda cost: cost.p99_s),
    "guest time per event": ("s", lambda cost: cost.event.guest_s),
}


def objectives(study: Study) -> list[Objective]:
    """Winner by each objective among the usable strategies that have a number."""
    names = [c.strategy for c in study.usable if study.cost(c.strategy).refused is None]
    found = []
    for name, (unit, measure) in OBJECTIVES.items():
        ranked = _ranked(study, names, measure)
        if not ranked:
            continue
        winner = study.cost(ranked[0])
        found.append(
            Objective(
                name=name,
                unit=unit,
                winner=ranked[0],
                value=interval_of(measure(winner), unit, winner.extrapolated),
                runner_up=ranked[1] if len(ranked) > 1 else None,
                note="lower bound: the refill after an eviction is only known as a floor" if "guest" in name else "",
            )
        )
    return [_with_weight(study, found[0], found[1]), *found[1:]] if len(found) > 1 else found


def _ranked(study: Study, names: list[str], measure: Callable[[Total], numpy.ndarray]) -> list[str]:
    """Cheapest first; of equals (to 12 digits) the chosen strategy, then the order of the catalogue."""
    own = study.chosen.strategy if study.chosen else None

    def key(name: str) -> tuple[float, bool, int]:
        return float(f"{numpy.median(measure(study.cost(name))):.12g}"), name != own, names.index(name)

    return sorted(names, key=key)


def _with_weight(study: Study, cpu: Objective, latency: Objective) -> Objective:
    """Say how dear a second of latency must be before the latency winner wins overall."""
    if cpu.winner == latency.winner:
        return cpu

    def middle(strategy: str, name: str) -> float:
        return float(numpy.median(OBJECTIVES[name][1](study.cost(strategy))))

    more_cpu = middle(latency.winner, cpu.name) - middle(cpu.winner, cpu.name)
    less_wait = middle(cpu.winner, latency.name) - middle(latency.winner, latency.name)
    if less_wait <= 0:
        return cpu
    note = f"{latency.winner} wins overall once 1 s of latency is worth more than {significant(more_cpu / less_wait)} CPU-s"
    return cpu.model_copy(update={"note": note})
