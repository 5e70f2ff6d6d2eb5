"""Sobol indices and elasticities against what the formulas say."""

from dataclasses import replace

import numpy
import pytest

from costmodel import cache
from costmodel.calibration.parameters import parameters_of
from costmodel.cost.draws import Case, medians
from costmodel.cost.event import mixed_cost
from costmodel.cost.scenario import scenario
from costmodel.cost.total import total
from costmodel.decision import sensitivity
from costmodel.decision.sensitivity import SHOWN, _slope, elasticities, sensitivities
from costmodel.evidence.store import load
from costmodel.kvm.catalog import STRATEGIES

MACHINE = "epyc-7763-2s"
CASE_EVIDENCE = load()
CASE = scenario(CASE_EVIDENCE, "sev", MACHINE, "ksm-default")


@pytest.fixture(scope="module")
def found():
    evidence = load()
    case = scenario(evidence, "sev", MACHINE, "ksm-default")
    return sensitivities(Case("ksm_replace_page", case, medians(parameters_of(evidence, MACHINE))), "WBINVD_ALL")


def test_what_valid_and_dirty_lines_cost_drives_the_whole_cache_cost(found):
    assert {s.parameter for s in found} >= {"line_valid_s", "valid_fraction"}


def test_elasticities_are_those_of_the_formula(found):
    """More bandwidth makes the write-back shorter, a dearer line the walk longer, neither by more than in
    proportion.
    """
    slopes = elasticities(Case("ksm_replace_page", CASE, medians(parameters_of(CASE_EVIDENCE, MACHINE))), "WBINVD_ALL")
    assert -1 < slopes["writeback_bytes_per_s"] < 0 < slopes["line_empty_s"] + slopes["line_valid_s"] + 1e-9 < 1
    assert slopes["dirty_fraction"] > 0 and slopes["cpu_read_bytes_per_s"] < 0


def test_indices_are_shares_in_falling_order(found):
    assert len(found) <= SHOWN
    totals = [s.sobol_total for s in found]
    assert totals == sorted(totals, reverse=True)
    assert all(0 <= s.sobol_first <= 1 and 0 <= s.sobol_total <= 1 for s in found)
    assert sum(s.sobol_first for s in found) <= 1.1


def test_each_says_where_its_range_comes_from(found):
    assert all(s.prior and s.description for s in found)


def test_no_flush_has_no_sensitivity():
    evidence = load()
    case = scenario(evidence, "sev", MACHINE, "ksm-default")
    assert sensitivities(Case("ksm_replace_page", case, medians(parameters_of(evidence, MACHINE))), "NO_FLUSH") == []


def test_an_unknown_total_has_no_sensitivity():
    evidence = load()
    case = scenario(evidence, "sev", MACHINE, "ksm-default")
    assert (
        sensitivities(Case("ksm_replace_page", case, medians(parameters_of(evidence, MACHINE))), "VM_PAGE_FLUSH") == []
    )


def test_a_second_answer_comes_from_the_cache(monkeypatch, tmp_path, found):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache._checked.cache_clear()
    case = Case("ksm_replace_page", CASE, medians(parameters_of(CASE_EVIDENCE, MACHINE)))
    asked = (case, "WBINVD_ALL")
    assert sensitivities(*asked) == found
    monkeypatch.setattr(sensitivity, "_sobol", lambda *given: pytest.fail("computed again"))
    assert sensitivities(*asked) == found
    with pytest.raises(pytest.fail.Exception, match="computed again"):
        sensitivities(replace(case, trigger="ksm_write_protect"), "WBINVD_ALL")
    cache._checked.cache_clear()


CASES = [
    ("sev", "WBNOINVD_MASK", "autonuma_prot_none_scan"),
    ("sev", "WBINVD_ALL", "numa_or_compaction_migrate"),
    ("sev", "CLFLUSHOPT_UVA", "autonuma_prot_none_scan"),
    ("sev", "CLFLUSHOPT_DM_PINNED", "ksm_replace_page"),
    ("sev-snp-gmem", "CLFLUSHOPT_DM_GMEM", "gmem_punch_hole"),
    ("sev", "CLFLUSHOPT_DM_GMEM", "ksm_replace_page"),
]
STEP = 1e-4


@pytest.mark.parametrize(("guest", "strategy", "trigger"), CASES)
def test_elasticities_are_those_of_the_total(guest, strategy, trigger, evidence, milan):
    """At a rate so low that a flush finds nearly as many dirty lines as if it were alone: elasticities leave that
    out.
    """
    check(strategy, trigger, scenario(evidence, guest, "epyc-7763-2s", "autonuma-default", pinned=False), milan)


@pytest.mark.parametrize("strategy", ["CLFLUSHOPT_UVA", "CLFLUSHOPT_DM_PINNED"])
def test_each_range_of_a_mix_counts_by_its_weight(strategy, evidence, milan):
    there = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default")
    mixed = tuple(replace(load, range_bytes=((4096.0, 0.7), (2.0**30, 0.3))) for load in there.workload.triggers)
    there = replace(there, workload=replace(there.workload, triggers=mixed))
    check(strategy, "ksm_replace_page", there, milan)


def check(strategy, trigger, there, milan):
    """The elasticities against differences of one event's cost, what it finds dirty held: they are those of the
    event.
    """
    found = elasticities(Case(trigger, there, medians(milan)), strategy)
    middle = medians(milan)
    entry, base = STRATEGIES[strategy], total(Case(trigger, there, middle), strategy)
    assert set(base.parameters) - {"reused_fraction", "read_bytes_per_s", "traffic_fraction"} <= set(found)
    for name, elasticity in found.items():
        at = float(middle[name][0])
        ends = middle.with_values(**{name: numpy.array([at * (1 - STEP), at * (1 + STEP)])})
        low, high = numpy.log(numpy.broadcast_to(mixed_cost(Case(trigger, there, ends), entry)[0].stolen_s, (2,)))
        expected = (high - low) / numpy.log((1 + STEP) / (1 - STEP))
        assert elasticity == pytest.approx(expected, abs=1e-6, rel=1e-6), name


def test_a_strategy_that_flushes_nothing_has_none(milan_ksm, milan):
    assert elasticities(Case("ksm_replace_page", milan_ksm, medians(milan)), "NO_FLUSH") == {}


def test_a_parameter_that_a_part_does_not_hold_has_no_slope_there():
    pages = {"pages": numpy.full(1, 3.0), "page_operation_s": 2.0}
    assert _slope("page_operation_s", "page_chain", pages, None) == 3.0
    assert _slope("walk_start_s", "page_chain", pages, None) == 0.0
    assert _slope("presence_position", "page_chain", pages, None) == 0.0
