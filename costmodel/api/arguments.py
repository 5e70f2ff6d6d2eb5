"""Keywords and numbers as a user types them, checked before anything is computed: near matches, sizes as text,
grids."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy

from costmodel.errors import BadInput, UnknownName
from costmodel.numbers import bytes_of

P = ParamSpec("P")
R = TypeVar("R")


class UnknownAttribute(UnknownName, AttributeError):  # type: ignore[misc]  # both have a `name`: what was asked for
    """An attribute that an object lacks; completion and copying rely on its being an AttributeError."""


def named(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, with UnknownName and the near match for a keyword that it does not have."""
    known = [name for name in inspect.signature(function).parameters if name != "self"]

    @functools.wraps(function)
    def checked(*args: P.args, **keywords: P.kwargs) -> R:
        for name in keywords:
            if name not in known:
                raise UnknownName(f"keyword of {function.__name__}()", name, known)
        return function(*args, **keywords)

    return checked


def size_bytes(size: float | str, field: str) -> float:
    """Bytes of a number or of text such as `16 GiB` or `16G`. Raises BadInput."""
    if not isinstance(size, str):
        return finite_number(size, field)
    found = bytes_of(size)
    if found is None:
        raise BadInput(f"cannot read {size[:40]!r}", field=field, remedy="write 4 KiB, 16G or a number of bytes")
    return found


def finite_number(value: object, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | numpy.integer | numpy.floating):
        raise BadInput(f"{value!r} is no number", field=field, remedy="give a number")
    if not math.isfinite(value):
        raise BadInput("must be finite", field=field, remedy="give a number")
    return float(value)


def event_rate(value: object, field: str) -> float | tuple[float, float]:
    """Events per second, or a pair of a count and its seconds. Raises BadInput."""
    if not isinstance(value, tuple | list):
        return finite_number(value, field)
    if len(value) != 2:
        raise BadInput(f"{value!r} is no pair", field=field, remedy="give (events counted, seconds)")
    return finite_number(value[0], field), finite_number(value[1], field)


def whole_number(value: object, field: str) -> int:
    number = finite_number(value, field)
    if number != int(number):
        raise BadInput(f"{value!r} is no whole number", field=field, remedy="give a whole number")
    return int(number)


@named
def logspace(start: float | str, stop: float | str, points: int = 25) -> numpy.ndarray:
    """`points` values from `start` to `stop`, both included, evenly spaced in the logarithm.

    Ends are numbers, or sizes as text (then in bytes). Raises BadInput.

    >>> logspace("4 KiB", "64 KiB", 3).round().tolist()
    [4096.0, 16384.0, 65536.0]
    """
    low, high = size_bytes(start, "start"), size_bytes(stop, "stop")
    if not 0 < low < high or whole_number(points, "points") < 2:
        raise BadInput("needs 0 < start < stop and two points or more", field="logspace", remedy="correct the ends")
    return numpy.geomspace(low, high, int(points))
