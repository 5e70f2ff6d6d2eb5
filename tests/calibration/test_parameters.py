"""Parameters: distributions by quantile, and the set of a machine."""

import json

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.calibration import calibrate, parameters
from costmodel.calibration.parameters import (
    fixed,
    lognormal,
    loguniform,
    parameters_of,
    shipped_text,
    tabulated,
    uniform,
    variations,
)
from costmodel.calibration.rules import Calibration
from costmodel.errors import UnknownName
from costmodel.evidence.store import load

MACHINE = "epyc-7763-2s"
RENEW = "run `make calibration`: data/, or the code of evidence, formulas or calibration, has changed since"


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Put a text in the place of the file that is shipped; the number of times that machines are calibrated."""
    calibrated = []
    anew = calibrate.calibrated

    def place(text):
        (tmp_path / "calibrated.jsonl").write_text(text)
        monkeypatch.setattr(parameters, "SHIPPED", tmp_path / "calibrated.jsonl")
        monkeypatch.setattr(calibrate, "calibrated", lambda *of: calibrated.append(1) or anew(*of))
        parameters._lines.cache_clear()
        parameters._shipped.cache_clear()
        return calibrated

    yield place
    parameters._lines.cache_clear()
    parameters._shipped.cache_clear()


def test_what_is_shipped_follows_from_the_data_and_the_code_as_they_are():
    first = parameters.SHIPPED.read_text(encoding="utf-8").splitlines()[0]
    assert json.loads(first)["follows_from"] == parameters.follows_from(load()), RENEW


def test_what_is_shipped_is_what_the_calibration_gives_now():
    evidence = load()
    assert parameters._lines(evidence), RENEW
    machine = evidence.machine(MACHINE)
    assert parameters_of(evidence, MACHINE) == calibrate.parameter_set(Calibration(evidence), machine)
    found = variations(evidence, MACHINE)
    assert found["without W01"] == calibrate.parameter_set(Calibration(evidence.without("W01")), machine)
    assert found["without W01"] != parameters_of(evidence, MACHINE)


def test_a_file_that_is_read_gives_back_what_was_written(shipped):
    evidence = load()
    usual, other = (parameters_of(evidence, name) for name in (MACHINE, "epyc-9654-2s"))
    fewer = {name: one for name, one in other.parameters.items() if name != "smt_factor"}
    other = other.model_copy(update={"machine": MACHINE, "parameters": fewer, "missing": {"smt_factor": "not told"}})
    follows = parameters.follows_from(evidence)
    calibrated = shipped(shipped_text(follows, {MACHINE: usual}, {MACHINE: {"other": other, "same": usual}}))
    assert parameters_of(evidence, MACHINE) == usual
    assert variations(evidence, MACHINE) == {"other": other, "same": usual}
    assert not calibrated


@pytest.mark.parametrize(
    "text", ["", '{"follows_from":"0000000000000000"}\n', "no JSON"], ids=["empty", "stale", "damaged"]
)
def test_what_follows_from_something_else_is_not_used(shipped, text):
    calibrated = shipped(text)
    assert parameters_of(load(), MACHINE)["line_empty_s"].distribution.shape == "tabulated"
    assert calibrated


def test_other_data_are_calibrated_anew():
    evidence = load()
    other = evidence.with_value("S01", 2.0)
    usual, changed = (parameters_of(one, MACHINE)["rmpupdate_s"].distribution.median for one in (evidence, other))
    assert changed == pytest.approx(2 * usual, rel=1e-5)


def test_a_machine_that_nobody_knows_has_no_variations():
    with pytest.raises(UnknownName):
        variations(load(), "vax-11")


SIZES = st.floats(1e-12, 1e12)
TABLE = tabulated(lambda p: 10.0**p)
SHAPES = [lognormal(2.0, 3.0), uniform(1.0, 4.0), loguniform(1.0, 4.0), TABLE]


@given(SIZES, st.floats(1.01, 100))
def test_a_lognormal_lies_a_factor_either_way(median, factor):
    shape = lognormal(median, factor)
    assert shape.median == pytest.approx(median)
    assert shape.low == pytest.approx(median / factor, rel=1e-6)
    assert shape.high == pytest.approx(median * factor, rel=1e-6)


@given(SIZES, st.floats(1.01, 100))
def test_a_uniform_has_its_median_in_the_middle(low, factor):
    shape = uniform(low, low * factor)
    assert shape.median == pytest.approx(low * (1 + factor) / 2)
    assert low < shape.low < shape.high < low * factor


def test_a_fixed_value_has_no_width():
    assert fixed(3.0).low == fixed(3.0).high == 3.0


@given(st.sampled_from([*SHAPES, fixed(2.0)]), SIZES)
def test_scaling_scales_every_quantile(shape, factor):
    u = numpy.array([0.05, 0.3, 0.5, 0.9])
    assert shape.scaled(factor).quantile(u) == pytest.approx(shape.quantile(u) * factor)


@given(st.sampled_from(SHAPES))
def test_quantiles_rise(shape):
    assert numpy.all(numpy.diff(shape.quantile(numpy.linspace(0.01, 0.99, 50))) > 0)


def test_a_loguniform_has_its_geometric_middle_as_median():
    assert loguniform(1.0, 16.0).median == pytest.approx(4.0)


def test_a_table_gives_back_its_quantile_function_and_ends_at_its_tails():
    u = numpy.array([0.01, 0.25, 0.5, 0.99])
    assert TABLE.quantile(u) == pytest.approx(10.0**u)
    assert TABLE.quantile(1e-6) == pytest.approx(10**0.005)


def test_a_table_is_rounded_knot_by_knot():
    rounded = TABLE.rounded(2)
    assert rounded.knots[0] == 1.0 and rounded.knots[-1] == 9.9
