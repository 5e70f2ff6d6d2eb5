"""The rules against the reading of the kernel sources that they were written from a half of."""

import csv
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir
from costmodel.evidence.store import load
from costmodel.kvm import admissibility, kernels, predicates
from costmodel.kvm.admissibility import judge
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS, triggers_of
from costmodel.kvm.predicates import atoms, evaluate, known


def test_half_of_the_triggers_is_held_out():
    assert len(admissibility.TRAINING_TRIGGERS) == (len(TRIGGERS) + 1) // 2
    assert set(TRIGGERS) > admissibility.TRAINING_TRIGGERS


def test_held_out_cells_are_met():
    scores = admissibility.scores()
    assert sum(score.cells for score in scores.values()) == len(admissibility.facts())
    for name, score in scores.items():
        assert score.cells > 200
        assert score.share >= 0.95, name


def test_every_disagreement_is_documented_and_none_is_stale():
    with (data_dir() / "kvm" / "disagreements.csv").open(newline="") as file:
        documented = {(row["guest"], row["trigger"], row["strategy"]) for row in csv.DictReader(file)}
    found = {(d.guest, d.trigger, d.strategy) for d in admissibility.disagreements()}
    assert found == documented
    assert all(d.why for d in admissibility.disagreements())


def test_no_disagreement_makes_a_ruled_out_flush_smaller():
    """Where the rules allow what the facts do not, it is a superset of the flush that the facts ask for."""
    for d in admissibility.disagreements():
        assert d.strategy.startswith(("WBINVD", "WBNOINVD"))


# What is not known: it counts only where it matters, and a verdict names it.

CELLS = [(guest, trigger.id, name) for guest in GUESTS for trigger in triggers_of(guest) for name in STRATEGIES]
TEXTS = sorted({judge(*cell).predicates for cell in CELLS})
FACTS = st.dictionaries(st.sampled_from(sorted(predicates.PREDICATES)), st.booleans())


def completions(text, facts):
    """Values of the expression for every way to fill in what `facts` leaves open."""
    free = [name for name in atoms(text) if name not in facts]
    return {
        evaluate(text, {**facts, **dict(zip(free, v, strict=True))}) for v in product((True, False), repeat=len(free))
    }


def test_the_rules_use_names_that_are_described():
    assert len(TEXTS) > 20
    assert {name for text in TEXTS for name in atoms(text)} <= set(predicates.PREDICATES)


@given(st.sampled_from(TEXTS), FACTS)
def test_unknown_means_that_it_can_still_go_both_ways(text, facts):
    value = evaluate(text, facts)
    assert completions(text, facts) == ({True, False} if value is None else {value})


@given(st.sampled_from(TEXTS), FACTS, FACTS)
def test_telling_more_never_flips_a_rule(text, facts, more):
    before = evaluate(text, facts)
    if before is not None:
        assert evaluate(text, {**more, **facts}) is before


@given(st.sampled_from(TEXTS), st.sampled_from(TEXTS), FACTS)
def test_de_morgan_holds_for_expressions_of_rules(one, other, facts):
    assert evaluate(f"!(({one}) && ({other}))", facts) is evaluate(f"!({one}) || !({other})", facts)
    assert evaluate(f"!(({one}) || ({other}))", facts) is evaluate(f"!({one}) && !({other})", facts)


@given(st.sampled_from(TEXTS), FACTS)
def test_double_negation_changes_nothing(text, facts):
    assert evaluate(f"!!({text})", facts) is evaluate(text, facts)


@given(st.sampled_from(CELLS), FACTS)
def test_a_verdict_names_what_is_open_and_what_fails(cell, facts):
    verdict = judge(*cell, facts)
    names = set(atoms(verdict.predicates))
    if verdict.state == "undecided":
        assert verdict.unknown and set(verdict.unknown) == names - set(facts)
    else:
        assert not verdict.unknown
    if verdict.state == "admissible":
        assert not verdict.unmet
    assert set(verdict.unmet) <= names & set(facts)


def test_a_name_that_nobody_told_is_unknown_and_not_false():
    assert evaluate("nobody_told", {}) is None
    assert evaluate("!nobody_told", {}) is None


@pytest.mark.parametrize("text", ["range_bytes<=range_cap", "a-b", "a &&& b", "!", "()", "a || || b", "a\x00", "é"])
def test_an_unreadable_atom_is_refused(text):
    with pytest.raises(BadInput):
        evaluate(text, {})


@pytest.mark.parametrize("kernel", kernels.KERNELS)
def test_what_machine_and_kernel_tell_is_described(kernel):
    features = load().machine("epyc-7763-2s").features
    for guest in GUESTS:
        for trigger in triggers_of(guest):
            facts = known(guest, trigger.id, features, kernel)
            assert set(facts) <= set(predicates.PREDICATES)
            assert all(isinstance(value, bool) for value in facts.values())


def test_the_mask_is_known_complete_from_the_kernel_that_keeps_it():
    seen = {kernel: known("sev", "ksm_replace_page", {}, kernel)["cpumask_complete"] for kernel in kernels.KERNELS}
    assert [kernel for kernel, value in seen.items() if value] == ["v6.17-v7.2", "v7.3-rc"]
