"""What is printed as JavaScript; whether a browser comes to the same numbers is asked in tests/browser/test_live.py."""

import numpy
import pytest

from costmodel.errors import UnknownName
from costmodel.formulas import catalog, javascript, recorded
from costmodel.formulas.catalog import FORMULAS
from costmodel.formulas.compiled import value
from costmodel.formulas.recorded import Tape

N = 3
DRAWN = numpy.array([1.0, 2.0, 4.0])


def test_every_operation_that_can_be_recorded_can_be_printed():
    assert set(javascript.OPERATIONS) == set(recorded.OPERATIONS)


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
    read = javascript.functions.__wrapped__  # without what this process remembers
    anew = read()
    assert anew == {name: catalog.javascript(name) for name in FORMULAS} == read() == javascript.functions()


def tape_of(whole):
    tape = Tape(N, whole=whole)
    drawn = {"broadcast_start_s": tape.input("start_s"), "broadcast_per_cpu_s": DRAWN}
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
    numpy.testing.assert_array_equal(found[0], 0.5 + DRAWN * 8)


def test_a_whole_formula_of_known_numbers_is_calculated_at_once():
    tape = Tape(N, whole=True)
    known = tape.input("cpus") * 0.0
    end = value("broadcast", broadcast_start_s=known, broadcast_per_cpu_s=DRAWN, target_cpus=2.0)
    assert tape.nodes[end.place].operation == "draws"
    numpy.testing.assert_array_equal(tape.value_of(end.place), 2 * DRAWN)


@pytest.mark.parametrize("arguments", [{"target_cpus": 1.0}, {"wrong": 1.0, "broadcast_start_s": 1.0}])
def test_a_whole_formula_wants_the_arguments_of_a_call(arguments):
    with pytest.raises(TypeError, match="broadcast_start_s"):
        value("broadcast", broadcast_per_cpu_s=Tape(N, whole=True).input("x"), **arguments)


def test_a_program_says_each_number_once_and_what_is_used_twice_by_name():
    tape, end = tape_of(whole=True)
    twice = tape.place_of(end * end + 1.0)
    first, last = javascript.program(tape, [twice], {"start_s"}).splitlines()[1:3]
    name = f"v{end.place}"
    assert first == f"  const {name} = broadcast(d.start_s[i], d.array_0[i], (x.cpus - 1));"
    assert last == f"  const v{twice} = ({name} * {name}) + 1;"
    assert javascript.formulas_of(tape, [twice]) == ["broadcast"]


@pytest.mark.parametrize(
    ("number", "text"),
    [(2.0, "2"), (-0.5, "(-0.5)"), (1e-7, "1e-07"), (numpy.inf, "Infinity"), (-numpy.inf, "(-Infinity)")],
)
def test_numbers_are_written_so_that_they_can_be_read(number, text):
    tape = Tape(N)
    assert text in javascript.program(tape, [tape.place_of(tape.input("x") ** number)], ())
