"""Guests, triggers and strategies: what each has, and that the ids fit together."""

import dataclasses

import pytest

from costmodel.errors import UnknownName
from costmodel.evidence.paths import data_dir
from costmodel.evidence.store import load
from costmodel.evidence.tables import read_document
from costmodel.kvm.catalog import GAPS, GUESTS, STRATEGIES, TRIGGERS, triggers_of


@pytest.mark.parametrize("lookup", [GUESTS.__getitem__, TRIGGERS.__getitem__, STRATEGIES.__getitem__])
def test_an_unknown_id_is_refused_with_the_known_ones(lookup):
    with pytest.raises(UnknownName) as error:
        lookup("nothing")
    assert "nothing" in str(error.value)


def test_guests_have_the_properties_that_are_described():
    described = read_document(data_dir() / "kvm" / "guests.toml")["properties"]
    for one in GUESTS.values():
        assert one.properties <= set(described)
        assert one.title and one.note


def test_ids_are_those_of_the_records():
    for records in (GUESTS, TRIGGERS, STRATEGIES):
        assert all(name == record.id for name, record in records.items())


def test_records_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        GUESTS["sev"].title = "other"


def test_a_plain_guest_is_not_encrypted_and_every_other_is():
    assert not GUESTS["plain"].has("encrypted")
    assert all(one.has("encrypted") for name, one in GUESTS.items() if name != "plain")


def test_guest_memfd_and_private_memory_in_vmas_exclude_each_other():
    for one in GUESTS.values():
        assert not (one.has("guest_memfd") and one.has("private_memory_vma_backed"))


def test_a_successor_is_a_guest_type_of_mainline():
    for one in GUESTS.values():
        if one.successor:
            assert GUESTS[one.successor].has("upstream") and not one.has("upstream")


def test_needed_features_are_read_of_machines():
    features = {name for machine in load().machines.values() for name in machine.features}
    for one in GUESTS.values():
        assert set(one.requires) <= features


def test_hva_events_occur_with_every_guest():
    hva = {t.id for t in TRIGGERS.values() if t.by_hva and t.path == "hva_notifier"}
    common = set.intersection(*({t.id for t in triggers_of(g)} for g in GUESTS))
    assert {"autonuma_prot_none_scan", "ksm_replace_page", "thp_collapse", "munmap_or_discard"} <= hva & common


def test_the_vmsa_is_freed_only_where_there_is_one():
    assert {g for g in GUESTS if "vmsa_page_free" in {t.id for t in triggers_of(g)}} == {
        name for name, one in GUESTS.items() if one.has("vmsa") and one.has("upstream")
    }


def test_triggers_of_workloads_exist():
    for load_ in load().workloads.values():
        for entry in load_.triggers:
            assert entry.trigger in TRIGGERS


def test_a_strategy_says_who_has_it():
    for one in STRATEGIES.values():
        assert one.title and one.list_status and one.source


def test_whole_cache_strategies_name_instruction_and_scope():
    whole = {name for name, one in STRATEGIES.items() if one.whole_cache}
    assert {"WBINVD_ALL", "WBNOINVD_ALL", "WBINVD_MASK", "WBNOINVD_MASK"} <= whole
    for name in whole & {"WBINVD_ALL", "WBNOINVD_ALL", "WBINVD_MASK", "WBNOINVD_MASK"}:
        instruction, scope = name.lower().split("_")
        assert STRATEGIES[name].instruction == instruction
        assert STRATEGIES[name].scope == {"all": "all_cpus", "mask": "mask"}[scope]


def test_skips_flush_nothing():
    for one in STRATEGIES.values():
        if one.skips:
            assert one.instruction == "none"


def test_every_gap_is_of_an_instruction_or_named_by_the_model_and_has_a_source():
    instructions = {strategy.instruction for strategy in STRATEGIES.values()}
    assert set(GAPS) <= instructions | {"psmash", "range"}
    assert all(gap.text and gap.source for gap in GAPS.values())
