"""Remedies: each names triggers that exist, says where it was read, and helps only where it says so."""

import pytest

from costmodel.kvm.catalog import GUESTS, TRIGGERS, triggers_of
from costmodel.kvm.kernels import KERNEL_RANGES
from costmodel.kvm.remedies import ANY, remedies

REMEDIES = {remedy.id: remedy for remedy in remedies()}
every = pytest.mark.parametrize("name", REMEDIES)


def test_ids_are_unique():
    assert len(REMEDIES) == len(remedies()) >= 5


@every
def test_a_remedy_names_what_exists_and_its_source(name):
    remedy = REMEDIES[name]
    assert remedy.triggers and remedy.triggers <= {ANY, *TRIGGERS}
    assert remedy.guests and remedy.guests <= {ANY, *GUESTS}
    assert remedy.title and remedy.caveat
    assert any(mark in remedy.source for mark in (".c", "commit", "KVM list", "thread", "ocumentation")), remedy.source


@every
def test_a_remedy_does_something_that_the_model_knows(name):
    assert REMEDIES[name].effect in ("stops", "pin_vcpus")


@every
def test_a_remedy_applies_to_some_event_of_some_guest(name):
    assert any(REMEDIES[name].applies_to(guest, trigger) for guest in GUESTS for trigger in triggers_of(guest))


@every
def test_a_remedy_that_stops_triggers_stops_nothing_else(name):
    remedy = REMEDIES[name]
    if remedy.effect == "stops":
        assert ANY not in remedy.triggers
        for guest in GUESTS:
            helped = {trigger.id for trigger in triggers_of(guest) if remedy.applies_to(guest, trigger)}
            assert helped <= remedy.triggers


@every
def test_a_remedy_that_works_goes_on_working_in_newer_kernels(name):
    works = [REMEDIES[name].works_in(kernel) for kernel in KERNEL_RANGES]
    assert works == sorted(works)
    assert works[-1]
    assert works.index(True) == (KERNEL_RANGES.index(first) if (first := REMEDIES[name].first_kernel) else 0)


def test_pinning_helps_only_where_the_kernel_has_a_mask():
    pinning = [remedy for remedy in remedies() if remedy.effect == "pin_vcpus"]
    assert pinning
    for remedy in pinning:
        assert not remedy.works_in("v6.11-v6.16") and remedy.works_in("v6.17-v7.2")


def test_no_remedy_claims_to_stop_the_recycling_of_asids():
    for remedy in remedies():
        if remedy.effect == "stops":
            assert not remedy.triggers & {"asid_recycle", "snp_init", "vm_destroy", "hkid_free_vm_teardown"}
