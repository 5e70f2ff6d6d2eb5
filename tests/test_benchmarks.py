"""What the benchmarks measure, not how long it takes."""

from importlib import import_module
from pathlib import Path

import numpy
import pytest

from costmodel.evidence.store import load
from costmodel.kvm.catalog import GUESTS

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


def test_works_are_timed_in_turn_without_what_is_prepared():
    done = []
    works = [
        (lambda: done.append("a0"), lambda: done.append("a")),
        (lambda: done.append("b0"), lambda: done.append("b")),
    ]
    found = import_module("bench").in_turn(works, 2)
    assert done == ["a0", "a", "b0", "b"] * 2
    assert [(len(cpu), len(wall)) for cpu, wall in found] == [(2, 2), (2, 2)]


def test_a_further_file_takes_what_many_take_more_than_one():
    assert import_module("bench").further(([5.0, 7.0], [3.0, 4.0]), ([1.0, 2.0], [1.0, 1.0])) == (
        [4.0, 5.0], [2.0, 3.0],
    )  # fmt: skip


def test_the_load_is_that_of_before_the_benchmark(monkeypatch):
    bench = import_module("bench")
    monkeypatch.setattr("os.getloadavg", lambda: (99.0, 99.0, 99.0))
    assert bench.state()["load"] == bench.LOAD != 99.0


def test_a_new_question_was_never_asked():
    new = import_module("cli").new_fraction
    asked = {new() for _ in range(1000)}
    assert len(asked) == 1000 and all(0.1 <= float(one) <= 0.2 for one in asked)


def test_the_loop_makes_reports_like_those_of_the_matrix():
    """Of every guest type, of as many machines as reports; as many flush, and as many can run, as of all, to half of one."""
    reports = import_module("reports")
    cases = [(guest, machine) for guest in GUESTS for machine in load().machines]
    some = reports.every(cases, 13)
    assert {guest for guest, _ in some} == set(GUESTS) and len({machine for _, machine in some}) == len(some) == 7
    for kind in (reports.flushing, reports.running):
        share = len(kind(cases, ROOT / "reports")) / len(cases)
        assert len(kind(some, ROOT / "reports")) == round(share * len(some))


def test_only_figures_and_indices_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = tmp_path / "costmodel"
    kept.mkdir(mode=0o700)
    for name in ("figure-map-1", "sensitivities-1", "fit-1", "template-1"):
        (kept / name).write_text("")
    import_module("reports").forget()
    assert sorted(path.name for path in kept.iterdir()) == ["fit-1", "template-1"]


def test_a_cache_grows_by_one_step(tmp_path):
    reports = import_module("reports")
    (tmp_path / "machines").mkdir()
    description = tmp_path / "machines" / f"{reports.CHANGED[1]}.toml"
    description.write_text(f"{reports.NUMBER} = {{ value = 100, unit = 'B' }}\nother = {{ value = 100 }}\n")
    reports.grow(tmp_path)
    assert description.read_text() == f"{reports.NUMBER} = {{ value = 164, unit = 'B' }}\nother = {{ value = 100 }}\n"


def test_whole_replays_are_told_for_a_further_file(tmp_path):
    one, many, further = import_module("trace_replay").whole(tmp_path, 1, events=2000)
    assert (one.per, many.per, further.per) == (1, 1, 7)
    assert further.cpu_s == [many.cpu_s[0] - one.cpu_s[0]]
    assert len({path.read_bytes() for path in tmp_path.glob("*.parquet")}) == 8


def test_rivals_of_a_sweep_have_our_numbers():
    sweep = import_module("sweep")
    case = sweep.cm.case("sev", "epyc-7763-2s", cpus_that_ran=8)
    study = sweep.study_at(load(), case.scenario)
    asked = sweep.Case(study.trigger.id, case.scenario, sweep.Draws(study.parameters, sweep.DRAWS))
    grid = sweep.Grid(asked, sweep.STRATEGIES, sweep.AXES, "numpy")
    points = numpy.arange(0, grid.points, 500)
    expected = sweep._program(grid.job([grid.cost(name) for name in sweep.STRATEGIES])).by_numpy(points)
    found = [work() for work in sweep.rivals(grid, points).values()]
    assert len(found) == 2
    for one in found:
        numpy.testing.assert_allclose(one, numpy.moveaxis(expected, 1, 0), rtol=sweep.SAME)
