"""Fits, parameters and measured hosts as a user sees them."""

import numpy
import pytest

import costmodel as cm
from costmodel import api
from costmodel.evidence.store import load


@pytest.mark.parametrize("name", api.REGRESSIONS)
def test_a_fit_shows_points_parameters_and_residuals(name):
    found = cm.calibrate(name)
    points = found.points
    assert len(points) == len(found.fit.residuals)
    assert numpy.log(points.fitted / points.observed).tolist() == pytest.approx(points.residual.tolist())
    assert points.low.isna().all() == (found.withheld is not None)
    assert set(points.index) <= set(load().measurements)
    assert set(found.parameters.index) == {unknown.name for unknown in found.fit.problem.unknowns}
    assert found.held_out()


def test_a_measured_host_shows_its_times_per_line():
    measured = cm.host("epyc-genoa-4cpu-vm")
    times = measured.line_times(points=9)
    assert set(times.lines) == {"absent", "clean", "dirty"} and (times["median"] > 0).all()
    assert times.query("lines == 'dirty'")["median"].iloc[-1] > times.query("lines == 'absent'")["median"].iloc[-1]
    assert (times.dropna().eval("low <= median <= high")).all()
    assert measured == cm.host("epyc-genoa-4cpu-vm") and "genoa" in repr(measured)
