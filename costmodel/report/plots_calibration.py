"""Plots about fits: observed against fitted, cells of a measured host with their interpolation, priors of a machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from costmodel.calibration.fit import Fit
from costmodel.calibration.host_flush import Cell, FlushModel
from costmodel.calibration.parameters import ParameterSet
from costmodel.errors import CostModelError
from costmodel.report.drawing import INK, PALETTE, log_x, new_figure, svg


def fits(results: dict[str, Fit]) -> str:
    """Fitted over observed for each regression, one panel each, with the line of equality."""
    from matplotlib.ticker import NullFormatter

    columns = 3
    lines = -(-len(results) // columns)
    figure, axes = new_figure(9.2, 3.0 * lines, lines, columns)
    for (name, result), axis in zip(results.items(), axes.flat, strict=False):
        observed = result.problem.observed
        fitted = result.problem.predict(result.theta)
        ends = [min(observed.min(), fitted.min()), max(observed.max(), fitted.max())]
        axis.plot(ends, ends, color=INK, linewidth=0.8)
        axis.plot(observed, fitted, "o", color=PALETTE[0], markersize=4, alpha=0.8)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_title(f"{name}\n{len(observed)} rows, residual {100 * result.root_mean_square:.0f} %", fontsize=8)
        axis.set_xlabel("observed (seconds)")
        axis.set_ylabel("fitted (seconds)")
    for axis in list(axes.flat)[len(results) :]:
        axis.set_visible(False)
    told = "; ".join(f"{name} {100 * r.root_mean_square:.0f} %" for name, r in results.items())
    return svg(figure, f"Fitted against observed; residuals: {told}")


def host_cells(cells: Sequence[Cell], instruction: str) -> str:
    """Measured time per line of one instruction over the range, by line state, with the 90 % interval of a new run."""
    model = FlushModel(cells)
    kinds = [kind for kind in model.by_kind if kind[0] == instruction and kind[2] == "4KiB"]
    figure, axes = new_figure(8.6, 4.0)
    axis = axes[0][0]
    for colour, kind in zip(PALETTE, sorted(kinds), strict=False):
        own = model.by_kind[kind]
        sizes = numpy.geomspace(own[0].range_bytes, own[-1].range_bytes, 121)
        axis.plot([c.range_bytes for c in own], [numpy.exp(c.log) for c in own], "o", color=colour, markersize=4)
        drawn = [(size, guess) for size in sizes if (guess := _predict(model, kind, size)) is not None]
        x = [size for size, _ in drawn]
        axis.plot(x, [guess.line_s for _, guess in drawn], color=colour, label=f"{kind[1]} lines")
        axis.fill_between(
            x, [g.low_s for _, g in drawn], [g.high_s for _, g in drawn], color=colour, alpha=0.2, linewidth=0
        )
    log_x(axis, "B")
    axis.set_yscale("log")
    axis.set_xlabel("range length")
    axis.set_ylabel(f"{instruction} per line (seconds)")
    axis.grid(color=INK, alpha=0.2)
    axis.legend()
    return svg(figure, f"{instruction} per line over the range length: {', '.join(kind[1] for kind in sorted(kinds))}")


def _predict(model: FlushModel, kind: tuple[str, str, str], size: float):
    """The prediction where it has an interval, else None."""
    try:
        guess = model.predict(kind[0], kind[1], float(size), kind[2])
    except CostModelError:
        return None
    return guess if guess.low_s is not None else None


def priors(parameters: ParameterSet) -> str:
    """Width of every parameter as a factor around its median; grey where a prior by a named rule stands in."""
    shown = {
        name: entry
        for name, entry in sorted(parameters.parameters.items())
        if entry.distribution.shape != "fixed" and entry.distribution.median > 0
    }
    figure, axes = new_figure(8.6, 0.8 + 0.3 * len(shown))
    axis = axes[0][0]
    for y, entry in enumerate(reversed(shown.values())):
        spread = entry.distribution
        colour = INK if entry.extrapolated else PALETTE[2]
        low = max(spread.low / spread.median, 1e-3)
        axis.plot([low, spread.high / spread.median], [y, y], color=colour, linewidth=6, alpha=0.6)
        axis.plot([1.0], [y], "|", color=colour, markersize=12)
    axis.set_xscale("log")
    axis.set_yticks(range(len(shown)), list(reversed(shown)))
    axis.set_xlabel("5 % to 95 % over the median; grey: EXTRAPOLATED, green: measured")
    axis.grid(axis="x", color=INK, alpha=0.25)
    marked = ", ".join(name for name, entry in shown.items() if entry.extrapolated)
    return svg(figure, f"Width of the parameters of {parameters.machine}; extrapolated: {marked}")
