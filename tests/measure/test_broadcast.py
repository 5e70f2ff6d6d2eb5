"""Interrupts that reach their targets, and what is refused where they do not."""

import pytest

from costmodel.measure import hardware
from costmodel.measure.host import describe, usable_cpus
from costmodel.measure.probe import Settings, Skipped, Table

QUICK = Settings(quick=True)


def test_the_targets_of_a_broadcast_are_hit():
    if len(usable_cpus()) < 2:
        pytest.skip("one CPU")
    try:
        table = hardware.broadcast_probe(describe(), QUICK, lambda: None)
    except Skipped as reason:
        pytest.skip(str(reason))
    assert all(row["measured_call_s"] > 0 for row in table.rows)
    assert any("proxy" in note for note in table.notes)


def test_targets_that_take_no_interrupt_refuse_the_point(tmp_path):
    if len(usable_cpus()) < 2:
        pytest.skip("one CPU")
    names = " ".join(f"CPU{n}" for n in range(max(usable_cpus()) + 1))
    zeros = " ".join("0" for _ in range(max(usable_cpus()) + 1))
    (tmp_path / "interrupts").write_text(f"   {names}\nCAL: {zeros} Function call interrupts\n")
    with pytest.raises(Skipped, match="did not take"):
        hardware.broadcast_probe(describe(), QUICK, lambda: None, proc=tmp_path)


def test_interrupts_that_cannot_be_checked_are_refused(tmp_path):
    (tmp_path / "interrupts").write_text("   CPU0\nLOC: 1 timer\n")
    with pytest.raises(Skipped, match="CAL"):
        hardware.interrupts(tmp_path, [0])


def test_two_cpus_give_one_point_and_no_slope(monkeypatch):
    if len(usable_cpus()) < 2:
        pytest.skip("one CPU")
    monkeypatch.setattr(hardware, "usable_cpus", lambda: usable_cpus()[:2])
    try:
        table = hardware.broadcast_probe(describe(), QUICK, lambda: None)
    except Skipped as reason:
        pytest.skip(str(reason))
    assert {row["targets"] for row in table.rows} == {1}
    assert any("no slope" in note for note in table.notes)


def test_one_cpu_is_said_to_be_too_few(host, monkeypatch):
    monkeypatch.setattr(hardware, "usable_cpus", lambda: [0])
    with pytest.raises(Skipped, match="one CPU"):
        hardware.broadcast_probe(host, QUICK, lambda: None)


def table_of(shares):
    rows = [
        {"targets": k, "measured_call_s": 1e-5, "measured_hit_share": s} for k, them in shares.items() for s in them
    ]
    return Table("broadcast", "measured_call_s", rows=rows)


def test_repetitions_that_missed_their_interrupts_are_dropped_and_counted():
    table = table_of({1: [1.0, 1.02, 0.98, 0.97, 0.05], 2: [1.0] * 5})
    hardware._keep_hits(table, 5)
    assert [row["measured_hit_share"] for row in table.rows] == [1.0, 1.02, 0.98] + [1.0] * 5
    assert table.notes == ["1 targets: 2 of 5 repetitions missed interrupts (share below 0.98); they are dropped"]


def test_a_point_with_less_than_half_of_its_repetitions_is_refused():
    table = table_of({1: [1.0, 0.5, 0.5, 0.5, 1.0], 2: [1.0] * 5})
    hardware._keep_hits(table, 5)
    assert {row["targets"] for row in table.rows} == {2}
    assert table.notes == ["1 targets: refused, the CPUs did not take the interrupts"]
