"""CPUs packed into cache domains or dealt out over them."""

from dataclasses import replace

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.calibration.cached import parameters_of
from costmodel.cost import flush
from costmodel.cost.draws import medians
from costmodel.cost.flush import Spread
from costmodel.cost.totals import total
from costmodel.evidence.store import load

EVIDENCE = load()
MILAN = EVIDENCE.machine("epyc-7763-2s")
AT = medians(parameters_of(EVIDENCE, MILAN.id))
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
    packed, dealt = (flush.whole_cache(CLEAN, MILAN, cpus, invalidates=True, packed=p) for p in (True, False))
    assert dealt.time_s <= packed.time_s * (1 + 1e-12)
    assert dealt.irq_off_s <= packed.irq_off_s * (1 + 1e-12)


def test_eight_cpus_of_one_domain_wait_for_each_other_as_the_exponent_says():
    """8 clean cores in one domain against one in each of 8: 8^s, the walk's own law."""
    one_after_another = CLEAN.with_values(
        serial_exponent=numpy.ones(1), walk_start_s=numpy.zeros(1), line_valid_s=numpy.full(1, 1e-30)
    )
    packed, dealt = (
        float(flush.whole_cache(one_after_another, MILAN, 8, invalidates=False, packed=p).irq_off_s[0])
        for p in (True, False)
    )
    assert packed / dealt == pytest.approx(8)


def test_dirty_caches_that_flush_for_free_side_by_side_share_the_memory_of_a_socket():
    """Dealt out over 4 domains of a socket there are nearly 4 times the dirty bytes to write."""
    free = DIRTY.with_values(**NO_WALK, domain_writeback_bytes_per_s=numpy.full(1, 1e15))
    packed, dealt = (
        float(flush.whole_cache(free, MILAN, 8, invalidates=False, packed=p).irq_off_s[0]) for p in (True, False)
    )
    llc, l2 = MILAN.llc_bytes_per_domain, MILAN.l2_bytes_per_core
    assert dealt / packed == pytest.approx(4 * (llc + l2) / (llc + 8 * l2), rel=0.05)


def test_a_domain_writes_back_no_faster_than_its_own_link():
    """One domain with a quarter of the socket's bandwidth: its dirty bytes over that, walk left out."""
    link = AT["writeback_bytes_per_s"] / 4
    alone = DIRTY.with_values(**NO_WALK, domain_writeback_bytes_per_s=link)
    found = flush.whole_cache(alone, MILAN, 8, invalidates=False, packed=True).irq_off_s
    valid_bytes = AT["valid_fraction"] * (MILAN.llc_bytes_per_domain + 8 * MILAN.l2_bytes_per_core)
    assert found == pytest.approx(valid_bytes / link)


def test_one_domain_per_socket_has_the_bandwidth_of_the_socket():
    intel = EVIDENCE.machine("xeon-8570-2s")
    at = medians(parameters_of(EVIDENCE, intel.id)).with_values(domain_writeback_bytes_per_s=numpy.full(1, 1.0))
    assert flush.domain_writeback(at, intel) == at["writeback_bytes_per_s"]


def test_cpus_outside_are_those_of_the_sockets_concerned():
    for cpus, packed, outside in ((8, True, 120), (8, False, 248), (256, True, 0), (129, True, 127)):
        spread = Spread.of(MILAN, float(cpus), packed=packed)
        assert flush.cpus_outside(MILAN, spread, float(cpus)) == outside


def test_neighbours_pay_more_where_lines_are_dropped():
    drops, keeps = (flush.whole_cache(DIRTY, MILAN, 8, invalidates=i).stolen_s for i in (True, False))
    refill = float(AT["reused_fraction"][0] / AT["cpu_read_bytes_per_s"][0])
    valid_bytes = float(AT["valid_fraction"][0]) * (MILAN.llc_bytes_per_domain + 8 * MILAN.l2_bytes_per_core)
    assert drops - keeps == pytest.approx(refill * valid_bytes)


def test_who_flushes_often_finds_less_to_write():
    rare, often = (flush.at_rate(AT, MILAN, numpy.full(1, rate)) for rate in (1e-6, 1e6))
    assert rare["dirty_fraction"] == pytest.approx(AT["dirty_fraction"], rel=1e-6)
    assert often["dirty_fraction"] < 1e-2 * AT["dirty_fraction"]
    assert often["valid_fraction"] == AT["valid_fraction"]
    lines = (MILAN.llc_bytes_per_domain + MILAN.l2_bytes_per_core) / 64
    turnover = AT["traffic_fraction"] * flush.domain_writeback(AT, MILAN) / 64
    share = AT["dirty_fraction"]
    half = flush.at_rate(AT, MILAN, turnover / lines / (share * (1 - share)))
    assert half["dirty_fraction"] == pytest.approx(AT["dirty_fraction"] / 2)


def test_invalidating_evicts_what_more_domains_hold():
    packed, dealt = (flush.whole_cache(CLEAN, MILAN, 8, invalidates=True, packed=p) for p in (True, False))
    assert dealt.guest_s - dealt.irq_off_s > packed.guest_s - packed.irq_off_s


def test_a_scenario_says_how_its_mask_lies(milan_ksm, milan):
    at = medians(milan)
    pinned = replace(milan_ksm, cpus_that_ran=8.0)
    packed, dealt = (
        total("unreg_region", "WBNOINVD_MASK", replace(pinned, packed=p), at).event.time_s for p in (True, False)
    )
    direct = flush.whole_cache(at, milan_ksm.machine, 8.0, invalidates=False, packed=False).time_s
    assert dealt == pytest.approx(direct)
    assert dealt != pytest.approx(packed)


def test_on_all_cpus_it_does_not_matter_how_the_mask_lies(milan_ksm, milan):
    at = medians(milan)
    ways = [
        float(total("ksm_replace_page", "WBINVD_ALL", replace(milan_ksm, packed=p), at).event.time_s[0])
        for p in (True, False)
    ]
    assert ways[0] == ways[1]
