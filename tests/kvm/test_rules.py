"""Rules are general: they name properties, never a guest or a trigger, and each cell meets one of them."""

import ast
import inspect

import pytest

from costmodel.errors import UnknownName
from costmodel.kvm import predicates, rule, rules
from costmodel.kvm.admissibility import judge
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS

CELLS = [(g.id, t.id, s) for g in GUESTS.values() for t in TRIGGERS.values() if t.occurs_with(g) for s in STRATEGIES]


def test_no_rule_names_a_guest_or_a_trigger():
    for module in (rules, rule):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value not in GUESTS
                assert node.value not in TRIGGERS


def test_there_are_about_forty_rules_each_with_reason_and_source():
    assert len(rules.RULES) <= 43
    assert len({r.id for r in rules.RULES}) == len(rules.RULES)
    for one in rules.RULES:
        assert one.reason and one.source


def test_every_rule_decides_some_cell():
    deciding = {judge(*cell).rule for cell in CELLS}
    assert {r.id for r in rules.RULES} <= deciding


def test_every_cell_has_a_verdict_whose_predicates_parse():
    for cell in CELLS:
        verdict = judge(*cell)
        assert verdict.label in ("yes", "conditional", "no")
        assert verdict.reason and verdict.source
        for name in predicates.atoms(verdict.predicates):
            assert name in predicates.PREDICATES


def test_no_fact_makes_a_ruled_out_strategy_admissible():
    everything = dict.fromkeys(predicates.PREDICATES, True)
    nothing = dict.fromkeys(predicates.PREDICATES, False)
    for cell in CELLS:
        if judge(*cell).label == "no":
            assert {judge(*cell, facts).state for facts in ({}, everything, nothing)} == {"inadmissible"}


def test_a_conditional_strategy_needs_what_it_says():
    undecided = [cell for cell in CELLS if judge(*cell).label == "conditional"]
    assert undecided
    for cell in undecided:
        verdict = judge(*cell, {})
        assert verdict.state == "undecided"
        assert verdict.unknown


def test_a_flush_of_all_caches_never_needs_the_mask():
    for guest, trigger, _ in CELLS:
        for name in ("WBINVD_ALL", "WBNOINVD_ALL"):
            assert "cpumask_complete" not in predicates.atoms(judge(guest, trigger, name).predicates)


def test_a_failing_predicate_is_named():
    verdict = judge("sev", "ksm_replace_page", "WBNOINVD_MASK", {"cpumask_complete": False})
    assert verdict.state == "inadmissible"
    assert "cpumask_complete" in verdict.unmet


def test_a_trigger_that_the_guest_lacks_is_inadmissible():
    verdict = judge("plain", "vmsa_page_free", "WBINVD_ALL")
    assert (verdict.rule, verdict.label, verdict.state) == ("no-such-trigger", "no", "inadmissible")
    assert verdict.needed is verdict.dominated is False


@pytest.mark.parametrize(
    "cell",
    [("sevv", "unreg_region", "NO_FLUSH"), ("sev", "ksm", "NO_FLUSH"), ("sev", "unreg_region", "WBINVD")],
)
def test_unknown_ids_are_refused(cell):
    with pytest.raises(UnknownName):
        judge(*cell)


@pytest.mark.parametrize(
    ("guest", "trigger", "needed"),
    [
        ("sev", "munmap_or_discard", True),
        ("sev", "unreg_region", True),
        ("sev-snp-gmem", "munmap_or_discard", False),
        ("sev-snp-gmem", "gmem_punch_hole", True),
        ("plain", "munmap_or_discard", False),
        ("sev", "access_bit_aging", False),
        ("sev", "vmsa_page_free", False),
    ],
)
def test_a_flush_is_needed_where_private_lines_can_be_behind_the_event(guest, trigger, needed):
    """Only a trigger with lines at stake; user addresses reach private memory only where it has them."""
    for strategy in ("WBINVD_ALL", "NO_FLUSH"):
        assert judge(guest, trigger, strategy).needed is needed


def test_only_what_is_superfluous_is_called_dominated():
    for cell in CELLS:
        verdict = judge(*cell)
        assert verdict.dominated == (verdict.rule == "superfluous")
