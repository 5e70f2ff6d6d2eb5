"""What is sampled between events: dirty lines, masks, answers, user addresses, scan passes."""

import numpy
import pytest

from costmodel.simulation import address, cache, mask, numa, response
from costmodel.simulation.draws import streams

RNG = numpy.random.default_rng


def test_a_flush_leaves_every_line_clean():
    setting = cache.DirtyCache(64, writes_per_s=1e-9, gap_s=1.0, gap_random=False)
    assert setting.dirty_lines(RNG(1), 50).sum() == 0


def test_many_writes_make_every_line_dirty_and_evictions_clean_half():
    full = cache.DirtyCache(64, 64 * 30.0, 1.0, gap_random=False)
    assert full.dirty_lines(RNG(1), 50).mean() == pytest.approx(64)
    half = cache.DirtyCache(64, 64 * 30.0, 1.0, gap_random=False, evictions_per_s=64 * 30.0)
    assert half.dirty_lines(RNG(1), 400).mean() == pytest.approx(32, rel=0.03)


@pytest.mark.parametrize("to", ["other", "idle", "near"])
def test_a_pinned_guest_keeps_the_cpus_of_its_vcpus(to):
    assert (mask.Migrations(16, 3, 0, to=to).masks(RNG(1), 100).sum(axis=1) == 3).all()


@pytest.mark.parametrize(("to", "grown"), [("other", 2), ("idle", 2), ("near", 2)])
def test_the_first_migration_of_one_vcpu_adds_another_cpu(to, grown):
    assert (mask.Migrations(16, 1, 1, "fixed", to=to).masks(RNG(1), 100).sum(axis=1) == grown).all()


def test_a_long_time_fills_the_mask():
    assert mask.Migrations(8, 2, 400).masks(RNG(1), 50).all()


def test_a_mask_of_all_cpus_touches_all_domains_and_one_cpu_one():
    assert (mask.RandomMask(4, 8, 32).touched(RNG(1), 20) == 4).all()
    assert (mask.RandomMask(4, 8, 1).touched(RNG(1), 20) == 1).all()


def test_one_cpu_answers_after_its_own_delay():
    values = response.simulate(response.Broadcast(1, 1e-5), 3)
    assert values["slowest_s"].value == pytest.approx(1e-5, rel=0.03)
    assert values["slowest_quantile_s"].value == pytest.approx(-1e-5 * numpy.log(0.01), rel=0.03)


def test_two_cpus_answer_after_one_and_a_half_delays():
    assert response.simulate(response.Broadcast(2, 1e-5), 3)["slowest_s"].value == pytest.approx(1.5e-5, rel=0.03)


def test_no_flush_is_missed_without_a_window():
    assert address.UserAddress(100.0, 4, 0.0).missed_per_s(RNG(1)) == 0


def test_every_flush_is_missed_in_an_endless_window():
    assert address.UserAddress(100.0, 1, 1e9).missed_per_s(RNG(1)) == pytest.approx(100, rel=0.05)


def test_one_thread_scans_once_per_period_and_thirty_two_passes():
    setting = numa.NumaScan(vcpus=1, period_s=0.1, pass_s=0.02, tick_s=1e-4)
    found = numa.simulate(setting, 1)["passes_per_s"].value
    assert found == pytest.approx(1 / (0.1 + 32 * 0.02), rel=0.01)


def test_many_threads_scan_once_per_period():
    found = numa.simulate(numa.NumaScan(vcpus=32, period_s=0.1, pass_s=1e-4, tick_s=1e-3), 1)["passes_per_s"].value
    assert 0.95 * 10 <= found <= 10


@pytest.mark.parametrize(
    ("simulate", "setting"),
    [
        (cache.simulate, cache.DirtyCache(64, 64.0, 1.0, True)),
        (mask.simulate, mask.Migrations(16, 2, 8.0)),
        (mask.simulate, mask.RandomMask(4, 4, 5)),
        (response.simulate, response.Broadcast(4, 1e-5)),
        (address.simulate, address.UserAddress(10.0, 3, 0.1)),
        (numa.simulate, numa.NumaScan(4, 0.1, 0.01)),
    ],
)
def test_the_same_seed_gives_the_same_values(simulate, setting):
    assert simulate(setting, 5) == simulate(setting, 5)


def test_streams_are_independent_of_each_other():
    first, second = streams(1, 2)
    assert abs(numpy.corrcoef(first.random(4000), second.random(4000))[0, 1]) < 0.06
