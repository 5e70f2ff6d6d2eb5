"""The regression of the time per line: which rows, which unknowns, from where they start."""

from types import SimpleNamespace

import numpy
import pytest

from costmodel.calibration import line_time
from costmodel.evidence.store import load

EVIDENCE = load()


def row(id, si, vendor="amd", line_state="present", sockets=1, use="fit"):
    return SimpleNamespace(
        id=id, si=si, vendor=vendor, line_state=line_state, sockets=sockets, use=use, hardware=f"host of {id}"
    )


def made(*rows):
    return SimpleNamespace(rows=lambda **asked: list(rows))


def test_rows_of_known_state_calibrate_and_doubtful_ones_only_when_asked():
    rows = (
        row("A", 1e-8),
        row("B", 2e-8, use="exclude"),
        row("C", 3e-8, use="check"),
        row("D", 4e-8, line_state="mixed"),
        row("E", 5e-8, line_state="absent", use="exclude"),
    )
    assert [r.id for r in line_time.rows(made(*rows), "CLFLUSHOPT")] == ["A"]
    assert [r.id for r in line_time.rows(made(*rows), "CLFLUSHOPT", doubtful=True)] == ["A", "B", "E"]


def test_each_vendor_and_state_that_was_measured_is_an_unknown_that_starts_at_its_mean():
    rows = (
        row("A", 1e-8),
        row("B", 4e-8, sockets=2),
        row("C", 3e-9, "intel", "absent", sockets=None),
    )
    problem = line_time.problem(made(*rows))
    assert [unknown.name for unknown in problem.unknowns] == ["amd_present_s", "intel_absent_s", "two_socket_factor"]
    present, absent, factor = problem.unknowns
    assert present.start == pytest.approx(2e-8)  # geometric
    assert (present.low, present.high) == pytest.approx((2e-8 / 30, 2e-8 * 30))
    assert list(present.mask) == [True, True, False] and list(absent.mask) == [False, False, True]
    assert factor.low < 1 < factor.start < factor.high and factor.mask is None
    assert list(problem.known["two_sockets"]) == [0, 1, 0]
    assert list(problem.observed) == [1e-8, 4e-8, 3e-9]
    assert problem.ids == ("A", "B", "C") and problem.groups[0] == "host of A"


def test_a_second_socket_is_a_factor_on_its_vendors_and_states():
    rows = [
        row(f"{v}{s}{n}", 1e-9 * t * (3 if n == 2 else 1), v, s, n) for v, s, t in PARTS for n in (1, 2, 1, 2, 1, 2)
    ]
    found = line_time.calibrate(made(*rows)).values
    assert found["two_socket_factor"] == pytest.approx(3)
    assert {name: value for name, value in found.items() if name != "two_socket_factor"} == pytest.approx(
        {f"{vendor}_{state}_s": 1e-9 * t for vendor, state, t in PARTS}
    )


PARTS = (("amd", "present", 60), ("amd", "absent", 5), ("intel", "present", 40), ("intel", "absent", 4))


def test_the_rows_of_an_instruction_are_its_own():
    for instruction in line_time.INSTRUCTIONS:
        rows = line_time.rows(EVIDENCE, instruction, doubtful=True)
        assert rows and {r.instruction for r in rows} == {instruction}
    assert numpy.all(line_time.problem(EVIDENCE, "CLFLUSH").observed > 0)
