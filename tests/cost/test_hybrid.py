"""The cap of HYBRID: below it a range flush takes less CPU time, beyond it the whole-cache flush does."""

from dataclasses import replace

import numpy
import pytest

from costmodel.cost.breakeven import break_even
from costmodel.cost.draws import Draws
from costmodel.cost.hybrid import MOST_BYTES, cap_bytes
from costmodel.cost.scenario import scenario
from costmodel.cost.totals import total

COLD, HOT = "autonuma_prot_none_scan", "numa_or_compaction_migrate"
RANGED, WHOLE = "CLFLUSHOPT_UVA", "WBNOINVD_ALL"


@pytest.fixture(scope="module")
def case(evidence):
    return scenario(evidence, "sev", "epyc-7763-2s", "autonuma-default")


@pytest.fixture(scope="module")
def some(milan):
    return Draws(milan, 256)


@pytest.mark.parametrize("trigger", [COLD, HOT])
def test_the_costs_cross_at_the_cap(trigger, case, some):
    cap = cap_bytes(trigger, RANGED, WHOLE, case, some)
    whole = total(trigger, WHOLE, case, some).event.stolen_s
    below, beyond = (
        total(trigger, RANGED, replace(case, range_bytes=cap * factor), some).event.stolen_s
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
    cap = cap_bytes(trigger, RANGED, "WBNOINVD_MASK", few, Draws(milan, 1024))
    found = break_even(evidence, few, trigger, (RANGED, "WBNOINVD_MASK"), "range_bytes")
    (row,) = found.rows
    on_axis = (cap > found.low) & (cap < found.high)
    assert on_axis.mean() == pytest.approx(row.share, abs=0.01)
    assert numpy.median(cap[on_axis]) == pytest.approx(row.median, rel=0.02)


def test_a_narrow_mask_lowers_the_cap(case, some):
    wide = cap_bytes(COLD, RANGED, "WBNOINVD_MASK", case, some)
    narrow = cap_bytes(COLD, RANGED, "WBNOINVD_MASK", replace(case, cpus_that_ran=8.0), some)
    assert numpy.all(narrow < wide)


def test_what_always_costs_less_has_no_cap_and_what_never_does_has_none_to_use(case, some):
    assert cap_bytes(COLD, "NO_FLUSH", WHOLE, case, some) == pytest.approx(2.0**46)
    assert cap_bytes(COLD, WHOLE, "NO_FLUSH", case, some) == pytest.approx(64.0)


def test_the_cap_by_latency_is_where_the_times_cross(case, some):
    cap = cap_bytes(HOT, RANGED, WHOLE, case, some, by="time_s")
    whole = total(HOT, WHOLE, case, some).event.time_s
    below, beyond = (
        total(HOT, RANGED, replace(case, range_bytes=cap * factor), some).event.time_s for factor in (0.999, 1.001)
    )
    inside = (cap > 128) & (cap < MOST_BYTES * 0.99)
    assert inside.any()
    assert numpy.all(below[inside] <= whole[inside] * (1 + 1e-9))
    assert numpy.all(beyond[inside] >= whole[inside] * (1 - 1e-9))
    assert numpy.median(cap_bytes(HOT, RANGED, WHOLE, case, some) / cap) > 10


@pytest.mark.parametrize(("ranged", "grain"), [(RANGED, 64), ("CLFLUSHOPT_DM_PINNED", 4096)])
def test_the_cap_is_exact_to_the_line_or_the_page(ranged, grain, case, some):
    cap = cap_bytes(COLD, ranged, "WBNOINVD_MASK", case, some)
    limit = total(COLD, "WBNOINVD_MASK", case, some).event.stolen_s
    assert numpy.all(cap % grain == 0)
    at, next_ = (
        total(COLD, ranged, replace(case, range_bytes=size), some).event.stolen_s for size in (cap, cap + grain)
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
                alone = cap_bytes(trigger, ranged, "WBNOINVD_MASK", case, some, by)
                shared = cap_bytes(trigger, ranged, "WBNOINVD_MASK", case, some, by, found)
                assert numpy.array_equal(shared, alone)
    assert len(found) == 8


def test_triggers_that_cost_the_same_share_their_cap(case, some):
    """Nobody published rate or residency of either, so that their flushes cost the same: the second search is not made."""
    found = {}
    first = cap_bytes("mprotect_or_uffd_wp", RANGED, WHOLE, case, some, found=found)
    assert cap_bytes("memslot_delete_or_move", RANGED, WHOLE, case, some, found=found) is first
