"""Break-evens per draw, against the closed form and against costs on either side."""

from dataclasses import replace

import numpy
import pytest

from costmodel.cost import breakeven, flush
from costmodel.cost.axes import AXES, axis
from costmodel.cost.breakeven import break_even
from costmodel.cost.draws import Draws, medians
from costmodel.cost.hybrid import cap_bytes
from costmodel.cost.scenario import scenario
from costmodel.cost.totals import total
from costmodel.errors import BadInput, MissingNumber, UnknownName
from costmodel.formulas.compiled import value

PAIR = ("WBNOINVD_MASK", "CLFLUSHOPT_DM_SPTE")
TRIGGER = "ksm_replace_page"


def stolen(case, strategy, draws):
    return float(total(TRIGGER, strategy, case, draws).event.stolen_s[0])


@pytest.fixture(scope="module")
def pinned(milan_ksm):
    """Eight CPUs ran the guest."""
    return replace(milan_ksm, cpus_that_ran=8.0)


@pytest.fixture(scope="module")
def by_range(evidence, pinned):
    return break_even(evidence, pinned, TRIGGER, PAIR, "range_bytes")


def test_a_flush_on_all_cpus_is_as_dear_as_a_far_longer_range(evidence, milan_ksm, by_range):
    found = break_even(evidence, milan_ksm, TRIGGER, PAIR, "range_bytes")
    assert found.rows[0].median > 10 * by_range.rows[0].median


def test_the_cheaper_strategy_changes_at_the_break_even(by_range, pinned, milan):
    at, draws = by_range.rows[0].at_medians, medians(milan)
    below, above = (AXES["range_bytes"].at(pinned, at * f) for f in (0.95, 1.05))
    assert stolen(below, PAIR[1], draws) < stolen(below, PAIR[0], draws)
    assert stolen(above, PAIR[1], draws) > stolen(above, PAIR[0], draws)


def test_the_closed_form_agrees(by_range, pinned, milan):
    """Where every line is absent or present alike the range at the break-even is linear in the whole-cache time."""
    draws = medians(milan)
    here = AXES["range_bytes"].at(pinned, by_range.rows[0].at_medians)
    size, residency = by_range.rows[0].at_medians, pinned.load(TRIGGER).residency
    present = float(flush.present_fraction(draws, pinned.machine, pinned.resident_bytes, residency, size)[0])
    dirty = draws["dirty_fraction"][0]
    held_s = dirty * draws["line_dirty_s"][0] + (1 - dirty) * draws["line_clean_s"][0]
    far = draws["remote_factor"][0]
    again_s = present * 64 * draws["reused_fraction"][0] / draws["cpu_read_bytes_per_s"][0]
    line_s = float(far * (present * held_s + (1 - present) * draws["line_absent_s"][0]) + again_s)
    closed = float(
        value(
            "break_even_range",
            whole_cache_s=stolen(here, PAIR[0], draws),
            range_start_s=float(far * draws["range_start_s"][0]),
            line_s=line_s,
            line_bytes=pinned.machine.line_bytes,
        )
    )
    assert closed == pytest.approx(by_range.rows[0].at_medians, rel=0.25)


def test_the_interval_holds_the_median(by_range):
    row = by_range.rows[0]
    assert row.low < row.median < row.high
    assert 0 < row.share <= 1
    assert by_range.extrapolated


def test_swapping_the_strategies_moves_nothing(evidence, pinned, by_range):
    other = break_even(evidence, pinned, TRIGGER, PAIR[::-1], "range_bytes")
    for one, two in zip(other.rows, by_range.rows, strict=True):
        numbers = {name: pytest.approx(getattr(two, name), rel=1e-9) for name in ("low", "median", "high", "at_medians")}
        assert (one.label, one.unit, one.share, one.beyond) == (two.label, two.unit, two.share, two.beyond)
        assert {name: getattr(one, name) for name in numbers} == numbers


def test_the_cheaper_one_is_named_where_there_is_no_break_even(evidence, milan_ksm):
    result = break_even(evidence, milan_ksm, TRIGGER, PAIR, "cpus")
    assert result.rows == ()
    assert result.always == "CLFLUSHOPT_DM_SPTE"


def test_a_strategy_has_no_break_even_with_itself(evidence, milan_ksm):
    result = break_even(evidence, milan_ksm, TRIGGER, (PAIR[0], PAIR[0]), "cpus")
    assert result.rows == () and result.always == PAIR[0]


def test_rates_are_those_at_which_a_share_of_the_host_is_lost(evidence, milan_ksm, milan):
    result = break_even(evidence, milan_ksm, TRIGGER, PAIR, "rate_per_s")
    row = next(r for r in result.rows if r.label.startswith("WBNOINVD_MASK costs 1%"))
    lost = row.at_medians * stolen(milan_ksm, "WBNOINVD_MASK", medians(milan))
    assert lost == pytest.approx(0.01 * milan_ksm.machine.logical_cpus)


def test_an_unknown_term_is_named(evidence, milan_ksm):
    with pytest.raises(MissingNumber, match="VM_PAGE_FLUSH"):
        break_even(evidence, milan_ksm, TRIGGER, ("WBNOINVD_MASK", "VM_PAGE_FLUSH"), "range_bytes")


def test_unknown_names_are_refused(evidence, milan_ksm):
    with pytest.raises(UnknownName):
        break_even(evidence, milan_ksm, TRIGGER, ("WBNOINVD_MASK", "FLUSH"), "range_bytes")
    with pytest.raises(UnknownName):
        axis("latency")


@pytest.mark.parametrize("name", AXES)
def test_an_axis_sets_what_it_shows(name, evidence):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default")
    low, high = AXES[name].span(case)
    values = AXES[name].values(case, 9)
    assert values[0] == pytest.approx(low) and values[-1] == pytest.approx(high)
    assert numpy.all(numpy.diff(values) > 0)
    assert AXES[name].here(AXES[name].at(case, 32.0), TRIGGER) == 32.0


def test_the_interval_is_that_of_the_caps_draw_by_draw(by_range, pinned, milan):
    """The halving of hybrid.py finds the same range in every draw; what it finds beyond the sweep counts as beyond."""
    cap = cap_bytes(TRIGGER, PAIR[1], PAIR[0], pinned, Draws(milan, 1024))
    row = by_range.rows[0]
    inside = (cap > by_range.low) & (cap < by_range.high)
    assert row.share == pytest.approx(float(inside.mean()), abs=0.01)
    found = numpy.quantile(cap, (0.05, 0.5, 0.95), method="closest_observation")
    for told, side, point in zip((row.low, row.median, row.high), row.beyond, found, strict=False):
        assert told == pytest.approx(point, rel=0.05) if told else point > by_range.high and side == "above"
    middle = cap_bytes(TRIGGER, PAIR[1], PAIR[0], pinned, medians(milan))
    assert row.at_medians == pytest.approx(float(middle[0]), rel=0.02)
    assert (row.unit, by_range.unit, by_range.over, by_range.strategies) == ("B", "B", "range_bytes", PAIR)


def test_rates_have_a_row_per_strategy_and_share_with_its_interval(evidence, milan_ksm, milan):
    result = break_even(evidence, milan_ksm, TRIGGER, ("WBNOINVD_MASK", "NO_FLUSH"), "rate_per_s")
    assert [row.label for row in result.rows] == [
        "WBNOINVD_MASK costs 1% of the host",
        "WBNOINVD_MASK costs 10% of the host",
    ]
    taken = total(TRIGGER, "WBNOINVD_MASK", milan_ksm, Draws(milan, 1024)).event.stolen_s
    for row, share in zip(result.rows, (0.01, 0.10), strict=True):
        rates = numpy.quantile(share * 256 / taken, (0.05, 0.5, 0.95))
        assert (row.low, row.median, row.high) == pytest.approx(tuple(rates))
        assert (row.unit, row.share) == ("1/s", 1.0)
    assert result.always is None


def test_what_does_not_cost_is_always_cheaper(evidence, milan_ksm):
    for pair in (("WBNOINVD_MASK", "NO_FLUSH"), ("NO_FLUSH", "WBNOINVD_MASK")):
        result = break_even(evidence, milan_ksm, TRIGGER, pair, "range_bytes")
        assert (result.rows, result.always) == ((), "NO_FLUSH")


def test_a_break_even_without_a_prior_is_not_marked(evidence, milan_ksm):
    assert not break_even(evidence, milan_ksm, TRIGGER, ("NO_FLUSH", "NO_FLUSH"), "cpus").extrapolated


LOGS = numpy.log(numpy.geomspace(1.0, 1e4, 5))


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        ([-2.0, -1.0, 1.0, 2.0, 3.0], 10**1.5),
        ([-1.0, 0.0, 1.0, 2.0, 3.0], 10.0),
        ([-2.0, -1.0, 0.0, 0.0, 1.0], 10**2.5),
        ([-5.0, -4.0, -3.0, -2.0, -1.0], numpy.inf),
        ([1.0, 2.0, 3.0, 4.0, 5.0], 0.0),
        ([-1.0, 0.0, -1.0, -2.0, -3.0], 0.0),
        ([-3.0, -2.0, -1.0, 0.0, 0.0], numpy.inf),
    ],
)
def test_a_root_may_lie_on_the_grid_and_a_tie_is_none(ratio, expected):
    """Costs that are equal at a point are a change only if the other strategy is cheaper beyond it."""
    assert breakeven._root(numpy.array(ratio), LOGS) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("drawn", "middle", "ends", "beyond"),
    [
        ([4.0, 5.0, 6.0], 5.0, (4.0, 5.0, 6.0, 5.0), ("", "", "", "")),
        ([4.0, 5.0, numpy.inf], 5.0, (4.0, 5.0, None, 5.0), ("", "", "above", "")),
        ([0.0, numpy.inf, 6.0], numpy.inf, (None, 6.0, None, None), ("below", "", "above", "above")),
        ([0.0, 0.0, 6.0], 0.0, (None, None, 6.0, None), ("below", "below", "", "below")),
    ],
)
def test_draws_without_a_root_count_as_beyond_the_end(monkeypatch, evidence, milan_ksm, drawn, middle, ends, beyond):
    def roots(trigger, strategies, case, draws, line):
        return numpy.array([middle] if draws.n == 1 else drawn)

    monkeypatch.setattr(breakeven, "_roots", roots)
    monkeypatch.setattr(breakeven, "_quantiles", lambda found: sorted(found.tolist()))
    (row,) = break_even(evidence, milan_ksm, TRIGGER, PAIR, "range_bytes").rows
    assert (row.low, row.median, row.high, row.at_medians) == ends
    assert row.beyond == beyond
    assert row.share == pytest.approx(sum(0 < x < numpy.inf for x in drawn) / 3)


def test_no_root_in_any_draw_is_no_break_even(monkeypatch, evidence, milan_ksm):
    monkeypatch.setattr(breakeven, "_roots", lambda t, s, c, draws, line: numpy.full(draws.n, numpy.inf))
    assert break_even(evidence, milan_ksm, TRIGGER, PAIR, "range_bytes").rows == ()


def test_a_pair_that_a_rule_excludes_is_refused_with_a_question_that_is_open(evidence):
    case = scenario(evidence, "sev-snp-gmem", "epyc-7763-2s", "autonuma-default")
    with pytest.raises(BadInput, match="CLFLUSHOPT_UVA is no choice for sev-snp-gmem at gmem_punch_hole") as refused:
        break_even(evidence, case, "gmem_punch_hole", ("WBNOINVD_MASK", "CLFLUSHOPT_UVA"), "range_bytes")
    assert "--guest sev --trigger autonuma_prot_none_scan" in str(refused.value)
