import pytest

from costmodel.cost.draws import Draws


@pytest.fixture(scope="session")
def draws(milan):
    return Draws(milan)
