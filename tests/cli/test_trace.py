"""costmodel trace and costmodel report --trace, as a user calls them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.cli import main as run_main
from costmodel.errors import INSTALL, BadInput, ExitCode
from costmodel.evidence.paths import data_dir
from tests.measure.test_trace_formats import PERF, RAW
from tests.samples import sampled

PROFILE = data_dir() / "hosts/epyc-genoa-4cpu-vm/invalidations.csv"
FOR = ("--machine", "epyc-7763-2s", "--guest", "sev")


def run(*words):
    return CliRunner().invoke(cli, ["trace", *map(str, words)], catch_exceptions=False)


@pytest.fixture
def imported(tmp_path):
    path = tmp_path / "t.parquet"
    assert run("import", PROFILE, "--out", path).exit_code == 0
    return path


def test_import_says_what_it_found(tmp_path):
    text = tmp_path / "trace.txt"
    text.write_text(f"{RAW}\nnonsense \x1b[31m\n{PERF}\n")
    done = run("import", text, "--out", tmp_path / "t.parquet")
    assert "2 events of 2 tasks" in done.stdout
    assert "trace.txt:2: not understood" in done.stderr and "\x1b" not in done.stderr
    told = json.loads(run("import", text, "--out", tmp_path / "t.parquet", "--json").stdout)
    assert told["events"] == 2 and told["not_understood"] == 1


LOST = "CPU:3 [LOST 12 EVENTS]\n"


def test_lost_events_are_told_from_the_import_to_the_replay(tmp_path):
    text, out = tmp_path / "trace.txt", tmp_path / "t.parquet"
    text.write_text(f"{RAW}\n{LOST}CPU:1 [EVENTS DROPPED]\n{PERF}\n")
    done = run("import", text, "--out", out)
    assert "at least 13 events were lost while recording" in done.stderr and "not understood" not in done.stderr
    assert json.loads(run("import", text, "--out", out, "--json").stdout)["lost_events"] == 13
    again = tmp_path / "again.parquet"
    assert json.loads(run("import", out, "--out", again, "--json").stdout)["lost_events"] == 13
    told = "at least 13 events were lost while recording"
    for path in (out, again):
        assert told in " ".join(run("summary", path).stdout.split())
        assert json.loads(run("summary", path, "--json").stdout)["lost_events"] == 13
    stored = tmp_path / "s.json"
    stored.write_text(run("summary", out, "--json").stdout)
    assert "at least 26 events" in " ".join(run("summary", out, stored).stdout.split())
    assert told in " ".join(run("replay", out, *FOR).stdout.split())
    assert json.loads(run("replay", out, *FOR, "--json").stdout)["lost_events"] == 13


def test_a_file_name_that_a_shell_would_run_is_quoted_in_the_command(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    out = folder / "$(touch x)`id`'\u202e.parquet"
    assert run("import", PROFILE, "--out", out).exit_code == 0
    text = run("replay", out, *FOR).stdout
    assert text.isascii()
    line = text.split("Again with:\n")[1].rsplit("\ncostmodel 0", 1)[0]
    script = f"costmodel() {{ printf '%s\\n' \"$3\"; }}\n{line}\n"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=folder, check=True)
    assert done.stdout == f"{out.name}\n" and [path.name for path in folder.iterdir()] == [out.name]


def test_import_of_several_files_is_one_trace(tmp_path):
    for name, line in (("a.txt", RAW), ("b.txt", PERF)):
        (tmp_path / name).write_text(line + "\n")
    out = tmp_path / "t.parquet"
    assert "2 events" in run("import", tmp_path / "a.txt", tmp_path / "b.txt", "--out", out).stdout
    assert json.loads(run("summary", out, "--json").stdout)["recordings"] == 1


def test_summary_as_text_and_json_of_many_files(imported, tmp_path):
    assert "16,695 events" in run("summary", imported).stdout
    stored = tmp_path / "s.json"
    stored.write_text(run("summary", imported, "--json").stdout)
    assert "33,390 events" in run("summary", imported, stored).stdout


def test_replay_as_text_and_json(imported):
    text = run("replay", imported, *FOR).stdout
    assert "WBNOINVD_MASK (this kernel)" in text and "NOT DECIDABLE FROM THIS TRACE" in text
    value = json.loads(run("replay", imported, *FOR, "--json").stdout)
    assert value["events"] + value["outside"] == 16_695
    assert value["ways"][0]["closed"]["events_in_time"] < value["events"]


def test_replay_again_with_the_printed_command(imported):
    text = run("replay", imported, *FOR, "--cpus-that-ran", 8, "--arrivals", "open").stdout
    words = text.split("Again with:")[1].split("costmodel 0")[0].replace("\\\n", " ").split()
    assert words[:3] == ["costmodel", "trace", "replay"]
    assert run("replay", imported, *words[4:]).stdout == text


def test_report_of_a_trace(imported, tmp_path):
    out = tmp_path / "reports"
    done = CliRunner().invoke(
        cli, ["report", "--trace", str(imported), *FOR, "--out", str(out)], catch_exceptions=False
    )
    assert done.exit_code == 0
    assert sorted(p.name for p in (out / "sev").iterdir()) == [
        f"epyc-7763-2s.trace-t.{kind}" for kind in ("html", "json", "txt")
    ]


def refused(monkeypatch, capsys, *words, code=ExitCode.BAD_INPUT):
    monkeypatch.setattr(sys, "argv", ["costmodel", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        run_main()
    error = capsys.readouterr().err
    assert caught.value.code == code
    assert error.startswith("costmodel: ") and error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    "content",
    [b"", b"nothing here\n", b"PAR1", b"\x00" * 4096, b"t_ns,task,start,end\n1,a,5,5\n", b"@n[ksmd]: 17\n"],
)
def test_import_of_nothing_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, capsys, content):
    source, out = tmp_path / "in\n.txt", tmp_path / "out.parquet"
    source.write_bytes(content)
    refused(monkeypatch, capsys, "trace", "import", source, "--out", out)
    assert [p.name for p in tmp_path.iterdir()] == ["in\n.txt"]


def test_import_of_nothing_blames_what_it_read(tmp_path, monkeypatch, capsys):
    files = [tmp_path / "header-only.csv", tmp_path / "other.csv"]
    for file in files:
        file.write_text("t_ns,task,start,end\n")
    for given in (files[:1], files):
        error = refused(monkeypatch, capsys, "trace", "import", *given, "--out", tmp_path / "o.parquet")
        assert f"{', '.join(map(str, given))}: no event was found" in error and "o.parquet" not in error


def test_times_of_two_recordings_blame_what_was_read(tmp_path, monkeypatch, capsys):
    source = tmp_path / "mixed.csv"
    source.write_text(f"t_ns,task,start,end\n0,a,0,4096\n{200 * 86400 * 10**9},a,0,4096\n")
    error = refused(monkeypatch, capsys, "trace", "import", source, "--out", tmp_path / "o.parquet")
    assert f"{source}: the events span more than 104 days" in error


def test_wrong_uses_are_one_line(imported, tmp_path, monkeypatch, capsys):
    for words in (
        ("trace", "import", imported, "--out", imported),
        ("trace", "import", imported, "--out", tmp_path / "no" / "such" / "folder.parquet"),
        ("trace", "summary", PROFILE),
        ("trace", "replay", PROFILE, *FOR),
        ("trace", "replay", imported, "--machine", "nope", "--guest", "sev"),
        ("trace", "replay", imported, *FOR, "--memslots", PROFILE),
        ("trace", "replay", imported, *FOR, "--arrivals", "both"),
        ("report", "--trace", imported, "--guest", "sev", "--out", tmp_path),
        ("report", "--trace", imported, *FOR, "--check", "--out", tmp_path),
        ("report", "--trace", imported, *FOR, "-p", "event_fraction=0.5", "--out", tmp_path),
        ("report", "--trace", imported, *FOR, "-p", "nope=1", "--out", tmp_path),
        ("trace", "import"),
        ("trace", "nope"),
    ):
        refused(monkeypatch, capsys, *words)
    words = ("trace", "replay", imported, "--machine", "epyc-7763-2s", "--guest", "tdx")
    assert "not applicable" in refused(monkeypatch, capsys, *words, code=ExitCode.NOT_APPLICABLE)


def test_a_place_where_nothing_can_be_written_is_named_as_it_was_asked_for():
    if not Path("/proc/self").exists():
        pytest.skip("needs /proc")
    with pytest.raises(
        BadInput, match=r"^/proc/x.parquet: cannot be written: No such file or directory; choose another place$"
    ):
        run("import", PROFILE, "--out", "/proc/x.parquet")


@pytest.mark.parametrize("name", ["t.csv", "t.json", "t", "t.parquet.gz", "parquet"])
def test_import_writes_parquet_and_refuses_another_suffix(tmp_path, name):
    done = CliRunner().invoke(cli, ["trace", "import", str(PROFILE), "--out", str(tmp_path / name)])
    assert isinstance(done.exception, BadInput) and list(tmp_path.iterdir()) == []
    told = str(done.exception)
    assert told.startswith(f"{tmp_path / name}, field --out: does not end in .parquet; name it ")


def test_replays_print_nothing_where_a_later_file_is_refused(imported, tmp_path):
    """Neither one that is no trace, for which none is replayed, nor one that only its replay refuses."""
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 and no more")
    done = CliRunner().invoke(cli, ["trace", "replay", str(imported), str(bad), *FOR])
    assert isinstance(done.exception, BadInput) and "bad.parquet" in str(done.exception) and done.stdout == ""
    rows = tmp_path / "elsewhere.csv"
    rows.write_text("t_ns,task,start,end\n1,a,0,4096\n2,a,0,4096\n")
    elsewhere, slots = tmp_path / "elsewhere.parquet", tmp_path / "slots.csv"
    assert run("import", rows, "--out", elsewhere).exit_code == 0
    slots.write_text(f"start,end\n{2**20},{2**62}\n")
    words = ["trace", "replay", str(imported), str(elsewhere), *FOR, "--memslots", str(slots)]
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, BadInput) and done.stdout == ""


@pytest.mark.parametrize("name", ["import", "summary", "replay"])
def test_every_subcommand_shows_examples(name):
    text = run(name, "--help").stdout
    assert f"costmodel trace {name}" in text.split("Examples:")[1]


@pytest.mark.parametrize("library", sampled(["pyarrow", "numba"], 2))
def test_a_missing_library_names_the_extra(imported, library):
    code = (
        f"import sys; sys.modules[{library!r}] = None; sys.argv = ['costmodel', 'trace', 'summary', {str(imported)!r}]\n"
        "from costmodel.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (f"costmodel: {library} is not installed: {INSTALL.format('trace')}\n")


def test_help_imports_no_heavy_library():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "costmodel", "trace", "replay", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert not imported & {"numpy", "numba", "duckdb", "pyarrow", "sympy", "scipy"}


@pytest.mark.parametrize(
    "rows", sampled(["5,a,0,4096\n5,b,0,4611686018427387000\n", "5,a,0,4096\n", "-9,a,0,1\n9,a,0,1\n"], 3)
)
def test_few_events_and_the_longest_range_print_and_dump(tmp_path, rows):
    source, out = tmp_path / "a.csv", tmp_path / "t.parquet"
    source.write_text("t_ns,task,start,end\n" + rows)
    assert run("import", source, "--out", out).exit_code == 0
    assert json.loads(run("replay", out, *FOR, "--json").stdout)["events"] == rows.count("\n")
    for words in (("replay", out, *FOR), ("summary", out)):
        done = run(*words)
        assert done.exit_code == 0 and max(map(len, done.stdout.splitlines())) <= 72


def test_rate_says_what_reads_a_histogram(tmp_path):
    path = tmp_path / "flushes.txt"
    path.write_text("@wb_us: \n[64, 128)              4 |@@@@ |\n")
    with pytest.raises(BadInput, match="holds no count.*`costmodel measure import` histograms"):
        run("rate", path)
