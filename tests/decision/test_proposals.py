"""Proposals around the flush: what each would save, and what it would lose."""

import math
from dataclasses import replace

import numpy
import pytest

from costmodel.decision.proposals import DEFERRED_S, overlap_share
from costmodel.evidence.store import load
from costmodel.report.tables import variant_rows

SCAN, MIGRATE, MERGE = "autonuma_prot_none_scan", "numa_or_compaction_migrate", "ksm_replace_page"
EVIDENCE = load()


def rows_of(study):
    return {row.id: row for row in variant_rows(study, EVIDENCE)}


@pytest.fixture(scope="module")
def scan(study):
    return rows_of(study(SCAN))


@pytest.fixture(scope="module")
def moves(study):
    return rows_of(study(MIGRATE, rate_per_s=10.0))


def test_the_proposals_of_the_thread_are_there(scan):
    assert list(scan) == ["coalesced", "deferred", "imprecise", "user-va-missed", "spte-zaps"]


def test_what_loses_a_flush_is_inadmissible(scan):
    assert {id for id, row in scan.items() if not row.admissible} == {"deferred", "user-va-missed", "spte-zaps"}


def test_one_thread_that_waits_has_nobody_to_share_a_flush_with(scan):
    assert scan["coalesced"].variant == scan["coalesced"].kernel


def test_independent_events_share_flushes_and_save(study, moves):
    """Batch lambda T + exp(-lambda T), what arrives while one runs is served by the next."""
    cost = study(MIGRATE, rate_per_s=10.0).cost("WBNOINVD_MASK")
    load_ = 10.0 * cost.event.time_s
    expected = numpy.median(numpy.minimum(256, 10.0 / (load_ + numpy.exp(-load_)) * cost.event.stolen_s))
    assert moves["coalesced"].variant.median == pytest.approx(float(expected), rel=1e-6)
    assert moves["coalesced"].variant.median < moves["coalesced"].kernel.median


def test_deferring_for_a_second_leaves_at_most_one_flush_a_second(study, moves):
    stolen = study(MIGRATE, rate_per_s=10.0).cost("WBNOINVD_MASK").event.stolen_s
    assert moves["deferred"].variant.median == pytest.approx(float(numpy.median(stolen * 10 / (1 + 10 * DEFERRED_S))))


def test_deferring_says_how_much_memory_it_exposes(moves):
    """10 pages of 4 KiB in a second."""
    assert "40 KiB" in moves["deferred"].note


def test_a_proposal_never_costs_more_than_the_host_has(scan, moves):
    for row in (*scan.values(), *moves.values()):
        if row.quantity == "host CPUs lost":
            assert 0 < row.variant.low <= row.variant.high <= 256


def test_a_hook_that_does_not_test_for_a_memslot_pays_for_all_events(study, moves):
    share, _ = overlap_share(MIGRATE, EVIDENCE)
    stolen = study(MIGRATE, rate_per_s=10.0).cost("WBNOINVD_MASK").event.stolen_s
    expected = numpy.minimum(256, 10 / share * stolen)
    assert moves["imprecise"].variant.median == pytest.approx(float(numpy.median(expected)))
    assert moves["imprecise"].variant.median >= moves["imprecise"].kernel.median


def test_the_overlap_is_counted_from_the_recorded_events():
    share, where = overlap_share(MIGRATE, EVIDENCE)
    rows = [
        row
        for profile in EVIDENCE.hosts.values()
        for row in profile.table("invalidations")
        if MIGRATE in (row["trigger"], row["proxy"])
    ]
    hits = [row for row in rows if row["measured_overlap_bytes"] > 0]
    assert share == len(hits) / len(rows)
    assert where.startswith(f"{len(hits)} of {len(rows)}")


def test_an_event_that_nobody_recorded_has_no_overlap():
    assert overlap_share("vm_destroy", EVIDENCE) == (None, "")


def test_without_a_measured_host_there_is_no_overlap(study):
    bare = replace(EVIDENCE, hosts={})
    assert overlap_share(MIGRATE, bare) == (None, "")
    assert "imprecise" not in [row.id for row in variant_rows(study(SCAN), bare)]


def test_a_flush_through_the_user_address_misses_mappings(study, scan):
    """At two triggers of one rate: lambda (1 - exp(-lambda o W)) per second, o twice the share of the range."""
    cost = study(SCAN).cost("CLFLUSHOPT_UVA")
    same = 2 * 256 * 2**20 / 16e9
    rate = cost.rate_per_s
    expected = 3600 * rate * (1 - numpy.exp(-rate * same * cost.event.time_s))
    assert scan["user-va-missed"].variant.median == pytest.approx(float(numpy.median(expected)))
    assert scan["user-va-missed"].variant.low > 0


def test_missed_flushes_grow_with_the_square_of_a_small_rate(study):
    one, two = (rows_of(study(MIGRATE, rate_per_s=rate))["user-va-missed"].variant.median for rate in (1.0, 2.0))
    assert two == pytest.approx(4 * one, rel=1e-3)


def test_zaps_of_kvm_itself_eat_up_what_a_range_flush_saves(study, scan):
    """One range flush for the event and one per zap cost as much as the whole-cache flush."""
    ranged, whole = (study(SCAN).cost(n).event.stolen_s for n in ("CLFLUSHOPT_DM_SPTE", "WBNOINVD_MASK"))
    assert scan["spte-zaps"].variant.median == pytest.approx(float(numpy.median(whole / ranged)) - 1)


def test_where_the_range_flush_is_dearer_no_zap_is_needed(study):
    huge = study(SCAN, range_bytes=16e9, resident_bytes=16e9, cpus_that_ran=8.0)
    assert rows_of(huge)["spte-zaps"].variant.low == 0


def test_rates_that_nobody_published_leave_their_rows_out(study):
    assert list(rows_of(study(MIGRATE))) == ["spte-zaps"]


def test_only_a_notifier_trigger_has_proposals(study):
    assert variant_rows(study("unreg_region"), EVIDENCE) == []
    assert variant_rows(study("gmem_punch_hole", guest="sev-snp-gmem"), EVIDENCE) == []


def test_the_kernel_of_the_thread_is_told_with_its_blast(study):
    found = rows_of(study(SCAN, kernel="6.6"))
    assert found["coalesced"].strategy == found["deferred"].strategy == "WBINVD_ALL"


def test_every_row_has_a_source_and_a_note(scan):
    for row in scan.values():
        assert row.source and row.note
        assert math.isfinite(row.variant.high)
