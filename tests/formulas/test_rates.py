"""What the source of an address adds, at numbers worked by hand."""

import math

import numpy
import pytest

from tests.formulas.domain import exact


def test_a_flush_is_missed_where_another_event_unmaps_the_page_within_the_window():
    # 20 events per second, a fifth of them on the same page, 50 ms: 0.2 such events are expected meanwhile.
    missed = exact("missed_flushes", rate_per_s=20, same_page_fraction=0.2, window_s=0.05)
    assert missed == pytest.approx(20 * (1 - math.exp(-0.2)))


def test_zaps_of_kvm_add_and_a_precise_hook_leaves_out():
    assert exact("spte_events", rate_per_s=7, kvm_zaps_per_s=3) == 10
    assert exact("precise_events", rate_per_s=8, overlap_fraction=0.25) == 2


# Shared flushes against a simulated line: what arrives while a flush runs is served by the next.

RATE, FLUSH = 30.0, 0.05


@pytest.fixture(scope="module")
def simulated():
    """Sizes of the batches and mean time from arrival to the end of the flush that serves it, in a Poisson stream."""
    arrivals = numpy.cumsum(numpy.random.default_rng(2).exponential(1 / RATE, 60_000))
    sizes, latencies, served, end = [], [], 0, 0.0
    while served < len(arrivals):
        begin = max(arrivals[served], end)
        end = begin + FLUSH
        last = numpy.searchsorted(arrivals, begin, side="right")
        latencies.append(end - arrivals[served:last])
        sizes.append(last - served)
        served = last
    return numpy.array(sizes), numpy.concatenate(latencies), end


def test_a_batch_holds_what_came_during_the_last_flush(simulated):
    sizes, _, _ = simulated
    assert exact("coalesced_batch", rate_per_s=RATE, flush_s=FLUSH) == pytest.approx(sizes.mean(), rel=0.02)


def test_the_busy_share_is_that_of_the_flushes(simulated):
    sizes, _, end = simulated
    assert exact("coalesced_busy", rate_per_s=RATE, flush_s=FLUSH) == pytest.approx(len(sizes) * FLUSH / end, rel=0.01)


def test_an_event_waits_for_the_running_flush_and_the_next(simulated):
    _, latencies, _ = simulated
    found = exact("coalesced_latency", rate_per_s=RATE, flush_s=FLUSH)
    assert found == pytest.approx(latencies.mean(), rel=0.01)


def test_the_line_is_that_of_khinchine():
    # M/D/1 at load 0.6: half a service times 0.6 / 0.4 in line, then the service.
    assert exact("queued_latency", rate_per_s=12, flush_s=0.05) == pytest.approx(0.05 + 0.025 * 1.5)


def test_a_collector_flushes_once_per_delay_and_first_event():
    assert exact("deferred_rate", rate_per_s=10, delay_s=0.4) == pytest.approx(1 / (0.1 + 0.4))


# Closed loops and NUMA balancing, each limit by hand.

TUNABLES = {"numa_scan_size_bytes": 256.0, "numa_max_scan_window_bytes_per_s": 2560.0}


def test_a_closed_loop_makes_its_events_once_per_sleep_and_flush():
    # 2 threads, a quarter of 100 pages each: 50 events per 0.02 s of sleep and 0.25 * 0.12 s of flushing.
    loop = {"events_per_cycle": 100, "sleep_s": 0.02, "cycle_flush_s": 0.12}
    assert exact("closed_rate", threads=2, event_fraction=0.25, **loop) == pytest.approx(2 * 25 / (0.02 + 0.03))


def test_a_large_task_is_scanned_at_the_window_and_a_small_one_once_per_period():
    assert exact("numa_scan_period", task_scan_period_s=1, resident_bytes=1e6, **TUNABLES) == pytest.approx(0.1)
    # 700 bytes are three passes of 256: each third of the period.
    small = exact("numa_scan_period", task_scan_period_s=1.2, resident_bytes=700, **TUNABLES)
    assert small == pytest.approx(0.4)


@pytest.mark.parametrize(("resident_bytes", "ranges"), [(100, 1), (700, 3), (2000, 8), (1e6, 8)])
def test_a_pass_that_updates_nothing_walks_eight_ranges_or_all_memory(resident_bytes, ranges):
    # virtpages = 8 * pages lets a pass of 256 bytes walk 2048; 700 bytes are three ranges, the last one in part.
    found = exact(
        "numa_flushes_per_pass", numa_virtpages_factor=8, resident_bytes=resident_bytes, numa_scan_size_bytes=256
    )
    assert found == ranges


def test_a_flush_slows_the_scan_only_where_the_threads_cannot_share_it():
    scan = {"event_fraction": 0.5, "flushes_per_pass": 1, "numa_scan_period_s": 0.1, "numa_limiter_factor": 32}
    assert exact("numa_rate", event_flush_s=1e-3, vcpus=4, **scan) == pytest.approx(0.5 / 0.1)
    assert exact("numa_rate", event_flush_s=0.05, vcpus=4, **scan) == pytest.approx(0.5 * 4 / (0.1 + 32 * 0.05))


def test_ranges_of_a_pass_each_cost_a_flush_and_each_count():
    scan = {
        "event_fraction": 0.5,
        "flushes_per_pass": 3,
        "numa_scan_period_s": 0.1,
        "numa_limiter_factor": 32,
        "vcpus": 4,
    }
    assert exact("numa_rate", event_flush_s=1e-4, **scan) == pytest.approx(0.5 * 3 / 0.1)
    assert exact("numa_rate", event_flush_s=0.05, **scan) == pytest.approx(0.5 * 3 * 4 / (0.1 + 32 * 0.15))


def test_the_host_loses_rate_times_time_and_never_more_than_itself():
    assert exact("host_loss", rate_per_s=3, stolen_cpu_s_per_event=0.5, logical_cpus=8) == 1.5
    assert exact("host_loss", rate_per_s=30, stolen_cpu_s_per_event=0.5, logical_cpus=8) == 8
    assert exact("rate_at_loss", lost_fraction=0.25, stolen_cpu_s_per_event=0.5, logical_cpus=8) == 4
