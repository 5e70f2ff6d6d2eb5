"""A grid gives what `total` gives at each of its points, with either engine, in one piece or in many."""

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costmodel.calibration.parameters import parameters_of
from costmodel.cost import grid as grids
from costmodel.cost.breakeven import break_even
from costmodel.cost.draws import Case, Draws
from costmodel.cost.grid import NUMBERS, Grid, axis_names, checked_axis
from costmodel.cost.scenario import scenario
from costmodel.cost.total import total
from costmodel.errors import BadInput, MissingNumber, UnknownName
from costmodel.formulas.fused import Program
from tests.samples import examples

N = 64
WHOLE, MASKED, RANGED = "WBINVD_ALL", "WBNOINVD_MASK", "CLFLUSHOPT_UVA"
CASES = {
    "autonuma": ("sev", "epyc-7763-2s", "autonuma-default", "autonuma_prot_none_scan", [WHOLE, MASKED, RANGED]),
    "ksm": ("sev", "epyc-7763-2s", "ksm-default", "ksm_write_protect", [WHOLE, RANGED, "CLFLUSHOPT_DM_PINNED"]),
    "gmem": ("sev-snp-gmem", "epyc-9654-2s", "autonuma-default", "gmem_punch_hole", [WHOLE, "CLFLUSHOPT_DM_GMEM"]),
}
VALUES = {
    "range_bytes": st.floats(64, 2.0**33),
    "cpus": st.integers(1, 256).map(float),
    "rate_per_s": st.floats(1e-3, 1e5),
    "cache_bytes": st.floats(2.0**20, 2.0**31),
    "vcpus": st.integers(1, 256).map(float),
    "resident_bytes": st.floats(2.0**28, 2.0**40),
    "event_fraction": st.floats(0.01, 1.0),
    "l2_bytes_per_core": st.floats(2.0**18, 2.0**22),
    "line_valid_s": st.floats(1e-12, 1e-8),
    "dirty_fraction": st.floats(0.01, 0.99),
    "serial_exponent": st.floats(0.0, 1.0),
    "writeback_bytes_per_s": st.floats(1e9, 1e12),
}


def case_of(evidence, name, n=N):
    guest, machine, workload, trigger, _ = CASES[name]
    return Case(trigger, scenario(evidence, guest, machine, workload), Draws(parameters_of(evidence, machine), n))


def total_at(case, strategy, point):
    """`total` of the case with the numbers of one point."""
    drawn = {name: numpy.array([number]) for name, number in point.items() if name not in NUMBERS}
    there = case.scenario
    for name, number in point.items():
        if name in NUMBERS:
            there = NUMBERS[name][1](there, number)
    return total(Case(case.trigger, there, case.draws.with_values(**drawn)), strategy)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_point_costs_what_total_says(evidence, name, data):
    chosen = data.draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3, unique=True))
    axes = {axis: data.draw(st.lists(VALUES[axis], min_size=1, max_size=3, unique=True)) for axis in chosen}
    case = case_of(evidence, name)
    found = Grid(case, CASES[name][-1], axes)
    points = [dict(zip(axes, numbers, strict=True)) for numbers in _product(list(found.axes.values()))]
    at = data.draw(st.integers(0, len(points) - 1))
    for cost in found.costs:
        own = total_at(case, cost.strategy, points[at])
        expected = {"cpu_time": own.priced.stolen_s, "event_time": own.priced.time_s, "host_cpus": own.host_cpu_s_per_s}
        assert found.values(cost)[at] == pytest.approx(numpy.broadcast_to(expected[cost.quantity], (N,)), rel=1e-12)


def _product(columns):
    return [()] if not columns else [(one, *rest) for one in columns[0] for rest in _product(columns[1:])]


@pytest.mark.nightly
def test_both_engines_agree_on_a_grid_of_four_axes(evidence):
    case = case_of(evidence, "autonuma")
    axes = {
        "range_bytes": [4096, 2e6, 1e9],
        "cpus": [1, 8, 12, 256],
        "rate_per_s": [0.1, 1e3],
        "cache_bytes": [2**24, 2**28],
    }
    one, other = (Grid(case, CASES["autonuma"][-1], axes, engine) for engine in grids.ENGINES)
    for first, second in zip(one.costs, other.costs, strict=True):
        assert one.values(first) == pytest.approx(other.values(second), rel=1e-12)
    counted = [g.counted([g.cost(name) for name in CASES["autonuma"][-1]]) for g in (one, other)]
    assert (counted[0].keys == counted[1].keys).mean() > 0.99


@pytest.mark.parametrize("name", list(NUMBERS) + ["line_valid_s", "smt_factor", "traffic_fraction", "rmpupdate_s"])
def test_every_number_and_parameter_can_be_an_axis(evidence, name):
    case = case_of(evidence, "gmem")
    value = {"smt_factor": 1.5, "event_fraction": 0.5}.get(name, 0.5 if name.endswith("_fraction") else None)
    low = value or {"B": 2.0**25, "s": 1e-7, "1": 8.0, "1/s": 3.0}[grids.unit_of(name, case.parameters)]
    found = Grid(case, [WHOLE], {name: [low]})
    cost = found.cost(WHOLE)
    assert found.values(cost)[0] == pytest.approx(total_at(case, WHOLE, {name: low}).priced.stolen_s, rel=1e-12)


@pytest.fixture
def square(evidence):
    case = case_of(evidence, "autonuma", 101)
    axes = {"range_bytes": numpy.geomspace(4096, 2**32, 12), "cpus": [1, 8, 9, 64]}
    return case, axes, Grid(case, CASES["autonuma"][-1], axes)


def test_intervals_are_the_quantiles_of_the_draws_at_every_point(square):
    _, _, found = square
    for cost in found.costs:
        values = found.values(cost)
        assert found.intervals(cost) == pytest.approx(numpy.quantile(values, (0.05, 0.5, 0.95), axis=1).T, rel=1e-12)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_counts_tell_quantiles_within_half_a_bucket_and_who_is_the_least(square, engine):
    case, axes, _ = square
    found = Grid(case, CASES["autonuma"][-1], axes, engine)
    costs = [found.cost(name) for name in CASES["autonuma"][-1]]
    counted = found.counted(costs)
    values = numpy.stack([found.values(cost) for cost in costs], axis=1)
    ordered = numpy.sort(values, axis=2)[..., grids.ranks(101)]
    assert counted.quantiles == pytest.approx(ordered, rel=2.0**-9)
    assert counted.shares == pytest.approx((values <= values.min(axis=1, keepdims=True)).mean(axis=2))
    middle = numpy.median(values, axis=2)
    best = numpy.take_along_axis(middle, counted.least[:, None], axis=1)[:, 0]
    assert best == pytest.approx(middle.min(axis=1), rel=2.0**-8)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_a_cost_of_nothing_and_one_far_away_are_counted(evidence, engine):
    """No flush costs 0, which no bucket near a flush holds."""
    case = case_of(evidence, "autonuma")
    found = Grid(case, ["NO_FLUSH", WHOLE], {"cpus": [1, 2]}, engine)
    counted = found.counted([found.cost("NO_FLUSH"), found.cost(WHOLE)])
    assert (counted.quantiles[:, 0] == 0).all() and (counted.least == 0).all() and (counted.wins[:, 0] == N).all()


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_pieces_and_threads_change_no_byte(square, engine, monkeypatch):
    case, axes, _ = square

    def bytes_of():
        found = Grid(case, CASES["autonuma"][-1], axes, engine)
        counted = found.counted([found.cost(name) for name in CASES["autonuma"][-1]])
        edges = found.break_even(MASKED, RANGED, "range_bytes")
        return [x.tobytes() for x in (counted.keys, counted.wins, edges, *map(found.intervals, found.costs))]

    one = bytes_of()
    monkeypatch.setattr(grids, "PIECE_VALUES", 1010)
    many = bytes_of()
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    assert one == many == bytes_of()


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_values_are_found_by_the_engine_that_was_asked(square, engine, monkeypatch):
    case, axes, _ = square
    loop, called = Program.by_numba, []
    monkeypatch.setattr(Program, "by_numba", lambda *given: called.append(given) or loop(*given))
    found = Grid(case, [MASKED], axes, engine)
    assert (found.values(found.cost(MASKED)) > 0).all() and bool(called) == (engine == "numba")


@pytest.mark.parametrize(("sizes", "beyond"), [([64, 256, 1024], numpy.inf), ([2.0**38, 2.0**39], 0.0)])
def test_break_evens_lie_beyond_the_same_end_whichever_strategy_is_named_first(evidence, sizes, beyond):
    found = Grid(case_of(evidence, "autonuma", N), [MASKED, RANGED], {"range_bytes": sizes}, "numpy")
    cheaper = RANGED if beyond else MASKED
    for names in ((MASKED, RANGED), (RANGED, MASKED)):
        throughout = [float(name == cheaper) for name in names]
        assert found.break_even(*names, "range_bytes").tolist() == [[beyond, beyond, beyond, 0.0, *throughout]]


@pytest.mark.nightly
def test_break_evens_are_those_of_the_refined_search(evidence):
    case = case_of(evidence, "autonuma", 1024)
    found = Grid(case, [MASKED, RANGED], {"cpus": [8, 256], "range_bytes": numpy.geomspace(64, 2**36, 400)})
    (row,) = break_even(evidence, case.scenario, case.trigger, (MASKED, RANGED), "range_bytes").rows
    low, median, high, share, *throughout = found.break_even(MASKED, RANGED, "range_bytes")[1]
    assert (low, median, high) == pytest.approx((row.low, row.median, row.high), rel=0.02)
    assert share == pytest.approx(row.share, abs=0.01) and share + sum(throughout) == pytest.approx(1.0)


def test_draws_without_a_break_even_count_as_beyond_an_end(evidence):
    found = Grid(case_of(evidence, "autonuma"), [WHOLE, RANGED], {"range_bytes": [64, 128]})
    assert found.break_even(WHOLE, RANGED, "range_bytes").tolist() == [[numpy.inf] * 3 + [0.0, 0.0, 1.0]]
    beyond = Grid(case_of(evidence, "autonuma"), [WHOLE, RANGED], {"range_bytes": [2.0**44, 2.0**45]})
    assert beyond.break_even(WHOLE, RANGED, "range_bytes").tolist() == [[0.0] * 4 + [1.0, 0.0]]


def test_a_strategy_without_a_number_is_refused_with_its_gap(evidence):
    found = Grid(case_of(evidence, "gmem"), ["VM_PAGE_FLUSH", WHOLE], {"cpus": [8]})
    assert "VM_PAGE_FLUSH" in found.refused["VM_PAGE_FLUSH"]
    with pytest.raises(MissingNumber, match="VM_PAGE_FLUSH"):
        found.cost("VM_PAGE_FLUSH")


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("cpus", [0], "from 1 to 256"),
        ("cpus", [257], "from 1 to 256"),
        ("cpus", [1.5], "whole"),
        ("range_bytes", [1], "from 64"),
        ("rate_per_s", [0], "above 0"),
        ("dirty_fraction", [1.1], "from 0 to 1"),
        ("line_valid_s", [-1e-9], "above 0"),
        ("range_bytes", [numpy.nan], "from 64"),
        ("range_bytes", [], "from 64"),
        ("range_bytes", [4096, 4096], "twice"),
    ],
)
def test_values_that_cannot_be_are_refused(evidence, name, values, told):
    with pytest.raises(BadInput, match=told):
        checked_axis(name, values, case_of(evidence, "autonuma"))


def test_unknown_axes_and_engines_are_refused(evidence):
    case = case_of(evidence, "autonuma")
    with pytest.raises(UnknownName, match="range_bytes"):
        Grid(case, [WHOLE], {"range_byte": [64]})
    with pytest.raises(UnknownName, match="numba"):
        Grid(case, [WHOLE], {"cpus": [8]}, "numbas")
    assert {"range_bytes", "dirty_fraction"} < set(axis_names(case.parameters))
