"""Dominance is a strict partial order, and it never contradicts the numbers."""

import itertools

import numpy
import pytest

from costmodel.calibration.cached import parameters_of
from costmodel.cost.draws import Draws
from costmodel.cost.scenario import scenario
from costmodel.cost.totals import total
from costmodel.decision.dominance import dominates
from costmodel.evidence.store import load
from costmodel.kvm.strategies import STRATEGIES


def test_strict_partial_order():
    for a, b, c in itertools.product(STRATEGIES, repeat=3):
        assert not dominates(a, a)
        assert not (dominates(a, b) and dominates(b, a))
        if dominates(a, b) and dominates(b, c):
            assert dominates(a, c)


@pytest.mark.parametrize("machine", ["epyc-7763-2s", "epyc-7601-2s", "xeon-6330-2s"])
@pytest.mark.parametrize("ran", [1, 8, 96])
def test_a_dominating_strategy_never_costs_more_in_any_draw(machine, ran):
    evidence = load()
    case = scenario(evidence, "sev", machine, "ksm-default", cpus_that_ran=ran)
    draws = Draws(parameters_of(evidence, machine), 256)
    costs = {name: total("ksm_write_protect", name, case, draws) for name in STRATEGIES}
    for a, b in itertools.permutations(STRATEGIES, 2):
        if dominates(a, b) and costs[a].refused is None and costs[b].refused is None:
            assert numpy.all(costs[a].event.stolen_s <= costs[b].event.stolen_s * (1 + 1e-12))
            assert numpy.all(costs[a].event.guest_s <= costs[b].event.guest_s * (1 + 1e-12))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("NO_FLUSH", "WBINVD_ALL", True),
        ("NO_FLUSH", "CLFLUSHOPT_UVA", True),
        ("NO_FLUSH", "SKIP_COHERENT", False),
        ("WBINVD_ALL", "NO_FLUSH", False),
        ("WBNOINVD_MASK", "WBINVD_ALL", True),
        ("WBNOINVD_ALL", "WBINVD_ALL", True),
        ("WBINVD_MASK", "WBINVD_ALL", True),
        ("WBINVD_MASK", "WBNOINVD_ALL", False),
        ("WBNOINVD_ALL", "WBINVD_MASK", False),
        ("WBINVD_ALL", "WBNOINVD_MASK", False),
        ("CLFLUSHOPT_UVA", "WBINVD_ALL", False),
        ("WBNOINVD_MASK", "CLFLUSHOPT_UVA", False),
        ("WBNOINVD_MASK", "TDX_CACHE_WB", False),
        ("TDX_CACHE_WB", "WBINVD_ALL", False),
    ],
)
def test_by_hand(first, second, expected):
    assert dominates(first, second) is expected
