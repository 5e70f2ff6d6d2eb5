"""A calculation written down instead of carried out: which operations turn inputs into a result.

A `Recorded` stands for a number that is not known yet. Code that calculates with numpy takes it for an array, so the
cost model itself, with its formulas, tells what it does; nothing is written a second time. What does not hang on a
recorded number is calculated at once: of the joint draws only what meets one is kept, as an array of its own.

`javascript` prints what was recorded for a page that calculates in the browser.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import lru_cache
from inspect import signature
from typing import Any, NamedTuple

import numpy
from numpy.lib.mixins import NDArrayOperatorsMixin

from costmodel import cache


class Node(NamedTuple):
    """One operation on earlier nodes, or a `formula` (its name) of them; `input` (a name), `draws` (the number of an array)
    and `constant` (a number) have none.
    """

    operation: str
    parts: tuple[int, ...] = ()
    told: str | int | float = ""


LEAVES = ("input", "draws", "constant")


class Tape:
    """The nodes of a calculation, each once and after its parts, and the arrays of `n` draws that it takes.

    `whole`: a formula is one node, as whoever prints formulas wants it, and not the operations that it is made of.
    """

    def __init__(self, n: int, *, whole: bool = False) -> None:
        self.n, self.whole = n, whole
        self.nodes: list[Node] = []
        self.formulas: dict[str, Callable[..., Any]] = {}
        self.arrays: list[numpy.ndarray] = []
        self._places: dict[Node, int] = {}
        self._known: dict[bytes, int] = {}
        self._seen: dict[int, tuple[numpy.ndarray, int]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_seen": {}}  # addresses are those of this process

    def input(self, name: str) -> Recorded:
        """The number called `name`, to be told later."""
        return Recorded(self, self._place(Node("input", told=name)))

    def place_of(self, value: Any) -> int:
        """The node of a recorded number, a number or an array of `n` draws."""
        if isinstance(value, Recorded):
            return value.place
        seen = self._seen.get(id(value))
        if seen is not None:
            return seen[1]
        array = numpy.asarray(value, dtype=float)
        if array.shape not in ((), (1,), (self.n,)):
            raise ValueError(f"an array of shape {array.shape} has no place among {self.n} draws")
        if array.size and (array == array.flat[0]).all():
            place = self._place(Node("constant", told=float(array.flat[0])))
        else:
            number = self._known.setdefault(array.tobytes(), len(self.arrays))
            if number == len(self.arrays):
                self.arrays.append(array)
            place = self._place(Node("draws", told=number))
        if array is value:  # the same draws come again and again
            self._seen[id(value)] = array, place
        return place

    def call(self, name: str, formula: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        """The result of a formula of which some arguments are recorded."""
        if not self.whole:
            return formula(**arguments)
        self.formulas[name] = formula
        return self.add("formula", _bound(formula, arguments), name)

    def add(self, operation: str, values: Sequence[Any], told: str = "") -> Recorded:
        """The result of `operation`, without what changes nothing: times one, plus zero, to the power of one."""
        parts = [self.place_of(value) for value in values]
        nodes = [self.nodes[part] for part in parts]
        numbers = [node.told if node.operation == "constant" else None for node in nodes]
        if operation in ("add", "multiply") and numbers[0] is not None:
            parts, nodes, numbers = parts[::-1], nodes[::-1], numbers[::-1]
        if (operation, numbers[-1]) in NEUTRAL and len(parts) == 2:
            return Recorded(self, parts[0])
        if operation == "multiply" and numbers[-1] == 0:
            return Recorded(self, parts[-1])
        if operation == "power" and nodes[1].operation == "as_number":  # to the power of a condition, 1 or 0
            return self.add("where", [Recorded(self, nodes[1].parts[0]), Recorded(self, parts[0]), 1.0])
        if all(node.operation in ("draws", "constant") for node in nodes):
            found = self._carry_out(Node(operation, told=told), [self.value_of(part) for part in parts])
            return Recorded(self, self.place_of(found))
        return Recorded(self, self._place(Node(operation, tuple(parts), told)))

    def needed(self, ends: Sequence[int], known: Container[int] = ()) -> list[int]:
        """The places that `ends` hang on where some are `known`, themselves included, each after its parts."""
        found: set[int] = set()
        waiting = list(ends)
        while waiting:
            if (place := waiting.pop()) not in found and place not in known:
                found.add(place)
                waiting += self.nodes[place].parts
        return sorted(found)

    def carried_out(self, ends: Sequence[int], known: Mapping[int, Any]) -> list[Any]:
        """What `ends` are, with the values of some places `known`: one operation after the other, each result kept for
        as long as it is needed.
        """
        order, values = self.needed(ends, known), dict(known)
        last = {part: place for place in order for part in self.nodes[place].parts}
        kept = set(ends)
        for place in order:
            node = self.nodes[place]
            if node.operation in ("draws", "constant"):
                values[place] = self.value_of(place)
                continue
            values[place] = self._carry_out(node, [values[part] for part in node.parts])
            for part in node.parts:
                if last[part] == place and part not in kept:
                    values.pop(part, None)
        return [values[end] for end in ends]

    def value_of(self, place: int) -> Any:
        """The number or the array of a leaf."""
        node = self.nodes[place]
        return self.arrays[int(node.told)] if node.operation == "draws" else node.told

    def _carry_out(self, node: Node, values: Sequence[Any]) -> Any:
        how = self.formulas[str(node.told)] if node.operation == "formula" else OPERATIONS[node.operation]
        return how(*values)

    def _place(self, node: Node) -> int:
        if node not in self._places:
            self._places[node] = len(self.nodes)
            self.nodes.append(node)
        return self._places[node]


@lru_cache(maxsize=256)
def _names(formula: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(signature(formula).parameters)


def _bound(formula: Callable[..., Any], arguments: Mapping[str, Any]) -> list[Any]:
    """The arguments in the order of the formula's own. Raises TypeError as a call would."""
    if set(arguments) != set(_names(formula)):
        raise TypeError(f"needs {', '.join(_names(formula))}; got {', '.join(arguments)}")
    return [arguments[name] for name in _names(formula)]


NEUTRAL = {("add", 0.0), ("subtract", 0.0), ("multiply", 1.0), ("divide", 1.0), ("power", 1.0)}


class Recorded(NDArrayOperatorsMixin):
    """A number that a `Tape` writes down; every ufunc of numpy and the functions of ARRAY_FUNCTIONS take it."""

    __slots__ = ("place", "tape")
    __hash__ = object.__hash__

    def __init__(self, tape: Tape, place: int) -> None:
        self.tape, self.place = tape, place

    def __array_ufunc__(self, ufunc: numpy.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if method != "__call__" or keywords or ufunc.__name__ not in OPERATIONS:
            raise TypeError(f"{ufunc.__name__} of a recorded number is not known")
        return self.tape.add(ufunc.__name__, inputs)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, keywords: Any) -> Any:
        if function.__name__ not in ARRAY_FUNCTIONS:
            raise TypeError(f"{function.__name__} of a recorded number is not known")
        return ARRAY_FUNCTIONS[function.__name__](self, *args)

    def __array__(self, *_: Any, **__: Any) -> numpy.ndarray:
        raise TypeError("a recorded number has no value yet")

    def __bool__(self) -> bool:
        raise TypeError("a recorded number is neither true nor false yet")

    def astype(self, _: type) -> Recorded:
        """A condition as 1 or 0."""
        return self.tape.add("as_number", [self])


ARRAY_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "all": lambda own, *_: False,
    "any": lambda own, *_: True,
    "shape": lambda own, *_: (),
    "broadcast_to": lambda own, value, *_: value,
    "zeros_like": lambda own, *_: 0.0,
    "where": lambda own, *parts: own.tape.add("where", parts),
}
"""What is asked of a whole array. The model asks `all` and `any` for a short cut only, so the long way is recorded."""
OPERATIONS: dict[str, Callable[..., Any]] = {
    **{
        name: getattr(numpy, name)
        for name in (
            "add", "subtract", "multiply", "divide", "power", "negative", "minimum", "maximum", "ceil", "floor",
            "sqrt", "square", "exp", "expm1", "log", "log1p",
            "greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "where",
        )
    },
    "as_number": lambda condition: numpy.asarray(condition, dtype=float),
}  # fmt: skip
"""Operations that can be written down, as numpy carries them out."""


# Recorded calculations and formulas as JavaScript, printed from the same expressions as everything else. A formula is a
# function of numbers with the formula's arguments; a calculation (of a `Tape` with whole formulas) one of the numbers of
# the case `x`, of the draws `d` (arrays by name) and of the draw `i`.

JAVASCRIPT = {
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
def javascript_functions() -> dict[str, str]:
    """Each formula as a JavaScript function, by its name. They are kept in the user's cache: to print them takes sympy."""
    return dict(json.loads(cache.recall("javascript", cache.key_of([], ["formulas"]), _printed_functions)))


def _printed_functions() -> bytes:
    from costmodel.formulas import catalog

    return json.dumps({name: catalog.javascript(name) for name in catalog.FORMULAS}).encode()


def formulas_of(tape: Tape, ends: Iterable[int]) -> list[str]:
    """Names of the formulas that results of a tape take."""
    nodes = (tape.nodes[place] for place in tape.needed(list(ends)))
    return sorted({str(node.told) for node in nodes if node.operation == "formula"})


def javascript(tape: Tape, ends: Sequence[int], drawn: Container[str]) -> str:
    """The results `ends` of a tape as a function of one draw that returns them in an array.

    Inputs in `drawn` differ from draw to draw; the others are numbers of the case.
    """
    places = tape.needed(ends)
    uses = Counter([part for place in places for part in tape.nodes[place].parts])
    lines: list[str] = []
    texts: dict[int, str] = {}
    for place in places:
        node = tape.nodes[place]
        text = _term(node, [texts[part] for part in node.parts], drawn)
        if node.operation == "constant" or (uses[place] == 1 and place not in ends):
            texts[place] = f"({text})" if node.operation in JAVASCRIPT else text
        else:
            texts[place] = f"v{place}"
            lines.append(f"  const v{place} = {text};\n")
    return f"(x, d, i) => {{\n{''.join(lines)}  return [{', '.join(texts[end] for end in ends)}];\n}}"


def _term(node: Node, parts: Sequence[str], drawn: Container[str]) -> str:
    if node.operation == "input":
        return f"d.{node.told}[i]" if node.told in drawn else f"x.{node.told}"
    if node.operation == "draws":
        return f"d.{array_name(int(node.told))}[i]"
    if node.operation == "constant":
        return _number(float(node.told))
    if node.operation == "formula":
        return f"{node.told}({', '.join(parts)})"
    return JAVASCRIPT[node.operation].format(*parts)


def array_name(place: int) -> str:
    """The name among the draws of an array that a tape holds itself."""
    return f"array_{place}"


def _number(value: float) -> str:
    if math.isfinite(value):
        return f"({value!r})" if value < 0 else repr(value).removesuffix(".0")
    return "NaN" if math.isnan(value) else f"({'-' * (value < 0)}Infinity)"
