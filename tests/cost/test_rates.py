"""How often a trigger fires, against the loop's own balance of time."""

from dataclasses import replace

import numpy
import pytest

from costmodel.cost.draws import medians
from costmodel.cost.rates import event_rate, is_closed
from costmodel.cost.scenario import scenario
from costmodel.cost.strategy import mixed_cost
from costmodel.decision.recommend import recommend
from costmodel.kvm.strategies import STRATEGIES

BLAST = STRATEGIES["WBINVD_ALL"]
SCAN, MERGE, PROTECT = "autonuma_prot_none_scan", "ksm_replace_page", "ksm_write_protect"


@pytest.fixture(scope="module")
def at(milan):
    return medians(milan)


def test_a_rate_that_is_set_is_the_rate(milan_ksm, at):
    set_rate = replace(milan_ksm, rate_per_s=7)
    assert event_rate(BLAST, MERGE, set_rate, at) == numpy.full(1, 7.0)
    assert event_rate(BLAST, "unreg_region", set_rate, at) == numpy.full(1, 7.0)


def test_ksmd_spends_a_cycle_on_sleep_and_on_the_flushes_of_both_its_triggers(milan_ksm, at):
    load = milan_ksm.load(MERGE)
    flush_s = {t: float(mixed_cost(BLAST, t, milan_ksm, at)[0].time_s[0]) for t in (MERGE, PROTECT)}
    cycle_s = load.sleep_s.value + sum(milan_ksm.load(t).events_per_cycle.value * flush_s[t] for t in flush_s)
    assert float(event_rate(BLAST, MERGE, milan_ksm, at)[0]) == pytest.approx(load.events_per_cycle.value / cycle_s)


def test_another_thread_takes_nothing_of_the_cycle(milan_ksm, at):
    alone = [replace(t, thread=f"{t.thread}-{t.trigger}") for t in milan_ksm.workload.triggers]
    apart = replace(milan_ksm, workload=replace(milan_ksm.workload, triggers=tuple(alone)))
    load = milan_ksm.load(MERGE)
    flush_s = float(mixed_cost(BLAST, MERGE, milan_ksm, at)[0].time_s[0])
    expected = load.events_per_cycle.value / (load.sleep_s.value + load.events_per_cycle.value * flush_s)
    assert float(event_rate(BLAST, MERGE, apart, at)[0]) == pytest.approx(expected)


def test_numa_balancing_scans_once_per_period_or_as_often_as_its_threads_may(evidence, at):
    case = scenario(evidence, "sev", "epyc-7763-2s", "autonuma-default")
    load = case.load(SCAN)
    tunable = {name: sourced.value for name, sourced in load.tunables.items()}
    passes = -(-case.resident_bytes // tunable["numa_scan_size_bytes"])
    shortest = tunable["numa_scan_size_bytes"] / tunable["numa_max_scan_window_bytes_per_s"]
    period_s = max(shortest, tunable["numa_scan_period_min_s"] / passes)
    flush_s = float(mixed_cost(BLAST, SCAN, case, at)[0].time_s[0])
    turn_s = (period_s + tunable["numa_limiter_factor"] * flush_s) / case.vcpus
    expected = load.event_fraction.value / max(period_s, turn_s)
    assert float(event_rate(BLAST, SCAN, case, at)[0]) == pytest.approx(expected)


def test_what_nobody_counted_has_no_rate(evidence, milan_ksm, at):
    assert event_rate(BLAST, "unreg_region", milan_ksm, at) is None
    boot = scenario(evidence, "sev", "epyc-7763-2s", "vm-boot")
    assert {load.loop for load in boot.workload.triggers} == {"once"}
    assert all(event_rate(BLAST, load.trigger, boot, at) is None for load in boot.workload.triggers)
    moved = scenario(evidence, "sev", "epyc-7763-2s", "compaction-thp")
    assert event_rate(BLAST, "numa_or_compaction_migrate", moved, at) is None


def test_only_a_trigger_that_waits_for_its_own_flush_is_closed(evidence, milan_ksm):
    assert is_closed(milan_ksm, MERGE)
    assert is_closed(scenario(evidence, "sev", "epyc-7763-2s", "autonuma-default"), SCAN)
    assert not is_closed(replace(milan_ksm, rate_per_s=7.0), MERGE)
    assert not is_closed(milan_ksm, "unreg_region")
    assert not is_closed(scenario(evidence, "sev", "epyc-7763-2s", "vm-boot"), SCAN)


def test_a_rate_of_one_trigger_leaves_the_others_alone(evidence, at):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default", rates={"unreg_region": 3, MERGE: 7})
    plain = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default")
    assert event_rate(BLAST, "unreg_region", case, at) == numpy.full(1, 3.0)
    assert event_rate(BLAST, MERGE, case, at) == numpy.full(1, 7.0)
    assert not is_closed(case, MERGE) and is_closed(case, PROTECT)
    assert event_rate(BLAST, PROTECT, case, at) == event_rate(BLAST, PROTECT, plain, at)
    assert case.number_words == ["--rate", "ksm_replace_page=7", "--rate", "unreg_region=3"]


def test_a_rate_that_somebody_measured_is_no_gap(evidence):
    asked = ("sev", "epyc-7763-2s", "compaction-thp")
    trigger = "numa_or_compaction_migrate"
    gap = [text for text in recommend(*asked).gaps if "rate of" in text]
    left = [text for text in recommend(*asked, rates={trigger: 2}).gaps if "rate of" in text]
    assert len(left) == len(gap) - 1
