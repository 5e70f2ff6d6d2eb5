"""What is asked: ids, numbers a user may set, and what they change."""

from dataclasses import replace

import pytest

from costmodel.cost.scenario import PAGE_BYTES, scenario
from costmodel.errors import BadInput, UnknownName


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"guest": "sevv"}, UnknownName),
        ({"machine": "epyc"}, UnknownName),
        ({"workload": "busy"}, UnknownName),
        ({"kernel": "2.6.32"}, BadInput),
        ({"vcpus": 0}, BadInput),
        ({"cpus_that_ran": 0}, BadInput),
        ({"cpus_that_ran": 257}, BadInput),
        ({"event_fraction": 1.5}, BadInput),
        ({"event_fraction": -0.1}, BadInput),
        ({"resident_bytes": 0}, BadInput),
        ({"resident_bytes": float("nan")}, BadInput),
    ],
)
def test_impossible_questions_are_refused(evidence, change, error):
    asked = {"guest": "sev", "machine": "epyc-7763-2s", "workload": "ksm-default", **change}
    with pytest.raises(error):
        scenario(evidence, **asked)


def test_an_unpinned_guest_has_run_on_every_cpu(evidence):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default")
    assert case.cpus_that_ran == evidence.machine("epyc-7763-2s").logical_cpus


def test_the_event_fraction_replaces_that_of_the_workload(evidence):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default", event_fraction=0.25)
    assert case.load("ksm_write_protect").event_fraction.value == 0.25
    assert case.workload.load("ksm_write_protect").event_fraction.value == 1.0


def test_a_trigger_without_a_rate_has_no_event_fraction(evidence):
    case = scenario(evidence, "sev", "epyc-7763-2s", "teardown", event_fraction=0.25)
    assert case.load("vm_teardown_mn_release").event_fraction is None


def test_a_whole_vm_range_follows_the_guest_size(evidence):
    case = scenario(evidence, "sev-snp-gmem", "epyc-7763-2s", "teardown", resident_bytes=2**30)
    assert case.ranges("gmem_free_folio_teardown") == ((2.0**30, 1.0),)


def test_a_trigger_of_another_workload_keeps_its_range_but_has_no_rate(evidence):
    case = scenario(evidence, "sev-snp-gmem", "epyc-7763-2s", "ksm-default", resident_bytes=2**30)
    assert case.load("gmem_free_folio_teardown") is None
    assert case.ranges("gmem_free_folio_teardown") == ((2.0**30, 1.0),)


def test_a_trigger_of_no_workload_has_one_page(evidence):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default")
    assert case.ranges("memslot_delete_or_move") == ((PAGE_BYTES, 1.0),)
    assert case.range_is_assumed("memslot_delete_or_move")
    assert case.range_note("memslot_delete_or_move") == "range not published: one 4 KiB page assumed"


@pytest.mark.parametrize("trigger", ["ksm_write_protect", "autonuma_prot_none_scan", "intra_host_migration_move_ctx"])
def test_a_known_range_is_not_called_an_assumption(evidence, trigger):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default")
    assert not case.range_is_assumed(trigger) and case.range_note(trigger) == ""


def test_a_range_that_is_set_is_no_assumption(evidence):
    case = replace(scenario(evidence, "sev", "epyc-7763-2s", "ksm-default"), range_bytes=2.0**21)
    assert not case.range_is_assumed("memslot_delete_or_move")


def test_an_intra_host_migration_moves_the_whole_guest(evidence):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default", resident_bytes=2**30)
    assert case.ranges("intra_host_migration_move_ctx") == ((2.0**30, 1.0),)
