"""Formulas and recorded calculations as JavaScript, printed from the same expressions as everything else.

A formula becomes a function of numbers with the formula's arguments. A recorded calculation (`Tape` with whole formulas)
becomes a function of the numbers of the case `x`, of the draws `d` (arrays by name) and of the draw `i`.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from functools import lru_cache

from costmodel import cache
from costmodel.formulas.recorded import Node, Tape

OPERATIONS = {
    **{
        name: f"{{}} {sign} {{}}"
        for name, sign in {
            "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "greater": ">", "greater_equal": ">=",
            "less": "<", "less_equal": "<=", "equal": "===", "not_equal": "!==",
        }.items()
    },
    **{name: f"Math.{name}({{}})" for name in ("ceil", "floor", "sqrt", "exp", "expm1", "log", "log1p")},
    "power": "Math.pow({}, {})",
    "minimum": "Math.min({}, {})",
    "maximum": "Math.max({}, {})",
    "negative": "-{}",
    "square": "{0} * {0}",
    "where": "{} ? {} : {}",
    "as_number": "Number({})",
}  # fmt: skip
"""Every operation that a tape can hold, as JavaScript writes it."""


@lru_cache(maxsize=1)
def functions() -> dict[str, str]:
    """Each formula as a JavaScript function, by its name. They are kept in the user's cache: to print them takes sympy."""
    return dict(json.loads(cache.recall("javascript", cache.key_of([], ["formulas"]), _printed)))


def _printed() -> bytes:
    from costmodel.formulas import catalog

    return json.dumps({name: catalog.javascript(name) for name in catalog.FORMULAS}).encode()


def formulas_of(tape: Tape, ends: Iterable[int]) -> list[str]:
    """Names of the formulas that results of a tape take."""
    nodes = (tape.nodes[place] for place in tape.needed(list(ends)))
    return sorted({str(node.told) for node in nodes if node.operation == "formula"})


def program(tape: Tape, ends: Sequence[int], drawn: Container[str]) -> str:
    """The results `ends` of a tape as a function of one draw that returns them in an array.

    Inputs in `drawn` differ from draw to draw; the others are numbers of the case.
    """
    places = tape.needed(ends)
    uses = Counter([part for place in places for part in tape.nodes[place].parts])
    lines: list[str] = []
    texts: dict[int, str] = {}
    for place in places:
        node = tape.nodes[place]
        text = _text(node, [texts[part] for part in node.parts], drawn)
        if node.operation == "constant" or (uses[place] == 1 and place not in ends):
            texts[place] = f"({text})" if node.operation in OPERATIONS else text
        else:
            texts[place] = f"v{place}"
            lines.append(f"  const v{place} = {text};\n")
    return f"(x, d, i) => {{\n{''.join(lines)}  return [{', '.join(texts[end] for end in ends)}];\n}}"


def _text(node: Node, parts: Sequence[str], drawn: Container[str]) -> str:
    if node.operation == "input":
        return f"d.{node.told}[i]" if node.told in drawn else f"x.{node.told}"
    if node.operation == "draws":
        return f"d.{array_name(int(node.told))}[i]"
    if node.operation == "constant":
        return _number(float(node.told))
    if node.operation == "formula":
        return f"{node.told}({', '.join(parts)})"
    return OPERATIONS[node.operation].format(*parts)


def array_name(place: int) -> str:
    """The name among the draws of an array that a tape holds itself."""
    return f"array_{place}"


def _number(value: float) -> str:
    if math.isfinite(value):
        return f"({value!r})" if value < 0 else repr(value).removesuffix(".0")
    return "NaN" if math.isnan(value) else f"({'-' * (value < 0)}Infinity)"
