"""The rules against the facts: data/kvm/admissibility.csv holds a reading of the kernel sources, cell by cell.

The rules were written from the training triggers (every second one in alphabetical order); the rest is held out.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache

from costmodel.evidence.paths import data_dir
from costmodel.kvm.admissibility import judge
from costmodel.kvm.triggers import TRIGGERS

TRAINING_TRIGGERS = frozenset(sorted(TRIGGERS)[::2])
BY_DEFINITION = "by definition of the strategy"


@dataclass(frozen=True)
class Score:
    """Cells that agree, of all cells in the group."""

    agree: int
    cells: int

    @property
    def share(self) -> float:
        return self.agree / self.cells


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
def facts() -> tuple[dict[str, str], ...]:
    """Rows of the facts file."""
    with (data_dir() / "kvm" / "admissibility.csv").open(newline="", encoding="utf-8") as file:
        return tuple(csv.DictReader(file))


def _documented() -> dict[tuple[str, str, str], str]:
    with (data_dir() / "kvm" / "disagreements.csv").open(newline="", encoding="utf-8") as file:
        return {(row["guest"], row["trigger"], row["strategy"]): row["why"] for row in csv.DictReader(file)}


def disagreements() -> list[Disagreement]:
    """Every cell in which a rule's label differs from the facts' label."""
    why = _documented()
    found = []
    for row in facts():
        verdict = judge(row["guest_type"], row["trigger"], row["strategy"])
        if verdict.label != row["admissible"]:
            cell = (row["guest_type"], row["trigger"], row["strategy"])
            found.append(Disagreement(*cell, row["admissible"], verdict.label, verdict.rule, why.get(cell, "")))
    return found


def scores() -> dict[str, Score]:
    """Agreement on training and held-out triggers, with and without the rows that hold by definition."""
    wrong = {(d.guest, d.trigger, d.strategy) for d in disagreements()}
    groups: dict[str, list[bool]] = {}
    for row in facts():
        right = (row["guest_type"], row["trigger"], row["strategy"]) not in wrong
        side = "training" if row["trigger"] in TRAINING_TRIGGERS else "held out"
        kind = "by definition" if row["source"] == BY_DEFINITION else "read in sources"
        groups.setdefault(f"{side}, {kind}", []).append(right)
    return {name: Score(sum(rows), len(rows)) for name, rows in sorted(groups.items())}
