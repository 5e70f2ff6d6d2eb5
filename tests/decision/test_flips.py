"""Each flip condition is crossed by 1 % on either side, over the whole matrix of guests and machines."""

import pytest

from costmodel.calibration.cached import parameters_of
from costmodel.cost.scenario import scenario
from costmodel.decision.flips import winner_at
from costmodel.decision.recommend import not_applicable, study_all
from costmodel.evidence.store import load
from costmodel.kvm.guests import GUESTS

EVIDENCE = load()
CASES = [
    (guest, machine, workload) for guest in GUESTS for machine in EVIDENCE.machines for workload in ("idle", "teardown")
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
                list(study.costed), study.trigger.id, study.scenario, study.parameters, flip.parameter, value
            )

        below, above = winner(flip.at * 0.99), winner(flip.at * 1.01)
        assert below != above
        assert flip.winner == (above if flip.at > flip.current else below)


def test_there_are_flips_to_test():
    assert len(flips_of("sev-snp-gmem", "epyc-7763-2s", "teardown")) >= 3
