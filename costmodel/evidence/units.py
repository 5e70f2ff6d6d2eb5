"""Units that data/ may use, as an exact table: SI unit, factor, and the same unit in words that pint understands."""

from __future__ import annotations

from typing import NamedTuple


class Unit(NamedTuple):
    """`si` is the SI unit (`1` for counts and ratios, `cycle` for clock cycles), `factor` turns a value into it.

    `expression` is the unit in pint's language; the audit compares `factor` with it.
    """

    si: str
    factor: float
    expression: str


UNITS = {
    "s": Unit("s", 1.0, "second"),
    "ms": Unit("s", 1e-3, "millisecond"),
    "us": Unit("s", 1e-6, "microsecond"),
    "ns": Unit("s", 1e-9, "nanosecond"),
    "min": Unit("s", 60.0, "minute"),
    "ns per 100000": Unit("s", 1e-14, "nanosecond / 100000"),
    "us per target core": Unit("s", 1e-6, "microsecond"),
    "B": Unit("B", 1.0, "byte"),
    "KiB": Unit("B", 1024.0, "kibibyte"),
    "MiB": Unit("B", 1024.0**2, "mebibyte"),
    "GiB": Unit("B", 1024.0**3, "gibibyte"),
    "GB": Unit("B", 1e9, "gigabyte"),
    "MB (2^20 B)": Unit("B", 1024.0**2, "mebibyte"),
    "pages of 4 KiB": Unit("B", 4096.0, "4 * kibibyte"),
    "MB/s": Unit("B/s", 1e6, "megabyte / second"),
    "MiB/s": Unit("B/s", 1024.0**2, "mebibyte / second"),
    "GiB/s": Unit("B/s", 1024.0**3, "gibibyte / second"),
    "GB/s": Unit("B/s", 1e9, "gigabyte / second"),
    "MB (2^20 B)/s": Unit("B/s", 1024.0**2, "mebibyte / second"),
    "B/cycle": Unit("B/cycle", 1.0, "byte"),
    "cycles": Unit("cycle", 1.0, "dimensionless"),
    "lines/cycle": Unit("lines/cycle", 1.0, "dimensionless"),
    "1/s": Unit("1/s", 1.0, "1 / second"),
    "k loops/s": Unit("1/s", 1000.0, "1000 / second"),
    "events per 10 s": Unit("1/s", 0.1, "1 / (10 * second)"),
    "%": Unit("1", 0.01, "percent"),
    "1": Unit("1", 1.0, "dimensionless"),
    "x": Unit("1", 1.0, "dimensionless"),
    "pages": Unit("1", 1.0, "dimensionless"),
    "events": Unit("1", 1.0, "dimensionless"),
    "calls": Unit("1", 1.0, "dimensionless"),
    "CPUs": Unit("1", 1.0, "dimensionless"),
}

PINT_SI = {
    "s": "second",
    "B": "byte",
    "B/s": "byte / second",
    "1/s": "1 / second",
    "B/cycle": "byte",
    "cycle": "dimensionless",
    "lines/cycle": "dimensionless",
    "1": "dimensionless",
}


def pint_factor(unit: Unit) -> float:
    """Factor of `unit` to its SI unit as pint computes it. Raises pint's errors where the expression has no meaning."""
    import pint

    return float(pint.Quantity(unit.expression).to(PINT_SI[unit.si]).magnitude)
