"""Plots of the scoreboard: formula against simulation, digits of certified regressions, coverage of held-out cells."""

from __future__ import annotations

import numpy

from costmodel.report.drawing import INK, PALETTE, new_figure, svg
from costmodel.validation.row import Section
from costmodel.validation.simulated import EQUIVALENCE, Result


def simulation(results: list[Result]) -> str:
    """Formula over simulation for every setting and output, with the band of equivalence."""
    figure, axes = new_figure(8.6, 4.6)
    axis = axes[0][0]
    inside = [r for r in results if r.agrees]
    told = [r for r in results if not r.agrees and r.limit]
    wrong = [r for r in results if not r.agrees and not r.limit]
    groups = (("agrees", inside, PALETTE[2]), ("outside, limit stated", told, PALETTE[1]), ("wrong", wrong, PALETTE[4]))
    values = numpy.array([r.simulated for r in results])
    ends = [values[values > 0].min(), values.max()]
    axis.fill_between(ends, 1 - EQUIVALENCE, 1 + EQUIVALENCE, color=INK, alpha=0.2, linewidth=0)
    for label, group, colour in groups:
        if group:
            x = [r.simulated for r in group]
            axis.plot(
                x, [r.formula / r.simulated for r in group], "o", color=colour, markersize=3.5, alpha=0.7, label=label
            )
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("simulated value (seconds or a ratio, by output)")
    axis.set_ylabel("formula over simulation")
    axis.legend()
    axis.grid(color=INK, alpha=0.2)
    return svg(
        figure,
        f"Formula over simulation: {len(inside)} values agree within {100 * EQUIVALENCE:g} %, {len(told)} lie outside a "
        f"stated limit, {len(wrong)} are wrong",
    )


def digits(section: Section) -> str:
    """Correct digits of each certified regression from both published starts."""
    rows = [row for row in section.rows if "digits_of_start_alone" in row.details]
    names = list(dict.fromkeys(row.id.rsplit("-", 1)[0] for row in rows))
    figure, axes = new_figure(8.6, 0.9 + 0.2 * len(names))
    axis = axes[0][0]
    for start, marker in (("1", "o"), ("2", "s")):
        own = {row.id.rsplit("-", 1)[0]: row for row in rows if row.id.endswith(f"-{start}")}
        y = [len(names) - 1 - i for i, name in enumerate(names) if name in own]
        x = [own[name].details["digits_of_several_starts"] for name in names if name in own]
        axis.plot(x, y, marker, color=PALETTE[int(start)], markersize=5, label=f"around start {start}", alpha=0.8)
    axis.set_yticks(range(len(names)), list(reversed(names)), fontsize=7)
    axis.set_xlim(0, 11.5)
    axis.set_xlabel("correct digits of the worst parameter (11 are certified)")
    axis.grid(axis="x", color=INK, alpha=0.25)
    axis.legend(loc="lower left")
    least = min(row.details["digits_of_several_starts"] for row in rows)
    return svg(figure, f"Correct digits of {len(names)} certified regressions; the least is {least:.1f}")


def coverage(section: Section) -> str:
    """Share of held-out values inside their 90 % interval, where there are enough to tell."""
    from scipy.stats import binomtest

    rows = [row for row in section.rows if row.details.get("covered") is not None]
    figure, axes = new_figure(8.6, 0.9 + 0.3 * len(rows))
    axis = axes[0][0]
    axis.axvspan(0.85, 0.95, color=INK, alpha=0.2)
    for y, row in enumerate(reversed(rows)):
        covered, n = int(row.details["covered"]), int(row.details["n"])
        spread = binomtest(covered, n).proportion_ci(0.95)
        colour = PALETTE[2] if row.verdict == "pass" else PALETTE[4] if row.verdict == "fail" else INK
        axis.plot([spread.low, spread.high], [y, y], color=colour, linewidth=5, alpha=0.45)
        axis.plot([covered / n], [y], "o", color=colour, markersize=5)
    axis.set_yticks(range(len(rows)), [f"{row.id} (n {row.details['n']})" for row in reversed(rows)], fontsize=7)
    axis.set_xlabel("share of held-out values inside their 90 % interval")
    axis.grid(axis="x", color=INK, alpha=0.25)
    told = "; ".join(f"{row.id} {row.details['covered']} of {row.details['n']}" for row in rows)
    return svg(figure, f"Coverage of 90 % intervals: {told}")
