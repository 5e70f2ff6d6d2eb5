"""`python -m tests.mutants.terms [FORMULA ...]`: every term of every formula is changed; which changes do the tests
notice?

The terms of each registered expression are listed one after the other, at every depth: a term is dropped, changes its
sign or counts twice, a factor or an exponent is squared, an argument of a maximum goes. No source is edited: each
mutant is put into a process of its own, into the catalog and into the compiled forms alike, so that a test which
compares the two notices nothing. The tests of a formula are those that were seen to use it on the unchanged one.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import sympy

from costmodel.formulas import catalog, compiled
from costmodel.formulas.formula import Formula
from tests.formulas.domain import SWITCHES

ROOT = Path(__file__).resolve().parents[2]
EQUIVALENTS = Path(__file__).with_name("equivalent_terms.toml")
JUDGES = (
    "tests/formulas",
    "tests/calibration/test_anchors.py",
    "tests/cost/test_waits.py",
    "tests/cost/test_event.py",
    "tests/cost/test_tenants.py",
    "tests/validation/test_independent.py",
    "tests/validation/test_simulated.py",
)
SAME_FORM = ("test_compiled.py", "test_catalog.py")
"""Tests that compare two forms of one expression: a fault in the source is in both, so they are no judge of it."""
GUARD = 1e-6
"""A bound as small as that keeps a quotient defined and changes no value that is printed: it is no term."""
SLOWEST_S = 3.0
"""A test that takes longer on the unchanged formulas is no judge: a run has to stay cheap."""


@dataclass(frozen=True)
class TermMutant:
    """`formula` with `expression` in place of its own; `change` names the term and what became of it."""

    formula: str
    change: str
    expression: sympy.Expr


def mutants_of(item: Formula) -> list[TermMutant]:
    """Every change of a term of the formula that gives another expression, each once."""
    own, found = item.expression, {}
    whole = [] if own.is_Add else [("-", -own), ("x2", 2 * own)]
    for change, expression in [*((f"{own}: {what}", new) for what, new in whole), *_inside(own)]:
        if expression != own and not expression.has(sympy.nan, sympy.zoo):
            found.setdefault(expression, change)
    return [TermMutant(item.id, change, expression) for expression, change in found.items()]


def _inside(node: sympy.Expr) -> Iterator[tuple[str, sympy.Expr]]:
    """Changes of the node's arguments, and of what lies in these, as the whole node then reads."""
    for i, part in enumerate(node.args):
        for change, new in [*_of_part(node, part), *_inside(part)]:
            parts = [*node.args[:i], *([] if new is None else [new]), *node.args[i + 1 :]]
            yield change, node.func(*parts)


def _of_part(node: sympy.Expr, part: sympy.Expr) -> Iterator[tuple[str, sympy.Expr | None]]:
    """What can become of one argument: of a sum or a maximum a term, of a product a factor, of a power the exponent."""
    if not isinstance(part, sympy.Expr) or (part.is_Float and abs(part) <= GUARD):
        return
    if node.is_Add or isinstance(node, sympy.Max | sympy.Min):
        yield f"{part}: dropped", None
    if node.is_Add or isinstance(node, sympy.Max | sympy.Min | sympy.Function):
        yield f"{part}: -", -part
        yield f"{part}: x2", 2 * part
    atom = not (part.is_number or part.is_Mul or part.is_Pow or part.is_Add or str(part) in SWITCHES)
    if (node.is_Add or node.is_Mul) and atom:  # a switch that is 0 or 1 is its own square
        yield f"{part}: **2", part**2
    if node.is_Pow and part is node.args[1]:
        yield f"{node}: exponent x2", 2 * part
        yield f"{node}: exponent -", -part


class Judge:
    """A pytest plugin that notes which formulas each test uses, and then lets them judge mutants instead of ending."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self.wanted, self.users, self.took_s = wanted, {}, {}
        self.now, self.failed, self.survivors, self.total = "", False, [], 0

    def uses(self, name: str) -> None:
        self.users.setdefault(name.split("__by__")[0], set()).add(self.now)

    def pytest_collection_modifyitems(self, items: list) -> None:
        items[:] = [item for item in items if item.path.name not in SAME_FORM]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed |= report.failed

    def _passes(self, item: pytest.Item) -> bool:
        from _pytest.runner import runtestprotocol

        self.now = item.nodeid
        return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        for item in session.items:
            begun = time.monotonic()
            if not self._passes(item):
                raise pytest.UsageError(f"{item.nodeid} fails on the unchanged formulas")
            self.took_s[item.nodeid] = time.monotonic() - begun
        self.now = ""
        listed = equivalents()
        for name in self.wanted:
            users = self.users.get(name, set())
            judges = [i for i in session.items if i.nodeid in users and self.took_s[i.nodeid] <= SLOWEST_S]
            judges.sort(key=lambda item: ("tests/formulas" not in item.nodeid, self.took_s[item.nodeid]))
            mutants = [m for m in mutants_of(catalog.FORMULAS[name]) if (name, str(m.expression)) not in listed]
            alive = [mutant for mutant in mutants if not self._killed(mutant, judges)]
            self.total += len(mutants)
            self.survivors += alive
            print(f"{name}: {len(mutants) - len(alive)} of {len(mutants)} noticed by {len(judges)} tests", flush=True)
            for mutant in alive:
                print(f"  survived: {mutant.change}: {mutant.expression}", flush=True)
        return True

    def _killed(self, mutant: TermMutant, judges: Sequence[pytest.Item]) -> bool:
        """Whether a test notices, tried in a process of its own, so that nothing that was kept outlives the mutant."""
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with open(os.devnull, "w") as nowhere:  # noqa: PTH123
                    os.dup2(nowhere.fileno(), 1)
                    os.dup2(nowhere.fileno(), 2)
                    os.environ["XDG_CACHE_HOME"] = os.devnull
                    put(mutant)
                    code = 0 if all(self._passes(item) for item in judges) else 1
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def put(mutant: TermMutant) -> None:
    """The mutant in place of the formula, in the catalog and compiled with its slopes, for the rest of the process."""
    item = catalog.FORMULAS[mutant.formula]
    slopes = () if item.expression.has(sympy.ceiling) else sorted(item.symbols)
    forms = {mutant.formula: mutant.expression}
    forms |= {f"{mutant.formula}__by__{name}": _slope(mutant.expression, item, name) for name in slopes}
    for name, expression in forms.items():
        printed = compiled._module() if name == mutant.formula else compiled._slopes()
        exec(catalog.numpy_function(name, item, expression), printed.__dict__)
    object.__setattr__(item, "expression", mutant.expression)


def _slope(expression: sympy.Expr, item: Formula, name: str) -> sympy.Expr:
    return sympy.diff(expression, next(s for s in item.expression.free_symbols if str(s) == name))


def equivalents() -> dict[tuple[str, str], str]:
    """Changes that no test can notice, by formula and the expression that they make, each with its reason."""
    entries = tomllib.loads(EQUIVALENTS.read_text(encoding="utf-8")).get("equivalent", [])
    return {(entry["formula"], entry["expression"]): entry["why"] for entry in entries}


def watch(judge: Judge) -> None:
    """From now on each use of a formula is told to the judge: of a compiled form, and of an entry of the catalog."""
    call, formulas = compiled._call, catalog.FORMULAS

    def noted(function: str, arguments: dict[str, object]) -> object:
        judge.uses(function)
        return call(function, arguments)

    class Noted(dict):
        def __getitem__(self, name: str) -> Formula:
            judge.uses(name)
            return super().__getitem__(name)

    compiled._call = noted
    catalog.FORMULAS = Noted(formulas)


def main(words: Sequence[str] | None = None) -> int:
    """Exit code 0 where every mutant was noticed, 1 where one was not, 2 where the tests fail without a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.terms", description=__doc__)
    parser.add_argument("formula", nargs="*", help="ids of formulas [default: all]")
    wanted = parser.parse_args(words).formula or list(catalog.FORMULAS)
    for name in wanted:
        catalog.formula(name)
    judge = Judge(wanted)
    watch(judge)
    with tempfile.TemporaryDirectory() as cache:
        os.environ.setdefault("XDG_CACHE_HOME", cache)
        code = pytest.main(["-p", "no:cacheprovider", "-p", "no:xdist", "-s", *JUDGES], plugins=[judge])
    if not judge.total:
        return 2 if code else 0
    print(f"noticed {judge.total - len(judge.survivors)} of {judge.total}")
    return 1 if judge.survivors else 0


if __name__ == "__main__":
    sys.exit(main())
