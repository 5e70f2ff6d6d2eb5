"""The live part of a page: what it tells of the draws, what can be moved, and that no text in it can run."""

import json

import numpy
import pytest

from costmodel.cost.draws import Case, Draws
from costmodel.cost.scenario import AXES
from costmodel.cost.total import total
from costmodel.decision.views import view
from costmodel.report import live
from tests.report.conftest import HOSTILE
from tests.report.html import Reader


def drawn_of(programs, case):
    """All that differs from draw to draw, by name: arrays (n,)."""
    return {name: case.draws[name] for name in programs.parameters} | programs.held


def at_start(case, programs):
    """Every result at the case itself (n,), by its place on the tape."""
    told = drawn_of(programs, case)
    told |= {name: AXES[name].here(case.scenario, case.trigger) for name in (*live.ALWAYS, "range_bytes")}
    inputs = {place: node.told for place, node in enumerate(programs.tape.nodes) if node.operation == "input"}
    known = {place: told[name] for place, name in inputs.items() if name in told}
    ends = sorted({end for (_, given), places in programs.places.items() if not given for end in places})
    found = programs.tape.carried_out(ends, known)
    return {end: numpy.broadcast_to(values, (case.draws.n,)) for end, values in zip(ends, found, strict=True)}


@pytest.mark.parametrize("guest", ["sev", "sev-snp-gmem"])
def test_what_is_recorded_is_what_the_report_costs(answer, guest):
    seen = view(answer(guest))
    case = Case(seen.trigger, seen.scenario, Draws(seen.parameters))
    names = ["WBNOINVD_MASK", "WBINVD_ALL", "CLFLUSHOPT_DM_GMEM" if guest == "sev-snp-gmem" else "CLFLUSHOPT_DM_PINNED"]
    programs = live.recorded_costs(case, names)
    start = at_start(case, programs)
    for name in names:
        cost, places = total(case, name), programs.places[name, ()]
        numpy.testing.assert_array_equal(start[places[0]], cost.priced.stolen_s)
        assert (len(places) == 2) == (cost.host_cpu_s_per_s is not None)
        if len(places) == 2:
            numpy.testing.assert_array_equal(start[places[1]], cost.host_cpu_s_per_s)
        assert ((name, ()) in programs.extrapolated) == cost.extrapolated


def test_only_what_is_drawn_is_held(answer):
    seen = view(answer("sev"))
    case = Case(seen.trigger, seen.scenario, Draws(seen.parameters))
    programs = live.recorded_costs(case, ["WBNOINVD_MASK"])
    drawn = drawn_of(programs, case)
    assert "line_dirty_s" not in drawn and {"dirty_fraction", "line_empty_s"} <= set(drawn)
    assert all(numpy.ptp(values) > 0 for values in drawn.values())


def test_a_page_tells_how_its_draws_come_about_and_holds_none(answer):
    """The last draw of each parameter is told, so that a page whose own draws differ does not show them."""
    result = answer("sev")
    told, draws = data_of(live.live(result)), Draws(view(result).parameters)
    assert told["n"] == draws.n and told["draws"] and told["arrays"] == {}
    for name, parameter in told["draws"].items():
        assert parameter["last"] == draws[name][-1]
        assert len(json.dumps(parameter)) < 3000


def data_of(part):
    """What the page says to its script."""
    [script] = [e for e in Reader(part.section).all("script") if e.get("type") == "application/json"]
    return json.loads(script.text)


def test_sliders_start_where_the_report_is(answer):
    result = answer("sev")
    seen, told = view(result), data_of(live.live(result))
    assert [one["id"] for one in told["sliders"]] == [*AXES, "dirty_fraction"]
    for one in told["sliders"]:
        value, text = one["stops"][one["start"]]
        values = [stop[0] for stop in one["stops"] if stop[0] is not None]
        assert values == sorted(set(values)) and len(values) > 5
        if one["id"] in ("rate_per_s", "dirty_fraction"):
            assert value is None and "as the" in text or "as in the report" in text
        else:
            assert value == AXES[one["id"]].here(seen.scenario, seen.trigger) and "as in the report" in text
    assert told["sliders"][0]["stops"][0][1] == "4 KiB"


def test_what_can_lose_a_flush_is_never_offered(answer):
    for guest in ("sev", "sev-snp"):
        result = answer(guest)
        told, rows = (
            data_of(live.live(result)),
            {r.strategy: r for r in result.costs if r.trigger == result.costliest_trigger},
        )
        assert told["usable"] and all(rows[name].state == "admissible" for name in told["usable"])
        for one in told["strategies"]:
            assert (one["state"], one["refused"]) == (rows[one["id"]].state, rows[one["id"]].refused)
            assert bool(one["functions"]) == (one["refused"] is None)


def test_no_live_part_where_nothing_flushes(answer):
    assert live.live(answer("plain")) is None and live.live(answer("tdx")) is None


def test_text_cannot_end_the_data(answer):
    result = answer("sev")
    hostile = HOSTILE + "</script><!--<script>&amp;]]>"
    rows = [row.model_copy(update={"refused": row.refused and hostile}) for row in result.costs]
    part = live.live(result.model_copy(update={"costs": rows}))
    reader = Reader(part.section)
    assert reader.faults == [] and len(reader.all("script")) == 1
    refused = {one["refused"] for one in data_of(part)["strategies"]} - {None}
    assert refused == {hostile}
    [script] = reader.all("script")
    assert not set("<>&") & set(script.text)


def test_the_script_has_nothing_of_the_data(answer):
    """So its hash stands for code alone; and it asks for no text to be run."""
    part = live.live(answer("sev"))
    assert "</" not in part.script and "<!--" not in part.script
    for word in (
        "eval",
        "Function(",
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "import(",
        "fetch(",
    ):
        assert word not in part.script, word
    assert answer("sev").machine_title not in part.script


def test_the_same_answer_gives_the_same_bytes(answer):
    assert live.live(answer("sev")) == live.live(answer("sev"))
