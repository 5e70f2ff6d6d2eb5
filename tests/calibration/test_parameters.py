"""The parameter sets that are shipped: they are those of the data and the code that lie beside them, or are not used."""

import json

import pytest

from costmodel.calibration import calibrate, parameters
from costmodel.calibration.parameters import parameters_of, shipped_text, variations
from costmodel.calibration.rules import Calibration
from costmodel.errors import UnknownName
from costmodel.evidence.store import load

MACHINE = "epyc-7763-2s"
RENEW = "run `make calibration`: data/, or the code of evidence, formulas or calibration, has changed since"


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Put a text in the place of the file that is shipped; the number of times that machines are calibrated."""
    calibrated = []
    everything = calibrate.all_parameters

    def place(text):
        (tmp_path / "calibrated.jsonl").write_text(text)
        monkeypatch.setattr(parameters, "SHIPPED", tmp_path / "calibrated.jsonl")
        monkeypatch.setattr(calibrate, "all_parameters", lambda evidence: calibrated.append(1) or everything(evidence))
        parameters._lines.cache_clear()
        parameters._shipped.cache_clear()
        return calibrated

    yield place
    parameters._lines.cache_clear()
    parameters._shipped.cache_clear()


def test_what_is_shipped_follows_from_the_data_and_the_code_as_they_are():
    first = parameters.SHIPPED.read_text(encoding="utf-8").splitlines()[0]
    assert json.loads(first)["follows_from"] == parameters.follows_from(load()), RENEW


def test_what_is_shipped_is_what_the_calibration_gives_now():
    evidence = load()
    assert parameters._lines(evidence), RENEW
    machine = evidence.machine(MACHINE)
    assert parameters_of(evidence, MACHINE) == calibrate.parameter_set(Calibration(evidence), machine)
    found = variations(evidence, MACHINE)
    assert found["without W01"] == calibrate.parameter_set(Calibration(evidence.without("W01")), machine)
    assert found["without W01"] != parameters_of(evidence, MACHINE)


def test_a_file_that_is_read_gives_back_what_was_written(shipped):
    evidence = load()
    usual, other = (parameters_of(evidence, name) for name in (MACHINE, "epyc-9654-2s"))
    fewer = {name: one for name, one in other.parameters.items() if name != "smt_factor"}
    other = other.model_copy(update={"machine": MACHINE, "parameters": fewer, "missing": {"smt_factor": "not told"}})
    follows = parameters.follows_from(evidence)
    calibrated = shipped(shipped_text(follows, {MACHINE: usual}, {MACHINE: {"other": other, "same": usual}}))
    assert parameters_of(evidence, MACHINE) == usual
    assert variations(evidence, MACHINE) == {"other": other, "same": usual}
    assert not calibrated


@pytest.mark.parametrize(
    "text", ["", '{"follows_from":"0000000000000000"}\n', "no JSON"], ids=["empty", "stale", "damaged"]
)
def test_what_follows_from_something_else_is_not_used(shipped, text):
    calibrated = shipped(text)
    assert parameters_of(load(), MACHINE)["line_empty_s"].distribution.shape == "tabulated"
    assert calibrated


def test_other_data_are_calibrated_anew():
    evidence = load()
    other = evidence.with_value("S01", 2.0)
    usual, changed = (parameters_of(one, MACHINE)["rmpupdate_s"].distribution.median for one in (evidence, other))
    assert changed == pytest.approx(2 * usual, rel=1e-5)


def test_a_machine_that_nobody_knows_has_no_variations():
    with pytest.raises(UnknownName):
        variations(load(), "vax-11")
