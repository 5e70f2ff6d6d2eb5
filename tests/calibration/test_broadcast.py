"""Interrupt rounds: published loops, and responders whose delay is known."""

from types import SimpleNamespace

import numpy
import pytest

from costmodel.calibration import broadcast
from costmodel.calibration import host as host_parameters
from costmodel.calibration.fit import fit
from costmodel.calibration.holdout import leave_groups_out
from costmodel.evidence.store import load
from costmodel.formulas.compiled import value

EVIDENCE = load()
HOST = EVIDENCE.host("epyc-genoa-4cpu-vm")
COUNTS = (1, 2, 3, 7, 15, 31, 63)


def host(rounds):
    """A host whose probe measured `rounds`: (targets, seconds) pairs."""
    rows = [{"targets": float(count), "measured_call_s": float(time)} for count, time in rounds]
    return SimpleNamespace(table=lambda name: rows if name == "broadcast" else [])


def responders(start_s, per_cpu_s, delay_s, n=4000, counts=COUNTS):
    """Rounds that wait for the slowest of k exponential answers."""
    random = numpy.random.default_rng(9)
    return host(
        (k, start_s + per_cpu_s * k + t) for k in counts for t in random.exponential(delay_s, (n, k)).max(axis=1)
    )


@pytest.fixture(scope="module")
def recovered():
    return fit(broadcast.host_problem(responders(2e-6, 0.3e-6, 5e-6)))


@pytest.mark.parametrize(
    ("name", "expected"), [("broadcast_start_s", 2e-6), ("broadcast_per_cpu_s", 0.3e-6), ("response_delay_s", 5e-6)]
)
def test_responders_are_recovered(recovered, name, expected):
    assert recovered.values[name] == pytest.approx(expected, rel=0.1)


def test_responders_leave_little_unexplained(recovered):
    assert recovered.root_mean_square < 0.03


def test_the_slowest_of_many_is_foretold_from_few():
    """Fitted on up to 15 targets, asked for 63."""
    small = fit(broadcast.host_problem(responders(2e-6, 0.3e-6, 5e-6, counts=(1, 2, 3, 7, 15))))
    foretold = value("broadcast_quantile", target_cpus=63, share=0.5, **small.values)
    random = numpy.random.default_rng(1)
    seen = numpy.median(2e-6 + 63 * 0.3e-6 + random.exponential(5e-6, (20_000, 63)).max(axis=1))
    assert float(foretold) == pytest.approx(float(seen), rel=0.1)


def test_one_number_of_targets_does_not_tell_the_start_from_the_slope():
    found = fit(broadcast.host_problem(responders(2e-6, 0.3e-6, 5e-6, counts=(3,))))
    assert found.covariance is None
    assert found.withheld


def test_groups_are_the_numbers_of_targets():
    problem = broadcast.host_problem(responders(2e-6, 0.3e-6, 5e-6, n=50))
    assert set(problem.groups) == {f"{k}" for k in COUNTS}
    assert leave_groups_out(problem).groups == len(COUNTS)


def test_quantiles_fall_as_more_rounds_exceed_them():
    problem = broadcast.host_problem(responders(2e-6, 0.3e-6, 5e-6, n=500))
    shares = problem.known["share"].reshape(len(COUNTS), -1)
    observed = problem.observed.reshape(len(COUNTS), -1)
    assert numpy.all(numpy.diff(shares, axis=1) < 0)
    assert numpy.all(numpy.diff(observed, axis=1) > 0)


def test_the_quantiles_are_those_of_the_rows():
    rows = [(1, t) for t in range(1, 102)]
    problem = broadcast.host_problem(host(rows))
    half = numpy.argmin(numpy.abs(problem.known["share"] - 0.5))
    assert problem.observed[half] == pytest.approx(51)


def test_the_order_of_the_rows_does_not_matter():
    rows = [(k, t) for k in (2, 1, 3) for t in numpy.linspace(1e-6, 9e-6, 30) * k]
    one, other = (broadcast.host_problem(host(order)) for order in (rows, rows[::-1]))
    assert one.key == other.key


def test_a_host_without_the_probe_has_no_problem():
    assert broadcast.host_problem(host([])) is None


def test_the_committed_host_has_up_to_its_other_cpus_as_targets():
    counts = set(broadcast.host_problem(HOST).known["target_cpus"])
    assert counts == set(range(1, HOST.machine.logical_cpus))


def test_the_loops_of_milan_are_threads_over_their_rate():
    """Rows I06a..h: loops of all threads per second."""
    problem = broadcast.problem(EVIDENCE)
    for id, seconds, targets in zip(problem.ids, problem.observed, problem.known["target_cpus"], strict=True):
        row = EVIDENCE.one(id)
        assert id.startswith("I06")
        assert seconds == pytest.approx(row.cpus / row.si)
        assert targets == row.cpus - 1


def test_the_rivals_have_the_same_rows_and_the_slowest_one_parameter_more():
    linear, tree, slowest = (
        broadcast.problem(EVIDENCE, name) for name in ("broadcast", "broadcast_tree", "broadcast_slowest")
    )
    assert linear.ids == tree.ids == slowest.ids
    assert len(slowest.unknowns) == len(linear.unknowns) + 1 == len(tree.unknowns) + 1


def test_the_fit_is_no_worse_than_a_straight_line_through_the_logs_of_the_ends():
    problem = broadcast.problem(EVIDENCE)
    result = broadcast.calibrate(EVIDENCE)
    k, t = problem.known["target_cpus"], problem.observed
    slope = (t[-1] - t[0]) / (k[-1] - k[0])
    naive = numpy.log(t[0] + slope * (k - k[0])) - numpy.log(t)
    assert result.residuals @ result.residuals <= naive @ naive


def profile_of(runs):
    """A host whose probe measured `runs`: of each the start and the slope."""
    rows = [
        {"run": float(run), "targets": float(k), "measured_call_s": start + slope * k}
        for run, (start, slope) in enumerate(runs)
        for k in (1, 2, 3)
    ]
    return SimpleNamespace(id="h", measured_on="2026-01-01", table=lambda name: rows if name == "broadcast" else [])


def test_a_run_that_tells_no_start_above_zero_is_left_out_and_counted():
    found = host_parameters._broadcast(profile_of([(2e-6, 1e-6), (3e-6, 1.1e-6), (-1e-6, 1.2e-6)]))
    start, slope = found["broadcast_start_s"], found["broadcast_per_cpu_s"]
    assert "; 1 run left out: no time above zero" in start.rule
    assert start.distribution.quantile(0.5) == pytest.approx(2.449e-6, rel=1e-3), "of the two runs that tell one"
    assert "left out" not in slope.rule and slope.distribution.quantile(0.5) == pytest.approx(1.1e-6)


def test_where_no_run_tells_a_start_the_host_gives_none():
    assert set(host_parameters._broadcast(profile_of([(-1e-6, 1e-6), (-2e-6, 2e-6)]))) == {"broadcast_per_cpu_s"}
