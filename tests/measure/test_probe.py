"""Order, repetitions, stability and what a probe says of itself."""

import random

import pytest

from costmodel.measure.probe import FEWEST_REPETITIONS, Settings, Table, repeat, rounds


def filled(values_by_cell):
    table = Table("flush", "measured_s")
    for name, values in values_by_cell.items():
        table.rows += [{"cell": name, "run": 0, "repetition": i, "measured_s": v} for i, v in enumerate(values)]
    return table


def test_every_cell_is_measured_as_often_and_in_another_order():
    table, orders = Table("flush", "measured_s"), []
    cells = [{"size": n} for n in range(8)]
    settings = Settings(quick=True)

    def measure(cell):
        orders.append(cell["size"])
        return {"s": 1.0}

    repeat(table, cells, settings, 0, measure, lambda: None)
    assert len(table.rows) == 8 * settings.repetitions
    rows = [orders[i : i + 8] for i in range(0, len(orders), 8)]
    assert len({tuple(row) for row in rows}) > 1
    assert all(sorted(row) == list(range(8)) for row in rows)


def test_the_warm_up_round_is_not_kept_and_progress_is_told():
    ticks, calls = [], []
    settings = Settings()
    table = Table("flush", "measured_s")
    repeat(table, [{}], settings, 0, lambda cell: calls.append(1) or {"s": 1.0}, lambda: ticks.append(1))
    assert len(calls) == settings.repetitions + 1 == len(ticks)
    assert rounds(settings) == settings.runs * (settings.repetitions + 1)


def test_a_drifting_run_is_called_unstable():
    drifting = filled({"a": [1.0] * 6 + [1.5] * 6, "b": [2.0] * 6 + [3.0] * 6})
    assert any("UNSTABLE" in text and "50.0%" in text for text in drifting.judge())


def test_a_steady_run_is_called_stable():
    noise = random.Random(1)
    steady = filled({n: [1.0 + 0.01 * noise.random() for _ in range(12)] for n in "abc"})
    assert any("flush: stable" in text for text in steady.judge())


def test_too_few_repetitions_carry_no_interval():
    assert any("no interval" in t for t in filled({"a": [1.0] * (FEWEST_REPETITIONS - 1)}).judge())


def test_outliers_are_counted():
    spread = [1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01, 50.0]
    assert any("1 of 8 values" in text for text in filled({"a": spread}).judge())


def test_a_table_of_events_has_no_stability():
    events = Table("invalidations", "", rows=[{"trigger": "ksm", "measured_range_bytes": 4096}])
    assert events.judge() == []


@pytest.mark.parametrize("quick", [True, False])
def test_intervals_are_possible_in_both_lengths(quick):
    assert Settings(quick).repetitions >= FEWEST_REPETITIONS
    assert Settings(quick).runs >= 2
