"""`costmodel sweep` as a user sees it: rows, files, refusals, and the same bytes from a scheduler that loses a worker."""

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import warnings

import numpy
import pandas
import pytest

from costmodel import __version__
from costmodel.cli import main
from costmodel.decision import swept
from costmodel.evidence.store import load
from costmodel.kvm.catalog import STRATEGIES
from costmodel.report.swept import MOST_SHOWN
from tests.samples import sampled
from tests.shell import heard, shell
from tests.test_cluster import cluster  # noqa: F401  (a fixture)

ASKED = ("--guest", "sev", "--machine", "epyc-7763-2s")
PAIR = ("--strategy", "WBNOINVD_MASK", "--strategy", "CLFLUSHOPT_UVA")


def sweep(*words):
    return shell("sweep", *ASKED, *words)


def written(path, *words):
    done = sweep(*words, "--out", str(path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return path


def test_rows_are_printed_with_their_axes():
    done = sweep("--over", "cpus=8,64", "--over", "range_bytes=4KiB:1MiB:3", "--strategy", "WBNOINVD_MASK")
    assert done.returncode == 0 and done.stderr == ""
    at, (head, *rows), _ = (block.splitlines() for block in done.stdout.split("\n\n"))
    assert head.split()[:4] == ["cpus", "range_bytes", "strategy", "quantity"] and len(rows) == 18
    assert at[0].startswith("sev on epyc-7763-2s, autonuma-default, kernel v7.3-rc: 8 vCPUs")
    assert at[2] == "At NUMA balancing scan (autonuma_prot_none_scan)."
    assert rows[0].split() == ["8", "4", "KiB", "WBNOINVD_MASK", "cpu_time", "9", "[0.7,", "50]", "ms*"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--over", "cpus=8,64", "--over", "range_bytes=4KiB,1MiB", *PAIR), "\ncpus 8, range_bytes 1 MiB:\n"),
        (("--over", "cpus=8", "--over", "range_bytes=64,64GiB", "--reduce", "cheapest", *PAIR), " by cost   inadm"),
        (("--over", "range_bytes=64:64MiB:9", "--reduce", "breakeven", *PAIR), "none: CLFLUSHOPT_UVA is cheaper"),
        (("--over", "cpus=8", "--strategy", "VM_PAGE_FLUSH"), "VM_PAGE_FLUSH has no number: no timing"),
        (("--over", "cpus=8", "--strategy", "VM_PAGE_FLUSH"), "undecided: admissible on a condition"),
        (("--over", "cpus=8,16"), "* EXTRAPOLATED: a prior by rule went in"),
        (("--over", "cpus=1:24:24"), "rows more; write them with --out"),
    ],
)
def test_the_text_of_a_sweep_fits_a_mail_and_says_what_its_numbers_are(words, told):
    text = sweep(*words, "--draws", "64").stdout
    assert told in text or told in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 72
    assert text.splitlines()[-1] == f"costmodel {__version__}, data {load().data_hash}"


ALL = tuple(word for name in STRATEGIES for word in ("--strategy", name))
MANY = tuple(
    word
    for axis in ("cpus=8,64", "range_bytes=4KiB,1MiB", "rate_per_s=1,1e5", "vcpus=1,128", "resident_bytes=4GiB,1TiB")
    for word in ("--over", axis)
)


@pytest.mark.parametrize("guest", [ASKED, ("--guest", "sev-snp-gmem", "--machine", "epyc-9654-2s")])
@pytest.mark.parametrize(
    "words",
    [
        (*MANY[:4], *ALL),
        (*MANY[:2], "--reduce", "cheapest", *ALL),
        (*MANY, "--reduce", "cheapest"),
        (*MANY, "--over", "l2_bytes_per_core=512KiB,1MiB", "--over", "cache_bytes=1MiB,128MiB"),
        (*MANY[2:4], *MANY[:2], "--reduce", "breakeven", "--strategy", "WBNOINVD_MASK", "--strategy", ALL[-1]),
    ],
)
def test_the_text_of_many_axes_and_strategies_fits_a_mail(guest, words):
    """What has no room is on a line of its own."""
    text = shell("sweep", *guest, *words, "--draws", "4").stdout
    assert text.isascii() and max(map(len, text.splitlines())) <= 72
    rows = pandas.read_csv(io.StringIO(shell("sweep", *guest, *words, "--draws", "4", "--format", "csv").stdout))
    shown = rows.head(MOST_SHOWN)
    notes = shown[shown.state != "admissible"].state
    assert {*shown.strategy, *notes} <= {*re.findall(r"\w+", text)}


@pytest.mark.parametrize("more", [(), ("--reduce", "cheapest"), ("--draws", "64", "--vcpus", "4", *PAIR)])
def test_the_command_of_a_text_prints_it_again(more):
    text = sweep("--over", "range_bytes=4KiB:1MiB:3", *more).stdout
    words = shlex.split(text.split("Again with:\n")[1].rsplit("costmodel ", 1)[0].replace("\\\n", " "))
    assert words[0] == "costmodel" and shell(*words[1:]).stdout == text


def test_an_event_of_many_flushes_says_how_many():
    asked = ("sweep", "--guest", "sev-snp-gmem", "--machine", "epyc-9654-2s", "--draws", "16")
    text = " ".join(shell(*asked, "--over", "cpus=8,64").stdout.split())
    assert "(gmem_free_folio_teardown). One event is a range of 14.9 GiB, released folio by folio: 3.9e+06" in text
    text = " ".join(shell(*asked, "--over", "range_bytes=4KiB,1MiB").stdout.split())
    assert "released folio by folio: a flush for each 4 KiB of it" in text
    asked = ("sweep", "--guest", "tdx", "--machine", "xeon-8570-2s", "--draws", "16", "--over", "cpus=8")
    assert "4 KiB, released folio by folio: 1 flush, one for each 4 KiB." in " ".join(shell(*asked).stdout.split())


def test_a_sweep_is_printed_as_csv_and_as_markdown_too():
    words = ("--over", "range_bytes=64,64GiB", "--over", "cpus=8", "--reduce", "cheapest", *PAIR)
    head, _, *rows = sweep(*words, "--format", "markdown").stdout.splitlines()
    assert head == "| range_bytes | cpus | strategy | CPU time | p_best | cheapest | note |"
    assert "| by cost | inadmissible |" in rows[1] and "| safe |  |" in rows[0] and len(rows) == 4
    table = pandas.read_csv(io.StringIO(sweep(*words, "--format", "csv").stdout))
    assert table["median"].tolist() == [row["median"] for row in json.loads(sweep(*words, "--json").stdout)]


def test_files_of_every_format_hold_the_same_rows(tmp_path):
    import xarray

    words = ("--over", "cpus=8,64", "--over", "dirty_fraction=0.1,0.9", *PAIR)
    csv = pandas.read_csv(written(tmp_path / "a.csv", *words))
    parquet = pandas.read_parquet(written(tmp_path / "a.parquet", *words))
    assert csv["median"].to_numpy() == pytest.approx(parquet["median"].to_numpy())
    assert parquet.strategy.tolist() == csv.strategy.tolist() and len(csv) == 24
    with xarray.open_dataset(written(tmp_path / "a.nc", *words), engine="scipy") as cube:
        at = {"strategy": "WBNOINVD_MASK", "quantity": "cpu_time", "cpus": 64.0, "dirty_fraction": 0.9}
        row = csv.query(
            "strategy == 'WBNOINVD_MASK' and quantity == 'cpu_time' and cpus == 64 and dirty_fraction == 0.9"
        )
        assert float(cube["median"].sel(at)) == row["median"].item() and cube.attrs["guest"] == "sev"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.nc", "a.parquet"]


def test_the_cheapest_and_the_break_even_are_reduced():
    done = sweep("--over", "range_bytes=64,64GiB", "--reduce", "cheapest", *PAIR, "--json")
    rows = json.loads(done.stdout)
    assert [row["strategy"] for row in rows if row["cheapest"]] == ["CLFLUSHOPT_UVA", "WBNOINVD_MASK"]
    done = sweep("--over", "range_bytes=64:64GiB:97", "--over", "cpus=8,64", "--reduce", "breakeven", *PAIR, "--json")
    few, many = json.loads(done.stdout)
    assert few["median"] < many["median"] and (few["against"], few["unit"]) == ("CLFLUSHOPT_UVA", "B")


@pytest.mark.parametrize("pair", [PAIR, (*PAIR[2:], *PAIR[:2])])
def test_the_states_of_a_break_even_are_those_of_the_strategies_they_stand_beside(tmp_path, pair):
    import xarray

    words = ("--over", "range_bytes=64:64GiB:9", "--over", "cpus=8", "--reduce", "breakeven", *pair, "--draws", "64")
    (row,) = json.loads(sweep(*words, "--json").stdout)
    known = {"WBNOINVD_MASK": "admissible", "CLFLUSHOPT_UVA": "inadmissible"}
    assert (row["state"], row["against_state"]) == (known[row["strategy"]], known[row["against"]])
    with xarray.open_dataset(written(tmp_path / "a.nc", *words), engine="scipy") as cube:
        assert cube["state"].item() == row["state"] and cube.attrs["against_state"] == row["against_state"]
    assert "inadmissible: it can lose a flush" in " ".join(sweep(*words).stdout.split())
    assert sweep(*words, "--format", "markdown").stdout.count("| CLFLUSHOPT_UVA is inadmissible |") == 1


def test_a_rate_has_its_unit_in_the_head_alone():
    text = sweep("--over", "rate_per_s=5,0.25", "--strategy", "WBNOINVD_MASK", "--draws", "16").stdout
    assert [line.split()[:2] for line in text.split("\n\n")[1].splitlines()[1::3]] == [
        ["5", "WBNOINVD_MASK"],
        ["0.25", "WBNOINVD_MASK"],
    ]
    pair = ("--strategy", "WBINVD_ALL", "--strategy", "WBNOINVD_MASK", "--reduce", "breakeven", "--draws", "16")
    assert "1/s" not in sweep("--over", "rate_per_s=0.1:1000:9", *pair).stdout


def test_a_cube_says_what_its_numbers_are_and_what_they_came_from(tmp_path):
    import xarray

    words = ("--over", "cpus=8,64", "--strategy", "VM_PAGE_FLUSH", *PAIR, "--draws", "64")
    frame = pandas.read_parquet(written(tmp_path / "a.parquet", *words))
    path = written(tmp_path / "a.nc", *words)
    again = [path.read_bytes(), written(tmp_path / "b.nc", *words).read_bytes()]
    assert again[0] == again[1]
    made = {"costmodel_version": __version__, "data_hash": load().data_hash, "draws": 64}
    assert frame.attrs == made
    with xarray.open_dataset(path, engine="scipy") as cube:
        assert made.items() <= cube.attrs.items() and cube.attrs["vcpus"] == 8
        for name in ("state", "chosen", "extrapolated"):
            told = frame.groupby("strategy")[name].first().to_dict()
            assert dict(zip(cube.strategy.values, cube[name].values, strict=True)) == told
        assert cube["state"].sel(strategy="CLFLUSHOPT_UVA") == "inadmissible"
        assert "no timing of the VM_PAGE_FLUSH MSR" in str(cube["refused"].sel(strategy="VM_PAGE_FLUSH").values)
        assert str(cube["refused"].sel(strategy="WBNOINVD_MASK").values) == ""
        units = dict(zip(cube.quantity.values.tolist(), cube["unit"].values.tolist(), strict=True))
        assert units == {"cpu_time": "s", "event_time": "s", "host_cpus": "1"}


def test_every_row_of_csv_and_json_says_what_it_came_from(tmp_path):
    """Columns behind the others, which no reader of rows stumbles over."""
    words = ("--over", "cpus=8,64", *PAIR, "--draws", "64")
    made = {"costmodel_version": __version__, "data_hash": load().data_hash, "draws": 64}
    text = {"data_hash": str, "costmodel_version": str}
    printed = pandas.read_csv(io.StringIO(sweep(*words, "--format", "csv").stdout), dtype=text)
    stored = pandas.read_csv(written(tmp_path / "a.csv", *words), dtype=text)
    for table in (printed, stored):
        assert table.columns[-3:].tolist() == [*made] and len(table) == 12
    rows = [*printed.to_dict("records"), *stored.to_dict("records"), *json.loads(sweep(*words, "--json").stdout)]
    assert all(made.items() <= row.items() for row in rows)
    assert "data_hash" not in sweep(*words, "--format", "markdown").stdout


def test_the_cheapest_by_cost_alone_and_the_cheapest_that_is_admissible_are_told_apart(tmp_path):
    rows = json.loads(sweep("--over", "range_bytes=64,64GiB", "--reduce", "cheapest", *PAIR, "--json").stdout)
    told = {(row["range_bytes"], row["strategy"]): (row["cheapest"], row["cheapest_admissible"]) for row in rows}
    assert told == {
        (64.0, "WBNOINVD_MASK"): (False, True),
        (64.0, "CLFLUSHOPT_UVA"): (True, False),
        (2.0**36, "WBNOINVD_MASK"): (True, True),
        (2.0**36, "CLFLUSHOPT_UVA"): (False, False),
    }
    (alone,) = json.loads(sweep("--over", "cpus=8", "--reduce", "cheapest", "--strategy", PAIR[-1], "--json").stdout)
    assert alone["cheapest"] and not alone["cheapest_admissible"] and alone["state"] == "inadmissible"


def test_a_pair_without_a_break_even_says_which_is_cheaper_throughout(tmp_path):
    import xarray

    words = ("--over", "range_bytes=64,128", "--over", "cpus=8,64", "--reduce", "breakeven", *PAIR)
    rows = json.loads(sweep(*words, "--json").stdout)
    assert [(row["median"], row["low"], row["high"], row["share"]) for row in rows] == [(None, None, None, 0.0)] * 2
    assert {row["always"] for row in rows} == {"CLFLUSHOPT_UVA"}
    with xarray.open_dataset(written(tmp_path / "a.nc", *words), engine="scipy") as cube:
        assert set(cube["always"].values.reshape(-1).tolist()) == {"CLFLUSHOPT_UVA"}
        assert (cube.attrs["against"], cube.attrs["swept_high"]) == ("CLFLUSHOPT_UVA", 128.0)


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        ("cpus=1:256:9", [1, 2, 4, 8, 16, 32, 64, 128, 256]),
        ("vcpus=1:16:5", [1, 2, 4, 8, 16]),
        ("cpus=1:4:9", [1, 2, 3, 4]),
    ],
)
def test_points_of_a_range_of_whole_numbers_are_rounded_and_taken_once(axis, values):
    rows = json.loads(sweep("--over", axis, "--strategy", PAIR[1], "--draws", "4", "--json").stdout)
    assert [row[axis.partition("=")[0]] for row in rows if row["quantity"] == "cpu_time"] == values


def test_a_place_where_nothing_can_be_written_is_told_before_the_calculation(tmp_path, monkeypatch):
    (tmp_path / "d.parquet").mkdir()
    monkeypatch.setattr(swept, "sweep", None)
    for place, told in ((tmp_path / "d.parquet", "is a directory"), ("/proc/x.parquet", "cannot be written")):
        done = sweep("--over", "cpus=8", "--out", place)
        assert done.returncode == 2 and told in done.stderr and done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["d.parquet"]


@pytest.mark.parametrize(
    ("words", "told"),
    sampled(
        [
            (("--over", "cpus"), "neither AXIS=V"),
            (("--over", "cpus=x"), "neither AXIS=V"),
            (("--over", "cpus=8:4:3"), "no range"),
            (("--over", "cpus=1:4:99999999999"), "no range"),
            (("--over", "cpus=8", "--over", "cpus=9"), "given twice"),
            (("--over", "cpu=8"), "unknown axis"),
            (("--over", "cpus=999"), "from 1 to 256"),
            (("--over", "cpus=8", "--out", "a.txt"), "ends in none of"),
            (("--over", "cpus=8", "--out", "nowhere/a.csv"), "the directory does not exist"),
            (("--over", "cpus=8", "--trigger", "gmem_punch_hole"), "unknown trigger"),
            (("--over", "cpus=8", "--reduce", "breakeven", *PAIR), "needs two values"),
            (("--over", "cpus=8,9", "--reduce", "breakeven"), "needs two strategies"),
            (("--over", "cpus=8", "--scheduler", "tcp://10.1.2.3:8786"), "without TLS"),
            (("--over", "range_bytes=64:1e12:9999999", "--over", "cache_bytes=1e6:1e9:9999"), "of memory"),
        ],
        3,
    ),
)
def test_what_cannot_be_is_one_line_and_exit_code_2(words, told, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["costmodel", "sweep", *ASKED, *words])
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    with pytest.raises(SystemExit, match="2"):
        main()
    shown = capsys.readouterr()
    assert shown.out == "" and told in shown.err
    assert shown.err.count("\n") == 1 and shown.err.startswith("costmodel: ")


@pytest.mark.nightly
def test_a_scheduler_that_loses_a_worker_gives_the_same_bytes(cluster, tmp_path, monkeypatch):  # noqa: F811
    """Both results and tasks of the worker are lost midway, and done again by others."""
    import distributed

    from costmodel.cost import grid
    from costmodel.cost.scenario import scenario

    monkeypatch.setattr(grid, "PIECE_VALUES", 50_000)
    study = swept.study_at(load(), scenario(load(), "sev", "epyc-7763-2s", "autonuma-default"))
    axes = {"range_bytes": numpy.geomspace(64, 2**36, 150), "cpus": [1, 8, 64, 256]}
    local = swept.sweep(study, axes, reduce="cheapest")
    with distributed.Client(cluster, set_as_default=False) as client:
        workers = list(client.run(os.getpid).values())
    real, seen = grid.map_in_order, []

    def losing(*words):
        for found in real(*words):
            seen.append(found)
            if len(seen) == 3:
                os.kill(workers[0], signal.SIGKILL)
            yield found

    monkeypatch.setattr(grid, "map_in_order", losing)
    far = swept.sweep(study, axes, reduce="cheapest", scheduler=cluster)
    assert len(seen) > 20
    files = [tmp_path / "local.parquet", tmp_path / "far.parquet"]
    for frame, path in zip((local, far), files, strict=True):
        swept.write(frame, list(axes), path)
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_large_sweep_says_its_size_and_ends_when_it_is_told_to(sent, code):
    """Also while parts of it are handed out: none that follow the running ones is begun."""
    words = ("--over", "range_bytes=4KiB:1GiB:1000000", "--over", "cpus=1,2,3", "--reduce", "cheapest")
    begun = [sys.executable, "-m", "costmodel", "sweep", *ASKED, *words, "--draws", "65536"]
    own = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(begun, stderr=subprocess.PIPE, text=True, env=own, preexec_fn=heard)
    try:
        assert "3000000 points x 5 strategies x 65536 draws = 9.8e+11 costs" in process.stderr.readline()
        time.sleep(2.0)
        process.send_signal(sent)
        assert process.wait(10) == code and process.stderr.read().strip() == ""
    finally:
        process.kill()
        process.wait()
