"""Programs over a grid: both engines, with and without tables, give what one operation after the other gives."""

import numpy
import pytest

from costmodel.formulas import fused
from costmodel.formulas.fused import Program, regrouped
from costmodel.formulas.recorded import Tape

N = 64
DRAWN = numpy.random.default_rng(3).uniform(0.1, 0.9, N)
AXES = {"x": numpy.geomspace(1, 1e6, 9), "k": numpy.array([1.0, 2.0, 3.0, 8.0, 9.0, 12.0])}


def recorded():
    """Two results: one of both axes, one of `k` alone, which repeats from 8 on."""
    tape = Tape(N)
    x, k = tape.input("x"), tape.input("k")
    power = numpy.minimum(k, 8.0) ** DRAWN
    whole = power * (2 + DRAWN) / (3 * (1 - DRAWN))
    ranged = numpy.maximum(x * DRAWN / k / (1 + DRAWN), 5.0 - DRAWN) + whole - x / 1e9
    return tape, [tape.place_of(ranged), tape.place_of(whole)]


@pytest.fixture(scope="module")
def plain():
    """Results (54, 2, N) by numpy at each point alone."""
    tape, ends = recorded()
    places = {node.told: place for place, node in enumerate(tape.nodes) if node.operation == "input"}
    at = [{places["x"]: x, places["k"]: k} for x in AXES["x"] for k in AXES["k"]]
    return numpy.array([tape.carried_out(ends, known) for known in at])


@pytest.mark.parametrize("regroup", [False, True])
@pytest.mark.parametrize("tabulate", [False, True])
@pytest.mark.parametrize("engine", ["by_numpy", "by_numba"])
def test_every_way_to_a_result_gives_it(plain, regroup, tabulate, engine):
    tape, ends = regrouped(*recorded()) if regroup else recorded()
    program = Program(tape, ends, AXES)
    if tabulate:
        program.tabulate_ends()
    points = numpy.array([53, 0, 7, 7, 30])
    assert getattr(program, engine)(points) == pytest.approx(plain[points], rel=1e-13)


def test_a_result_that_repeats_is_calculated_once_for_each_of_its_rows(plain):
    tape, ends = recorded()
    program = Program(tape, ends, AXES)
    rows = program.rows(ends[1])
    assert rows.over == ("k",) and len(rows.first) == 4
    at = program.rows_at(rows, numpy.arange(54))
    assert plain[rows.first[at], 1] == pytest.approx(plain[:, 1])
    assert len(program.rows(ends[0]).first) == 54


def test_without_a_cache_the_loop_is_compiled_anew(plain, monkeypatch):
    monkeypatch.setattr(fused, "_folder", lambda: None)
    fused.compiled.cache_clear()
    program = Program(*recorded(), AXES)
    assert program.by_numba(numpy.arange(54)) == pytest.approx(plain, rel=1e-13)


def test_the_compiled_loop_writes_results_only():
    """Fused over terms: the loop stores into `found` and into nothing else."""
    source = Program(*recorded(), AXES)._code.source
    stores = [line.split("=")[0].strip() for line in source.splitlines() if "[draw] =" in line]
    assert stores == ["o0[draw]", "o1[draw]"]
