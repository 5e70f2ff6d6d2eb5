"""Dominance is a strict partial order, and it never contradicts the numbers."""

import itertools
import math
from dataclasses import replace

import numpy
import pytest

from costmodel.calibration.parameters import parameters_of
from costmodel.cost.draws import Case, Draws, medians
from costmodel.cost.scenario import not_applicable, scenario
from costmodel.cost.total import total
from costmodel.decision import advice, choice
from costmodel.decision.choice import candidates, dominates, running_strategies, winner_at
from costmodel.decision.findings import study_all
from costmodel.decision.result import Corner
from costmodel.evidence.store import load
from costmodel.kvm.catalog import GUESTS, STRATEGIES
from costmodel.report.tables import flip as worded
from costmodel.report.tables import policy_entry as said
from tests.decision.made import candidate, cost, study_of
from tests.samples import sampled

BLAST, KEEP, MASK, KEEP_MASK = "WBINVD_ALL", "WBNOINVD_ALL", "WBINVD_MASK", "WBNOINVD_MASK"
RANGE, PAGES = "CLFLUSHOPT_DM_PINNED", "CLFLUSHOPT_DM_GMEM"


def test_strict_partial_order():
    for a, b, c in itertools.product(STRATEGIES, repeat=3):
        assert not dominates(a, a)
        assert not (dominates(a, b) and dominates(b, a))
        if dominates(a, b) and dominates(b, c):
            assert dominates(a, c)


@pytest.fixture
def twin(monkeypatch):
    """A second strategy with the instruction and the scope of WBNOINVD_ALL."""
    records = {**STRATEGIES, "TWIN": replace(STRATEGIES[KEEP], id="TWIN")}
    monkeypatch.setattr(STRATEGIES, "_records", records)
    return "TWIN"


def test_strategies_of_the_same_instruction_and_scope_are_not_ranked(twin):
    assert not dominates(twin, KEEP) and not dominates(KEEP, twin)
    for name in (KEEP, twin):
        assert dominates(name, BLAST) and dominates(KEEP_MASK, name)
    test_strict_partial_order()


def test_of_two_alike_that_the_kernel_runs_one_is_chosen(twin):
    both = study_of([candidate(BLAST, running=True), candidate(KEEP, running=True), candidate(twin, running=True)])
    assert both.chosen is not None and both.chosen.strategy == KEEP


def test_of_two_alike_that_are_cheaper_both_are_worth_a_patch(twin):
    costs = [cost(BLAST, 2.0), cost(KEEP, 1.0), cost(twin, 1.0)]
    made = study_of([candidate(BLAST, running=True), candidate(KEEP), candidate(twin)], costs)
    assert [patch.strategy for patch in advice.patches([made])] == [twin, KEEP]


@pytest.mark.parametrize("machine", ["epyc-7763-2s", "epyc-7601-2s", "xeon-6330-2s"])
@pytest.mark.parametrize("ran", [1, 8, 96])
def test_a_dominating_strategy_never_costs_more_in_any_draw(machine, ran):
    evidence = load()
    case = scenario(evidence, "sev", machine, "ksm-default", cpus_that_ran=ran)
    draws = Draws(parameters_of(evidence, machine), 256)
    costs = {name: total(Case("ksm_write_protect", case, draws), name) for name in STRATEGIES}
    for a, b in itertools.permutations(STRATEGIES, 2):
        if dominates(a, b) and costs[a].refused is None and costs[b].refused is None:
            assert numpy.all(costs[a].event.stolen_s <= costs[b].event.stolen_s * (1 + 1e-12))
            assert numpy.all(costs[a].event.guest_s <= costs[b].event.guest_s * (1 + 1e-12))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("NO_FLUSH", "WBINVD_ALL", True),
        ("NO_FLUSH", "CLFLUSHOPT_UVA", True),
        ("NO_FLUSH", "SKIP_COHERENT", False),
        ("WBINVD_ALL", "NO_FLUSH", False),
        ("WBNOINVD_MASK", "WBINVD_ALL", True),
        ("WBNOINVD_ALL", "WBINVD_ALL", True),
        ("WBINVD_MASK", "WBINVD_ALL", True),
        ("WBINVD_MASK", "WBNOINVD_ALL", False),
        ("WBNOINVD_ALL", "WBINVD_MASK", False),
        ("WBINVD_ALL", "WBNOINVD_MASK", False),
        ("CLFLUSHOPT_UVA", "WBINVD_ALL", False),
        ("WBNOINVD_MASK", "CLFLUSHOPT_UVA", False),
        ("WBNOINVD_MASK", "TDX_CACHE_WB", False),
        ("TDX_CACHE_WB", "WBINVD_ALL", False),
    ],
)
def test_by_hand(first, second, expected):
    assert dominates(first, second) is expected


@pytest.mark.parametrize("scope", ["mask", "all_cpus"])
def test_another_instruction_on_the_same_cpus_is_not_ranked(scope, monkeypatch):
    """How dear a SEAMCALL is against WBINVD takes numbers, wherever it runs."""
    other = replace(STRATEGIES["TDX_CACHE_WB"], id="OTHER", scope=scope)
    monkeypatch.setattr(choice, "STRATEGIES", {**STRATEGIES, "OTHER": other})
    for name in ("WBINVD_ALL", "WBNOINVD_MASK"):
        assert not dominates("OTHER", name) and not dominates(name, "OTHER")


# What the kernel offers at a trigger, and what it does there.

SCAN = "autonuma_prot_none_scan"


def found(kernel, guest="sev", trigger=SCAN):
    case = scenario(load(), guest, "epyc-7763-2s", "autonuma-default", kernel)
    return {one.strategy: one for one in candidates(case, trigger)}


def test_every_strategy_is_judged():
    assert set(found("newest")) == set(STRATEGIES)


@pytest.mark.parametrize(
    ("kernel", "offered"),
    [
        ("6.6", {"WBINVD_ALL", "VM_PAGE_FLUSH"}),
        ("6.17", {"WBINVD_ALL", "WBNOINVD_ALL", "WBINVD_MASK", "WBNOINVD_MASK", "CLFLUSHOPT_DM_GMEM"}),
    ],
)
def test_a_kernel_offers_what_it_or_an_older_one_brought(kernel, offered):
    """WBNOINVD and the mask came with v6.17, the release of guest_memfd pages with v6.11; nobody merged the rest."""
    by_kernel = found(kernel)
    assert offered <= {name for name, one in by_kernel.items() if one.offered}
    late = {"WBNOINVD_ALL", "WBNOINVD_MASK", "CLFLUSHOPT_DM_GMEM"} if kernel == "6.6" else set()
    never = {"CLFLUSHOPT_UVA", "CLFLUSHOPT_DM_SPTE", "ARM_CMO_RANGE", "SKIP_COHERENT"}
    assert not (late | never) & {name for name, one in by_kernel.items() if one.offered}


def test_to_skip_a_flush_takes_a_kernel_that_skips_it():
    assert not found("newest")["NO_FLUSH"].offered
    aging = found("newest", trigger="access_bit_aging")["NO_FLUSH"]
    assert aging.running and aging.offered and not aging.flushes


@pytest.mark.parametrize(("kernel", "running"), [("6.6", {"WBINVD_ALL"}), ("6.17", {"WBNOINVD_MASK"})])
def test_what_the_kernel_does_is_marked(kernel, running):
    by_kernel = found(kernel)
    assert {name for name, one in by_kernel.items() if one.running} == running
    assert all(by_kernel[name].offered and by_kernel[name].flushes for name in running)


def test_of_a_trigger_that_is_not_catalogued_nothing_is_known():
    case = scenario(load(), "plain", "epyc-7763-2s", "autonuma-default", "6.6")
    assert running_strategies(case, "access_bit_aging") == ()


def test_safe_means_that_every_predicate_is_known_to_hold():
    for one in found("newest").values():
        assert one.safe == (one.verdict.state == "admissible")
    assert found("newest")["WBNOINVD_MASK"].safe
    assert not found("newest")["NO_FLUSH"].safe
    assert not found("6.6")["WBNOINVD_MASK"].safe


def test_pinned_pages_are_flushed_only_where_the_event_knows_them():
    """sev_clflush_pages() takes the pages of a region; a notifier brings user addresses."""
    assert not found("newest")["CLFLUSHOPT_DM_PINNED"].offered
    assert found("newest", trigger="unreg_region")["CLFLUSHOPT_DM_PINNED"].offered


# Each flip condition is crossed by 1 % on either side, over the whole matrix of guests and machines.

EVIDENCE = load()
OFTEN = ("epyc-7763-2s", "epyc-9654-2s", "xeon-8570-2s")
CASES = [
    pytest.param(guest, machine, workload, marks=() if machine in OFTEN else pytest.mark.nightly)
    for guest in GUESTS
    for machine in EVIDENCE.machines
    for workload in ("idle", "teardown")
]


def flips_of(guest, machine, workload):
    case = scenario(EVIDENCE, guest, machine, workload)
    if not_applicable(case):
        return []
    parameters = parameters_of(EVIDENCE, machine)
    return [(study, flip) for study in study_all(EVIDENCE, case, parameters) for flip in study.flips]


@pytest.mark.parametrize(("guest", "machine", "workload"), sampled(CASES, 3))
def test_the_winner_changes_within_one_percent(guest, machine, workload):
    for study, flip in flips_of(guest, machine, workload):

        def winner(value, study=study, flip=flip):
            return winner_at(study.case.over(medians(study.parameters)), list(study.costed), flip.parameter, value)

        below, above = winner(flip.at * 0.99), winner(flip.at * 1.01)
        assert below != above
        assert flip.winner == (above if flip.at > flip.current else below)


def test_there_are_flips_to_test():
    assert len([flip for guest in ("sev", "sev-snp-gmem") for flip in flips_of(guest, "epyc-7763-2s", "teardown")]) >= 3


def along(monkeypatch, costs, current, low=1.0, high=1000.0, winner="flat"):
    """Flips of the given costs, functions of the value of an axis."""
    monkeypatch.setattr(choice, "stolen_at", lambda case, strategy, *where: numpy.vectorize(costs[strategy])(where[-1]))
    return choice._along(Case("t", None, None), list(costs), winner, "line_dirty_s", "s", current, low, high)


def test_a_flip_lies_on_each_side_of_here_at_most_once(monkeypatch):
    costs = {"flat": lambda x: 10.0, "rising": lambda x: x, "falling": lambda x: 2000.0 / x}
    above, below = (
        {"flat": costs["flat"], "falling": costs["falling"]},
        {"flat": costs["flat"], "rising": costs["rising"]},
    )
    parameters = parameters_of(EVIDENCE, "epyc-7763-2s")
    name = parameters["line_dirty_s"].description
    (found,) = along(monkeypatch, above, 50.0)
    assert (found.winner, found.at, found.current) == ("falling", pytest.approx(200.0), 50.0)
    assert worded(found, parameters).sentence == f"falling is cheaper above {name} 200 s (now 50 s)"
    (found,) = along(monkeypatch, below, 50.0)
    assert (found.winner, found.at) == ("rising", pytest.approx(10.0))
    assert worded(found, parameters).sentence == f"rising is cheaper below {name} 10 s (now 50 s)"
    assert [f.winner for f in along(monkeypatch, costs, 50.0)] == ["rising", "falling"]


def test_of_several_crossings_on_a_side_the_nearest_counts(monkeypatch):
    waves = {"flat": lambda x: 0.0, "wave": lambda x: math.cos(math.log(x) * math.pi)}
    crossings = [math.exp(n + 0.5) for n in range(6)]
    found = along(monkeypatch, waves, math.exp(2.0), low=1.001, high=math.exp(6.0))
    assert [f.at for f in found] == pytest.approx([crossings[1], crossings[2]])


def test_where_two_only_touch_nothing_flips(monkeypatch):
    touching = {"flat": lambda x: 1.0, "touching": lambda x: 1.0 + abs(math.log(x / 30.0))}
    assert along(monkeypatch, touching, 50.0) == []


def test_the_span_of_a_parameter_is_a_hundred_either_way_and_that_of_a_share_ends_at_one(monkeypatch):
    asked = {}
    monkeypatch.setattr(choice, "_along", lambda *given: asked.update({given[3]: given[5:]}) or [])
    case = scenario(EVIDENCE, "sev-snp-gmem", "epyc-7763-2s", "teardown")
    parameters = parameters_of(EVIDENCE, "epyc-7763-2s")
    names = ("line_dirty_s", "dirty_fraction", "serial_exponent", "presence_position", "smt_factor")
    choice.flips(Case("gmem_free_folio_teardown", case, medians(parameters)), ["A", "B"], "A", names)
    for name in names:
        median = parameters[name].distribution.median
        share = name not in ("line_dirty_s", "smt_factor")
        ends = (1e-4, 1.0) if share else (median / 100, median * 100)
        assert asked[name] == pytest.approx((median, *ends))
    assert asked["range_bytes"] == (16e9, 64.0, 64 * 2.0**30)
    assert set(asked) == {"range_bytes", "cpus", "cache_bytes", *names}


def test_the_cost_at_a_value_is_the_total_with_that_value():
    case = scenario(EVIDENCE, "sev", "epyc-7763-2s", "ksm-default")
    parameters = parameters_of(EVIDENCE, "epyc-7763-2s")
    at = medians(parameters)
    asked = (Case("ksm_replace_page", case, at), "WBNOINVD_MASK")
    few = total(Case("ksm_replace_page", replace(case, cpus_that_ran=9.0), at), "WBNOINVD_MASK").event.stolen_s
    assert choice.stolen_at(*asked, "cpus", numpy.array([9.0])) == few
    for value in (1e-9, 1e-6):
        slow = at.with_values(line_valid_s=numpy.array([value]))
        expected = total(Case("ksm_replace_page", case, slow), "WBNOINVD_MASK").event.stolen_s
        several = numpy.array([1e-9, 1e-6, 1e-7])
        found = choice.stolen_at(*asked, "line_valid_s", several)
        assert found[several == value] == pytest.approx(expected, rel=1e-12)


# The choice at one trigger, from candidates and costs that are given: what runs, on what basis, and how sure it is.


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
    entry = said(alone)
    assert (entry.strategy, entry.running, entry.basis, entry.gap) == (None, False, None, None)
    assert entry.strategy_title == "no safe strategy in this kernel"
    assert "can lose a flush here (NO_FLUSH: why NO_FLUSH)" in entry.reason
    assert entry.source == "where NO_FLUSH"
    assert (entry.p_best, entry.p_best_note, entry.regret) == (None, "", None)


def test_where_nothing_is_known_to_run_that_is_the_gap():
    entry = said(study_of([candidate(BLAST)]))
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
        entry = said(found)
        note = {"forced": "no choice", "dominated": "no probability needed"}[basis]
        assert (entry.p_best, entry.p_best_note, entry.cheapest, entry.flips) == (None, note, None, [])


def test_without_a_choice_there_is_no_basis():
    assert study_of([candidate(BLAST)]).basis is None


def test_a_safe_flush_that_the_kernel_does_not_use_is_named():
    found = study_of([candidate(BLAST, running=True), candidate(KEEP)], [cost(BLAST, 1.0)])
    assert (
        said(found).reason == f"why {BLAST}; {KEEP} would be cheaper and is safe, but this kernel does not use it here"
    )
    other = study_of([candidate(KEEP, running=True), candidate(BLAST)], [cost(KEEP, 1.0)])
    assert said(other).reason == f"why {KEEP}"
    assert said(other).source == f"where {KEEP}"


def by_cost(**marks):
    """KEEP runs; RANGE is cheaper in one of four draws."""
    pair = [candidate(KEEP, running=True), candidate(RANGE)]
    costs = [cost(KEEP, [1.0, 1.0, 1.0, 1.0]), cost(RANGE, [0.5, 2.0, 2.0, 2.0], **marks)]
    found = study_of(pair, costs)
    found.__dict__.update(corners=[], flips=[], disagreeing={})
    return found


def test_by_cost_each_has_its_share_of_the_draws():
    entry = said(by_cost())
    assert (entry.basis, entry.strategy, entry.cheapest) == ("cost", KEEP, KEEP)
    assert entry.p_best == entry.p_best_of_cheapest == 0.75
    assert entry.p_best_note == "lowest host CPU time per event, given the model"
    assert entry.regret.expected_cpu_s_per_event == pytest.approx(0.125)
    assert (entry.regret.worst_cpu_s_per_event, entry.regret.worst_corner) == (None, "")


def test_a_prior_bounds_the_share_and_says_so():
    entry = said(by_cost(extrapolated=True))
    assert entry.p_best_note.endswith("and its stated prior, never beyond 0.05/0.95")


def test_the_worst_corner_is_that_of_the_largest_regret():
    found = by_cost()
    corner = {
        name: Corner(corner=name, winner=RANGE, regret_cpu_s_per_event=x) for name, x in (("a", 1), ("b", 3), ("c", 2))
    }
    found.__dict__["corners"] = list(corner.values())
    regret = said(found).regret
    assert (regret.worst_cpu_s_per_event, regret.worst_corner) == (3, "b")


def test_a_rerun_that_chooses_otherwise_leaves_it_undecided():
    found = by_cost()
    found.__dict__["disagreeing"] = {f"without C{i}": RANGE for i in (4, 2, 3, 1)}
    entry = said(found)
    assert entry.p_best is None and entry.p_best_of_cheapest is None
    told = ", ".join(f"without C{i}: {RANGE}" for i in (1, 2, 3))
    assert entry.p_best_note == f"undecided: another strategy is cheapest {told}"


def test_only_reruns_that_choose_otherwise_disagree(monkeypatch):
    found = by_cost()
    del found.__dict__["disagreeing"]
    monkeypatch.setattr(choice, "winners_elsewhere", lambda *asked: {"same": KEEP, "other": RANGE})
    assert found.disagreeing == {"other": RANGE}


def test_without_a_number_for_a_rival_there_is_no_comparison():
    pair = [candidate(KEEP, running=True), candidate("VM_PAGE_FLUSH")]
    found = study_of(pair, [cost(KEEP, 1.0), cost("VM_PAGE_FLUSH", 0.0, refused="nobody timed it")])
    assert (found.basis, found.comparison, found.disagreeing, found.corners, found.flips) == ("cost", None, {}, [], [])
    entry = said(found)
    assert entry.p_best_note == "no P(best): nobody timed it"
    assert (entry.p_best, entry.cheapest, entry.regret, entry.gap) == (None, None, None, None)


def test_a_choice_without_a_number_is_the_gap():
    pair = [candidate(KEEP, running=True), candidate(RANGE), candidate(PAGES)]
    costs = [cost(KEEP, 0.0, refused="no bandwidth"), cost(RANGE, 1.0), cost(PAGES, 2.0)]
    found = study_of(pair, costs)
    assert found.comparison is None and set(found.costed) == {RANGE, PAGES}
    assert said(found).gap == "no bandwidth"


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
        assert said(found).extrapolated is mark
