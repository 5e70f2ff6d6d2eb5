"""What a user types after `import costmodel as cm`: one schema, short shows, clear refusals, nothing loaded too
early.
"""

import copy
import doctest
import json
import pickle
import re
import subprocess
import sys

import numpy
import pandas
import pytest

import costmodel as cm
from costmodel import api
from costmodel.api import arguments, calibrations, cases, facts
from costmodel.calibration.parameters import parameters_of
from costmodel.cost.draws import CASE_DRAWS, Case, Draws
from costmodel.cost.total import event_of
from costmodel.errors import BadInput, MissingNumber, UnknownName
from costmodel.evidence.store import load
from costmodel.formulas.catalog import FORMULAS
from costmodel.kvm.catalog import STRATEGIES
from costmodel.report.record import recommend
from tests.samples import sampled

HEAVY = ("numpy", "pandas", "scipy", "seaborn", "matplotlib", "sympy", "pydantic")
KSM = "ksm_replace_page"


@pytest.fixture(scope="module")
def sev():
    return cm.case("sev", "epyc-7763-2s", kernel="6.17", vcpus=8, cpus_that_ran=8)


@pytest.fixture(scope="module")
def swept(sev):
    return sev.sweep(range_bytes=cm.logspace("4 KiB", "1 GiB", 7), cpus=[8, 64, 256])


def event_at(case, strategy, trigger, n=CASE_DRAWS):
    """Cost of one event, p99 and rate, by draw: what a whole-cache flush finds dirty follows from the rate."""
    draws = Draws(parameters_of(load(), case.machine), n)
    return event_of(Case(trigger, case.scenario, draws), STRATEGIES[strategy])


def test_the_import_loads_none_of_the_heavy_libraries():
    code = f"import sys, costmodel; dir(costmodel); print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_examples_of_the_docstrings_are_true():
    for module in (cm, arguments, calibrations, cases, facts, facts):
        found = doctest.testmod(module, extraglobs=vars(api))
        assert found.attempted and not found.failed


def test_every_public_name_has_a_docstring_and_shows_in_completion():
    assert set(cm.__all__) <= set(dir(cm))
    for name in cm.__all__:
        assert (getattr(cm, name).__doc__ or "").strip(), name
    for name in ("costs", "waits", "draws", "sweep", "breakeven", "compare", "recommend"):
        assert getattr(api.Case, name).__doc__.strip()
    assert {"costs", "sweep"} <= set(dir(cm.case("sev", "epyc-7763-2s")))
    assert set(dir(cm.formulas)) == set(FORMULAS)
    assert {"lines", "expr", "symbols"} <= set(dir(cm.formulas.range_flush))


def test_all_frames_of_costs_begin_with_the_same_columns(sev, swept):
    frames = [
        sev.costs(),
        sev.waits(),
        swept,
        sev.breakeven("WBNOINVD_MASK", "CLFLUSHOPT_DM_PINNED", over="range_bytes"),
        sev.compare(kernels=["6.6", "6.17"]),
    ]
    for frame in frames:
        assert tuple(frame.columns[: len(api.COLUMNS)]) == api.COLUMNS
        assert len(frame)
        known = frame.dropna(subset=["median"])
        assert ((known.low <= known["median"]) & (known["median"] <= known.high)).all()
        assert set(frame.guest) == {"sev"} and set(frame.vcpus) == {8}


@pytest.mark.nightly
def test_costs_are_those_of_the_recommendation(sev):
    frame = sev.costs()
    assert set(frame.trigger) == {row.trigger for row in sev.recommend().result.costs}
    for row in sev.recommend().result.costs:
        found = frame.query("trigger == @row.trigger and strategy == @row.strategy").set_index("quantity")
        if row.refused:
            assert found.refused.item() == row.refused and found["median"].isna().all()
            continue
        for field, name in api.PARTS.items():
            part = getattr(row, field)
            assert (name in found.index) == (part is not None)
            if part is not None:
                assert tuple(found.loc[name, ["low", "median", "high", "unit"]]) == (
                    part.low,
                    part.median,
                    part.high,
                    part.unit,
                )
        assert set(found.state) == {row.state} and set(found.extrapolated) == {row.extrapolated}


def test_one_trigger_is_a_part_of_all(sev):
    one, every = sev.costs(KSM), sev.costs()
    pandas.testing.assert_frame_equal(one, every[every.trigger == KSM].reset_index(drop=True))


def test_draws_are_what_the_intervals_come_from(sev):
    trigger = sev.recommend().result.costliest_trigger
    draws = sev.draws("WBNOINVD_MASK")
    row = sev.costs(trigger).query("strategy == 'WBNOINVD_MASK'").set_index("quantity")
    assert numpy.quantile(draws.cpu_time_s, (0.05, 0.5, 0.95)) == pytest.approx(
        row.loc["cpu_time", ["low", "median", "high"]].tolist()
    )
    assert numpy.median(draws.host_cpus) == pytest.approx(row.loc["host_cpus", "median"])
    assert {"line_valid_s", "broadcast_start_s"} <= set(draws.columns)


def test_a_sweep_has_every_combination_and_passes_through_the_case(sev, swept):
    counts = swept.groupby(["strategy", "quantity"]).size()
    assert set(counts) == {21}
    assert set(swept.cpus) == {8.0, 64.0, 256.0} and set(swept.cpus_that_ran) == {8.0, 64.0, 256.0}
    trigger = swept.trigger.iloc[0]
    (size,) = [size for size, _ in sev.scenario.ranges(trigger)]
    here = sev.sweep(range_bytes=[size], cpus=[8], strategies=["WBNOINVD_MASK"]).set_index("quantity")
    event, _, rate = event_at(sev, "WBNOINVD_MASK", trigger, api.SWEEP_DRAWS)
    assert here.loc["cpu_time", "median"] == pytest.approx(numpy.median(event.stolen_s))
    assert here.loc["host_cpus", "median"] == pytest.approx(numpy.median(rate * event.stolen_s))
    masked = swept.query("strategy == 'WBNOINVD_MASK' and quantity == 'cpu_time' and range_bytes == range_bytes.min()")
    assert masked.sort_values("cpus")["median"].is_monotonic_increasing
    assert swept[swept.chosen].strategy.unique().tolist() == ["WBNOINVD_MASK"]


def test_a_sweep_takes_its_draws_and_says_which_axis_has_no_value(sev):
    few = sev.sweep(cpus=[8], draws=64)
    assert few.attrs["draws"] == 64 and not few["median"].equals(sev.sweep(cpus=[8])["median"])
    for draws in (1, 2**16 + 1, 8.5):
        with pytest.raises(BadInput, match="draws"):
            sev.sweep(cpus=[8], draws=draws)
    for asked in (lambda: sev.sweep(range_bytes=[]), lambda: sev.waits(KSM, rate_per_s=[])):
        with pytest.raises(BadInput, match="no value was given"):
            asked()


def test_whole_numbers_of_an_axis_may_be_calculated_ones(sev):
    counts = api.logspace(1, 256, 9)
    assert counts.tolist() != counts.round().tolist()
    assert sorted(set(sev.sweep(cpus=counts, draws=4).cpus)) == [2.0**power for power in range(9)]
    with pytest.raises(BadInput, match="whole numbers; round them"):
        sev.sweep(cpus=api.logspace(1, 256, 8))


def test_a_length_is_a_number_of_bytes_or_a_size_as_text(sev):
    both = [sev.sweep(l2_bytes_per_core=size) for size in ("1 MiB", 2**20)]
    pandas.testing.assert_frame_equal(*both)
    by_text, by_number = (sev.sweep(range_bytes=sizes) for sizes in (["4 KiB", "1 MiB"], [4096, 2**20]))
    pandas.testing.assert_frame_equal(by_text, by_number)
    with pytest.raises(BadInput, match="range_bytes"):
        sev.sweep(range_bytes=[sev.scenario.machine.line_bytes / 2])


def test_waits_over_the_rate_pass_through_those_of_a_rate_that_was_given(sev):
    swept = sev.waits(KSM, rate_per_s=[2, 20])
    assert tuple(swept.columns[: len(api.COLUMNS)]) == api.COLUMNS
    keys = ["strategy", "placement", "quantity"]
    busy = sev(rates={KSM: 20})
    one = busy.waits(KSM).set_index(keys)["median"]
    other = swept[swept.rate_per_s == 20].set_index(keys)["median"]
    assert one.index.equals(other.index)
    for name in swept.strategy.unique():
        event, _, rate = event_at(busy, name, KSM, api.SWEEP_DRAWS)
        stopped = numpy.minimum(1.0, rate * event.irq_off_s)
        assert other[name, "after_srcu", "standstill"] == pytest.approx(numpy.median(stopped))
        in_line = rate * event.time_s
        share = in_line if event.irq_off_s.any() else -numpy.expm1(-in_line)
        assert other[name, "after_srcu", "in_progress"] == pytest.approx(numpy.median(numpy.minimum(1.0, share)))
    own = swept[swept.chosen]
    assert set(own.strategy) == {"WBNOINVD_MASK"} and own[own.here].placement.nunique() == 1
    units = swept.groupby("quantity").unit.unique()
    assert units["fault_wait_mean"].tolist() == ["s"] and units["saturation_rate"].tolist() == ["1/s"]


def test_the_bill_adds_up_to_the_cost(sev):
    bill = sev.bill()
    assert tuple(bill.columns[: len(api.COLUMNS)]) == api.COLUMNS
    paid = bill.set_index(["strategy", "payer"])["median"]
    assert len(paid)
    for name in bill.strategy.unique():
        event, _, _ = event_at(sev, name, sev.costliest_trigger)
        stopped = {"WBNOINVD_MASK": 8, "WBINVD_ALL": 256, "WBNOINVD_ALL": 256, "WBINVD_MASK": 8}.get(name, 0)
        strangers = max(0, stopped - 8) * event.irq_off_s + event.neighbours_s
        assert paid[name, "everyone else"] == pytest.approx(numpy.median(strangers))
        assert paid[name, "its guest"] == pytest.approx(numpy.median(event.stolen_s - strangers))


def test_the_mask_grows_from_the_pinned_guest_to_all_cpus(sev):
    rows = sev.mask().query("quantity == 'cpu_time' and state == 'admissible'")
    assert rows.cpus_that_ran.iloc[0] == 8 and rows.cpus_that_ran.iloc[-1] == sev.scenario.machine.logical_cpus
    assert rows["median"].iloc[0] < rows["median"].iloc[-1] == max(rows["median"])


def test_parameters_are_those_that_the_draws_come_from(sev):
    known = cm.parameters("epyc-7763-2s")
    draws = sev.draws("WBNOINVD_MASK")
    name = "line_valid_s"
    assert known["median"][name] == pytest.approx(numpy.median(draws[name]), rel=1e-2)
    assert (known.dropna(subset=["median"]).eval("low <= median <= high")).all()
    assert known.rule["tdx_page_wbinvd_s"].startswith("missing: ") if "tdx_page_wbinvd_s" in known.index else True


@pytest.mark.nightly
def test_a_rate_that_was_measured_sets_the_loss(sev):
    busy = sev(rates={KSM: 20})
    row = busy.costs(KSM).query("strategy == 'WBNOINVD_MASK'").set_index("quantity")
    assert row.loc["rate", "median"] == 20
    lost = numpy.minimum(20 * busy.draws("WBNOINVD_MASK", KSM).cpu_time_s, busy.scenario.machine.logical_cpus)
    assert row.loc["host_cpus", "median"] == pytest.approx(numpy.median(lost))
    unmerged = sev.costs(KSM)
    assert not unmerged.fires.any() and unmerged.why.str.contains("QEMU switches mem-merge off").all()
    assert (unmerged.query("quantity == 'rate'")["median"] == 0).all()
    assert busy.costs(KSM).fires.all()
    assert f"--rate {KSM}=20" in busy.recommend().result.command
    assert not busy.waits(KSM).empty


@pytest.mark.nightly
def test_a_break_even_is_where_the_costs_cross(sev):
    found = sev.breakeven("WBNOINVD_MASK", "CLFLUSHOPT_UVA", over="range_bytes")
    at = float(found.at_medians.iloc[0])
    costs = sev.sweep(range_bytes=[at / 4, at * 4], strategies=["WBNOINVD_MASK", "CLFLUSHOPT_UVA"]).query(
        "quantity == 'cpu_time'"
    )
    table = costs.pivot(index="range_bytes", columns="strategy", values="median")
    cheaper = table.CLFLUSHOPT_UVA < table.WBNOINVD_MASK
    assert cheaper.tolist() == [True, False]


def test_a_break_even_has_the_state_of_each_of_the_two(sev):
    pair = ("WBNOINVD_MASK", "CLFLUSHOPT_UVA")
    frames = [
        sev.breakeven(*pair, over="range_bytes"),
        sev.sweep(reduce="breakeven", strategies=pair, draws=16, range_bytes=cm.logspace("64", "64 GiB", 9)),
    ]
    for found in frames:
        assert found[["strategy", "state", "against", "against_state"]].drop_duplicates().to_numpy().tolist() == [
            ["WBNOINVD_MASK", "admissible", "CLFLUSHOPT_UVA", "inadmissible"]
        ]


def test_a_comparison_tells_the_sides_apart(sev):
    found = sev(vcpus=16).compare(kernels=["6.6", "6.17"])
    busy = found[(found.trigger == "autonuma_prot_none_scan") & (found.quantity == "cpu_time")].set_index("side")
    assert busy.strategy[["base", "new"]].tolist() == ["WBINVD_ALL", "WBNOINVD_MASK"]
    assert set(busy.verdict) == {"lower"} and busy.loc["ratio", "high"] < 1
    assert set(found.quantity) >= {"event_time", "event_time_p99", "interrupts_off", "guest_stall_time"}
    two = sev.compare(strategies=["WBNOINVD_MASK", "WBNOINVD_ALL"])
    assert set(two.kernel) == {sev.scenario.kernel}


def test_the_recommendation_is_that_of_the_command_line(sev):
    answer = sev.recommend()
    assert answer.result == recommend("sev", "epyc-7763-2s", kernel="6.17", vcpus=8, cpus_that_ran=8)
    assert cm.recommend("sev", "epyc-7763-2s", kernel="6.17", vcpus=8, cpus_that_ran=8) == answer
    assert json.loads(answer.json()) == answer.result.model_dump(mode="json")
    assert answer.result.headline.split(":")[0][:30] in answer.text().replace("\n", " ")
    assert answer.policy.trigger.tolist() == [entry.trigger for entry in answer.result.policy]
    assert set(answer.remedies.id) >= {entry.id for entry in answer.result.remedies}
    assert len(answer.flips) == sum(len(entry.flips) for entry in answer.result.policy)


def test_everything_shows_itself_shortly(sev):
    shown = [sev, sev.recommend(), cm.formulas, cm.calibrate("line_time"), *(cm.formulas[name] for name in FORMULAS)]
    for thing in shown:
        assert 0 < len(repr(thing)) < 1000
    assert eval(repr(sev), {"case": cm.case}) == sev
    page = sev._repr_html_()
    assert sev.recommend().result.headline[:40] in page
    drawn = re.compile(r"<svg.*?</svg>", re.DOTALL)
    assert drawn.sub("", page).count("<style>") == 1 and page.startswith('<div class="costmodel">')
    assert ":root" not in page and "body {" not in page, "the style would reach beyond the fragment"
    assert "\n& { --ink:" in page, "colours are those of the fragment"


@pytest.mark.parametrize("name", sampled(api.SECTIONS, 2))
def test_every_section_of_the_report_shows_itself(sev, name):
    section = sev.recommend().section(name)
    assert "<section" in section._repr_html_() and len(repr(section)) < 100


@pytest.mark.parametrize("make", [
    lambda sev: sev,
    lambda sev: sev.recommend(),
    lambda sev: cm.formulas.range_flush,
    lambda sev: cm.formulas,
    lambda sev: cm.calibrate("line_time"),
])  # fmt: skip
def test_results_pickle_copy_and_compare(sev, make):
    thing = make(sev)
    for again in (pickle.loads(pickle.dumps(thing)), copy.copy(thing), copy.deepcopy(thing)):
        assert again == thing
    assert thing != make(sev(vcpus=4)) or not isinstance(thing, api.Case | api.Recommendation)


@pytest.mark.parametrize(
    ("ask", "kind", "words"),
    [
        (lambda: cm.case("sevv", "epyc-7763-2s"), UnknownName, "'sev'"),
        (lambda: cm.case("sev", "epyc-7764-2s"), UnknownName, "epyc-7763-2s"),
        (lambda: cm.case("sev", "epyc-7763-2s", kernal="6.6"), UnknownName, "'kernel'"),
        (lambda: cm.case("sev", "epyc-7763-2s")(vcpu=3), UnknownName, "'vcpus'"),
        (lambda: cm.recommend("sev", "epyc-7763-2s", wrkload="x"), UnknownName, "'workload'"),
        (lambda: cm.case("sev", "epyc-7763-2s", kernel="six"), BadInput, "kernel"),
        (lambda: cm.case("sev", "epyc-7763-2s", kernel=6.6), BadInput, "kernel"),
        (lambda: cm.case("sev", "epyc-7763-2s", vcpus=0), BadInput, "vcpus"),
        (lambda: cm.case("sev", "epyc-7763-2s", vcpus=1.5), BadInput, "vcpus"),
        (lambda: cm.case("sev", "epyc-7763-2s", vcpus="8"), BadInput, "vcpus"),
        (lambda: cm.case("sev", "epyc-7763-2s", resident_bytes="16 gigs"), BadInput, "resident_bytes"),
        (lambda: cm.case("sev", "epyc-7763-2s", resident_bytes=float("nan")), BadInput, "resident_bytes"),
        (lambda: cm.case("sev", "epyc-7763-2s", cpus_that_ran=10_000), BadInput, "cpus_that_ran"),
        (lambda: cm.case("sev", "epyc-7763-2s", rates={"ksm_replace": 3}), UnknownName, KSM),
        (lambda: cm.case("sev", "epyc-7763-2s", rates={KSM: -3}), BadInput, KSM),
        (lambda: cm.case("sev", "epyc-7763-2s").costs(triger=KSM), UnknownName, "'trigger'"),
        (lambda: cm.case("sev", "epyc-7763-2s").costs("ksm_replace_pag"), UnknownName, KSM),
        (lambda: cm.case("sev", "epyc-7763-2s").draws("WBINVD"), UnknownName, "WBINVD_ALL"),
        (lambda: cm.case("sev", "epyc-7763-2s").draws("VM_PAGE_FLUSH"), MissingNumber, "VM_PAGE_FLUSH"),
        (lambda: cm.case("sev", "epyc-7763-2s").sweep(range_byte=[1]), UnknownName, "'range_bytes'"),
        (lambda: cm.case("sev", "epyc-7763-2s").sweep(), BadInput, "range_bytes"),
        (lambda: cm.case("sev", "epyc-7763-2s").sweep(cpus=[8, 1000]), BadInput, "cpus"),
        (lambda: cm.case("sev", "epyc-7763-2s").sweep(rate_per_s=[0]), BadInput, "rate_per_s"),
        (lambda: cm.case("sev", "epyc-7763-2s").sweep(range_bytes=[]), BadInput, "range_bytes"),
        (lambda: cm.case("sev", "epyc-7763-2s").breakeven("WBINVD_ALL", "WBNOINVD_AL", over="cpus"), UnknownName, "WBNOINVD_ALL"),
        (lambda: cm.case("sev", "epyc-7763-2s").breakeven("WBINVD_ALL", "WBNOINVD_ALL", over="cpu"), UnknownName, "'cpus'"),
        (lambda: cm.case("sev", "epyc-7763-2s").compare(kernels=["6.6"]), BadInput, "kernel"),
        (lambda: cm.case("tdx", "epyc-7763-2s").costs(), BadInput, "Intel"),
        (lambda: cm.case("plain", "epyc-7763-2s").draws("NO_FLUSH"), BadInput, "trigger"),
        (lambda: cm.calibrate("line_tim"), UnknownName, "line_time"),
        (lambda: cm.formulas.range_flus, AttributeError, "range_flush"),
        (lambda: cm.formulas["range_flus"], UnknownName, "range_flush"),
        (lambda: cm.formulas.range_flush.line, AttributeError, "lines"),
        (lambda: cm.formulas.range_flush(lnes=3), UnknownName, "lines"),
        (lambda: cm.formulas.range_flush(lines=3), BadInput, "range_start_s"),
        (lambda: cm.logspace("4 KiB", "1 KiB"), BadInput, "start"),
        (lambda: cm.logspace("4 cows", "1 GiB"), BadInput, "KiB"),
        (lambda: cm.recommend("sev", "epyc-7763-2s").section("chang"), UnknownName, "change"),
        (lambda: cm.parameters("epyc-7763"), UnknownName, "epyc-7763-2s"),
        (lambda: cm.host("nowhere"), UnknownName, "nowhere"),
        (lambda: cm.host("epyc-genoa-4cpu-vm").line_times("WBINVD"), UnknownName, "CLFLUSH"),
        (lambda: cm.scoreboard("claim"), UnknownName, "claims"),
        (lambda: cm.simulations("num"), UnknownName, "numa"),
        (lambda: cm.case("sev", "epyc-7763-2s").waits(rate_per_s=[]), BadInput, "rate_per_s"),
        (lambda: cm.nothing, AttributeError, "nothing"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_in_one_line(ask, kind, words):
    with pytest.raises(kind) as caught:
        ask()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_refusal_is_not_applicable_in_the_recommendation():
    assert not cm.case("tdx", "epyc-7763-2s").recommend().result.applicable


def test_the_setup_of_the_memory_is_a_part_of_the_case():
    bound = cm.case("sev", "epyc-7763-2s", mempolicy="bind", rates={"all": (30, 10)})
    assert repr(bound) == "case('sev', 'epyc-7763-2s', rates={'all': (30.0, 10.0)}, mempolicy='bind')"
    assert bound.scenario.setup.pinned and bound.scenario.counts == (("all", 30.0, 10.0),)
    assert bound(mempolicy=None) == cm.case("sev", "epyc-7763-2s", rates={"all": (30, 10)})
    with pytest.raises(BadInput, match="guest_memfd"):
        bound(backing="guest_memfd")
