"""costmodel block, validate and report"""

import json
import re
import shlex
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.errors import CostModelError
from costmodel.report import build, unchanged
from costmodel.validation import scoreboard
from costmodel.validation.row import Row
from tests.shell import shell


def output(*words):
    result = CliRunner().invoke(cli, ["block", *words])
    assert result.exit_code == 0, result.output
    return result.output


CASE = ["--guest", "sev", "--machine", "epyc-7763-2s"]


@pytest.mark.parametrize("workload", ["autonuma-default", "ksm-default", "compaction-thp", "teardown", "idle"])
def test_it_fits_a_commit_message(workload):
    text = output(*CASE, "--workload", workload)
    assert text.isascii() and max(map(len, text.splitlines())) <= 75
    assert " MODEL" in text and "Not covered:" in text


def test_the_printed_command_gives_the_same_block():
    text = output(*CASE, "--strategy", "CLFLUSHOPT_UVA", "--vcpus", "4")
    words = shlex.split(text.split("Again with:\n")[1].rsplit("(costmodel", 1)[0].replace("\\\n", " "))
    assert words[:2] == ["costmodel", "block"] and output(*words[2:]) == text


def test_an_assumed_range_is_called_so():
    note = "4.00 KiB per event (range not published: one 4 KiB page assumed)"
    assert note in " ".join(output(*CASE, "--trigger", "memslot_delete_or_move").split())
    found = json.loads(output(*CASE, "--trigger", "memslot_delete_or_move", "--json"))
    assert found["range_bytes"] == [4096] and found["range_note"]
    assert not json.loads(output(*CASE, "--json"))["range_note"]


def test_an_intra_host_migration_is_about_the_whole_guest():
    text = " ".join(output(*CASE, "--trigger", "intra_host_migration_move_ctx").split())
    assert "14.9 GiB, 14.9 GiB per event." in text


def test_json():
    found = json.loads(output(*CASE, "--measured", "epyc-genoa-4cpu-vm", "--json"))
    assert found["rows"] and found["measured"][0]["values"] and found["upstream"][0]["commit"]
    assert found["data_hash"] and found["asked_hash"] and found["command"].startswith("costmodel block")


@pytest.mark.parametrize(
    "words",
    [
        [*CASE, "--trigger", "x"],
        [*CASE, "--kernel", "1.0"],
        ["--guest", "tdx", "--machine", "epyc-7763-2s"],
        [*CASE, "--measured", "../x"],
    ],
)
def test_errors_are_one_line(words):
    result = CliRunner().invoke(cli, ["block", *words])
    assert isinstance(result.exception, CostModelError) and "\n" not in str(result.exception)


def test_a_row_for_comparison_says_that_it_needs_a_patch():
    text = " ".join(output(*CASE, "--strategy", "CLFLUSHOPT_UVA").split())
    assert "needs a kernel patch" in text
    assert text.count("needs a kernel patch") == 1


# costmodel validate: text, JSON, page, exit codes.


def run(*words):
    return CliRunner().invoke(cli, ["validate", *words])


def test_text_is_ascii_and_fits_a_mail():
    result = run("--section", "claims", "--section", "cost-alone", "--section", "formulas")
    assert result.exit_code == 0
    assert result.stdout.isascii()
    assert all(len(line) <= 72 for line in result.stdout.splitlines())
    assert "What the thread of 2023-08-18 claims: 6 pass, 3 not" in result.stdout
    assert "4 disagree-explained" in result.stdout


def test_long_sections_show_what_does_not_pass_unless_asked_for_all():
    short, long = run("--section", "lore").stdout, run("--section", "lore", "--all").stdout
    assert "more rows: --all" in short
    assert "I08b" in long
    assert "more rows" not in long
    assert len(long) > len(short)


def test_json_counts_every_verdict():
    found = json.loads(run("--section", "upstream", "--json").stdout)
    counts = found["counts"]["upstream"]
    assert sum(counts.values()) == len(found["sections"][0]["rows"])
    assert counts["fail"] == 0
    assert found["failed"] is False


def test_the_page_is_written_whole(tmp_path):
    target = tmp_path / "board.html"
    assert run("--section", "formulas", "--html", str(target)).exit_code == 0
    assert target.read_text().rstrip().endswith("</html>")
    assert [path.name for path in tmp_path.iterdir()] == ["board.html"]


def test_an_unexplained_failure_is_exit_code_1(monkeypatch):
    row = Row(id="x", what="w", figure="f", target="t", verdict="fail", source="s")
    monkeypatch.setitem(scoreboard.SECTIONS, "formulas", lambda evidence: [row])
    result = run("--section", "formulas")
    assert result.exit_code == 1
    assert "FAIL x: w" in result.stdout


def test_an_unknown_section_is_one_line():
    done = shell("validate", "--section", "claim")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "did you mean 'claims'?" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_row_holds_finite_numbers_only(value):
    with pytest.raises(ValueError, match="is not finite"):
        Row(id="x", what="w", figure="f", target="t", verdict="pass", source="s", value=value)


def test_it_says_how_to_get_the_same_again():
    assert "Again with: costmodel validate --section formulas --all" in run("--section", "formulas", "--all").stdout


def test_a_page_without_a_directory_is_refused_before_any_work(tmp_path):
    done = shell("validate", "--html", tmp_path / "none" / "x.html")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "its directory does not exist" in done.stderr


# costmodel report: what stands is left alone, shards share the work.

CASES = ["--workload", "ksm-default", "--kernel", "6.17"]
ONE = ["--guest", "sev", "--machine", "xeon-w9-3475x-1s", *CASES]
HEAVY = ("sympy", "scipy", "pandas", "numpy", "matplotlib", "seaborn", "papermill", "nbformat", "jinja2")


def report(*words, modules=False, code=0):
    """What the command says; with `modules`, of a new process, and which heavy modules it imported."""
    if not modules:
        done = shell("report", *words)
    else:
        script = "import sys; from costmodel.cli import main; sys.argv[0] = 'costmodel'\ntry: main()\n"
        script += f"finally: print(*(set({HEAVY}) & set(sys.modules)), file=sys.stderr)"
        done = subprocess.run([sys.executable, "-c", script, "report", *words], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.notebook
def test_a_report_that_stands_is_left_alone_and_one_that_does_not_is_built(tmp_path):
    """That this machine cannot host the guest type is what the report says, and the exit code with it."""
    command = [*ONE, "--out", str(tmp_path)]
    assert "unchanged" not in report(*command, code=4).stdout
    page = tmp_path / "sev/xeon-w9-3475x-1s.ksm-default.ipynb"
    first, wanted = page.stat().st_ino, page.read_bytes()
    again = report(*command, modules=True, code=4)
    assert again.stdout == f"1 report in {tmp_path}, unchanged\n"
    assert again.stderr.split() == [], "nothing is loaded to find out that nothing is to be done"
    assert page.stat().st_ino == first
    page.write_bytes(wanted.replace(b"ksm-default", b"idle"))
    assert "unchanged" not in report(*command, code=4).stdout
    assert page.read_bytes() == wanted


@pytest.mark.notebook
def test_what_was_built_before_the_command_was_killed_stands(tmp_path):
    words = ["--machine", "xeon-w9-3475x-1s", *CASES, "--jobs", "1", "--out", str(tmp_path)]
    process = subprocess.Popen([sys.executable, "-m", "costmodel", "report", *words], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / unchanged.FILE).exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    assert "Traceback" not in process.communicate()[1], "its workers end without a word"
    found = re.fullmatch(rf"6 reports in {tmp_path}, (\d) unchanged\n", report(*words).stdout)
    assert found and int(found[1]) >= 1


@pytest.mark.notebook
@pytest.mark.nightly
def test_another_report_in_the_same_place_is_no_excuse(tmp_path):
    command = [*ONE, "--out", str(tmp_path)]
    report(*command, code=4)
    page = tmp_path / "sev/xeon-w9-3475x-1s.ksm-default.ipynb"
    wanted = page.read_bytes()
    assert "unchanged" not in report(*command, "-p", "vcpus=3", code=4).stdout
    assert page.read_bytes() != wanted
    assert "unchanged" not in report(*command, code=4).stdout
    assert page.read_bytes() == wanted


@pytest.mark.notebook
@pytest.mark.nightly
def test_shards_make_each_report_once_and_say_who_makes_the_index(tmp_path):
    guests = ["--machine", "xeon-w9-3475x-1s", *CASES, "--out", str(tmp_path)]
    for part in (1, 2, 3):
        said = report(*guests, "--shard", f"{part}/3").stdout
        assert said.startswith(f"2 reports in {tmp_path}; no index: a shard writes none")
    assert len(list(tmp_path.glob("*/*.html"))) == 6
    assert report(*guests).stdout == f"6 reports in {tmp_path}, 6 unchanged\n"


@pytest.mark.notebook
@pytest.mark.nightly
def test_shards_at_the_same_time_lose_nothing_of_each_other(tmp_path):
    words = ["--machine", "xeon-w9-3475x-1s", *CASES, "--out", str(tmp_path)]
    command = [sys.executable, "-m", "costmodel", "report", *words, "--jobs", "1", "--shard"]
    running = [subprocess.Popen([*command, f"{part}/2"], stdout=subprocess.DEVNULL) for part in (1, 2)]
    assert [process.wait() for process in running] == [0, 0]
    assert report(*words).stdout == f"6 reports in {tmp_path}, 6 unchanged\n"


@pytest.mark.notebook
def test_a_report_without_a_place_to_stand_is_bad_input(tmp_path):
    (tmp_path / "sev").write_text("a file")
    done = shell("report", *ONE, "--out", str(tmp_path))
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert f"{tmp_path / 'sev'}" in done.stderr and "Errno" not in done.stderr and "others" not in done.stderr


def test_a_check_says_what_renews_what_is_stale_and_names_every_field(tmp_path):
    words = ["--guest", "sev", "--machine", "xeon-w9-3475x-1s", "--out", str(tmp_path)]
    asked = build.matrix(["sev"], ["xeon-w9-3475x-1s"], {"workload": "autonuma-default", "kernel": "newest"})
    build.write(build.committed(build.artefacts(asked)), tmp_path)
    assert shell("report", "--check", *words).returncode == 0
    done = shell("report", "--check", *words, "--workload", "autonuma-default", "--kernel", "6.12.61")
    assert done.returncode == 1
    (told,) = [line for line in done.stdout.splitlines() if line.startswith("sev/xeon-w9-3475x-1s.json: ")]
    fields = set(re.split(r"[ ,.\[]+", told))
    assert {"command", "kernel", "kernel_version", "asked_hash"} <= fields
    assert done.stdout.splitlines()[-1].endswith("without --check, renews them")


@pytest.mark.parametrize("value", ["0/3", "4/3", "1/0", "1", "a/b", "-1/3", "1/3/3", ""])
def test_a_part_that_there_is_not_is_refused(value):
    result = CliRunner().invoke(cli, ["report", "--shard", value])
    assert isinstance(result.exception, CostModelError) and "I/N" in str(result.exception)


@pytest.mark.parametrize("words", [["--check"], ["--trace", __file__, "--guest", "sev", "--machine", "epyc-7763-2s"]])
def test_a_shard_goes_with_neither_check_nor_trace(words):
    result = CliRunner().invoke(cli, ["report", "--shard", "1/2", *words])
    assert isinstance(result.exception, CostModelError) and "without --check" in str(result.exception)
