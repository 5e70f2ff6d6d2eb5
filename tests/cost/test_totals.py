"""Totals: closed loops slow themselves down, open rates saturate, unknown terms refuse."""

from dataclasses import replace

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.cost.axes import AXES
from costmodel.cost.draws import Draws, medians
from costmodel.cost.flush import EventCost
from costmodel.cost.scenario import scenario
from costmodel.cost.totals import Total, total


def test_ksm_never_flushes_all_the_time(milan_ksm, draws):
    """Two triggers of one thread: each has at most half of the share 200 T / (0.020 + 200 T) of MODEL.md section 1."""
    for trigger in ("ksm_write_protect", "ksm_replace_page"):
        share = total(trigger, "WBINVD_ALL", milan_ksm, draws).in_progress_fraction
        assert numpy.all(share < 0.5)
        assert numpy.median(share) > 0.45


def test_a_closed_loop_slows_down_where_a_flush_takes_longer(milan_ksm, draws):
    slow = total("ksm_replace_page", "WBINVD_ALL", milan_ksm, draws)
    fast = total("ksm_replace_page", "CLFLUSHOPT_DM_SPTE", milan_ksm, draws)
    assert numpy.all(slow.rate_per_s < fast.rate_per_s)
    assert slow.closed and fast.closed


def test_ksm_with_no_flush_reaches_the_ceiling_of_its_tunables(milan_ksm, draws):
    """100 pages per 20 ms of sleep (kernel defaults) are 5000 events of each kind per second."""
    assert total("ksm_replace_page", "NO_FLUSH", milan_ksm, draws).rate_per_s == pytest.approx(5000)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 1.0))
def test_a_smaller_event_fraction_never_costs_more(evidence, milan, fraction):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default", event_fraction=fraction)
    full = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default")
    at = medians(milan)
    part, whole = (total("ksm_replace_page", "WBINVD_ALL", c, at).host_cpu_s_per_s for c in (case, full))
    assert part <= whole * (1 + 1e-9)


def test_an_event_fraction_of_zero_costs_nothing(evidence, milan):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default", event_fraction=0.0)
    assert total("ksm_replace_page", "WBINVD_ALL", case, medians(milan)).host_cpu_s_per_s == 0


def test_a_trigger_without_a_published_rate_has_no_loss_per_second(evidence, draws):
    case = scenario(evidence, "sev", "epyc-7763-2s", "compaction-thp")
    cost = total("numa_or_compaction_migrate", "WBNOINVD_MASK", case, draws)
    assert cost.rate_per_s is None and cost.host_cpu_s_per_s is None
    assert cost.event is not None


def test_an_open_rate_saturates_at_one_over_the_event_time(milan_ksm, draws):
    case = AXES["rate_per_s"].at(milan_ksm, 1e5)
    cost = total("ksm_replace_page", "WBINVD_ALL", case, draws)
    assert not cost.closed
    assert numpy.allclose(cost.saturation_rate_per_s, 1 / cost.event.time_s)
    assert numpy.allclose(cost.host_cpu_s_per_s, numpy.minimum(1e5 * cost.event.stolen_s, 256))
    assert numpy.median(cost.host_cpu_s_per_s) == 256


def test_the_share_of_numa_scans_stays_under_the_limiter(evidence, draws):
    """N16: a task sleeps 32 times what it spent, so a pass takes at most 1/32 of each vCPU."""
    case = scenario(evidence, "sev", "epyc-7763-2s", "autonuma-default")
    cost = total("autonuma_prot_none_scan", "WBINVD_ALL", case, draws)
    assert numpy.all(cost.rate_per_s * cost.event.time_s <= case.vcpus / 32 * 1.001)


def test_an_unknown_term_refuses_the_total_and_names_the_gap(milan_ksm, draws):
    cost = total("ksm_replace_page", "VM_PAGE_FLUSH", milan_ksm, draws)
    assert cost.event is None
    assert "VM_PAGE_FLUSH" in cost.refused


def test_a_host_without_its_memory_bandwidth_is_refused(evidence):
    from costmodel.calibration.cached import parameters_of

    case = scenario(evidence, "plain", "xeon-5520-2s", "ksm-default")
    cost = total("ksm_replace_page", "WBINVD_ALL", case, Draws(parameters_of(evidence, "xeon-5520-2s")))
    assert "Gold 5520" in cost.refused


def test_two_machines_that_differ_in_the_cache_differ_in_cost(evidence, milan):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default")
    larger = replace(case, machine=replace(case.machine, llc_bytes_per_domain=2 * case.machine.llc_bytes_per_domain))
    at = medians(milan)
    one, other = (total("ksm_replace_page", "WBINVD_ALL", c, at).event.stolen_s for c in (case, larger))
    assert other > one


def made(strategy, time_s, rate, *, closed=False, guest_s=0.25):
    time = numpy.asarray(time_s, float)
    event = EventCost(time, 3 * time, 0.5 * time, numpy.full_like(time, guest_s), 0 * time)
    rates = None if rate is None else numpy.full_like(time, rate)
    return Total("munmap_or_discard", strategy, event, time, rates, closed, 4, (), False, None)


def test_a_guest_stands_still_for_rate_times_what_a_vcpu_loses():
    assert made("WBINVD_ALL", [0.1], 2.0).guest_stall_fraction == 0.5
    assert made("WBINVD_ALL", [0.1], 8.0).guest_stall_fraction == 1
    assert made("WBINVD_ALL", [0.1], None).guest_stall_fraction is None


def test_whole_cache_flushes_wait_in_line_and_range_flushes_overlap():
    assert made("WBINVD_ALL", [0.1], 2.0).in_progress_fraction == pytest.approx(0.2)
    assert made("CLFLUSHOPT_UVA", [0.1], 2.0).in_progress_fraction == pytest.approx(1 - numpy.exp(-0.2))
    assert made("CLFLUSHOPT_UVA", [0.1], 2.0, closed=True).in_progress_fraction == pytest.approx(0.2)
    assert made("WBINVD_ALL", [0.1], None).in_progress_fraction is None


def test_losses_and_saturation_by_hand():
    assert made("WBINVD_ALL", [0.1], 2.0).host_cpu_s_per_s == pytest.approx(0.6)
    assert made("WBINVD_ALL", [0.1], None).host_cpu_s_per_s is None
    assert made("WBINVD_ALL", [0.1], 2.0).saturation_rate_per_s == pytest.approx(10)
    assert made("WBINVD_ALL", [0.1, 0.0], 2.0).saturation_rate_per_s is None


def test_a_refused_total_has_no_number_at_all(milan_ksm, draws):
    refused = total("ksm_replace_page", "VM_PAGE_FLUSH", milan_ksm, draws)
    assert refused.host_cpu_s_per_s is refused.guest_stall_fraction is refused.in_progress_fraction is None
    assert refused.saturation_rate_per_s is None
    assert not refused.closed and not refused.extrapolated


def test_a_total_marks_the_priors_that_went_in(milan_ksm, milan):
    cost = total("ksm_replace_page", "WBINVD_ALL", milan_ksm, Draws(milan, 16))
    assert cost.extrapolated == any(milan[name].extrapolated for name in cost.parameters)
    assert not total("ksm_replace_page", "NO_FLUSH", milan_ksm, Draws(milan, 16)).extrapolated


@pytest.mark.parametrize("name", ["host_cpu_s_per_s", "guest_stall_fraction", "in_progress_fraction"])
def test_a_rate_alone_makes_no_loss(name):
    assert getattr(replace(made("WBINVD_ALL", [0.1], 2.0), event=None), name) is None
    assert replace(made("WBINVD_ALL", [0.1], 2.0), event=None).saturation_rate_per_s is None
