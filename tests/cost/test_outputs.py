"""Every number of the evidence moves an output."""

import pytest

from costmodel.cost.outputs import OUTPUTS, costs, published
from costmodel.evidence.audit import unused_rows


@pytest.mark.nightly
def test_every_number_is_used(evidence):
    assert unused_rows(evidence, OUTPUTS) == []


def test_a_geometry_row_moves_the_checks(evidence):
    assert published(evidence.with_value("M101", 1.1)) != published(evidence)


def test_costs_do_not_depend_on_claims(evidence):
    assert costs(evidence.with_value("M12", 1.1)) == costs(evidence)
