"""What to run at each trigger, in words: the entries of a recommendation's policy."""

from __future__ import annotations

from costmodel.calibration.parameters import ParameterSet
from costmodel.decision.choice import Study, Turn, dominates
from costmodel.decision.result import Flip, PolicyEntry
from costmodel.kvm.kernels import placement_for
from costmodel.numbers import quantity
from costmodel.report.names import AXIS_NAMES, title_on

NOT_CATALOGUED = "what this kernel does here is not catalogued"


def entry(study: Study) -> PolicyEntry:
    """The policy entry of a trigger."""
    chosen, comparison = study.chosen, study.comparison
    cost = study.cost(chosen.strategy) if chosen else None
    return PolicyEntry(
        trigger=study.trigger.id,
        trigger_title=study.trigger.title,
        strategy=chosen.strategy if chosen else None,
        strategy_title=_title(study),
        basis=study.basis,
        placement=placement_for(study.scenario.guest, study.trigger.id, study.scenario.kernel),
        running=chosen is not None,
        p_best=study.p_best(chosen.strategy) if chosen else None,
        p_best_note=p_best_note(study),
        cheapest=comparison.winner if comparison else None,
        p_best_of_cheapest=study.p_best(comparison.winner) if comparison else None,
        regret=study.regret,
        flips=[flip(turn, study.parameters) for turn in study.flips],
        reason=_reason(study),
        source=chosen.verdict.source if chosen else "; ".join(c.verdict.source for c in study.unsafe_running),
        extrapolated=bool(cost and cost.extrapolated),
        gap=cost.refused if cost else None if study.unsafe_running else f"{study.trigger.title}: {NOT_CATALOGUED}",
        fires=study.firing.fires,
        why=study.firing.why,
    )


def flip(turn: Turn, parameters: ParameterSet) -> Flip:
    """A value at which the choice changes."""
    name = AXIS_NAMES.get(turn.parameter) or parameters[turn.parameter].description
    where = f"{'below' if turn.at < turn.current else 'above'} {name} {quantity(turn.at, turn.unit)}"
    return Flip(
        parameter=turn.parameter,
        unit=turn.unit,
        current=turn.current,
        at=turn.at,
        winner=turn.winner,
        objective="host CPU-seconds per event",
        sentence=f"{turn.winner} is cheaper {where} (now {quantity(turn.current, turn.unit)})",
    )


def _title(study: Study) -> str:
    if study.chosen is not None:
        return title_on(study.chosen.strategy, study.scenario)
    return "no safe strategy in this kernel" if study.unsafe_running else "not catalogued"


def p_best_note(study: Study) -> str:
    """What the probability of the choice means, or why there is none."""
    if study.basis == "cost" and study.comparison is None:
        gaps = sorted({gap for n in study.rivals if (gap := study.cost(n).refused)})
        return "no P(best): " + "; ".join(gaps)
    if study.disagreeing:
        rows = ", ".join(f"{label}: {winner}" for label, winner in sorted(study.disagreeing.items())[:3])
        return f"undecided: another strategy is cheapest {rows}"
    if study.comparison is not None:
        bound = " and its stated prior, never beyond 0.05/0.95" if study.comparison.extrapolated else ""
        return f"lowest host CPU time per event, given the model{bound}"
    return "no probability needed" if study.basis == "dominated" else "no choice" if study.basis else ""


def _reason(study: Study) -> str:
    if study.chosen is None:
        lost = "; ".join(f"{c.strategy}: {c.verdict.reason}" for c in study.unsafe_running)
        return f"this kernel can lose a flush here ({lost})" if lost else NOT_CATALOGUED
    better = [n for n in study.rivals if dominates(n, study.chosen.strategy)]
    text = study.chosen.verdict.reason
    if better:
        text += f"; {better[0]} would be cheaper and is safe, but this kernel does not use it here"
    return text if study.firing.fires else f"cannot happen here: {study.firing.why}; else: {text}"
