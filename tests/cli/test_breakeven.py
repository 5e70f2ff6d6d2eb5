"""breakeven: where one strategy becomes cheaper than another, over each axis."""

import json

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.errors import CostModelError

AXES = {"range_bytes": "B", "cpus": "1", "rate_per_s": "1/s", "cache_bytes": "B"}
PAIR = ("WBNOINVD_MASK", "CLFLUSHOPT_DM_PINNED")
WHERE = ("--guest", "sev", "--trigger", "unreg_region", "--cpus-that-ran", "8")


def breakeven(over, *words, pair=PAIR):
    words = ["breakeven", "--machine", "epyc-7763-2s", *WHERE, "--between", *pair, "--over", over, *words]
    return CliRunner().invoke(cli, words)


@pytest.fixture(scope="module")
def answers():
    return {over: json.loads(breakeven(over, "--json").stdout) for over in AXES}


@pytest.mark.parametrize("over", AXES)
def test_an_axis_gives_a_break_even_or_the_strategy_that_always_wins(answers, over):
    found = answers[over]
    assert found["over"] == over and found["unit"] == AXES[over]
    assert tuple(found["strategies"]) == PAIR
    assert bool(found["rows"]) != bool(found["always"])
    assert found["always"] in (None, *PAIR)


@pytest.mark.parametrize("over", AXES)
def test_break_evens_are_intervals_inside_the_swept_range(answers, over):
    found = answers[over]
    assert 0 < found["low"] < found["high"]
    for row in found["rows"]:
        told = [row[end] for end in ("low", "median", "high") if row[end] is not None]
        assert told and told[0] > 0 and told == sorted(told)
        assert [side == "" for side in row["beyond"][:3]] == [row[end] is not None for end in ("low", "median", "high")]
        assert 0 < row["share"] <= 1
        if row["label"] == "break-even":
            assert found["low"] <= row["median"] <= found["high"]


def test_a_range_flush_wins_up_to_a_range_of_many_pages(answers):
    (row,) = answers["range_bytes"]["rows"]
    assert row["median"] > 2**21


def test_ten_percent_of_the_host_are_lost_at_ten_times_the_rate_of_one(answers):
    rows = answers["rate_per_s"]["rows"]
    for name in PAIR:
        one, ten = sorted(row["median"] for row in rows if name in row["label"])
        assert ten == pytest.approx(10 * one)


def test_the_order_of_the_pair_does_not_move_the_break_even(answers):
    (row,) = answers["range_bytes"]["rows"]
    (other,) = json.loads(breakeven("range_bytes", "--json", pair=PAIR[::-1]).stdout)["rows"]
    assert other["median"] == pytest.approx(row["median"])


@pytest.mark.parametrize("over", AXES)
def test_the_text_names_both_strategies_and_the_axis(over):
    text = breakeven(over).output
    assert all(word in text for word in (*PAIR, over))


@pytest.mark.parametrize(
    ("words", "pair"),
    [
        ((), ("WBNOINVD_MASK", "FLUSH_ALL")),
        ((), ("<script>", "WBINVD_ALL")),
        (("--guest", "sevv"), PAIR),
        (("--trigger", "nothing"), PAIR),
        (("--workload", "nothing"), PAIR),
    ],
)
def test_an_unknown_name_is_refused(words, pair):
    result = breakeven("range_bytes", *words, pair=pair)
    assert isinstance(result.exception, CostModelError)
    assert result.stdout == ""


def test_an_unknown_axis_is_refused():
    assert breakeven("moon").exit_code == 2


def test_an_end_beyond_the_sweep_is_printed_as_beyond_and_is_null_in_json():
    """A large host: in some draws 64 GiB of lines still take less than one whole-cache flush."""
    words = ("--trigger", "autonuma_prot_none_scan", "--machine", "epyc-9654-2s")
    pair = ("WBINVD_ALL", "CLFLUSHOPT_UVA")
    (row,) = json.loads(breakeven("range_bytes", "--json", *words, pair=pair).stdout)["rows"]
    assert row["share"] < 0.95 and row["high"] is None and row["beyond"][2] == "above"
    assert "> 64 GiB]" in breakeven("range_bytes", *words, pair=pair).stdout


def test_what_a_condition_forbids_is_told():
    words = ("--guest", "sev-snp-gmem", "--trigger", "gmem_punch_hole")
    text = breakeven("range_bytes", *words, pair=("WBNOINVD_MASK", "CLFLUSHOPT_DM_GMEM")).stdout
    assert "WBNOINVD_MASK is inadmissible there" in text


def test_the_kernel_decides_which_of_the_pair_may_be_used_there():
    """The mask came with v6.17."""
    old, new = (breakeven("range_bytes", "--kernel", kernel).stdout for kernel in ("6.6", "6.17"))
    assert "WBNOINVD_MASK is inadmissible there" in old and "inadmissible" not in new
    assert "kernel 6.6" in old.splitlines()[0] and "kernel 6.17" in new.splitlines()[0]
