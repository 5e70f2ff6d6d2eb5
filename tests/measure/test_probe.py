"""Order, repetitions, stability and what a probe says of itself."""

import os
import random

import pytest

from costmodel.measure.probe import FEWEST_REPETITIONS, Conditions, Settings, Table, Watch, repeat, rounds


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


def steady(conditions):
    table = filled({n: [1.0] * 12 for n in "abc"})
    table.conditions = conditions
    return table.judge()


CALM = {"cpus": 2, "load_before": 0.1, "others_cpus": 0.05, "steal_share": 0.0, "preempted_per_s": 1.0}


def test_a_calm_run_is_called_stable():
    assert any("flush: stable" in text for text in steady(Conditions(**CALM)))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"load_before": 5.5}, "load average 5.5 before (at most 0.3)"),
        ({"others_cpus": 1.25}, "others took 1.2 CPUs (at most 0.3)"),
        ({"steal_share": 0.08}, "steal 8.0% (at most 1%)"),
        ({"preempted_per_s": 120.0}, "preempted 120 times per second (at most 10)"),
    ],
)
def test_a_run_beside_other_load_is_not_called_stable_however_alike_its_halves_are(what, said):
    found = steady(Conditions(**CALM | what))
    halves = "halves of the run differ by 0.0% (median over cells)"
    assert [text for text in found if "stable" in text.lower()] == [
        f"flush: UNSTABLE, {halves}; the machine was not calm: {said}"
    ]


def test_a_short_run_beside_other_load_is_not_called_stable_either():
    table = filled({"a": [1.0] * (FEWEST_REPETITIONS - 1)})
    table.conditions = Conditions(**CALM | {"load_before": 5.0})
    assert any(text.startswith("flush: UNSTABLE, the machine was not calm") for text in table.judge())


def test_a_large_host_may_be_a_little_busy_elsewhere():
    assert Conditions(**CALM | {"cpus": 256, "others_cpus": 2.0}).disturbances() == []
    assert Conditions(**CALM | {"cpus": 256, "others_cpus": 20.0}).disturbances() != []


def test_the_time_of_others_is_that_of_the_machine_less_our_own(tmp_path):
    def stat(busy, steal):
        ticks = os.sysconf("SC_CLK_TCK")
        words = (busy * ticks, 0, 0, 0, 0, 0, 0, steal * ticks, 0, 0)
        (tmp_path / "stat").write_text(f"cpu  {' '.join(map(str, words))}\ncpu0 1 2\n")

    stat(100, 10)
    watch = Watch(tmp_path)
    idle = watch.conditions(0.0)
    assert idle.others_cpus == 0.0 and idle.steal_share == 0.0
    stat(100_000, 50_000)
    seen = watch.conditions(0.2)
    assert seen.load_before == 0.2
    assert seen.others_cpus > 0 and 2 * seen.steal_share * seen.cpus == pytest.approx(seen.others_cpus, rel=0.01)
    assert len(seen.disturbances()) >= 2


def test_the_machine_that_runs_this_can_be_watched():
    seen = Watch().conditions(0.0)
    assert seen.cpus >= 1 and min(seen.others_cpus, seen.steal_share, seen.preempted_per_s) >= 0
