"""Any expression through the solver: symbols are checked, slopes are derivatives, known answers come back."""

import numpy
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from costmodel.calibration.expression import ExpressionProblem
from costmodel.calibration.fit import Unknown, fit
from costmodel.errors import BadInput

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
