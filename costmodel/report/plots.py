"""Plots: `costs`, `breakeven` and `calibration` draw frames of `costmodel.api` on axes with seaborn (they take `ax` and return
it, and `cm.plot` is this module); the others are the figures of a report as self-contained SVG. Bands are the model's 90 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy

from costmodel.cost.axes import AXES
from costmodel.cost.curves import Curves, HeatMap
from costmodel.decision.model import CostRow
from costmodel.errors import BadInput
from costmodel.report.drawing import (
    DASHES,
    INK,
    INKS,
    MARKERS,
    PALETTE,
    PAPERS,
    VARIANTS,
    colours,
    label,
    log_x,
    new_figure,
    svg,
)

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes


def cost_bars(rows: Sequence[CostRow]) -> str:
    """CPU time per event of each strategy at one trigger: median and 90 % interval on a logarithmic axis."""
    shown = [r for r in rows if r.stolen_cpu_s_per_event is not None and r.stolen_cpu_s_per_event.median > 0]
    names = [r.strategy for r in shown]
    alt = "CPU time taken per event by strategy: " + "; ".join(
        f"{r.strategy}{'' if r.state == 'admissible' else f' ({r.state})'} {r.stolen_cpu_s_per_event.median:.2g} s"
        for r in shown
    )
    if not shown:
        return ""
    figure, axes = new_figure(8.2, 0.9 + 0.32 * len(shown))
    axis = axes[0][0]
    for y, row in enumerate(reversed(shown)):
        cost = row.stolen_cpu_s_per_event
        colour = PALETTE[2] if row.state == "admissible" else INK
        axis.plot(
            [max(cost.low, cost.median * 1e-3), cost.high],
            [y, y],
            color=colour,
            linewidth=5,
            alpha=0.45,
            solid_capstyle="butt",
        )
        axis.plot([cost.median], [y], "o", color=colour, markersize=6)
    axis.set_xscale("log")
    axis.set_yticks(
        range(len(shown)),
        [
            f"{n}{'' if r.state == 'admissible' else ' (' + r.state + ')'}"
            for n, r in zip(reversed(names), reversed(shown), strict=True)
        ],
    )
    axis.set_xlabel("CPU time per event (seconds), median and 90 % interval")
    axis.grid(axis="x", color=INK, alpha=0.25)
    return svg(figure, alt)


def break_even(sweeps: Sequence[Curves], labels: Mapping[str, str]) -> str:
    """One panel per axis: a band per strategy, dots where the cheapest changes, a line at this case.

    `labels` are the texts of the legend; a strategy that is not admissible gets a dashed line.
    """
    columns = 2
    lines = -(-len(sweeps) // columns)
    figure, axes = new_figure(9.0, 3.3 * lines + 0.6, lines, columns)
    shades = colours([name for sweep in sweeps for name in sweep.series])
    for sweep, axis in zip(sweeps, axes.flat, strict=False):
        for name, band in sweep.series.items():
            if not numpy.any(band.median > 0):
                continue
            axis.fill_between(sweep.x, band.low, band.high, color=shades[name], alpha=0.18, linewidth=0)
            style = "-" if labels[name] == name else "--"
            axis.plot(sweep.x, band.median, style, color=shades[name], label=labels[name])
        for crossing in sweep.crossings:
            axis.axvline(crossing.x, color=INK, linewidth=0.8, linestyle=":")
        for value in sweep.marks.values():
            axis.axvline(value, color=INK, linewidth=1.2, alpha=0.7)
        log_x(axis, sweep.x_unit)
        axis.set_yscale("log")
        axis.set_xlabel(label(sweep.x_label, sweep.x_unit))
        axis.set_ylabel(label(sweep.y_label, sweep.y_unit))
    for axis in list(axes.flat)[len(sweeps) :]:
        axis.set_visible(False)
    handles = {
        label: handle for axis in axes.flat for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
    alt = "Break-even curves; the cheapest strategy changes at " + "; ".join(
        f"{s.x_label} {c.x:.3g} ({labels[c.cheaper_below]} to {labels[c.cheaper_above]})"
        for s in sweeps
        for c in s.crossings[:2]
    )
    return svg(
        figure,
        alt
        if any(s.crossings for s in sweeps)
        else "Cost curves; the cheapest strategy changes nowhere in the ranges shown",
    )


def winner_map(heat: HeatMap) -> str:
    """Cheapest strategy over two axes, one flat colour each, a cross at this case."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    figure, axes = new_figure(7.2, 3.8)
    axis = axes[0][0]
    shades = colours(heat.strategies)
    palette = ListedColormap([shades[name] for name in heat.strategies])
    axis.pcolormesh(
        heat.x,
        heat.y,
        heat.winner,
        cmap=palette,
        vmin=-0.5,
        vmax=len(heat.strategies) - 0.5,
        shading="nearest",
        alpha=0.75,
        rasterized=False,
        linewidth=0,
    )
    axis.plot(*heat.mark, "x", color="#000000", markersize=9, markeredgewidth=2.5)
    axis.plot(*heat.mark, "x", color="#ffffff", markersize=8, markeredgewidth=1.2)
    log_x(axis, heat.x_unit)
    axis.set_yscale("log")
    axis.set_xlabel(label(heat.x_label, heat.x_unit))
    axis.set_ylabel(label(heat.y_label, heat.y_unit))
    present = sorted(set(heat.winner.flat))
    axis.legend(
        handles=[Patch(color=shades[heat.strategies[i]], label=heat.strategies[i]) for i in present],
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
    )
    names = ", ".join(heat.strategies[i] for i in present)
    return svg(figure, f"Cheapest strategy by {heat.x_label} and {heat.y_label}: {names}; the cross marks this case")


def costs(of: object, ax: Axes | None = None, *, dark: bool = False) -> Axes:
    """CPU time that one event takes, by strategy: median and the model's 90 % interval, on a logarithmic axis.

    `of` is a case of `costmodel.case` (then at its costliest trigger) or a frame of `costs()` for one trigger. What the kernel does is last, thick
    and named first in the label; equal strategies share a row. Returns the axes. Raises BadInput for an empty frame.
    """
    import seaborn

    rows = _cpu_time(of.costs(of.costliest_trigger) if hasattr(of, "costliest_trigger") else of)
    same = _together(
        rows.groupby("strategy", sort=False)[["median", "low", "high"]].first(), set(rows[rows.chosen].strategy)
    )
    ax = _axes(ax, dark)
    shown = rows[rows.strategy.isin(same)].sort_values(["chosen", "median"], ascending=[True, False])
    shades = dict(zip(same, _shades(len(same), dark), strict=True))
    shown = shown.assign(
        label=[_label(same[name], state) for name, state in zip(shown.strategy, shown.state, strict=True)]
    )
    seaborn.scatterplot(shown, x="median", y="label", hue="strategy", palette=shades, style="strategy", s=60, zorder=3,
                        markers=dict(zip(same, MARKERS * len(same), strict=False)), legend=False, ax=ax)  # fmt: skip
    for place, row in enumerate(shown.itertuples()):
        ax.plot(
            [row.low, row.high],
            [place, place],
            color=shades[row.strategy],
            linewidth=5 if row.chosen else 2,
            zorder=1 + row.chosen,
        )
    ax.set(xscale="log", xlabel="CPU time per event (seconds), median and 90 % interval", ylabel="")
    return ax


def breakeven(of: pandas.DataFrame, ax: Axes | None = None, *, dark: bool = False) -> Axes:
    """Cost curves of a frame of `sweep()` along its first axis, each line named at its end; bands are the model's 90 %.

    Equal strategies are one line; what the kernel does is drawn last and thick; what is not admissible is dashed. Of further
    axes, the first value is drawn. Returns the axes. Raises BadInput for a frame without an axis or without numbers.
    """
    import seaborn

    rows = _cpu_time(of)
    axes = [name for name in AXES if name in rows.columns and rows[name].nunique() > 1]
    if not axes:
        raise BadInput("has no axis with two values", field="breakeven", remedy="give a frame of sweep()")
    over, *others = axes
    for name in others:
        rows = rows[rows[name] == rows[name].iloc[0]]
    tables = {
        part: rows.pivot_table(index="strategy", columns=over, values=part, sort=False)
        for part in ("median", "low", "high")
    }
    chosen = set(rows[rows.chosen].strategy)
    same = _together(tables["median"], chosen)
    states = rows.groupby("strategy").state.first()
    ax = _axes(ax, dark)
    for place, (name, shade) in enumerate(zip(same, _shades(len(same), dark), strict=True)):
        x, last = tables["median"].columns.to_numpy(), name in chosen
        ax.fill_between(x, tables["low"].loc[name], tables["high"].loc[name], color=shade, alpha=0.15, linewidth=0)
        seaborn.lineplot(
            x=x,
            y=tables["median"].loc[name],
            color=shade,
            errorbar=None,
            linestyle="-" if states[name] == "admissible" else DASHES[place % len(DASHES)],
            marker=MARKERS[place % len(MARKERS)],
            markevery=max(1, len(x) // 6),
            linewidth=3 if last else 1.5,
            zorder=4 if last else 3,
            label=_label(same[name], states[name]),
            ax=ax,
        )
    log_x(ax, AXES[over].unit)
    ax.set(yscale="log", xlabel=label(AXES[over].label, AXES[over].unit), ylabel="CPU time taken per event (seconds)")
    ax.legend(frameon=False, labelcolor=INKS[dark])
    return ax


def calibration(of: object, ax: Axes | None = None, *, dark: bool = False) -> Axes:
    """Fitted over observed with the line of equality, and the 90 % interval of a new row where the diagnostics allow one.

    The distance from the line is the residual. Returns the axes. `of` is what `costmodel.calibrate` gives.
    """
    import seaborn

    points = of.points
    ax = _axes(ax, dark)
    ends = [points[["observed", "fitted"]].min().min(), points[["observed", "fitted"]].max().max()]
    ax.plot(ends, ends, color=INKS[dark], linewidth=1, label="fitted = observed")
    if points.low.notna().all():
        ax.vlines(
            points.observed, points.low, points.high, color=_shades(1, dark)[0], alpha=0.3, label="90 % of a new row"
        )
    seaborn.scatterplot(points, x="observed", y="fitted", color=_shades(1, dark)[0], label="rows", ax=ax)
    ax.set(xscale="log", yscale="log", xlabel="observed (seconds)", ylabel="fitted (seconds)", title=of.title)
    ax.title.set_color(INKS[dark])
    ax.legend(frameon=False, labelcolor=INKS[dark])
    return ax


def _cpu_time(frame: pandas.DataFrame) -> pandas.DataFrame:
    rows = frame[(frame.quantity == "cpu_time") & (frame["median"] > 0)]
    if rows.empty or rows.trigger.nunique() > 1:
        raise BadInput("needs cpu_time above zero at one trigger", field="frame", remedy="ask for one trigger's costs")
    return rows


def _axes(ax: Axes | None, dark: bool) -> Axes:
    """`ax`, or new axes, with text and frame in the neutral ink of the variant."""
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.subplots(layout="constrained")[1]
    ax.tick_params(colors=INKS[dark], which="both")
    for part in (ax.xaxis.label, ax.yaxis.label):
        part.set_color(INKS[dark])
    for name, spine in ax.spines.items():
        spine.set_color(INKS[dark])
        spine.set_visible(name in ("left", "bottom"))
    ax.set_facecolor(PAPERS[dark])
    ax.figure.set_facecolor(PAPERS[dark])
    return ax


def _together(table: pandas.DataFrame, chosen: set[str]) -> dict[str, list[str]]:
    """Strategies whose numbers agree to a thousandth, under the chosen one of them or the first; the chosen one last."""
    groups: dict[str, list[str]] = {}
    for name in sorted(table.index, key=lambda name: name not in chosen):
        for first, group in groups.items():
            if numpy.allclose(table.loc[first], table.loc[name], rtol=1e-3, atol=0):
                group.append(name)
                break
        else:
            groups[name] = [name]
    return dict(sorted(groups.items(), key=lambda item: item[0] in chosen))


def _label(names: Sequence[str], state: str) -> str:
    text = " = ".join(names)
    return text if state == "admissible" else f"{text} ({state})"


def _shades(count: int, dark: bool) -> list[str]:
    shades = VARIANTS[dark]
    return [shades[i % len(shades)] for i in range(count)]
