"""What the published anchors say, against the figures of the sources and of MODEL-like arithmetic done by hand."""

import math

import pytest

from costmodel.calibration import broadcast, line_time, range_shape
from costmodel.calibration.parameters import Calibration
from costmodel.calibration.whole_cache import per_flush_s
from costmodel.errors import CostModelError
from costmodel.evidence.store import load


@pytest.fixture(scope="module")
def evidence():
    return load()


def test_skylake_flush_takes_3_39_ms(evidence):
    # (1437 - 28) ms / (208 CPUs x 2 flushes)
    assert per_flush_s(evidence, "W01", "W02") == pytest.approx(3.39e-3, rel=1e-3)


def test_haswell_is_the_outlier(evidence):
    assert per_flush_s(evidence, "W03", "W04") == pytest.approx(14e-3, rel=1e-3)


def test_walk_time_is_five_to_six_ns_per_line(evidence):
    walks = [anchor.result.values["line_empty_s"] for anchor in Calibration(evidence).anchors]
    assert 5e-9 < min(walks) < max(walks) < 6.2e-9


def test_anchors_identify_exactly_their_parameters_and_claim_no_error_bar(evidence):
    for anchor in Calibration(evidence).anchors:
        assert anchor.result.rank == 3
        assert anchor.result.covariance is None
        assert 0 < anchor.result.values["serial_exponent"] < 0.4
        assert anchor.result.values["smt_factor"] == pytest.approx(21.5 / 12, rel=1e-6)


def test_smt_and_exponent_cannot_be_one_parameter(evidence):
    """Twice the CPUs as siblings costs 1.8x; twice the cores costs at most 2^0.37 = 1.3x."""
    exponents = [anchor.result.values["serial_exponent"] for anchor in Calibration(evidence).anchors]
    assert 2 ** max(exponents) < 1.3 < 21.5 / 12


def test_a_flush_on_two_sockets_is_dearer_on_intel_and_not_told_from_one_socket_on_amd(evidence):
    """Rome is 1.7 times as slow as AMD's parts with one socket, Hygon's Zen 1 with two sockets is faster than these."""
    result = line_time.calibrate(evidence)
    assert result.withheld is None
    error = {u.name: e for u, e in zip(result.problem.unknowns, result.covariance.diagonal() ** 0.5, strict=True)}
    logs = {name: math.log(result.values[name]) / error[name] for name in error}
    assert logs["intel_two_socket_factor"] > 3
    assert abs(logs["amd_two_socket_factor"]) < 1
    assert line_time.dearest_on_two_sockets(result, "amd") > 1.6


def test_the_linear_broadcast_beats_the_tree(evidence):
    linear, tree = (broadcast.calibrate(evidence, form) for form in ("broadcast", "broadcast_tree"))
    assert linear.root_mean_square < tree.root_mean_square / 3


def test_range_flush_is_linear_in_the_range(evidence):
    result = range_shape.calibrate(evidence)
    assert result.root_mean_square < 0.06
    assert result.values["line_s"] == pytest.approx(50.5e-9, rel=0.02)


def test_claimed_rows_never_calibrate(evidence):
    used = set(line_time.problem(evidence).ids) | set(broadcast.problem(evidence).ids)
    assert used
    assert all(evidence.one(row).kind in ("measured", "specified") for row in used)


def test_a_missing_anchor_is_named(evidence):
    with pytest.raises(CostModelError, match="W01"):
        Calibration(evidence.without("W01")).anchors  # noqa: B018
