"""What the source of an address adds, at numbers worked by hand."""

import math

import pytest

from tests.formulas.domain import exact


def test_a_flush_is_missed_where_another_event_unmaps_the_page_within_the_window():
    # 20 events per second, a fifth of them on the same page, 50 ms: 0.2 such events are expected meanwhile.
    missed = exact("missed_flushes", rate_per_s=20, same_page_fraction=0.2, window_s=0.05)
    assert missed == pytest.approx(20 * (1 - math.exp(-0.2)))


def test_zaps_of_kvm_add_and_a_precise_hook_leaves_out():
    assert exact("spte_events", rate_per_s=7, kvm_zaps_per_s=3) == 10
    assert exact("precise_events", rate_per_s=8, overlap_fraction=0.25) == 2
