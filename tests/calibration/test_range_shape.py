"""The range test: a straight line through the lines of the range."""

from types import SimpleNamespace

import numpy
import pytest

from costmodel.calibration import range_shape

MIB = 2**20


def made(sizes, intercept_s, line_s, use="fit"):
    rows = [
        SimpleNamespace(id=f"R{i}", range_bytes=size, si=intercept_s + line_s * size / 64, use=use)
        for i, size in enumerate(sizes)
    ]
    return SimpleNamespace(rows=lambda observable: rows)


@pytest.fixture
def sizes():
    return [MIB * x for x in (1, 2, 4, 6, 8, 12, 16, 24, 32, 48)]


def test_slope_and_intercept_come_back(sizes):
    found = range_shape.calibrate(made(sizes, 3e-4, 4e-8)).values
    assert found == pytest.approx({"intercept_s": 3e-4, "line_s": 4e-8})


def test_the_rows_are_grouped_by_size_and_only_those_of_the_fit_are_used(sizes):
    problem = range_shape.problem(made(sizes, 3e-4, 4e-8))
    assert problem.groups == ("below 8 MiB",) * 4 + ("8 MiB to 16 MiB",) * 2 + ("above 16 MiB",) * 4
    assert list(problem.known["lines"]) == [size / 64 for size in sizes]
    assert range_shape.problem(made(sizes, 3e-4, 4e-8, use="check")).ids == ()


def test_slopes_of_any_host_lie_inside_the_bounds(sizes):
    """A nanosecond to a microsecond per line, a tenth of a microsecond to ten milliseconds of start."""
    for line_s, intercept_s in ((1.1e-9, 9e-3), (0.9e-6, 1.1e-7)):
        found = range_shape.calibrate(made(sizes, intercept_s, line_s)).values
        assert found["line_s"] == pytest.approx(line_s, rel=1e-3)
    lines = numpy.array(sizes) / 64
    slope = range_shape.problem(made(sizes, 3e-4, 4e-8)).jacobian(numpy.log([3e-4, 4e-8]))
    assert slope[:, 0] == pytest.approx(3e-4 / (3e-4 + 4e-8 * lines))
    assert slope[:, 1] == pytest.approx(4e-8 * lines / (3e-4 + 4e-8 * lines))
