"""Rows that say the same are told once, and nothing is lost or mixed."""

import pytest

from costmodel.report import layout
from costmodel.report.record import recommend


@pytest.fixture(scope="module", params=["sev", "sev-snp-gmem", "plain"])
def result(request):
    return recommend(request.param, "epyc-7763-2s", "teardown")


def test_every_policy_entry_is_in_one_group(result):
    groups = layout.policies(result.policy)
    assert sorted(e.trigger for group in groups for e in group) == sorted(e.trigger for e in result.policy)
    assert len(groups) < len(result.policy)


def test_a_group_agrees_on_all_that_is_told_once(result):
    for group in layout.policies(result.policy):
        for name in layout.POLICY:
            assert len({repr(getattr(entry, name)) for entry in group}) == 1


def test_groups_come_in_the_order_of_their_first_trigger(result):
    order = [e.trigger for e in result.policy]
    firsts = [order.index(group[0].trigger) for group in layout.policies(result.policy)]
    assert firsts == sorted(firsts)


def test_every_verdict_is_in_one_group_by_strategy(result):
    groups = layout.verdicts(result.costs)
    assert sum(map(len, groups)) == len(result.costs)
    names = [group[0].strategy for group in groups]
    assert names == sorted(names)
    for group in groups:
        assert len({(row.strategy, row.admissible, row.state, row.reason) for row in group}) == 1


def test_two_groups_of_one_strategy_differ_in_the_verdict(result):
    groups = layout.verdicts(result.costs)
    keys = [tuple(getattr(group[0], name) for name in layout.ADMISSIBILITY) for group in groups]
    assert len(set(keys)) == len(keys)
