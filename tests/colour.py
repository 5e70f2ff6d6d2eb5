"""Colour as readers see it: contrast (WCAG 2.2), dichromats (Machado, Oliveira, Fernandes 2009, severity 1), and
CIEDE2000; and what a figure must keep of it.
"""

import math
from itertools import combinations
from unittest import mock

import numpy

BLINDNESS = {
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
}
SRGB_TO_XYZ = numpy.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
D65 = numpy.array([0.95047, 1.0, 1.08883])


def linear(colour):
    """Linear light of `#rrggbb`."""
    parts = numpy.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return numpy.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    light, dark = sorted((float(SRGB_TO_XYZ[1] @ linear(c)) for c in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def seen_by(blindness, colour):
    """CIE Lab of the colour as a dichromat sees it."""
    return lab_of(numpy.clip(numpy.array(BLINDNESS[blindness]) @ linear(colour), 0, 1))


def lab_of(light):
    ratio = SRGB_TO_XYZ @ light / D65
    f = numpy.where(ratio > (6 / 29) ** 3, numpy.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return float(116 * f[1] - 16), float(500 * (f[0] - f[1])), float(200 * (f[1] - f[2]))


def ciede2000(one, other):
    """Difference of two CIE Lab colours (Sharma, Wu, Dalal 2005)."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean_c = (math.hypot(a1, b1) + math.hypot(a2, b2)) / 2
    g = 0.5 * (1 - math.sqrt(mean_c**7 / (mean_c**7 + 25**7)))
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = math.hypot(a1, b1), math.hypot(a2, b2)
    h1, h2 = (math.degrees(math.atan2(b, a)) % 360 if a or b else 0.0 for a, b in ((a1, b1), (a2, b2)))
    turn = h2 - h1
    if c1 * c2 == 0:
        turn = 0.0
    elif turn > 180:
        turn -= 360
    elif turn < -180:
        turn += 360
    delta_h = 2 * math.sqrt(c1 * c2) * math.sin(math.radians(turn / 2))
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    if c1 * c2 == 0:
        mean_h = h1 + h2
    elif abs(h1 - h2) <= 180:
        mean_h = (h1 + h2) / 2
    else:
        mean_h = (h1 + h2 + 360) / 2 if h1 + h2 < 360 else (h1 + h2 - 360) / 2
    cos = lambda degrees: math.cos(math.radians(degrees))  # noqa: E731
    t = 1 - 0.17 * cos(mean_h - 30) + 0.24 * cos(2 * mean_h) + 0.32 * cos(3 * mean_h + 6) - 0.20 * cos(4 * mean_h - 63)
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / math.sqrt(20 + (mean_l - 50) ** 2)
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    rotation = 30 * math.exp(-(((mean_h - 275) / 25) ** 2))
    r_t = -2 * math.sqrt(mean_c**7 / (mean_c**7 + 25**7)) * math.sin(math.radians(2 * rotation))
    l_, c_, h_ = (l2 - l1) / s_l, (c2 - c1) / s_c, delta_h / s_h
    return math.sqrt(l_**2 + c_**2 + h_**2 + r_t * c_ * h_)


def check_figure(figure):
    """Every text can be read and covers no other; any two marks of axes differ for dichromats, or in marker and line
    style.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import to_hex
    from matplotlib.text import Text

    shown, draw = [], Text.draw
    with mock.patch.object(Text, "draw", lambda self, *rest, **more: (shown.append(self), draw(self, *rest, **more))):
        FigureCanvasAgg(figure).draw()
    shown = [text for text in dict.fromkeys(shown) if text.get_visible() and text.get_text().strip()]
    assert shown
    for text in shown:
        assert contrast(to_hex(text.get_color()), to_hex(figure.get_facecolor())) >= 4.5, text.get_text()
    for one, other in combinations(shown, 2):
        a, b = (text.get_window_extent().padded(-1) for text in (one, other))
        assert not a.overlaps(b), f"{one.get_text()!r} lies over {other.get_text()!r}"
    for ax in figure.axes:
        curves = [line for line in ax.get_lines() if line.get_visible() and len(line.get_xdata()) > 2]
        for one, other in combinations({(to_hex(c.get_color()), c.get_marker(), dash(c)) for c in curves}, 2):
            apart = min(ciede2000(seen_by(kind, one[0]), seen_by(kind, other[0])) for kind in BLINDNESS)
            assert apart >= 10 or (one[1] != other[1] and one[2] != other[2]), (one, other)


def dash(line):
    """The dash pattern of a line as it was set, in units of its width."""
    return line._unscaled_dash_pattern[1]
