"""Bytes over bandwidth."""

from tests.formulas.domain import exact


def test_what_is_used_again_comes_at_the_bandwidth():
    assert exact("refill_floor", evicted_bytes=600, reused_fraction=0.5, read_bytes_per_s=100) == 3
