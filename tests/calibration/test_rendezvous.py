"""Bounds from boots and resumes: by hand where one log says it all, and what may not change them."""

from dataclasses import dataclass

import numpy
import pytest

from costmodel.calibration.rendezvous import bounded, usable
from costmodel.evidence.store import load

EVIDENCE = load()
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


def left(*rows, deviation=TIGHT, freedom=MANY):
    return bounded(rows, ANCHOR_S, FACTOR, deviation, freedom)


def test_without_a_log_the_prior_stays():
    found = left()
    for shape in (found.empty, found.valid):
        assert shape.median == pytest.approx(found.before.median, rel=0.02)
        assert shape.high == pytest.approx(found.before.high, rel=0.02)
    assert found.before.a == pytest.approx(ANCHOR_S / 1000) and found.before.b == pytest.approx(ANCHOR_S * FACTOR)


def test_a_resume_cuts_the_prior_of_an_empty_line_at_its_bound():
    """100 flushes of a million lines in 10 ms: at most 0.1 ns each; log-uniform below. A full line it says nothing of."""
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
