"""The tables of what is known are the evidence, and those of the validation their rows."""

import costmodel as cm
from costmodel.evidence.store import load


def test_the_tables_are_the_evidence():
    evidence = load()
    assert set(cm.measurements().index) == set(evidence.measurements)
    assert not cm.measurements().query("term == 'whole_cache'").empty
    assert set(cm.machines().index) == set(evidence.machines)
    assert set(cm.workloads().index) == set(evidence.workloads)
    for table in (cm.triggers(), cm.strategies(), cm.guests()):
        assert table.index.is_unique and table.title.str.len().all()


def test_the_scoreboard_is_a_frame():
    board = cm.scoreboard("formulas")
    assert set(board.section) == {"formulas"} and {"what", "figure", "verdict", "source"} <= set(board.columns)


def test_simulations_are_a_frame_of_their_families():
    found = cm.simulations("numa")
    assert set(found.family) == {"numa"} and len(found)
    assert (found.ratio == found.formula / found.simulated).all()
    assert set(found.finding) <= {"agrees", "beyond a stated limit", "wrong"}
