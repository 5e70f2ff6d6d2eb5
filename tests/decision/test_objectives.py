"""Three named objectives, never one blended number."""

import pytest

from costmodel.decision.objectives import OBJECTIVES


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
    """A whole-cache flush stops every CPU for milliseconds; a page-wise one takes one CPU for seconds."""
    result = answer("sev-snp-gmem", workload="teardown")
    cpu, latency = result.objectives[0], result.objectives[1]
    if cpu.winner != latency.winner:
        assert "1 s of latency is worth more than" in cpu.note
    assert latency.winner.startswith(("WB", "CLFLUSH"))


def test_the_guest_objective_says_that_it_is_a_lower_bound(answer):
    assert "lower bound" in answer("sev").objectives[2].note
