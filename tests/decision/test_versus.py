"""Paired comparison: joint draws, what can be told, what is refused, which commit did it."""

import numpy
import pytest

from costmodel.decision.estimates import Quantity, paired
from costmodel.decision.versus import introduced, steps
from costmodel.errors import BadInput, UnknownName
from tests.comparisons import between

EPYC = "epyc-7763-2s"


@pytest.fixture(scope="module")
def pinned():
    return between("6.6", "6.17", guest="sev", cpus_that_ran=8)


def trigger(result, name):
    return next(one for one in result.triggers if one.trigger == name)


def row(one, quantity):
    return next(r for r in one.rows if r.quantity == quantity)


def test_the_masked_flush_saves_cpu_time_for_a_pinned_guest(pinned):
    scan = trigger(pinned, "autonuma_prot_none_scan")
    assert (scan.base.strategy, scan.new.strategy) == ("WBINVD_ALL", "WBNOINVD_MASK")
    assert scan.in_workload and row(scan, "CPU time/event").verdict == "lower"
    assert pinned.total.verdict == "lower" and pinned.total.ratio.high < 0.1


def test_the_ratio_is_formed_draw_by_draw(pinned):
    """Both sides share their parameters: the ratio is far narrower than the quotient of the intervals."""
    one = row(trigger(pinned, "ksm_replace_page"), "CPU time/event")
    apart = (one.new.high / one.base.low) / (one.new.low / one.base.high)
    assert one.ratio.high / one.ratio.low < apart / 100


def test_an_unpinned_guest_gains_no_more_than_the_refill_and_that_is_said():
    result = between("6.6", "6.17", guest="sev")
    found = row(trigger(result, "ksm_replace_page"), "CPU time/event")
    assert found.verdict == "lower" and found.ratio.median > 0.7
    assert any("it only grows" in text for text in result.warnings)


def test_swapping_the_sides_turns_every_verdict_around(pinned):
    turned = between("6.17", "6.6", guest="sev", cpus_that_ran=8)
    other = {"lower": "higher", "higher": "lower"}
    for one in pinned.triggers:
        for mine, theirs in zip(one.rows, trigger(turned, one.trigger).rows, strict=True):
            assert other.get(mine.verdict, mine.verdict) == theirs.verdict
    assert turned.total.verdict == "higher"


def test_the_commits_between_two_kernels(pinned):
    changes = trigger(pinned, "ksm_replace_page").changes
    assert commits(changes) == [
        ("v6.8-v6.10", ["cec29eef0a81", "193bbfaacc84"]),
        ("v6.17-v7.2", ["a77896eea33d", "6f38f8c57464"]),
    ]
    assert commits(trigger(pinned, "vm_destroy").changes) == [("v6.17-v7.2", ["7e00013bd339"])]
    assert not trigger(pinned, "asid_recycle").changes
    assert steps("sev", "ksm_replace_page", "v6.17-v7.2", "v5.18-v6.7") == changes


def commits(changes):
    return [(c.kernel, [commit for one in c.decisions for commit in one.commits]) for c in changes]


@pytest.mark.parametrize(("guest", "machine"), [("plain", "xeon-6330-2s"), ("sev-snp", EPYC)])
def test_where_nothing_was_decided_nothing_changed(guest, machine):
    result = between("6.6", "6.17", guest=guest, machine=machine)
    assert result.total.verdict == "equal" and not any(one.changes for one in result.triggers)


def test_a_side_that_can_lose_a_flush_is_no_base():
    result = between("5.11", "6.6", guest="sev")
    scan = trigger(result, "autonuma_prot_none_scan")
    assert scan.base.state == "inadmissible" and scan.rows[0].refused == "base: can lose a flush here"
    assert result.total.verdict == "refused" and "autonuma_prot_none_scan" in result.total.refused


def test_a_missing_number_is_refused_with_its_gap(pinned):
    [only] = trigger(pinned, "asid_recycle").rows
    assert only.verdict == "refused" and "DF_FLUSH" in only.refused
    assert only.base is only.new is only.ratio is None


def test_two_strategies():
    result = between("WBNOINVD_MASK", "CLFLUSHOPT_UVA", guest="sev", workload="ksm-default")
    merge = trigger(result, "ksm_replace_page")
    assert merge.new.state == "inadmissible" and merge.new.note
    assert row(merge, "CPU time/event").verdict == "lower" and not merge.changes
    assert row(trigger(result, "autonuma_prot_none_scan"), "event latency").verdict == "undecided"
    assert any("can be lost" in text for text in result.warnings)


def test_every_number_has_a_source_and_every_prior_its_rule(pinned):
    assert {"W01", "N07"} <= {source.id for source in pinned.sources}
    assert pinned.extrapolated and any("no EPYC timing is public" in text for text in pinned.priors)


@pytest.mark.parametrize(
    ("base", "new", "guest", "machine", "error"),
    [
        ("6.5", "6.6", "sev", EPYC, BadInput),
        ("6.6", "6.17", "sev-snp-gmem", EPYC, BadInput),
        ("6.16", "6.17", "tdx", EPYC, BadInput),
        ("6.6", "six", "sev", EPYC, BadInput),
        ("6.6", "6.17", "sevv", EPYC, UnknownName),
        ("6.6", "6.17", "sev", "epyc", UnknownName),
    ],
)
def test_what_cannot_be_compared_is_refused(base, new, guest, machine, error):
    with pytest.raises(error):
        between(base, new, guest=guest, machine=machine)


def test_a_strategy_against_itself_is_refused():
    with pytest.raises(BadInput):
        between("WBINVD_ALL", "WBINVD_ALL", guest="sev")
    with pytest.raises(UnknownName):
        between("WBINVD_ALL", "WBINVD", guest="sev")


@pytest.mark.parametrize(
    ("base", "new", "verdict"),
    [
        ([1, 2, 3], [1, 2, 3], "equal"),
        ([1.0] * 100, [0.5] * 100, "lower"),
        ([1.0] * 100, [2.0] * 100, "higher"),
        ([1.0] * 100, numpy.linspace(0.5, 2, 100), "undecided"),
        ([0.0] * 100, [1.0] * 100, "higher"),
        ([0.0] * 100, [0.0] * 100, "equal"),
        ([1.0] * 100, [0.0] * 100, "lower"),
    ],
)
def test_verdicts(base, new, verdict):
    assert paired(Quantity("x", "x", "s"), numpy.array(base), numpy.array(new), (False, False)).verdict == verdict


@pytest.mark.usefixtures("mended")
def test_two_releases_of_a_range_differ_where_only_one_has_a_fix():
    found = between("6.18", "6.18.55", guest="sev")
    moved = next(t for t in found.triggers if t.trigger == "intra_host_migration_move_ctx")
    assert (moved.base.state, moved.new.state) == ("inadmissible", "admissible")
    assert moved.new.strategy == "WBNOINVD_MASK"
    with pytest.raises(BadInput, match="flush alike"):
        between("6.18.55", "6.18.56", guest="sev")


def test_what_came_with_a_guest_type():
    assert introduced("sev-snp-gmem") == "v6.8-v6.10" and introduced("sev") == "v5.11"


def test_a_comparison_in_mainline_names_the_mainline_release():
    """v5.15.70 is a backport: who goes from v5.11 to v6.6 meets the hook in v5.18."""
    assert [step.kernel for step in steps("sev", "ksm_replace_page", "v5.11", "v5.18-v6.7")] == ["v5.18-v6.7"]
    assert [step.kernel for step in steps("sev", "ksm_replace_page", "v5.11", "v5.15.70+")] == ["v5.15.70+"]
    [step] = steps("sev-es", "vmsa_page_free", "v5.11", "v5.15.70+")
    assert [one.number for one in step.decisions] == [3]
