"""Verdict on a strategy at a trigger of a guest: the first rule that applies, then its predicates on what is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from costmodel.kvm import predicates
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS
from costmodel.kvm.rule import Rule
from costmodel.kvm.rules import RULES


@dataclass(frozen=True)
class Verdict:
    """`label` (yes, conditional, no) is independent of what is known; `state` (admissible, inadmissible, undecided) is
    the predicates' value on the `known` facts, with those that fail (`unmet`) and those that nobody told (`unknown`).
    """

    label: str
    predicates: str
    reason: str
    source: str
    rule: str
    needed: bool
    dominated: bool
    state: str
    unmet: tuple[str, ...]
    unknown: tuple[str, ...]


def judge(guest_id: str, trigger_id: str, strategy_id: str, known: Mapping[str, bool] | None = None) -> Verdict:
    """Judge by the rules. Raises UnknownName. A trigger that the guest type does not have is inadmissible."""
    return _judged(guest_id, trigger_id, strategy_id, tuple((known or {}).items()))


@lru_cache(maxsize=4096)
def _judged(guest_id: str, trigger_id: str, strategy_id: str, known: tuple[tuple[str, bool], ...]) -> Verdict:
    """The verdict, once for each set of known facts: recommendations and the explorer ask for the same ones often."""
    g, t, s = GUESTS[guest_id], TRIGGERS[trigger_id], STRATEGIES[strategy_id]
    if not t.occurs_with(g):
        return Verdict(
            "no",
            "false",
            "this guest type does not have this trigger",
            "by definition",
            "no-such-trigger",
            False,
            False,
            "inadmissible",
            (),
            (),
        )
    rule = next(rule for rule in RULES if rule.when(g, t, s))
    label, text = rule.verdict(g, t, s), rule.text(t, s)
    needed = t.lines is not None and not (t.by_hva and not g.has("private_memory_vma_backed"))
    state, unmet, unknown = _state(label, text, dict(known))
    return Verdict(label, text, rule.reason, rule.source, rule.id, needed, _dominated(rule), state, unmet, unknown)


def _dominated(rule: Rule) -> bool:
    return rule.id == "superfluous"


def _state(label: str, text: str, known: Mapping[str, bool]) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    if label == "no":
        return "inadmissible", (), ()
    value = predicates.evaluate(text, known)
    unmet = tuple(name for name in predicates.atoms(text) if predicates.helps(text, name, known) is False)
    unknown = tuple(name for name in predicates.atoms(text) if name not in known) if value is None else ()
    return {True: "admissible", False: "inadmissible", None: "undecided"}[value], unmet, unknown
