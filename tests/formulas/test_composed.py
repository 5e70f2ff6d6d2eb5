"""An event from the cost parameters is the chain of its terms."""

import pytest

from tests.formulas.domain import exact

GEOMETRY = {
    "llc_bytes_per_domain": 3e7,
    "l2_bytes_per_core": 5e5,
    "cores_flushing": 8.0,
    "dirty_fraction": 0.3,
    "writeback_bytes_per_s": 1e11,
}
WALK = {"walk_start_s": 1e-4, "line_bytes": 64.0, "serial_exponent": 0.4, "smt_factor": 1.5, "both_siblings": 1.0}
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
def test_a_whole_cache_event_is_the_chain_of_its_terms(domains):
    domain_s = exact("domain_flush", line_walk_s=2 * 5e-9, **GEOMETRY, **WALK)
    flush_s = exact("whole_cache_flush", domain_flush_s=domain_s, domains_per_socket=domains, **GEOMETRY)
    broadcast = {"broadcast_start_s": 0.2, "broadcast_per_cpu_s": 0.03}
    round_s = exact("broadcast", target_cpus=31, **broadcast)
    found = exact(
        "whole_cache_event",
        cpus_stopped=32,
        line_walk_s=5e-9,
        vendor_factor=2,
        domains_per_socket=domains,
        **GEOMETRY,
        **WALK,
        **broadcast,
    )
    assert found == pytest.approx(32 * flush_s + round_s)


def test_range_pages_and_release_are_chains_of_the_range_flush():
    flush_s = exact("range_flush", **RANGE)
    assert exact("range_event", **RANGE) == pytest.approx(flush_s)
    assert exact("paged_event", pages=5, **RANGE) == pytest.approx(5 * flush_s)
    assert exact("gmem_event", pages=5, rmpupdate_s=1e-6, **RANGE) == pytest.approx(5 * (flush_s + 1e-6))
