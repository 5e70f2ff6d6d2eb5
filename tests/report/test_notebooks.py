"""The stored notebooks hold no results and no maths: parameters, calls into the package, a sentinel."""

import ast
import json
from pathlib import Path

import nbformat
import pytest

import costmodel
from costmodel.report import build, runner
from costmodel.report.contract import ReportParameters

FOLDER = Path(costmodel.__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
REPORT = FOLDER / build.NOTEBOOK
ESSAYS = ("tutorial.ipynb",)
"""Prose and calls of the API that a reader changes; the others still show what the package renders."""
MATHS = {"sympy", "scipy", "numpy", "math", "statistics", "pandas", "matplotlib", "random"}


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def tagged(path, tag):
    return [cell for cell in code_cells(path) if tag in cell.metadata.get("tags", [])]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.name)
def notebook(request):
    return request.param


def test_both_are_there():
    assert {"flush_strategy.ipynb", "explore.ipynb"} <= {path.name for path in NOTEBOOKS}


def test_valid_and_small(notebook):
    book = nbformat.read(notebook, as_version=4)
    nbformat.validate(book)
    assert 0 < len(book.cells) <= (30 if notebook.name in ESSAYS else 10)
    assert book.metadata.kernelspec.name == "python3"


def test_no_results_are_stored(notebook):
    for cell in code_cells(notebook):
        assert cell.outputs == []
        assert cell.execution_count is None
        assert not {"execution", "papermill", "collapsed"} & set(cell.metadata)
    metadata = nbformat.read(notebook, as_version=4).metadata
    assert not {"papermill", "widgets", "signature"} & set(metadata)
    assert "version" not in metadata.get("language_info", {})


def test_ids_are_fixed_and_unique(notebook):
    stored = json.loads(notebook.read_text())
    names = [cell["id"] for cell in stored["cells"]]
    assert len(set(names)) == len(names)
    assert all(names)


def test_exactly_one_parameters_cell_and_the_sentinel_last(notebook):
    assert len(tagged(notebook, "parameters")) == 1
    assert "sentinel" in code_cells(notebook)[-1].metadata.get("tags", [])
    assert len(tagged(notebook, "sentinel")) == 1
    assert nbformat.read(notebook, as_version=4).cells[-1].cell_type == "code"


def test_sentinel_is_the_one_that_the_runner_expects(notebook):
    (call,) = [
        node for node in ast.walk(ast.parse(tagged(notebook, "sentinel")[0].source)) if isinstance(node, ast.Call)
    ]
    assert ast.unparse(call) == "print(runner.SENTINEL)"
    assert runner.SENTINEL


def test_parameters_are_those_of_the_contract():
    (cell,) = tagged(REPORT, "parameters")
    found = {}
    for node in ast.parse(cell.source).body:
        assert isinstance(node, ast.AnnAssign), "a parameter has a type"
        found[node.target.id] = (ast.unparse(node.annotation), ast.literal_eval(node.value))
    fields = ReportParameters.model_fields
    assert set(found) == set(fields)
    for name, (annotation, value) in found.items():
        assert annotation == fields[name].annotation.__name__
        if not fields[name].is_required():
            assert value == fields[name].default
    ReportParameters(**{name: value for name, (_, value) in found.items()})


def test_every_parameter_is_passed_on():
    (cell,) = tagged(REPORT, "parameters")
    others = "\n".join(c.source for c in code_cells(REPORT) if c is not cell and c.source != cell.source)
    used = {node.id for node in ast.walk(ast.parse(others)) if isinstance(node, ast.Name)}
    assert set(ReportParameters.model_fields) <= used


def test_no_maths(notebook):
    for cell in code_cells(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Import):
                assert not {alias.name.split(".")[0] for alias in node.names} & MATHS
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] in {"costmodel", "IPython"}
            if isinstance(node, ast.BinOp):
                assert isinstance(node.op, ast.BitOr), "only in types such as `int | None`"
            assert not isinstance(node, ast.For | ast.While | ast.FunctionDef | ast.Lambda | ast.ClassDef)
            assert not isinstance(node, ast.ListComp | ast.DictComp | ast.SetComp | ast.GeneratorExp)


def test_all_sections_are_shown():
    calls = {
        node.func.attr
        for cell in code_cells(REPORT)
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    sections = {"answer", "policy", "costs", "curves", "admissibility", "uncertainty", "upstream", "formulas"}
    assert sections | {"provenance"} <= calls
