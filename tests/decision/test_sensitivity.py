"""Sobol indices and elasticities against what the formulas say."""

from dataclasses import replace

import pytest

from costmodel import cache
from costmodel.calibration.parameters import parameters_of
from costmodel.cost.draws import Case, medians
from costmodel.cost.scenario import scenario
from costmodel.cost.sensitivity import elasticities
from costmodel.decision import sensitivity
from costmodel.decision.sensitivity import SHOWN, sensitivities
from costmodel.evidence.store import load

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
