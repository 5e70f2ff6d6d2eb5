"""Bounds from boots and resumes: by hand where one log says it all, and what may not change them."""

from types import SimpleNamespace

import numpy
import pytest

from costmodel.calibration.rendezvous import bounded, usable
from costmodel.evidence.store import load

EVIDENCE = load()
ANCHOR_S, FACTOR, TIGHT = 5e-9, 10.0, 1e-3


def log(longest_s, method="resume-s3", flushes=100, lines=1e6, generation="zen9", id="made"):
    bound = None if longest_s is None else longest_s / flushes
    return SimpleNamespace(
        id=id,
        method=method,
        generation=generation,
        flushes=flushes,
        capacity_lines=lines,
        longest_s=longest_s,
        flush_at_most_s=bound,
    )


def test_without_a_log_the_prior_stays():
    found = bounded([], ANCHOR_S, FACTOR, TIGHT)
    for shape in (found.empty, found.valid):
        assert shape.median == pytest.approx(found.before.median, rel=0.02)
        assert shape.high == pytest.approx(found.before.high, rel=0.02)
    assert found.before.a == pytest.approx(ANCHOR_S / 1000) and found.before.b == pytest.approx(ANCHOR_S * FACTOR)


def test_a_resume_cuts_the_prior_of_an_empty_line_at_its_bound():
    """100 flushes of a million lines in 10 ms: at most 0.1 ns each; log-uniform below. A full line it says nothing of."""
    found = bounded([log(0.01)], ANCHOR_S, FACTOR, TIGHT)
    low, bound = ANCHOR_S / 1000, 1e-10
    assert found.empty.median == pytest.approx(numpy.sqrt(low * bound), rel=0.03)
    assert found.empty.high == pytest.approx(low * (bound / low) ** 0.95, rel=0.03)
    assert found.valid.median == pytest.approx(found.before.median, rel=0.02)


def test_a_boot_holds_one_full_domain_too():
    found = bounded([log(0.01, method="boot")], ANCHOR_S, FACTOR, TIGHT)
    assert found.valid.high < 0.01 / 1e6
    assert found.valid.median == pytest.approx(numpy.sqrt(ANCHOR_S / 1000 * 1e-8), rel=0.5)


def test_a_tighter_log_leaves_less_and_a_loose_one_changes_nothing():
    one = bounded([log(0.01)], ANCHOR_S, FACTOR, TIGHT)
    assert bounded([log(0.01), log(10.0)], ANCHOR_S, FACTOR, TIGHT).empty == one.empty
    assert bounded([log(0.01), log(0.005)], ANCHOR_S, FACTOR, TIGHT).empty.high < one.empty.high


def test_machines_that_differ_more_soften_the_bound():
    sharp, soft = (bounded([log(0.01)], ANCHOR_S, FACTOR, deviation).empty for deviation in (TIGHT, 1.0))
    assert soft.high > 1.5 * sharp.high


def test_other_cores_and_logs_that_bound_nothing_do_not_count():
    rows = [log(0.01, id="a"), log(None, id="b"), log(1e-6, generation="k10", id="c"), log(1e-6, lines=None, id="d")]
    assert [row.id for row in usable(rows)] == ["a"]
    assert bounded(rows, ANCHOR_S, FACTOR, TIGHT).used == ("a",)


def test_the_control_and_the_incomplete_logs_are_left_out():
    used = {row.id for row in usable(list(EVIDENCE.rendezvous.values()))}
    for row in EVIDENCE.rendezvous.values():
        if row.quality in ("control", "incomplete"):
            assert row.id not in used
    assert {"s3-ryzen-12-core", "boot-ryzen-ai-7-350", "s4-epyc-rome-2s"} <= used


def test_the_form_that_the_logs_rule_out():
    """A line of capacity that costs what Skylake-SP's does, whatever the cache holds: no log has time for it."""
    for id in ("s3-ryzen-12-core", "s4-epyc-rome-2s", "boot-ryzen-ai-7-350"):
        row = EVIDENCE.rendezvous[id]
        assert row.flushes * row.capacity_lines * 5.6e-9 > 5 * row.longest_s
