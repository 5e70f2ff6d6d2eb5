"""The rules against the facts: data/kvm/admissibility.csv holds a reading of the kernel sources, cell by cell.

The rules were written from the training triggers (every second one in alphabetical order); the rest is held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from costmodel.evidence import table
from costmodel.evidence.paths import data_dir
from costmodel.kvm.admissibility import judge
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS

TRAINING_TRIGGERS = frozenset(sorted(TRIGGERS)[::2])
LABELS = ("yes", "conditional", "no")
FACTS = ("guest_type", "trigger", "strategy", "admissible", "predicates", "reason", "source")
DOCUMENTED = ("guest", "trigger", "strategy", "why")
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
    """Rows of the facts file. Raises BadInput."""
    return read_facts(data_dir() / "kvm" / "admissibility.csv")


def read_facts(path: Path) -> tuple[dict[str, str], ...]:
    """The cells of a facts file. Raises BadInput with the row that cannot be read."""
    rows = _cells(path, FACTS)
    for row in rows:
        place = {"file": path.name, "name": table.row_name(row, FACTS[:3])}
        table.choice(row, "admissible", LABELS, **place)
        table.filled(row, ("predicates", "reason", "source"), **place)
    return tuple(rows)


def read_documented(path: Path) -> dict[tuple[str, str, str], str]:
    """The documented reason of each cell in which rule and fact differ. Raises BadInput."""
    return {tuple(row[field] for field in DOCUMENTED[:3]): row["why"] for row in _cells(path, DOCUMENTED)}


def _cells(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Rows whose first three columns are guest type, trigger and strategy, each catalogued, each cell once."""
    rows = table.read_table(path, columns, columns[:3])
    for row in rows:
        for field, known in zip(columns, (GUESTS, TRIGGERS, STRATEGIES), strict=False):
            table.choice(row, field, known, file=path.name, name=table.row_name(row, columns[:3]))
    return rows


def disagreements() -> list[Disagreement]:
    """Every cell in which a rule's label differs from the facts' label."""
    why = read_documented(data_dir() / "kvm" / "disagreements.csv")
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
