"""Numbers carry no more digits than their uncertainty, and never an exponent where a unit serves."""

import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel import numbers


def test_doctests():
    assert doctest.testmod(numbers).failed == 0


@given(st.floats(1e-9, 1e9), st.integers(1, 4))
def test_significant_is_close_and_short(value, digits):
    text = numbers.significant(value, digits)
    assert math.isclose(float(text), value, rel_tol=0.51 * 10 ** (1 - digits))
    assert text.isascii()


@given(st.floats(1e-9, 1e3))
def test_quantity_keeps_the_value(seconds):
    number, unit = numbers.quantity(seconds, "s").split()
    factor = {"s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}[unit]
    assert math.isclose(float(number) * factor, seconds, rel_tol=0.06)


@pytest.mark.parametrize(
    ("low", "median", "high", "text"),
    [
        (0.001, 0.01, 0.1, "10 [1, 100] ms"),
        (0.0098, 0.01, 0.0102, "10 [9.8, 10] ms"),
        (0.0, 0.0, 0.0, "0"),
    ],
)
def test_interval_digits_follow_the_width(low, median, high, text):
    assert numbers.interval(low, median, high, "s") == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("17179869184", 2.0**34),
        ("16G", 2.0**34),
        ("16g", 2.0**34),
        ("16GiB", 2.0**34),
        ("16 GiB", 2.0**34),
        ("16GB", 16e9),
        ("512M", 2.0**29),
        ("1.5TiB", 1.5 * 2.0**40),
        ("4k", 4096.0),
        ("4kB", 4000.0),
        ("1e9", 1e9),
        *((text, None) for text in ("", "G", "16 cows", "-1", "nan", "inf", "16GG", "1,5G", "٤G", "0x10")),
    ],
)
def test_a_size_is_read_as_qemu_and_libvirt_read_it(text, expected):
    assert numbers.bytes_of(text) == expected
