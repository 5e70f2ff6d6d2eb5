"""Plots, `cm.plot`: seaborn on axes that they take and return, drawn from the frames of `costmodel.api`, in one style.

Strategies that cost the same are one line or row; what the kernel does is last and thick; what can lose a flush is
dashed. Bands and bars are the model's central 90 %. `cost_figure`, `curves_figure` and `map_figure` are the figures of
a report.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import numpy

from costmodel.cost.scenario import AXES
from costmodel.decision.result import CostRow, Interval
from costmodel.decision.views import Band, Curves, HeatMap
from costmodel.errors import BadInput
from costmodel.numbers import interval, quantity
from costmodel.report.drawing import (
    HATCHES,
    INKS,
    NAMES,
    PAPERS,
    VARIANTS,
    WIDEST_TICK,
    axes,
    fit,
    kept,
    label,
    log_axis,
    marks,
    name_ends,
    new_figure,
    own_style,
    svg,
    theme,
)
from costmodel.report.names import AXIS_NAMES, COST_NAMES

if TYPE_CHECKING:
    import pandas
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ["breakeven", "calibration", "costs", "intervals", "lines", "theme", "waits"]
EQUAL = 1e-3
"""Costs that differ by less than this share are drawn as one."""
UNSEEN_S = 1e-9
"""No clock of a kernel shows a shorter wait: the axis of waits ends here."""
INTERVAL_COLUMNS = ("median", "low", "high")
COSTS_LABEL = f"{COST_NAMES['s']}, median and 90 % interval"
LEGEND_MARK = "\N{EM DASH}" * 8
"""As wide as what a legend draws before a name, whose letters are larger than those at the end of a line."""


def costs(of: Any, ax: Axes | None = None, *, dark: bool = False) -> Axes:
    """CPU time that one event takes, by strategy: median and the model's 90 % interval, on a logarithmic axis.

    `of` is a case of `costmodel.case` (then at its costliest trigger) or a frame of `costs()` for one trigger. What the
    kernel does is the last row and thick. Raises BadInput for a frame without numbers.
    """
    rows = _cpu_time(of.costs(of.costliest_trigger) if hasattr(of, "costliest_trigger") else of)
    ax = intervals(rows, "strategy", ax, thick=set(rows[rows.chosen].strategy), notes=_notes(rows), dark=dark)
    ax.set_xlabel(COSTS_LABEL)
    return ax


def intervals(
    of: pandas.DataFrame,
    by: str,
    ax: Axes | None = None,
    *,
    thick: Collection[str] = (),
    notes: Mapping[str, str] | None = None,
    dark: bool = False,
) -> Axes:
    """A row for each value of the column `by`: `median` as a point, `low` to `high` as a bar; dearest first.

    Equal rows are one; those in `thick` come last, those with one of the `notes` (by value) are dashed. An end that is
    empty lies beyond the range that was swept (columns `swept_low`, `swept_high` of break-evens): the bar ends there
    with an arrow that says so. The axis is logarithmic where every median is above zero. Raises BadInput for a frame
    without numbers.
    """
    found = of.dropna(subset=["median"]).groupby(by, sort=False)[list(INTERVAL_COLUMNS)].first()
    if found.empty:
        raise BadInput("has no row with a median", field="frame", remedy="give a frame with median, low and high")
    swept = (float(of.swept_low.iloc[0]), float(of.swept_high.iloc[0])) if "swept_high" in of else None
    rows = {name: found.loc[name].to_numpy() for name in found.index}
    ax = _bars(rows, axes(ax, dark), thick, notes or {}, of.unit.iloc[0] if "unit" in of else "", dark, swept)
    ax.set_xlabel("median and 90 % interval")
    return ax


def _bars(
    rows: Mapping[str, numpy.ndarray],
    ax: Axes,
    thick: Collection[str],
    notes: Mapping[str, str],
    unit: str,
    dark: bool,
    swept: tuple[float, float] | None = None,
) -> Axes:
    """What `intervals` draws of `rows`: median, low and high by name, an end that is not a number beyond those of
    `swept`.
    """
    together = _together(rows, thick)
    order = sorted(together, key=lambda name: (name in thick, -rows[name][0]))
    looks = marks(order[::-1], dark)
    for place, name in enumerate(order):
        look, (median, low, high) = looks[name], rows[name]
        ax.plot(
            [median],
            [place],
            look.marker,
            color=look.colour,
            markersize=10.5 if name in thick else 6.7,
            markeredgewidth=0,
            zorder=3,
        )
        if swept:
            low, high = _to_the_ends(ax, swept, unit, place, low, high, look.colour)
        ax.plot(
            [low, high],
            [place, place],
            color=look.colour,
            linestyle=_stroke(look.dash if name in notes else ()),
            linewidth=5 if name in thick else 2,
            zorder=2,
        )
    ax.set_yticks(range(len(order)), [_told(together[name], notes) for name in order])
    ax.yaxis.set_inverted(True)
    ax.margins(y=0.5 / len(order))
    if all(median > 0 for median, *_ in rows.values()):
        log_axis(ax, unit)
    ax.set_ylabel("")
    return ax


def _to_the_ends(
    ax: Axes, swept: tuple[float, float], unit: str, place: int, low: float, high: float, colour: str
) -> tuple[float, float]:
    """The ends of a bar, each that is not a number replaced by that of the swept range, with an arrow and the words
    there.
    """
    ends = []
    for end, last, marker, sign, side in ((low, swept[0], "<", "<", "left"), (high, swept[1], ">", ">", "right")):
        if numpy.isnan(end):
            end = last
            ax.plot([end], [place], marker=marker, color=colour, markersize=8, zorder=3)
            words = f"{sign} {quantity(end, unit)}"
            ax.annotate(words, (end, place), (0, 8), textcoords="offset points", ha=side, color=colour)
        ends.append(end)
    return ends[0], ends[1]


def breakeven(of: pandas.DataFrame, ax: Axes | None = None, *, dark: bool = False) -> Axes:
    """Cost of one event along the first axis of a frame of `sweep()`, each strategy named where its line ends.

    Of further axes, the first value is drawn. Raises BadInput for a frame without an axis or without numbers.
    """
    rows = _cpu_time(of)
    over, *others = _swept(rows)
    for name in others:
        rows = rows[rows[name] == rows[name].iloc[0]]
    thick = set(rows[rows.chosen].strategy)
    ax = lines(rows, over, "strategy", ax, thick=thick, notes=_notes(rows), dark=dark)
    ax.set_ylabel(COST_NAMES["s"])
    return ax


def waits(of: pandas.DataFrame, ax: Axes | None = None, *, dark: bool = False) -> Axes:
    """Waits over the event rate by the place of the hook, from rows of `waits(rate_per_s=...)`: one strategy, one
    quantity.

    What stays below a nanosecond is left out: no clock shows it. Raises BadInput for other frames.
    """
    if of.empty or "rate_per_s" not in of or of.strategy.nunique() > 1 or of.quantity.nunique() > 1:
        raise BadInput(
            "needs waits over rate_per_s of one strategy and one quantity",
            field="frame",
            remedy="choose rows by query()",
        )
    times = of.unit.iloc[0] == "s"
    shown = of[of["median"] >= UNSEEN_S] if times else of
    if shown.empty:
        raise BadInput("holds no wait of a nanosecond or more", field="frame", remedy="ask for higher rates")
    thick = set(shown[shown.here].placement)
    ax = lines(shown, "rate_per_s", "placement", ax, thick=thick, least=UNSEEN_S if times else 0.0, dark=dark)
    ax.set_ylabel(of.quantity.iloc[0].replace("_", " "))
    return ax


def lines(
    of: pandas.DataFrame,
    over: str,
    by: str,
    ax: Axes | None = None,
    *,
    thick: Collection[str] = (),
    notes: Mapping[str, str] | None = None,
    least: float = 0.0,
    dark: bool = False,
) -> Axes:
    """`median` over the column `over` with the band `low` to `high`, one line for each value of `by`, named at its end.

    Lines with one of the `notes` (by value) are dashed; nothing below `least` is shown. Both axes are logarithmic, with
    the units of the frame.
    """
    order = list(of[by].unique())
    tables = [of.pivot_table(index=over, columns=by, values=part, sort=False).sort_index() for part in INTERVAL_COLUMNS]
    x = tables[0].index.to_numpy(float)
    bands = {
        name: Band(low, median, high)
        for name in order
        for median, low, high in [[table[name].to_numpy(float) for table in tables]]
    }
    ax = axes(ax, dark)
    axis = AXES.get(over)
    log_axis(ax, axis.unit if axis else "")
    Lines(ax, order, thick=thick, notes=notes, least=least, unit=of.unit.iloc[0], dark=dark).move(x, bands)
    ax.set_xlabel(label(AXIS_NAMES[over], axis.unit) if axis else over.replace("_", " "))
    return ax


class Lines:
    """Lines with bands on axes, named at their ends, which `move` in place; equal ones are drawn as one.

    Those in `thick` are on top and thick, those with one of the `notes` dashed. `unit` is that of the y-axis.
    """

    def __init__(
        self,
        ax: Axes,
        names: Sequence[str],
        *,
        thick: Collection[str] = (),
        notes: Mapping[str, str] | None = None,
        least: float = 0.0,
        unit: str = "s",
        dark: bool = False,
    ) -> None:
        from matplotlib.patches import Polygon

        self.ax, self.thick, self.notes, self.least, self.dark = ax, thick, notes or {}, least, dark
        self.names = sorted(names, key=lambda name: name in thick)
        self.looks = marks(self.names[::-1], dark)
        self._ends: list[Artist] = []
        log_axis(ax, unit, "y")
        self.lines, self.bands = {}, {}
        for name in self.names:
            look, on_top = self.looks[name], name in thick
            (line,) = ax.plot(
                [1.0, 2.0],
                [1.0, 1.0],
                marker=look.marker,
                markersize=8 if on_top else 5,
                markeredgewidth=0,
                color=look.colour,
                linestyle=_stroke(look.dash if name in self.notes else look.line),
                linewidth=3 if on_top else 1.5,
                zorder=4 if on_top else 3,
                label=name,
            )
            self.lines[name] = line
            band = Polygon([(1.0, 1.0)], facecolor=look.colour, alpha=0.15, linewidth=0)
            self.bands[name] = cast(Polygon, ax.add_artist(band))

    def move(self, x: numpy.ndarray, bands: Mapping[str, Band], limits: tuple[float, float] | None = None) -> None:
        """Draw `bands` over `x`; names without one, and lines that are nowhere above `least`, are hidden.

        `limits` of the y-axis are by default those of what is drawn.
        """
        known = self._shown(bands)
        together = _together({name: band.median for name, band in known.items()}, self.thick)
        for name, line in self.lines.items():
            line.set_visible(name in together)
            self.bands[name].set_visible(name in together)
            if name in together:
                band = known[name]
                line.set_data(x, band.median)
                line.set_markevery(max(1, len(x) // 6))
                edge = numpy.concatenate([numpy.maximum(band.low, self.least), band.high[::-1]])
                self.bands[name].set_xy(numpy.column_stack([numpy.concatenate([x, x[::-1]]), edge]))
        for artist in self._ends:
            artist.remove()
        self.ax.set_xlim(x[0], x[-1])
        self.ax.set_ylim(limits or self.limits(bands))
        ends = [
            (band.median[last], _told(others, self.notes), self.looks[name])
            for name, others in together.items()
            for band in [known[name]]
            for last in [numpy.flatnonzero(numpy.isfinite(band.median) & (band.median > self.least))[-1]]
        ]
        self._ends = name_ends(self.ax, ends, self.dark)

    def _shown(self, bands: Mapping[str, Band]) -> dict[str, Band]:
        return {name: bands[name] for name in self.names if name in bands and (bands[name].median > self.least).any()}

    def limits(self, bands: Mapping[str, Band]) -> tuple[float, float]:
        """From the lowest to the highest value of the bands above `least`, and a little more."""
        values = numpy.concatenate(
            [[self.least], *([band.low, band.high] for band in self._shown(bands).values())], axis=None
        )
        values = values[numpy.isfinite(values) & (values > 0) & (values >= self.least)]
        return (values.min() / 1.3, values.max() * 1.3) if len(values) else (1e-9, 1.0)

    @property
    def artists(self) -> list[Artist]:
        """All that moves and is to be seen."""
        drawn = [artist for name in self.names for artist in (self.bands[name], self.lines[name])]
        return [artist for artist in [*drawn, *self._ends] if artist.get_visible()]


def calibration(of: Any, ax: Axes | None = None, *, dark: bool = False) -> Axes:
    """Fitted over observed with the line of equality, and the 90 % interval of a new row where the diagnostics allow
    one.

    The distance from the line is the residual. `of` is what `costmodel.calibrate` gives.
    """
    import seaborn

    points = of.points
    ax = axes(ax, dark)
    ends = [points[["observed", "fitted"]].min().min(), points[["observed", "fitted"]].max().max()]
    ax.plot(ends, ends, color=INKS[dark], linewidth=1, label="fitted = observed")
    shade = VARIANTS[dark][0]
    if points.low.notna().all():
        ax.vlines(points.observed, points.low, points.high, color=shade, alpha=0.3, label="90 % of a new row")
    seaborn.scatterplot(points, x="observed", y="fitted", color=shade, label="rows", ax=ax)
    log_axis(ax, "s")
    log_axis(ax, "s", "y")
    ax.set(xlabel="observed", ylabel="fitted", title=of.title)
    ax.legend(loc="upper left", frameon=False, labelcolor=INKS[dark])
    return ax


def cost_figure(rows: Sequence[CostRow], chosen: str | None) -> str:
    """`costs` of one trigger as SVG; empty where nothing costs anything."""
    costly = [row for row in rows if row.stolen_cpu_s_per_event is not None and row.stolen_cpu_s_per_event.median > 0]
    states = {row.strategy: row.state for row in costly}
    values = {
        row.strategy: numpy.array([getattr(row.stolen_cpu_s_per_event, name) for name in INTERVAL_COLUMNS])
        for row in costly
    }
    of = [values, states, chosen]
    return kept("costs", of, lambda: _cost_figure(values, states, chosen)) if values else ""


@own_style()
def _cost_figure(values: Mapping[str, numpy.ndarray], states: Mapping[str, str], chosen: str | None) -> str:
    figure, grid = new_figure(8.6, 0.9 + 0.36 * len(values))
    notes = {name: state for name, state in states.items() if state != "admissible"}
    ax = _bars(
        values, axes(grid[0][0], dark=False), {name for name in values if name == chosen}, notes, "s", dark=False
    )
    ax.set_xlabel(COSTS_LABEL)
    fit(figure, grid, left=[text.get_text() for text in ax.get_yticklabels()])
    told = "; ".join(
        f"{name}{f' ({notes[name]})' if name in notes else ''} {interval(low, median, high, 's')}"
        for name, (median, low, high) in values.items()
    )
    return svg(figure, f"{COST_NAMES['s']} by strategy: {told}")


@own_style()
def lost_figure(values: Mapping[tuple[str, str], Interval]) -> str:
    """Host CPUs lost as SVG: a row for each machine, a dot with its 90 % bar for each of the guest types; empty where
    nothing is lost. `values` are by (guest types, machine).
    """
    if not values:
        return ""
    guests, machines = (list(dict.fromkeys(key[part] for key in values)) for part in (0, 1))
    figure, grid = new_figure(8.6, 1.0 + 0.3 * len(machines))
    ax, looks = axes(grid[0][0], dark=False), marks(guests, dark=False)
    for (guest, machine), value in values.items():
        look = looks[guest]
        place = len(machines) - 1 - machines.index(machine) + 0.24 * (0.5 * (len(guests) - 1) - guests.index(guest))
        ax.plot([value.low, value.high], [place, place], color=look.colour, linewidth=2)
        ax.plot([value.median], [place], look.marker, color=look.colour, label=guest)
    log_axis(ax, "1")
    ax.set_yticks(range(len(machines)), machines[::-1])
    ax.set(xlabel="host CPUs lost to flushes, at most: median and 90 % interval")
    named = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    fit(figure, grid, left=machines, lines_above=1)
    ax.legend(
        named.values(),
        named.keys(),
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=len(guests),
        frameon=False,
        labelcolor=INKS[False],
    )
    told = "; ".join(f"{m}, {g}: {interval(v.low, v.median, v.high, v.unit, v.most)}" for (g, m), v in values.items())
    return svg(figure, f"Host CPUs lost by machine and guest type: {told}")


def curves_figure(sweeps: Sequence[Curves], states: Mapping[str, str], chosen: str | None) -> str:
    """One panel per axis as SVG: a line per strategy, dots where the cheapest changes, a line at this case.

    `states` says of each strategy whether it is admissible here; what is not is noted at its line.
    """
    of = [[asdict(sweep) for sweep in sweeps], dict(states), chosen]
    return kept("curves", of, lambda: _curves_figure(sweeps, states, chosen))


@own_style()
def _curves_figure(sweeps: Sequence[Curves], states: Mapping[str, str], chosen: str | None) -> str:
    columns = 2
    figure, grid = new_figure(11.2, 3.4 * -(-len(sweeps) // columns), -(-len(sweeps) // columns), columns)
    ink = INKS[False]
    notes = {name: state for name, state in states.items() if state != "admissible"}
    told = {name: f"{name} ({notes[name]})" if name in notes else name for name in states}
    for sweep, ax in zip(sweeps, grid.flat, strict=False):
        axes(ax, dark=False)
        log_axis(ax, sweep.x_unit)
        Lines(ax, list(states), thick={chosen} if chosen else (), notes=notes, unit=sweep.y_unit).move(
            sweep.x, sweep.series
        )
        for crossing in sweep.crossings:
            ax.axvline(crossing.x, color=ink, linewidth=0.8, linestyle=":")
        for value in sweep.marks.values():
            ax.axvline(value, color=ink, linewidth=1, alpha=0.6)
        ax.set(xlabel=label(AXIS_NAMES[sweep.over], sweep.x_unit), ylabel=COST_NAMES[sweep.y_unit])
    for ax in list(grid.flat)[len(sweeps) :]:
        ax.set_visible(False)
    fit(figure, grid, left=[WIDEST_TICK], right=[text.get_text() for ax in grid.flat for text in ax.texts], lead=NAMES)
    changes = "; ".join(
        f"{AXIS_NAMES[s.over]} {quantity(c.x, s.x_unit)} ({told[c.cheaper_below]} to {told[c.cheaper_above]})"
        for s in sweeps
        for c in s.crossings[:2]
    )
    where = f"at {changes}" if changes else "nowhere in the ranges shown"
    return svg(figure, f"Cost curves; the cheapest strategy changes {where}")


def map_figure(heat: HeatMap) -> str:
    """The cheapest strategy over two axes as SVG, a cross at this case; empty where one is cheapest everywhere."""
    present = [int(i) for i in numpy.unique(heat.winner)]
    return kept("map", asdict(heat), lambda: _map_figure(heat, present)) if len(present) > 1 else ""


@own_style()
def _map_figure(heat: HeatMap, present: Sequence[int]) -> str:
    from matplotlib.patches import Patch

    figure, grid = new_figure(8.6, 3.8)
    ax = axes(grid[0][0], dark=False)
    log_axis(ax, heat.x_unit)
    log_axis(ax, heat.y_unit, "y")
    patches = []
    for place, i in enumerate(present):
        look: dict[str, Any] = {
            "hatches": [HATCHES[place % len(HATCHES)]],
            "colors": [VARIANTS[False][place % len(VARIANTS[False])]],
        }
        area = ax.contourf(heat.x, heat.y, heat.winner == i, levels=[0.5, 1.5], alpha=0.45, **look)
        area.set(edgecolor=INKS[False], linewidth=0)
        patches.append(
            Patch(
                facecolor=look["colors"][0],
                hatch=look["hatches"][0],
                alpha=0.45,
                linewidth=0,
                edgecolor=INKS[False],
                label=heat.strategies[i],
            )
        )
    ax.plot(
        *heat.mark,
        "X",
        color=INKS[False],
        markeredgecolor=PAPERS[False],
        markersize=11,
        label="this case",
        clip_on=False,
    )
    x_name, y_name = (AXIS_NAMES[name] for name in heat.over)
    ax.set(xlabel=label(x_name, heat.x_unit), ylabel=label(y_name, heat.y_unit))
    fit(figure, grid, left=[WIDEST_TICK], right=[f"{LEGEND_MARK}{heat.strategies[i]}" for i in present])
    handles = [*patches, *ax.get_lines()]
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, labelcolor=INKS[False])
    names = ", ".join(heat.strategies[i] for i in present)
    return svg(figure, f"Cheapest strategy by {x_name} and {y_name}: {names}; the cross marks this case")


def _stroke(dashes: tuple[float, ...]) -> Any:
    """The line style of matplotlib for these dashes; none are a solid line."""
    return (0, dashes) if dashes else "-"


def _cpu_time(frame: pandas.DataFrame) -> pandas.DataFrame:
    rows = frame[(frame.quantity == "cpu_time") & (frame["median"] > 0)]
    if rows.empty or rows.trigger.nunique() > 1:
        raise BadInput("needs cpu_time above zero at one trigger", field="frame", remedy="ask for one trigger's costs")
    return rows


def _swept(rows: pandas.DataFrame) -> list[str]:
    found = [name for name in AXES if name in rows.columns and rows[name].nunique() > 1]
    if not found:
        raise BadInput("has no axis with two values", field="breakeven", remedy="give a frame of sweep()")
    return found


def _together(values: Mapping[str, numpy.ndarray], chosen: Collection[str]) -> dict[str, list[str]]:
    """Names whose values agree, under the chosen one of them or the first; the chosen one last."""
    groups: dict[str, list[str]] = {}
    for name in sorted(values, key=lambda name: name not in chosen):
        for first, group in groups.items():
            if numpy.allclose(values[first], values[name], rtol=EQUAL, atol=0, equal_nan=True):
                group.append(name)
                break
        else:
            groups[name] = [name]
    return dict(sorted(groups.items(), key=lambda item: item[0] in chosen))


def _notes(rows: pandas.DataFrame) -> dict[str, str]:
    """The state of each strategy that is not admissible."""
    states = rows.groupby("strategy", sort=False).state.first()
    return dict(states[states != "admissible"])


def _told(names: Sequence[str], notes: Mapping[str, str] | None) -> str:
    """Equal names one below the other; a note that all share is said once."""
    found = [(notes or {}).get(name, "") for name in names]
    if len(set(found)) == 1:
        return "\n= ".join(names) + (f"\n({found[0]})" if found[0] else "")
    return "\n= ".join(f"{name} ({note})" if note else name for name, note in zip(names, found, strict=True))
