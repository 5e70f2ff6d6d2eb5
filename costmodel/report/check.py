"""How committed files differ from what the inputs give: numbers to TOLERANCE, everything else to the letter."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

TOLERANCE = 1e-7
"""Relative. Two CPUs differ by 1e-12 at most, and whoever reads a report needs two digits."""
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w])")
"""A number that stands alone; digits in a name or a hash are text."""
SHOWN = 60


def differences(files: dict[str, str], out: Path, suffixes: tuple[str, ...]) -> list[str]:
    """One line for each of `files` that is missing under `out` or differs: where first, and by how much.

    With the index among `files` (the whole matrix) also a line for each file with one of `suffixes` that nothing
    builds any more.
    """
    found = []
    for name, wanted in sorted(files.items()):
        path = out / name
        if not path.is_file():
            found.append(f"{name}: missing")
            continue
        present = path.read_bytes().decode(errors="replace")
        compare = _in_json if path.suffix == ".json" else _in_text
        if present != wanted and (first := next(compare(present, wanted), None)) is not None:
            found.append(f"{name}: {first}")
    if "index.json" in files:
        kept = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.suffix in suffixes}
        found += [f"{name}: is built from no input" for name in sorted(kept - files.keys())]
    return found


def _in_json(present: str, wanted: str) -> Iterator[str]:
    try:
        here = json.loads(present)
    except ValueError as error:
        yield f"is no JSON: {error}"
        return
    yield from _in_values(here, json.loads(wanted), "")


def _in_values(here: object, there: object, place: str) -> Iterator[str]:
    """Differences of two JSON values, each with its path."""
    if isinstance(here, dict) and isinstance(there, dict):
        for name in sorted(here.keys() | there.keys()):
            inside = f"{place}.{name}" if place else name
            if name not in there:
                yield f"{inside} is there, the inputs give none"
            elif name not in here:
                yield f"{inside} is missing, the inputs give {_shown(there[name])}"
            else:
                yield from _in_values(here[name], there[name], inside)
    elif isinstance(here, list) and isinstance(there, list):
        if len(here) != len(there):
            yield f"{place} has {len(here)} entries, the inputs give {len(there)}"
            return
        for number, (one, other) in enumerate(zip(here, there, strict=True)):
            yield from _in_values(one, other, f"{place}[{number}]")
    elif _is_number(here) and _is_number(there):
        if not same(here, there):
            yield f"{place} is {here!r}, the inputs give {there!r} ({_by(here, there)})"
    elif here != there or type(here) is not type(there):
        yield f"{place} is {_shown(here)}, the inputs give {_shown(there)}"


def _in_text(present: str, wanted: str) -> Iterator[str]:
    """Differences of two texts, line by line."""
    here, there = present.split("\n"), wanted.split("\n")
    for number, (one, other) in enumerate(zip(here, there, strict=False), start=1):
        if one == other:
            continue
        numbers, others = NUMBER.findall(one), NUMBER.findall(other)
        if NUMBER.sub("", one) == NUMBER.sub("", other) and len(numbers) == len(others):
            apart = [(a, b) for a, b in zip(map(float, numbers), map(float, others), strict=True) if not same(a, b)]
            if not apart:
                continue
            yield f"line {number} has {apart[0][0]:g}, the inputs give {apart[0][1]:g} ({_by(*apart[0])})"
        else:
            yield f"line {number} is {_shown(one.strip())}, the inputs give {_shown(other.strip())}"
    if len(here) != len(there):
        yield f"ends at line {len(here)}, the inputs give {len(there)} lines"


def same(one: float, other: float) -> bool:
    """Whether two numbers agree to TOLERANCE."""
    return math.isclose(one, other, rel_tol=TOLERANCE)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _by(here: float, there: float) -> str:
    """How far apart two numbers are."""
    return f"{(here / there - 1) * 100:+.2g} %" if there else "the inputs give zero"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 4] + " ..."
