"""Data flows one way: evidence -> calibration -> cost -> decision -> traces, validation -> report -> mail -> cli."""

import ast
from pathlib import Path

import pytest

import costmodel

ROOT = Path(costmodel.__file__).parent
ORDER = (
    "evidence",
    "measure",
    "kvm",
    "formulas",
    "calibration",
    "cost",
    "decision",
    "traces",
    "validation",
    "report",
    "mail",
    "api",
    "cli",
)
# kvm is facts: of the evidence it takes where data/ lies and the reader of tables, and nothing else.
LEAVES = ("cache", "cluster", "errors", "hashing", "numbers", "plain")
SOURCES = sorted(ROOT.rglob("*.py"))


def imported(path):
    """costmodel subpackages that the module imports, at any depth of nesting."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module] if node.module != "costmodel" else [f"costmodel.{a.name}" for a in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("costmodel."))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_point_backwards(path):
    top = path.relative_to(ROOT).with_suffix("").parts[0]
    if top not in ORDER:
        assert not set(imported(path)) - set(LEAVES) - ({"api", "report"} if top == "__init__" else {"cli"})
        return
    here = ORDER.index(top)
    later = [name for name in imported(path) if name in ORDER and ORDER.index(name) > here]
    assert not later, f"{path.name} imports {later}"


def test_every_subpackage_has_its_place():
    found = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert found == set(ORDER)


def test_nothing_reads_outside_the_project():
    for path in [*SOURCES, *(ROOT.parent / "notebooks").glob("*.ipynb")]:
        text = path.read_text()
        assert "../shared" not in text and "/work/" not in text, path
