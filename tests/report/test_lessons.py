"""The explaining notebooks, run by papermill as a reader would, and what they show."""

from pathlib import Path

import pytest

import costmodel as cm
from costmodel.errors import BadInput, UnknownName
from costmodel.report import lessons, page, runner

FOLDER = Path(cm.__file__).parents[1] / "notebooks"
TIMEOUT_S = 600


def shown(name, parameters, folder):
    executed = runner.run(FOLDER / f"{name}.ipynb", parameters, folder / "out.ipynb", timeout_s=TIMEOUT_S)
    return page.body_of(executed)


@pytest.mark.notebook
def test_contention_shows_plots_and_tables(tmp_path):
    body = shown("contention", {"guest": "sev", "kernel": "6.6"}, tmp_path)
    assert body.count("<svg ") == 5
    assert body.count("aria-label=") >= 5
    assert "The bill of one event" in body
    assert "after SRCU is dropped" in body


@pytest.mark.notebook
def test_calibration_shows_fits_hosts_and_priors(tmp_path):
    body = shown("calibration", {}, tmp_path)
    assert body.count("<svg ") == 3
    assert "a page and more" in body
    assert "tdx_page_wbinvd_s is missing" in body


@pytest.mark.notebook
def test_validation_shows_the_scoreboard(tmp_path):
    body = shown("validation", {"sections": "simulation, strd, terms, formulas"}, tmp_path)
    assert body.count("<svg ") == 3
    assert "NIST certified regressions" in body
    assert "every formula has the unit" in body


@pytest.mark.notebook
def test_the_tutorial_runs_from_instruction_to_recommendation(tmp_path):
    executed = runner.run(FOLDER / "tutorial.ipynb", {}, tmp_path / "out.ipynb", timeout_s=TIMEOUT_S)
    kinds = [
        set(output.get("data", {})) for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs
    ]
    assert sum("text/latex" in kind for kind in kinds) >= 2, "the formula and its derivative are maths"
    assert sum("image/png" in kind for kind in kinds) == 2
    assert sum("text/html" in kind for kind in kinds) >= 4
    asked = cm.case("sev", "epyc-7763-2s", kernel="6.17", cpus_that_ran=8)
    printed = "".join(output.get("text", "") for cell in executed.cells for output in cell.get("outputs", ()))
    assert asked.recommend().text() in printed


def test_a_guest_without_a_whole_cache_flush_is_told_so():
    with pytest.raises(BadInput, match="no whole-cache flush"):
        lessons.ContentionLesson("sev-snp-gmem", "epyc-7763-2s", "autonuma-default", "newest", "ksm_replace_page")


def test_unknown_names_are_refused():
    with pytest.raises(UnknownName):
        lessons.ContentionLesson("sev", "epyc-7763-2s", "autonuma-default", "newest", "nothing")
    with pytest.raises(UnknownName):
        lessons.ValidationLesson("claims, nothing")
    with pytest.raises(UnknownName):
        lessons.CalibrationLesson("epyc-7763-2s", "nowhere")


def test_texts_never_become_markup():
    assert "<script>" not in lessons.paragraphs(["<script>alert(1)</script>"])
