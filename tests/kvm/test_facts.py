"""The facts file: which cells it holds, on which side of the split they lie, and what is said of the rest."""

import csv

import pytest

from costmodel.evidence.paths import data_dir
from costmodel.kvm import agreement
from costmodel.kvm.admissibility import judge
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS, triggers_of

FACTS = agreement.facts()
HELD_OUT = set(TRIGGERS) - agreement.TRAINING_TRIGGERS


def cell(row):
    return row["guest_type"], row["trigger"], row["strategy"]


def documented():
    with (data_dir() / "kvm" / "disagreements.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_cell_is_judged_once_and_occurs():
    cells = [cell(row) for row in FACTS]
    assert len(set(cells)) == len(cells) > 1000
    assert set(cells) <= {(g, t.id, s) for g in GUESTS for t in triggers_of(g) for s in STRATEGIES}


def test_labels_are_three_and_each_row_has_reason_and_source():
    assert {row["admissible"] for row in FACTS} == {"yes", "conditional", "no"}
    assert all(row["reason"].strip() and row["source"].strip() for row in FACTS)


def test_every_guest_and_trigger_that_occurs_is_in_the_facts():
    assert {(row["guest_type"], row["trigger"]) for row in FACTS} == {(g, t.id) for g in GUESTS for t in triggers_of(g)}


def test_the_split_covers_every_row_without_overlap():
    seen = {row["trigger"] for row in FACTS}
    assert seen == agreement.TRAINING_TRIGGERS | HELD_OUT
    assert abs(len(agreement.TRAINING_TRIGGERS) - len(HELD_OUT)) <= 1
    cells = {name: score.cells for name, score in agreement.scores().items()}
    for side, triggers in (("training", agreement.TRAINING_TRIGGERS), ("held out", HELD_OUT)):
        counted = sum(count for name, count in cells.items() if name.startswith(side))
        assert counted == sum(row["trigger"] in triggers for row in FACTS)


@pytest.mark.parametrize("kind", ["by definition", "read in sources"])
def test_held_out_triggers_are_met(kind):
    score = agreement.scores()[f"held out, {kind}"]
    assert score.cells > 100
    assert score.share >= 0.95


def test_the_scores_are_what_a_plain_count_gives():
    score = agreement.scores()["held out, read in sources"]
    rows = [r for r in FACTS if r["trigger"] in HELD_OUT and r["source"] != agreement.BY_DEFINITION]
    assert score.cells == len(rows)
    assert score.agree == sum(judge(*cell(row)).label == row["admissible"] for row in rows)


def test_every_disagreement_has_a_reason():
    assert all(len(one.why.split()) > 5 for one in agreement.disagreements())


@pytest.mark.parametrize("row", documented(), ids=lambda row: f"{row['trigger']}-{row['strategy']}")
def test_no_documented_disagreement_is_stale(row):
    key = row["guest"], row["trigger"], row["strategy"]
    (fact,) = (one for one in FACTS if cell(one) == key)
    assert judge(*key).label != fact["admissible"]
