"""The notebooks are essays: prose, calls of the API that a reader changes, a sentinel; no results, no maths, nothing
that only prints what the package made. Run by papermill as a reader would.
"""

import ast
import json
import warnings
from pathlib import Path

import matplotlib
import nbformat
import pytest
from matplotlib import pyplot

import costmodel as cm
from costmodel import api
from costmodel.report import build, runner
from costmodel.report.build import ReportParameters

FOLDER = Path(cm.__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
REPORT = FOLDER / build.NOTEBOOK
LINES = 8
"""Most lines of a cell of an essay: a question has a short answer."""
TIMEOUT_S = 600
MATHS = {"sympy", "scipy", "numpy", "math", "statistics", "pandas", "matplotlib", "random"}


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def tagged(path, tag):
    return [cell for cell in code_cells(path) if tag in cell.metadata.get("tags", [])]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.name)
def notebook(request):
    return request.param


def test_all_are_there():
    names = {"flush_strategy", "explore", "contention", "calibration", "validation", "tutorial", "sweeps"}
    assert {path.stem for path in NOTEBOOKS} == names


def test_an_essay_asks_and_answers(notebook):
    """Prose leads to code of a few lines, and nothing in it prints HTML that the package made."""
    cells = nbformat.read(notebook, as_version=4).cells
    assert cells[0].cell_type == "markdown" and cells[0].source.startswith("# ")
    assert sum(cell.cell_type == "markdown" and "?" in cell.source for cell in cells) >= 1
    for cell in code_cells(notebook):
        assert len([line for line in cell.source.splitlines() if line]) <= LINES or cell in tagged(
            notebook, "parameters"
        )
        assert not {"HTML", "display", "fragment"} & {
            getattr(node.func, "id", getattr(node.func, "attr", None))
            for node in ast.walk(ast.parse(cell.source))
            if isinstance(node, ast.Call)
        }


def test_valid_and_small(notebook):
    book = nbformat.read(notebook, as_version=4)
    nbformat.validate(book)
    assert 0 < len(book.cells) <= 30
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
        assert annotation == getattr(fields[name].annotation, "__name__", str(fields[name].annotation))
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
                assert (node.module or "").split(".")[0] in {"costmodel"}
            if isinstance(node, ast.BinOp):
                assert isinstance(node.op, ast.BitOr), "only in types such as `int | None`"
            assert not isinstance(node, ast.For | ast.While | ast.FunctionDef | ast.Lambda | ast.ClassDef)
            assert not isinstance(node, ast.ListComp | ast.DictComp | ast.SetComp | ast.GeneratorExp)


def test_no_parameter_has_a_placeholder(notebook):
    """What is the workload's own is None, never 0, -1 or an empty text."""
    (cell,) = tagged(notebook, "parameters")
    for node in ast.parse(cell.source).body:
        assert isinstance(node, ast.AnnAssign)
        value = ast.literal_eval(node.value)
        assert isinstance(value, bool) or value not in (0, -1, "")


def test_all_sections_are_shown():
    """Each by an object of the API that shows itself; the first screen is the answer itself."""
    asked = [
        node.args[0].value
        for cell in code_cells(REPORT)
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "section"
    ]
    assert ["answer", *asked] == list(api.SECTIONS)
    assert any(cell.source.splitlines()[-1] == "answer" for cell in code_cells(REPORT))


def ran(name, parameters, folder):
    """Outputs of the executed notebook by kind: MIME types of what each cell shows, and all text."""
    executed = runner.run(FOLDER / f"{name}.ipynb", parameters, folder / "out.ipynb", timeout_s=TIMEOUT_S)
    outputs = [output for cell in executed.cells for output in cell.get("outputs", ())]
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    words = [output.get("text", "") + "".join(output.get("data", {}).get("text/plain", "")) for output in outputs]
    assert not any(output.get("name") == "stderr" for output in outputs), words
    return kinds, "\n".join(words)


@pytest.mark.nightly
@pytest.mark.notebook
def test_contention_shows_who_waits_and_who_pays(tmp_path):
    kinds, words = ran("contention", {"guest": "sev", "kernel": "6.6"}, tmp_path)
    assert kinds.count("image/png") == 5
    assert "everyone else" in words and "its guest" in words


@pytest.mark.nightly
@pytest.mark.notebook
def test_calibration_shows_fits_hosts_and_parameters(tmp_path):
    kinds, words = ran("calibration", {}, tmp_path)
    assert kinds.count("image/png") == 4
    assert "a page and more" in words and "tdx_page_wbinvd_s" in words


@pytest.mark.nightly
@pytest.mark.notebook
def test_validation_shows_the_scoreboard(tmp_path):
    """Of its sections those that are quick; the others come out of the same table."""
    kinds, words = ran("validation", {"sections": ["strd", "formulas"], "families": ["numa"]}, tmp_path)
    assert kinds.count("image/png") == 3
    assert all(name in words for name in ("strd", "formulas", "numa_rate"))


@pytest.mark.notebook
@pytest.mark.nightly
def test_the_tutorial_runs_from_instruction_to_recommendation(tmp_path):
    kinds, words = ran("tutorial", {}, tmp_path)
    assert kinds.count("text/latex") >= 2, "the formula and its derivative are maths"
    assert kinds.count("image/png") == 2 and kinds.count("text/html") >= 4
    assert cm.case("sev", "epyc-7763-2s", kernel="6.17", cpus_that_ran=8).recommend().text() in words


def test_the_map_of_sweeps_names_its_axes_and_panels_with_units():
    space: dict = {}
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for cell in code_cells(FOLDER / "sweeps.ipynb")[:-2]:
            exec(cell.source, space)
    pyplot.close("all")
    panels = space["map_of_four"].axes
    assert panels[-1, 0].get_xlabel() == "range (MiB)" and panels[-1, 0].get_ylabel() == "CPUs that ran the guest"
    assert panels[0, 0].get_title() == "0.1 events/s, caches of 8 MiB" and panels.shape == (3, 3)
    assert panels[-1, -1].get_title() == "1000 events/s, caches of 128 MiB"
