"""What the published anchors say, against the figures of the sources and of MODEL-like arithmetic done by hand."""

import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy
import pytest

from costmodel.calibration import anchors
from costmodel.calibration import calibrate as host_parameters
from costmodel.calibration.anchors import bounded, per_flush_s
from costmodel.calibration.anchors import usable_rendezvous as usable
from costmodel.calibration.fit import fit
from costmodel.calibration.holdout import leave_groups_out
from costmodel.calibration.rules import Calibration
from costmodel.errors import CostModelError
from costmodel.evidence.store import load
from costmodel.formulas.compiled import value


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
    result = anchors.fit_line_time(evidence)
    assert result.withheld is None
    error = {u.name: e for u, e in zip(result.problem.unknowns, result.covariance.diagonal() ** 0.5, strict=True)}
    logs = {name: math.log(result.values[name]) / error[name] for name in error}
    assert logs["intel_two_socket_factor"] > 3
    assert abs(logs["amd_two_socket_factor"]) < 1
    assert anchors.dearest_on_two_sockets(result, "amd") > 1.6


def test_the_linear_broadcast_beats_the_tree(evidence):
    linear, tree = (anchors.fit_broadcast(evidence, form) for form in ("broadcast", "broadcast_tree"))
    assert linear.root_mean_square < tree.root_mean_square / 3


def test_range_flush_is_linear_in_the_range(evidence):
    result = fit(anchors.range_shape_problem(evidence))
    assert result.root_mean_square < 0.06
    assert result.values["line_s"] == pytest.approx(50.5e-9, rel=0.02)


def test_claimed_rows_never_calibrate(evidence):
    used = set(anchors.line_time_problem(evidence).ids) | set(anchors.broadcast_problem(evidence).ids)
    assert used
    assert all(evidence.one(row).kind in ("measured", "specified") for row in used)


def test_a_missing_anchor_is_named(evidence):
    with pytest.raises(CostModelError, match="W01"):
        Calibration(evidence.without("W01")).anchors  # noqa: B018


# The regression of the latency of one flush: which rows, which unknowns, from where they start.

EVIDENCE = load()


def row(id, si, vendor="amd", sockets=1, use="fit"):
    return SimpleNamespace(id=id, si=si, vendor=vendor, sockets=sockets, use=use, hardware=f"host of {id}")


def made(*rows):
    return SimpleNamespace(rows=lambda **asked: list(rows))


def test_only_rows_for_the_fit_calibrate():
    rows = (row("A", 1e-8), row("B", 2e-8, use="exclude"), row("C", 3e-8, use="check"))
    assert [r.id for r in anchors.line_time_rows(made(*rows), "CLFLUSHOPT")] == ["A"]


def test_each_vendor_has_a_reference_that_starts_at_its_mean_and_a_factor_of_its_own():
    rows = (row("A", 1e-8), row("B", 4e-8, sockets=2), row("C", 3e-9, "intel", sockets=None))
    problem = anchors.line_time_problem(made(*rows))
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
    assert anchors.fit_line_time(made(*rows)).values == pytest.approx(
        {"amd_s": 60e-9, "amd_two_socket_factor": 2, "intel_s": 40e-9, "intel_two_socket_factor": 3}
    )


def test_the_rows_of_an_instruction_are_its_own():
    for instruction in anchors.INSTRUCTIONS:
        rows = anchors.line_time_rows(EVIDENCE, instruction)
        assert rows and {r.instruction for r in rows} == {instruction}
    assert numpy.all(anchors.line_time_problem(EVIDENCE, "CLFLUSH").observed > 0)


def test_the_factor_of_two_sockets_is_that_of_each_vendors_own_rows():
    """By hand: geometric means of the CLFLUSHOPT rows of one and of two sockets; mixing the vendors gave 2.4."""
    values = anchors.fit_line_time(EVIDENCE).values
    for vendor in ("amd", "intel"):
        rows = [r for r in anchors.line_time_rows(EVIDENCE, "CLFLUSHOPT") if r.vendor == vendor]
        one, two = (numpy.mean([numpy.log(r.si) for r in rows if (r.sockets > 1) == many]) for many in (False, True))
        assert values[f"{vendor}_two_socket_factor"] == pytest.approx(numpy.exp(two - one), rel=1e-6)
    # Rome 1.7, Hygon's Zen 1 0.7: the mean of the two tells little.
    assert 1.0 < values["amd_two_socket_factor"] < 1.3


def test_the_bound_of_a_second_socket_is_the_dearest_machine_seen_and_at_least_1():
    rows = [row(f"{vendor}{n}", 50e-9, vendor) for vendor in ("amd", "intel") for n in range(3)]
    two = [row("far", 100e-9, sockets=2), row("near", 40e-9, sockets=2), row("less", 25e-9, "intel", sockets=2)]
    result = anchors.fit_line_time(made(*rows, *two))
    assert anchors.dearest_on_two_sockets(result, "amd") == pytest.approx(2)
    assert anchors.dearest_on_two_sockets(result, "intel") == 1
    # By hand: Rome's 124.89 ns over the mean of AMD's one-socket rows.
    logs = [
        numpy.log(r.si) for r in anchors.line_time_rows(EVIDENCE, "CLFLUSHOPT") if (r.vendor, r.sockets) == ("amd", 1)
    ]
    measured = anchors.dearest_on_two_sockets(anchors.fit_line_time(EVIDENCE), "amd")
    assert measured == pytest.approx(124.89e-9 / numpy.exp(numpy.mean(logs)), rel=1e-6)


# Interrupt rounds: published loops, and responders whose delay is known.

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
    return fit(anchors.host_broadcast_problem(responders(2e-6, 0.3e-6, 5e-6)))


@pytest.mark.parametrize(
    ("name", "expected"), [("broadcast_start_s", 2e-6), ("broadcast_per_cpu_s", 0.3e-6), ("response_delay_s", 5e-6)]
)
def test_responders_are_recovered(recovered, name, expected):
    assert recovered.values[name] == pytest.approx(expected, rel=0.1)


def test_responders_leave_little_unexplained(recovered):
    assert recovered.root_mean_square < 0.03


def test_the_slowest_of_many_is_foretold_from_few():
    """Fitted on up to 15 targets, asked for 63."""
    small = fit(anchors.host_broadcast_problem(responders(2e-6, 0.3e-6, 5e-6, counts=(1, 2, 3, 7, 15))))
    foretold = value("broadcast_quantile", target_cpus=63, share=0.5, **small.values)
    random = numpy.random.default_rng(1)
    seen = numpy.median(2e-6 + 63 * 0.3e-6 + random.exponential(5e-6, (20_000, 63)).max(axis=1))
    assert float(foretold) == pytest.approx(float(seen), rel=0.1)


def test_one_number_of_targets_does_not_tell_the_start_from_the_slope():
    found = fit(anchors.host_broadcast_problem(responders(2e-6, 0.3e-6, 5e-6, counts=(3,))))
    assert found.covariance is None
    assert found.withheld


def test_groups_are_the_numbers_of_targets():
    problem = anchors.host_broadcast_problem(responders(2e-6, 0.3e-6, 5e-6, n=50))
    assert set(problem.groups) == {f"{k}" for k in COUNTS}
    assert leave_groups_out(problem).groups == len(COUNTS)


def test_quantiles_fall_as_more_rounds_exceed_them():
    problem = anchors.host_broadcast_problem(responders(2e-6, 0.3e-6, 5e-6, n=500))
    shares = problem.known["share"].reshape(len(COUNTS), -1)
    observed = problem.observed.reshape(len(COUNTS), -1)
    assert numpy.all(numpy.diff(shares, axis=1) < 0)
    assert numpy.all(numpy.diff(observed, axis=1) > 0)


def test_the_quantiles_are_those_of_the_rows():
    rows = [(1, t) for t in range(1, 102)]
    problem = anchors.host_broadcast_problem(host(rows))
    half = numpy.argmin(numpy.abs(problem.known["share"] - 0.5))
    assert problem.observed[half] == pytest.approx(51)


def test_the_order_of_the_rows_does_not_matter():
    rows = [(k, t) for k in (2, 1, 3) for t in numpy.linspace(1e-6, 9e-6, 30) * k]
    one, other = (anchors.host_broadcast_problem(host(order)) for order in (rows, rows[::-1]))
    assert one.key == other.key


def test_a_host_without_the_probe_has_no_problem():
    assert anchors.host_broadcast_problem(host([])) is None


def test_the_committed_host_has_up_to_its_other_cpus_as_targets():
    counts = set(anchors.host_broadcast_problem(HOST).known["target_cpus"])
    assert counts == set(range(1, HOST.machine.logical_cpus))


def test_the_loops_of_milan_are_threads_over_their_rate():
    """Rows I06a..h: loops of all threads per second."""
    problem = anchors.broadcast_problem(EVIDENCE)
    for id, seconds, targets in zip(problem.ids, problem.observed, problem.known["target_cpus"], strict=True):
        row = EVIDENCE.one(id)
        assert id.startswith("I06")
        assert seconds == pytest.approx(row.cpus / row.si)
        assert targets == row.cpus - 1


def test_the_rivals_have_the_same_rows_and_the_slowest_one_parameter_more():
    linear, tree, slowest = (
        anchors.broadcast_problem(EVIDENCE, name) for name in ("broadcast", "broadcast_tree", "broadcast_slowest")
    )
    assert linear.ids == tree.ids == slowest.ids
    assert len(slowest.unknowns) == len(linear.unknowns) + 1 == len(tree.unknowns) + 1


def test_the_fit_is_no_worse_than_a_straight_line_through_the_logs_of_the_ends():
    problem = anchors.broadcast_problem(EVIDENCE)
    result = anchors.fit_broadcast(EVIDENCE)
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


# The anchors of a whole-cache flush, solved by hand at every corner of the geometry.

ANCHORS = anchors.whole_cache_anchors(EVIDENCE)


def test_one_flush_is_the_difference_over_two_flushes_of_every_cpu():
    """Row W01: 1437 ms with, W02: 28 ms without, 104 cores of two threads."""
    first = EVIDENCE.one("W01")
    expected = (first.si - EVIDENCE.one("W02").si) / (2 * first.cpus)
    assert anchors.per_flush_s(EVIDENCE, "W01", "W02") == pytest.approx(expected)


def test_every_corner_of_the_open_geometry_is_fitted():
    skylake = [row.l3_bytes for row in EVIDENCE.geometry("00050654") if row.l3_bytes >= 32 * 2**20]
    sapphire = [row.l3_bytes for row in EVIDENCE.geometry("000806F8")]
    stated = EVIDENCE.one("W09").cpus
    assert {a.skylake_llc_bytes for a in ANCHORS} == {min(skylake), max(skylake)}
    assert {a.sapphire_llc_bytes for a in ANCHORS} == {min(sapphire), max(sapphire)}
    assert {a.sapphire_cores_per_socket for a in ANCHORS} == {stated, stated // 2}
    assert len(ANCHORS) == 8
    assert min(skylake) < 64 * 2**20


@pytest.mark.parametrize("anchor", ANCHORS, ids=range(len(ANCHORS)))
def test_three_rows_give_three_numbers(anchor):
    """Walk: one flush over its lines. Exponent: cores at once against the walk alone. Siblings: the ratio of the
    rows.
    """
    found = anchor.result.values
    l2 = EVIDENCE.geometry("00050654")[0].l2_bytes
    walk_s = anchors.per_flush_s(EVIDENCE, "W01", "W02") / ((anchor.skylake_llc_bytes + l2) / 64)
    assert found["line_empty_s"] == pytest.approx(walk_s)
    alone_s = walk_s * (anchor.sapphire_llc_bytes + EVIDENCE.geometry("000806F8")[0].l2_bytes) / 64
    exponent = math.log(EVIDENCE.one("W09").si / alone_s) / math.log(anchor.sapphire_cores_per_socket)
    assert found["serial_exponent"] == pytest.approx(exponent)
    assert found["smt_factor"] == pytest.approx(EVIDENCE.one("W08").si / EVIDENCE.one("W09").si)


def test_the_groups_are_the_two_generations():
    problem = ANCHORS[0].result.problem
    assert dict(zip(problem.ids, problem.groups, strict=True)) == {
        "W01-W02": "skylake-sp",
        "W09": "sapphire-rapids",
        "W08": "sapphire-rapids",
    }


# The range test: a straight line through the lines of the range.

MIB = 2**20


def made_range_shape(sizes, intercept_s, line_s, use="fit"):
    rows = [
        SimpleNamespace(id=f"R{i}", range_bytes=size, si=intercept_s + line_s * size / 64, use=use)
        for i, size in enumerate(sizes)
    ]
    return SimpleNamespace(rows=lambda observable: rows)


@pytest.fixture
def sizes():
    return [MIB * x for x in (1, 2, 4, 6, 8, 12, 16, 24, 32, 48)]


def test_slope_and_intercept_come_back(sizes):
    found = fit(anchors.range_shape_problem(made_range_shape(sizes, 3e-4, 4e-8))).values
    assert found == pytest.approx({"intercept_s": 3e-4, "line_s": 4e-8})


def test_the_rows_are_grouped_by_size_and_only_those_of_the_fit_are_used(sizes):
    problem = anchors.range_shape_problem(made_range_shape(sizes, 3e-4, 4e-8))
    assert problem.groups == ("below 8 MiB",) * 4 + ("8 MiB to 16 MiB",) * 2 + ("above 16 MiB",) * 4
    assert list(problem.known["lines"]) == [size / 64 for size in sizes]
    assert anchors.range_shape_problem(made_range_shape(sizes, 3e-4, 4e-8, use="check")).ids == ()


def test_slopes_of_any_host_lie_inside_the_bounds(sizes):
    """A nanosecond to a microsecond per line, a tenth of a microsecond to ten milliseconds of start."""
    for line_s, intercept_s in ((1.1e-9, 9e-3), (0.9e-6, 1.1e-7)):
        found = fit(anchors.range_shape_problem(made_range_shape(sizes, intercept_s, line_s))).values
        assert found["line_s"] == pytest.approx(line_s, rel=1e-3)
    lines = numpy.array(sizes) / 64
    slope = anchors.range_shape_problem(made_range_shape(sizes, 3e-4, 4e-8)).jacobian(numpy.log([3e-4, 4e-8]))
    assert slope[:, 0] == pytest.approx(3e-4 / (3e-4 + 4e-8 * lines))
    assert slope[:, 1] == pytest.approx(4e-8 * lines / (3e-4 + 4e-8 * lines))


# Bounds from boots and resumes: by hand where one log says it all, and what may not change them.

ANCHOR_S, FACTOR, TIGHT, MANY = 5e-9, 10.0, 1e-3, 1000


@dataclass(frozen=True)
class Log:
    """A rendezvous as far as its bound goes."""

    longest_s: float | None
    method: str = "resume-s3"
    flushes: int = 100
    capacity_lines: float | None = 1e6
    generation: str = "zen9"
    id: str = "made"

    @property
    def flush_at_most_s(self):
        return None if self.longest_s is None else self.longest_s / self.flushes

    @property
    def line_of_all_s(self):
        return self.longest_s / self.capacity_lines


def left(*rows, deviation=TIGHT, freedom=MANY):
    return bounded(rows, ANCHOR_S, FACTOR, deviation, freedom)


def test_without_a_log_the_prior_stays():
    found = left()
    for shape in (found.empty, found.valid):
        assert shape.median == pytest.approx(found.before.median, rel=0.02)
        assert shape.high == pytest.approx(found.before.high, rel=0.02)
    assert found.before.a == pytest.approx(ANCHOR_S / 1000) and found.before.b == pytest.approx(ANCHOR_S * FACTOR)


def test_a_resume_cuts_the_prior_of_an_empty_line_at_its_bound():
    """100 flushes of a million lines in 10 ms: at most 0.1 ns each; log-uniform below. A full line it says nothing
    of.
    """
    found = left(Log(0.01))
    low, bound = ANCHOR_S / 1000, 1e-10
    assert found.empty.median == pytest.approx(numpy.sqrt(low * bound), rel=0.03)
    assert found.empty.high == pytest.approx(low * (bound / low) ** 0.95, rel=0.03)
    assert found.valid.median == pytest.approx(found.before.median, rel=0.02)


def test_a_boot_holds_what_the_boot_cpu_has_touched_too():
    """A sixteenth of the domain at least is valid in each of the shares: 10 ms over a million lines, times 16."""
    found = left(Log(0.01, method="boot"))
    assert found.valid.quantile(0.99) < 16 * 0.01 / 1e6
    assert found.valid.high < found.before.high
    assert found.empty.high == pytest.approx(left(Log(0.01)).empty.high, rel=0.2)


def test_a_tighter_log_leaves_less_and_a_loose_one_changes_nothing():
    one = left(Log(0.01))
    assert left(Log(0.01), Log(10.0)).empty == one.empty
    assert left(Log(0.01), Log(0.005)).empty.high < one.empty.high


def test_machines_that_differ_more_soften_the_bound():
    sharp, soft = (left(Log(0.01), deviation=deviation).empty for deviation in (TIGHT, 1.0))
    assert soft.high > 1.5 * sharp.high


def test_few_machines_soften_the_bound_further():
    many, few = (left(Log(0.01), deviation=0.3, freedom=freedom).empty for freedom in (MANY, 2))
    assert few.high > many.high


def test_other_cores_and_logs_that_bound_nothing_do_not_count():
    rows = (
        Log(0.01, id="a"),
        Log(None, id="b"),
        Log(1e-6, generation="k10", id="c"),
        Log(1e-6, capacity_lines=None, id="d"),
    )
    assert [row.id for row in usable(rows)] == ["a"]
    assert left(*rows).used == ("a",)


def test_the_control_and_the_incomplete_logs_are_left_out():
    used = {row.id for row in usable(EVIDENCE.rendezvous.values())}
    for row in EVIDENCE.rendezvous.values():
        if row.quality in ("control", "incomplete"):
            assert row.id not in used
    assert {"s3-ryzen-12-core", "boot-ryzen-ai-7-350", "s4-epyc-rome-2s"} <= used


def test_the_form_that_the_logs_rule_out():
    """A line of capacity that costs what Skylake-SP's does, whatever the cache holds: no log has time for it."""
    for id in ("s3-ryzen-12-core", "s4-epyc-rome-2s", "boot-ryzen-ai-7-350"):
        row = EVIDENCE.rendezvous[id]
        assert row.flushes * row.capacity_lines * 5.6e-9 > 5 * row.longest_s
