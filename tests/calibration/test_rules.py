"""Parameter sets: measured where measured, a prior by a named rule elsewhere, missing with the gap named."""

from dataclasses import replace

import pytest

from costmodel.calibration.parameters import fixed, parameters_of
from costmodel.calibration.rules import Calibration
from costmodel.calibration.rules import catalog_parameters as parameter_set
from costmodel.errors import MissingNumber
from costmodel.evidence.records import RENDEZVOUS as FILE


@pytest.fixture(scope="module")
def milan(evidence):
    return parameters_of(evidence, "epyc-7763-2s")


def test_the_logs_leave_little_of_the_prior_on_an_empty_cache_and_more_of_that_on_a_full_one(milan):
    empty, valid = milan["line_empty_s"], milan["line_valid_s"]
    assert empty.distribution.high < 0.2e-9, "2N flushes of a resume fit into 2.7 ms"
    assert 1e-9 < valid.distribution.high < 20e-9, "a domain fits into the boot of a Zen 5"
    for parameter in (empty, valid):
        assert parameter.extrapolated and FILE in parameter.sources
        assert "before the logs" in parameter.rule


def test_intel_pays_for_an_empty_cache(evidence):
    parameters = parameters_of(evidence, "xeon-8160-2s")
    empty = parameters["line_empty_s"].distribution
    assert empty.median == pytest.approx(5.6e-9, rel=0.1) and empty.high / empty.median == pytest.approx(3)
    assert parameters["line_valid_s"].distribution == fixed(0.0) and parameters["line_valid_s"].extrapolated


def test_without_a_log_the_walk_of_amd_is_a_gap(evidence):
    poorer = replace(evidence, rendezvous={}, data_hash="none")
    with pytest.raises(MissingNumber, match="no boot or resume"):
        parameter_set(Calibration(poorer), evidence.machine("epyc-7763-2s"))["line_valid_s"]


def test_unpublished_shares_are_uniform_on_the_unit_interval(milan):
    for name in ("serial_exponent", "valid_fraction", "dirty_fraction", "reused_fraction", "traffic_fraction"):
        distribution = milan[name].distribution
        assert (distribution.shape, distribution.a, distribution.b) == ("uniform", 0.0, 1.0)


def test_a_catalogued_machine_takes_the_slope_of_its_core_generation(evidence):
    """Nobody measured the 7763 itself: the level is that of the Milan guest, the interval that of one machine more."""
    slope, own = (parameters_of(evidence, name)["line_dirty_s"] for name in ("epyc-7763-2s", "epyc-milan-2cpu-vm"))
    assert slope.distribution.median == own.distribution.median
    assert slope.extrapolated and not own.extrapolated
    assert slope.sources == own.sources == ("hosts/epyc-milan-2cpu-vm",)
    assert slope.distribution.b > 2 and "core generation zen3" in slope.rule


def test_no_slope_of_a_machine_that_nobody_measured_is_unmarked(evidence):
    for machine in evidence.machines:
        for name in ("range_start_s", "line_dirty_s", "line_clean_s", "line_absent_s"):
            parameter = parameters_of(evidence, machine).parameters[name]
            assert parameter.extrapolated == (machine not in evidence.hosts), (machine, name)


def test_a_missing_bandwidth_is_a_gap_not_a_guess(evidence):
    emerald = parameters_of(evidence, "xeon-5520-2s")
    with pytest.raises(MissingNumber, match="Gold 5520"):
        emerald["writeback_bytes_per_s"]


def test_removing_an_anchor_removes_the_parameter(evidence):
    poorer = parameter_set(Calibration(evidence.without("W01")), evidence.machine("epyc-7763-2s"))
    with pytest.raises(MissingNumber, match="row W01 of data/measurements.csv is missing"):
        poorer["line_valid_s"]
    assert "line_dirty_s" in poorer.parameters


def test_every_parameter_says_how_it_was_made(evidence):
    for machine in evidence.machines:
        for parameter in parameters_of(evidence, machine).parameters.values():
            assert parameter.rule and parameter.next_measurement
            assert parameter.sources or parameter.extrapolated or parameter.distribution.shape == "fixed"
            for row in parameter.sources:
                known = row in evidence.measurements or row == FILE or row.endswith(".txt")
                assert known or row.removeprefix("hosts/") in evidence.hosts


def test_the_table_of_the_parameters_holds_what_machines_have_and_nothing_else(evidence):
    sets = [parameters_of(evidence, machine).parameters for machine in evidence.machines]
    assert set().union(*sets) == set(evidence.parameters)
    for parameter in (parameter for own in sets for parameter in own.values()):
        known = evidence.parameter(parameter.name)
        assert (parameter.unit, parameter.share) == (known.unit, known.share)
        assert parameter.description in (known.description, known.on_host)
        if parameter.share:
            assert 0 <= parameter.distribution.low <= parameter.distribution.high <= 1


def test_tdx_operations_have_no_public_timing(evidence):
    with pytest.raises(MissingNumber, match=r"TDH\.PHYMEM"):
        parameters_of(evidence, "xeon-8570-2s")["tdx_page_wbinvd_s"]
