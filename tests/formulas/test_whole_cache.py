"""A domain's flush term by term."""

import pytest

from tests.formulas.domain import exact

GEOMETRY = {"llc_bytes_per_domain": 1024.0, "l2_bytes_per_core": 256.0}
WALK = {"walk_start_s": 3.0, "line_bytes": 64.0, "line_empty_s": 0.25, "line_valid_s": 0.5}


def domain(cores, exponent, both, dirty, valid=0.5, again=0):
    parts = {"serial_exponent": exponent, "smt_factor": 1.5, "both_siblings": both, "dirty_fraction": dirty}
    limit = {"valid_fraction": valid, "valid_exponent": again, "domain_writeback_bytes_per_s": 64.0}
    return exact("domain_flush", cores_flushing=cores, **parts, **limit, **GEOMETRY, **WALK)


def test_a_clean_domain_is_walked_line_by_line():
    # 20 lines: each costs a quarter of a second after a start of 3, and a core more or a sibling makes that longer by a
    # factor; each second one is valid and costs half a second more, once, or for each core.
    assert domain(1, 0.5, 0, 0) == pytest.approx(8 + 5)
    assert domain(4, 0.5, 0, 0) == pytest.approx(16 + 5)
    assert domain(4, 0.5, 1, 0) == pytest.approx(24 + 5)
    assert domain(4, 0.5, 1, 0, again=1) == pytest.approx(24 + 20)


def test_an_empty_cache_costs_its_capacity_and_nothing_to_write():
    assert domain(1, 0.5, 0, 1, valid=0) == pytest.approx(3 + 20 * 0.25)
    assert domain(1, 0.5, 0, 0, valid=1) == pytest.approx(3 + 20 * 0.75)


def test_dirty_bytes_are_written_once():
    # Half of 1024 and 4 x 256 bytes are valid, half of these dirty, at 64 per second, however many cores ask for it.
    assert domain(4, 0.5, 1, 0.5) - domain(4, 0.5, 1, 0) == pytest.approx(8)


def test_domains_of_a_socket_share_its_memory():
    flush = {
        "cores_flushing": 4,
        "valid_fraction": 0.5,
        "dirty_fraction": 0.5,
        "writeback_bytes_per_s": 64.0,
        **GEOMETRY,
    }
    assert exact("whole_cache_flush", domain_flush_s=39, domains_per_socket=3, **flush) == 39
    assert exact("whole_cache_flush", domain_flush_s=39, domains_per_socket=6, **flush) == pytest.approx(48)
