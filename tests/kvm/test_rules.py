"""Rules are general: they name properties, never a guest or a trigger, and each cell meets one of them."""

import ast
import inspect
import re
from collections import defaultdict
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.errors import UnknownName
from costmodel.kvm import admissibility, predicates, rules
from costmodel.kvm.admissibility import judge
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS, triggers_of
from costmodel.kvm.predicates import atoms, evaluate
from costmodel.kvm.rules import RULES

CELLS = [(g.id, t.id, s) for g in GUESTS.values() for t in TRIGGERS.values() if t.occurs_with(g) for s in STRATEGIES]


def test_no_rule_names_a_guest_or_a_trigger():
    for node in ast.walk(ast.parse(inspect.getsource(rules))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert node.value not in GUESTS
            assert node.value not in TRIGGERS


def test_there_are_about_forty_rules_each_with_reason_and_source():
    assert len(rules.RULES) <= 43
    assert len({r.id for r in rules.RULES}) == len(rules.RULES)
    assert set(rules.REASONS) == {"no-such-trigger", *(one.id for one in rules.RULES)}
    for one in rules.REASONS.values():
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


# Rules see properties only: a renamed guest or trigger meets the same rule, and facts never lift a ban.

CELLS_RULES_ARE_GENERAL = [
    (guest, trigger.id, name) for guest in GUESTS for trigger in triggers_of(guest) for name in STRATEGIES
]
LABELS = ("yes", "conditional", "no")
TREES = [ast.parse(inspect.getsource(rules))]
FACTS = st.dictionaries(st.sampled_from(sorted(predicates.PREDICATES)), st.booleans())


@pytest.fixture(scope="module")
def verdicts():
    return {cell: judge(*cell) for cell in CELLS_RULES_ARE_GENERAL}


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
    for one in rules.REASONS.values():
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


# What the rules ask for: each condition by itself, against the reading of the kernel sources in data/kvm.

ALLOWED = {
    cell: verdict for cell in (row.cell for row in admissibility.facts()) if (verdict := judge(*cell)).label != "no"
}
UNWELCOME = {"gmem_in_place_conversion", "coherency_sfw_no", "noncoherent_dma"}
"""Conditions that only ever speak against a strategy."""
EITHER = ("has_sme_coherent", "under_mmu_lock")
"""A coherent CPU reaches tagged lines with CLFLUSH, but its host lines need no flush; SEAMCALLs want the lock held, a
release that may wait wants it free."""
FALLBACK = {"has_wbnoinvd", "fallback_to_wbinvd"}
SPELLINGS = {
    "flush_done_before_invalidate_range_end_returns_page": "flush_done_before_invalidate_range_end",
    "flush_before_page_returned_to_buddy": "flush_before_page_returned",
    "followed_by_DF_FLUSH": "followed_by_df_flush",
    "followed_by_SNP_DF_FLUSH": "followed_by_df_flush",
    "kernel_va_of_vmsa": "kernel_va",
    "mn_release_flush_done": "earlier_release_flushed",
    "not_verified": "whole_cache_instead_of_seamcall_verified",
    "sev_deactivate_lock held for write": "sev_deactivate_lock_held",
}
"""Words of the facts file -> predicate."""
NOT_ASKED = {
    ("gmem-release", "gmem_in_place_conversion"),
    ("hva-coalesce", "later_release_event_flushes"),
    ("hva-spte", "under_mmu_lock"),
    ("kernel-page", "rmp_made_shared"),
    ("page-to-guest", "direct_map_present"),
    ("page-to-guest", "pfn_known"),
    ("pinned-known", "kvm_lock_held"),
    ("pinned-known", "pfn_known"),
}
"""(rule, predicate) of the facts that the rule leaves to the catalogue: the trigger's hook or its PFN source implies
them.
"""

BEYOND = {
    "clean-alias": {"fallback_to_wbinvd", "has_wbnoinvd"},
    "followed-by-key-release": {"followed_by_key_release"},
    "gmem-single-page": {"batch_inside_free"},
    "hva-event-filter": {"event_is_protection"},
    "hva-stays": {"event_filter_in_kernel"},
    "kernel-page": {"fallback_to_wbinvd", "has_wbnoinvd", "irqs_enabled"},
    "mask-needs-vm": {"fallback_to_wbinvd", "flush_before_page_returned", "has_wbnoinvd", "irqs_enabled"},
    "module-other": {"irqs_enabled"},
    "page-to-guest": {"module_clears_clflush_before_alloc"},
    "private-memory-unreachable": {"rmp_or_module_enforced"},
}
"""What a rule asks for that no cell of the facts names: the hook's context and the instruction's fallback, or what the
facts say in words (`followed_by tdx_mmu_release_hkid`, the events by name, `CLFLUSH_BEFORE_ALLOC==0`).
"""


def satisfying(text):
    """The facts that satisfy the expression: all welcome conditions there, those of EITHER whichever way it asks."""
    names = atoms(text)
    for values in product((True, False), repeat=len(EITHER)):
        either = {name: value for name, value in zip(EITHER, values, strict=True) if name in names}
        facts = {name: name not in UNWELCOME for name in names} | either
        if evaluate(text, facts):
            return facts
    raise AssertionError(f"{text} cannot be met")


def literals(text):
    """Names of the facts file's expression that are predicates here, each with whether it is asked for."""
    found = {}
    for word in re.split(r"&&|\|\||[()]", text):
        plain = word.strip().removeprefix("!")
        name = SPELLINGS.get(plain, plain)
        if name in predicates.PREDICATES:
            found[name] = not word.strip().startswith("!")
    return found


@pytest.mark.parametrize("text", sorted({verdict.predicates for verdict in ALLOWED.values()}))
def test_every_condition_is_needed_and_only_the_instruction_has_a_fallback(text):
    facts = satisfying(text)
    for name in atoms(text):
        if name in ("true", *FALLBACK):
            continue
        assert evaluate(text, {**facts, name: not facts[name]}) is False, name
    if FALLBACK & set(atoms(text)):
        assert set(atoms(text)) >= FALLBACK
        assert evaluate(text, {**facts, "has_wbnoinvd": False}) is True
        assert evaluate(text, {**facts, "fallback_to_wbinvd": False}) is True
        assert evaluate(text, {**facts, **dict.fromkeys(FALLBACK, False)}) is False


def test_both_sides_of_coherence_are_asked_for_where_they_should_be():
    """CLFLUSH of tagged lines works on coherent CPUs only; the MSR is for those that are not; host lines need
    neither.
    """
    for (_, trigger, strategy), verdict in ALLOWED.items():
        if "has_sme_coherent" not in atoms(verdict.predicates):
            continue
        coherent = satisfying(verdict.predicates)["has_sme_coherent"]
        flushes_host_lines = trigger == "reg_region_or_launch_update" and strategy.startswith("CLFLUSHOPT")
        assert coherent != (flushes_host_lines or strategy == "VM_PAGE_FLUSH"), (trigger, strategy)


def test_only_seamcalls_want_the_lock_held():
    for (_, _, strategy), verdict in ALLOWED.items():
        if "under_mmu_lock" in atoms(verdict.predicates):
            assert satisfying(verdict.predicates)["under_mmu_lock"] == strategy.startswith("TDX"), strategy


def test_the_msr_is_for_cpus_that_have_it():
    asked = {cell: v.predicates for cell, v in ALLOWED.items() if cell[2] == "VM_PAGE_FLUSH"}
    assert asked
    for cell, text in asked.items():
        facts = satisfying(text)
        assert facts["has_vm_page_flush_msr"] and facts["asid_known"], cell
        assert "has_clflushopt" not in facts, cell


def test_the_release_that_flushed_before_is_not_the_conversion_in_place():
    """A destroyed VM relies on the release of its memory; a conversion relies on the page not staying where it is."""
    destroyed = judge("sev", "vm_destroy", "NO_FLUSH").predicates
    assert evaluate(destroyed, {"earlier_release_flushed": True}) is True
    assert evaluate(destroyed, {"earlier_release_flushed": False}) is False
    assert evaluate(destroyed, {"gmem_in_place_conversion": False}) is None
    converted = judge("sev-snp-gmem", "convert_private_to_shared_separate_backing", "NO_FLUSH").predicates
    assert evaluate(converted, {"gmem_in_place_conversion": False}) is True
    assert evaluate(converted, {"gmem_in_place_conversion": True}) is False
    assert evaluate(converted, {"earlier_release_flushed": True}) is None


def compared():
    """Cells that both the facts and the rules allow: (rule, asked by the facts, asked by the rule)."""
    for row in admissibility.facts():
        verdict = ALLOWED.get(row.cell)
        if verdict and row.admissible != "no":
            yield verdict.rule, literals(row.predicates), atoms(verdict.predicates), verdict.predicates


def test_what_the_sources_ask_for_the_rules_ask_for():
    left_out = {(rule, name) for rule, facts, rule_names, _ in compared() for name in facts if name not in rule_names}
    assert left_out == NOT_ASKED


def test_facts_and_rules_want_a_condition_the_same_way_round():
    for _, facts, names, text in compared():
        meets = satisfying(text)
        for name in set(facts) & set(names) - FALLBACK:
            assert facts[name] == meets[name], (name, text)


def test_what_the_rules_ask_for_beyond_the_sources_is_said_here():
    asked, read = defaultdict(set), defaultdict(set)
    for rule, facts, names, _ in compared():
        asked[rule] |= set(names)
        read[rule] |= set(facts)
    assert {rule: names - read[rule] for rule, names in asked.items() if names - read[rule]} == BEYOND


def test_each_rule_that_allows_something_is_compared():
    allowing = {verdict.rule for verdict in ALLOWED.values()}
    assert allowing - {rule for rule, *_ in compared()} == set()
    assert allowing < {rule.id for rule in RULES}


def test_a_guest_evicts_by_itself_only_where_the_cpu_wants_it():
    """Commit 7b306dfa326f: CPUID 8000_001F EBX[31] (COHERENCY_SFW_NO) says that it need not, so then nobody may count
    on it.
    """
    verdict = judge("sev-snp-gmem", "convert_shared_to_private", "GUEST_EVICT")
    assert verdict.label == "conditional"
    assert evaluate(verdict.predicates, {"coherency_sfw_no": False}) is True
    assert evaluate(verdict.predicates, {"coherency_sfw_no": True}) is False


def test_the_msr_flushes_no_page_that_the_rmp_protects():
    """sev_flush_encrypted_page() takes the MSR for the VMSA of SEV-ES; an SNP guest has only CPUs that are coherent."""
    assert judge("sev-es", "vmsa_page_free", "VM_PAGE_FLUSH").label == "yes"
    assert judge("sev-snp-gmem", "vmsa_page_free", "VM_PAGE_FLUSH").label == "no"
