"""Measured hosts: interpolation, intervals, held-out errors, parameters."""

import math
from dataclasses import replace

import numpy
import pytest

from costmodel.calibration.host_flush import Cell, FlushModel, cells_of
from costmodel.calibration.parameters import parameters_of
from costmodel.errors import BadInput, UnknownName
from costmodel.evidence.store import load

NAME = "epyc-genoa-4cpu-vm"
KIND = ("CLFLUSHOPT", "dirty", "4KiB")


@pytest.fixture(scope="module")
def profile():
    return load().host(NAME)


def made(noise=0.03, runs=5, exponent=0.0):
    """Cells of a known law: 2 ns per line times (range / 4 KiB) ** exponent, log-normal noise between runs."""
    random = numpy.random.default_rng(7)
    return [
        Cell(
            (instruction, state, "4KiB"),
            float(size),
            {run: 2e-9 * (size / 4096) ** exponent * math.exp(noise * random.standard_normal()) for run in range(runs)},
        )
        for instruction in ("CLFLUSH", "CLFLUSHOPT")
        for state in ("dirty", "clean", "absent")
        for size in 2 ** numpy.arange(6, 27)
    ]


def test_a_known_law_is_recovered_between_the_ranges():
    model = FlushModel(made(exponent=-0.1))
    for size in (100.0, 5000.0, 3e6):
        assert model.predict(*KIND[:2], size).line_s == pytest.approx(2e-9 * (size / 4096) ** -0.1, rel=0.05)


def test_the_interval_of_a_new_run_covers_what_it_should():
    model = FlushModel(made(noise=0.05))
    random = numpy.random.default_rng(3)
    inside = []
    for size in 2.0 ** numpy.arange(7, 26):
        guess = model.predict(*KIND[:2], size)
        fresh = 2e-9 * numpy.exp(0.05 * random.standard_normal(200))
        inside += list((guess.low_s <= fresh) & (fresh <= guess.high_s))
    assert 0.83 <= numpy.mean(inside) <= 0.97


def test_more_noise_gives_a_wider_interval():
    def width(noise):
        guess = FlushModel(made(noise=noise)).predict(*KIND[:2], 4096.0)
        return guess.high_s / guess.low_s

    assert width(0.2) > width(0.02) > 1


def test_one_run_carries_no_interval():
    guess = FlushModel(made(runs=1)).predict(*KIND[:2], 4096.0)
    assert guess.low_s is None and guess.note.startswith("no interval")


@pytest.mark.parametrize("size", [32.0, 2.0**28, float("nan")])
def test_a_range_outside_what_was_measured_is_refused(size):
    with pytest.raises(BadInput, match="outside"):
        FlushModel(made()).predict(*KIND[:2], size)


def test_a_kind_that_was_not_measured_is_refused():
    with pytest.raises(UnknownName):
        FlushModel(made()).predict("CLWB", "dirty", 4096.0)


def test_no_cells_are_refused():
    with pytest.raises(BadInput, match="no flush probe"):
        FlushModel([])


def test_what_the_profile_gives_replaces_priors_and_the_rest_stays_marked(profile):
    parameters = parameters_of(load(), NAME)
    assert parameters.missing.keys() == {"tdx_page_wbinvd_s", "tdx_cache_wb_s"}
    for name in ("range_start_s", "line_dirty_s", "line_absent_s", "writeback_bytes_per_s", "broadcast_per_cpu_s"):
        assert not parameters[name].extrapolated
        assert parameters[name].sources == (f"hosts/{NAME}",)
    assert parameters["line_valid_s"].extrapolated
    assert parameters["line_absent_s"].distribution.median < parameters["line_dirty_s"].distribution.median


def test_the_parameters_are_those_of_the_run_medians(profile):
    """By hand: the median over ranges, pages and runs of each run's median slope of absent lines."""
    runs = {}
    for row in profile.table("flush"):
        if row["instruction"] == "CLFLUSHOPT" and row["state"] == "absent" and row["range_bytes"] >= 4096:
            runs.setdefault((row["range_bytes"], row["page"], row["run"]), []).append(row["measured_line_s"])
    medians = [numpy.median(values) for values in runs.values()]
    measured = parameters_of(load(), NAME)["line_absent_s"].distribution
    assert measured.median == pytest.approx(float(numpy.median(medians)), rel=1e-5)
    assert measured.low < numpy.median(medians) < measured.high


def test_run_medians_are_taken_per_cell(profile):
    cells = cells_of(profile)
    assert len(cells) == len({(cell.kind, cell.range_bytes) for cell in cells})
    assert all(len(cell.runs) + cell.left_out == 5 for cell in cells)


class Made:
    """A profile of one kind and range: `runs` are the repetitions of each run, in seconds per line."""

    def __init__(self, *runs):
        same = {"instruction": "CLFLUSHOPT", "state": "absent", "page": "4KiB", "range_bytes": 4096.0}
        self.rows = [same | {"run": i, "measured_line_s": v} for i, values in enumerate(runs) for v in values]

    def table(self, probe):
        return self.rows


def test_a_repetition_that_is_not_above_zero_counts_as_it_is():
    """A clamp to a tiny number would give the same median here, and a run of mostly such repetitions would give the
    clamp.
    """
    (cell,) = cells_of(Made([-3e-10, 1e-9, 2e-9]))
    assert (cell.runs, cell.left_out) == ({0: 1e-9}, 0)


def test_a_run_that_told_no_time_is_left_out_and_counted():
    (cell,) = cells_of(Made([-1e-9, -2e-10, 3e-9], [1e-9, 0.0, 2e-9], [0.0, 0.0, 1e-9]))
    assert (cell.runs, cell.left_out) == ({1: 1e-9}, 2)
    assert cells_of(Made([0.0, 0.0, 1e-9])) == []


def test_a_prediction_says_which_runs_are_missing():
    cells = [replace(cell, left_out=2 * (cell.range_bytes == 4096)) for cell in made()]
    model = FlushModel(cells)
    assert model.predict(*KIND[:2], 4096.0).note == "measured range; 2 runs left out: no time above zero"
    assert model.predict(*KIND[:2], 5000.0).note == "interpolated; 2 runs left out: no time above zero"
    assert model.predict(*KIND[:2], 8192.0).note == "measured range"
    alone = [replace(cell, runs={0: cell.runs[0]}) if cell.range_bytes == 4096 else cell for cell in made()]
    guess = FlushModel(alone).predict(*KIND[:2], 4096.0)
    assert guess.low_s is None and "one run" in guess.note
