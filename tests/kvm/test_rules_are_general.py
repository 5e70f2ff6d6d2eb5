"""Rules see properties only: a renamed guest or trigger meets the same rule, and facts never lift a ban."""

import ast
import inspect
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.kvm import admissibility, predicates, rule, rules
from costmodel.kvm.admissibility import judge
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS, triggers_of

CELLS = [(guest, trigger.id, name) for guest in GUESTS for trigger in triggers_of(guest) for name in STRATEGIES]
LABELS = ("yes", "conditional", "no")
TREES = [ast.parse(inspect.getsource(module)) for module in (rules, rule)]
FACTS = st.dictionaries(st.sampled_from(sorted(predicates.PREDICATES)), st.booleans())


@pytest.fixture(scope="module")
def verdicts():
    return {cell: judge(*cell) for cell in CELLS}


@pytest.fixture(scope="module")
def banned(verdicts):
    return [cell for cell, verdict in verdicts.items() if verdict.label == "no"]


def test_no_rule_reads_an_id_or_a_title():
    names = {"id", "title", "note", "vendor", "successor"}
    for tree in TREES:
        read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not read & names


def test_no_text_of_a_rule_contains_a_trigger():
    texts = [n.value for tree in TREES for n in ast.walk(tree) if isinstance(n, ast.Constant) and n.value is not None]
    for text in texts:
        assert not [name for name in TRIGGERS if name in str(text)]
        assert text not in GUESTS


def test_the_first_rule_that_applies_decides_and_names_do_not_matter(verdicts):
    guests = {name: replace(guest, id="g", title="g", note="g") for name, guest in GUESTS.items()}
    triggers = {name: replace(trigger, id="t", title="t") for name, trigger in TRIGGERS.items()}
    for (guest, trigger, name), verdict in verdicts.items():
        things = guests[guest], triggers[trigger], STRATEGIES[name]
        applying = [one for one in rules.RULES if one.when(*things)]
        assert applying[0].id == verdict.rule
        assert applying[0].verdict(*things) == verdict.label
        assert applying[0].text(things[1], things[2]) == verdict.predicates


def test_each_cell_has_one_of_three_labels(verdicts):
    assert {verdict.label for verdict in verdicts.values()} == set(LABELS)


def test_a_ban_goes_with_the_expression_false_and_nothing_else_does(verdicts):
    for cell, verdict in verdicts.items():
        assert (verdict.predicates == "false") == (verdict.label == "no"), cell


def test_no_reason_or_source_is_empty():
    for one in rules.RULES:
        assert len(one.reason.split()) >= 3, one.id
        assert one.source.strip(), one.id


@given(FACTS)
def test_no_facts_lift_a_ban(banned, facts):
    assert banned
    for cell in banned[:: len(banned) // 40]:
        assert judge(*cell, facts).state == "inadmissible"


def test_no_fact_of_any_kind_lifts_any_ban(banned):
    for value in (True, False):
        facts = dict.fromkeys(predicates.PREDICATES, value)
        assert {judge(*cell, facts).state for cell in banned} == {"inadmissible"}


def test_a_ban_holds_even_if_its_expression_does(banned, monkeypatch):
    monkeypatch.setattr(admissibility, "_judged", admissibility._judged.__wrapped__)
    monkeypatch.setattr(admissibility, "RULES", tuple(replace(one, predicates="true") for one in rules.RULES))
    assert {judge(*cell).state for cell in banned} == {"inadmissible"}


def test_every_other_cell_can_be_made_admissible(verdicts):
    """An expression that no facts satisfy would be a ban in disguise."""
    for cell, verdict in verdicts.items():
        if verdict.label != "no":
            negated = {name for name in predicates.atoms(verdict.predicates) if f"!{name}" in verdict.predicates}
            facts = {name: name not in negated for name in predicates.PREDICATES}
            assert judge(*cell, facts).state == "admissible", cell


def test_labels_do_not_depend_on_the_facts(verdicts):
    facts = dict.fromkeys(predicates.PREDICATES, True)
    for cell, verdict in verdicts.items():
        assert judge(*cell, facts).label == verdict.label
