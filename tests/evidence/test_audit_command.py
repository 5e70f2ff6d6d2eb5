"""`costmodel audit`."""

import json
import sys
import types

import pytest
from click.testing import CliRunner

from costmodel.cli.audit_command import command


@pytest.fixture
def run(monkeypatch):
    """Run the command with `outputs` in the place of the model."""

    def call(outputs, *arguments):
        monkeypatch.setitem(sys.modules, "costmodel.cost.outputs", types.SimpleNamespace(OUTPUTS=[outputs]))
        return CliRunner().invoke(command, arguments)

    return call


def everything(evidence):
    return [row.si for row in evidence.measurements.values()], evidence.machines, evidence.workloads


def test_clean_data(run, data):
    result = run(everything, "--data", str(data))
    assert result.exit_code == 0
    assert result.output.endswith(" numbers checked, 0 findings\n")
    assert not result.output.startswith("0 ")


def test_unused_numbers_fail(run, data):
    result = run(lambda evidence: 0, "--data", str(data))
    assert result.exit_code == 1
    assert "data: W01: nothing uses this number\n" in result.output


def test_json_names_each_finding(run, data):
    (data / "more.csv").write_text("a\n1\n")
    result = run(everything, "--data", str(data), "--json")
    assert result.exit_code == 1
    assert json.loads(result.output)["findings"] == [
        {"file": "more.csv", "row": "", "field": "hash", "problem": "is not listed in datapackage.json"},
    ]


def test_data_that_cannot_be_loaded_is_a_finding(run, edit):
    root = edit("measurements.csv", "W05,whole_cache", "W05,magic")
    result = run(everything, "--data", str(root))
    assert result.exit_code == 1
    assert result.output.startswith("measurements.csv: W05: term: 'magic' is not one of ")
    assert result.output.endswith("0 numbers checked, 1 findings\n")
