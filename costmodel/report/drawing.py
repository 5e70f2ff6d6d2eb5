"""The style of all plots: colours of the light and the dark variant, axes, labels beside their marks, self-contained
SVG.

Colours are shades of seaborn's "colorblind" palette; text is of a neutral ink, and what a colour tells, a marker, a
line style or a word tells too. An SVG is drawn in the light variant and turns dark with its reader. Same bytes for the
same inputs.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy

from costmodel import cache
from costmodel.hashing import value_hash
from costmodel.numbers import scale_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INKS = {False: "#1c2126", True: "#e3e7eb"}
PAPERS = {False: "#ffffff", True: "#14181c"}
"""Text and background of the light and the dark variant (key: dark), as on the report pages."""
VARIANTS = {
    False: ("#015686", "#753400", "#4087af", "#827c1c", "#515151", "#949494"),
    True: ("#56b4e9", "#d55e00", "#ece133", "#0173b2", "#d9b08e", "#949494"),
}
"""Shades of seaborn's "colorblind" palette that stand out from the background and, for dichromats, from each other."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""One more than shades, so that no two of a figure share both."""
DASHES = ((4.0, 1.5), (1.5, 1.5), (5.0, 1.5, 1.5, 1.5), (2.5, 2.5))
LONG = (12.0, 1.5)
"""Nearly solid: the line of a name that shares its shade with an earlier one."""
HATCHES = ("", "///", "\\\\\\", "---", "xxx", "|||")
"""No dots: hundreds of circles of Bezier curves make a page a fifth larger."""
NAMES = 0.07
"""Where the text at the end of a line begins, as a share of the axes' width beyond them."""
SMALL = 8.0
"""Points of the text at the end of a line."""
BESIDE_TICKS, BESIDE_TEXT, BELOW, ABOVE = 26.0, 14.0, 36.0, 10.0
"""Points beside what `fit` measures: for the label of the y-axis and the ticks themselves, for half a tick label that
stands out at the right, for ticks and label below, for half a tick label above.
"""
WIDEST_TICK = "1e+08 s"
STYLE: dict[str, Any] = {
    "svg.hashsalt": "costmodel",
    "svg.fonttype": "none",
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "hatch.linewidth": 0.4,
    "hatch.color": INKS[False],
}
WIDE = {False: 300.0, True: 2.0**22}
"""A logarithmic axis from end to end (key: of bytes): beyond this factor it has fewer ticks."""
MOST_KEPT = 300
"""Figures of one kind in the cache: those of the matrix of reports, a few times."""
ROUNDING = 1e-9
"""A tick that lies outside of its axis by this share lies at the end of it."""
DECIMALS = 3
LONG_NUMBER = re.compile(rf"-?\d+\.\d{{{DECIMALS + 1},}}(?:e[+-]?\d+)?")
"""A coordinate with digits that nobody sees, and that depend on the CPU."""
AXIS_UNITS = {"B": "", "1": "", "1/s": "", "s": ""}


class Mark(NamedTuple):
    """How one name of a figure looks: its points, its line, and that line dashed where it is only drawn for
    comparison.
    """

    colour: str
    marker: str
    line: tuple[float, ...]
    dash: tuple[float, ...]


def marks(names: Sequence[str], dark: bool) -> dict[str, Mark]:
    """A mark for each name, by its place, so that panels of one figure agree."""
    shades = VARIANTS[dark]
    return {
        name: Mark(
            shades[i % len(shades)],
            MARKERS[i % len(MARKERS)],
            LONG if i >= len(shades) else (),
            DASHES[i % len(DASHES)],
        )
        for i, name in enumerate(names)
    }


def theme(*, dark: bool = False) -> dict[str, Any]:
    """Keywords of `seaborn.set_theme` that give your own plots the style of these.

    >>> theme()["palette"][0]
    '#015686'
    """
    ink, paper = INKS[dark], PAPERS[dark]
    inked = (
        "hatch.color",
        "text.color",
        "axes.edgecolor",
        "axes.labelcolor",
        "axes.titlecolor",
        "xtick.color",
        "ytick.color",
    )
    rc = {**STYLE, **dict.fromkeys(inked, ink), "axes.facecolor": paper, "figure.facecolor": paper}
    return {"style": "ticks", "palette": list(VARIANTS[dark]), "rc": {**rc, "figure.constrained_layout.use": True}}


def label(label: str, unit: str) -> str:
    """The label of an axis with its unit, where the ticks do not say it."""
    name = AXIS_UNITS.get(unit, unit)
    return f"{label} ({name})" if name else label


def axes(ax: Axes | None, dark: bool) -> Axes:
    """`ax`, or new axes, with text and frame in the neutral ink of the variant."""
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.subplots(layout="constrained")[1]
    ink = INKS[dark]
    ax.tick_params(colors=ink, which="both")
    for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
        text.set_color(ink)
    for name, spine in ax.spines.items():
        spine.set_color(ink)
        spine.set_visible(name in ("left", "bottom"))
    ax.set_facecolor(PAPERS[dark])
    ax.figure.set_facecolor(PAPERS[dark])
    return ax


def name_ends(ax: Axes, ends: Sequence[tuple[float, str, Mark]], dark: bool) -> list[Artist]:
    """Write each text right of the axes, beside its mark, at the height where its line ends or as near as the others
    let it.

    `ends` are (y, text, mark); limits and scales of the axes must be set. Returns what was drawn.
    """
    from matplotlib.lines import Line2D

    if not ends:
        return []
    ordered = sorted(ends, key=lambda end: end[0])
    scaled = ax.transScale.transform([(1.0, y) for y, _, _ in ordered])
    x_left = ax.transScale.transform([(ax.get_xlim()[1], ax.get_ylim()[0])])[0][0]
    wanted = numpy.array([ax.transLimits.transform((x_left, y))[1] for _, y in scaled]).clip(0, 1)
    height_points = 72 * cast("Figure", ax.figure).get_figheight() * ax.get_position().height * 0.85
    tall = numpy.array([(text.count("\n") + 1) * SMALL * 1.35 / height_points for _, text, _ in ordered])
    steps = numpy.concatenate([[0.0], numpy.cumsum((tall[1:] + tall[:-1]) / 2)])
    placed = _rising(wanted - steps) + steps
    placed = placed - max(0.0, placed[-1] + tall[-1] / 2 - 1.05)
    drawn: list[Artist] = []
    for (_, text, mark), y, at in zip(ordered, wanted, placed, strict=True):
        there: dict[str, Any] = {"transform": ax.transAxes, "clip_on": False, "linewidth": 1}
        shape: dict[str, Any] = {"marker": mark.marker, "markevery": [1], "markeredgewidth": 0, "markersize": 5}
        drawn.append(ax.add_artist(Line2D([1.0, 1.05], [y, at], color=mark.colour, **there, **shape)))
        drawn.append(
            ax.text(
                1 + NAMES, at, text, color=INKS[dark], size=SMALL, va="center", transform=ax.transAxes, linespacing=1.1
            )
        )
    return drawn


def _rising(values: numpy.ndarray) -> numpy.ndarray:
    """The numbers that never fall and lie nearest to `values` (n,) by least squares: the isotonic regression, by its
    minimax form. scipy.optimize has it too, but takes longer to import than a figure to draw.
    """
    n = len(values)
    sums = numpy.concatenate([[0.0], numpy.cumsum(values)])
    first, last = numpy.ogrid[:n, :n]
    means = numpy.where(last >= first, (sums[1:] - sums[:-1, None]) / numpy.maximum(last - first + 1, 1), numpy.inf)
    least = numpy.minimum.accumulate(means[:, ::-1], axis=1)[:, ::-1]
    return numpy.maximum.accumulate(least, axis=0).diagonal()


def log_axis(ax: Axes, unit: str, which: str = "x") -> None:
    """A logarithmic axis; bytes in powers of two, times in engineering units, each tick with its unit."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    class Ticks(LogLocator):
        """Ticks at whole decades, and at 2 and 5 where there are few of these; of bytes, each KiB, MiB, GiB, and
        between.
        """

        def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
            wide = vmax / vmin > WIDE[unit == "B"]
            if unit == "B":
                self.set_params(base=1024 if wide else 32)
            else:
                self.set_params(subs=(1.0,) if wide else (1.0, 2.0, 5.0))
            places = numpy.asarray(super().tick_values(vmin, vmax))
            return cast(Sequence[float], places[(places >= vmin * (1 - ROUNDING)) & (places <= vmax * (1 + ROUNDING))])

    axis = ax.xaxis if which == "x" else ax.yaxis
    scale = ax.set_xscale if which == "x" else ax.set_yscale
    scale("log", base=2 if unit == "B" else 10)
    axis.set_major_locator(Ticks())
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value, unit)))


def tick(value: float, unit: str) -> str:
    """A round value as a tick says it.

    >>> tick(2.0**25, "B"), tick(0.05, "s"), tick(1e5, "1/s")
    ('32 MiB', '50 ms', '100k')
    """
    if unit not in ("B", "s"):
        return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"
    factor, name = scale_of(value * (1 + 1e-9), unit)
    return f"{value / factor:g} {name}"


@contextlib.contextmanager
def own_style() -> Iterator[None]:
    """matplotlib as it comes, with STYLE, whatever a user's settings or a notebook say: a figure of a page is the same for
    everybody. Decorates functions as well.
    """
    import matplotlib.style

    with matplotlib.style.context(["default", cast(Any, STYLE)]):
        yield


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, numpy.ndarray]:
    """A figure that no window knows, and its axes; `fit` gives them their places and `svg` draws it."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(cast(Any, STYLE)):
        alone: Any = "none"  # whatever a notebook set for its own figures
        figure = Figure(figsize=(width, height), layout=alone)
        return figure, figure.subplots(rows, columns, squeeze=False)


def fit(
    figure: Figure,
    grid: numpy.ndarray,
    *,
    left: Sequence[str],
    right: Sequence[str] = (),
    lead: float = 0.0,
    lines_above: int = 0,
) -> None:
    """Give each of the axes in `grid` room for the texts `left` of it (at its ticks, a label beside them) and `right` of it
    (which begin at the share `lead` of its width), and for lines of text above.

    What stands beside axes is known, so it is measured once; a layout engine of matplotlib measures every tick twice, for
    a third of the time that a figure takes.
    """
    rows, columns = grid.shape
    wide, high = (72 * inches / count for inches, count in zip(figure.get_size_inches(), (columns, rows), strict=True))
    before, after = _widest(left, STYLE["font.size"]) + BESIDE_TICKS, _widest(right, SMALL) + BESIDE_TEXT
    own, above = (wide - before - after) / (1 + lead), ABOVE + 2 * lines_above * STYLE["font.size"]
    tall = high - BELOW - above
    figure.subplots_adjust(
        left=before / (wide * columns),
        right=1 - (wide - before - own) / (wide * columns),
        bottom=BELOW / (high * rows),
        top=1 - above / (high * rows),
        wspace=(wide - own) / own,
        hspace=(high - tall) / tall,
    )


def _widest(texts: Sequence[str], points: float) -> float:
    """Width in points of the longest line."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=STYLE["font.family"], size=points)
    lines = [line for text in texts for line in text.split("\n")]
    return max((text_to_path.get_text_width_height_descent(line, font, False)[0] for line in lines), default=0.0)


def svg(figure: Figure, alt: str) -> str:
    """The figure as one <svg> element with role, title and description."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    with matplotlib.rc_context(cast(Any, STYLE)):
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    body = buffer.getvalue()
    body = body[body.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"[ \t]+$", "", body, flags=re.MULTILINE)
    body = _own_ids(re.sub(r"<[^>]*>", lambda tag: LONG_NUMBER.sub(_rounded, tag.group()), body))
    label = escape(alt, quote=True)
    head = f"><title>{escape(alt)}</title><style>{_dark_rules()}</style>"
    return body.replace("<svg ", f'<svg role="img" class="plot" aria-label="{label}" ', 1).replace(">", head, 1)


def kept(name: str, of: object, draw: Callable[[], str]) -> str:
    """The SVG that `draw` makes of `of` (JSON-like, with arrays), from the cache where the same was drawn before.

    A change of the data that leaves the costs of a machine as they were leaves its figures too: they are found by what
    they show, by the code and by matplotlib's version. `draw` has its `own_style`.
    """
    from matplotlib import __version__

    shown = json.dumps(of, default=lambda array: array.tolist())
    key = cache.key_of([shown, __version__], [])
    return cache.recall(f"figure-{name}", key, lambda: draw().encode(), most=MOST_KEPT).decode()


def _dark_rules() -> str:
    """Each light colour of a plot gives way to the dark one where the reader's system is dark."""
    swapped = [(own[False], own[True]) for own in (INKS, PAPERS)] + list(
        zip(VARIANTS[False], VARIANTS[True], strict=True)
    )
    rules = "".join(
        f'.plot [style*="{part}: {light}"],.plot [{part}="{light}"]{{{part}:{dark}!important}}'
        for light, dark in swapped
        for part in ("fill", "stroke")
    )
    return f"@media screen and (prefers-color-scheme:dark){{{rules}}}"


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number.group()):.{DECIMALS}f}".rstrip("0").rstrip(".")


def _own_ids(body: str) -> str:
    """`body` with the ids that it refers to counted, and without the others.

    matplotlib makes them by hashing coordinates to the last bit, which two CPUs do not share. Their stem is the hash of
    the drawing as it is written, so that two drawings on one page keep apart.
    """
    used = list(dict.fromkeys(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", body)))
    names = {name: f"{number}" for number, name in enumerate(used, start=1)}
    body = re.sub(r' id="([^"]*)"', lambda found: f' id="@{names[found[1]]}"' if found[1] in names else "", body)
    body = re.sub(r'(url\(#|href="#)([^)"]+)', lambda found: f"{found[1]}@{names[found[2]]}", body)
    return body.replace("@", f"d{value_hash(body)[:8]}-")
