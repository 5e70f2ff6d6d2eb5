"""A calculation that is written down gives what it gives when carried out."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.formulas.compiled import value
from costmodel.formulas.recorded import Tape

N = 5
DRAWN = numpy.linspace(0.2, 0.9, N)


def carried_out(tape, recorded, **told):
    known = {place: told[node.told] for place, node in enumerate(tape.nodes) if node.operation == "input"}
    return tape.carried_out([tape.place_of(recorded)], known)[0]


def calculation(x, y, drawn):
    """Every kind of operation that the model uses on numbers of a case."""
    some = numpy.maximum(x * drawn, y / 3) + numpy.ceil(y) ** drawn - numpy.minimum(1.0, x)
    return numpy.where(x > y, some, 2 * some) / (1.0 + numpy.sqrt(x) * (x > 1).astype(float))


@given(st.floats(0.1, 1e6), st.floats(0.1, 1e6))
def test_what_is_recorded_is_what_is_calculated(x, y):
    tape = Tape(N)
    recorded = calculation(tape.input("x"), tape.input("y"), DRAWN)
    x, y = numpy.float64(x), numpy.float64(y)
    assert carried_out(tape, recorded, x=x, y=y) == pytest.approx(calculation(x, y, DRAWN), rel=1e-14)


def test_a_formula_takes_a_recorded_argument():
    tape = Tape(N)
    told = {"broadcast_start_s": DRAWN, "broadcast_per_cpu_s": 2 * DRAWN}
    found = carried_out(tape, value("broadcast", target_cpus=tape.input("cpus"), **told), cpus=7.0)
    assert found == pytest.approx(value("broadcast", target_cpus=7.0, **told))


def test_what_no_input_changes_is_calculated_at_once_and_kept_once():
    tape = Tape(N)
    x = tape.input("x")
    first, second = x * (DRAWN**2 + 1), x * (DRAWN**2 + 1)
    assert len(tape.arrays) == 1 and first.place == second.place


@pytest.mark.parametrize("nothing", [lambda x: x + 0.0, lambda x: 1.0 * x, lambda x: x / 1.0, lambda x: x**1.0])
def test_an_operation_that_changes_nothing_is_left_out(nothing):
    x = Tape(N).input("x")
    assert nothing(x).place == x.place


@pytest.mark.parametrize("asked", [bool, numpy.asarray, numpy.sin, numpy.sort, lambda x: numpy.add.reduce([x, x])])
def test_what_cannot_be_recorded_is_refused_and_not_guessed(asked):
    with pytest.raises(TypeError):
        asked(Tape(N).input("x"))


def test_an_array_of_another_number_of_draws_is_refused():
    with pytest.raises(ValueError, match="no place among 5 draws"):
        Tape(N).input("x") * numpy.arange(3.0)
