"""The rules against the reading of the kernel sources that they were written from a half of."""

import csv

from costmodel.evidence.paths import data_dir
from costmodel.kvm import agreement
from costmodel.kvm.catalog import TRIGGERS


def test_half_of_the_triggers_is_held_out():
    assert len(agreement.TRAINING_TRIGGERS) == (len(TRIGGERS) + 1) // 2
    assert set(TRIGGERS) > agreement.TRAINING_TRIGGERS


def test_held_out_cells_are_met():
    scores = agreement.scores()
    assert sum(score.cells for score in scores.values()) == len(agreement.facts())
    for name, score in scores.items():
        assert score.cells > 200
        assert score.share >= 0.95, name


def test_every_disagreement_is_documented_and_none_is_stale():
    with (data_dir() / "kvm" / "disagreements.csv").open(newline="") as file:
        documented = {(row["guest"], row["trigger"], row["strategy"]) for row in csv.DictReader(file)}
    found = {(d.guest, d.trigger, d.strategy) for d in agreement.disagreements()}
    assert found == documented
    assert all(d.why for d in agreement.disagreements())


def test_no_disagreement_makes_a_ruled_out_flush_smaller():
    """Where the rules allow what the facts do not, it is a superset of the flush that the facts ask for."""
    for d in agreement.disagreements():
        assert d.strategy.startswith(("WBINVD", "WBNOINVD"))
