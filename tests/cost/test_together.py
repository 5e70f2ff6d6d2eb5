"""Several guests on one host: what they take adds up, never beyond the host, and a scanner of the host counts once."""

import numpy
import pytest

from costmodel.cost.scenario import scenario
from costmodel.cost.together import Part, losses
from costmodel.cost.totals import total

SCAN, PROTECT, FLUSH = "autonuma_prot_none_scan", "ksm_write_protect", "WBNOINVD_MASK"


@pytest.fixture
def sev(evidence):
    return scenario(evidence, "sev", "epyc-7763-2s", "autonuma-default")


def test_one_guest_alone_loses_what_its_total_says(sev, draws):
    (alone,) = losses([Part(1, sev, SCAN, FLUSH)], draws)
    assert alone == pytest.approx(total(SCAN, FLUSH, sev, draws).host_cpu_s_per_s, rel=1e-9)


def test_more_guests_lose_more_yet_less_than_each_alone_times_their_number(sev, draws):
    one, four = (losses([Part(n, sev, SCAN, FLUSH)], draws)[0] for n in (1, 4))
    assert numpy.all(four >= one * (1 - 1e-9))
    assert numpy.all(four <= 4 * one * (1 + 1e-9))


def test_a_mix_is_what_as_many_of_one_kind_lose_where_the_kinds_do_the_same(evidence, sev, draws):
    es = scenario(evidence, "sev-es", "epyc-7763-2s", "autonuma-default")
    mixed = sum(losses([Part(2, sev, SCAN, FLUSH), Part(3, es, SCAN, FLUSH)], draws))
    assert mixed == pytest.approx(losses([Part(5, sev, SCAN, FLUSH)], draws)[0])


def test_together_they_never_lose_more_than_the_host_has(sev, draws):
    parts = losses([Part(5000, sev, SCAN, FLUSH), Part(5000, sev, SCAN, FLUSH)], draws)
    assert numpy.max(sum(parts)) <= sev.machine.logical_cpus * (1 + 1e-9)


def test_the_one_ksmd_of_the_host_serves_all_guests(milan_ksm, draws):
    one, ten = (losses([Part(n, milan_ksm, PROTECT, "WBINVD_ALL")], draws)[0] for n in (1, 10))
    assert ten == pytest.approx(one)


def test_no_guest_loses_nothing(draws):
    assert losses([], draws) == []
