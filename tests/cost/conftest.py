import pytest

from costmodel.calibration.parameters import parameters_of
from costmodel.cost.draws import Draws
from costmodel.cost.scenario import scenario


@pytest.fixture(scope="session")
def milan_ksm(evidence):
    return scenario(evidence, "sev", "epyc-7763-2s", "ksm-default", "6.6", pinned=False, mergeable=True)


@pytest.fixture(scope="session")
def milan(evidence):
    return parameters_of(evidence, "epyc-7763-2s")


@pytest.fixture(scope="session")
def draws(milan):
    return Draws(milan)
