from dataclasses import replace

import pytest

from costmodel.calibration.parameters import parameters_of
from costmodel.cost.scenario import scenario
from costmodel.decision.recommend import recommend, study_all
from costmodel.evidence.store import load


@pytest.fixture(scope="session")
def answer():
    """recommend(), each question asked once."""
    asked = {}

    def ask(guest, machine="epyc-7763-2s", workload="autonuma-default", kernel="newest", **numbers):
        key = (guest, machine, workload, kernel, tuple(sorted(numbers.items())))
        if key not in asked:
            given = {name: dict(value) if name == "rates" else value for name, value in numbers.items()}
            asked[key] = recommend(guest, machine, workload, kernel, **given)
        return asked[key]

    return ask


@pytest.fixture(scope="session")
def study():
    """The study of one trigger, each case studied once; `changes` go into the scenario."""
    known = {}

    def find(trigger, guest="sev", workload="autonuma-default", kernel="newest", machine="epyc-7763-2s", **changes):
        key = (guest, workload, kernel, machine, tuple(sorted(changes.items())))
        if key not in known:
            evidence = load()
            case = replace(scenario(evidence, guest, machine, workload, kernel), **changes)
            studies = study_all(evidence, case, parameters_of(evidence, machine))
            known[key] = {one.trigger.id: one for one in studies}
        return known[key][trigger]

    return find
