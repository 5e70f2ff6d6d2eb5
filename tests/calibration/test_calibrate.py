"""Reruns without a row or a measured machine, and the cache of parameter sets."""

import pytest

from costmodel.calibration import calibrate
from costmodel.calibration.calibrate import ANCHORS
from costmodel.calibration.parameters import parameters_of, variations
from costmodel.calibration.rules import Calibration
from costmodel.calibration.rules import catalog_parameters as parameter_set

MACHINE = "epyc-9654-2s"


@pytest.fixture(scope="module")
def varied(evidence):
    return variations(evidence, MACHINE)


def test_every_anchor_is_left_out_once(varied):
    assert {f"without {row}" for row in ANCHORS} < set(varied)


def test_a_machine_left_out_moves_its_parameters_only(evidence, varied):
    usual = parameters_of(evidence, MACHINE)
    without = varied["without epyc-milan-2cpu-vm"]
    assert without["line_dirty_s"].distribution != usual["line_dirty_s"].distribution
    assert without["serial_exponent"] == usual["serial_exponent"]


def test_every_measured_machine_of_the_vendor_is_left_out_once(evidence, varied):
    assert {f"without {name}" for name, host in evidence.hosts.items() if host.machine.vendor == "amd"} < set(varied)


def test_a_needed_anchor_left_out_is_missing(varied):
    assert "W01" in varied["without W01"].missing["line_valid_s"]


def test_the_cache_gives_what_the_calibration_gives(evidence, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fresh = parameter_set(Calibration(evidence), evidence.machine(MACHINE))
    calibrate.calibrated.cache_clear()
    first = calibrate.calibrated(evidence, MACHINE)
    calibrate.calibrated.cache_clear()
    second = calibrate.calibrated(evidence, MACHINE)
    calibrate.calibrated.cache_clear()
    assert len(list(tmp_path.rglob("parameters-*"))) == 1
    assert first == second == fresh


def test_the_cache_gives_the_records_of_the_fits(evidence, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    asked = []
    monkeypatch.setattr(calibrate, "fits", lambda calibration: asked.append(calibration) or [{"fit": "one"}])
    for _ in range(2):
        calibrate.fits_of.cache_clear()
        assert calibrate.fits_of(evidence) == ({"fit": "one"},)
    calibrate.fits_of.cache_clear()
    assert len(asked) == len(list(tmp_path.rglob("fits-*"))) == 1
