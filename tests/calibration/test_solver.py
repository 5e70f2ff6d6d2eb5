"""The solver against linear regression, and each diagnostic at a problem that must trip it."""

from dataclasses import replace
from functools import partial

import numpy
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from costmodel.calibration import solver
from costmodel.calibration.solver import Attempt, doubt, judge, solve, starts

FREE = numpy.inf


def linear(design, data, begin=None, low=-FREE, high=FREE):
    """Solution of design @ theta = data."""
    n = design.shape[1]
    begin = [numpy.ones(n)] if begin is None else begin
    bounds = (numpy.broadcast_to(numpy.asarray(end, float), n).copy() for end in (low, high))
    return solve(lambda x: design @ x - data, lambda x: design, begin, *bounds, float(numpy.linalg.norm(data)))


@pytest.fixture(scope="module")
def line():
    """Twenty points about 2 + 3 x."""
    random = numpy.random.default_rng(5)
    x = numpy.linspace(0, 4, 20)
    return numpy.stack([numpy.ones(20), x], axis=1), 2 + 3 * x + 0.1 * random.standard_normal(20)


def wells(x):
    """Least squares at x = 1 (sum of squares 0.01), a worse local minimum near x = -1."""
    return numpy.array([x[0] ** 2 - 1, 0.3 * (x[0] - 1), *numpy.full(8, 0.1 / numpy.sqrt(8))])


def wells_slopes(x):
    return numpy.array([[2 * x[0]], [0.3], *[[0.0]] * 8])


def well_from(*begin):
    return solve(
        wells, wells_slopes, [numpy.array([b]) for b in begin], *(numpy.array([s * FREE]) for s in (-1, 1)), 1.0
    )


def test_a_line_is_that_of_linear_regression(line):
    design, data = line
    expected, *_ = numpy.linalg.lstsq(design, data, rcond=None)
    assert linear(design, data).best.theta == pytest.approx(expected, rel=1e-9)


def test_the_covariance_is_that_of_linear_regression(line):
    """s^2 (X'X)^-1 with s^2 = RSS / (n - p)."""
    design, data = line
    theta, rss, *_ = numpy.linalg.lstsq(design, data, rcond=None)
    expected = rss[0] / 18 * numpy.linalg.inv(design.T @ design)
    found = linear(design, data)
    assert found.covariance == pytest.approx(expected, rel=1e-8)
    assert found.scatter == pytest.approx(numpy.sqrt(rss[0] / 18))


@given(st.floats(-9, 9))
def test_the_covariance_follows_the_unit_of_a_parameter(exponent):
    random = numpy.random.default_rng(5)
    x = numpy.linspace(0, 4, 20)
    design, data = numpy.stack([numpy.ones(20), x], axis=1), 2 + 3 * x + 0.1 * random.standard_normal(20)
    factor = 10.0**exponent
    one = linear(design, data)
    other = linear(design * [1, factor], data, [numpy.array([1, 1 / factor])])
    expected = one.covariance / numpy.outer([1, factor], [1, factor])
    assert other.rank == 2
    assert other.covariance == pytest.approx(expected, rel=1e-6)


def test_the_scatter_of_a_mean_is_the_standard_deviation():
    data = numpy.array([1.0, 2, 3, 4, 5, 6, 7, 8])
    found = linear(numpy.ones((8, 1)), data)
    assert found.best.theta == pytest.approx([4.5])
    assert found.scatter == pytest.approx(data.std(ddof=1))
    assert found.covariance == pytest.approx(data.var(ddof=1) / 8)


def test_parameters_that_do_the_same_are_not_told_apart(line):
    design, data = line
    found = linear(design[:, [0, 0]], data)
    assert (found.rank, found.covariance) == (1, None)
    assert found.withheld.startswith("rank 1 of 2")


def test_parameters_of_unlike_size_that_do_the_same_are_not_told_apart(line):
    design, data = line
    found = linear(design[:, [1, 1]] * [1, 1e9], data)
    assert (found.rank, found.covariance) == (1, None)


def test_a_parameter_on_its_bound_has_no_error_bar(line):
    found = linear(*line, low=[-FREE, -FREE], high=[FREE, 2.0])
    assert found.best.theta[1] == pytest.approx(2.0)
    assert (found.withheld, found.covariance) == ("a parameter lies on its bound", None)


def test_bounds_that_are_not_reached_change_nothing(line):
    free, bounded = linear(*line), linear(*line, low=[-10, -10], high=[10, 10])
    assert bounded.best.theta == pytest.approx(free.best.theta, rel=1e-8)
    assert bounded.covariance == pytest.approx(free.covariance, rel=1e-6)


@pytest.mark.parametrize(("n", "withheld"), [(7, "5 degrees of freedom, fewer than 6"), (8, None)])
def test_below_six_degrees_of_freedom_there_is_no_error_bar(line, n, withheld):
    design, data = line
    found = linear(design[:n], data[:n])
    assert found.withheld == withheld
    assert (found.covariance is None) == (withheld is not None)


def test_without_a_degree_of_freedom_there_is_no_scatter(line):
    design, data = line
    assert linear(design[:2], data[:2]).scatter is None


def test_evaluations_that_run_out_are_said(monkeypatch):
    """Rosenbrock's valley in three evaluations."""
    monkeypatch.setattr(scipy.optimize, "least_squares", partial(scipy.optimize.least_squares, max_nfev=3))
    monkeypatch.setattr(solver, "RESTARTS", 0)
    found = solve(
        lambda x: numpy.array([10 * (x[1] - x[0] ** 2), 1 - x[0], *numpy.full(8, 0.1)]),
        lambda x: numpy.array([[-20 * x[0], 10], [-1, 0], *[[0.0, 0]] * 8]),
        [numpy.array([-1.2, 1.0])],
        numpy.full(2, -FREE),
        numpy.full(2, FREE),
        1.0,
    )
    assert not found.best.converged
    assert (found.withheld, found.covariance) == ("not converged: the evaluations ran out", None)


def test_an_iteration_that_ran_out_goes_on(monkeypatch):
    monkeypatch.setattr(scipy.optimize, "least_squares", partial(scipy.optimize.least_squares, max_nfev=12))
    found = solve(
        lambda x: numpy.array([10 * (x[1] - x[0] ** 2), 1 - x[0], *numpy.full(8, 0.1)]),
        lambda x: numpy.array([[-20 * x[0], 10], [-1, 0], *[[0.0, 0]] * 8]),
        [numpy.array([-1.2, 1.0])],
        numpy.full(2, -FREE),
        numpy.full(2, FREE),
        1.0,
    )
    assert found.best.theta == pytest.approx([1, 1])
    assert found.withheld is None


def test_a_local_minimum_alone_looks_like_a_minimum():
    found = well_from(-1.0)
    assert found.best.theta[0] == pytest.approx(-0.97, abs=0.02)
    assert found.withheld is None


def test_beside_a_better_start_a_local_minimum_is_said_to_be_worse():
    worse, both = well_from(-1.0).best, well_from(-1.0, 1.0)
    ratio = worse.cost / both.best.cost
    assert ratio > 10
    assert doubt(worse, both.attempts, 1.0) == f"a better start exists: {ratio:.3g} times its sum of squares"


def test_the_best_of_several_starts_is_kept_in_any_order():
    for begin in ((-1.0, 1.0), (1.0, -1.0)):
        found = well_from(*begin)
        assert found.best.theta[0] == pytest.approx(1.0)
        assert [numpy.sign(a.theta[0]) for a in found.attempts] == list(numpy.sign(begin))
        assert found.withheld is None


def test_a_worse_answer_beside_a_perfect_one_is_said_to_be_worse():
    """Exact data leave no sum of squares: nothing is divided by it."""
    perfect = Attempt(numpy.ones(1), numpy.zeros(9), 0.0, True, 0.0, False)
    worse = replace(perfect, residuals=numpy.ones(9), cost=4.5)
    assert doubt(worse, (perfect, worse), 3.0).startswith("a better start exists")


def test_answers_that_differ_by_rounding_are_equally_good():
    best = Attempt(numpy.ones(1), numpy.full(9, 1e-13), 4.5e-26, True, 0.0, False)
    other = replace(best, cost=9e-26)
    assert doubt(other, (best, other), 1.0) is None


def test_residuals_that_lean_on_the_jacobian_are_no_minimum(line):
    design, data = line
    theta = numpy.array([2.0, 3.5])
    residuals = design @ theta - data
    slope = float(numpy.max(numpy.abs(design.T @ residuals) / numpy.linalg.norm(design, axis=0)))
    attempt = Attempt(
        theta, residuals, float(residuals @ residuals) / 2, True, slope / float(numpy.linalg.norm(residuals)), False
    )
    found = judge(attempt, (attempt,), lambda x: design, 1.0)
    assert found.withheld.startswith("no minimum")
    assert found.covariance is None


def test_a_start_without_a_finite_value_is_left_out():
    found = solve(
        lambda x: numpy.full(8, numpy.nan) if x[0] < 0 else x - numpy.arange(8),
        lambda x: numpy.ones((8, 1)),
        [numpy.array([-1.0]), numpy.array([2.0])],
        numpy.array([-FREE]),
        numpy.array([FREE]),
        1.0,
    )
    assert len(found.attempts) == 1
    assert found.best.theta[0] == pytest.approx(3.5)


def test_a_model_without_a_value_anywhere_is_refused():
    with pytest.raises(ValueError, match="no finite value"):
        solve(
            lambda x: numpy.full(8, numpy.nan),
            lambda x: numpy.ones((8, 1)),
            [numpy.ones(1)],
            -numpy.ones(1),
            2 * numpy.ones(1),
            1.0,
        )


def test_the_given_start_comes_first_and_the_same_ones_follow():
    low, high = numpy.array([0.0, -FREE]), numpy.array([1.0, FREE])
    one, two = (starts(numpy.array([0.5, 4.0]), low, high) for _ in range(2))
    assert numpy.array_equal(one, two)
    assert list(one[0]) == [0.5, 4.0]
    assert len(one) == solver.STARTS


@given(st.floats(-1e6, 1e6).filter(lambda value: abs(value) > 1e-300))
def test_random_starts_stay_in_their_bounds_or_within_a_factor(value):
    low, high = numpy.array([0.0, -FREE]), numpy.array([1.0, FREE])
    for found in starts(numpy.array([0.5, value]), low, high, 30):
        assert 0 <= found[0] <= 1
        assert 1 / solver.SPREAD <= found[1] / value <= solver.SPREAD


def attempt(**changes):
    """An answer with nine residuals of 0.1 that nothing speaks against."""
    return replace(Attempt(numpy.ones(1), numpy.full(9, 0.1), 0.045, True, 0.0, False), **changes)


def said(one, *others, size=1.0):
    return doubt(one, (one, *others), size)


def test_residuals_may_lean_by_a_ten_thousandth():
    assert said(attempt(slope=0.99e-4)) is None
    assert said(attempt(slope=1.6e-4)) == "no minimum: the residuals lean on the Jacobian by 2e-04"


def test_a_sum_of_squares_may_lie_a_millionth_above_the_least():
    assert said(attempt(cost=0.045 * (1 + 0.9e-6)), attempt()) is None
    assert said(attempt(cost=0.045 * (1 + 1.5e-6)), attempt()) == "a better start exists: 1 times its sum of squares"


def test_below_a_ten_billionth_of_the_data_residuals_are_rounding():
    perfect = attempt(cost=0.0)
    assert said(attempt(cost=(0.9e-10 * 7.0) ** 2 / 2), perfect, size=7.0) is None
    assert said(attempt(cost=(1.5e-10 * 7.0) ** 2 / 2), perfect, size=7.0) == (
        "a better start exists: it fits without residual"
    )


def test_what_did_not_converge_is_said_before_anything_else():
    assert said(attempt(converged=False, slope=1.0)) == "not converged: the evaluations ran out"


def test_an_answer_that_starts_on_its_own_is_the_least():
    assert said(attempt()) is None


def test_random_starts_fill_their_bounds_and_a_factor_of_ten():
    low, high = numpy.array([2.0, -FREE]), numpy.array([6.0, FREE])
    found = numpy.array(starts(numpy.array([3.0, 5.0]), low, high, 400)[1:])
    assert found[:, 0].min() == pytest.approx(2.0, abs=0.05) and found[:, 0].max() == pytest.approx(6.0, abs=0.05)
    ratios = numpy.log10(found[:, 1] / 5.0)
    assert ratios.min() == pytest.approx(-1.0, abs=0.02) and ratios.max() == pytest.approx(1.0, abs=0.02)
    assert numpy.median(ratios) == pytest.approx(0.0, abs=0.15)


def test_a_bound_on_one_side_is_none():
    found = numpy.array(starts(numpy.array([3.0]), numpy.array([2.0]), numpy.array([FREE]), 50)[1:])
    assert found.min() < 2.0 < found.max()


def test_a_slope_is_the_cosine_between_residuals_and_a_column(line):
    """One iteration that is stopped at once keeps the angle at which it began."""
    design, data = line
    stopped = partial(scipy.optimize.least_squares, max_nfev=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scipy.optimize, "least_squares", stopped)
        patch.setattr(solver, "RESTARTS", 0)
        found = linear(design, data, [numpy.array([2.0, 2.0])]).best
    residuals = design @ [2.0, 2.0] - data
    cosines = [
        abs(column @ residuals) / numpy.linalg.norm(column) / numpy.linalg.norm(residuals) for column in design.T
    ]
    assert found.slope == pytest.approx(max(cosines))
    assert not found.converged


def test_a_parameter_on_its_bound_has_no_slope_and_the_others_keep_theirs(line):
    design, data = line
    found = linear(design, data, low=[-FREE, -FREE], high=[FREE, 2.0]).best
    assert found.on_bound and found.slope < 1e-6
    free = linear(design, data).best
    assert not free.on_bound and free.slope < 1e-6


def test_exact_data_leave_no_slope():
    x = numpy.linspace(0, 4, 20)
    design = numpy.stack([numpy.ones(20), x], axis=1)
    assert linear(design, design @ [2.0, 3.0]).best.slope == 0.0


def test_a_column_of_zeroes_is_a_parameter_that_nothing_tells(line):
    design, data = line
    found = linear(design * [1.0, 0.0], data)
    assert (found.rank, found.covariance) == (1, None)
    assert found.withheld.startswith("rank 1 of 2")
    assert numpy.isfinite(found.best.slope)


@pytest.mark.parametrize("factor", [1e-5, 1e5, 1e8])
def test_columns_of_unlike_size_are_told_apart_to_the_last_digits(line, factor):
    design, data = line
    plain = linear(design, data)
    scaled = linear(design * [1.0, factor], data, [numpy.array([1.0, 1.0 / factor])])
    assert (scaled.rank, scaled.withheld) == (2, None)
    expected = plain.covariance / numpy.outer([1.0, factor], [1.0, factor])
    assert scaled.covariance == pytest.approx(expected, rel=1e-9)


def test_columns_are_scaled_by_powers_of_two_beyond_a_millionfold():
    assert list(solver._scale(numpy.array([[3.0, 0.0], [4.0, 5e-6]]))) == [1.0, 1.0]
    scaled = solver._scale(numpy.array([[3.0, 0.0], [4.0, 5e-7 / 1.5]]))
    assert scaled * [5.0, 5e-7 / 1.5] == pytest.approx([1.0, 1.0], rel=0.5)
    assert list(numpy.log2(scaled)) == list(numpy.round(numpy.log2(scaled)))


@pytest.mark.parametrize("height", [1e99, 1e101])
def test_a_start_beyond_floating_point_is_left_out(height):
    def solved(values, slopes):
        return solve(values, slopes, [numpy.ones(1)], -FREE * numpy.ones(1), FREE * numpy.ones(1), 1.0)

    def flat(x):
        return numpy.full(8, -height)

    if height > solver.LARGEST:
        with pytest.raises(ValueError, match="no finite value"):
            solved(flat, lambda x: numpy.zeros((8, 1)))
        with pytest.raises(ValueError, match="no finite value"):
            solved(lambda x: x - numpy.arange(8), lambda x: numpy.full((8, 1), height))
    else:
        assert solved(flat, lambda x: numpy.zeros((8, 1))).best.residuals[0] == -height


def test_an_answer_that_still_leans_is_polished(monkeypatch):
    """The first iteration is stopped early; the polish goes on from there with a finer tolerance."""
    asked = []

    def coarse(*arguments, xtol, ftol, **settings):
        asked.append((xtol, ftol))
        return least_squares(*arguments, xtol=max(xtol, 1e-3) if len(asked) == 1 else xtol, ftol=ftol, **settings)

    least_squares = scipy.optimize.least_squares
    monkeypatch.setattr(scipy.optimize, "least_squares", coarse)
    begin = [numpy.array([-1.2, 1.0])]
    ends = numpy.full(2, -FREE), numpy.full(2, FREE)
    found = solve(
        lambda x: numpy.array([10 * (x[1] - x[0] ** 2), 1 - x[0], *numpy.full(8, 0.1)]),
        lambda x: numpy.array([[-20 * x[0], 10], [-1, 0], *[[0.0, 0]] * 8]),
        begin,
        *ends,
        1.0,
    )
    assert asked[0] == (1e-12, 1e-12)
    assert found.best.theta == pytest.approx([1, 1], rel=1e-7)
    if found.attempts[0].slope > 2e-7:
        assert asked[-1] == (1e-15, 1e-15) and found.best.slope < found.attempts[0].slope


@pytest.mark.parametrize(
    ("slope", "converged", "polished_cost", "kept"),
    [
        (1e-6, True, 0.5, "polished"),
        (1e-6, True, 2.0, "first"),
        (1e-7, True, 0.5, "first"),
        (1e-6, False, 0.5, "first"),
    ],
)
def test_only_a_converged_answer_that_leans_is_polished_and_only_a_better_one_kept(
    monkeypatch, slope, converged, polished_cost, kept
):
    def iterate(residual, jacobian, x0, low, high, size, tolerance):
        fine = tolerance < 1e-12
        cost = polished_cost if fine else 1.0
        return attempt(theta=numpy.full(1, 2.0 if fine else 1.0), cost=cost, slope=slope, converged=converged)

    monkeypatch.setattr(solver, "_iterate", iterate)
    ends = numpy.array([-FREE]), numpy.array([FREE])
    found = solve(lambda x: numpy.full(9, 0.1), lambda x: numpy.ones((9, 1)), [numpy.ones(1)], *ends, 1.0)
    assert found.best.theta[0] == {"first": 1.0, "polished": 2.0}[kept]
    assert len(found.attempts) == 1


@pytest.mark.parametrize("unit", [1e-20, 1.0, 1e20])
def test_the_rank_does_not_hang_on_the_unit_of_the_data(line, unit):
    design, data = line
    answer = linear(design, data).best
    scaled = replace(answer, residuals=answer.residuals * unit, cost=answer.cost * unit**2)
    assert judge(scaled, (scaled,), lambda x: design * unit, unit * 10).rank == 2


def test_one_degree_of_freedom_gives_a_scatter(line):
    design, data = line
    found = linear(design[:3], data[:3])
    assert found.scatter == pytest.approx(numpy.sqrt(found.best.residuals @ found.best.residuals))


def test_at_the_largest_number_itself_a_start_is_left_out():
    ends = -FREE * numpy.ones(1), FREE * numpy.ones(1)
    for residual, slopes in ((solver.LARGEST, 0.0), (1.0, solver.LARGEST)):
        with pytest.raises(ValueError, match="no finite value"):
            solve(
                lambda x, r=residual: numpy.full(8, r),
                lambda x, s=slopes: numpy.full((8, 1), s),
                [numpy.ones(1)],
                *ends,
                1.0,
            )
