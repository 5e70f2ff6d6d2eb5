"""Plots of a recommendation as self-contained SVG: units on the axes, 90 % bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy

from costmodel.cost.curves import Curves, HeatMap
from costmodel.decision.model import CostRow
from costmodel.report.drawing import INK, PALETTE, colours, label, log_x, new_figure, svg


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
