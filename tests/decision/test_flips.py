"""Each flip condition is crossed by 1 % on either side, over the whole matrix of guests and machines."""

import math
from dataclasses import replace

import numpy
import pytest

from costmodel.calibration.cached import parameters_of
from costmodel.cost.draws import medians
from costmodel.cost.scenario import scenario
from costmodel.cost.totals import total
from costmodel.decision import flips
from costmodel.decision.flips import winner_at
from costmodel.decision.recommend import not_applicable, study_all
from costmodel.evidence.store import load
from costmodel.kvm.guests import GUESTS

EVIDENCE = load()
OFTEN = ("epyc-7763-2s", "epyc-9654-2s", "xeon-8570-2s")
CASES = [
    pytest.param(guest, machine, workload, marks=() if machine in OFTEN else pytest.mark.nightly)
    for guest in GUESTS
    for machine in EVIDENCE.machines
    for workload in ("idle", "teardown")
]


def flips_of(guest, machine, workload):
    case = scenario(EVIDENCE, guest, machine, workload)
    if not_applicable(case, GUESTS[guest]):
        return []
    parameters = parameters_of(EVIDENCE, machine)
    return [(study, flip) for study in study_all(EVIDENCE, case, parameters) for flip in study.flips]


@pytest.mark.parametrize(("guest", "machine", "workload"), CASES)
def test_the_winner_changes_within_one_percent(guest, machine, workload):
    for study, flip in flips_of(guest, machine, workload):

        def winner(value, study=study, flip=flip):
            return winner_at(
                list(study.costed), study.trigger.id, study.scenario, medians(study.parameters), flip.parameter, value
            )

        below, above = winner(flip.at * 0.99), winner(flip.at * 1.01)
        assert below != above
        assert flip.winner == (above if flip.at > flip.current else below)


def test_there_are_flips_to_test():
    assert len([flip for guest in ("sev", "sev-snp-gmem") for flip in flips_of(guest, "epyc-7763-2s", "teardown")]) >= 3


def along(monkeypatch, costs, current, low=1.0, high=1000.0, winner="flat"):
    """Flips of the given costs, functions of the value of an axis."""
    monkeypatch.setattr(flips, "stolen_at", lambda strategy, *where: numpy.vectorize(costs[strategy])(where[-1]))
    return flips._along(list(costs), winner, "t", None, None, "axis", "the axis", "s", current, low, high)


def test_a_flip_lies_on_each_side_of_here_at_most_once(monkeypatch):
    costs = {"flat": lambda x: 10.0, "rising": lambda x: x, "falling": lambda x: 2000.0 / x}
    above, below = (
        {"flat": costs["flat"], "falling": costs["falling"]},
        {"flat": costs["flat"], "rising": costs["rising"]},
    )
    (found,) = along(monkeypatch, above, 50.0)
    assert (found.winner, found.at, found.current) == ("falling", pytest.approx(200.0), 50.0)
    assert found.sentence == "falling is cheaper above the axis 200 s (now 50 s)"
    (found,) = along(monkeypatch, below, 50.0)
    assert (found.winner, found.at) == ("rising", pytest.approx(10.0))
    assert found.sentence == "rising is cheaper below the axis 10 s (now 50 s)"
    assert [f.winner for f in along(monkeypatch, costs, 50.0)] == ["rising", "falling"]


def test_of_several_crossings_on_a_side_the_nearest_counts(monkeypatch):
    waves = {"flat": lambda x: 0.0, "wave": lambda x: math.cos(math.log(x) * math.pi)}
    crossings = [math.exp(n + 0.5) for n in range(6)]
    found = along(monkeypatch, waves, math.exp(2.0), low=1.001, high=math.exp(6.0))
    assert [f.at for f in found] == pytest.approx([crossings[1], crossings[2]])


def test_where_two_only_touch_nothing_flips(monkeypatch):
    touching = {"flat": lambda x: 1.0, "touching": lambda x: 1.0 + abs(math.log(x / 30.0))}
    assert along(monkeypatch, touching, 50.0) == []


def test_the_span_of_a_parameter_is_a_hundred_either_way_and_that_of_a_share_ends_at_one(monkeypatch):
    asked = {}
    monkeypatch.setattr(flips, "_along", lambda *given: asked.update({given[5]: given[8:]}) or [])
    case = scenario(EVIDENCE, "sev-snp-gmem", "epyc-7763-2s", "teardown")
    parameters = parameters_of(EVIDENCE, "epyc-7763-2s")
    names = ("line_dirty_s", "dirty_fraction", "serial_exponent", "presence_position", "smt_factor")
    flips.flips(["A", "B"], "A", "gmem_free_folio_teardown", case, parameters, names)
    for name in names:
        median = parameters[name].distribution.median
        share = name not in ("line_dirty_s", "smt_factor")
        ends = (1e-4, 1.0) if share else (median / 100, median * 100)
        assert asked[name] == pytest.approx((median, *ends))
    assert asked["range_bytes"] == (16e9, 64.0, 64 * 2.0**30)
    assert set(asked) == {"range_bytes", "cpus", "cache_bytes", *names}


def test_the_cost_at_a_value_is_the_total_with_that_value():
    case = scenario(EVIDENCE, "sev", "epyc-7763-2s", "ksm-default")
    parameters = parameters_of(EVIDENCE, "epyc-7763-2s")
    at = medians(parameters)
    asked = ("WBNOINVD_MASK", "ksm_replace_page", case, at)
    few = total("ksm_replace_page", "WBNOINVD_MASK", replace(case, cpus_that_ran=9.0), at).event.stolen_s
    assert flips.stolen_at(*asked, "cpus", numpy.array([9.0])) == few
    for value in (1e-9, 1e-6):
        slow = at.with_values(line_valid_s=numpy.array([value]))
        expected = total("ksm_replace_page", "WBNOINVD_MASK", case, slow).event.stolen_s
        several = numpy.array([1e-9, 1e-6, 1e-7])
        found = flips.stolen_at(*asked, "line_valid_s", several)
        assert found[several == value] == pytest.approx(expected, rel=1e-12)
