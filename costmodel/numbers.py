"""Numbers as people read them: no more digits than the uncertainty carries, engineering units, ASCII only; and the largest
that are taken from people.
"""

from __future__ import annotations

import math
import re

SIZES = {
    "": 1.0,
    "b": 1.0,
    **{unit: 2.0 ** (10 * power) for power, unit in enumerate("kmgt", start=1)},
    **{f"{unit}ib": 2.0 ** (10 * power) for power, unit in enumerate("kmgt", start=1)},
    **{f"{unit}b": 1000.0**power for power, unit in enumerate("kmgt", start=1)},
}
"""Bytes of each unit, in lower case. A letter alone is a power of 1024, as in QEMU and libvirt."""
SCALES = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")),
    "B": ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")),
    "B/s": ((1e9, "GB/s"), (1e6, "MB/s"), (1.0, "B/s")),
}
"""Engineering units of each SI unit, largest first."""
MOST_VCPUS = 2**16
"""Far above what KVM allows (KVM_MAX_VCPUS): more is a slip of the pen."""
MOST_PER_S = 1e9
"""More events than nanoseconds: a slip of the pen."""
SWEEP_DRAWS = 512
"""Draws behind each point of a sweep over a grid."""

LEAST_OF_UNIT = 0.01
"""A median below this part of a unit is shown in its own unit."""


def several(number: int, noun: str) -> str:
    """A number with its noun.

    >>> several(1, "socket"), several(2, "socket")
    ('1 socket', '2 sockets')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def significant(value: float, digits: int = 2) -> str:
    """`value` with `digits` significant digits, without an exponent between 0.00001 and 1e6.

    >>> significant(0.012345), significant(1234.5), significant(3.0, 2), significant(0.0), significant(7e-5, 1)
    ('0.012', '1200', '3.0', '0', '0.00007')
    """
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    exponent = math.floor(math.log10(abs(value)))
    rounded = round(value, digits - 1 - exponent)
    exponent = math.floor(math.log10(abs(rounded)))
    if not -6 < exponent < 6:
        return f"{rounded:.{digits - 1}e}"
    return f"{rounded:.{max(0, digits - 1 - exponent)}f}"


def factor(value: float) -> str:
    """A factor between two numbers: one digit, two below 2, where one would say that they are the same.

    >>> factor(1.27), factor(2.4), factor(13.0)
    ('1.3', '2', '10')
    """
    return significant(value, 1 if value >= 2 else 2)


def scale_of(value: float, unit: str) -> tuple[float, str]:
    """Factor and name of the engineering unit in which `value` (SI `unit`) is best read."""
    for factor, name in SCALES.get(unit, ((1.0, "" if unit == "1" else unit),)):
        if abs(value) >= factor:
            return factor, name
    return SCALES[unit][-1] if unit in SCALES else (1.0, "" if unit == "1" else unit)


def bytes_of(text: str) -> float | None:
    """Bytes of a size such as `17179869184`, `16G`, `16 GiB` or `16GB`; None where it is none.

    >>> bytes_of("16G") == bytes_of("16 GiB") == 2.0**34, bytes_of("1.5kB"), bytes_of("1e9"), bytes_of("16 cows")
    (True, 1500.0, 1000000000.0, None)
    """
    found = re.fullmatch(r"\s*(\d{1,30}(?:\.\d{1,30})?(?:[eE]\d{1,2})?)\s*([A-Za-z]{0,3})\s*", text, re.ASCII)
    if not found or found[2].lower() not in SIZES:
        return None
    return float(found[1]) * SIZES[found[2].lower()]


def quantity(value: float, unit: str, digits: int = 2) -> str:
    """`value` in SI `unit` with an engineering unit.

    >>> quantity(0.0034, "s"), quantity(2**21, "B"), quantity(512, "1")
    ('3.4 ms', '2.0 MiB', '510')
    """
    factor, name = scale_of(value, unit)
    return f"{significant(value / factor, digits)} {name}".rstrip()


def interval(
    low: float, median: float, high: float, unit: str, most: float | None = None, like: float | None = None
) -> str:
    """Median and 90 % interval in one unit, with the digits that the width carries: one where it spans a factor of 4,
    else two.

    The unit is that of the upper end, so that no end has four digits where a larger unit has fewer; of an interval so
    wide that the median would be below a hundredth of it, the median's. Rounding never goes beyond `most`, the largest
    value that the quantity can have; `like` is a value whose unit is taken.

    >>> interval(0.0011, 0.0034, 0.0102, "s")
    '3 [1, 10] ms'
    >>> interval(0.00331, 0.0034, 0.00349, "s")
    '3.4 [3.3, 3.5] ms'
    >>> interval(60, 253, 256, "1", most=256)
    '256 [60, 256]'
    >>> interval(10.0, 10.0, 10.0, "1/s")
    '10 1/s'
    >>> interval(0.0003, 0.0008, 0.002, "s", like=0.0012)
    '0.8 [0.3, 2] ms'
    >>> interval(4e-5, 8e-4, 1e-2, "s"), interval(7e-5, 7e-4, 6e-3, "1")
    ('0.8 [0.04, 10] ms', '0.0007 [0.00007, 0.006]')
    >>> interval(1e-8, 1e-6, 1e-2, "s"), interval(0.0, 0.0, 6e-5, "s")
    ('1 [0.01, 10000] us', '0 [0, 60] us')
    """
    if low == median == high == 0:
        return "0"
    factor, name = scale_of(high if like is None else like, unit)
    if like is None and 0 < abs(median) < LEAST_OF_UNIT * factor:
        factor, name = scale_of(median, unit)
    if low == median == high:
        return f"{_bounded(median / factor, 2, most)} {name}".rstrip()
    wide = low <= 0 or high / low > 4
    digits = 1 if wide else 2
    texts = [_bounded(value / factor, digits, most) for value in (low, median, high)]
    return f"{texts[1]} [{texts[0]}, {texts[2]}] {name}".rstrip()


def _bounded(value: float, digits: int, most: float | None) -> str:
    text = significant(value, digits)
    return f"{most:g}" if most is not None and float(text) > most else text


P_BOUNDS = (0.05, 0.95)
"""P(best) is never printed beyond these where a prior by rule decides: what a rule gave tells no rarer odds."""


def probability(share: float, *, extrapolated: bool) -> str:
    """A probability as text; at the bounds it says that it is one.

    >>> probability(0.95, extrapolated=True), probability(0.374, extrapolated=True)
    ('>= 0.95', '0.37')
    >>> probability(0.95, extrapolated=False)
    '0.95'
    """
    if extrapolated and share in P_BOUNDS:
        return f"{'<=' if share == P_BOUNDS[0] else '>='} {share:.2f}"
    return f"{share:.2f}"


def ceiling(shown: str, at_most: bool = True) -> str:
    """A number as text, called a ceiling where it is one; of nothing there is no less.

    >>> ceiling("3 [1, 10] ms"), ceiling("0"), ceiling("0.2", at_most=False)
    ('at most 3 [1, 10] ms', '0', '0.2')
    """
    return f"at most {shown}" if at_most and shown.rstrip("*") != "0" else shown


def shortened(value: object, digits: int = 6) -> object:
    """`value` (JSON-like) with every float rounded to `digits` significant digits, so that the last bits of a libm
    do not show.

    >>> shortened({"a": [0.1 + 0.2, 1]})
    {'a': [0.3, 1]}
    """
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, dict):
        return {key: shortened(entry, digits) for key, entry in value.items()}
    if isinstance(value, list):
        return [shortened(entry, digits) for entry in value]
    return value
