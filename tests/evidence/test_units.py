"""The unit table against pint."""

import pytest

from costmodel.evidence.units import PINT_SI, UNITS, pint_factor


@pytest.mark.parametrize("name", UNITS)
def test_factor_is_what_pint_computes(name):
    assert UNITS[name].factor == pytest.approx(pint_factor(UNITS[name]), rel=1e-14)


def test_every_si_unit_has_a_pint_name():
    assert {unit.si for unit in UNITS.values()} == set(PINT_SI)


def test_a_wrong_dimension_is_an_error():
    import pint

    with pytest.raises(pint.DimensionalityError):
        pint_factor(UNITS["ms"]._replace(si="B"))
