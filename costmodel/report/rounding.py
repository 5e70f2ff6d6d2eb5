"""How many digits a number may show: the rounding rule of the Particle Data Group, and changes as text."""

from __future__ import annotations

import math

from costmodel.decision.result import VersusRow
from costmodel.numbers import significant

FACTOR = 4.0
"""A ratio whose interval spans more than this is written as a factor; so is one beyond PERCENT."""
PERCENT = (0.1, 2.0)


def pdg_decimals(uncertainty: float) -> int:
    """Decimals that a value with this uncertainty carries; negative where even the units are lost.

    Rule of the Particle Data Group (Review of Particle Physics, Introduction, section on rounding): with the three
    highest digits of the uncertainty between 100 and 354 keep two digits, up to 949 one, from 950 round up to 1000
    and keep two: 0.827 +- 0.119 is written 0.83 +- 0.12, and 0.827 +- 0.367 is written 0.8 +- 0.4. Raises ValueError
    unless the uncertainty is positive and finite.

    >>> pdg_decimals(0.119), pdg_decimals(0.367), pdg_decimals(0.0952), pdg_decimals(42.0)
    (2, 1, 2, -1)
    """
    if not 0 < uncertainty < math.inf:
        raise ValueError("an uncertainty is positive and finite")
    exponent = math.floor(math.log10(uncertainty))
    leading = round(uncertainty / 10.0 ** (exponent - 2))
    if leading >= 950:
        exponent += 1
    return (0 if 355 <= leading < 950 else 1) - exponent


def percent(low: float, median: float, high: float) -> str:
    """A change in percent from a ratio and its interval; whole percents at the coarsest, never a rounded zero.

    >>> percent(0.60, 0.69, 0.78), percent(1.104, 1.252, 1.407)
    ('-31 [-40, -22] %', '+25 [+10, +41] %')
    >>> percent(0.45, 0.96, 0.999)
    '-4 [-55, -0.1] %'
    """
    ends = [100 * (ratio - 1) for ratio in (low, median, high)]
    side = min(ends[1] - ends[0], ends[2] - ends[1])
    decimals = max(0, pdg_decimals(side)) if side > 0 else 1
    texts = [_signed(end, decimals) for end in ends]
    return f"{texts[1]} [{texts[0]}, {texts[2]}] %"


def _signed(end: float, decimals: int) -> str:
    """A change with `decimals` decimals, or as many more as keep it from being rounded to zero."""
    while decimals < 3 and round(end, decimals) == 0:
        decimals += 1
    return f"{round(end, decimals):+.{decimals}f}"


def change(row: VersusRow) -> str:
    """How new differs from base: `~` where that cannot be told, so that no percentage spans zero."""
    if row.verdict == "refused":
        return "refused"
    if row.verdict in ("equal", "undecided"):
        return "same" if row.verdict == "equal" else "~"
    ratio = row.ratio
    if ratio is None:
        return "was 0" if row.base is not None and row.base.high == 0 else row.verdict
    if ratio.high == 0:
        return "-100 %"
    if ratio.high <= FACTOR * ratio.low and PERCENT[0] < ratio.median < PERCENT[1]:
        return percent(ratio.low, ratio.median, ratio.high)
    return factor(ratio.low, ratio.median, ratio.high)


def factor(low: float, median: float, high: float) -> str:
    """A ratio as `xN` (N times the base) or `/N` (an Nth of it), so that losses read like gains.

    >>> factor(2.1, 4.3, 11.0), factor(0.016, 0.021, 0.030), factor(1e-7, 1e-6, 8e-6), factor(0.01, 0.11, 0.83)
    ('x4 [2, 10]', '/48 [33, 62]', '/1e6 [1e5, 1e7]', '/9 [1.2, 100]')
    """
    sign, values = ("x", (low, median, high)) if median >= 1 or low <= 0 else ("/", (1 / high, 1 / median, 1 / low))
    digits = 1 if values[0] <= 0 or values[2] > FACTOR * values[0] else 2
    texts = [_short(value, digits) for value in values]
    return f"{sign}{texts[1]} [{texts[0]}, {texts[2]}]"


def _short(value: float, digits: int) -> str:
    """A factor with `digits` digits, one more where it would be rounded to 1, a short exponent from 10000 on."""
    text = significant(value, digits)
    if float(text) >= 10_000:
        return f"{value:.{digits - 1}e}".replace("e+0", "e").replace("e+", "e")
    return significant(value, digits + 1) if text == "1" and value != 1 else text
