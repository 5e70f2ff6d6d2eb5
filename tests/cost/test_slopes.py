"""Elasticities from the symbolic derivatives against differences of the totals."""

import numpy
import pytest

from costmodel.cost.draws import medians
from costmodel.cost.scenario import scenario
from costmodel.cost.slopes import elasticities
from costmodel.cost.totals import total

CASES = [
    ("sev", "WBNOINVD_MASK", "autonuma_prot_none_scan"),
    ("sev", "WBINVD_ALL", "numa_or_compaction_migrate"),
    ("sev", "CLFLUSHOPT_UVA", "autonuma_prot_none_scan"),
    ("sev", "CLFLUSHOPT_DM_PINNED", "ksm_replace_page"),
    ("sev-snp-gmem", "CLFLUSHOPT_DM_GMEM", "gmem_punch_hole"),
]
STEP = 1e-4


@pytest.mark.parametrize(("guest", "strategy", "trigger"), CASES)
def test_elasticities_are_those_of_the_total(guest, strategy, trigger, evidence, milan):
    there = scenario(evidence, guest, "epyc-7763-2s", "autonuma-default")
    found = elasticities(strategy, trigger, there, milan)
    middle = medians(milan)
    base = total(trigger, strategy, there, middle)
    assert set(base.parameters) - {"reused_fraction", "read_bytes_per_s"} <= set(found)
    for name, elasticity in found.items():
        at = float(middle[name][0])
        ends = middle.with_values(**{name: numpy.array([at * (1 - STEP), at * (1 + STEP)])})
        low, high = numpy.log(numpy.broadcast_to(total(trigger, strategy, there, ends).event.stolen_s, (2,)))
        expected = (high - low) / numpy.log((1 + STEP) / (1 - STEP))
        assert elasticity == pytest.approx(expected, abs=1e-5), name


def test_a_strategy_that_flushes_nothing_has_none(milan_ksm, milan):
    assert elasticities("NO_FLUSH", "ksm_replace_page", milan_ksm, milan) == {}
