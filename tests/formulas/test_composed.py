"""An event from the cost parameters is the chain of its terms."""

import pytest

from tests.formulas.domain import exact

GEOMETRY = {
    "llc_bytes_per_domain": 3e7,
    "l2_bytes_per_core": 5e5,
    "cores_flushing": 8.0,
    "valid_fraction": 0.6,
    "dirty_fraction": 0.3,
}
WALK = {
    "walk_start_s": 1e-4,
    "line_bytes": 64.0,
    "line_empty_s": 1e-9,
    "line_valid_s": 5e-9,
    "serial_exponent": 0.4,
    "valid_exponent": 0.2,
    "smt_factor": 1.5,
    "both_siblings": 1.0,
    "domain_writeback_bytes_per_s": 2e10,
}
SOCKET = {"writeback_bytes_per_s": 1e11}
REFILL = {"reused_fraction": 0.5, "cpu_read_bytes_per_s": 1e10}
RANGE = {
    "lines": 64.0,
    "present_fraction": 0.4,
    "range_start_s": 2e-7,
    "remote_factor": 1.2,
    "line_dirty_s": 7e-9,
    "line_clean_s": 3e-9,
    "line_absent_s": 5e-9,
    "line_bytes": 64.0,
    "dirty_fraction": 0.3,
    "writeback_bytes_per_s": 1e11,
}


@pytest.mark.parametrize("domains", [1.0, 64.0])
@pytest.mark.parametrize("invalidates", [0.0, 1.0])
def test_a_whole_cache_event_is_the_chain_of_its_terms(domains, invalidates):
    domain_s = exact("domain_flush", **GEOMETRY, **WALK)
    flush_s = exact("whole_cache_flush", domain_flush_s=domain_s, domains_per_socket=domains, **GEOMETRY, **SOCKET)
    broadcast = {"broadcast_start_s": 0.2, "broadcast_per_cpu_s": 0.03}
    round_s = exact("broadcast", target_cpus=31, **broadcast)
    valid_bytes = domains * 0.6 * (3e7 + 8 * 5e5)
    outside = {"cpus_outside": 96.0, "memory_bound_fraction": 0.25}
    found = exact(
        "whole_cache_event",
        cpus_stopped=32,
        domains_per_socket=domains,
        sockets=2.0,
        invalidates=invalidates,
        **GEOMETRY,
        **WALK,
        **SOCKET,
        **broadcast,
        **outside,
        **REFILL,
    )
    neighbours_s = 96 * 0.25 * 0.3 * valid_bytes / 1e11
    refill_s = invalidates * 0.5 * 2 * valid_bytes / 1e10
    assert found == pytest.approx(32 * flush_s + round_s + neighbours_s + refill_s)
    stolen = exact(
        "stolen_whole_cache",
        cpus_stopped=32,
        flush_s=flush_s,
        broadcast_s=round_s,
        written_bytes_per_socket=0.3 * valid_bytes,
        evicted_bytes=invalidates * 2 * valid_bytes,
        **SOCKET,
        **outside,
        **REFILL,
    )
    assert found == pytest.approx(stolen)


def test_range_and_pages_are_chains_of_the_range_flush():
    flush_s = exact("range_flush", **RANGE)
    refill_s = 0.5 * 0.4 * 64 * 64 / 1e10
    taken = {**RANGE, **REFILL}
    assert exact("range_event", **taken) == pytest.approx(flush_s + refill_s)
    assert exact("paged_event", pages=5, **taken) == pytest.approx(5 * (flush_s + refill_s))
