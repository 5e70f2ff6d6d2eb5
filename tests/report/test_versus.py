"""The aligned table and its digits."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.decision.result import Interval, VersusRow
from costmodel.report.versus import change, factor, pdg_decimals, percent, render_comparison, table
from tests.comparisons import between


def versus_row(low, median, high, verdict):
    one = Interval(low=low, median=median, high=high, unit="1", extrapolated=False)
    return VersusRow(id="x", quantity="x", unit="s", base=one, new=one, ratio=one, verdict=verdict, refused=None)


@pytest.fixture(scope="module", params=["kernels", "strategies", "bug"])
def result(request):
    if request.param == "kernels":
        return between("6.6", "6.17", guest="sev", cpus_that_ran=8)
    if request.param == "bug":
        return between("5.11", "newest", guest="sev-es")
    return between("WBNOINVD_MASK", "CLFLUSHOPT_UVA", guest="sev", workload="ksm-default")


def test_the_text_fits_a_mail(result):
    text = render_comparison(result)
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 75


def test_the_columns_are_aligned(result):
    lines = table(result)
    head = lines[0]
    for label in (result.base, result.new):
        at = head.index(label)
        for line in lines:
            if line.startswith("  ") and "  " in line.strip() and len(line) > at and not line.startswith("   "):
                assert line[at - 1] == " " and line[at] != " ", line


def test_every_refusal_is_explained_and_every_trigger_shown(result):
    text = " ".join(render_comparison(result).split())
    for one in result.triggers:
        assert one.trigger in text
        for row in one.rows:
            assert row.refused is None or row.refused in text


def test_changes_name_their_commits():
    text = render_comparison(between("6.6", "6.17", guest="sev", cpus_that_ran=8))
    assert "a77896eea33d" in text and "6f38f8c57464" in text and "7e00013bd339" in text and re.search(r" /\d+ \[", text)


def test_a_step_is_shown_once_with_all_its_triggers():
    text = render_comparison(between("5.11", "6.6", guest="sev"))
    assert text.count("683412ccf612") == 2, "one place in the notifier, one outside of it"


def test_no_percentage_spans_zero(result):
    for line in table(result):
        for low, high in re.findall(r"\[([+-][\d.]+), ([+-][\d.]+)\] %", line):
            assert float(low) * float(high) > 0


@pytest.mark.parametrize(
    ("ratio", "verdict", "text"),
    [
        ((0.5, 1.0, 2.0), "undecided", "~"),
        ((1.0, 1.0, 1.0), "equal", "same"),
        ((0.0, 0.0, 0.0), "lower", "-100 %"),
        ((0.6, 0.69, 0.78), "lower", "-31 [-40, -22] %"),
        ((1.2, 1.3, 1.4), "higher", "+30 [+20, +40] %"),
        ((3.0, 3.2, 3.4), "higher", "x3.2 [3.0, 3.4]"),
        ((0.001, 0.01, 0.1), "lower", "/100 [10, 1000]"),
    ],
)
def test_a_change_as_text(ratio, verdict, text):
    assert change(versus_row(*ratio, verdict)) == text


def test_a_change_without_a_ratio():
    row = versus_row(1, 1, 1, "higher").model_copy(update={"ratio": None})
    zero = Interval(low=0, median=0, high=0, unit="s", extrapolated=False)
    assert change(row) == "higher" and change(row.model_copy(update={"base": zero})) == "was 0"
    assert change(row.model_copy(update={"verdict": "refused"})) == "refused"


@given(st.floats(1e-6, 1e6))
def test_the_last_digit_is_a_small_part_of_the_uncertainty(uncertainty):
    """Two digits of 100 to 354, one of 355 to 949: the last digit is worth 1/35 to 1/3.5 of the uncertainty."""
    part = 10.0 ** -pdg_decimals(uncertainty) / uncertainty
    assert 1 / 35.6 < part < 1 / 3.4


@pytest.mark.parametrize("uncertainty", [0.0, -1.0, float("inf"), float("nan")])
def test_no_digits_without_an_uncertainty(uncertainty):
    with pytest.raises(ValueError, match="positive"):
        pdg_decimals(uncertainty)


@given(st.floats(1e-8, 0.9), st.floats(1.001, 3), st.floats(1.001, 3))
def test_a_decided_change_never_reads_as_none(median, below, above):
    low, high = median / below, min(median * above, 0.999)
    if not low < median < high:
        return
    text = factor(low, median, high)
    assert text.startswith("/") and "[1," not in text
    ends = [float(end) for end in re.findall(r"[+-][\d.]+", percent(low, median, high))]
    assert all(end < 0 for end in ends)


def test_one_quantity_has_one_unit_and_wbnoinvd_saves_the_refill_of_all():
    """The neighbours fetch their lines again after WBINVD: that is in the host's total, not in the latency."""
    found = between("WBINVD_ALL", "WBNOINVD_ALL", guest="sev")
    assert found.total.verdict == "lower" and found.total.ratio.high < 1
    lines = render_comparison(found).splitlines()
    stalls = [line for line in lines if line.strip().startswith("vCPU stall")]
    assert stalls and all("us" not in line or " ms" not in line for line in stalls)
    lost = [line.split() for line in lines if "host CPUs lost" in line]
    assert {words[-1] for words in lost if words[3] == "0"} == {"same"}  # what cannot happen
    assert not any("same" in words for words in lost if words[3] != "0")


def test_what_only_a_newer_kernel_could_do_is_marked_plus_and_is_no_lost_flush():
    older = between("WBINVD_ALL", "WBNOINVD_MASK", guest="sev", kernel_names=("6.12",), workload="ksm-default")
    text = render_comparison(older)
    assert "+WBNOINVD_MASK" in text and "'+' what only a newer kernel does here" in " ".join(text.split())
    side = next(t.new for t in older.triggers if t.trigger == "ksm_write_protect")
    assert (side.state, side.from_kernel) == ("inadmissible", "v6.17-v7.2")
    never = next(t.new for t in older.triggers if t.trigger == "reg_region_or_launch_update")
    assert (never.state, never.from_kernel) == ("inadmissible", None)


def test_a_guest_that_its_vmm_cannot_run_is_called_so():
    found = between("WBINVD_ALL", "WBNOINVD_MASK", guest="sev", kernel_names=("6.12",), pinned=False)
    assert "no such guest exists" in " ".join(render_comparison(found).split())


def test_a_ceiling_says_what_its_interval_does_not_hold():
    text = " ".join(render_comparison(between("6.6", "6.17", guest="sev", cpus_that_ran=8)).split())
    assert "host CPUs, most: the rate is a ceiling, and no interval holds how far the true rate lies below it" in text
    given = between("6.6", "6.17", guest="sev", rates={"autonuma_prot_none_scan": 2.0})
    assert "no interval holds" not in " ".join(render_comparison(given).split())
