"""Verdict on a strategy at a trigger of a guest: the first rule that applies, then its predicates on what is known; and
the rules held against a reading of the kernel sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from costmodel.evidence.paths import data_dir
from costmodel.evidence.tables import records
from costmodel.kvm import predicates
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS, GuestId, StrategyId, TriggerId
from costmodel.kvm.rules import REASONS, RULES, Label

State = Literal["admissible", "inadmissible", "undecided"]

# Verdict on a strategy at a trigger of a guest: the first rule that applies, then its predicates on what is known.


@dataclass(frozen=True)
class Verdict:
    """`label` (yes, conditional, no) is independent of what is known; `state` (admissible, inadmissible, undecided) is
    the predicates' value on the `known` facts, with those that fail (`unmet`) and those that nobody told (`unknown`).
    """

    label: Label
    predicates: str
    reason: str
    source: str
    rule: str
    needed: bool
    dominated: bool
    state: State
    unmet: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def why(self) -> str:
        """The part of the reason that stands for all of it in a mail."""
        return REASONS[self.rule].reason


def judge(guest_id: str, trigger_id: str, strategy_id: str, known: Mapping[str, bool] | None = None) -> Verdict:
    """Judge by the rules. Raises UnknownName. A trigger that the guest type does not have is inadmissible."""
    return _judged(guest_id, trigger_id, strategy_id, tuple((known or {}).items()))


@lru_cache(maxsize=4096)
def _judged(guest_id: str, trigger_id: str, strategy_id: str, known: tuple[tuple[str, bool], ...]) -> Verdict:
    """The verdict, once for each set of known facts: recommendations and the explorer ask for the same ones often."""
    g, t, s = GUESTS[guest_id], TRIGGERS[trigger_id], STRATEGIES[strategy_id]
    if not t.occurs_with(g):
        return _verdict("no-such-trigger", "no", "false", ("inadmissible", (), ()))
    rule = next(rule for rule in RULES if rule.when(g, t, s))
    label, text = rule.verdict(g, t, s), rule.text(t, s)
    needed = t.lines is not None and not (t.by_hva and not g.has("private_memory_vma_backed"))
    return _verdict(rule.id, label, text, _state(label, text, dict(known)), needed, rule.dominated)


def _verdict(
    rule: str,
    label: Label,
    text: str,
    found: tuple[State, tuple[str, ...], tuple[str, ...]],
    needed: bool = False,
    dominated: bool = False,
) -> Verdict:
    why = REASONS[rule]
    return Verdict(label, text, why.whole, why.source, rule, needed, dominated, *found)


def _state(label: Label, text: str, known: Mapping[str, bool]) -> tuple[State, tuple[str, ...], tuple[str, ...]]:
    if label == "no":
        return "inadmissible", (), ()
    value = predicates.evaluate(text, known)
    unmet = tuple(name for name in predicates.atoms(text) if predicates.helps(text, name, known) is False)
    unknown = tuple(name for name in predicates.atoms(text) if name not in known) if value is None else ()
    states: dict[bool | None, State] = {True: "admissible", False: "inadmissible", None: "undecided"}
    return states[value], unmet, unknown


# The rules against the facts: data/kvm/admissibility.csv holds a reading of the kernel sources, cell by cell.
#
# The rules were written from the training triggers (every second one in alphabetical order); the rest is held out.

TRAINING_TRIGGERS = frozenset(sorted(TRIGGERS)[::2])


@dataclass(frozen=True)
class Score:
    """Cells that agree, of all cells in the group."""

    agree: int
    cells: int

    @property
    def share(self) -> float:
        return self.agree / self.cells


@dataclass(frozen=True)
class Fact:
    """A cell as the sources were read: whether the strategy is admissible there, on which predicates, and why."""

    guest_type: GuestId
    trigger: TriggerId
    strategy: StrategyId
    admissible: Label
    predicates: str
    reason: str
    source: str

    @property
    def cell(self) -> tuple[str, str, str]:
        """Guest type, trigger and strategy."""
        return self.guest_type, self.trigger, self.strategy


@dataclass(frozen=True)
class Documented:
    """Why rule and fact differ in a cell."""

    guest: GuestId
    trigger: TriggerId
    strategy: StrategyId
    why: str = ""


@dataclass(frozen=True)
class Disagreement:
    """A cell in which the rules differ from the facts; `why` is the documented reason, empty if there is none."""

    guest: str
    trigger: str
    strategy: str
    facts_label: str
    rule_label: str
    rule: str
    why: str


@lru_cache(maxsize=1)
def facts() -> tuple[Fact, ...]:
    """Rows of the facts file. Raises BadInput."""
    return read_facts(data_dir() / "kvm" / "admissibility.csv")


def read_facts(path: Path) -> tuple[Fact, ...]:
    """The cells of a facts file. Raises BadInput with the row that cannot be read."""
    return records(path, Fact, ("guest_type", "trigger", "strategy"))


def read_documented(path: Path) -> dict[tuple[str, str, str], str]:
    """The documented reason of each cell in which rule and fact differ. Raises BadInput."""
    rows = records(path, Documented, ("guest", "trigger", "strategy"))
    return {(row.guest, row.trigger, row.strategy): row.why for row in rows}


def disagreements() -> list[Disagreement]:
    """Every cell in which a rule's label differs from the facts' label."""
    why = read_documented(data_dir() / "kvm" / "disagreements.csv")
    found = []
    for fact in facts():
        verdict = judge(*fact.cell)
        if verdict.label != fact.admissible:
            reason = why.get(fact.cell, "")
            found.append(Disagreement(*fact.cell, fact.admissible, verdict.label, verdict.rule, reason))
    return found


def scores() -> dict[str, Score]:
    """Agreement on training and held-out triggers, with and without the rows that hold by definition."""
    definition = REASONS["not-applicable"].source
    wrong = {(d.guest, d.trigger, d.strategy) for d in disagreements()}
    groups: dict[str, list[bool]] = {}
    for fact in facts():
        side = "training" if fact.trigger in TRAINING_TRIGGERS else "held out"
        kind = "by definition" if fact.source == definition else "read in sources"
        groups.setdefault(f"{side}, {kind}", []).append(fact.cell not in wrong)
    return {name: Score(sum(rows), len(rows)) for name, rows in sorted(groups.items())}
