"""From a strategy to its cost: which instruction and CPUs, and what a mix of range lengths makes of it."""

from dataclasses import replace

import numpy
import pytest

from costmodel.cost import flush, strategy
from costmodel.cost.draws import medians
from costmodel.cost.flush import EventCost
from costmodel.cost.scenario import scenario
from costmodel.cost.strategy import cpus_flushed, event_cost, folios, mixed_cost
from costmodel.errors import MissingNumber
from costmodel.kvm.strategies import STRATEGIES

MIGRATE, RELEASE = "numa_or_compaction_migrate", "gmem_free_folio_teardown"


@pytest.fixture(scope="module")
def case(evidence):
    return replace(scenario(evidence, "sev", "epyc-7763-2s", "compaction-thp"), cpus_that_ran=12.0)


@pytest.fixture(scope="module")
def at(milan):
    return medians(milan)


def with_wbnoinvd(case, has):
    return replace(case, machine=replace(case.machine, features={**case.machine.features, "wbnoinvd": has}))


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
    ],
)
def test_only_a_cpu_that_has_wbnoinvd_keeps_its_lines(name, cpus, has, invalidates, case, at):
    found = event_cost(STRATEGIES[name], MIGRATE, with_wbnoinvd(case, has), at, 4096.0)
    expected = flush.whole_cache(at, case.machine, cpus, invalidates=invalidates, packed=True)
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
    found = event_cost(STRATEGIES[name], MIGRATE, there, at, size)
    present = flush.present_fraction(at, case.machine, case.resident_bytes, there.shape(MIGRATE).residency, size)
    ranged = flush.paged_flush if pages else flush.range_flush
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
        event_cost(entry, trigger, there, slow, pages * 4096.0).time_s
        - event_cost(entry, trigger, there, at, pages * 4096.0).time_s
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
            found = event_cost(STRATEGIES["WBINVD_ALL"], trigger, there, at, size)
            each = flush.each_folio(at, case.machine, 256, numpy.array(float(calls)), **still)
            assert found.time_s == pytest.approx(each.time_s + calls * at["rmpupdate_s"])
    assert folios("munmap_or_discard", case, size) == 1


def test_a_range_of_no_workload_is_of_unknown_use(case, at):
    lone = replace(case, elsewhere={})
    found = event_cost(STRATEGIES["CLFLUSHOPT_UVA"], "memslot_delete_or_move", lone, at, 2.0**20)
    present = flush.present_fraction(at, case.machine, case.resident_bytes, "unknown", 2.0**20)
    assert found.time_s == flush.range_flush(at, case.machine, 2.0**20, present, case.vcpus).time_s


def test_what_nobody_timed_is_refused_by_name(case, at):
    for name, gap in (("VM_PAGE_FLUSH", "VM_PAGE_FLUSH"), ("DF_FLUSH_SEQ", "DF_FLUSH"), ("TDX_CACHE_WB", "CACHE.WB")):
        with pytest.raises(MissingNumber, match=gap):
            event_cost(STRATEGIES[name], MIGRATE, case, at, 4096.0)
    nothing = event_cost(STRATEGIES["NO_FLUSH"], MIGRATE, case, at, 4096.0)
    assert nothing.time_s == nothing.stolen_s == nothing.irq_off_s == nothing.guest_s == 0


@pytest.fixture
def mixed(monkeypatch, case, at):
    """mixed_cost() where a range of x bytes takes x, 2x, 3x and 4x seconds."""

    def find(*ranges):
        def cost(entry, trigger, scenario, draws, size):
            return EventCost(*(numpy.full(1, factor * size) for factor in (1.0, 2.0, 3.0, 4.0, 5.0)))

        monkeypatch.setattr(strategy, "event_cost", cost)
        monkeypatch.setattr(type(case), "ranges", lambda self, trigger: ranges)
        return mixed_cost(STRATEGIES["CLFLUSHOPT_UVA"], MIGRATE, case, at)

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
