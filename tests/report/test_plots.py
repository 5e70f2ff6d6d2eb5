"""Figures are well-formed SVG with units on the axes, the same bytes each time, and show what they are given."""

import doctest
import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib
import numpy
import pandas
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from hypothesis.strategies import floats, integers
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from scipy.optimize import isotonic_regression

from costmodel.decision.result import Interval
from costmodel.decision.views import view
from costmodel.report import drawing, plots
from costmodel.report.names import AXIS_NAMES
from tests.colour import check_figure
from tests.report.conftest import HOSTILE
from tests.samples import sampled

SVG = "{http://www.w3.org/2000/svg}"
CHOSEN = "WBNOINVD_MASK"


@pytest.fixture(scope="module", autouse=True)
def drawn_anew():
    """Figures are not taken from the cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "kept", lambda name, of, draw: draw())
        yield


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
def map_of_two(answer):
    """The map of a guest where more than one strategy is cheapest somewhere."""
    heat = view(answer("sev")).map()
    assert len(set(heat.winner.flat)) > 1
    return heat


@pytest.fixture(scope="module")
def draw(rows, seen, sweeps, map_of_two):
    return {
        "costs": lambda: plots.cost_figure(rows, CHOSEN),
        "curves": lambda: plots.curves_figure(sweeps, seen.states, CHOSEN),
        "map": lambda: plots.map_figure(map_of_two),
    }


@pytest.fixture(scope="module")
def figures(draw):
    return {name: make() for name, make in draw.items()}


NAMES = ["costs", "curves", "map"]


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
    size, time = r"\d[\d.]* (B|KiB|MiB|GiB)", r"\d[\d.]* (ns|us|ms|s)"
    assert any(re.fullmatch(time, text) for text in texts(figures["costs"]))
    shown = texts(figures["curves"])
    for sweep in sweeps:
        assert any(text.startswith(AXIS_NAMES[sweep.over]) for text in shown), sweep.over
    assert any(re.fullmatch(size, text) for text in shown) and any(re.fullmatch(time, text) for text in shown)
    assert any(re.fullmatch(size, text) for text in texts(figures["map"]))


@pytest.mark.parametrize("name", ["costs", "curves"])
def test_alternative_texts_speak_of_sizes_and_times_as_people_do(figures, name):
    told = ElementTree.fromstring(figures[name]).get("aria-label")
    assert re.search(r"[\d\]] (us|ms|s|MiB|GiB)\b|CPUs that ran", told)
    assert not re.search(r"\de[+-]?\d", told)


def drawn_of(rows):
    return [row for row in rows if row.stolen_cpu_s_per_event and row.stolen_cpu_s_per_event.median > 0]


def test_every_strategy_with_a_cost_has_a_row(figures, rows):
    shown = " ".join(texts(figures["costs"])).split()
    costed = [row.strategy for row in drawn_of(rows)]
    assert costed
    assert all(shown.count(strategy) == 1 for strategy in costed)


def test_every_curve_is_named_once_in_each_panel(figures, sweeps):
    shown = " ".join(texts(figures["curves"])).split()
    drawn = {name for sweep in sweeps for name, band in sweep.series.items() if (band.median > 0).any()}
    assert drawn
    for name in drawn:
        assert shown.count(name) == len(sweeps)


def test_what_is_not_admissible_is_marked(figures, rows):
    refused = [row for row in drawn_of(rows) if row.state == "inadmissible"]
    assert refused
    assert "(inadmissible)" in texts(figures["costs"])


def test_the_map_shows_only_what_can_be_chosen(figures, answer, map_of_two):
    named = set(texts(figures["map"])) & set(map_of_two.strategies)
    assert named == {map_of_two.strategies[i] for i in map_of_two.winner.flat}
    assert named <= set(view(answer("sev")).choices)


def test_a_map_of_one_colour_is_no_figure(answer):
    heat = view(answer("sev-snp-gmem")).map()
    assert len(set(heat.winner.flat)) == 1
    assert plots.map_figure(heat) == ""


@pytest.mark.parametrize("name", sampled(NAMES, 3))
def test_same_bytes_whatever_was_drawn_before(figures, draw, name):
    assert draw[name]() == figures[name]


@pytest.fixture
def count(monkeypatch, tmp_path):
    """Draws a band through the cache of this test; says how often matplotlib was asked."""
    asked = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(plots, "kept", drawing.kept)
    monkeypatch.setattr(plots, "svg", lambda figure, alt: asked.append(figure) or f"<svg>{len(asked)}</svg>")
    return asked


def test_a_figure_is_drawn_once_for_what_it_shows(count, sweeps, seen, rows, map_of_two):
    for _ in range(2):
        assert plots.curves_figure(sweeps, seen.states, CHOSEN) == "<svg>1</svg>"
    assert plots.cost_figure(rows, CHOSEN) == "<svg>2</svg>"
    assert plots.map_figure(map_of_two) == "<svg>3</svg>"
    assert len(count) == 3


@pytest.mark.parametrize("part", ["low", "median", "high"])
def test_a_band_that_moves_by_the_last_digit_is_drawn_anew(count, sweeps, seen, part):
    plots.curves_figure(sweeps, seen.states, CHOSEN)
    own = next(iter(sweeps[0].series))
    moved = numpy.nextafter(getattr(sweeps[0].series[own], part), numpy.inf)
    series = sweeps[0].series | {own: replace(sweeps[0].series[own], **{part: moved})}
    plots.curves_figure([replace(sweeps[0], series=series), *sweeps[1:]], seen.states, CHOSEN)
    assert len(count) == 2


@pytest.mark.parametrize("name", sampled(NAMES, 3))
def test_what_a_reader_set_for_own_plots_changes_no_figure_of_a_page(figures, draw, name):
    with matplotlib.rc_context({"lines.dash_capstyle": "round", "xtick.major.size": 9, "figure.facecolor": "red"}):
        assert draw[name]() == figures[name]


def test_another_choice_or_state_is_drawn_anew(count, sweeps, seen, rows):
    others = [replace_state(row, "unknown") if row.strategy == CHOSEN else row for row in rows]
    plots.cost_figure(rows, CHOSEN)
    plots.cost_figure(rows, None)
    plots.cost_figure(others, CHOSEN)
    plots.curves_figure(sweeps, seen.states, CHOSEN)
    plots.curves_figure(sweeps, seen.states | {CHOSEN: "unknown"}, CHOSEN)
    plots.curves_figure(sweeps, seen.states, None)
    assert len(count) == 6


def replace_state(row, state):
    return row.model_copy(update={"state": state})


@pytest.mark.parametrize("name", sampled(NAMES, 3))
def test_every_figure_can_be_read(draw, name, monkeypatch):
    caught = []
    monkeypatch.setattr(plots, "svg", lambda figure, alt: caught.append(figure) or "")
    draw[name]()
    check_figure(caught[0])


@pytest.mark.parametrize("name", [*NAMES, "long", "lost"])
def test_all_text_of_a_figure_lies_within_it(draw, rows, sweeps, name, monkeypatch):
    """No layout engine looks after it: `fit` measures what stands beside the axes."""
    long = {row.strategy: f"{row.strategy}_{row.strategy}" for row in rows}
    there = {key: Interval(low=1e-3, median=1.0, high=1e3, unit="1", extrapolated=False) for key in LOST}
    draws = {
        **draw,
        "long": lambda: plots.cost_figure(
            [row.model_copy(update={"strategy": long[row.strategy]}) for row in rows], ""
        ),
        "lost": lambda: plots.lost_figure(there),
    }
    caught = []
    monkeypatch.setattr(plots, "svg", lambda figure, alt: caught.append(figure) or alt)
    draws[name]()
    (figure,) = caught
    FigureCanvasAgg(figure).draw()
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text() and is_drawn(text):
            box = text.get_window_extent()
            inside = figure.bbox.padded(2)
            assert inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1), (text.get_text(), box)


LOST = [
    (guests, machine) for guests in ("AMD SEV, AMD SEV-ES", "AMD SEV-SNP") for machine in ("epyc-7763-2s", "xeon-1s")
]


def is_drawn(text):
    """Whether a text is no label of a tick beyond the ends of its axis."""
    axis = next((axis for ax in text.figure.axes for axis in (ax.xaxis, ax.yaxis) if text in axis.findobj(Text)), None)
    if axis is None or text is axis.label:
        return True
    low, high = sorted(axis.get_view_interval())
    place = text.get_position()[0 if axis.axis_name == "x" else 1]
    return low <= place <= high


def test_an_svg_has_a_dark_side(figures):
    """Each colour that is drawn has its counterpart where the reader's system is dark."""
    pairs = dict(zip((*drawing.VARIANTS[False], drawing.INKS[False], drawing.PAPERS[False]),
                     (*drawing.VARIANTS[True], drawing.INKS[True], drawing.PAPERS[True]), strict=True))  # fmt: skip
    for svg in figures.values():
        style = svg[svg.index("<style>@media") :].split("</style>")[0]
        used = set(re.findall(r"(fill|stroke)(?:: |=\")(#[0-9a-f]{6})", svg.replace(style, "")))
        assert used
        for part, colour in used:
            assert f'[style*="{part}: {colour}"],.plot [{part}="{colour}"]{{{part}:{pairs[colour]}!important}}' in style


def test_lines_move_in_place_and_stay_one_where_they_are_equal():
    from costmodel.decision.views import Band

    _, grid = drawing.new_figure(6, 4)
    ax, x = drawing.axes(grid[0][0], dark=False), numpy.array([1.0, 10.0, 100.0])
    drawing.log_axis(ax, "1")
    band = lambda factor: Band(x * factor / 2, x * factor, x * factor * 2)  # noqa: E731
    lines = plots.Lines(ax, ["a", "b", "c"], thick={"c"}, notes={"b": "inadmissible"})
    lines.move(x, {"a": band(1.0), "b": band(3.0), "c": band(1.0)})
    drawn = list(ax.get_children())
    assert [name for name, line in lines.lines.items() if line.get_visible()] == ["b", "c"]
    assert {text.get_text() for text in ax.texts} == {"c\n= a", "b\n(inadmissible)"}
    lines.move(x, {"a": band(1.0), "b": band(3.0), "c": band(2.0)})
    assert all(line.get_visible() for line in lines.lines.values())
    assert lines.lines["c"].get_ydata().tolist() == [2.0, 20.0, 200.0]
    assert lines.bands["c"].get_path().vertices[:, 1].max() == 400
    assert {text.get_text() for text in ax.texts} == {"a", "c", "b\n(inadmissible)"}
    kept = [artist for artist in ax.get_children() if artist in drawn]
    assert {*lines.lines.values(), *lines.bands.values()} <= set(kept), "no line is drawn anew"
    check_figure(ax.figure)


@pytest.mark.parametrize("count", [2, 6, 9])
def test_names_at_the_ends_of_lines_never_collide(count):
    _, grid = drawing.new_figure(5, 3)
    ax = drawing.axes(grid[0][0], dark=False)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    names = [f"STRATEGY_{i}" for i in range(count)]
    drawing.name_ends(ax, [(0.5, name, look) for name, look in drawing.marks(names, False).items()], dark=False)
    check_figure(ax.figure)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("noted", [False, True])
def test_twelve_lines_can_be_told_apart(dark, noted):
    from costmodel.decision.views import Band

    _, grid = drawing.new_figure(6, 7)
    ax, x = drawing.axes(grid[0][0], dark), numpy.array([1.0, 10.0, 100.0])
    names = [f"S{i}" for i in range(12)]
    lines = plots.Lines(ax, names, notes=dict.fromkeys(names, "inadmissible") if noted else {}, dark=dark)
    lines.move(x, {name: Band(x * i, x * i, x * i) for i, name in enumerate(names, start=1)})
    check_figure(ax.figure)


def test_the_examples_of_the_docstrings_are_true():
    found = doctest.testmod(drawing)
    assert found.attempted and not found.failed


def test_marks_belong_to_places_so_that_panels_agree():
    names = [str(i) for i in range(40)]
    looks = drawing.marks(names, dark=True)
    assert len({(look.colour, look.marker) for look in looks.values()}) == len(names)
    assert drawing.marks(names[:3], dark=True) == {name: looks[name] for name in names[:3]}


def test_nothing_to_draw_is_no_figure(rows):
    assert plots.cost_figure([], CHOSEN) == ""
    assert plots.cost_figure([row.model_copy(update={"stolen_cpu_s_per_event": None}) for row in rows], CHOSEN) == ""


def test_hostile_labels_are_escaped(rows, seen, sweeps):
    hostile = dict.fromkeys(seen.states, HOSTILE.replace("\x1b", ""))
    for svg in (
        plots.cost_figure([rows[0].model_copy(update={"strategy": "<script>&\"'"}), *rows], CHOSEN),
        plots.curves_figure(sweeps, hostile, CHOSEN),
    ):
        assert "<script" not in svg
        ElementTree.fromstring(svg)


@given(arrays(float, integers(1, 9), elements=floats(-2, 2)))
def test_names_are_placed_by_the_isotonic_regression(values):
    assert drawing._rising(values) == pytest.approx(isotonic_regression(values).x, abs=1e-12)


def test_a_layout_that_a_notebook_set_leaves_figures_of_a_report_alone(draw, figures):
    with matplotlib.rc_context({"figure.constrained_layout.use": True}):
        assert draw["costs"]() == figures["costs"]


def test_no_window_knows_a_figure_of_a_report(figures):
    from matplotlib import pyplot

    assert figures and not pyplot.get_fignums()


def test_an_end_beyond_the_swept_range_has_an_arrow_that_says_so():
    row = {"label": "break-even", "unit": "B", "swept_low": 4096.0, "swept_high": 2.0**36}
    cut = pandas.DataFrame([row | {"median": 2.0**30, "low": 2.0**25, "high": math.nan}])
    whole = pandas.DataFrame([row | {"median": 2.0**30, "low": 2.0**25, "high": 2.0**33}])
    shown = [plots.intervals(frame, "label") for frame in (cut, whole)]
    assert [[text.get_text() for text in ax.texts] for ax in shown] == [["> 64 GiB"], []]
    bars = [line.get_xdata() for line in shown[0].lines if len(line.get_xdata()) == 2]
    assert [list(bar) for bar in bars] == [[2.0**25, 2.0**36]]
