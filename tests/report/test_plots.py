"""Figures are well-formed SVG with units on the axes, the same bytes each time, and show what they are given."""

import re
from xml.etree import ElementTree

import pytest

from costmodel.decision.views import view
from costmodel.report import drawing, plots
from tests.report.conftest import HOSTILE

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def rows(answer):
    result = answer("sev")
    return [row for row in result.costs if row.trigger == result.costliest_trigger]


@pytest.fixture(scope="module")
def seen(answer):
    return view(answer("sev"))


@pytest.fixture(scope="module")
def sweeps(seen):
    return seen.sweeps()


@pytest.fixture(scope="module")
def figures(rows, seen, sweeps):
    return {
        "bars": plots.cost_bars(rows),
        "curves": plots.break_even(sweeps, seen.labels),
        "map": plots.winner_map(seen.map()),
    }


NAMES = ["bars", "curves", "map"]


def texts(svg):
    return ["".join(element.itertext()).strip() for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("name", NAMES)
def test_well_formed_and_self_contained(figures, name):
    svg = figures[name]
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert root.get("aria-label").strip()
    assert root[0].tag == f"{SVG}title"
    assert root[0].text == root.get("aria-label")
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert not tags & {"script", "image", "foreignObject", "metadata"}
    for element in root.iter():
        for attribute, value in element.attrib.items():
            if attribute.endswith("href"):
                assert value.startswith("#")
    assert "@import" not in svg
    assert not re.search(r"\d{4}-\d\d-\d\d", svg)


@pytest.mark.parametrize("name", NAMES)
def test_text_is_text(figures, name):
    """Letters stay letters, so that they can be searched and read aloud."""
    assert len(texts(figures[name])) > 5


def test_axes_carry_units(figures, sweeps):
    assert any("second" in text for text in texts(figures["bars"]))
    shown = texts(figures["curves"])
    for sweep in sweeps:
        assert any(text.startswith(sweep.x_label) for text in shown), sweep.x_label
    assert any("seconds" in text for text in shown)
    assert any(re.fullmatch(r"\d[\d.]* (B|KiB|MiB|GiB)", text) for text in shown)
    assert any(re.fullmatch(r"\d[\d.]* (B|KiB|MiB|GiB)", text) for text in texts(figures["map"]))


def test_every_strategy_with_a_cost_has_a_bar(figures, rows):
    shown = " ".join(texts(figures["bars"]))
    costed = [row.strategy for row in rows if row.stolen_cpu_s_per_event and row.stolen_cpu_s_per_event.median > 0]
    assert costed
    for strategy in costed:
        assert strategy in shown


def test_every_curve_is_in_the_legend(figures, seen, sweeps):
    shown = texts(figures["curves"])
    drawn = {name for sweep in sweeps for name, band in sweep.series.items() if (band.median > 0).any()}
    assert drawn
    for name in drawn:
        assert seen.labels[name] in shown


def test_what_is_not_admissible_is_marked(figures, rows):
    drawn = [row for row in rows if row.stolen_cpu_s_per_event and row.stolen_cpu_s_per_event.median > 0]
    refused = [row for row in drawn if row.state == "inadmissible"]
    assert refused
    shown = texts(figures["bars"])
    for row in refused:
        assert row.strategy not in shown, "the bare name would read as a choice"
        assert any(row.strategy in text and "inadmissible" in text for text in shown)


def test_the_map_shows_only_what_can_be_chosen(figures, seen):
    named = set(texts(figures["map"])) & set(seen.strategies)
    assert named
    assert named <= set(seen.choices)


def test_same_bytes_whatever_was_drawn_before(figures, rows, seen, sweeps):
    assert plots.winner_map(seen.map()) == figures["map"]
    assert plots.cost_bars(rows) == figures["bars"]
    assert plots.break_even(sweeps, seen.labels) == figures["curves"]


def test_colours_belong_to_names_not_to_order():
    assert drawing.colours(["b", "a", "c"]) == drawing.colours(["c", "b", "a", "a"])
    assert len(set(drawing.colours([str(i) for i in range(len(drawing.PALETTE))]).values())) == len(drawing.PALETTE)


def test_nothing_to_draw_is_no_figure(rows):
    assert plots.cost_bars([]) == ""
    assert plots.cost_bars([row.model_copy(update={"stolen_cpu_s_per_event": None}) for row in rows]) == ""


def test_hostile_labels_are_escaped(rows, seen, sweeps):
    hostile = dict.fromkeys(seen.labels, HOSTILE.replace("\x1b", ""))
    for svg in (
        plots.cost_bars([rows[0].model_copy(update={"strategy": "<script>&\"'"}), *rows]),
        plots.break_even(sweeps, hostile),
    ):
        assert "<script" not in svg
        ElementTree.fromstring(svg)


def test_no_figure_is_left_open(figures):
    from matplotlib import pyplot

    assert len(pyplot.get_fignums()) <= 1
