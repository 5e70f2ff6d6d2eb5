"""Arithmetic on quoted numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.errors import BadInput
from costmodel.evidence.arithmetic import evaluate, literals, numbers_in, same

SMALL = st.integers(min_value=1, max_value=10**6)


@given(SMALL, SMALL, SMALL)
def test_evaluates_like_python(a, b, c):
    assert evaluate(f"({a}+{b})*{c}-{b}/{a}") == (a + b) * c - b / a


@given(SMALL, st.integers(min_value=0, max_value=20), SMALL)
def test_evaluates_bits_like_python(a, shift, mask):
    assert evaluate(f"(({a}<<{shift})>>2&{mask})|1") == ((a << shift) >> 2 & mask) | 1


@given(st.text(max_size=40))
def test_anything_else_is_refused_or_a_number(text):
    try:
        value = evaluate(text)
    except BadInput:
        return
    assert isinstance(value, float)
    assert "__" not in text and "import" not in text


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "a+1",
        "1 if 1 else 2",
        "[1]",
        "'1'",
        "2**9999",
        "1<<9999",
        "1/0",
        "1//0",
        "(1).real",
        "",
        "1e308*10",
        "True",
        "1.5>>1",
        "((" * 300,
        "1+" * 500 + "1",
        "9**64**2",
        "-1<<-1",
    ],
)
def test_hostile_expressions_are_refused(text):
    with pytest.raises(BadInput):
        evaluate(text)


def test_cache_size_from_cpuid_registers():
    expression = "((0x03C0003F>>22)+1)*(((0x03C0003F>>12)&0x3FF)+1)*((0x03C0003F&0xFFF)+1)*(0x00007FFF+1)/1024"
    assert evaluate(expression) == 32768
    assert literals("0x10+2") == {16.0, 2.0}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1437ms      28ms", 28),
        ("357,635 events", 357635),
        ("1024,.00158601000000000000", 0.00158601),
        ("T: 72.00ns=244.33c", 72),
        ("~1–3 microseconds", 3),
        ("It requires four SEAMCALLs", 4),
        ("315k", 315),
        ("0001C163-03C0003F-00007FFF-00000001", 0x7FFF),
        (">=10GB", 10),
        ("614,400 MB/s", 614400),
    ],
)
def test_numbers_in_a_quote(text, number):
    assert number in numbers_in(text)


@given(st.floats(min_value=1e-12, max_value=1e12))
def test_same_tolerates_rounding_to_six_digits_only(value):
    assert same(value, float(f"{value:.6g}"))
    assert not same(value, value * 1.001)
