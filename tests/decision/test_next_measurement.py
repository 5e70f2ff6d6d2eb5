"""What to measure next: the drop of P(wrong) is what knowing the parameters would give."""

import numpy
import pytest

from costmodel.calibration.cached import parameters_of
from costmodel.cost.scenario import scenario
from costmodel.decision.next_measurement import _slices, _wrong_within, drops, measure_next
from costmodel.decision.recommend import study_all
from costmodel.decision.sensitivity import sensitivities
from costmodel.evidence.store import load


@pytest.fixture(scope="module")
def studies():
    evidence = load()
    parameters = parameters_of(evidence, "epyc-7763-2s")
    case = scenario(evidence, "sev-snp-gmem", "epyc-7763-2s", "teardown")
    return parameters, {study.trigger.id: study for study in study_all(evidence, case, parameters)}


def test_knowing_what_decides_leaves_nothing_wrong():
    position = (numpy.arange(4096) + 0.5) / 4096
    best = (position > 0.5).astype(int)
    assert _wrong_within(best, (position * 16).astype(int)) == 0
    assert _wrong_within(best, numpy.zeros(4096, dtype=int)) == pytest.approx(0.5)


def test_slices_are_equally_full():
    for names in (["a"], ["a", "b"], ["a", "b", "c"]):
        counts = numpy.bincount(_slices(names, 4096))
        assert len(counts) == 64
        assert counts.min() > 0.3 * counts.mean()


def test_drops_are_between_nothing_and_all_of_it(studies):
    parameters, by_trigger = studies
    found = drops(by_trigger["gmem_free_folio_teardown"], parameters)
    assert found
    for drop in found:
        assert 0 <= drop.then <= drop.now < 1
    assert found == sorted(found, key=lambda drop: drop.then)
    assert any(drop.measurement.startswith("time WBINVD") for drop in found)


def test_a_choice_by_rule_measures_for_the_cost_only(studies):
    parameters, by_trigger = studies
    study = by_trigger["unreg_region"]
    assert drops(study, parameters) == []
    ranked = sensitivities(study.chosen.strategy, study.trigger.id, study.scenario, parameters)
    assert all("narrows the cost, not the choice" in text for text in measure_next(study, parameters, ranked))
    assert measure_next(None, parameters, []) == []
