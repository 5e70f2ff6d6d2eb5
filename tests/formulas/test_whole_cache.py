"""A domain's flush term by term."""

import pytest

from tests.formulas.domain import exact

GEOMETRY = {"llc_bytes_per_domain": 1024.0, "l2_bytes_per_core": 256.0, "writeback_bytes_per_s": 64.0}
WALK = {"walk_start_s": 3.0, "line_bytes": 64.0, "line_walk_s": 0.5}


def domain(cores, exponent, both, dirty):
    parts = {"serial_exponent": exponent, "smt_factor": 1.5, "both_siblings": both, "dirty_fraction": dirty}
    return exact("domain_flush", cores_flushing=cores, **parts, **GEOMETRY, **WALK)


def test_a_clean_domain_is_walked_line_by_line():
    # 20 lines of half a second after a start of 3; a core more or a sibling makes it longer by a factor.
    assert domain(1, 0.5, 0, 0) == pytest.approx(13)
    assert domain(4, 0.5, 0, 0) == pytest.approx(26)
    assert domain(4, 0.5, 1, 0) == pytest.approx(39)


def test_dirty_bytes_are_written_once():
    # A quarter of 1024 and 4 x 256 bytes at 64 per second, however many cores ask for it.
    assert domain(4, 0.5, 1, 0.25) - domain(4, 0.5, 1, 0) == pytest.approx(8)


def test_domains_of_a_socket_share_its_memory():
    flush = {"cores_flushing": 4, "dirty_fraction": 0.25, **GEOMETRY}
    assert exact("whole_cache_flush", domain_flush_s=39, domains_per_socket=3, **flush) == 39
    assert exact("whole_cache_flush", domain_flush_s=39, domains_per_socket=6, **flush) == pytest.approx(48)
