"""The fitter recovers known parameters, refuses error bars it cannot justify, and says why."""

import numpy
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from costmodel.calibration import fit as fits
from costmodel.calibration import solver
from costmodel.calibration.calibrate import REGRESSIONS
from costmodel.calibration.fit import ExpressionProblem, Problem, Unknown, fit, prediction_factor
from costmodel.calibration.holdout import leave_groups_out
from costmodel.errors import BadInput
from costmodel.evidence.store import load
from costmodel.formulas.compiled import value


def broadcast_problem(noise, n=12, seed=3):
    random = numpy.random.default_rng(seed)
    targets = numpy.geomspace(1, 500, n)
    clean = value("broadcast", broadcast_start_s=3e-6, broadcast_per_cpu_s=1.2e-6, target_cpus=targets)
    observed = clean * numpy.exp(noise * random.standard_normal(n))
    unknowns = (
        Unknown("start", "broadcast_start_s", 1e-6, 1e-8, 1e-3),
        Unknown("per_cpu", "broadcast_per_cpu_s", 1e-6, 1e-9, 1e-3),
    )
    ids = tuple(str(i) for i in range(n))
    return Problem("broadcast", observed, {"target_cpus": targets}, unknowns, ids, ids)


def test_exact_data_give_back_the_parameters():
    result = fit(broadcast_problem(noise=0))
    assert result.values["start"] == pytest.approx(3e-6, rel=1e-6)
    assert result.values["per_cpu"] == pytest.approx(1.2e-6, rel=1e-6)


def test_scatter_is_the_noise_and_intervals_hold_it():
    result = fit(broadcast_problem(noise=0.1, n=200))
    assert result.scatter == pytest.approx(0.1, rel=0.2)
    assert result.withheld is None
    assert prediction_factor(result, numpy.zeros(2)) == pytest.approx(numpy.exp(1.65 * result.scatter), rel=0.02)


def test_error_bars_are_withheld_below_six_degrees_of_freedom():
    result = fit(broadcast_problem(noise=0.1, n=7))
    assert result.covariance is None
    assert "5 degrees of freedom" in result.withheld


def test_parameters_that_the_data_cannot_tell_apart_are_named():
    problem = broadcast_problem(noise=0.1)
    same = Problem(
        "broadcast", problem.observed, {"target_cpus": numpy.ones(12)}, problem.unknowns, problem.groups, problem.ids
    )
    result = fit(same)
    assert result.rank == 1
    assert "rank 1 of 2" in result.withheld
    assert result.covariance is None


def test_held_out_groups_show_a_wrong_form():
    right = broadcast_problem(noise=0.05, n=12)
    wrong = Problem("broadcast_tree", right.observed, right.known, right.unknowns, right.groups, right.ids)
    assert leave_groups_out(right).error < 0.1 < leave_groups_out(wrong).error


def test_coverage_comes_with_its_binomial_interval():
    held_out = leave_groups_out(broadcast_problem(noise=0.1, n=40))
    assert held_out.coverage_low < held_out.covered / held_out.n < held_out.coverage_high
    assert "no target below 100 rows" in held_out.sentence()


def test_a_group_that_alone_carries_a_parameter_is_reported():
    problem = broadcast_problem(noise=0.1)
    lone = numpy.zeros(12, bool)
    lone[0] = True
    unknowns = (*problem.unknowns[:1], Unknown("per_cpu", "broadcast_per_cpu_s", 1e-6, 1e-9, 1e-3, mask=lone))
    held_out = leave_groups_out(
        Problem("broadcast", problem.observed, problem.known, unknowns, problem.groups, problem.ids)
    )
    assert held_out.refused == ("0",)
    assert (held_out.groups, held_out.n) == (11, 11)


def mixed_problem():
    """Two kinds of rows with a reference of their own, a shared exponent that is fitted as it is."""
    n = 8
    first = numpy.arange(n) < 5
    unknowns = (
        Unknown("first", "line_reference_s", 2.0, 0.1, 50.0, mask=first),
        Unknown("second", "line_reference_s", 3.0, 0.1, 50.0, mask=~first),
        Unknown("factor", "two_socket_factor", 1.5, 0.2, 20.0, log=False),
    )
    known = {"two_sockets": numpy.arange(n) % 2.0}
    observed = numpy.where(first, 4.0, 7.0) * 2.5 ** (numpy.arange(n) % 2)
    return Problem("line_time", observed, known, unknowns, tuple("abcdefgh"), tuple("stuvwxyz"))


def test_masked_and_plain_unknowns_come_back():
    assert fit(mixed_problem()).values == pytest.approx({"first": 4.0, "second": 7.0, "factor": 2.5})


def test_the_columns_hold_each_unknown_on_its_rows():
    columns = mixed_problem().columns([numpy.log(4.0), numpy.log(7.0), 2.5])
    assert list(columns["line_reference_s"]) == pytest.approx([4.0] * 5 + [7.0] * 3)
    assert list(columns["two_socket_factor"]) == [2.5] * 8


def test_the_jacobian_is_the_difference_of_logarithms():
    problem = mixed_problem()
    theta = numpy.array([1.0, 1.7, 2.2])
    for i in range(3):
        step = 1e-6 * numpy.eye(3)[i]
        difference = (problem.residual(theta + step) - problem.residual(theta - step)) / 2e-6
        assert problem.jacobian(theta)[:, i] == pytest.approx(difference, abs=1e-8)


def test_the_size_is_that_of_the_logarithms():
    problem = mixed_problem()
    assert problem.size == pytest.approx(float(numpy.sqrt(numpy.sum(numpy.log(problem.observed) ** 2))))


def test_rows_are_taken_with_everything_that_belongs_to_them():
    problem = mixed_problem()
    keep = numpy.array([True, False] * 4)
    part = problem.take(keep)
    assert (part.groups, part.ids) == (tuple("aceg"), tuple("suwy"))
    assert list(part.observed) == list(problem.observed[keep])
    assert list(part.known["two_sockets"]) == [0.0] * 4
    assert [list(u.mask) if u.mask is not None else None for u in part.unknowns] == [
        [True, True, True, False],
        [False, False, False, True],
        None,
    ]
    assert part.unknowns[2].log is False


def test_degrees_of_freedom_and_scatter_follow_the_residuals():
    result = fit(broadcast_problem(noise=0.1))
    assert result.degrees_of_freedom == 10
    squares = float(result.residuals @ result.residuals)
    assert result.root_mean_square == pytest.approx((squares / 12) ** 0.5)
    assert result.scatter == pytest.approx((squares / 10) ** 0.5)


def test_a_prediction_is_as_wide_as_scatter_and_parameters_make_it():
    """Student's 95 % point at ten degrees of freedom is 1.8125."""
    result = fit(broadcast_problem(noise=0.1))
    gradient = numpy.array([0.3, 0.6])
    variance = result.scatter**2 + gradient @ result.covariance @ gradient
    assert numpy.log(prediction_factor(result, gradient)) == pytest.approx(1.8125 * numpy.sqrt(variance), rel=1e-4)


def test_the_same_problem_is_solved_once_and_another_anew():
    one, again = (fit(broadcast_problem(noise=0.2)) for _ in range(2))
    assert one is again
    other = broadcast_problem(noise=0.2)
    narrow = tuple(Unknown(u.name, u.symbol, u.start, u.low, 2e-6) for u in other.unknowns)
    bounded = fit(Problem(other.formula, other.observed, other.known, narrow, other.groups, other.ids))
    assert bounded is not one
    assert fit(other, starts=2) is not one
    assert len(fit(other, starts=2).attempts) == 2 and len(one.attempts) == 8


# Any expression through the solver: symbols are checked, slopes are derivatives, known answers come back.

X = numpy.linspace(0.5, 6, 24)


def unknown(name, start, low=-numpy.inf, high=numpy.inf):
    return Unknown(name, name, start, low, high, log=False)


def problem(text, observed, *unknowns, x=X):
    return ExpressionProblem(sympy.sympify(text), observed, {"x": x}, unknowns)


@pytest.mark.parametrize(
    ("text", "stray"),
    [
        ("a*x + c", "c"),
        ("x**2", "a"),
        ("a + 1", "x"),
        ("b*z", "a, b, x, z"),
    ],
)
def test_symbols_on_one_side_only_are_named(text, stray):
    with pytest.raises(BadInput, match=f"symbols {stray} stand on one side only"):
        problem(text, X, unknown("a", 1.0))


def test_a_stray_symbol_is_one_line():
    with pytest.raises(BadInput) as error:
        problem("a*x + c", X, unknown("a", 1.0))
    assert "\n" not in str(error.value)
    assert error.value.field == "expression"


@given(st.floats(-2, 2), st.floats(0.1, 2))
def test_slopes_are_the_differences_of_predictions(a, b):
    one = problem("a*exp(-b*x) + a", X, unknown("a", 1.0), unknown("b", 1.0))
    theta, step = numpy.array([a, b]), 1e-6
    for i in range(2):
        shift = step * numpy.eye(2)[i]
        difference = (one.predict(theta + shift) - one.predict(theta - shift)) / (2 * step)
        assert one.jacobian(theta)[:, i] == pytest.approx(difference, rel=1e-5, abs=1e-8)


def test_a_slope_that_is_constant_has_one_value_per_row():
    one = problem("a + b*x", X, unknown("a", 1.0), unknown("b", 1.0))
    assert one.jacobian([0, 0]) == pytest.approx(numpy.stack([numpy.ones(24), X], axis=1))


def test_the_residual_is_signed():
    one = problem("a*x", 2 * X, unknown("a", 1.0))
    assert one.residual([-1.0]) == pytest.approx(-3 * X)
    assert one.size == pytest.approx(float(numpy.linalg.norm(2 * X)))


def test_outside_its_domain_a_model_is_not_finite_and_does_not_warn():
    one = problem("log(a)*x", X, unknown("a", 1.0))
    assert numpy.all(numpy.isnan(one.predict([-1.0])))
    assert numpy.all(numpy.isneginf(one.predict([0.0])))


@given(st.floats(-50, 50).filter(lambda a: abs(a) > 0.01), st.floats(0.2, 2))
def test_exact_data_of_either_sign_give_their_parameters_back(a, b):
    found = fit(problem("a*exp(-b*x)", a * numpy.exp(-b * X), unknown("a", numpy.sign(a) * 10), unknown("b", 1.0)))
    assert list(found.values.values()) == pytest.approx([a, b], rel=1e-5)


def test_the_covariance_of_a_line_is_the_textbook_one():
    """var(b) = s^2 / sum (x - mean)^2, cov(a, b) = -mean var(b)."""
    random = numpy.random.default_rng(2)
    y = -1 + 0.5 * X + 0.05 * random.standard_normal(24)
    found = fit(problem("a + b*x", y, unknown("a", 1.0), unknown("b", 1.0)))
    slope = numpy.polyfit(X, y, 1)
    squares = float(numpy.sum((X - X.mean()) ** 2))
    variance = float(numpy.sum((y - numpy.polyval(slope, X)) ** 2)) / 22
    assert found.values["b"] == pytest.approx(slope[0])
    assert found.covariance[1, 1] == pytest.approx(variance / squares)
    assert found.covariance[0, 1] == pytest.approx(-X.mean() * variance / squares)
    assert found.covariance[0, 0] == pytest.approx(variance * (1 / 24 + X.mean() ** 2 / squares))


def test_parameters_that_only_act_together_have_no_error_bars():
    found = fit(problem("a*b*x", 6 * X, unknown("a", 1.0), unknown("b", 1.0)))
    assert found.withheld.startswith("rank 1 of 2")
    assert found.values["a"] * found.values["b"] == pytest.approx(6)


def test_a_bound_is_kept_and_said():
    found = fit(problem("a*x", 6 * X, unknown("a", 1.0, low=0.0, high=2.0)))
    assert found.values["a"] == pytest.approx(2)
    assert found.withheld == "a parameter lies on its bound"


def test_an_answer_belongs_to_its_data():
    one, other = (fit(problem("a*x", factor * X, unknown("a", 1.0))).values["a"] for factor in (2, 3))
    assert (one, other) == pytest.approx((2, 3))
    assert problem("a*x", X, unknown("a", 1.0)).key == problem("a*x", X.copy(), unknown("a", 1.0)).key
    assert problem("a*x", X, unknown("a", 1.0)).key != problem("a*x", X, unknown("a", 2.0)).key
    assert problem("a*x", X, unknown("a", 1.0)).key != problem("a*x", X, unknown("a", 1.0), x=X + 1).key


@pytest.mark.parametrize("name", REGRESSIONS)
def test_starts_that_descend_together_end_where_each_alone_does(name):
    problem = REGRESSIONS[name].problem(load())
    low, high, start = (fits._coordinates(problem, side) for side in ("low", "high", "start"))
    begin = solver.starts(start, low, high)
    alone = solver.solve(problem.residual, problem.jacobian, begin, low, high, problem.size)
    together = solver.solve(problem.residual, problem.jacobian, begin, low, high, problem.size, problem.linearised)
    assert together.best.theta == pytest.approx(alone.best.theta, rel=1e-9)
    assert (together.withheld, together.rank) == (alone.withheld, alone.rank)
    assert together.best.cost <= alone.best.cost * (1 + 1e-9)


@pytest.mark.parametrize("name", REGRESSIONS)
def test_residuals_and_jacobian_at_many_parameters_are_those_at_each(name):
    problem = REGRESSIONS[name].problem(load())
    thetas = numpy.array(solver.starts(*(fits._coordinates(problem, side) for side in ("start", "low", "high"))))
    left, slopes = problem.linearised(thetas)
    for place, theta in enumerate(thetas):
        assert left[place] == pytest.approx(problem.residual(theta), rel=1e-12, abs=1e-12)
        assert slopes[place] == pytest.approx(problem.jacobian(theta), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", ["line_time", "broadcast", "range_length"])
def test_bootstrap_refits_are_those_of_many_starts(name):
    """A sample of the refits against a fit from eight starts to the rows of the resample, each as often as it is in."""
    result = fits.fit(REGRESSIONS[name].problem(load()))
    found = fits.bootstrap(result)
    counts = fits.resamples(result.problem)
    assert found.shape == (fits.REFITS, len(result.theta))
    told = numpy.flatnonzero(~numpy.isnan(found[:, 0]))
    assert len(told) > fits.REFITS / 2
    for place in told[:: len(told) // 8]:
        rows = numpy.repeat(numpy.arange(counts.shape[1]), counts[place])
        again = fits._solve(result.problem.take(rows), solver.STARTS)
        assert found[place] == pytest.approx(again.theta, rel=1e-6, abs=1e-6)


def test_a_resample_that_does_not_tell_the_parameters_apart_is_no_refit():
    """Without a machine of a vendor its parameters are free."""
    result = fits.fit(REGRESSIONS["line_time"].problem(load()))
    found, counts = fits.bootstrap(result, 200), fits.resamples(result.problem, 200)
    for unknown in result.problem.unknowns:
        if unknown.mask is not None:
            absent = counts[:, unknown.mask].sum(axis=1) == 0
            assert numpy.isnan(found[absent]).all()
    assert numpy.isnan(found[:, 0]).any() and not numpy.isnan(found[:, 0]).all()


def test_a_fit_is_kept_by_its_rows(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    problem, other = broadcast_problem(noise=0.1), broadcast_problem(noise=0.2)
    wanted, asked = fits.fit(problem), []
    solve = fits.fit
    monkeypatch.setattr(fits, "fit", lambda problem: asked.append(problem) or solve(problem))
    for found in (fits.kept(problem), fits.kept(problem)):
        assert found.problem is problem
        for part in ("theta", "residuals", "covariance"):
            assert getattr(found, part).tolist() == getattr(wanted, part).tolist()
        assert (found.rank, found.scatter, found.withheld) == (wanted.rank, wanted.scatter, wanted.withheld)
        assert [one.cost for one in found.attempts] == [one.cost for one in wanted.attempts]
    fits.kept(other)
    assert len(asked) == 2 and asked[0] is problem and asked[1] is other
