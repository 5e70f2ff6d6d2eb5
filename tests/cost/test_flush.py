"""Event costs: scopes, instructions, residency, floors."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.calibration.cached import parameters_of
from costmodel.cost import flush
from costmodel.cost.draws import Draws, medians
from costmodel.evidence.store import load

EVIDENCE = load()
MILAN = EVIDENCE.machine("epyc-7763-2s")
AT = medians(parameters_of(EVIDENCE, MILAN.id))


@settings(deadline=None, max_examples=40)
@given(st.floats(1, 255))
def test_a_larger_mask_never_costs_less(cpus):
    small = flush.whole_cache(AT, MILAN, cpus, invalidates=False)
    large = flush.whole_cache(AT, MILAN, cpus + 1, invalidates=False)
    assert large.time_s >= small.time_s
    assert large.stolen_s > small.stolen_s


def test_wbnoinvd_costs_the_guest_no_refill():
    with_refill = flush.whole_cache(AT, MILAN, 256, invalidates=True)
    without = flush.whole_cache(AT, MILAN, 256, invalidates=False)
    assert with_refill.time_s == without.time_s
    assert with_refill.guest_s > without.guest_s


def test_every_cpu_of_the_mask_stands_still():
    cost = flush.whole_cache(AT, MILAN, 256, invalidates=False)
    assert float(cost.stolen_s[0]) == pytest.approx(256 * float(cost.irq_off_s[0]), rel=0.1)
    assert cost.irq_off_s < cost.time_s


@settings(deadline=None, max_examples=40)
@given(st.integers(64, 2**34), st.sampled_from(["cold", "hot", "unknown"]))
def test_range_flush_grows_with_the_range_and_shrinks_to_its_start(size, residency):
    present = flush.present_fraction(AT, MILAN, 16e9, residency, size)
    one = flush.range_flush(AT, MILAN, size, present, 8)
    more = flush.range_flush(AT, MILAN, size + 64, present, 8)
    none = flush.range_flush(AT, MILAN, 0, present, 8)
    assert more.time_s > one.time_s > none.time_s
    assert none.time_s == pytest.approx(AT["remote_factor"] * AT["range_start_s"])
    assert numpy.all(one.irq_off_s == 0)


@given(st.floats(4096, 2**40), st.floats(1e6, 1e12))
def test_never_more_is_cached_than_the_caches_hold(size, resident):
    for residency in ("cold", "hot", "unknown"):
        share = flush.present_fraction(AT, MILAN, resident, residency, size)
        assert 0 < float(share[0]) <= 1
        assert float(share[0]) * size <= MILAN.cache_bytes * (1 + 1e-9) or float(share[0]) <= 1e-12


def test_cold_unknown_and_hot_are_ordered(draws):
    cold, unknown, hot = (
        flush.present_fraction(draws, MILAN, 16e9, residency, 4096) for residency in ("cold", "unknown", "hot")
    )
    assert numpy.all(cold <= unknown + 1e-12)
    assert numpy.all(unknown <= hot + 1e-12)


def test_release_of_n_pages_is_n_calls():
    one = flush.paged_flush(AT, MILAN, 4096, numpy.ones(1), 8)
    many = flush.paged_flush(AT, MILAN, 512 * 4096, numpy.ones(1), 8)
    assert float(many.time_s[0]) == pytest.approx(512 * float(one.time_s[0]))
    folio = flush.paged_flush(AT, MILAN, 512 * 4096, numpy.ones(1), 8, page_bytes=2.0**21)
    assert folio.time_s == pytest.approx(flush.range_flush(AT, MILAN, 2.0**21, numpy.ones(1), 8).time_s)


def test_rmpupdate_is_time_of_the_thread_that_releases():
    plain = flush.whole_cache(AT, MILAN, 256, invalidates=False)
    held = flush.with_rmpupdate(AT, plain, numpy.array(512.0), 8)
    update_s = 512 * float(AT["rmpupdate_s"][0])
    for part, share in (("time_s", 1.0), ("stolen_s", 1.0), ("guest_s", 1 / 8), ("irq_off_s", 0), ("neighbours_s", 0)):
        assert getattr(held, part) - getattr(plain, part) == pytest.approx(share * update_s)


def test_a_flush_for_each_folio_is_as_many_flushes_of_which_later_ones_find_less():
    """Nobody makes a cache dirty again between two flushes that follow each other, yet each walks all lines."""
    one, many = (
        flush.each_folio(AT, MILAN, 256, numpy.array(n), invalidates=False, packed=True) for n in (1.0, 1000.0)
    )
    assert one.time_s == flush.whole_cache(AT, MILAN, 256, invalidates=False).time_s
    clean = flush.whole_cache(AT.with_values(dirty_fraction=numpy.zeros(1)), MILAN, 256, invalidates=False)
    for part in ("time_s", "stolen_s"):
        least, most = 999 * float(getattr(clean, part)[0]), 1000 * float(getattr(one, part)[0])
        assert least < float(getattr(many, part)[0]) < most
    assert many.irq_off_s == one.irq_off_s


def test_a_present_page_takes_half_a_microsecond_and_a_whole_flush_a_part_of_a_millisecond():
    """Orders of magnitude of the sources: 0.36 to 0.54 us per dirty page on three EPYC; 1.3 ms to write back 36 MB at 27 GB/s."""
    page = flush.range_flush(AT, MILAN, 4096, numpy.ones(1), 8)
    whole = flush.whole_cache(AT, MILAN, 1, invalidates=False)
    assert 3e-7 < float(page.time_s[0]) < 1.2e-6
    assert 1e-4 < float(whole.time_s[0]) < 1.3e-3


def test_serial_skylake_flush_is_reproduced():
    """Row W01-W02: one CPU after another, near clean, 3.39 ms each."""
    skylake = EVIDENCE.machine("xeon-8160-2s")
    at = medians(parameters_of(EVIDENCE, skylake.id)).with_values(dirty_fraction=numpy.zeros(1))
    one = flush.whole_cache(at, skylake, 1, invalidates=True)
    assert float(one.irq_off_s[0]) == pytest.approx(3.39e-3, rel=0.2)


def test_draws_broadcast_with_arrays_of_ranges():
    draws = Draws(parameters_of(EVIDENCE, MILAN.id), 16)
    sizes = numpy.geomspace(64, 2**30, 5)[:, None]
    present = flush.present_fraction(draws, MILAN, 16e9, "hot", sizes)
    assert flush.range_flush(draws, MILAN, sizes, present, 8).time_s.shape == (5, 16)


def one(draws, name):
    return float(draws[name][0])


@pytest.mark.parametrize("cpus", [1, 8, 40, 256])
def test_a_whole_cache_flush_adds_up(cpus):
    """The initiator waits for flush and interrupts, each stopped CPU for the flush; the guest refills what it would use."""
    keeps, refills = (flush.whole_cache(AT, MILAN, cpus, invalidates=invalidates) for invalidates in (False, True))
    flush_s = float(keeps.irq_off_s[()] if keeps.irq_off_s.ndim == 0 else keeps.irq_off_s[0])
    broadcast_s = one(AT, "broadcast_start_s") + (cpus - 1) * one(AT, "broadcast_per_cpu_s")
    assert keeps.time_s == pytest.approx(flush_s + broadcast_s)
    assert keeps.guest_s == pytest.approx(flush_s)
    spread = flush.Spread.packed(MILAN, cpus)
    held = spread.domains_per_socket * (MILAN.llc_bytes_per_domain + spread.cores_per_domain * MILAN.l2_bytes_per_core)
    held = held * one(AT, "valid_fraction")
    outside = 128 * spread.sockets - cpus
    waiting_s = outside * one(AT, "memory_bound_fraction") * held * one(AT, "dirty_fraction")
    waiting_s = waiting_s / one(AT, "writeback_bytes_per_s")
    assert keeps.neighbours_s == pytest.approx(waiting_s)
    assert keeps.stolen_s == pytest.approx(cpus * flush_s + broadcast_s + waiting_s)
    again_s = spread.sockets * held * one(AT, "reused_fraction") / one(AT, "cpu_read_bytes_per_s")
    assert refills.stolen_s - keeps.stolen_s == pytest.approx(again_s)
    refill_s = held * one(AT, "reused_fraction") / one(AT, "read_bytes_per_s")
    assert refills.guest_s - refills.irq_off_s == pytest.approx(refill_s)
    assert refills.guest_s > refills.irq_off_s


@pytest.mark.parametrize("vcpus", [1, 8])
def test_the_vcpus_share_the_time_and_the_refill_of_a_range(vcpus):
    size, present = 2.0**20, numpy.full(1, 0.25)
    refill_s = 0.25 * size * one(AT, "reused_fraction") / one(AT, "read_bytes_per_s")
    for cost in (
        flush.range_flush(AT, MILAN, size, present, vcpus),
        flush.paged_flush(AT, MILAN, size, present, vcpus),
    ):
        again_s = 0.25 * size * one(AT, "reused_fraction") / one(AT, "cpu_read_bytes_per_s")
        assert cost.time_s > 0 and cost.stolen_s == pytest.approx(cost.time_s + again_s)
        assert cost.neighbours_s == 0
        assert vcpus * cost.guest_s == pytest.approx(cost.time_s + refill_s)
        assert cost.guest_s * vcpus > cost.time_s


def test_a_page_that_is_begun_is_flushed_whole():
    one_page, two_pages = (flush.paged_flush(AT, MILAN, size, numpy.ones(1), 8).time_s for size in (4096, 4097))
    assert two_pages == pytest.approx(2 * one_page)
    page = flush.range_flush(AT, MILAN, 4096.0, numpy.ones(1), 8)
    assert one_page == pytest.approx(page.time_s)


def test_the_share_that_the_caches_hold():
    assert flush.cached_fraction(MILAN, MILAN.cache_bytes / 2) == 1
    assert flush.cached_fraction(MILAN, 4 * MILAN.cache_bytes) == 0.25
    assert flush.cached_fraction(MILAN, 0.0) == 1
    assert flush.present_fraction(AT, MILAN, 16e9, "hot", 4 * MILAN.cache_bytes) == 0.25
    assert flush.present_arguments(AT, MILAN, 16e9, "hot", 4096) is None


def test_of_a_cold_guest_the_caches_hold_at_most_their_share():
    twice = flush.present_arguments(AT, MILAN, 2 * MILAN.cache_bytes, "cold", 4096)
    assert (twice["formula"], twice["arguments"]["cold_fraction"]) == ("present_cold", 0.5)
    small = flush.present_arguments(AT, MILAN, MILAN.cache_bytes / 2, "unknown", 4096)
    assert (small["formula"], small["arguments"]["cold_fraction"]) == ("present_between", 1.0)


def test_no_flush_costs_nothing():
    cost = flush.nothing(AT)
    assert cost.time_s == cost.stolen_s == cost.irq_off_s == cost.guest_s == 0
