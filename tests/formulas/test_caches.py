"""The mask of CPUs that ran a guest, against exact counts and means over them."""

import math

import pytest
from scipy.integrate import quad

from tests.formulas.domain import exact

CPUS, VCPUS = 16, 4


def expected_mask(moves):
    """Each migration lands on any of the other CPUs: a CPU outside the mask stays outside with 1 - 1/(s - 1)."""
    return CPUS - (CPUS - VCPUS) * (1 - 1 / (CPUS - 1)) ** moves


@pytest.mark.parametrize("moves", [0, 1, 2, 30])
def test_the_mask_after_a_number_of_migrations(moves):
    found = exact("mask_after_migrations", other_cpus=CPUS - 2, vcpus=VCPUS, migrations=moves)
    assert found == pytest.approx(expected_mask(moves))


@pytest.mark.parametrize("mean", [0, 0.5, 8, 40])
def test_the_mask_is_the_mean_over_a_poisson_number_of_migrations(mean):
    terms = (math.exp(-mean + n * math.log(mean) - math.lgamma(n + 1)) * expected_mask(n) for n in range(200) if mean)
    found = exact("mask_cpus", allowed_cpus=CPUS, vcpus=VCPUS, migrations=mean)
    assert found == pytest.approx(sum(terms) if mean else VCPUS)


def test_one_allowed_cpu_is_the_mask():
    assert exact("mask_cpus", allowed_cpus=1, vcpus=1, migrations=7) == 1


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7])
def test_the_migrations_to_a_share_leave_that_share_out(share):
    moves = exact("migrations_to_share", allowed_cpus=CPUS, vcpus=VCPUS, untouched_fraction=share)
    left_out = CPUS - exact("mask_cpus", allowed_cpus=CPUS, vcpus=VCPUS, migrations=moves)
    assert left_out == pytest.approx(share * CPUS)


def test_a_share_that_the_vcpus_fill_alone_takes_no_migration():
    assert exact("migrations_to_share", allowed_cpus=CPUS, vcpus=VCPUS, untouched_fraction=0.8) == 0


def test_the_mask_between_flushes_is_the_mean_over_the_gaps():
    rate, moves = 3.0, 20.0

    def weighted(gap_s):
        mask = exact("mask_cpus", allowed_cpus=CPUS, vcpus=VCPUS, migrations=moves * gap_s)
        return rate * math.exp(-rate * gap_s) * mask

    mean, _ = quad(weighted, 0, 12, limit=100)
    found = exact("mask_between_flushes", allowed_cpus=CPUS, vcpus=VCPUS, rate_per_s=rate, migration_rate_per_s=moves)
    assert found == pytest.approx(mean)


@pytest.mark.parametrize(("domains", "per_domain", "cpus"), [(8, 16, 5), (2, 64, 3), (24, 8, 96), (3, 2, 3)])
def test_touched_domains_are_those_of_the_hypergeometric_law(domains, per_domain, cpus):
    places = domains * per_domain
    missed = math.comb(places - per_domain, cpus) / math.comb(places, cpus)
    found = exact("domains_touched", domains=domains, cpus_per_domain=per_domain, mask_cpus=cpus)
    assert found == pytest.approx(domains * (1 - missed), abs=0.05)


def test_touched_domains_follow_the_middle_of_the_factors():
    # 4 domains of 8: 1 - 10/(32 - 3.5) eight times over.
    found = exact("domains_touched", domains=4, cpus_per_domain=8, mask_cpus=10)
    assert found == pytest.approx(4 * (1 - (1 - 10 / 28.5) ** 8))


def test_touched_domains_have_their_ends():
    full = {"domains": 4, "cpus_per_domain": 8}
    assert exact("domains_touched", mask_cpus=32, **full) == 4
    assert exact("domains_touched", mask_cpus=0, **full) == 0
    assert exact("domains_touched", domains=1, cpus_per_domain=1, mask_cpus=1) == 1
    assert exact("domains_touched", domains=4, cpus_per_domain=1, mask_cpus=0.5) == pytest.approx(0.5)
    assert exact("domains_touched", domains=1, cpus_per_domain=64, mask_cpus=1) == 1
    assert exact("domains_touched", domains=0.25, cpus_per_domain=1, mask_cpus=0.25) == pytest.approx(0.25)


def test_with_two_allowed_cpus_there_is_one_other_to_go_to():
    """The mask of one vCPU grows at its first migration, to both."""
    assert exact("mask_cpus", allowed_cpus=2, vcpus=1, migrations=3) == pytest.approx(2 - math.exp(-3))
    moves = exact("migrations_to_share", allowed_cpus=2, vcpus=1, untouched_fraction=0.25)
    assert moves == pytest.approx(math.log(2))
    between = exact("mask_between_flushes", allowed_cpus=2, vcpus=1, rate_per_s=1, migration_rate_per_s=3)
    assert between == pytest.approx(2 - 1 / (1 + 3))


def test_one_allowed_cpu_is_the_mask_between_flushes_even_without_a_migration():
    assert exact("mask_between_flushes", allowed_cpus=1, vcpus=1, rate_per_s=1, migration_rate_per_s=0) == 1


# Cached shares at the ends and in the middle.


def test_a_cold_range_lies_between_nothing_and_the_cold_end():
    assert exact("present_cold", cold_fraction=0.25, presence_position=0.5, cached_fraction=1) == 0.125
    assert exact("present_cold", cold_fraction=0.25, presence_position=0.5, cached_fraction=0.1) == 0.1


@pytest.mark.parametrize(("position", "share"), [(0, 0.25), (0.5, 0.5), (1, 1)])
def test_an_unknown_range_is_log_uniform_from_the_cold_end_to_all(position, share):
    known = {"cold_fraction": 0.25, "presence_position": position}
    assert exact("present_between", cached_fraction=1, **known) == share
    assert exact("present_between", cached_fraction=0.1, **known) == 0.1


# Bytes over bandwidth.


def test_what_is_used_again_comes_at_the_bandwidth():
    assert exact("refill_floor", evicted_bytes=600, reused_fraction=0.5, read_bytes_per_s=100) == 3


# Dirty shares: half the gap law, integrated by hand.

WRITES, LINES, RATE = 6e5, 4e4, 5.0


def test_equal_gaps_leave_what_no_write_met():
    found = exact("dirty_at_flush_regular", dirty_lines_per_s=WRITES, lines=LINES, gap_s=0.1)
    assert found == pytest.approx(1 - math.exp(-WRITES * 0.1 / LINES))


def test_random_gaps_are_the_mean_over_equal_ones():
    def weighted(gap_s):
        dirty = exact("dirty_at_flush_regular", dirty_lines_per_s=WRITES, lines=LINES, gap_s=gap_s)
        return RATE * math.exp(-RATE * gap_s) * dirty

    mean, _ = quad(weighted, 0, 8, limit=100)
    assert exact("dirty_at_flush", dirty_lines_per_s=WRITES, lines=LINES, rate_per_s=RATE) == pytest.approx(mean)
