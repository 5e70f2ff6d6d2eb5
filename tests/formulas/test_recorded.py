"""A calculation that is written down gives what it gives when carried out, and what is printed of it as JavaScript; whether
a browser comes to the same numbers is asked in tests/browser/test_live.py.
"""

import pickle

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.errors import UnknownName
from costmodel.formulas import catalog, recorded
from costmodel.formulas.catalog import FORMULAS
from costmodel.formulas.compiled import value
from costmodel.formulas.recorded import Tape

N = 5
DRAWN = numpy.linspace(0.2, 0.9, N)


def carried_out(tape, end, **told):
    known = {place: told[node.told] for place, node in enumerate(tape.nodes) if node.operation == "input"}
    return tape.carried_out([tape.place_of(end)], known)[0]


def calculation(x, y, drawn):
    """Every kind of operation that the model uses on numbers of a case."""
    some = numpy.maximum(x * drawn, y / 3) + numpy.ceil(y) ** drawn - numpy.minimum(1.0, x)
    return numpy.where(x > y, some, 2 * some) / (1.0 + numpy.sqrt(x) * (x > 1).astype(float))


@given(st.floats(0.1, 1e6), st.floats(0.1, 1e6))
def test_what_is_recorded_is_what_is_calculated(x, y):
    tape = Tape(N)
    end = calculation(tape.input("x"), tape.input("y"), DRAWN)
    x, y = numpy.float64(x), numpy.float64(y)
    assert carried_out(tape, end, x=x, y=y) == pytest.approx(calculation(x, y, DRAWN), rel=1e-14)


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


def test_a_tape_that_was_sent_knows_no_addresses_of_where_it_came_from():
    tape = Tape(N)
    end = tape.input("x") * DRAWN
    sent = pickle.loads(pickle.dumps(tape))
    assert [array.tolist() for array in sent.arrays] == [DRAWN.tolist()]
    assert len(pickle.dumps(tape)) < len(pickle.dumps(DRAWN)) + 400, "an array is sent once"
    assert sent.place_of(DRAWN.copy()) == tape.place_of(DRAWN) != end.place


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


# Whole formulas, and what is printed as JavaScript.

POWERS = numpy.array([1.0, 2.0, 4.0])


def test_every_operation_that_can_be_recorded_can_be_printed():
    assert set(recorded.JAVASCRIPT) == set(recorded.OPERATIONS)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_is_a_function_of_its_symbols(name):
    text = catalog.javascript(name)
    head = f"function {name}({', '.join(FORMULAS[name].symbols)}) {{\n"
    assert text.startswith(head) and "numpy" not in text and "Not supported" not in text
    for symbol in FORMULAS[name].symbols:
        assert symbol in text.removeprefix(head)


def test_a_formula_that_is_not_there_is_named():
    with pytest.raises(UnknownName, match="broadcst"):
        catalog.javascript("broadcst")


def test_what_pages_hold_is_what_the_catalogue_prints_kept_or_not(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    read = recorded.javascript_functions.__wrapped__  # without what this process remembers
    anew = read()
    assert anew == {name: catalog.javascript(name) for name in FORMULAS} == read() == recorded.javascript_functions()


def tape_of(whole):
    tape = Tape(3, whole=whole)
    drawn = {"broadcast_start_s": tape.input("start_s"), "broadcast_per_cpu_s": POWERS}
    return tape, value("broadcast", target_cpus=tape.input("cpus") - 1.0, **drawn)


def test_a_whole_formula_is_one_node_and_gives_the_same():
    told = {"start_s": 0.5, "cpus": 9.0}
    found = []
    for whole in (True, False):
        tape, end = tape_of(whole)
        known = {place: told[node.told] for place, node in enumerate(tape.nodes) if node.operation == "input"}
        found.append(tape.carried_out([tape.place_of(end)], known)[0])
        names = [node.told for node in tape.nodes if node.operation == "formula"]
        assert names == (["broadcast"] if whole else [])
    numpy.testing.assert_array_equal(*found)
    numpy.testing.assert_array_equal(found[0], 0.5 + POWERS * 8)


def test_a_whole_formula_of_known_numbers_is_calculated_at_once():
    tape = Tape(3, whole=True)
    known = tape.input("cpus") * 0.0
    end = value("broadcast", broadcast_start_s=known, broadcast_per_cpu_s=POWERS, target_cpus=2.0)
    assert tape.nodes[end.place].operation == "draws"
    numpy.testing.assert_array_equal(tape.value_of(end.place), 2 * POWERS)


@pytest.mark.parametrize("arguments", [{"target_cpus": 1.0}, {"wrong": 1.0, "broadcast_start_s": 1.0}])
def test_a_whole_formula_wants_the_arguments_of_a_call(arguments):
    with pytest.raises(TypeError, match="broadcast_start_s"):
        value("broadcast", broadcast_per_cpu_s=Tape(3, whole=True).input("x"), **arguments)


def test_a_program_says_each_number_once_and_what_is_used_twice_by_name():
    tape, end = tape_of(whole=True)
    twice = tape.place_of(end * end + 1.0)
    first, last = recorded.javascript(tape, [twice], {"start_s"}).splitlines()[1:3]
    name = f"v{end.place}"
    assert first == f"  const {name} = broadcast(d.start_s[i], d.array_0[i], (x.cpus - 1));"
    assert last == f"  const v{twice} = ({name} * {name}) + 1;"
    assert recorded.formulas_of(tape, [twice]) == ["broadcast"]


@pytest.mark.parametrize(
    ("number", "text"),
    [(2.0, "2"), (-0.5, "(-0.5)"), (1e-7, "1e-07"), (numpy.inf, "Infinity"), (-numpy.inf, "(-Infinity)")],
)
def test_numbers_are_written_so_that_they_can_be_read(number, text):
    tape = Tape(3)
    assert text in recorded.javascript(tape, [tape.place_of(tape.input("x") ** number)], ())
