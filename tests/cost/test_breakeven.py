"""Where one strategy becomes cheaper than another: crossings, caps of HYBRID, break-evens."""

import math
from dataclasses import replace

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.cost import breakeven, event
from costmodel.cost.breakeven import MOST_BYTES, break_even, cap_bytes, crossings
from costmodel.cost.draws import Case, Draws, medians
from costmodel.cost.scenario import AXES, scenario
from costmodel.cost.total import total
from costmodel.errors import BadInput, MissingNumber, UnknownName
from costmodel.formulas.compiled import value

TRIGGER = "ksm_replace_page"


@pytest.fixture(scope="module")
def case(evidence):
    return scenario(evidence, "sev", "epyc-7763-2s", "autonuma-default")


# Roots along an axis, against functions whose roots are known.


@given(st.floats(1.5, 900.0))
def test_one_root_of_a_line_is_found(root):
    assert crossings(lambda x: x - root, 1.0, 1000.0) == [pytest.approx(root, rel=1e-9)]


def test_every_root_is_found_in_order():
    found = crossings(lambda x: numpy.sin(numpy.log(x) * math.pi), 1.2, math.exp(3.5))
    assert found == [pytest.approx(math.exp(k), rel=1e-9) for k in (1, 2, 3)]


def test_no_root_gives_nothing():
    assert crossings(lambda x: x + 1, 1.0, 1000.0) == []


def test_a_step_has_its_crossing_at_the_step():
    assert crossings(lambda x: numpy.where(x < 64, -1.0, 1.0), 1.0, 4096.0) == [pytest.approx(64, rel=1e-6)]


def test_places_without_a_number_are_passed_over():
    assert crossings(lambda x: numpy.where(x < 10, math.nan, x - 100), 1.0, 1000.0) == [pytest.approx(100)]


def test_a_root_on_a_point_of_the_grid_is_found():
    """The middle of the grid, and a stretch without difference: one crossing each."""
    assert crossings(numpy.log, math.exp(-1), math.e) == [pytest.approx(1.0)]
    (found,) = crossings(lambda x: numpy.minimum(0.0, x - 10.0) + numpy.maximum(0.0, x - 100.0), 1.0, 1000.0)
    assert 10.0 <= found <= 100.0


def test_where_a_difference_only_touches_zero_nothing_crosses():
    assert crossings(lambda x: numpy.log(x) ** 2, math.exp(-1), math.e) == []
    assert crossings(lambda x: 0.0 * x, 1.0, 1000.0) == []


@pytest.mark.parametrize("root", [1.001, 999.0])
def test_a_root_beside_an_end_is_found(root):
    assert crossings(lambda x: x - root, 1.0, 1000.0) == [pytest.approx(root, rel=1e-9)]


def test_no_root_is_looked_for_across_a_place_without_a_number():
    assert crossings(lambda x: numpy.where((x > 9) & (x < 12), math.nan, x - 10), 1.0, 1000.0) == []
    assert crossings(lambda x: numpy.where(x > 50, math.inf, x - 100), 1.0, 1000.0) == []


# The cap of HYBRID: below it a range flush takes less CPU time, beyond it the whole-cache flush does.

COLD, HOT = "autonuma_prot_none_scan", "numa_or_compaction_migrate"
RANGED, WHOLE = "CLFLUSHOPT_UVA", "WBNOINVD_ALL"


@pytest.fixture(scope="module")
def some(milan):
    return Draws(milan, 256)


@pytest.mark.parametrize("trigger", [COLD, HOT])
def test_the_costs_cross_at_the_cap(trigger, case, some):
    cap = cap_bytes(Case(trigger, case, some), RANGED, WHOLE)
    whole = total(Case(trigger, case, some), WHOLE).event.stolen_s
    below, beyond = (
        total(Case(trigger, replace(case, range_bytes=cap * factor), some), RANGED).event.stolen_s
        for factor in (0.999, 1.001)
    )
    inside = (cap > 128) & (cap < MOST_BYTES * 0.99)
    assert inside.mean() > 0.9
    assert numpy.all(below[inside] <= whole[inside] * (1 + 1e-9))
    assert numpy.all(beyond[inside] >= whole[inside] * (1 - 1e-9))


@pytest.mark.parametrize("trigger", [COLD, HOT])
def test_the_cap_is_the_break_even(trigger, evidence, case, milan):
    """On eight CPUs: against a flush of all 256 the break-even lies beyond the axis."""
    few = replace(case, cpus_that_ran=8.0)
    cap = cap_bytes(Case(trigger, few, Draws(milan, 1024)), RANGED, "WBNOINVD_MASK")
    found = break_even(evidence, few, trigger, (RANGED, "WBNOINVD_MASK"), "range_bytes")
    (row,) = found.rows
    on_axis = (cap > found.low) & (cap < found.high)
    assert on_axis.mean() == pytest.approx(row.share, abs=0.01)
    assert numpy.median(cap[on_axis]) == pytest.approx(row.median, rel=0.02)


def test_a_narrow_mask_lowers_the_cap(case, some):
    wide = cap_bytes(Case(COLD, case, some), RANGED, "WBNOINVD_MASK")
    narrow = cap_bytes(Case(COLD, replace(case, cpus_that_ran=8.0), some), RANGED, "WBNOINVD_MASK")
    assert numpy.all(narrow < wide)


def test_what_always_costs_less_has_no_cap_and_what_never_does_has_none_to_use(case, some):
    assert cap_bytes(Case(COLD, case, some), "NO_FLUSH", WHOLE) == pytest.approx(2.0**46)
    assert cap_bytes(Case(COLD, case, some), WHOLE, "NO_FLUSH") == pytest.approx(64.0)


def test_the_cap_by_latency_is_where_the_times_cross(case, some):
    cap = cap_bytes(Case(HOT, case, some), RANGED, WHOLE, by="time_s")
    whole = total(Case(HOT, case, some), WHOLE).event.time_s
    below, beyond = (
        total(Case(HOT, replace(case, range_bytes=cap * factor), some), RANGED).event.time_s
        for factor in (0.999, 1.001)
    )
    inside = (cap > 128) & (cap < MOST_BYTES * 0.99)
    assert inside.any()
    assert numpy.all(below[inside] <= whole[inside] * (1 + 1e-9))
    assert numpy.all(beyond[inside] >= whole[inside] * (1 - 1e-9))
    assert numpy.median(cap_bytes(Case(HOT, case, some), RANGED, WHOLE) / cap) > 10


@pytest.mark.parametrize(("ranged", "grain"), [(RANGED, 64), ("CLFLUSHOPT_DM_PINNED", 4096)])
def test_the_cap_is_exact_to_the_line_or_the_page(ranged, grain, case, some):
    cap = cap_bytes(Case(COLD, case, some), ranged, "WBNOINVD_MASK")
    limit = total(Case(COLD, case, some), "WBNOINVD_MASK").event.stolen_s
    assert numpy.all(cap % grain == 0)
    at, next_ = (
        total(Case(COLD, replace(case, range_bytes=size), some), ranged).event.stolen_s for size in (cap, cap + grain)
    )
    inside = (cap > grain) & (cap < MOST_BYTES)
    assert inside.any()
    assert numpy.all(at[inside] <= limit[inside]) and numpy.all(next_[inside] > limit[inside])


def test_caps_that_were_found_are_those_of_the_pair_that_is_asked(case, some):
    """Two triggers and two range flushes, by CPU time and by time, share one store: each cap is the one found alone."""
    found = {}
    for trigger in (COLD, HOT, COLD):
        for ranged in (RANGED, "CLFLUSHOPT_DM_PINNED"):
            for by in ("stolen_s", "time_s"):
                alone = cap_bytes(Case(trigger, case, some), ranged, "WBNOINVD_MASK", by)
                shared = cap_bytes(Case(trigger, case, some), ranged, "WBNOINVD_MASK", by, found)
                assert numpy.array_equal(shared, alone)
    assert len(found) == 8


def test_triggers_that_cost_the_same_share_their_cap(case, some):
    """Nobody published rate or residency of either, so that their flushes cost the same: the second search is not
    made.
    """
    found = {}
    first = cap_bytes(Case("mprotect_or_uffd_wp", case, some), RANGED, WHOLE, found=found)
    assert cap_bytes(Case("memslot_delete_or_move", case, some), RANGED, WHOLE, found=found) is first


# Break-evens per draw, against the closed form and against costs on either side.

PAIR = ("WBNOINVD_MASK", "CLFLUSHOPT_DM_SPTE")


def stolen(case, strategy, draws):
    return float(total(Case(TRIGGER, case, draws), strategy).event.stolen_s[0])


@pytest.fixture(scope="module")
def pinned(milan_ksm):
    """Eight CPUs ran the guest."""
    return replace(milan_ksm, cpus_that_ran=8.0)


@pytest.fixture(scope="module")
def by_range(evidence, pinned):
    return break_even(evidence, pinned, TRIGGER, PAIR, "range_bytes")


@pytest.mark.nightly
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
    present = float(event.present_fraction(draws, pinned.machine, pinned.resident_bytes, residency, size)[0])
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
        numbers = {
            name: pytest.approx(getattr(two, name), rel=1e-9) for name in ("low", "median", "high", "at_medians")
        }
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
        break_even(evidence, milan_ksm, TRIGGER, PAIR, "latency")


def test_the_interval_is_that_of_the_caps_draw_by_draw(by_range, pinned, milan):
    """The halving of `cap_bytes` finds the same range in every draw; what it finds beyond the sweep counts as beyond."""
    cap = cap_bytes(Case(TRIGGER, pinned, Draws(milan, 1024)), PAIR[1], PAIR[0])
    row = by_range.rows[0]
    inside = (cap > by_range.low) & (cap < by_range.high)
    assert row.share == pytest.approx(float(inside.mean()), abs=0.01)
    found = numpy.quantile(cap, (0.05, 0.5, 0.95), method="closest_observation")
    for told, side, point in zip((row.low, row.median, row.high), row.beyond, found, strict=False):
        assert told == pytest.approx(point, rel=0.05) if told else point > by_range.high and side == "above"
    middle = cap_bytes(Case(TRIGGER, pinned, medians(milan)), PAIR[1], PAIR[0])
    assert row.at_medians == pytest.approx(float(middle[0]), rel=0.02)
    assert (row.unit, by_range.unit, by_range.over, by_range.strategies) == ("B", "B", "range_bytes", PAIR)


def test_rates_have_a_row_per_strategy_and_share_with_its_interval(evidence, milan_ksm, milan):
    result = break_even(evidence, milan_ksm, TRIGGER, ("WBNOINVD_MASK", "NO_FLUSH"), "rate_per_s")
    assert [row.label for row in result.rows] == [
        "WBNOINVD_MASK costs 1% of the host",
        "WBNOINVD_MASK costs 10% of the host",
    ]
    taken = total(Case(TRIGGER, milan_ksm, Draws(milan, 1024)), "WBNOINVD_MASK").event.stolen_s
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
