"""What all plots share: style, colours, axes, and the way from a figure to self-contained SVG.

Same bytes for the same inputs, a title as alt text. Colours are of middle lightness and the background is transparent,
so that they read on white and on black.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape

from costmodel.hashing import value_hash
from costmodel.numbers import quantity

INK = "#808080"
PALETTE = ("#3b82c4", "#d9822b", "#3a9e5c", "#b04fb0", "#c0504d", "#7d7d3b", "#2aa5a5", "#8a6d5a")
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
DASHES = ("--", ":", "-.")
STYLE = {
    "svg.hashsalt": "costmodel",
    "svg.fonttype": "none",
    "font.size": 9,
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}
DECIMALS = 3
LONG_NUMBER = re.compile(rf"-?\d+\.\d{{{DECIMALS + 1},}}(?:e[+-]?\d+)?")
"""A coordinate with digits that nobody sees, and that depend on the CPU."""
AXIS_UNITS = {"B": "", "1": "", "1/s": "", "s": "seconds"}


def label(label: str, unit: str) -> str:
    name = AXIS_UNITS.get(unit, unit)
    return f"{label} ({name})" if name else label


def colours(names: Sequence[str]) -> dict[str, str]:
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(sorted(set(names)))}


def svg(figure: object, alt: str) -> str:
    """The figure as one <svg> element with role, title and description."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    body = buffer.getvalue()
    body = body[body.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"[ \t]+$", "", body, flags=re.MULTILINE)
    body = _own_ids(re.sub(r"<[^>]*>", lambda tag: LONG_NUMBER.sub(_rounded, tag.group()), body))
    label = escape(alt, quote=True)
    return body.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).replace(
        ">", f"><title>{escape(alt)}</title>", 1
    )


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


def log_x(axis: object, unit: str) -> None:
    """A logarithmic axis; bytes in powers of two with their unit at each tick."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    if unit != "B":
        axis.set_xscale("log")
        return
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_locator(LogLocator(base=32))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: quantity(value, "B", 3)))


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.close("all")
    matplotlib.rcParams.update(STYLE)
    return pyplot.subplots(rows, columns, figsize=(width, height), squeeze=False)
