"""Median and central 90 %."""

import numpy
import pytest

from costmodel.cost.event import EventCost
from costmodel.cost.total import Total
from costmodel.decision.estimates import CPU_TIME, Quantity, interval_of, paired, refused_row, rows_of


def test_the_interval_leaves_a_twentieth_out_on_either_side():
    found = interval_of(numpy.linspace(0, 100, 1001), "s", True, most=7.0)
    assert (found.low, found.median, found.high) == pytest.approx((5, 50, 95))
    assert (found.unit, found.extrapolated, found.most) == ("s", True, 7.0)


def test_of_nothing_there_is_no_interval():
    assert interval_of(None, "s", False) is None


# Two quantities over the same draws: the verdict follows the 90 % interval of their ratio or difference.

DRAWS = numpy.linspace(1.0, 2.0, 1001)
KNOWN = (False, False)


def verdict(base, new, marks=KNOWN):
    return paired(Quantity("time", "time", "s"), numpy.asarray(base, float), numpy.asarray(new, float), marks)


@pytest.mark.parametrize(
    ("factor", "expected"), [(0.5, "lower"), (2.0, "higher"), (1.0, "equal")], ids=["half", "double", "same"]
)
def test_a_ratio_that_stays_on_one_side_is_told(factor, expected):
    row = verdict(DRAWS, factor * DRAWS)
    assert row.verdict == expected
    if factor != 1.0:
        assert (row.ratio.low, row.ratio.median, row.ratio.high) == pytest.approx((factor,) * 3)
        assert row.ratio.unit == "1"
    assert row.base.median == pytest.approx(1.5)
    assert row.new.median == pytest.approx(1.5 * factor)
    assert row.base.unit == row.new.unit == row.unit == "s"


def test_a_ratio_on_both_sides_of_one_is_undecided():
    factors = numpy.linspace(0.9, 1.1, 1001)
    row = verdict(DRAWS, factors * DRAWS)
    assert row.verdict == "undecided"
    assert row.ratio.low == pytest.approx(0.91) and row.ratio.high == pytest.approx(1.09)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.04, "higher"), (0.06, "undecided"), (0.94, "undecided"), (0.96, "lower")]
)
def test_a_twentieth_on_the_other_side_is_allowed(share, expected):
    """`share` of the draws is half of the base, the rest twice it."""
    factors = numpy.where(numpy.arange(1000) < 1000 * share, 0.5, 2.0)
    assert verdict(numpy.ones(1000), factors).verdict == expected
    base = numpy.concatenate([[0.0], numpy.ones(999)])
    assert verdict(base, base + factors - 1).verdict == expected


def test_without_a_base_the_difference_decides_and_there_is_no_ratio():
    for new, expected in (
        (numpy.ones(3), "higher"),
        (numpy.array([-1.0, 0.0, 1.0]), "undecided"),
        (-numpy.ones(3), "lower"),
    ):
        row = verdict(numpy.zeros(3), new)
        assert (row.verdict, row.ratio) == (expected, None)
    assert verdict(numpy.zeros(3), numpy.zeros(3)).verdict == "equal"


def test_what_is_extrapolated_is_marked_where_it_enters():
    row = verdict(DRAWS, 2 * DRAWS, (True, False))
    assert (row.base.extrapolated, row.new.extrapolated, row.ratio.extrapolated) == (True, False, True)
    row = verdict(DRAWS, 2 * DRAWS, (False, True))
    assert (row.base.extrapolated, row.new.extrapolated, row.ratio.extrapolated) == (False, True, True)
    assert not verdict(DRAWS, 2 * DRAWS).ratio.extrapolated


def made(strategy, factor, rate=None, refused=None):
    parts = {
        name: factor * size * numpy.ones(4) for name, size in (("time_s", 1.0), ("stolen_s", 2.0), ("guest_s", 4.0))
    }
    event = None if refused else EventCost(irq_off_s=factor * 3 * numpy.ones(4), neighbours_s=numpy.zeros(4), **parts)
    rates = None if rate is None else rate * numpy.ones(4)
    return Total(
        "munmap_or_discard", strategy, event, factor * 5 * numpy.ones(4), rates, False, 256, (), False, refused
    )


def test_every_quantity_that_both_have_is_a_row():
    rows = {row.quantity: row for row in rows_of(made("WBINVD_ALL", 1, rate=2.0), made("WBNOINVD_ALL", 3, rate=2.0))}
    ids = {row.id: row.quantity for row in rows.values()}
    assert ids == {
        "cpu_time": "CPU time/event",
        "host_cpus": "host CPUs lost",
        "event_time": "event latency",
        "event_time_p99": "event latency, p99",
        "interrupts_off": "IRQs off",
        "guest_stall_time": "vCPU stall",
    }
    medians = {name: (row.base.median, row.new.median, row.unit) for name, row in rows.items()}
    assert medians == {
        "CPU time/event": (2, 6, "s"),
        "host CPUs lost": (4, 12, "1"),
        "event latency": (1, 3, "s"),
        "event latency, p99": (5, 15, "s"),
        "IRQs off": (3, 9, "s"),
        "vCPU stall": (4, 12, "s"),
    }
    assert {row.verdict for row in rows.values()} == {"higher"}


def test_without_a_rate_on_one_side_no_loss_is_compared():
    for rates in ((2.0, None), (None, 2.0), (None, None)):
        pair = (made(name, 1, rate=rate) for name, rate in zip(("WBINVD_ALL", "WBNOINVD_ALL"), rates, strict=True))
        names = {row.quantity for row in rows_of(*pair)}
        assert "host CPUs lost" not in names and len(names) == 5


def test_a_missing_number_refuses_the_comparison_once():
    (row,) = rows_of(made("A", 1, refused="nobody timed it"), made("B", 1, refused="nobody timed it"))
    assert row == refused_row(CPU_TIME, "nobody timed it")
    assert (row.id, row.unit) == ("cpu_time", "s")
    assert (row.verdict, row.base, row.new, row.ratio) == ("refused", None, None, None)
    (row,) = rows_of(made("A", 1), made("B", 1, refused="no bandwidth"))
    assert row.refused == "no bandwidth"


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_twentieth_that_is_equal_leaves_it_undecided(factor):
    """The end of the interval lies on 1 itself, or on 0 of the difference."""
    factors = numpy.where(numpy.arange(1000) < 100, 1.0, factor)
    assert verdict(numpy.ones(1000), factors).verdict == "undecided"
    base = numpy.concatenate([[0.0], numpy.ones(999)])
    assert verdict(base, base + factors - 1).verdict == "undecided"
