"""The choice at one trigger, from candidates and costs that are given: what runs, on what basis, and how sure it is."""

import pytest

from costmodel.decision import policy
from costmodel.decision.model import Corner
from tests.decision.made import candidate, cost, study_of

BLAST, KEEP, MASK, KEEP_MASK = "WBINVD_ALL", "WBNOINVD_ALL", "WBINVD_MASK", "WBNOINVD_MASK"
RANGE, PAGES = "CLFLUSHOPT_DM_PINNED", "CLFLUSHOPT_DM_GMEM"


def test_what_runs_and_is_safe_is_chosen_the_least_costly_by_dominance():
    assert study_of([candidate(BLAST, running=True), candidate(KEEP_MASK)]).chosen.strategy == BLAST
    both = study_of([candidate(BLAST, running=True), candidate(KEEP, running=True)])
    assert both.chosen.strategy == KEEP and both.unsafe_running == []
    half = study_of([candidate(BLAST, running=True), candidate(KEEP, running=True, state="undecided")])
    assert half.chosen.strategy == BLAST
    assert study_of([candidate(BLAST), candidate(KEEP)]).chosen is None


def test_what_runs_and_loses_a_flush_is_told_only_where_nothing_safe_runs():
    unsafe = candidate("NO_FLUSH", running=True, state="inadmissible")
    alone = study_of([unsafe, candidate(BLAST), candidate(KEEP, running=True, state="undecided")])
    assert alone.chosen is None
    assert [c.strategy for c in alone.unsafe_running] == ["NO_FLUSH"]
    assert study_of([unsafe, candidate(BLAST, running=True)]).unsafe_running == []
    entry = alone.entry()
    assert (entry.strategy, entry.running, entry.basis, entry.gap) == (None, False, None, None)
    assert entry.strategy_title == "no safe strategy in this kernel"
    assert "can lose a flush here (NO_FLUSH: why NO_FLUSH)" in entry.reason
    assert entry.source == "where NO_FLUSH"
    assert (entry.p_best, entry.p_best_note, entry.regret) == (None, "", None)


def test_where_nothing_is_known_to_run_that_is_the_gap():
    entry = study_of([candidate(BLAST)]).entry()
    assert entry.strategy is None and entry.strategy_title == "not catalogued"
    assert entry.gap == "munmap or discard: what this kernel does here is not catalogued"
    assert entry.reason == "what this kernel does here is not catalogued"
    assert not entry.extrapolated


def test_usable_is_what_is_safe_and_offered_and_no_batching():
    found = study_of(
        [
            candidate(BLAST, running=True),
            candidate(KEEP, offered=False),
            candidate(MASK, state="undecided"),
            candidate("DEFER_BATCH"),
            candidate(RANGE),
        ]
    )
    assert [c.strategy for c in found.usable] == [BLAST, RANGE]
    assert found.rivals == [BLAST, RANGE]


def test_rivals_are_the_choice_and_what_only_cost_can_rank():
    found = study_of([candidate(BLAST), candidate(KEEP, running=True), candidate(RANGE), candidate(MASK)])
    assert found.rivals == [KEEP, RANGE, MASK]
    assert study_of([candidate(BLAST), candidate(RANGE)]).rivals == []


@pytest.mark.parametrize(
    ("chosen", "others", "basis"),
    [
        (BLAST, (), "forced"),
        (KEEP, (BLAST,), "dominated"),
        (BLAST, (KEEP,), "forced"),
        (KEEP, (BLAST, RANGE), "cost"),
        (KEEP, (KEEP_MASK, RANGE), "forced"),
    ],
)
def test_the_basis_of_a_choice(chosen, others, basis):
    found = study_of([candidate(chosen, running=True), *map(candidate, others)])
    assert found.basis == basis
    if basis in ("forced", "dominated"):
        found._costs[chosen] = cost(chosen, 1.0)
        entry = found.entry()
        note = {"forced": "no choice", "dominated": "no probability needed"}[basis]
        assert (entry.p_best, entry.p_best_note, entry.cheapest, entry.flips) == (None, note, None, [])


def test_without_a_choice_there_is_no_basis():
    assert study_of([candidate(BLAST)]).basis is None


def test_a_safe_flush_that_the_kernel_does_not_use_is_named():
    found = study_of([candidate(BLAST, running=True), candidate(KEEP)], [cost(BLAST, 1.0)])
    assert (
        found.entry().reason
        == f"why {BLAST}; {KEEP} would be cheaper and is safe, but this kernel does not use it here"
    )
    other = study_of([candidate(KEEP, running=True), candidate(BLAST)], [cost(KEEP, 1.0)])
    assert other.entry().reason == f"why {KEEP}"
    assert other.entry().source == f"where {KEEP}"


def by_cost(**marks):
    """KEEP runs; RANGE is cheaper in one of four draws."""
    pair = [candidate(KEEP, running=True), candidate(RANGE)]
    costs = [cost(KEEP, [1.0, 1.0, 1.0, 1.0]), cost(RANGE, [0.5, 2.0, 2.0, 2.0], **marks)]
    found = study_of(pair, costs)
    found.__dict__.update(corners=[], flips=[], disagreeing={})
    return found


def test_by_cost_each_has_its_share_of_the_draws():
    entry = by_cost().entry()
    assert (entry.basis, entry.strategy, entry.cheapest) == ("cost", KEEP, KEEP)
    assert entry.p_best == entry.p_best_of_cheapest == 0.75
    assert entry.p_best_note == "lowest host CPU time per event, given the model"
    assert entry.regret.expected_cpu_s_per_event == pytest.approx(0.125)
    assert (entry.regret.worst_cpu_s_per_event, entry.regret.worst_corner) == (None, "")


def test_a_prior_bounds_the_share_and_says_so():
    entry = by_cost(extrapolated=True).entry()
    assert entry.p_best_note.endswith("and its stated prior, never beyond 0.05/0.95")


def test_the_worst_corner_is_that_of_the_largest_regret():
    found = by_cost()
    corner = {
        name: Corner(corner=name, winner=RANGE, regret_cpu_s_per_event=x) for name, x in (("a", 1), ("b", 3), ("c", 2))
    }
    found.__dict__["corners"] = list(corner.values())
    regret = found.entry().regret
    assert (regret.worst_cpu_s_per_event, regret.worst_corner) == (3, "b")


def test_a_rerun_that_chooses_otherwise_leaves_it_undecided():
    found = by_cost()
    found.__dict__["disagreeing"] = {f"without C{i}": RANGE for i in (4, 2, 3, 1)}
    entry = found.entry()
    assert entry.p_best is None and entry.p_best_of_cheapest is None
    told = ", ".join(f"without C{i}: {RANGE}" for i in (1, 2, 3))
    assert entry.p_best_note == f"undecided: another strategy is cheapest {told}"


def test_only_reruns_that_choose_otherwise_disagree(monkeypatch):
    found = by_cost()
    del found.__dict__["disagreeing"]
    monkeypatch.setattr(policy, "winners_elsewhere", lambda *asked: {"same": KEEP, "other": RANGE})
    assert found.disagreeing == {"other": RANGE}


def test_without_a_number_for_a_rival_there_is_no_comparison():
    pair = [candidate(KEEP, running=True), candidate("VM_PAGE_FLUSH")]
    found = study_of(pair, [cost(KEEP, 1.0), cost("VM_PAGE_FLUSH", 0.0, refused="nobody timed it")])
    assert (found.basis, found.comparison, found.disagreeing, found.corners, found.flips) == ("cost", None, {}, [], [])
    entry = found.entry()
    assert entry.p_best_note == "no P(best): nobody timed it"
    assert (entry.p_best, entry.cheapest, entry.regret, entry.gap) == (None, None, None, None)


def test_a_choice_without_a_number_is_the_gap():
    pair = [candidate(KEEP, running=True), candidate(RANGE), candidate(PAGES)]
    costs = [cost(KEEP, 0.0, refused="no bandwidth"), cost(RANGE, 1.0), cost(PAGES, 2.0)]
    found = study_of(pair, costs)
    assert found.comparison is None and set(found.costed) == {RANGE, PAGES}
    assert found.entry().gap == "no bandwidth"


def test_two_numbers_are_enough_to_compare():
    pair = [candidate(KEEP, running=True), candidate(RANGE), candidate("VM_PAGE_FLUSH")]
    costs = [cost(KEEP, 1.0), cost(RANGE, 2.0), cost("VM_PAGE_FLUSH", 0.0, refused="nobody timed it")]
    assert study_of(pair, costs).comparison.winner == KEEP


def test_a_cost_is_computed_once():
    found = study_of([candidate(KEEP, running=True)])
    assert found.cost(KEEP) is found.cost(KEEP)


def test_an_extrapolated_cost_marks_the_entry():
    for mark in (True, False):
        found = study_of([candidate(KEEP, running=True)], [cost(KEEP, 1.0, extrapolated=mark)])
        assert found.entry().extrapolated is mark
