"""Changes to a file that once was good: bytes, lines, cells, numbers, words, and values of JSON and TOML."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

NUMBERS = [
    b"0", b"-1", b"1e400", b"-1e400", b"1e308", b"1e-320", b"nan", b"inf", b"-inf", b"1.5", b"0x10", b"1_0", b"",
    b"9" * 25, b"9" * 400, b"9" * 5000, b"-" + b"9" * 5000, b"1000000000000000000", b"9223372036854775807",
    b"9223372036854775808", b"-9223372036854775808", b"18446744073709551616", b"4611686018427387905", b"4194304",
    "\u0663".encode(), b"true", b"1979-05-27", b"99:99:99", b"0x" + b"f" * 6000,
]  # fmt: skip
WORDS = [
    b"=cmd|' /C calc'!A0", b"@SUM(1)", b"+1", b"-", b"<script>alert(1)</script>", "\u202e".encode(), "\u2028".encode(),
    b"\x00", b"\xff\xfe", b"\x1b[31m", b"\r", b"\n", b"\r\n", b'"', b"'", b",", b"|", b" ", b"\t", b"[", b"[[", b"{", b"}",
    b"=", b"any", b"hva", b"=?utf-8?b?PT91dGYtOD9xPz0wQUJjYzpfYT89?=", b"=?utf-8?q?=0ABcc:_a=40b?=", b"=?", b"?=",
    b"=?iso\xe2\x80\xae-1?q?a?=", b"From a@", b"\nFrom x\n\n", b"\n\n", b"<a@b>", b"boundary=b", b"charset=punycode",
    b"multipart/mixed", b"base64", b"(" * 50, b">" * 200, b"CPU:3 [LOST 12 EVENTS]", b"[LOST EVENTS]", b"@n[a]: 5",
    b'{"type": "hist", "data": {"@a": {"b": [{"min": "x"}]}}}', b"x" * 300, b"x" * 12_000, "\ud800".encode("utf-8", "surrogatepass"),
    "\u00e9".encode(), b"null", b"../flush.csv", b"$(touch x)", b"\x1f\x8b", b"PAR1", b"a.b.c",
]  # fmt: skip
NUMBER = re.compile(rb"\d+(?:\.\d+)?")
WORD = re.compile(rb"[A-Za-z_][A-Za-z_.-]+")

Mutation = Callable[[random.Random, bytes], bytes]


def _splice(content: bytes, first: int, last: int, new: bytes) -> bytes:
    return content[:first] + new + content[last:]


def _at(rng: random.Random, content: bytes) -> int:
    return rng.randrange(len(content) + 1)


def byte(rng: random.Random, content: bytes) -> bytes:
    at = _at(rng, content)
    return _splice(content, at, at + rng.randrange(2), bytes([rng.randrange(256)]) * rng.choice((0, 1, 1, 1, 40)))


def bit(rng: random.Random, content: bytes) -> bytes:
    if not content:
        return content
    at = rng.randrange(len(content))
    return _splice(content, at, at + 1, bytes([content[at] ^ 1 << rng.randrange(8)]))


def cut(rng: random.Random, content: bytes) -> bytes:
    first, last = sorted((_at(rng, content), _at(rng, content)))
    return content[:first] if rng.random() < 0.5 else _splice(content, first, min(last, first + 200), b"")


def repeat(rng: random.Random, content: bytes) -> bytes:
    first = _at(rng, content)
    piece = content[first : first + rng.randrange(1, 200)]
    return _splice(content, first, first, piece * rng.choice((1, 1, 2, 30)))


def line(rng: random.Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(4)
    if kind == 0:
        lines[one], lines[other] = lines[other], lines[one]
    elif kind == 1:
        lines.insert(one, lines[other])
    elif kind == 2:
        del lines[one]
    else:
        cells = lines[one].split(b",")
        at = rng.randrange(len(cells))
        cells[at : at + 1] = rng.choice(([], [b""], [rng.choice(WORDS)], [rng.choice(NUMBERS)], [cells[at]] * 2))
        lines[one] = b",".join(cells)
    return b"\n".join(lines)


def number(rng: random.Random, content: bytes) -> bytes:
    found = list(NUMBER.finditer(content))
    if not found:
        return content
    one = rng.choice(found)
    return _splice(content, one.start(), one.end(), rng.choice(NUMBERS))


def word(rng: random.Random, content: bytes) -> bytes:
    found = list(WORD.finditer(content))
    if not found or rng.random() < 0.4:
        at = _at(rng, content)
        return _splice(content, at, at, rng.choice(WORDS))
    one = rng.choice(found)
    return _splice(content, one.start(), one.end(), rng.choice((rng.choice(WORDS), rng.choice(found).group())))


def value(rng: random.Random, content: bytes) -> bytes:
    """What stands behind = or : becomes a value of another kind."""
    found = list(re.finditer(rb"(?:=|:) *([^,\n}\]]+)", content))
    if not found:
        return content
    one = rng.choice(found)
    kinds = (
        b"1",
        b"-1",
        b"0",
        b'"x"',
        b"[]",
        b"[1]",
        b"{}",
        b'{"a": 1}',
        b"{ a = 1 }",
        b"true",
        b"null",
        b"1e400",
        b'""',
        b"[[]]",
    )
    return _splice(content, one.start(1), one.end(1), rng.choice((*kinds, *NUMBERS)))


def ends(rng: random.Random, content: bytes) -> bytes:
    return content.replace(b"\n", rng.choice((b"\r", b"\r\n", b"\n\n", b"\x85", b"\v")))


ALL: tuple[Mutation, ...] = (byte, bit, cut, repeat, line, line, number, number, word, word, value, value, ends)


def mutated(rng: random.Random, content: bytes) -> bytes:
    """`content` after one to four changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        content = rng.choice(ALL)(rng, content)
    return content
