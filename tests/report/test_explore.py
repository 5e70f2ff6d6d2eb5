"""The explorer without a browser: it starts as the report is, and follows its controls step by step."""

from dataclasses import replace
from importlib.util import find_spec

import numpy
import pytest

import costmodel as cm
from costmodel.cost.scenario import AXES, not_applicable
from costmodel.decision import findings
from costmodel.decision.views import sweep
from costmodel.errors import BadInput, UnknownName
from costmodel.evidence.store import load
from costmodel.report import explore
from costmodel.report.explore import OWN, Explorer, Question
from costmodel.report.sentences import cost_text
from tests.colour import check_figure
from tests.samples import sampled

pytestmark = pytest.mark.skipif(find_spec("ipywidgets") is None, reason="the extra lab is not installed")
START = Question("sev", "epyc-7763-2s", "autonuma-default")


@pytest.fixture(scope="module")
def explorer():
    return Explorer("sev", "epyc-7763-2s", "autonuma-default")


@pytest.fixture
def control(explorer):
    """The explorer at its start, put back after the test."""
    start = [(one, one.value) for one in explorer.controls]
    yield explorer
    for one, value in start:
        if value in [pair[1] if isinstance(pair, tuple) else pair for pair in dict_or_pairs(one.options)]:
            one.value = value
    assert explorer.asked == START


def dict_or_pairs(options):
    return list(options.items()) if isinstance(options, dict) else list(options)


def texts(menu):
    return [pair[0] if isinstance(pair, tuple) else pair for pair in dict_or_pairs(menu.options)]


@pytest.mark.parametrize("machine", sampled(load().machines, 16))
def test_at_its_start_it_says_what_the_report_says(machine, monkeypatch):
    """For each guest that the machine can host: the costliest trigger, each cost there, the cost of all triggers."""
    monkeypatch.setattr(findings, "variations", lambda *_: {})  # they vary P(best), and no cost
    for guest in explore.possible_guests(machine, "newest"):
        found = explore.answer(Question(guest, machine, "autonuma-default"))
        case = cm.case(guest, machine)
        if found is None:
            assert findings.costliest_study(case._studies) is None
            continue
        assert found.headline_cost == cost_text(findings.headline_study(case._studies), case._studies)
        assert found.study.trigger.id == case.costliest_trigger
        frame = case.costs(case.costliest_trigger).set_index(["strategy", "quantity"])
        assert {line.strategy for line in found.lines} == set(frame.index.get_level_values("strategy"))
        for line in found.lines:
            for name, part in (("cpu_time", line.cpu_time_s), ("host_cpus", line.host_cpus)):
                if part is None:
                    assert (line.strategy, name) not in frame.index or numpy.isnan(frame["median"][line.strategy, name])
                else:
                    assert (part.low, part.median, part.high) == tuple(
                        frame.loc[(line.strategy, name), ["low", "median", "high"]]
                    )
            if line.host_cpus:
                assert line.host_cpus.at_most == frame["at_most"][line.strategy, "host_cpus"]


@pytest.mark.parametrize("guest", ["sev", "sev-snp-gmem"])
def test_the_first_screen_has_the_cost_of_the_report(answer, guest):
    assert explore.answer(replace(START, guest=guest)).headline_cost == answer(guest).headline_cost


def test_guests_that_a_machine_or_a_kernel_cannot_host_cannot_be_chosen(control):
    for machine in load().machines:
        for kernel in ("newest", "v6.8-v6.10"):
            for guest in cm.guests().index:
                case = cm.case(guest, machine, kernel=kernel).scenario
                hosted = not not_applicable(case)
                assert hosted == (guest in explore.possible_guests(machine, kernel))
    control.machine.value = "xeon-8570-2s"
    assert set(control.guest.options) == {"plain", "tdx"}
    control.machine.value = "epyc-7763-2s"
    assert "tdx" not in control.guest.options
    control.kernel.value = "v6.8-v6.10"
    assert "sev-snp-gmem" not in control.guest.options
    control.kernel.value = "newest"
    control.guest.value = "sev"


def test_numbers_that_a_control_sets_are_those_of_the_case(control):
    control.vcpus.value = 16
    case = cm.case("sev", "epyc-7763-2s", vcpus=16)
    assert explore.answer(control.asked).study.scenario == case.scenario
    control.vcpus.value = OWN
    control.cpus.value = 32
    assert explore.answer(control.asked).study.scenario.cpus_that_ran == 32
    control.cpus.value = OWN
    control.pinning.value = "spread"
    there = explore.answer(control.asked).study.scenario
    assert (there.cpus_that_ran, there.packed) == (8, False)
    control.pinning.value = "unpinned"


def test_range_and_rate_are_those_of_one_trigger(control):
    ksm = "ksm_replace_page"
    found = explore.answer(replace(START, trigger=ksm, range_bytes=2.0**21, rate_per_s=20.0))
    assert found.study.trigger.id == ksm and found.study.scenario.ranges(ksm) == ((2.0**21, 1.0),)
    line = next(line for line in found.lines if line.strategy == "WBNOINVD_MASK")
    frame = cm.case("sev", "epyc-7763-2s", rates={ksm: 20}).costs(ksm).query("strategy == 'WBNOINVD_MASK'")
    assert line.host_cpus.median == frame.set_index("quantity")["median"]["host_cpus"]
    numa = explore.answer(replace(START, range_bytes=2.0**21)).headline_cost
    assert numa.split(" at ")[1] == explore.answer(START).headline_cost.split(" at ")[1]


@pytest.mark.parametrize("over", AXES)
@pytest.mark.parametrize("guest", ["sev", "sev-snp-gmem"])
def test_curves_are_those_of_the_report(guest, over):
    """All values of the axis at once give what they give one by one."""
    study = explore.answer(replace(START, guest=guest)).study
    draws = explore._draws("epyc-7763-2s")[1]
    names = ["WBINVD_ALL", "WBNOINVD_MASK", "CLFLUSHOPT_UVA", "CLFLUSHOPT_DM_GMEM", "VM_PAGE_FLUSH"]
    one_by_one = sweep(study.case.over(draws), names, over)
    found = explore.curves(study, names, over, one_by_one.x, draws)
    assert set(found) == set(one_by_one.series) and "VM_PAGE_FLUSH" not in found
    for name, band in found.items():
        for part in ("low", "median", "high"):
            assert getattr(band, part) == pytest.approx(getattr(one_by_one.series[name], part))


def test_a_step_costs_each_strategy_once_and_moves_the_lines(control, monkeypatch):
    """Counted, not timed: one evaluation per curve, no new line, no study of the other triggers for a range or a
    rate.
    """
    counts = {"curves": 0, "studies": 0, "lines": 0}

    def counted(name, of, attribute):
        real = getattr(of, attribute)

        def act(*rest, **more):
            counts[name] += 1
            return real(*rest, **more)

        monkeypatch.setattr(of, attribute, act)

    counted("curves", explore, "event_of")
    counted("studies", explore, "Study")
    counted("lines", explore.plots, "Lines")
    control.over.value = "cpus"
    control.over.value = "range_bytes"
    assert counts["lines"] == 2
    counts.update(curves=0, studies=0, lines=0)
    drawn = control.picture.lines
    before = {name: line.get_ydata().copy() for name, line in drawn.lines.items() if line.get_visible()}
    control.cache.value = 2.0**22
    assert drawn is control.picture.lines
    assert counts["curves"] <= len(drawn.names) and counts["lines"] == 0
    assert before and any((drawn.lines[name].get_ydata() != before[name]).any() for name in before)
    counts.update(curves=0, studies=0, lines=0)
    control.range.value = 2.0**21
    assert counts == {"curves": counts["curves"], "studies": 1, "lines": 0} and counts["curves"] <= len(drawn.names)
    assert control.picture.here.get_xdata()[0] == 2.0**21
    control.range.value = control.cache.value = OWN


def test_readouts_speak_of_sizes_as_people_do(control):
    assert {"64 MiB", "4 KiB", "1 GiB"} <= set(texts(control.range))
    assert texts(control.range)[0] == "workload: 256 MiB"
    assert texts(control.cache)[0] == "built: 32 MiB"
    assert texts(control.vcpus)[0] == "workload: 8"
    assert texts(control.cpus)[0] == "pinning: 256"


def test_it_says_that_it_computes_and_falls_silent(control, monkeypatch):
    seen, real = [], explore.answer
    monkeypatch.setattr(explore, "answer", lambda asked: seen.append(control.busy.value) or real(asked))
    control.range.value = 2.0**22
    assert "Computing" in seen[0] and control.busy.value == ""
    control.range.value = OWN


def test_the_figure_has_an_alternative_text(control):
    assert 'alt="Cost of each strategy over the range length; this case lies at 256 MiB"' in control.drawn.value
    assert "data:image/png;base64," in control.drawn.value


def test_the_figure_can_be_read(control):
    check_figure(control.picture.figure)


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(UnknownName):
        explore.explorer("sev", "none", "ksm-default")
    with pytest.raises(UnknownName):
        explore.answer(replace(START, trigger="nothing"))
    with pytest.raises(BadInput):
        explore.answer(replace(START, guest="tdx"))
