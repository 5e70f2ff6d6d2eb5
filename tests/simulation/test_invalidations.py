"""The simulator against results that are exact: single-server queues, the machine repairman, busy periods."""

import math

import numpy
import pytest

from tests.simulation.invalidations import Invalidations, simulate

T = 1e-3


def found(setting, *outputs, seed=7):
    return simulate(setting, outputs, seed)


def close(estimate, exact, widths=2.5):
    """Within two and a half half-widths: 1 in a million by chance."""
    assert abs(estimate.value - exact) <= max(widths * estimate.half_width, 1e-9 * exact)


@pytest.mark.parametrize("load", [0.2, 0.6])
def test_mean_wait_of_a_single_server_with_constant_times(load):
    setting = Invalidations(flush_s=(T,), rate_per_s=load / T, whole_cache=True, cpus=3)
    close(found(setting, "latency")["latency"], T + load * T / (2 * (1 - load)))


def test_wait_that_a_share_of_the_moments_exceeds():
    load = 0.4
    setting = Invalidations(flush_s=(T,), rate_per_s=load / T, placement="under_mmu_lock")
    share = 1 - (1 - load) * math.exp(load / 2)
    close(found(setting, f"lock_wait_quantile@{share}")[f"lock_wait_quantile@{share}"], T / 2)


@pytest.mark.parametrize(("threads", "sleep"), [(1, 1.0), (4, 2.0), (8, 1.0)])
def test_closed_threads_at_one_server_with_constant_times(threads, sleep):
    # Mean value analysis needs exponential times; with constant ones the embedded chain at departures is exact.
    setting = Invalidations(flush_s=(T,), threads=threads, sleep_s=sleep * T, whole_cache=True)
    close(found(setting, "rate_per_s")["rate_per_s"], repairman(threads, 1 / sleep) / T)


def repairman(threads, return_rate):
    """Throughput of an M/D/1//N queue with service time 1: the chain of the number left behind by a departure."""
    step = numpy.zeros((threads, threads))
    for left in range(threads):
        waiting = max(left, 1)
        away = threads - waiting
        back = 1 - math.exp(-return_rate)
        for n in range(away + 1):
            step[left, waiting - 1 + n] += math.comb(away, n) * back**n * (1 - back) ** (away - n)
    stationary = numpy.linalg.matrix_power(step, 4096)[0]
    return 1 / (1 + stationary[0] / (threads * return_rate))


@pytest.mark.parametrize("overlap", [0.3, 1.0])
def test_overlapping_windows_are_a_busy_period_of_infinitely_many_servers(overlap):
    setting = Invalidations(flush_s=(T,), rate_per_s=overlap / T)
    values = found(setting, "in_progress")
    close(values["in_progress"], 1 - math.exp(-overlap))


def test_one_thread_is_a_renewal_process():
    setting = Invalidations(flush_s=(T,), threads=1, sleep_s=3 * T, range_fraction=0.2)
    values = found(setting, "rate_per_s", "in_progress", "fault_stall", "merged_fraction")
    close(values["rate_per_s"], 1 / (4 * T))
    close(values["in_progress"], 0.25)
    close(values["merged_fraction"], 0.2)
    close(values["fault_stall"], 0.2 * 0.25 * T / 2)


def test_faults_wait_as_long_as_a_random_moment_would():
    setting = Invalidations(
        flush_s=(T,),
        rate_per_s=0.3 / T,
        placement="under_mmu_lock",
        range_fraction=1e-4,
        region_fraction=1e-3,
        vcpus=16,
        think_s=40 * T,
        read_hold_s=T / 5000,
        retry_loop_s=T / 10,
    )
    values = found(setting, "lock_wait", "lock_wait_of_faults")
    assert values["lock_wait_of_faults"].value == pytest.approx(values["lock_wait"].value, rel=0.05)


def test_a_fault_in_the_range_retries_until_the_window_is_over():
    setting = Invalidations(
        flush_s=(T,),
        threads=1,
        sleep_s=T,
        range_fraction=1.0,
        vcpus=8,
        think_s=100 * T,
        read_hold_s=T / 1e5,
        retry_loop_s=T / 100,
    )
    # Half of the faults meet a window, of which half a window is left: 50 loops and half a loop more.
    assert found(setting, "retries")["retries"].value == pytest.approx(0.5 * 50.5, rel=0.05)


@pytest.mark.nightly
def test_a_fault_outside_the_range_retries_when_the_sequence_changed():
    setting = Invalidations(
        flush_s=(T / 100,),
        threads=1,
        sleep_s=T,
        range_fraction=1e-9,
        vcpus=8,
        think_s=50 * T,
        fault_work_s=T / 5,
        read_hold_s=T / 1e5,
        retry_loop_s=T / 1e4,
    )
    # Each try of T / 5 fails if an end falls into it, and so does the next with the same probability.
    fails = 1 - math.exp(-0.2 / 1.01)
    assert found(setting, "retries")["retries"].value == pytest.approx(fails / (1 - fails), rel=0.06)


def test_events_that_come_together_wait_for_each_other():
    setting = Invalidations(flush_s=(T,), rate_per_s=0.2 / T, burst=3, whole_cache=True)
    # Mean position in the burst, plus the single-server queue of bursts of length 3 T.
    close(found(setting, "latency")["latency"], 2 * T + 0.2 * 3 * T / (2 * 0.8))


def test_a_shared_flush_begins_after_the_last_one():
    setting = Invalidations(flush_s=(T,), rate_per_s=1.5 / T, whole_cache=True, coalesced=True)
    values = found(setting, "batch", "stopped_fraction")
    close(values["batch"], 1.5 + math.exp(-1.5))
    close(values["stopped_fraction"], 1.5 / (1.5 + math.exp(-1.5)))


@pytest.mark.nightly
def test_the_same_seed_gives_the_same_run_and_another_one_another():
    setting = Invalidations(
        flush_s=(T,), rate_per_s=0.3 / T, vcpus=2, think_s=T, read_hold_s=T / 100, retry_loop_s=T / 10
    )
    outputs = ("in_progress", "retries")
    assert simulate(setting, outputs, 1) == simulate(setting, outputs, 1)
    assert simulate(setting, outputs, 1) != simulate(setting, outputs, 2)
