"""Where cost alone would choose otherwise: cheaper indeed, and a reason each."""

import pytest

from costmodel.evidence.store import load
from costmodel.kvm import kernels
from costmodel.validation import cost_alone
from costmodel.validation.cost_alone import PLACES, Place

EVIDENCE = load()


@pytest.fixture(scope="module")
def rows():
    return {row.id: row for row in cost_alone.rows(EVIDENCE)}


def test_there_are_four_places(rows):
    assert len(rows) == len(PLACES) == 4


@pytest.mark.parametrize("place", PLACES, ids=lambda p: p.id)
def test_each_is_cheaper_in_more_than_half_of_the_draws(rows, place):
    row = rows[f"cost-alone-{place.id}"]
    assert 0.5 < row.value <= 1
    assert row.verdict == "disagree-explained"


@pytest.mark.parametrize("place", PLACES, ids=lambda p: p.id)
def test_each_has_a_reason_with_its_source(rows, place):
    row = rows[f"cost-alone-{place.id}"]
    assert len(row.note) > 20
    assert row.source.startswith("rule ")


@pytest.mark.parametrize("place", PLACES, ids=lambda p: p.id)
def test_the_kernel_does_what_is_said_and_not_the_cheaper(place):
    done = kernels.upstream(place.guest, place.trigger, kernels.newest()).strategies
    assert place.kernel in done
    assert place.cheaper not in done


def test_a_place_that_is_not_cheaper_fails():
    dear = Place("x", "a page", "sev", "ksm_replace_page", "WBINVD_ALL", "CLFLUSHOPT_UVA")
    row = cost_alone._row(EVIDENCE, dear)
    assert (row.verdict, row.value) == ("fail", 0)


def test_a_large_hole_is_no_such_place(rows):
    """guest_memfd calls the hook for each folio, so a whole-cache flush there is one per 4 KiB page."""
    assert not any(place.guest == "sev-snp-gmem" for place in PLACES)
    hole = Place("hole", "a hole", "sev-snp-gmem", "gmem_punch_hole", "WBNOINVD_ALL", "CLFLUSHOPT_DM_GMEM")
    assert cost_alone._row(EVIDENCE, hole).verdict == "fail"


def test_a_flush_on_all_cpus_stands_for_a_sequence_that_holds_it(rows):
    assert "at least" in rows["cost-alone-asid"].figure


def test_leaving_the_flush_out_costs_nothing(rows):
    for id in ("cost-alone-event-filter", "cost-alone-region"):
        assert rows[id].figure.startswith("nothing against ")
        assert rows[id].value == 1


def test_the_page_of_the_thread_costs_less_than_microseconds_by_range_and_milliseconds_by_blast(rows):
    assert " ns against " in rows["cost-alone-4-kib-page"].figure
    assert " ms CPU time" in rows["cost-alone-4-kib-page"].figure
