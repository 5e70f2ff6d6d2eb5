"""Interrupt rounds against harmonic numbers and the law of the largest of k delays."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma

from tests.formulas.domain import exact

ROUND = {"broadcast_start_s": 2e-6, "broadcast_per_cpu_s": 3e-7}
DELAY_S = 5e-6


def test_the_linear_form_has_a_start_and_a_share_per_cpu():
    assert exact("broadcast", target_cpus=10, **ROUND) == pytest.approx(5e-6)


def test_the_tree_pays_per_doubling():
    one, three, seven = (exact("broadcast_tree", target_cpus=k, **ROUND) for k in (1, 3, 7))
    assert one == pytest.approx(2.3e-6)
    assert seven - three == pytest.approx(three - one) == pytest.approx(3e-7)


@pytest.mark.parametrize("k", [0, 0.5, 1, 2, 5, 20, 40, 300])
def test_the_harmonic_number_is_off_by_less_than_the_next_term_of_its_series(k):
    harmonic = digamma(k + 1) + 0.5772156649015329
    next_term = 31 / (8064 * (k + 2.5) ** 6)
    found = exact("slowest_response", response_delay_s=1, target_cpus=k)
    assert found == pytest.approx(harmonic, rel=1e-13, abs=next_term)
    assert exact("slowest_response", response_delay_s=3, target_cpus=k) == pytest.approx(3 * found)


def test_late_answers_come_on_top_of_the_round():
    both = exact("broadcast_slowest", target_cpus=3, response_delay_s=DELAY_S, **ROUND)
    assert both == pytest.approx(2e-6 + 3 * 3e-7 + DELAY_S * (1 + 1 / 2 + 1 / 3), rel=1e-5)


@pytest.mark.parametrize("k", [0, 1, 3, 9])
def test_late_answers_take_the_harmonic_number_to_the_next_term_of_its_series(k):
    late = exact("broadcast_slowest", target_cpus=k, response_delay_s=1, broadcast_start_s=0, broadcast_per_cpu_s=0)
    assert late == pytest.approx(sum(1 / i for i in range(1, k + 1)), abs=31 / (8064 * (k + 2.5) ** 6))


@settings(max_examples=20)
@given(st.floats(1e-4, 0.9999), st.integers(1, 512))
def test_the_quantile_is_exceeded_by_its_share_of_the_rounds(share, k):
    wait = exact("slowest_response_quantile", share=share, target_cpus=k, response_delay_s=DELAY_S)
    assert 1 - (1 - math.exp(-wait / DELAY_S)) ** k == pytest.approx(share, rel=1e-6)


def test_every_round_takes_no_time_or_more():
    assert exact("slowest_response_quantile", share=1.5, target_cpus=4, response_delay_s=DELAY_S) == 0
    assert exact("broadcast_quantile", share=1.5, target_cpus=4, response_delay_s=DELAY_S, **ROUND) == 2e-6 + 4 * 3e-7


def test_the_quantile_of_a_round_is_the_round_and_the_slowest_answer():
    slowest = exact("slowest_response_quantile", share=0.05, target_cpus=6, response_delay_s=DELAY_S)
    whole = exact("broadcast_quantile", share=0.05, target_cpus=6, response_delay_s=DELAY_S, **ROUND)
    assert whole - slowest == pytest.approx(2e-6 + 6 * 3e-7)
