"""Event costs: scopes, instructions, residency, floors."""

from dataclasses import replace

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.calibration.parameters import parameters_of
from costmodel.cost import event
from costmodel.cost.draws import Case, Draws, medians
from costmodel.cost.event import EventCost, Spread, cpus_flushed, event_cost, folios, mixed_cost
from costmodel.cost.scenario import scenario
from costmodel.cost.total import total
from costmodel.errors import MissingNumber
from costmodel.evidence.store import load
from costmodel.kvm.catalog import STRATEGIES
from tests.samples import examples

EVIDENCE = load()
MILAN = EVIDENCE.machine("epyc-7763-2s")
AT = medians(parameters_of(EVIDENCE, MILAN.id))


@settings(deadline=None, max_examples=examples(40))
@given(st.floats(1, 255))
def test_a_larger_mask_never_costs_less(cpus):
    small = event.whole_cache(AT, MILAN, cpus, invalidates=False)
    large = event.whole_cache(AT, MILAN, cpus + 1, invalidates=False)
    assert large.time_s >= small.time_s
    assert large.stolen_s > small.stolen_s


def test_wbnoinvd_costs_the_guest_no_refill():
    with_refill = event.whole_cache(AT, MILAN, 256, invalidates=True)
    without = event.whole_cache(AT, MILAN, 256, invalidates=False)
    assert with_refill.time_s == without.time_s
    assert with_refill.guest_s > without.guest_s


def test_every_cpu_of_the_mask_stands_still():
    cost = event.whole_cache(AT, MILAN, 256, invalidates=False)
    assert float(cost.stolen_s[0]) == pytest.approx(256 * float(cost.irq_off_s[0]), rel=0.1)
    assert cost.irq_off_s < cost.time_s


@settings(deadline=None, max_examples=examples(40))
@given(st.integers(64, 2**34), st.sampled_from(["cold", "hot", "unknown"]))
def test_range_flush_grows_with_the_range_and_shrinks_to_its_start(size, residency):
    present = event.present_fraction(AT, MILAN, 16e9, residency, size)
    one = event.range_flush(AT, MILAN, size, present, 8)
    more = event.range_flush(AT, MILAN, size + 64, present, 8)
    none = event.range_flush(AT, MILAN, 0, present, 8)
    assert more.time_s > one.time_s > none.time_s
    assert none.time_s == pytest.approx(AT["remote_factor"] * AT["range_start_s"])
    assert numpy.all(one.irq_off_s == 0)


@given(st.floats(4096, 2**40), st.floats(1e6, 1e12))
def test_never_more_is_cached_than_the_caches_hold(size, resident):
    for residency in ("cold", "hot", "unknown"):
        share = event.present_fraction(AT, MILAN, resident, residency, size)
        assert 0 < float(share[0]) <= 1
        assert float(share[0]) * size <= MILAN.cache_bytes * (1 + 1e-9) or float(share[0]) <= 1e-12


def test_cold_unknown_and_hot_are_ordered(draws):
    cold, unknown, hot = (
        event.present_fraction(draws, MILAN, 16e9, residency, 4096) for residency in ("cold", "unknown", "hot")
    )
    assert numpy.all(cold <= unknown + 1e-12)
    assert numpy.all(unknown <= hot + 1e-12)


def test_release_of_n_pages_is_n_calls():
    one = event.paged_flush(AT, MILAN, 4096, numpy.ones(1), 8)
    many = event.paged_flush(AT, MILAN, 512 * 4096, numpy.ones(1), 8)
    assert float(many.time_s[0]) == pytest.approx(512 * float(one.time_s[0]))
    folio = event.paged_flush(AT, MILAN, 512 * 4096, numpy.ones(1), 8, page_bytes=2.0**21)
    assert folio.time_s == pytest.approx(event.range_flush(AT, MILAN, 2.0**21, numpy.ones(1), 8).time_s)


def test_rmpupdate_is_time_of_the_thread_that_releases():
    plain = event.whole_cache(AT, MILAN, 256, invalidates=False)
    held = event.with_rmpupdate(AT, plain, numpy.array(512.0), 8)
    update_s = 512 * float(AT["rmpupdate_s"][0])
    for part, share in (("time_s", 1.0), ("stolen_s", 1.0), ("guest_s", 1 / 8), ("irq_off_s", 0), ("neighbours_s", 0)):
        assert getattr(held, part) - getattr(plain, part) == pytest.approx(share * update_s)


def test_a_flush_for_each_folio_is_as_many_flushes_of_which_later_ones_find_less():
    """Nobody makes a cache dirty again between two flushes that follow each other, yet each walks all lines."""
    one, many = (
        event.each_folio(AT, MILAN, 256, numpy.array(n), invalidates=False, packed=True) for n in (1.0, 1000.0)
    )
    assert one.time_s == event.whole_cache(AT, MILAN, 256, invalidates=False).time_s
    clean = event.whole_cache(AT.with_values(dirty_fraction=numpy.zeros(1)), MILAN, 256, invalidates=False)
    for part in ("time_s", "stolen_s"):
        least, most = 999 * float(getattr(clean, part)[0]), 1000 * float(getattr(one, part)[0])
        assert least < float(getattr(many, part)[0]) < most
    assert many.irq_off_s == one.irq_off_s
    began_after_the_one_before = event.at_rate(AT, MILAN, 1 / one.time_s)
    again = event.whole_cache(began_after_the_one_before, MILAN, 256, invalidates=False)
    assert many.time_s - one.time_s == pytest.approx(999 * again.time_s)


def test_a_present_page_takes_half_a_microsecond_and_a_whole_flush_a_part_of_a_millisecond():
    """Orders of magnitude of the sources: 0.36 to 0.54 us per dirty page on three EPYC; 1.3 ms to write back 36 MB at
    27 GB/s.
    """
    page = event.range_flush(AT, MILAN, 4096, numpy.ones(1), 8)
    whole = event.whole_cache(AT, MILAN, 1, invalidates=False)
    assert 3e-7 < float(page.time_s[0]) < 1.2e-6
    assert 1e-4 < float(whole.time_s[0]) < 1.3e-3


def test_serial_skylake_flush_is_reproduced():
    """Row W01-W02: one CPU after another, near clean, 3.39 ms each."""
    skylake = EVIDENCE.machine("xeon-8160-2s")
    at = medians(parameters_of(EVIDENCE, skylake.id)).with_values(dirty_fraction=numpy.zeros(1))
    one = event.whole_cache(at, skylake, 1, invalidates=True)
    assert float(one.irq_off_s[0]) == pytest.approx(3.39e-3, rel=0.2)


def test_draws_broadcast_with_arrays_of_ranges():
    draws = Draws(parameters_of(EVIDENCE, MILAN.id), 16)
    sizes = numpy.geomspace(64, 2**30, 5)[:, None]
    present = event.present_fraction(draws, MILAN, 16e9, "hot", sizes)
    assert event.range_flush(draws, MILAN, sizes, present, 8).time_s.shape == (5, 16)


def one(draws, name):
    return float(draws[name][0])


@pytest.mark.parametrize("cpus", [1, 8, 40, 256])
def test_a_whole_cache_flush_adds_up(cpus):
    """The initiator waits for flush and interrupts, each stopped CPU for the flush; the guest refills what it would
    use.
    """
    keeps, refills = (event.whole_cache(AT, MILAN, cpus, invalidates=invalidates) for invalidates in (False, True))
    flush_s = float(keeps.irq_off_s[()] if keeps.irq_off_s.ndim == 0 else keeps.irq_off_s[0])
    broadcast_s = one(AT, "broadcast_start_s") + (cpus - 1) * one(AT, "broadcast_per_cpu_s")
    assert keeps.time_s == pytest.approx(flush_s + broadcast_s)
    assert keeps.guest_s == pytest.approx(flush_s)
    spread = event.Spread.packed(MILAN, cpus)
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
        event.range_flush(AT, MILAN, size, present, vcpus),
        event.paged_flush(AT, MILAN, size, present, vcpus),
    ):
        again_s = 0.25 * size * one(AT, "reused_fraction") / one(AT, "cpu_read_bytes_per_s")
        assert cost.time_s > 0 and cost.stolen_s == pytest.approx(cost.time_s + again_s)
        assert cost.neighbours_s == 0
        assert vcpus * cost.guest_s == pytest.approx(cost.time_s + refill_s)
        assert cost.guest_s * vcpus > cost.time_s


def test_a_page_that_is_begun_is_flushed_whole():
    one_page, two_pages = (event.paged_flush(AT, MILAN, size, numpy.ones(1), 8).time_s for size in (4096, 4097))
    assert two_pages == pytest.approx(2 * one_page)
    page = event.range_flush(AT, MILAN, 4096.0, numpy.ones(1), 8)
    assert one_page == pytest.approx(page.time_s)


def test_the_share_that_the_caches_hold():
    assert event.cached_fraction(MILAN, MILAN.cache_bytes / 2) == 1
    assert event.cached_fraction(MILAN, 4 * MILAN.cache_bytes) == 0.25
    assert event.cached_fraction(MILAN, 0.0) == 1
    assert event.present_fraction(AT, MILAN, 16e9, "hot", 4 * MILAN.cache_bytes) == 0.25
    assert event.present_arguments(AT, MILAN, 16e9, "hot", 4096) is None


def test_of_a_cold_guest_the_caches_hold_at_most_their_share():
    twice = event.present_arguments(AT, MILAN, 2 * MILAN.cache_bytes, "cold", 4096)
    assert (twice["formula"], twice["arguments"]["cold_fraction"]) == ("present_cold", 0.5)
    small = event.present_arguments(AT, MILAN, MILAN.cache_bytes / 2, "unknown", 4096)
    assert (small["formula"], small["arguments"]["cold_fraction"]) == ("present_between", 1.0)


def test_no_flush_costs_nothing():
    cost = event.nothing(AT)
    assert cost.time_s == cost.stolen_s == cost.irq_off_s == cost.guest_s == 0


# From a strategy to its cost: which instruction and CPUs, and what a mix of range lengths makes of it.

MIGRATE, RELEASE = "numa_or_compaction_migrate", "gmem_free_folio_teardown"


@pytest.fixture(scope="module")
def case(evidence):
    return replace(scenario(evidence, "sev", "epyc-7763-2s", "compaction-thp"), cpus_that_ran=12.0)


@pytest.fixture(scope="module")
def at(milan):
    return medians(milan)


def with_wbnoinvd(case, has):
    """The case on a machine that has WBNOINVD, has it not, or (None) does not tell."""
    told = {name: value for name, value in {**case.machine.features, "wbnoinvd": has}.items() if value is not None}
    return replace(case, machine=replace(case.machine, features=told))


def test_a_mask_flushes_the_cpus_that_ran_and_a_blast_all(case):
    assert cpus_flushed(STRATEGIES["WBINVD_MASK"], case) == 12
    assert cpus_flushed(STRATEGIES["WBINVD_ALL"], case) == 256


@pytest.mark.parametrize(
    ("name", "cpus", "has", "invalidates"),
    [
        ("WBINVD_ALL", 256, True, True),
        ("WBNOINVD_ALL", 256, True, False),
        ("WBNOINVD_ALL", 256, False, True),
        ("WBINVD_MASK", 12, True, True),
        ("WBNOINVD_MASK", 12, True, False),
        ("WBNOINVD_MASK", 12, False, True),
        ("WBNOINVD_MASK", 12, None, True),
    ],
)
def test_only_a_cpu_that_has_wbnoinvd_keeps_its_lines(name, cpus, has, invalidates, case, at):
    found = event_cost(Case(MIGRATE, with_wbnoinvd(case, has), at), STRATEGIES[name], 4096.0)
    expected = event.whole_cache(at, case.machine, cpus, invalidates=invalidates, packed=True)
    for part in ("time_s", "stolen_s", "irq_off_s", "guest_s"):
        assert getattr(found, part) == getattr(expected, part)


@pytest.mark.parametrize(
    ("name", "guest", "pages"),
    [
        ("CLFLUSHOPT_UVA", "sev", False),
        ("CLFLUSHOPT_DM_SPTE", "sev", False),
        ("CLFLUSHOPT_DM_PINNED", "sev", True),
        ("CLFLUSHOPT_DM_PINNED", "sev-snp-gmem", True),
        ("CLFLUSHOPT_DM_GMEM", "sev", True),
    ],
)
def test_pages_have_fences_of_their_own(name, guest, pages, case, at):
    there, size = replace(case, guest=guest), 2.0**20
    found = event_cost(Case(MIGRATE, there, at), STRATEGIES[name], size)
    present = event.present_fraction(at, case.machine, case.resident_bytes, there.shape(MIGRATE).residency, size)
    ranged = event.paged_flush if pages else event.range_flush
    expected = ranged(at, case.machine, size, present, case.vcpus)
    assert found.time_s == expected.time_s and found.guest_s == expected.guest_s


RELEASES = ("gmem_punch_hole", "gmem_free_folio_teardown", "convert_private_to_shared_in_place")


@pytest.mark.parametrize("trigger", RELEASES)
@pytest.mark.parametrize("name", ["CLFLUSHOPT_DM_GMEM", "WBINVD_ALL", "WBNOINVD_ALL", "WBNOINVD_MASK", "NO_FLUSH"])
def test_rmpupdate_is_due_whatever_flushes(name, trigger, case, at):
    """make_shared() comes before the flush, under every strategy; a guest without RMP does without."""
    pages, snp = 64, replace(case, guest="sev-snp-gmem")
    entry = STRATEGIES[name]
    slow = at.with_values(rmpupdate_s=at["rmpupdate_s"] + 1.0)
    added = [
        event_cost(Case(trigger, there, slow), entry, pages * 4096.0).time_s
        - event_cost(Case(trigger, there, at), entry, pages * 4096.0).time_s
        for there in (snp, replace(snp, folio_bytes=2.0**21), replace(case, guest="tdx"))
    ]
    assert [x.item() for x in added] == pytest.approx([pages, 1, 0])


def test_a_hole_of_guest_memfd_is_a_call_per_folio(case, at):
    """kvm_gmem_free_folio() and a conversion in place know one folio: a whole-cache flush there is one for each."""
    snp, size, still = replace(case, guest="sev-snp-gmem"), 16 * 2.0**21, {"packed": True, "invalidates": True}
    for folio_bytes, calls in ((4096.0, 8192), (2.0**21, 16)):
        there = replace(snp, folio_bytes=folio_bytes)
        for trigger in RELEASES:
            assert folios(trigger, there, size) == calls
            found = event_cost(Case(trigger, there, at), STRATEGIES["WBINVD_ALL"], size)
            each = event.each_folio(at, case.machine, 256, numpy.array(float(calls)), **still)
            assert found.time_s == pytest.approx(each.time_s + calls * at["rmpupdate_s"])
    assert folios("munmap_or_discard", case, size) == 1


def test_a_range_of_no_workload_is_of_unknown_use(case, at):
    lone = replace(case, elsewhere={})
    found = event_cost(Case("memslot_delete_or_move", lone, at), STRATEGIES["CLFLUSHOPT_UVA"], 2.0**20)
    present = event.present_fraction(at, case.machine, case.resident_bytes, "unknown", 2.0**20)
    assert found.time_s == event.range_flush(at, case.machine, 2.0**20, present, case.vcpus).time_s


def test_what_nobody_timed_is_refused_by_name(case, at):
    for name, gap in (("VM_PAGE_FLUSH", "VM_PAGE_FLUSH"), ("DF_FLUSH_SEQ", "DF_FLUSH"), ("TDX_CACHE_WB", "CACHE.WB")):
        with pytest.raises(MissingNumber, match=gap):
            event_cost(Case(MIGRATE, case, at), STRATEGIES[name], 4096.0)
    nothing = event_cost(Case(MIGRATE, case, at), STRATEGIES["NO_FLUSH"], 4096.0)
    assert nothing.time_s == nothing.stolen_s == nothing.irq_off_s == nothing.guest_s == 0


@pytest.fixture
def mixed(monkeypatch, case, at):
    """mixed_cost() where a range of x bytes takes x, 2x, 3x and 4x seconds."""

    def find(*ranges):
        def cost(case, entry, size):
            return EventCost(*(numpy.full(1, factor * size) for factor in (1.0, 2.0, 3.0, 4.0, 5.0)))

        monkeypatch.setattr(event, "event_cost", cost)
        monkeypatch.setattr(type(case), "ranges", lambda self, trigger: ranges)
        return mixed_cost(Case(MIGRATE, case, at), STRATEGIES["CLFLUSHOPT_UVA"])

    return find


def test_the_mean_weighs_every_range(mixed):
    mean, _ = mixed((10.0, 0.25), (20.0, 0.75))
    assert [float(getattr(mean, part)[0]) for part in ("time_s", "stolen_s", "irq_off_s", "guest_s")] == [
        17.5,
        35.0,
        52.5,
        70.0,
    ]


@pytest.mark.parametrize(
    ("ranges", "p99"),
    [
        (((10.0, 0.99), (20.0, 0.01)), 10),
        (((10.0, 0.98), (20.0, 0.02)), 20),
        (((20.0, 0.02), (10.0, 0.98)), 20),
        (((30.0, 0.005), (10.0, 0.98), (20.0, 0.015)), 20),
        (((10.0, 1.0),), 10),
    ],
)
def test_the_99th_percentile_is_reached_by_99_of_100_events(mixed, ranges, p99):
    assert mixed(*ranges)[1] == p99


# CPUs packed into cache domains or dealt out over them.

MACHINES = [m for m in EVIDENCE.machines.values() if m.dram_peak_bytes_per_s_per_socket]
CLEAN = AT.with_values(dirty_fraction=numpy.zeros(1))
DIRTY = AT.with_values(dirty_fraction=numpy.ones(1))
NO_WALK = {
    "serial_exponent": numpy.zeros(1),
    "line_empty_s": numpy.full(1, 1e-18),
    "line_valid_s": numpy.full(1, 1e-18),
}


def shape(spread):
    return float(spread.cores_per_domain), bool(spread.both_siblings), float(spread.domains_per_socket)


@pytest.mark.parametrize(
    ("cpus", "packed", "dealt"),
    [
        (1, (1, False, 1), (1, False, 1)),
        (8, (8, False, 1), (1, False, 4)),
        (9, (8, True, 1), (1, False, 5)),
        (16, (8, True, 1), (1, False, 8)),
        (17, (8, True, 2), (2, False, 8)),
        (128, (8, True, 8), (8, False, 8)),
        (129, (8, True, 8), (8, True, 8)),
        (256, (8, True, 8), (8, True, 8)),
    ],
)
def test_milan_by_hand(cpus, packed, dealt):
    """16 domains of 8 cores with two threads, 8 domains per socket."""
    assert (MILAN.domains, MILAN.cores_per_domain, MILAN.threads_per_core) == (16, 8, 2)
    assert shape(Spread.packed(MILAN, cpus)) == packed
    assert shape(Spread.over_domains(MILAN, cpus)) == dealt


def test_of_chooses_by_its_word():
    assert shape(Spread.of(MILAN, 8, packed=True)) == shape(Spread.packed(MILAN, 8))
    assert shape(Spread.of(MILAN, 8, packed=False)) == shape(Spread.over_domains(MILAN, 8))


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.id)
@pytest.mark.parametrize("packed", [True, False])
def test_every_cpu_has_a_place(machine, packed):
    for cpus in range(1, machine.logical_cpus + 1):
        spread = Spread.of(machine, cpus, packed=packed)
        domains = spread.domains_per_socket * machine.sockets
        threads = machine.threads_per_core if spread.both_siblings else 1
        assert cpus <= domains * spread.cores_per_domain * threads, cpus
        assert 1 <= spread.cores_per_domain <= machine.cores_per_domain
        assert 1 <= spread.domains_per_socket <= machine.domains_per_socket


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.id)
def test_the_whole_host_lies_the_same_either_way(machine):
    ways = [shape(Spread.of(machine, machine.logical_cpus, packed=packed)) for packed in (True, False)]
    assert ways[0] == ways[1]


@given(st.integers(1, 256))
def test_dealt_out_no_domain_has_more_cpus_than_packed(cpus):
    packed, dealt = Spread.packed(MILAN, cpus), Spread.over_domains(MILAN, cpus)
    assert dealt.cores_per_domain <= packed.cores_per_domain
    assert dealt.both_siblings <= packed.both_siblings
    assert dealt.domains_per_socket >= packed.domains_per_socket


def test_arrays_give_what_their_elements_give():
    cpus = numpy.arange(1.0, 257.0)
    for packed in (True, False):
        whole = Spread.of(MILAN, cpus, packed=packed)
        assert numpy.all(whole.cores_per_domain == [Spread.of(MILAN, n, packed=packed).cores_per_domain for n in cpus])


@given(st.integers(1, 256))
def test_clean_caches_are_never_flushed_later_where_cpus_are_dealt_out(cpus):
    packed, dealt = (event.whole_cache(CLEAN, MILAN, cpus, invalidates=True, packed=p) for p in (True, False))
    assert dealt.time_s <= packed.time_s * (1 + 1e-12)
    assert dealt.irq_off_s <= packed.irq_off_s * (1 + 1e-12)


def test_eight_cpus_of_one_domain_wait_for_each_other_as_the_exponent_says():
    """8 clean cores in one domain against one in each of 8: 8^s, the walk's own law."""
    one_after_another = CLEAN.with_values(
        serial_exponent=numpy.ones(1), walk_start_s=numpy.zeros(1), line_valid_s=numpy.full(1, 1e-30)
    )
    packed, dealt = (
        float(event.whole_cache(one_after_another, MILAN, 8, invalidates=False, packed=p).irq_off_s[0])
        for p in (True, False)
    )
    assert packed / dealt == pytest.approx(8)


def test_dirty_caches_that_flush_for_free_side_by_side_share_the_memory_of_a_socket():
    """Dealt out over 4 domains of a socket there are nearly 4 times the dirty bytes to write."""
    free = DIRTY.with_values(**NO_WALK, domain_writeback_bytes_per_s=numpy.full(1, 1e15))
    packed, dealt = (
        float(event.whole_cache(free, MILAN, 8, invalidates=False, packed=p).irq_off_s[0]) for p in (True, False)
    )
    llc, l2 = MILAN.llc_bytes_per_domain, MILAN.l2_bytes_per_core
    assert dealt / packed == pytest.approx(4 * (llc + l2) / (llc + 8 * l2), rel=0.05)


def test_a_domain_writes_back_no_faster_than_its_own_link():
    """One domain with a quarter of the socket's bandwidth: its dirty bytes over that, walk left out."""
    link = AT["writeback_bytes_per_s"] / 4
    alone = DIRTY.with_values(**NO_WALK, domain_writeback_bytes_per_s=link)
    found = event.whole_cache(alone, MILAN, 8, invalidates=False, packed=True).irq_off_s
    valid_bytes = AT["valid_fraction"] * (MILAN.llc_bytes_per_domain + 8 * MILAN.l2_bytes_per_core)
    assert found == pytest.approx(valid_bytes / link)


def test_one_domain_per_socket_has_the_bandwidth_of_the_socket():
    intel = EVIDENCE.machine("xeon-8570-2s")
    at = medians(parameters_of(EVIDENCE, intel.id)).with_values(domain_writeback_bytes_per_s=numpy.full(1, 1.0))
    assert event.domain_writeback(at, intel) == at["writeback_bytes_per_s"]


def test_cpus_outside_are_those_of_the_sockets_concerned():
    for cpus, packed, outside in ((8, True, 120), (8, False, 248), (256, True, 0), (129, True, 127)):
        spread = Spread.of(MILAN, float(cpus), packed=packed)
        assert event.cpus_outside(MILAN, spread, float(cpus)) == outside


def test_neighbours_pay_more_where_lines_are_dropped():
    drops, keeps = (event.whole_cache(DIRTY, MILAN, 8, invalidates=i).stolen_s for i in (True, False))
    refill = float(AT["reused_fraction"][0] / AT["cpu_read_bytes_per_s"][0])
    valid_bytes = float(AT["valid_fraction"][0]) * (MILAN.llc_bytes_per_domain + 8 * MILAN.l2_bytes_per_core)
    assert drops - keeps == pytest.approx(refill * valid_bytes)


def test_who_flushes_often_finds_less_to_write():
    rare, often = (event.at_rate(AT, MILAN, numpy.full(1, rate)) for rate in (1e-6, 1e6))
    assert rare["dirty_fraction"] == pytest.approx(AT["dirty_fraction"], rel=1e-6)
    assert often["dirty_fraction"] < 1e-2 * AT["dirty_fraction"]
    assert often["valid_fraction"] == AT["valid_fraction"]
    lines = (MILAN.llc_bytes_per_domain + MILAN.l2_bytes_per_core) / 64
    turnover = AT["traffic_fraction"] * event.domain_writeback(AT, MILAN) / 64
    share = AT["dirty_fraction"]
    half = event.at_rate(AT, MILAN, turnover / lines / (share * (1 - share)))
    assert half["dirty_fraction"] == pytest.approx(AT["dirty_fraction"] / 2)


def test_invalidating_evicts_what_more_domains_hold():
    packed, dealt = (event.whole_cache(CLEAN, MILAN, 8, invalidates=True, packed=p) for p in (True, False))
    assert dealt.guest_s - dealt.irq_off_s > packed.guest_s - packed.irq_off_s


def test_a_scenario_says_how_its_mask_lies(milan_ksm, milan):
    at = medians(milan)
    pinned = replace(milan_ksm, cpus_that_ran=8.0)
    packed, dealt = (
        total(Case("unreg_region", replace(pinned, packed=p), at), "WBNOINVD_MASK").event.time_s for p in (True, False)
    )
    direct = event.whole_cache(at, milan_ksm.machine, 8.0, invalidates=False, packed=False).time_s
    assert dealt == pytest.approx(direct)
    assert dealt != pytest.approx(packed)


def test_on_all_cpus_it_does_not_matter_how_the_mask_lies(milan_ksm, milan):
    at = medians(milan)
    ways = [
        float(total(Case("ksm_replace_page", replace(milan_ksm, packed=p), at), "WBINVD_ALL").event.time_s[0])
        for p in (True, False)
    ]
    assert ways[0] == ways[1]
