"""The code block of the front door, as a user types it, and the seaborn plots that it draws."""

from importlib.util import find_spec
from itertools import combinations

import numpy
import pytest

import costmodel as cm
from costmodel.errors import BadInput
from costmodel.report import drawing
from tests.colour import BLINDNESS, check_figure, ciede2000, contrast, seen_by
from tests.samples import sampled

pytestmark = pytest.mark.skipif(find_spec("seaborn") is None, reason="the extra report is not installed")
TYPED = """
import costmodel as cm, seaborn as sns

sev = cm.case("sev", "epyc-7763-2s", workload="autonuma-default", kernel="6.12.61", vcpus=8, cpus_that_ran=8)
sev
sev.costs()
sev.recommend()
sev.waits(); sev.draws("WBNOINVD_MASK")
s = sev.sweep(range_bytes=cm.logspace("4 KiB", "1 GiB"), cpus=[8, 64, 256])
grid = sns.relplot(s.query("quantity == 'cpu_time'"), x="range_bytes", y="median", hue="strategy", col="cpus", kind="line", errorbar=None)
sev.breakeven("WBNOINVD_MASK", "CLFLUSHOPT_DM_PINNED", over="range_bytes")
sev(vcpus=16).compare(kernels=["6.6", "6.17"])
f = cm.formulas.range_flush
f.expr.diff(f.lines)
cm.measurements().query("term == 'whole_cache'"); cm.machines(); cm.triggers(); cm.strategies()
fitted = cm.calibrate("line_time").plot()
ax = cm.plot.costs(sev); curves = cm.plot.breakeven(s, ax=ax.figure.subplots())
"""


@pytest.fixture(scope="module")
def typed():
    import matplotlib

    matplotlib.use("Agg")
    names = {}
    exec(TYPED, names)
    yield names
    from matplotlib import pyplot

    pyplot.close("all")


@pytest.fixture
def axes(typed):
    from matplotlib import pyplot

    figure, ax = pyplot.subplots()
    yield ax
    pyplot.close(figure)


def labels(axes):
    """What is written at the ends of the lines of `axes`."""
    return [text.get_text() for text in axes.texts]


def test_all_of_it_works_as_typed(typed):
    assert len(typed["grid"].axes.flat) == 3
    assert labels(typed["curves"])


def test_plots_draw_on_the_axes_that_they_are_given(typed, axes):
    assert cm.plot.costs(typed["sev"], ax=axes) is axes
    assert "CPU time" in axes.get_xlabel()
    assert cm.plot.breakeven(typed["s"], ax=axes) is axes
    assert cm.calibrate("line_time").plot(ax=axes) is axes


def test_what_the_kernel_does_is_on_top_and_thick(typed, axes):
    cm.plot.breakeven(typed["s"], ax=axes)
    (chosen,) = typed["s"][typed["s"].chosen].strategy.unique()
    named = {
        line.get_label(): line
        for line in axes.get_lines()
        if line.get_visible() and line.get_label()[:1] not in ("", "_")
    }
    own = named.pop(chosen)
    assert own.get_linewidth() > max(line.get_linewidth() for line in named.values())
    assert own.get_zorder() > max(line.get_zorder() for line in named.values())


def test_equal_strategies_are_one_labelled_line(axes):
    unpinned = cm.case("sev", "epyc-7763-2s").sweep(range_bytes=[4096, 2**20])
    cm.plot.breakeven(unpinned, ax=axes)
    words = " ".join(labels(axes)).split()
    assert any({"WBNOINVD_MASK", "WBNOINVD_ALL"} <= set(text.split()) for text in labels(axes))
    drawn = unpinned.query("quantity == 'cpu_time' and median > 0").strategy.unique()
    assert all(words.count(name) == 1 for name in drawn)


def test_bands_are_the_models_intervals(typed, axes):
    one = typed["s"].query("strategy == 'WBNOINVD_MASK' and quantity == 'cpu_time' and cpus == 8")
    cm.plot.breakeven(one, ax=axes)
    (band,) = (band for band in axes.patches if band.get_visible())
    heights = band.get_path().vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((one.low.min(), one.high.max()))


def test_the_interval_of_a_cost_is_drawn_from_low_to_high(typed, axes):
    sev = typed["sev"]
    cm.plot.costs(sev, ax=axes)
    rows = sev.costs(sev.costliest_trigger).query("quantity == 'cpu_time' and median > 0")
    drawn = {tuple(line.get_xdata()) for line in axes.get_lines()}
    bars, points = ({data for data in drawn if len(data) == count} for count in (2, 1))
    assert bars and bars <= set(zip(rows.low, rows.high, strict=True))
    assert len(points) == len(bars) and points <= {(median,) for median in rows["median"]}


@pytest.mark.parametrize("plot", ["costs", "breakeven"])
def test_frames_that_hold_nothing_to_draw_are_refused(typed, plot):
    with pytest.raises(BadInput):
        getattr(cm.plot, plot)(typed["sev"].costs().query("quantity == 'rate'"))


def test_a_frame_without_an_axis_has_no_curve(typed):
    with pytest.raises(BadInput, match="axis"):
        cm.plot.breakeven(typed["sev"].sweep(cpus=[8]))


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read_and_marks_stand_out(typed, axes, dark):
    assert contrast(drawing.INKS[dark], drawing.PAPERS[dark]) >= 4.5
    assert min(contrast(shade, drawing.PAPERS[dark]) for shade in drawing.VARIANTS[dark]) >= 3.0
    cm.plot.breakeven(typed["s"], ax=axes, dark=dark)
    check_figure(axes.figure)


KSM = "ksm_replace_page"
FIGURES = {
    "costs": lambda sev, dark: cm.plot.costs(sev, dark=dark),
    "fit": lambda _, dark: cm.plot.calibration(cm.calibrate("line_time"), dark=dark),
    "mask": lambda sev, dark: cm.plot.intervals(
        sev(kernel="6.17").mask().query("quantity == 'cpu_time'"), "mask", dark=dark
    ),
    "waits": lambda sev, dark: cm.plot.waits(
        sev.waits(KSM, rate_per_s=[1, 3, 9]).query("chosen and quantity == 'memslot_wait_mean'"), dark=dark
    ),
    "host": lambda _, dark: cm.plot.lines(
        cm.host("epyc-genoa-4cpu-vm").line_times(points=9), "range_bytes", "lines", dark=dark
    ),
}


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", sampled(FIGURES, 3))
def test_every_other_figure_can_be_read_too(typed, name, dark):
    from matplotlib import pyplot

    figure = FIGURES[name](typed["sev"], dark).figure
    check_figure(figure)
    pyplot.close(figure)


def test_waits_that_no_clock_shows_are_not_drawn(typed, axes):
    waits = typed["sev"].waits(KSM, rate_per_s=[1, 3, 9]).query("chosen and quantity == 'memslot_wait_mean'")
    assert cm.plot.waits(waits, ax=axes) is axes and axes.get_ylim()[0] >= 0.5e-9
    with pytest.raises(BadInput, match="nanosecond"):
        cm.plot.waits(waits.assign(median=1e-12))
    with pytest.raises(BadInput, match="one strategy"):
        cm.plot.waits(typed["sev"].waits(KSM, rate_per_s=[1, 3]))


def test_plotting_leaves_the_settings_of_matplotlib_alone(typed):
    """A figure made inside a context would switch off the display of figures in notebooks."""
    import matplotlib

    before = dict(matplotlib.rcParams)
    matplotlib.interactive(True)
    try:
        cm.plot.costs(typed["sev"])
        assert matplotlib.is_interactive()
    finally:
        matplotlib.interactive(before["interactive"])
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("dark", [False, True])
def test_colours_of_a_figure_differ_for_dichromats(dark, blindness):
    for one, other in combinations(drawing.VARIANTS[dark], 2):
        assert ciede2000(seen_by(blindness, one), seen_by(blindness, other)) >= 10


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_measure_is_that_of_its_authors(one, other, difference):
    """Pairs of Sharma, Wu and Dalal (2005), table 1."""
    assert ciede2000(one, other) == pytest.approx(difference, abs=1e-4)


def test_svg_of_a_plot_is_the_same_each_time(typed):
    from matplotlib import pyplot

    texts = []
    for _ in range(2):
        figure, ax = pyplot.subplots()
        cm.plot.breakeven(typed["s"], ax=ax)
        texts.append(drawing.svg(figure, "curves"))
        pyplot.close(figure)
    assert texts[0] == texts[1] and numpy.char.count(texts[0], "<svg") == 1
