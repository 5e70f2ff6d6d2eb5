"""The decisions of the kernel: forced, trivial or by cost, and what would turn them."""

import re
from dataclasses import replace

import pytest

from costmodel.evidence.store import load
from costmodel.kvm import kernels
from costmodel.kvm.catalog import STRATEGIES
from costmodel.kvm.kernels import decisions
from costmodel.report.scoreboard import worded
from costmodel.validation import upstream
from costmodel.validation.upstream import PLACES, Place, agrees, before, judge_decision
from tests.samples import sampled

EVIDENCE = load()
SINCE = [d for d in decisions() if not d.date or d.date >= "2022"]


def by_number(number):
    return next(d for d in decisions() if d.number == number)


@pytest.fixture(scope="module")
def rows():
    return {row.id: worded(row) for row in upstream.rows(EVIDENCE)}


@pytest.fixture(scope="module")
def judged():
    return {d.number: judge_decision(EVIDENCE, d) for d in SINCE}


def numbers(text):
    return [int(n) for n in re.findall(r"\d+", text)]


def test_every_decision_since_2022_has_a_row(rows):
    assert set(rows) == {"agreement"} | {f"decision-{d.number}" for d in SINCE}
    assert "decision-1" not in rows and "decision-2" not in rows


def test_no_row_fails(rows):
    assert [row.id for row in rows.values() if row.verdict == "fail"] == []


def test_the_split_adds_up_to_all_decisions_that_can_be_told(rows):
    """agree of told; forced, trivial; right of evidence: each decision is counted once."""
    agree, told, forced, trivial, right, evidence = numbers(rows["agreement"].figure)
    assert agree <= told and right <= evidence
    assert forced + trivial + evidence == told


def test_the_count_is_that_of_the_rows(rows):
    told = [row for id, row in rows.items() if id != "agreement" and row.verdict != "not testable"]
    details = rows["agreement"].details
    assert details["decisions"] == len(told)
    assert details["agree"] == sum(row.verdict == "pass" for row in told)


def test_what_is_not_told_is_counted_too(rows):
    silent = [id for id, row in rows.items() if row.verdict == "not testable"]
    assert numbers(rows["agreement"].note)[0] == len(silent)


def test_evidence_is_only_what_cost_decides(rows):
    by_cost = [id for id, row in rows.items() if "cost" in (row.details.get("bases") or "")]
    assert rows["agreement"].details["evidence"] == len(by_cost)
    assert rows["agreement"].value == rows["agreement"].details["evidence_agrees"] / len(by_cost)


@pytest.mark.parametrize("number", [d.number for d in SINCE if not d.strategies])
def test_a_decision_without_a_strategy_is_not_testable(rows, number):
    row = rows[f"decision-{number}"]
    assert (row.verdict, row.figure, row.details["cells"]) == ("not testable", "changes no flush strategy", 0)


def test_leaving_a_flush_out_is_never_evidence(judged):
    for judgements in judged.values():
        for j in judgements:
            if STRATEGIES[j.proposed].skips or (j.before and STRATEGIES[j.before].skips):
                assert j.basis != "cost", j


def test_a_forced_choice_has_one_admissible_side(judged):
    """The hook of 2022: not to flush lost data, so cost had nothing to say."""
    (first, *_) = judged[4]
    assert (first.basis, first.before, first.proposed, first.prefers_proposed) == (
        "forced",
        "NO_FLUSH",
        "WBINVD_ALL",
        True,
    )
    assert first.p_cheaper <= 0.05


@pytest.mark.parametrize(
    ("number", "old", "new"),
    [(14, "WBINVD_ALL", "WBNOINVD_ALL"), (15, "WBNOINVD_ALL", "WBNOINVD_MASK"), (22, "WBNOINVD_ALL", "WBNOINVD_MASK")],
)
def test_the_decisions_of_2025_are_predicted_by_cost(judged, number, old, new):
    for j in judged[number]:
        assert (j.basis, j.prefers_proposed, j.proposed) == ("cost", True, new)
    assert (judged[number][0].before, judged[number][0].proposed) == (old, new)


def test_the_range_flush_of_2022_was_inadmissible_though_cheaper(judged):
    for j in judged[6]:
        assert (j.basis, j.prefers_proposed) == ("forced", False)
    assert judged[6][0].p_cheaper >= 0.95


@pytest.mark.parametrize("number", [10, 21])
def test_lines_of_a_folio_take_less_than_whole_caches_for_each_folio(judged, rows, number):
    """RMPUPDATE is due either way, and the hook knows one folio: cost agrees with the kernel at holes of any size."""
    assert rows[f"decision-{number}"].verdict == "pass"
    for j in judged[number]:
        assert (j.basis, j.proposed, j.prefers_proposed) == ("cost", "CLFLUSHOPT_DM_GMEM", True)
        assert j.p_cheaper >= 0.95


@pytest.mark.parametrize("number", [4, 14, 15, 20, 21])
def test_a_decision_that_had_gone_the_other_way_would_disagree(judged, number):
    decision = by_number(number)
    other = replace(decision, status="refused")
    assert all(agrees(decision, j) for j in judged[number])
    assert not any(agrees(other, j) for j in judged[number])


@pytest.mark.parametrize("number", sampled([20, 21], 2))
def test_a_changed_decision_changes_its_row_and_the_count(rows, monkeypatch, number):
    """One on which no later decision builds."""
    changed = tuple(replace(d, status="refused") if d.number == number else d for d in decisions())
    monkeypatch.setattr(upstream, "decisions", lambda: changed)
    found = {row.id: worded(row) for row in upstream.rows(EVIDENCE)}
    assert rows[f"decision-{number}"].verdict == "pass"
    assert found[f"decision-{number}"].verdict == "fail"
    assert found["agreement"].details["agree"] == rows["agreement"].details["agree"] - 1


def test_what_was_there_before_is_the_latest_merged_decision():
    case = ("sev", "autonuma_prot_none_scan")
    assert before(by_number(14), *case) == ("WBINVD_ALL",)
    assert before(by_number(15), *case) == ("WBNOINVD_ALL",)


def test_a_backport_replaces_what_its_decision_replaced():
    case = ("sev", "autonuma_prot_none_scan")
    assert before(by_number(5), *case) == before(by_number(4), *case) == ("NO_FLUSH",)


def test_a_refused_decision_is_no_predecessor():
    """WBNOINVD replaced WBINVD, not the filter by event that was refused."""
    assert by_number(7).status == "refused"
    assert before(by_number(14), "sev", "ksm_replace_page") == ("WBINVD_ALL",)


def test_probabilities_are_never_beyond_their_bounds(judged):
    for judgements in judged.values():
        for j in judgements:
            assert j.p_cheaper is None or 0.05 <= j.p_cheaper <= 0.95 or not j.before


def test_a_decision_that_cannot_be_told_is_neither_right_nor_wrong(judged):
    undecided = replace(judged[14][0], prefers_proposed=None)
    assert agrees(by_number(14), undecided) is None
    assert upstream._row(by_number(14), [undecided]).verdict == "not testable"


def test_one_cell_against_the_kernel_makes_a_decision_disagree(judged):
    cells = [judged[14][0], replace(judged[14][1], prefers_proposed=False)]
    row = upstream._row(by_number(14), cells)
    assert (row.verdict, row.details["agree"]) == ("fail", 1)


# Where cost alone would choose otherwise: cheaper indeed, and a reason each.


@pytest.fixture(scope="module")
def rows_cost_alone():
    return {row.id: worded(row) for row in upstream.cost_alone_rows(EVIDENCE)}


def test_there_are_four_places(rows_cost_alone):
    assert len(rows_cost_alone) == len(PLACES) == 4


@pytest.mark.parametrize("place", PLACES, ids=lambda p: p.id)
def test_each_is_cheaper_in_more_than_half_of_the_draws(rows_cost_alone, place):
    row = rows_cost_alone[f"cost-alone-{place.id}"]
    assert 0.5 < row.value <= 1
    assert row.verdict == "disagree-explained"


@pytest.mark.parametrize("place", PLACES, ids=lambda p: p.id)
def test_each_has_a_reason_with_its_source(rows_cost_alone, place):
    row = rows_cost_alone[f"cost-alone-{place.id}"]
    assert len(row.note) > 20
    assert row.source.startswith("rule ")


@pytest.mark.parametrize("place", PLACES, ids=lambda p: p.id)
def test_the_kernel_does_what_is_said_and_not_the_cheaper(place):
    done = kernels.upstream(place.guest, place.trigger, kernels.newest()).strategies
    assert place.kernel in done
    assert place.cheaper not in done


def test_a_place_that_is_not_cheaper_fails():
    dear = Place("x", "sev", "ksm_replace_page", "WBINVD_ALL", "CLFLUSHOPT_UVA")
    row = upstream._cost_alone_row(EVIDENCE, dear)
    assert (row.verdict, row.value) == ("fail", 0)


def test_a_large_hole_is_no_such_place(rows_cost_alone):
    """guest_memfd calls the hook for each folio, so a whole-cache flush there is one per 4 KiB page."""
    assert not any(place.guest == "sev-snp-gmem" for place in PLACES)
    hole = Place("hole", "sev-snp-gmem", "gmem_punch_hole", "WBNOINVD_ALL", "CLFLUSHOPT_DM_GMEM")
    assert upstream._cost_alone_row(EVIDENCE, hole).verdict == "fail"


def test_a_flush_on_all_cpus_stands_for_a_sequence_that_holds_it(rows_cost_alone):
    assert "at least" in rows_cost_alone["cost-alone-asid"].figure


def test_leaving_the_flush_out_costs_nothing(rows_cost_alone):
    for id in ("cost-alone-event-filter", "cost-alone-region"):
        assert rows_cost_alone[id].figure.startswith("nothing against ")
        assert rows_cost_alone[id].value == 1


def test_the_page_of_the_thread_costs_less_than_microseconds_by_range_and_milliseconds_by_blast(rows_cost_alone):
    assert " ns against " in rows_cost_alone["cost-alone-4-kib-page"].figure
    assert " ms CPU time" in rows_cost_alone["cost-alone-4-kib-page"].figure
