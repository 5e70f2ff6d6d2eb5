"""cost: each number an interval in order, each refusal named, each filter kept."""

import json
import math

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.errors import CostModelError, NotApplicable
from costmodel.kvm.strategies import STRATEGIES
from costmodel.kvm.triggers import triggers_of

CASE = ("--guest", "sev", "--machine", "epyc-7763-2s")


def cost(*words):
    return CliRunner().invoke(cli, ["cost", *words])


def rows_of(*words):
    result = cost(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def rows():
    return rows_of(*CASE)


def intervals(row):
    return {name: part for name, part in row.items() if isinstance(part, dict)}


def test_every_interval_is_finite_and_in_order(rows):
    seen = 0
    for row in rows:
        for name, part in intervals(row).items():
            assert 0 <= part["low"] <= part["median"] <= part["high"] < math.inf, (row["strategy"], name)
            seen += part["low"] < part["high"]
    assert seen > 50


def test_every_trigger_of_the_guest_is_there_and_no_ruled_out_strategy(rows):
    assert {row["trigger"] for row in rows} == {trigger.id for trigger in triggers_of("sev")}
    assert {row["strategy"] for row in rows} <= set(STRATEGIES)
    assert {row["admissible"] for row in rows} <= {"yes", "conditional"}


def test_a_cell_appears_once(rows):
    cells = [(row["trigger"], row["strategy"]) for row in rows]
    assert len(set(cells)) == len(cells)


def test_what_flushes_nothing_costs_nothing(rows):
    skips = [row for row in rows if STRATEGIES[row["strategy"]].skips and not row["refused"]]
    assert skips
    for row in skips:
        assert row["stolen_cpu_s_per_event"]["high"] == 0


def test_fewer_cpus_that_ran_make_the_mask_cheaper_and_all_cpus_no_cheaper(rows):
    pinned = rows_of(*CASE, "--cpus-that-ran", "8", "--trigger", "ksm_replace_page")

    def middle(found, name):
        (row,) = (r for r in found if (r["trigger"], r["strategy"]) == ("ksm_replace_page", name))
        return row["stolen_cpu_s_per_event"]["median"]

    assert middle(pinned, "WBNOINVD_MASK") < middle(rows, "WBNOINVD_MASK") / 4
    assert middle(pinned, "WBINVD_ALL") > middle(rows, "WBINVD_ALL") / 2


def test_a_trigger_filters_and_changes_nothing_else(rows):
    found = rows_of(*CASE, "--trigger", "unreg_region")
    assert found == [row for row in rows if row["trigger"] == "unreg_region"] != []


def test_the_text_names_every_strategy_of_the_trigger(rows):
    text = cost(*CASE, "--trigger", "unreg_region").output
    for row in rows:
        if row["trigger"] == "unreg_region":
            assert row["strategy"] in text


def test_a_guest_that_cannot_run_there_is_told_so():
    for form in ((), ("--json",)):
        done = cost("--guest", "tdx", "--machine", "epyc-7763-2s", *form)
        assert isinstance(done.exception, NotApplicable) and "not applicable: Intel TDX needs an Intel CPU" in str(
            done.exception
        )
        assert done.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ("--guest", "sevv", "--machine", "epyc-7763-2s"),
        ("--guest", "sev", "--machine", "epyc-7764-2s"),
        (*CASE, "--workload", "nothing"),
        (*CASE, "--kernel", "six"),
        (*CASE, "--trigger", "gmem_punch_hole"),
        (*CASE, "--cpus-that-ran", "100000"),
        (*CASE, "--resident-bytes", "nan"),
        (*CASE, "--event-fraction", "nan"),
    ],
)
def test_a_bad_value_is_refused_with_nothing_printed(words):
    result = cost(*words)
    assert isinstance(result.exception, CostModelError)
    assert "\n" not in str(result.exception)
    assert result.stdout == ""


def test_what_takes_another_kernel_is_told_and_columns_stand_apart():
    result = cost(*CASE, "--kernel", "6.6", "--trigger", "autonuma_prot_none_scan")
    head, *lines = [line for line in result.stdout.splitlines() if line.startswith("  ")]
    starts = [head.index(name) for name in ("per event", "CPU time per event", "host CPUs lost", "note")]
    by_strategy = {line.split()[0]: line for line in lines}
    for line in lines:
        assert all(line[start - 2 : start] == "  " for start in starts if len(line) > start)
    assert "needs" not in by_strategy["WBINVD_ALL"]
    assert by_strategy["WBNOINVD_MASK"].endswith("needs a newer kernel")
    for name in ("SKIP_COHERENT", "CLFLUSHOPT_DM_PINNED", "WBNOINVD_ALL"):
        assert by_strategy[name].endswith("needs a kernel patch")
