"""Which sources are mutated, and which tests must notice: those of the same package, the module's own file first."""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutations import Mutant, mutants_of

ROOT = Path(__file__).resolve().parents[2]
EQUIVALENTS = Path(__file__).with_name("equivalents.toml")


@dataclass(frozen=True)
class Group:
    """`sources` of one package under costmodel/ (names of modules), or all of them, without those `left_out`.

    Their tests lie in the folder of the same name under tests/. A test file that mirrors a module outside the group is
    no judge of it: it is about something else, or compares two forms of one expression, and a fault in it is in both.
    """

    package: str
    sources: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ("__init__",)


PLUMBING = ("__init__", "catalog", "compiled", "formula", "generated", "generated_slopes")
"""What holds no formula that somebody wrote: printed modules are compared with their sources byte by byte."""
GROUPS = {
    "formulas": Group("formulas", left_out=PLUMBING),
    "rules": Group("kvm", ("admissibility", "predicates", "rules")),
    "choice": Group("decision", ("choice", "estimates", "sensitivity", "tables")),
    "cost": Group("cost"),
    "fit": Group("calibration", ("anchors", "fit", "holdout", "parameters", "solver")),
}


def sources(group: Group, root: Path = ROOT) -> list[str]:
    """Files of the group, from the root of the checkout."""
    folder = root / "costmodel" / group.package
    return [
        path.relative_to(root).as_posix()
        for path in sorted(folder.glob("*.py"))
        if path.stem not in group.left_out and (not group.sources or path.stem in group.sources)
    ]


def group_of(path: str) -> str:
    """Name of the group that the source `path` belongs to."""
    return next(name for name, group in GROUPS.items() if path in sources(group))


def judges_of(group: Group, root: Path = ROOT) -> list[str]:
    """Test files of the group, from the root of the checkout."""
    modules = {path.stem for path in (root / "costmodel" / group.package).glob("*.py")}
    others = modules - {Path(path).stem for path in sources(group, root)}
    return [
        path.relative_to(root).as_posix()
        for path in sorted((root / "tests" / group.package).glob("test_*.py"))
        if path.stem.removeprefix("test_") not in others
    ]


def own_test(path: str) -> str:
    """The test file that mirrors the source `path`; it need not exist."""
    _, package, name = Path(path).parts
    return f"tests/{package}/test_{name}"


@dataclass(frozen=True)
class Equivalent:
    """A change that no test can notice, and why. `line` is the line of source on which it starts, `nth` tells several
    of them apart that look the same.
    """

    file: str
    line: str
    change: str
    why: str
    nth: int = 1

    @property
    def key(self) -> tuple[str, str, str, int]:
        """As that of the mutant."""
        return self.file, self.line, self.change, self.nth


def equivalents() -> list[Equivalent]:
    """The entries of equivalents.toml."""
    return [
        Equivalent(**entry) for entry in tomllib.loads(EQUIVALENTS.read_text(encoding="utf-8")).get("equivalent", [])
    ]


def all_mutants(pattern: str = "*", root: Path = ROOT) -> list[Mutant]:
    """Every mutant of the sources whose path matches the shell pattern, file by file."""
    files = [path for group in GROUPS.values() for path in sources(group, root)]
    return [mutant for path in files if fnmatch.fnmatch(path, pattern) for mutant in mutants_of(root, path)]


def told_apart(mutants: Sequence[Mutant]) -> tuple[list[Mutant], list[Mutant]]:
    """Mutants that count, and those that are listed as equivalent."""
    listed = {entry.key for entry in equivalents()}
    return [m for m in mutants if m.key not in listed], [m for m in mutants if m.key in listed]
