"""Three named objectives, never one blended number."""

import pytest

from costmodel.decision.objectives import OBJECTIVES, objectives
from tests.decision.made import candidate, cost, study_of


def test_each_objective_has_its_winner_and_unit(answer):
    found = answer("sev").objectives
    assert [o.name for o in found] == list(OBJECTIVES)
    assert all(o.unit == "s" and o.value.low <= o.value.median <= o.value.high for o in found)


def test_the_winner_of_an_objective_has_its_smallest_value(answer):
    for guest, workload in (("sev", "ksm-default"), ("sev-snp-gmem", "teardown")):
        result = answer(guest, workload=workload)
        rows = {r.strategy: r for r in result.costs if r.trigger == result.costliest_trigger and not r.refused}
        cpu = next(o for o in result.objectives if o.name.startswith("host CPU"))
        safe = [r.stolen_cpu_s_per_event.median for r in rows.values() if r.state == "admissible"]
        offered = rows[cpu.winner].stolen_cpu_s_per_event.median
        assert offered == pytest.approx(cpu.value.median)
        assert min(safe) <= offered


def test_where_latency_and_cpu_time_disagree_the_weight_is_given(answer):
    """A whole-cache flush stops every CPU for milliseconds; a page-wise one takes one CPU for seconds. WBINVD and WBNOINVD
    take equally long here, and then there is no weight to give.
    """
    result = answer("sev-snp-gmem", workload="teardown")
    cpu, latency = result.objectives[0], result.objectives[1]
    times = {r.strategy: r.event_time_s.median for r in result.costs if r.trigger == result.costliest_trigger and not r.refused}
    disagree = times[latency.winner] < times[cpu.winner]
    assert ("1 s of latency is worth more than" in cpu.note) == disagree
    assert latency.winner.startswith(("WB", "CLFLUSH"))


def test_the_guest_objective_says_that_it_is_a_lower_bound(answer):
    assert "lower bound" in answer("sev").objectives[2].note


CHEAP, FAST = "CLFLUSHOPT_DM_PINNED", "WBNOINVD_ALL"


def made_study(*costs, running=CHEAP):
    return study_of([candidate(one.strategy, running=one.strategy == running) for one in costs], costs)


def test_the_weight_of_latency_is_extra_cpu_time_over_wait_saved():
    """The fast one takes 6 CPU-seconds more and 3 seconds less: 2 CPU-seconds per second."""
    found = objectives(made_study(cost(CHEAP, 2.0, time_s=4.0, p99_s=5.0), cost(FAST, 8.0, time_s=1.0, p99_s=2.0)))
    cpu, latency, guest = found
    assert (cpu.winner, cpu.runner_up) == (CHEAP, FAST)
    assert (latency.winner, latency.runner_up) == (FAST, CHEAP)
    assert (cpu.value.median, latency.value.median, guest.value.median) == (2.0, 2.0, 1.0)
    assert cpu.note == f"{FAST} wins overall once 1 s of latency is worth more than 2.0 CPU-s"
    assert latency.note == ""


def test_where_one_wins_both_there_is_no_weight():
    cpu, latency, _ = objectives(made_study(cost(CHEAP, 2.0, p99_s=1.0), cost(FAST, 8.0, p99_s=2.0)))
    assert cpu.winner == latency.winner == CHEAP and cpu.note == ""


def test_of_equals_the_chosen_one_wins_then_the_order_of_the_catalogue():
    pair = cost(CHEAP, 1.0), cost(FAST, 1.0 + 1e-14)
    assert objectives(made_study(*pair, running=FAST))[0].winner == FAST
    assert objectives(made_study(*pair, running=CHEAP))[0].winner == CHEAP
    assert objectives(made_study(*pair, running=None))[0].winner == CHEAP
    assert objectives(made_study(*pair[::-1], running=None))[0].winner == FAST
    far = cost(CHEAP, 1.0), cost(FAST, 1.0 - 1e-9)
    assert objectives(made_study(*far))[0].winner == FAST


def test_only_what_has_a_number_is_ranked():
    refused = cost("VM_PAGE_FLUSH", 0.0, refused="nobody timed it")
    found = objectives(made_study(cost(CHEAP, 2.0), refused))
    assert {o.winner for o in found} == {CHEAP} and {o.runner_up for o in found} == {None}
    assert objectives(made_study(refused, running=None)) == []


def test_a_prior_marks_the_objective():
    for mark in (True, False):
        assert objectives(made_study(cost(CHEAP, 2.0, extrapolated=mark)))[0].value.extrapolated is mark
