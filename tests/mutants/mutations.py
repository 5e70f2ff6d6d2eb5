"""Faults to seed: every single change that an AST of one source file allows, each as the text that it replaces."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult}
ONE_WAY = (ast.Sub, ast.Div, ast.Pow)
"""Operators whose operands must not be swapped."""
COMPARISONS = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
EXTREMES = {"Max": "Min", "max": "min", "maximum": "minimum", "argmax": "argmin", "any": "all"}
EXTREMES |= {other: one for one, other in EXTREMES.items()}
FUNCTIONS = ("exp", "expm1", "log", "sqrt", "ceil", "ceiling", "floor", "round", "abs")
"""Functions of one number: a fault leaves them out."""
LABELS = {"yes": "conditional", "conditional": "yes", "no": "conditional"}
_EXPRESSION = re.compile(r"[\s!&|()a-z0-9_]*_[\s!&|()a-z0-9_]*")
_ATOM = re.compile(r"!?[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Mutant:
    """One change in the file `path` (from the root of the checkout): `before` becomes `after` between two byte offsets.

    `source` is the line of the file on which it starts, without its indentation: it names the place where lines move.
    `nth` counts the places of the file at which the same line holds the same change, from 1.
    """

    path: str
    line: int
    column: int
    start: int
    end: int
    before: str
    after: str
    source: str
    nth: int = 1

    @property
    def change(self) -> str:
        """`before -> after` on one line."""
        return " ".join(f"{self.before} -> {self.after}".split())

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What names it where lines move: file, line of source, change, and which of several."""
        return self.path, self.source, self.change, self.nth

    def text(self, original: bytes) -> bytes:
        """The file with the change."""
        return original[: self.start] + self.after.encode() + original[self.end :]


def mutants_of(root: Path, path: str) -> list[Mutant]:
    """All mutants of one file that are other programs than the original, in the order of the file."""
    original = (root / path).read_bytes()
    tree = ast.parse(original)
    lines = original.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    found = {}
    for node, after in _changes(tree, predicates="kvm/rule" in path):
        start, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        source = lines[node.lineno - 1].decode().strip()
        mutant = Mutant(path, node.lineno, node.col_offset + 1, start, end, original[start:end].decode(), after, source)
        if ast.dump(ast.parse(after).body[0]) != ast.dump(ast.parse(ast.unparse(node)).body[0]):
            found.setdefault((start, end, after), mutant)
    seen: Counter[tuple[str, str]] = Counter()
    counted = []
    for mutant in sorted(found.values(), key=lambda mutant: (mutant.start, mutant.end, mutant.after)):
        seen[mutant.source, mutant.change] += 1
        counted.append(replace(mutant, nth=seen[mutant.source, mutant.change]))
    return counted


def _changes(tree: ast.Module, *, predicates: bool) -> Iterator[tuple[ast.AST, str]]:
    """Nodes, and the text that each is replaced by."""
    words = _without_strings(tree)
    for node in _code(tree):
        yield from _operators(node)
        yield from _calls(node)
        yield from _branches(node)
        if isinstance(node, ast.Constant):
            yield from _numbers(node)
            if predicates and isinstance(node.value, str) and id(node) not in words:
                yield from _texts(node)


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but annotations, what is raised, formatted text, what only a type checker reads, and the `strict` of a
    zip(), which only says what is so.
    """
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            checking = (
                isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"
            )
            strict = isinstance(child, ast.keyword) and child.arg == "strict"
            silent = checking or strict or isinstance(child, (ast.Raise, ast.JoinedStr))
            if isinstance(child, ast.AST) and not silent:
                yield from _code(child)


def _without_strings(tree: ast.Module) -> set[int]:
    """Strings that are compared or that name a property: a change of one is a change of the comparison."""
    found = set()
    for node in ast.walk(tree):
        compared = isinstance(node, ast.Compare)
        if compared or (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "has"
        ):
            found |= {id(part) for part in ast.walk(node)}
    return found


def _operators(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        yield node, _bracketed(ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right))
        yield node, _bracketed(node.left)
        yield node, _bracketed(node.right)
        if isinstance(node.op, ONE_WAY):
            yield node, _bracketed(ast.BinOp(node.right, node.op, node.left))
    elif isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
        yield node, ast.unparse(ast.AugAssign(node.target, ARITHMETIC[type(node.op)](), node.value))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not)):
        yield node, _bracketed(node.operand)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in COMPARISONS[type(node.ops[0])]:
            yield node, _bracketed(ast.Compare(node.left, [other()], node.comparators))
    elif isinstance(node, ast.BoolOp):
        yield node, _bracketed(ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values))
        for i in range(len(node.values)):
            rest = [value for j, value in enumerate(node.values) if j != i]
            yield node, _bracketed(rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest))


def _calls(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    if not isinstance(node, ast.Call):
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in EXTREMES:
        other = EXTREMES[name]
        renamed = ast.Attribute(node.func.value, other) if isinstance(node.func, ast.Attribute) else ast.Name(other)
        yield node, ast.unparse(ast.Call(renamed, node.args, node.keywords))
        if len(node.args) > 1:
            for i in range(len(node.args)):
                rest = node.args[:i] + node.args[i + 1 :]
                yield node, _bracketed(rest[0]) if len(rest) == 1 else ast.unparse(ast.Call(node.func, rest, []))
    elif name in FUNCTIONS and node.args:
        yield node, _bracketed(node.args[0])


def _branches(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    if isinstance(node, ast.IfExp):
        yield node, _bracketed(ast.IfExp(node.test, node.orelse, node.body))
    elif isinstance(node, (ast.If, ast.While)):
        yield node.test, f"(not {_bracketed(node.test)})"


def _numbers(node: ast.Constant) -> Iterator[tuple[ast.AST, str]]:
    if isinstance(node.value, bool):
        yield node, str(not node.value)
    elif isinstance(node.value, int):
        yield node, str(node.value + 1)
    elif isinstance(node.value, float):
        yield node, f"{2 * node.value if node.value else 1.0!r}"


def _texts(node: ast.Constant) -> Iterator[tuple[ast.AST, str]]:
    """Labels of admissibility, and expressions of predicates: a name negated or left out, `and` for `or`."""
    text = node.value
    if text in LABELS:
        yield node, repr(LABELS[text])
    elif text in ("true", "false"):
        yield node, repr("false" if text == "true" else "true")
    elif _EXPRESSION.fullmatch(text):
        for match in _ATOM.finditer(text):
            atom = match.group()
            other = atom[1:] if atom.startswith("!") else f"!{atom}"
            yield node, repr(text[: match.start()] + other + text[match.end() :])
        parts = text.split(" && ")
        if len(parts) > 1 and "(" not in text:
            for i in range(len(parts)):
                rest = parts[:i] + parts[i + 1 :]
                yield node, repr(" && ".join(rest) if parts[0] else "".join(f" && {part}" for part in rest if part))
        for one, other in (("&&", "||"), ("||", "&&")):
            if one in text:
                yield node, repr(text.replace(one, other))


def _bracketed(node: ast.expr) -> str:
    return f"({ast.unparse(node)})"
