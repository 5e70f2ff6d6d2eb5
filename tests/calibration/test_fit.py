"""The fitter recovers known parameters, refuses error bars it cannot justify, and says why."""

import numpy
import pytest

from costmodel.calibration.fit import Problem, Unknown, fit, prediction_factor
from costmodel.calibration.holdout import leave_groups_out
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
