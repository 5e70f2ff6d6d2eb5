"""What is sampled between events: dirty lines, masks, answers, user addresses, scan passes."""

import numpy
import pytest

from tests.simulation import samples
from tests.simulation.statistics import streams

RNG = numpy.random.default_rng


def test_a_flush_leaves_every_line_clean():
    setting = samples.DirtyCache(64, writes_per_s=1e-9, gap_s=1.0, gap_random=False)
    assert setting.dirty_lines(RNG(1), 50).sum() == 0


def test_many_writes_make_every_line_dirty_and_evictions_clean_half():
    full = samples.DirtyCache(64, 64 * 30.0, 1.0, gap_random=False)
    assert full.dirty_lines(RNG(1), 50).mean() == pytest.approx(64)
    half = samples.DirtyCache(64, 64 * 30.0, 1.0, gap_random=False, evictions_per_s=64 * 30.0)
    assert half.dirty_lines(RNG(1), 400).mean() == pytest.approx(32, rel=0.03)


@pytest.mark.parametrize("to", ["other", "idle", "near"])
def test_a_pinned_guest_keeps_the_cpus_of_its_vcpus(to):
    assert (samples.Migrations(16, 3, 0, to=to).masks(RNG(1), 100).sum(axis=1) == 3).all()


@pytest.mark.parametrize(("to", "grown"), [("other", 2), ("idle", 2), ("near", 2)])
def test_the_first_migration_of_one_vcpu_adds_another_cpu(to, grown):
    assert (samples.Migrations(16, 1, 1, "fixed", to=to).masks(RNG(1), 100).sum(axis=1) == grown).all()


def test_a_long_time_fills_the_mask():
    assert samples.Migrations(8, 2, 400).masks(RNG(1), 50).all()


def test_a_mask_of_all_cpus_touches_all_domains_and_one_cpu_one():
    assert (samples.RandomMask(4, 8, 32).touched(RNG(1), 20) == 4).all()
    assert (samples.RandomMask(4, 8, 1).touched(RNG(1), 20) == 1).all()


def test_one_cpu_answers_after_its_own_delay():
    values = samples.simulate_response(samples.Broadcast(1, 1e-5), 3)
    assert values["slowest_s"].value == pytest.approx(1e-5, rel=0.03)
    assert values["slowest_quantile_s"].value == pytest.approx(-1e-5 * numpy.log(0.01), rel=0.03)


def test_two_cpus_answer_after_one_and_a_half_delays():
    assert samples.simulate_response(samples.Broadcast(2, 1e-5), 3)["slowest_s"].value == pytest.approx(
        1.5e-5, rel=0.03
    )


def test_no_flush_is_missed_without_a_window():
    assert samples.UserAddress(100.0, 4, 0.0).missed_per_s(RNG(1)) == 0


def test_every_flush_is_missed_in_an_endless_window():
    assert samples.UserAddress(100.0, 1, 1e9).missed_per_s(RNG(1)) == pytest.approx(100, rel=0.05)


@pytest.mark.nightly
def test_one_thread_scans_once_per_period_and_thirty_two_passes():
    setting = samples.NumaScan(vcpus=1, period_s=0.1, pass_s=0.02, tick_s=1e-4)
    found = samples.simulate_numa(setting, 1)["passes_per_s"].value
    assert found == pytest.approx(1 / (0.1 + 32 * 0.02), rel=0.01)


def test_many_threads_scan_once_per_period():
    found = samples.simulate_numa(samples.NumaScan(vcpus=32, period_s=0.1, pass_s=1e-4, tick_s=1e-3), 1)[
        "passes_per_s"
    ].value
    assert 0.95 * 10 <= found <= 10


@pytest.mark.parametrize(
    ("simulate", "setting"),
    [
        (samples.simulate_cache, samples.DirtyCache(64, 64.0, 1.0, True)),
        (samples.simulate_mask, samples.Migrations(16, 2, 8.0)),
        (samples.simulate_mask, samples.RandomMask(4, 4, 5)),
        (samples.simulate_response, samples.Broadcast(4, 1e-5)),
        (samples.simulate_address, samples.UserAddress(10.0, 3, 0.1)),
        (samples.simulate_numa, samples.NumaScan(4, 0.1, 0.01)),
        (samples.simulate_whole, samples.WholeCache(2, 50, 0.5, 0.5, 1.0, 1.0, 1.0, samples.AT_ONCE)),
    ],
)
def test_the_same_seed_gives_the_same_values(simulate, setting):
    assert simulate(setting, 5) == simulate(setting, 5)


def test_streams_are_independent_of_each_other():
    first, second = streams(1, 2)
    assert abs(numpy.corrcoef(first.random(4000), second.random(4000))[0, 1]) < 0.06


def last(*numbers, **more):
    """When the last core is done with the last flush; each line takes 1, a valid one 1 more, memory 1 for a dirty
    one.
    """
    cores, valid, dirty, walk = numbers
    setting = samples.WholeCache(cores, 120, valid, dirty, 1.0, 1.0, 1.0, walk, **more)
    return setting.ends_s(RNG(1)).max()


@pytest.mark.parametrize("walk", [samples.IN_TURN, samples.AT_ONCE, samples.SHARES])
def test_one_core_walks_alike_whatever_the_way(walk):
    assert (last(1, 0.0, 0.0, walk), last(1, 1.0, 0.0, walk), last(1, 1.0, 1.0, walk)) == (120, 240, 360)


def test_cores_in_turn_take_the_sum_and_only_the_first_meets_valid_lines():
    assert last(4, 0.0, 0.0, samples.IN_TURN) == 4 * 120
    assert last(4, 1.0, 1.0, samples.IN_TURN) == 4 * 120 + 2 * 120
    assert last(4, 1.0, 1.0, samples.IN_TURN, invalidates=False) == 4 * 240 + 120, "valid for each, dirty for the first"


def test_cores_at_once_share_the_valid_lines_and_write_while_others_walk():
    assert last(4, 0.0, 0.0, samples.AT_ONCE) == 120
    assert last(4, 1.0, 0.0, samples.AT_ONCE) == pytest.approx(120 + 120 / 4, rel=0.05)
    assert last(4, 1.0, 1.0, samples.AT_ONCE) == pytest.approx(120 + 240 / 4, rel=0.05)
    slow_memory = samples.WholeCache(4, 120, 1.0, 1.0, 1.0, 1.0, 20.0, samples.AT_ONCE)
    assert slow_memory.ends_s(RNG(1)).max() == pytest.approx(120 * 20, rel=0.05), "memory alone decides"
    assert last(4, 0.0, 0.0, samples.SHARES) == 120 / 4


def test_a_flush_in_line_behind_another_finds_what_that_left():
    assert last(1, 0.0, 0.0, samples.IN_TURN, initiators=3) == 3 * 120
    assert last(1, 1.0, 1.0, samples.IN_TURN, initiators=3) == 360 + 2 * 120
    assert last(1, 1.0, 1.0, samples.IN_TURN, initiators=3, invalidates=False) == 360 + 2 * 240


def test_the_number_in_line_at_a_limit_counts_whole_flushes_and_a_part():
    setting = samples.WholeCache(2, 50, 0.0, 0.0, 1.0, 1.0, 1.0, samples.IN_TURN, initiators=4, limit_s=250.0)
    found = samples.simulate_whole(setting, 1)
    assert found["initiators_in_line"].value == 2.5 and found["flush_s"].value == 400.0
    assert found["stolen_s"].value == pytest.approx((350 + 400) / 4)
