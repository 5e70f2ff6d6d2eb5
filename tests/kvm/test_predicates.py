"""Three-valued logic: what is unknown counts only where it matters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.errors import BadInput
from costmodel.kvm import predicates
from costmodel.kvm.admissibility import judge
from costmodel.kvm.kernels import KERNELS
from costmodel.kvm.predicates import atoms, evaluate, helps

NAMES = ("a", "b", "c", "d")
TEXTS = st.recursive(
    st.sampled_from((*NAMES, "true", "false")),
    lambda inner: st.one_of(
        inner.map(lambda x: f"!({x})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]}) && ({p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]}) || ({p[1]})"),
    ),
    max_leaves=8,
)
KNOWN = st.dictionaries(st.sampled_from(NAMES), st.booleans())


@given(TEXTS, KNOWN, st.booleans())
def test_telling_more_never_turns_an_answer_round(text, known, value):
    before = evaluate(text, known)
    for name in NAMES:
        if name not in known and before is not None:
            assert evaluate(text, {**known, name: value}) is before


@given(TEXTS, st.fixed_dictionaries({name: st.booleans() for name in NAMES}))
def test_with_everything_known_it_is_ordinary_logic(text, known):
    python = text.replace("&&", " and ").replace("||", " or ").replace("!", " not ")
    names = {**known, "true": True, "false": False}
    assert evaluate(text, known) is eval(python, {"__builtins__": {}}, names)


@given(TEXTS, TEXTS, KNOWN)
def test_de_morgan(one, other, known):
    assert evaluate(f"!(({one}) && ({other}))", known) is evaluate(f"!({one}) || !({other})", known)


@given(TEXTS)
def test_atoms_are_the_names(text):
    assert set(atoms(text)) == {name for name in NAMES if name in text.replace("false", "").replace("true", "")}


def test_and_binds_closer_than_or():
    assert evaluate("a || b && c", {"a": True, "b": False, "c": False}) is True
    assert evaluate("a && b || c", {"a": False, "b": False, "c": True}) is True


def test_unknown_matters_only_where_it_decides():
    assert evaluate("a || b", {"a": True}) is True
    assert evaluate("a && b", {"a": False}) is False
    assert evaluate("a && b", {"a": True}) is None


def test_the_name_that_fails_is_told_from_the_others():
    known = {"a": True, "b": False}
    assert helps("a && b", "b", known) is False
    assert helps("a && b", "a", known) is True
    assert helps("a && c", "c", known) is None


@pytest.mark.parametrize("text", ["", "a &&", "(a", "a b", "a & b", "&& a", "a)", "__import__('os')"])
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(BadInput):
        evaluate(text, {})


SINCE = {
    "cpumask_complete": "v6.17-v7.2",
    "later_release_event_flushes": "v5.15.70+",
    "earlier_release_flushed": "v5.15.70+",
    "before_clearing_src_active": "v7.3-rc",
}
"""First catalogued kernel range of which each is true for a SEV guest."""


@pytest.mark.parametrize("name", SINCE)
def test_what_a_kernel_brought_it_keeps(name):
    values = [predicates.known("sev", "ksm_replace_page", {}, kernel)[name] for kernel in KERNELS]
    first = list(KERNELS).index(SINCE[name])
    assert values == [False] * first + [True] * (len(values) - first)


def test_only_a_guest_with_an_asid_has_a_mask():
    for guest, trigger, has in (("sev", "ksm_replace_page", True), ("tdx", "vm_teardown_mn_release", False)):
        facts = predicates.known(guest, trigger, {}, "v7.3-rc")
        assert facts["cpumask_complete"] is has


def test_without_a_mask_a_later_flush_leaves_no_cpu_out():
    for kernel in KERNELS:
        assert predicates.known("sev", "ksm_replace_page", {}, kernel)["cpumask_monotonic"] is True


def test_hooks_do_what_they_do_and_nobody_does_the_rest():
    facts = predicates.known("sev", "ksm_replace_page", {}, "v6.17-v7.2")
    assert all(facts[one.id] is True for one in predicates.PREDICATES.values() if one.every_kernel)
    assert all(facts[one.id] is False for one in predicates.PREDICATES.values() if one.every_kernel is False)
    assert facts["followed_by_df_flush"] is False
    assert {one.every_kernel for one in predicates.PREDICATES.values()} == {True, False, None}


@pytest.mark.parametrize("feature", sorted(one.feature for one in predicates.PREDICATES.values() if one.feature))
def test_a_machine_has_the_features_that_it_has(feature):
    name = next(one.id for one in predicates.PREDICATES.values() if one.feature == feature)
    for value in (True, False):
        facts = predicates.known("sev", "ksm_replace_page", {feature: value}, "v6.17-v7.2")
        assert facts[name] is value
        assert facts["clean_alias_lines_harmless"] is (value and feature == "sme_coherent")
    facts = predicates.known("sev", "ksm_replace_page", {}, "v6.17-v7.2")
    assert facts[name] is facts["clean_alias_lines_harmless"] is False


@pytest.mark.parametrize(
    ("guest", "trigger", "told"),
    [
        ("sev", "autonuma_prot_none_scan", {"event_is_protection": True, "page_stays_in_vm": True}),
        ("sev", "ksm_write_protect", {"event_is_protection": False, "page_stays_in_vm": True}),
        ("sev", "reg_region_or_launch_update", {"page_stays_in_vm": False, "memory_pinned": True}),
        ("sev", "thp_split", {"event_is_protection": False, "page_stays_in_vm": False}),
        ("sev", "ksm_replace_page", {"event_is_protection": False, "page_stays_in_vm": False, "under_mmu_lock": False}),
        ("sev", "memslot_delete_or_move", {"event_is_protection": False, "kvm_pointer_available": True}),
        (
            "sev",
            "unreg_region",
            {"pfn_known": True, "pfn_stable": True, "direct_map_present": True, "memory_pinned": True},
        ),
        ("sev-es", "vmsa_page_free", {"pfn_known": True, "pfn_stable": True, "asid_known": True}),
        (
            "sev-snp-gmem",
            "gmem_punch_hole",
            {"pfn_known": True, "direct_map_present": True, "kvm_pointer_available": False},
        ),
        ("sev-snp-gmem", "gmem_punch_hole", {"private_memory_is_gmem_only": True, "rmp_or_module_enforced": True}),
        ("sev", "ksm_replace_page", {"private_memory_is_gmem_only": False, "rmp_or_module_enforced": False}),
        ("tdx", "gmem_punch_hole", {"under_mmu_lock": True, "rmp_or_module_enforced": True}),
        ("tdx", "munmap_or_discard", {"under_mmu_lock": False}),
        ("sev-snp-gmem", "gmem_punch_hole", {"under_mmu_lock": False}),
    ],
)
def test_what_a_trigger_tells(guest, trigger, told):
    facts = predicates.known(guest, trigger, {}, "v6.17-v7.2")
    assert {name: facts[name] for name in told} == told


@pytest.mark.parametrize(
    ("trigger", "untold"),
    [
        ("ksm_replace_page", {"pfn_known", "pfn_stable", "direct_map_present", "memory_pinned", "asid_known"}),
        ("unreg_region", {"asid_known"}),
        ("vm_destroy", {"pfn_known", "memory_pinned"}),
    ],
)
def test_what_a_trigger_does_not_tell_is_unknown(trigger, untold):
    assert not untold & set(predicates.known("sev", trigger, {}, "v6.17-v7.2"))
    assert "memory_pinned" not in predicates.known("sev-es", "vmsa_page_free", {}, "v6.17-v7.2")


@pytest.mark.parametrize(
    ("kernel", "trigger", "converts"),
    [
        ("v7.3-rc", "convert_private_to_shared_in_place", True),
        ("v6.17-v7.2", "convert_private_to_shared_in_place", False),
        ("v7.3-rc", "convert_private_to_shared_separate_backing", False),
        ("v7.3-rc", "gmem_punch_hole", False),
    ],
)
def test_guest_memfd_converts_in_place_where_the_kernel_can(kernel, trigger, converts):
    assert predicates.known("sev-snp-gmem", trigger, {}, kernel)["gmem_in_place_conversion"] is converts


def test_a_condition_helps_unless_it_is_what_fails():
    known = {"a": False, "b": False}
    assert helps("a || b", "a", known) is False  # either would do
    assert helps("a && b", "a", known) is False
    assert helps("!a && b", "a", known) is True
    assert helps("!a && b", "b", known) is False
    assert helps("a && true", "a", {"a": True}) is True
    assert helps("a && true", "b", {"a": True}) is None


def test_a_failing_name_is_told_although_another_fails_too():
    facts = {"a": False, "b": False, "c": True}
    assert [name for name in "abc" if helps("a && b && c", name, facts) is False] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("(a", "a parenthesis is not closed"),
        ("a)", "'\\)' is left over"),
        ("a b", "'b' is left over"),
        ("a &&", "ends or breaks off"),
        ("|| a", "ends or breaks off"),
        ("a & b", "cannot read"),
    ],
)
def test_a_broken_expression_says_what_is_wrong(text, why):
    with pytest.raises(BadInput, match=why):
        evaluate(text, {"a": True, "b": True})


def test_spaces_and_parentheses_change_nothing():
    assert evaluate("  ( a&&(b||c) )  ", {"a": True, "b": False, "c": True}) is True
    assert evaluate("!(a && b)", {"a": True, "b": True}) is False
    assert atoms("b && (a || !b) && true") == ("b", "a")


def test_whether_dma_bypasses_the_caches_is_unknown_until_somebody_tells():
    place = ("plain", "guest_executes_wbinvd", {}, "v6.17-v7.2")
    told = [predicates.known(*place, noncoherent_dma=dma) for dma in (None, False, True)]
    assert [facts.get("noncoherent_dma") for facts in told] == [None, False, True]
    states = [judge("plain", "guest_executes_wbinvd", "NO_FLUSH", facts).state for facts in told]
    assert states == ["undecided", "admissible", "inadmissible"]
    assert {judge("plain", "guest_executes_wbinvd", "WBINVD_MASK", facts).state for facts in told} == {"admissible"}
    assert {judge("plain", "guest_executes_wbinvd", "WBNOINVD_MASK", facts).state for facts in told} == {"inadmissible"}


def test_a_vcpu_that_moves_flushes_the_cpu_that_it_left_only_without_the_exit():
    cell = ("plain", "vcpu_migration_between_pcpus", "NO_FLUSH")
    facts = predicates.known(*cell[:2], {}, "v6.17-v7.2", noncoherent_dma=True)
    assert judge(*cell, facts).state == "admissible"
    without = facts | {"has_wbinvd_exit": False}
    assert judge(*cell, without).state == "inadmissible"
    assert judge(*cell, without | {"noncoherent_dma": False}).state == "admissible"
