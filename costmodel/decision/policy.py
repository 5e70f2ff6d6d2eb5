"""The strategy at one trigger: what the kernel does, on what basis it is the choice, and how it compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from costmodel.calibration.parameters import ParameterSet
from costmodel.cost.draws import Draws
from costmodel.cost.scenario import Scenario
from costmodel.cost.strategy import title_on
from costmodel.cost.totals import Total, total
from costmodel.decision.candidates import Candidate, candidates
from costmodel.decision.compare import Comparison, compare, corners, influential, winners_elsewhere
from costmodel.decision.dominance import dominates
from costmodel.decision.flips import flips
from costmodel.decision.model import Basis, Corner, Flip, PolicyEntry, Regret
from costmodel.kvm.events import Firing
from costmodel.kvm.placements import placement_for
from costmodel.kvm.strategies import STRATEGIES
from costmodel.kvm.triggers import Trigger

FLIP_PARAMETERS = 3
NOT_CATALOGUED = "what this kernel does here is not catalogued"


@dataclass
class Study:
    """Everything that is known about one trigger in a scenario."""

    trigger: Trigger
    scenario: Scenario
    parameters: ParameterSet
    draws: Draws
    variations: Mapping[str, ParameterSet]
    candidates: list[Candidate] = field(init=False)

    def __post_init__(self) -> None:
        self.candidates = candidates(self.scenario, self.trigger.id)

    def cost(self, strategy: str) -> Total:
        """Total of `strategy` at the trigger, computed once."""
        if strategy not in self._costs:
            self._costs[strategy] = total(self.trigger.id, strategy, self.scenario, self.draws)
        return self._costs[strategy]

    @cached_property
    def _costs(self) -> dict[str, Total]:
        return {}

    @cached_property
    def firing(self) -> Firing:
        """Whether the guest's setup lets the trigger happen."""
        return self.scenario.firing(self.trigger.id)

    @cached_property
    def usable(self) -> list[Candidate]:
        """Strategies that are safe here and that the kernel offers; batching needs one of them and is none itself."""
        return [c for c in self.candidates if c.safe and c.offered and STRATEGIES[c.strategy].instruction != "defer"]

    @cached_property
    def chosen(self) -> Candidate | None:
        """What the kernel does here, if that is safe; the least costly by dominance where it leaves a choice."""
        running = [c for c in self.candidates if c.running and c.safe]
        for one in running:
            if not any(dominates(other.strategy, one.strategy) for other in running):
                return one
        return None

    @cached_property
    def unsafe_running(self) -> list[Candidate]:
        """What the kernel does here although a flush can be lost."""
        if self.chosen is not None:
            return []
        return [c for c in self.candidates if c.running and c.verdict.state == "inadmissible"]

    @cached_property
    def rivals(self) -> list[str]:
        """Usable strategies that dominance does not rule out: the chosen one and those that only cost can rank."""
        names = [c.strategy for c in self.usable]
        if self.chosen is None:
            return []
        own = self.chosen.strategy
        return [own, *(n for n in names if n != own and not any(dominates(o, n) for o in names))]

    @cached_property
    def basis(self) -> Basis | None:
        """forced: nothing else is usable; dominated: the choice rules out the rest; cost: numbers decide."""
        if self.chosen is None:
            return None
        if len(self.usable) == 1:
            return "forced"
        if any(dominates(n, self.chosen.strategy) for n in self.rivals):
            return "forced"
        return "dominated" if len(self.rivals) == 1 else "cost"

    @cached_property
    def costed(self) -> dict[str, Total]:
        """Rivals whose cost is known."""
        return {n: self.cost(n) for n in self.rivals if self.cost(n).refused is None}

    @cached_property
    def comparison(self) -> Comparison | None:
        """By cost, where the basis is cost and every rival has a number."""
        if self.basis != "cost" or len(self.costed) < 2 or self.chosen.strategy not in self.costed:
            return None
        return compare(self.costed)

    @cached_property
    def corners(self) -> list[Corner]:
        if self.comparison is None:
            return []
        return corners(list(self.costed), self.chosen.strategy, self.trigger.id, self.scenario, self.parameters)

    @cached_property
    def disagreeing(self) -> dict[str, str]:
        """Reruns (a row or a measured machine left out) in which another strategy is cheapest than with all rows."""
        if self.comparison is None:
            return {}
        found = winners_elsewhere(list(self.costed), self.trigger.id, self.scenario, self.variations)
        return {label: winner for label, winner in found.items() if winner != self.comparison.winner}

    @cached_property
    def flips(self) -> list[Flip]:
        if self.comparison is None:
            return []
        names = influential(list(self.costed), self.trigger.id, self.scenario, self.parameters)[:FLIP_PARAMETERS]
        return flips(list(self.costed), self.comparison.winner, self.trigger.id, self.scenario, self.parameters, names)

    def entry(self) -> PolicyEntry:
        """The policy entry of the trigger."""
        chosen = self.chosen
        cost = self.cost(chosen.strategy) if chosen else None
        placement = placement_for(self.scenario.guest, self.trigger.id, self.scenario.kernel)
        return PolicyEntry(
            trigger=self.trigger.id,
            trigger_title=self.trigger.title,
            strategy=chosen.strategy if chosen else None,
            strategy_title=self._title(),
            basis=self.basis,
            placement=placement,
            running=chosen is not None,
            p_best=self._p_best(chosen.strategy) if chosen else None,
            p_best_note=self._p_best_note(),
            cheapest=self.comparison.winner if self.comparison else None,
            p_best_of_cheapest=self._p_best(self.comparison.winner) if self.comparison else None,
            regret=self._regret(),
            flips=self.flips,
            reason=self._reason(),
            source=chosen.verdict.source if chosen else "; ".join(c.verdict.source for c in self.unsafe_running),
            extrapolated=bool(cost and cost.extrapolated),
            gap=cost.refused if cost else None if self.unsafe_running else f"{self.trigger.title}: {NOT_CATALOGUED}",
            fires=self.firing.fires,
            why=self.firing.why,
        )

    def _regret(self) -> Regret | None:
        if self.comparison is None:
            return None
        worst = max(self.corners, key=lambda c: c.regret_cpu_s_per_event, default=None)
        return Regret(
            expected_cpu_s_per_event=self.comparison.regret_s[self.chosen.strategy],
            worst_cpu_s_per_event=worst.regret_cpu_s_per_event if worst else None,
            worst_corner=worst.corner if worst else "",
        )

    def _title(self) -> str:
        if self.chosen is not None:
            return title_on(self.chosen.strategy, self.scenario)
        return "no safe strategy in this kernel" if self.unsafe_running else "not catalogued"

    def _p_best(self, strategy: str) -> float | None:
        if self.comparison is None or self.disagreeing:
            return None
        return self.comparison.p_best[strategy]

    def _p_best_note(self) -> str:
        if self.basis == "cost" and self.comparison is None:
            gaps = sorted({self.cost(n).refused for n in self.rivals if self.cost(n).refused})
            return "no P(best): " + "; ".join(gaps)
        if self.disagreeing:
            rows = ", ".join(f"{label}: {winner}" for label, winner in sorted(self.disagreeing.items())[:3])
            return f"undecided: another strategy is cheapest {rows}"
        if self.comparison is not None:
            bound = " and its stated prior, never beyond 0.05/0.95" if self.comparison.extrapolated else ""
            return f"lowest host CPU time per event, given the model{bound}"
        return "no probability needed" if self.basis == "dominated" else "no choice" if self.basis else ""

    def _reason(self) -> str:
        if self.chosen is None:
            lost = "; ".join(f"{c.strategy}: {c.verdict.reason}" for c in self.unsafe_running)
            return f"this kernel can lose a flush here ({lost})" if lost else NOT_CATALOGUED
        better = [n for n in self.rivals if dominates(n, self.chosen.strategy)]
        text = self.chosen.verdict.reason
        if better:
            text += f"; {better[0]} would be cheaper and is safe, but this kernel does not use it here"
        return text if self.firing.fires else f"cannot happen here: {self.firing.why}; else: {text}"
