"""predict and calibrate --host."""

import csv
import io
import json
import statistics

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.evidence.store import load

NAME = "epyc-genoa-4cpu-vm"
HEAD = "instruction,state,range_bytes\n"


def predict(text):
    return CliRunner().invoke(cli, ["predict", "--machine", NAME, "--cells", "-"], input=text)


def test_cells_come_back_in_order_with_interval():
    text = HEAD + "CLFLUSHOPT,dirty,65536\nclflush,absent,100000\nCLWB,clean,4096\n"
    result = predict(text)
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["instruction"] for row in rows] == ["CLFLUSHOPT", "clflush", "CLWB"]
    for row in rows:
        low, middle, high = (float(row[name]) for name in ("low_ns", "predicted_ns", "high_ns"))
        assert 0 < low < middle < high
        lines = float(row["range_bytes"]) / 64
        assert middle > float(row["slope_ns_per_line"]) * lines, "a call has a start beside its lines"
    assert [row["note"] for row in rows] == ["measured range", "interpolated", "measured range"]


def test_a_call_of_a_page_is_what_the_kernels_loop_takes():
    """The sweep's own totals: a dirty page on Genoa takes 5.6 ns per line with its fences, 2.4 without."""
    row = next(csv.DictReader(io.StringIO(predict(HEAD + "CLFLUSHOPT,dirty,4096\n").stdout)))
    runs = {}
    for cell in load().host(NAME).table("flush"):
        kind = (cell["instruction"], cell["state"], cell["range_bytes"], cell["page"])
        if kind == ("CLFLUSHOPT", "dirty", 4096, "4KiB"):
            runs.setdefault(cell["run"], []).append(cell["measured_total_s"])
    measured = statistics.median(statistics.median(values) for values in runs.values())
    assert float(row["predicted_ns"]) == pytest.approx(measured * 1e9, rel=1e-3)
    assert float(row["predicted_ns"]) / 64 > 2 * float(row["slope_ns_per_line"])


def test_a_catalogued_machine_is_predicted_from_its_relatives_with_a_wider_interval():
    cells = HEAD + "CLFLUSHOPT,absent,268435456\nCLFLUSHOPT,dirty,4096\n"
    answers = {}
    for machine in ("epyc-9654-2s", NAME):
        text = cells if machine != NAME else HEAD + "CLFLUSHOPT,absent,67108864\nCLFLUSHOPT,dirty,4096\n"
        result = CliRunner().invoke(cli, ["predict", "--machine", machine, "--cells", "-"], input=text)
        assert result.exit_code == 0, result.output
        answers[machine] = [
            {name: float(row[name]) for name in ("low_ns", "predicted_ns", "high_ns")}
            for row in csv.DictReader(io.StringIO(result.stdout))
        ]
        assert ("EXTRAPOLATED" in result.stdout) == (machine != NAME)
    for wide, narrow in zip(answers["epyc-9654-2s"], answers[NAME], strict=True):
        assert wide["high_ns"] / wide["low_ns"] > 2 * narrow["high_ns"] / narrow["low_ns"]
    refused = CliRunner().invoke(
        cli, ["predict", "--machine", "epyc-9654-2s", "--cells", "-"], input=HEAD + "CLFLUSH,dirty,4096\n"
    )
    assert "CLFLUSHOPT" in str(refused.exception)


def test_other_columns_are_kept():
    result = predict("id,instruction,state,range_bytes,page\n7,CLFLUSHOPT,dirty,65536,2MiB\n")
    row = next(csv.DictReader(io.StringIO(result.stdout)))
    assert row["id"] == "7" and row["page"] == "2MiB"


def test_no_cell_of_a_column_that_is_kept_acts_in_a_spreadsheet():
    result = predict("=id,instruction,state,range_bytes\n=1+1,CLFLUSHOPT,dirty,65536\n-1.5,CLFLUSHOPT,dirty,65536\n")
    header, first, second = csv.reader(io.StringIO(result.stdout))
    assert (header[0], first[0], second[0]) == ("'=id", "'=1+1", "-1.5")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("instruction,state\n", "row 1"),
        (HEAD + "CLFLUSHOPT,dirty,much\n", "row 2"),
        (HEAD + "CLFLUSHOPT,dirty,\n", "row 2"),
        (HEAD + "CLFLUSHOPT,dirty,4096\nCLFLUSHOPT,wet,4096\n", "row 3"),
        (HEAD + "CLFLUSHOPT,dirty,-64\n", "row 2"),
        (HEAD + "CLFLUSHOPT,dirty,nan\n", "row 2"),
        (HEAD + "CLFLUSHOPT,dirty,1e30\n", "row 2"),
    ],
)
def test_bad_cells_are_refused_whole(text, place):
    result = predict(text)
    assert result.exit_code != 0 and result.stdout == ""
    assert place in str(result.exception)


@pytest.mark.nightly
def test_calibrate_host_shows_rivals_and_held_out_errors():
    found = json.loads(CliRunner().invoke(cli, ["calibrate", "--host", NAME, "--json"]).stdout)
    assert found["median_error_of_forms"]["interpolation"] < 0.05
    assert {trial["what"] for trial in found["held_out"]} >= {"random cells", "range decades", "a run left out"}
    assert found["parameters"]["line_dirty_s"]["extrapolated"] is False
    text = CliRunner().invoke(cli, ["calibrate", "--host", NAME, "--against", NAME]).stdout
    assert "a repeated measurement" in text and "binomial" in text


def of_catalogue(cells, machine="epyc-9654-2s"):
    result = CliRunner().invoke(cli, ["predict", "--machine", machine, "--cells", "-"], input=HEAD + cells)
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_what_the_caches_of_a_catalogued_machine_do_not_hold_is_absent_and_the_note_says_so():
    """33 MiB are held: of 1 GiB that was written before, nearly all is in memory again, as in the probe of a host."""
    inside, beyond, absent = of_catalogue(
        "CLFLUSHOPT,dirty,1048576\nCLFLUSHOPT,dirty,1073741824\nCLFLUSHOPT,absent,1073741824\n"
    )
    assert inside["note"].endswith("slope of dirty lines") and absent["note"].endswith("slope of absent lines")
    assert beyond["note"].endswith("slope of 3.2 % dirty and 97 % absent lines")
    assert float(beyond["predicted_ns"]) == pytest.approx(float(absent["predicted_ns"]), rel=0.2)
    per_line = {id(row): float(row["slope_ns_per_line"]) for row in (inside, beyond, absent)}
    low, high = sorted((per_line[id(inside)], per_line[id(absent)]))
    assert low <= per_line[id(beyond)] <= high
