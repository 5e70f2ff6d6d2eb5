"""Properties of the cost terms: monotone, zero where nothing is flushed, bounded by what the terms mean."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.formulas.compiled import value

share = st.floats(0, 1)
line_s = st.floats(1e-10, 1e-6)

WALK = {
    "walk_start_s": 0,
    "llc_bytes_per_domain": 32 * 2**20,
    "l2_bytes_per_core": 2**19,
    "line_bytes": 64,
    "line_empty_s": 5e-9,
    "line_valid_s": 2e-9,
    "valid_fraction": 0.7,
    "valid_exponent": 1,
    "domain_writeback_bytes_per_s": 1e11,
}


def flush(**changes):
    base = {
        "range_start_s": 0,
        "remote_factor": 1,
        "lines": 1,
        "present_fraction": 1,
        "line_dirty_s": 7e-8,
        "line_clean_s": 6e-8,
        "line_absent_s": 5e-9,
        "line_bytes": 64,
        "dirty_fraction": 0,
        "writeback_bytes_per_s": 1e11,
    }
    return value("range_flush", **{**base, **changes})


@given(share, share, line_s, line_s)
def test_range_flush_grows_with_the_range(present, dirty, present_s, absent_s):
    times = flush(
        lines=numpy.arange(0, 4096, 64),
        present_fraction=present,
        dirty_fraction=dirty,
        line_dirty_s=present_s,
        line_clean_s=present_s,
        line_absent_s=absent_s,
    )
    assert numpy.all(numpy.diff(times) > 0)
    assert times[0] == 0


@given(st.integers(0, 2**40), st.integers(0, 63))
def test_lines_cover_the_range(length, offset):
    lines = float(value("range_lines", range_bytes=length, offset_bytes=offset, line_bytes=64))
    assert lines == (offset + length + 63) // 64


def test_dirty_bytes_over_bandwidth_is_a_floor():
    assert float(flush(lines=2**20, line_dirty_s=1e-12, dirty_fraction=1)) == pytest.approx(2**26 / 1e11)


@given(st.floats(1, 64), share, st.floats(1, 3), share)
def test_more_cores_never_finish_a_domain_sooner(cores, exponent, smt, dirty):
    both = numpy.array([0.0, 1.0])
    one, many = (
        value(
            "domain_flush",
            **WALK,
            cores_flushing=k,
            serial_exponent=exponent,
            smt_factor=smt,
            both_siblings=both,
            dirty_fraction=dirty,
        )
        for k in (1, cores)
    )
    assert numpy.all(many >= one * (1 - 1e-12))
    assert one[1] >= one[0]


def test_serial_exponent_ends_mean_parallel_and_serial():
    parallel, serial = (
        float(
            value(
                "domain_flush",
                **{**WALK, "valid_exponent": s},
                cores_flushing=8,
                serial_exponent=s,
                smt_factor=1,
                both_siblings=0,
                dirty_fraction=0,
            )
        )
        for s in (0, 1)
    )
    assert serial == pytest.approx(8 * parallel)


def test_a_cache_without_lines_costs_nothing():
    empty = {**WALK, "llc_bytes_per_domain": 0, "l2_bytes_per_core": 0}
    assert (
        float(
            value(
                "domain_flush",
                **empty,
                cores_flushing=1,
                serial_exponent=0.5,
                smt_factor=2,
                both_siblings=1,
                dirty_fraction=1,
            )
        )
        == 0
    )


@given(st.floats(1e-9, 10), share)
def test_closed_loop_never_saturates(flush_s, fraction):
    rate = float(
        value(
            "closed_rate",
            threads=1,
            event_fraction=fraction,
            events_per_cycle=200,
            sleep_s=0.02,
            cycle_flush_s=200 * flush_s,
        )
    )
    assert rate * flush_s < 1
    assert rate <= 200 / 0.02 * fraction + 1e-9


def test_ksm_share_is_the_one_of_the_model_page():
    # MODEL: 200 T / (0.020 + 200 T)
    flush_s = 1e-3
    rate = float(
        value(
            "closed_rate", threads=1, event_fraction=1, events_per_cycle=200, sleep_s=0.02, cycle_flush_s=200 * flush_s
        )
    )
    assert rate * flush_s == pytest.approx(200 * flush_s / (0.020 + 200 * flush_s))


@pytest.mark.parametrize(("resident_gib", "passes"), [(4, 10), (16, 10), (150, 10)])
def test_numa_passes_reach_ten_per_second(resident_gib, passes):
    # Table computed from task_scan_min(): any VM above 2.5 GiB can reach ten passes per second.
    period = float(
        value(
            "numa_scan_period",
            numa_scan_size_bytes=256 * 2**20,
            numa_max_scan_window_bytes_per_s=2560 * 2**20,
            task_scan_period_s=1.0,
            resident_bytes=resident_gib * 2**30,
        )
    )
    assert 1 / period == pytest.approx(passes)


def test_numa_limiter_caps_the_share_of_run_time():
    rate = float(
        value(
            "numa_rate",
            event_fraction=1,
            flushes_per_pass=1,
            numa_scan_period_s=0.1,
            numa_limiter_factor=32,
            event_flush_s=0.1,
            vcpus=8,
        )
    )
    assert rate * (0.1 + 32 * 0.1) / 8 == pytest.approx(1)


def test_rate_at_loss_inverts_the_loss():
    rate = value("rate_at_loss", lost_fraction=0.1, logical_cpus=256, stolen_cpu_s_per_event=2.5)
    assert float(value("host_loss", rate_per_s=rate, stolen_cpu_s_per_event=2.5, logical_cpus=256)) == pytest.approx(
        25.6
    )


def test_no_more_than_the_host_is_lost():
    assert float(value("host_loss", rate_per_s=1e6, stolen_cpu_s_per_event=3.0, logical_cpus=256)) == 256
