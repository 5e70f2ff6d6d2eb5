"""Where a total is refused: what is known of it all the same."""

import numpy
import pytest

from costmodel.decision.sources import bound
from costmodel.evidence.store import load


def test_the_flush_on_all_cpus_bounds_asid_recycling_from_below(study):
    one = study("asid_recycle", workload="teardown")
    text = bound(one, load())
    assert text.startswith("at least ") and "WBINVD_ALL" in text and "EXTRAPOLATED" in text
    assert one.cost("DF_FLUSH_SEQ").refused and float(numpy.median(one.cost("WBINVD_ALL").event.stolen_s)) > 0


@pytest.mark.parametrize(
    ("resident_bytes", "rows"),
    [(16e9, ("S06a", "S07a")), (50e9, ("S06b", "S07b")), (400e9, ("S06c", "S07c")), (1e12, ("S06c", "S07c"))],
)
@pytest.mark.parametrize("trigger", ["gmem_free_folio_teardown", "hkid_free_vm_teardown"])
def test_measured_shutdowns_contain_the_write_back_of_a_tdx_guest(study, trigger, resident_bytes, rows):
    one = study(trigger, "tdx", "teardown", machine="xeon-8570-2s", resident_bytes=resident_bytes)
    text = bound(one, load())
    assert all(f"row {row}" in text for row in rows)


def test_a_total_that_is_given_and_a_page_on_its_own_have_no_bound(study):
    assert bound(study("autonuma_prot_none_scan"), load()) == ""
    assert bound(study("tdr_page_free", "tdx", "teardown", machine="xeon-8570-2s"), load()) == ""


def test_the_answer_says_so(answer):
    result = answer("tdx", machine="xeon-8570-2s", workload="teardown", resident_bytes=400e9)
    assert "S07c" in result.headline_cost
    assert any("S06c" in gap for gap in result.gaps)


def test_the_limit_of_csd_lock_says_what_it_needs(answer):
    (line,) = [text for text in answer("sev").assumptions if "interrupts are off" in text]
    assert "only with CONFIG_CSD_LOCK_WAIT_DEBUG" in line
