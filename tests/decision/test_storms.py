"""Teardown, boot and conversion: as many events as it takes, over all memory of the guest."""

from dataclasses import replace

import numpy
import pytest

from costmodel.cost.scenario import scenario
from costmodel.decision.storms import storm_rows
from costmodel.evidence.store import load
from tests.decision.made import candidate, study_of

PAGE = 4096


def storms(*studies):
    return {row.trigger: row for row in storm_rows(studies)}


def test_a_boot_takes_as_many_flushes_as_were_counted(study):
    """35 invalidations of one boot (row N30), one after another."""
    one = study("autonuma_prot_none_scan", workload="vm-boot", kernel="6.6")
    row = storms(one)["autonuma_prot_none_scan"]
    assert row.events == load().one("N30").si == 35
    assert row.duration_s.median == pytest.approx(35 * float(numpy.median(one.cost("WBINVD_ALL").event.time_s)))


def test_a_boot_stops_the_whole_host(study):
    one = study("autonuma_prot_none_scan", workload="vm-boot", kernel="6.6")
    row = storms(one)["autonuma_prot_none_scan"]
    assert row.stolen_cpu_s.median == pytest.approx(35 * float(numpy.median(one.cost("WBINVD_ALL").event.stolen_s)))
    assert row.stolen_cpu_s.median > 150 * row.duration_s.median


def test_a_boot_does_not_lengthen_the_time_with_interrupts_off(study):
    one = study("autonuma_prot_none_scan", workload="vm-boot", kernel="6.6")
    irq_off = float(numpy.median(one.cost("WBINVD_ALL").event.irq_off_s))
    assert storms(one)["autonuma_prot_none_scan"].irq_off_s.median == pytest.approx(irq_off)


def test_scans_in_steady_state_are_no_storm(study):
    assert storms(study("autonuma_prot_none_scan")) == {}
    assert storms(study("ksm_replace_page", workload="ksm-default")) == {}


def test_releasing_a_guest_of_guest_memfd_flushes_every_page_of_it(study):
    one = study("gmem_free_folio_teardown", guest="sev-snp-gmem", workload="teardown")
    row = storms(one)["gmem_free_folio_teardown"]
    assert (row.strategy, row.events, row.resident_bytes) == ("CLFLUSHOPT_DM_GMEM", 1, 16e9)
    pages = 16e9 / PAGE
    rmpupdate = float(numpy.median(one.draws["rmpupdate_s"]))
    assert row.duration_s.median > pages * rmpupdate
    assert row.irq_off_s.high == 0


def test_a_guest_twice_as_large_takes_twice_as_long_to_release(study):
    case = {"guest": "sev-snp-gmem", "workload": "teardown"}
    one, two = (
        storms(study("gmem_free_folio_teardown", resident_bytes=size, **case))["gmem_free_folio_teardown"]
        for size in (16 * 2.0**30, 32 * 2.0**30)
    )
    assert two.duration_s.median == pytest.approx(2 * one.duration_s.median, rel=0.05)


def test_a_whole_cache_flush_of_a_teardown_does_not_grow_with_the_guest(study):
    one, two = (
        storms(study("unreg_region", workload="teardown", resident_bytes=size))["unreg_region"]
        for size in (16 * 2.0**30, 64 * 2.0**30)
    )
    assert (one.duration_s, one.stolen_cpu_s) == (two.duration_s, two.stolen_cpu_s)


def test_a_conversion_goes_through_all_memory(study):
    one = study("convert_private_to_shared_in_place", guest="sev-snp-gmem")
    row = storms(one)["convert_private_to_shared_in_place"]
    single = float(numpy.median(one.cost("CLFLUSHOPT_DM_GMEM").event.time_s))
    assert row.duration_s.median > 1e5 * single


def test_a_flush_that_nobody_timed_is_refused_with_its_gap(study):
    row = storms(study("asid_recycle", workload="teardown"))["asid_recycle"]
    assert row.duration_s is row.stolen_cpu_s is row.irq_off_s is None
    assert "DF_FLUSH" in row.refused


def test_pages_of_tdx_are_refused_with_their_gap(study):
    one = study("gmem_free_folio_teardown", guest="tdx", workload="teardown", machine="xeon-8570-2s")
    assert "TDH.PHYMEM.PAGE.WBINVD" in storms(one)["gmem_free_folio_teardown"].refused


def test_what_does_not_flush_is_no_storm(study):
    assert storms(study("vm_destroy", workload="teardown")) == {}
    assert storms(study("autonuma_prot_none_scan", guest="sev-snp-gmem", workload="vm-boot")) == {}


def test_a_teardown_releases_the_key_or_the_pages_of_the_whole_guest():
    """A release over all memory is a storm; what the workload counts otherwise, or what stays in the VM, is none."""
    case = scenario(load(), "sev", "epyc-7763-2s", "teardown")
    whole = next(t for t in case.workload.triggers if t.whole_vm and t.loop == "once")
    some = replace(whole, trigger="unreg_region", events_per_cycle=None)

    def told(trigger, shape, guest="sev"):
        study = study_of([candidate("WBINVD_ALL", running=True)], trigger=trigger, guest=guest)
        study.scenario = replace(study.scenario, elsewhere={trigger: shape} if shape else {})
        return [(row.events, row.resident_bytes) for row in storm_rows([study])]

    size = load().workload("autonuma-default").resident_bytes.value
    assert told("unreg_region", some) == [(1.0, size)]
    assert told("unreg_region", replace(some, whole_vm=False)) == []
    assert told("unreg_region", replace(some, loop="axis")) == []
    assert told("unreg_region", None) == []
    assert told("asid_recycle", replace(some, trigger="asid_recycle")) == [(1.0, size)]
    assert told("ksm_write_protect", replace(some, trigger="ksm_write_protect")) == []
    assert told("convert_private_to_shared_in_place", None, "sev-snp-gmem") == [(1.0, size)]


def test_what_is_not_chosen_or_does_not_flush_is_no_storm():
    for candidates in ([candidate("WBINVD_ALL")], [candidate("NO_FLUSH", running=True)]):
        study = study_of(candidates, trigger="convert_private_to_shared_in_place", guest="sev-snp-gmem")
        assert storm_rows([study]) == []
