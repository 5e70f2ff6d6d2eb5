"""The regression of the latency of one flush: which rows, which unknowns, from where they start."""

from types import SimpleNamespace

import numpy
import pytest

from costmodel.calibration import line_time
from costmodel.evidence.store import load

EVIDENCE = load()


def row(id, si, vendor="amd", sockets=1, use="fit"):
    return SimpleNamespace(id=id, si=si, vendor=vendor, sockets=sockets, use=use, hardware=f"host of {id}")


def made(*rows):
    return SimpleNamespace(rows=lambda **asked: list(rows))


def test_only_rows_for_the_fit_calibrate():
    rows = (row("A", 1e-8), row("B", 2e-8, use="exclude"), row("C", 3e-8, use="check"))
    assert [r.id for r in line_time.rows(made(*rows), "CLFLUSHOPT")] == ["A"]


def test_each_vendor_has_a_reference_that_starts_at_its_mean_and_a_factor_of_its_own():
    rows = (row("A", 1e-8), row("B", 4e-8, sockets=2), row("C", 3e-9, "intel", sockets=None))
    problem = line_time.problem(made(*rows))
    assert [unknown.name for unknown in problem.unknowns] == [
        "amd_s",
        "amd_two_socket_factor",
        "intel_s",
        "intel_two_socket_factor",
    ]
    amd, factor, intel, other = problem.unknowns
    assert amd.start == pytest.approx(2e-8)  # geometric
    assert (amd.low, amd.high) == pytest.approx((2e-8 / 30, 2e-8 * 30))
    assert list(amd.mask) == list(factor.mask) == [True, True, False]
    assert list(intel.mask) == list(other.mask) == [False, False, True]
    assert factor.low < 1 < factor.start < factor.high
    assert list(problem.known["two_sockets"]) == [0, 1, 0]
    assert list(problem.observed) == [1e-8, 4e-8, 3e-9]
    assert problem.ids == ("A", "B", "C") and problem.groups[0] == "host of A"


def test_a_second_socket_is_a_factor_of_its_vendor():
    rows = [
        row(f"{vendor}{n}", 1e-9 * t * (factor if n == 2 else 1), vendor, n)
        for vendor, t, factor in (("amd", 60, 2), ("intel", 40, 3))
        for n in (1, 2, 1, 2, 1, 2)
    ]
    assert line_time.calibrate(made(*rows)).values == pytest.approx(
        {"amd_s": 60e-9, "amd_two_socket_factor": 2, "intel_s": 40e-9, "intel_two_socket_factor": 3}
    )


def test_the_rows_of_an_instruction_are_its_own():
    for instruction in line_time.INSTRUCTIONS:
        rows = line_time.rows(EVIDENCE, instruction)
        assert rows and {r.instruction for r in rows} == {instruction}
    assert numpy.all(line_time.problem(EVIDENCE, "CLFLUSH").observed > 0)


def test_the_factor_of_two_sockets_is_that_of_each_vendors_own_rows():
    """By hand: geometric means of the CLFLUSHOPT rows of one and of two sockets; mixing the vendors gave 2.4."""
    values = line_time.calibrate(EVIDENCE).values
    for vendor in ("amd", "intel"):
        rows = [r for r in line_time.rows(EVIDENCE, "CLFLUSHOPT") if r.vendor == vendor]
        one, two = (numpy.mean([numpy.log(r.si) for r in rows if (r.sockets > 1) == many]) for many in (False, True))
        assert values[f"{vendor}_two_socket_factor"] == pytest.approx(numpy.exp(two - one), rel=1e-6)
    # Rome 1.7, Hygon's Zen 1 0.7: the mean of the two tells little.
    assert 1.0 < values["amd_two_socket_factor"] < 1.3


def test_the_bound_of_a_second_socket_is_the_dearest_machine_seen_and_at_least_1():
    rows = [row(f"{vendor}{n}", 50e-9, vendor) for vendor in ("amd", "intel") for n in range(3)]
    two = [row("far", 100e-9, sockets=2), row("near", 40e-9, sockets=2), row("less", 25e-9, "intel", sockets=2)]
    result = line_time.calibrate(made(*rows, *two))
    assert line_time.dearest_on_two_sockets(result, "amd") == pytest.approx(2)
    assert line_time.dearest_on_two_sockets(result, "intel") == 1
    # By hand: Rome's 124.89 ns over the mean of AMD's one-socket rows.
    logs = [numpy.log(r.si) for r in line_time.rows(EVIDENCE, "CLFLUSHOPT") if (r.vendor, r.sockets) == ("amd", 1)]
    measured = line_time.dearest_on_two_sockets(line_time.calibrate(EVIDENCE), "amd")
    assert measured == pytest.approx(124.89e-9 / numpy.exp(numpy.mean(logs)), rel=1e-6)
