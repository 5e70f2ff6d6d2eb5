"""Who pays."""

import pytest

from tests.formulas.domain import exact


def test_cpus_beyond_those_of_the_guest_pay_for_it():
    assert exact("others_pay", cpus_stopped=10, vcpus=4, flush_s=3) == 18
    assert exact("others_pay", cpus_stopped=4, vcpus=10, flush_s=3) == 0


def test_an_attacker_takes_an_event_per_wait_and_thought():
    assert exact("forced_loss", stolen_cpu_s_per_event=12, event_s=2, think_s=1) == 4


def test_limits_divide():
    assert exact("initiators_at_limit", limit_s=12, flush_s=3) == 4
    lost = {"lost_fraction": 0.5, "logical_cpus": 8, "rate_per_s": 2}
    assert exact("vms_at_loss", stolen_cpu_s_per_event=0.1, **lost) == pytest.approx(20)
