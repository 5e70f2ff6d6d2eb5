"""The command line as a shell sees it."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from costmodel.cli import COMMANDS, cli
from costmodel.errors import CostModelError, ExitCode
from costmodel.evidence.paths import notebooks_dir
from tests.samples import sampled
from tests.shell import heard, shell


@pytest.mark.parametrize(
    "words",
    [
        ("recommend", "--guest", "sevv", "--machine", "epyc-7763-2s"),
        ("recommend", "--guest", "sev", "--machine", "epyc"),
        ("recommend", "--guest", "sev", "--machine", "epyc-7763-2s", "--kernel", "1.0"),
        ("admissible", "--guest", "sev", "--trigger", "ksm"),
        ("formula", "flush"),
        ("breakeven", "--machine", "epyc-7763-2s", "--between", "A", "B", "--over", "cpus"),
        ("calibrate", "--machine", "none"),
        ("calibrate", "--host", "none"),
        ("predict", "--machine", "epyc-7763-2s", "--cells", "-"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words):
    done = shell(*words, text="")
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_an_unknown_option_is_exit_code_2():
    assert shell("recommend", "--gest", "sev").returncode == 2


def test_a_closed_pipe_is_no_traceback():
    shell = f"{sys.executable} -m costmodel list triggers | head -1"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_help_needs_no_heavy_library():
    code = (
        "import sys; from costmodel.cli import cli\n"
        "try: cli(['--help'], standalone_mode=False)\n"
        "finally: print(sorted(set(sys.modules) & {'numpy','scipy','sympy','papermill','matplotlib','pydantic'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_shows_an_example(name):
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    if name != "audit":
        assert "Example" in result.output


@pytest.mark.parametrize("kind", ["guests", "machines", "workloads", "strategies", "triggers", "kernels", "formulas"])
def test_lists_are_json_where_a_script_follows(kind):
    found = json.loads(CliRunner().invoke(cli, ["list", kind, "--json"]).output)
    assert found and all(entry["id"] for entry in found)
    text = CliRunner().invoke(cli, ["list", kind]).output
    assert [line.split()[0] for line in text.splitlines()] == [entry["id"] for entry in found]


def test_a_command_that_is_almost_one_is_named():
    done = shell("recomend")
    assert done.returncode == 2 and "Did you mean 'recommend'?" in done.stderr and len(done.stderr.splitlines()) == 1


def test_ids_are_known_in_any_case_and_sizes_with_their_units():
    words = ("--guest", "SEV", "--machine", "Milan", "--workload", "KSM-default", "--kernel", "NEWEST")
    found = json.loads(shell("recommend", *words, "--resident-bytes", "16G", "--json").stdout)
    assert (found["guest"], found["machine"], found["workload"]) == ("sev", "epyc-7763-2s", "ksm-default")
    assert found["scenario"]["resident_bytes"] == 2.0**34


def test_a_size_that_is_none_is_one_line():
    done = shell("recommend", "--guest", "sev", "--machine", "milan", "--resident-bytes", "16cows")
    assert done.returncode == 2 and "'16cows' is no size above zero; write bytes, or 16G" in done.stderr


# Exit codes are those of ExitCode, and whatever the system refuses is one line on standard error.

CASE = ("--guest", "plain", "--machine", "epyc-7763-2s")


def run_exit_codes(*words, set_up=None, **environment):
    kept = {name: value for name, value in {**os.environ, **environment}.items() if value is not None}
    return subprocess.run(
        [sys.executable, "-m", "costmodel", *map(str, words)],
        capture_output=True,
        text=True,
        env=kept,
        preexec_fn=set_up,
        check=False,
    )


def refused(done, said, code=ExitCode.BAD_INPUT):
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("costmodel: ") and said in last


def test_done_is_0():
    assert run_exit_codes("list", "guests").returncode == ExitCode.OK


def test_a_failed_check_is_1(tmp_path):
    assert shell("report", "--check", *CASE, "--out", tmp_path).returncode == ExitCode.CHECK_FAILED


def test_a_place_that_is_no_directory_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    done = shell("report", *CASE, "--out", tmp_path / "file/under")
    refused(done, "cannot be written")
    assert "costs" not in done.stderr, "nothing was costed"
    refused(shell("report", *CASE, "--out", "/proc/nowhere"), "cannot be written")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "words",
    [("list", "triggers"), pytest.param(("formula", "range_flush"), marks=pytest.mark.nightly), ("--help",)],
    ids=" ".join,
)
def test_a_full_disk_behind_standard_output_is_one_line(words):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "costmodel", *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    refused(done, "No space left on device")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody unknown")
def test_a_user_without_home_and_name_gets_an_answer():
    try:
        done = run_exit_codes("list", "machines", set_up=lambda: os.setuid(54321), HOME=None, XDG_CACHE_HOME=None)
    except PermissionError:
        pytest.skip("that user cannot read the interpreter")
    assert done.returncode == ExitCode.OK and "epyc-7763-2s" in done.stdout


@pytest.mark.nightly
def test_too_few_file_descriptors_are_one_line(tmp_path):
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (14, 14))

    done = run_exit_codes("report", *CASE, "--out", tmp_path, set_up=few)
    assert done.returncode in (ExitCode.BAD_INPUT, ExitCode.REPORT_FAILED)
    assert "Traceback" not in done.stderr and "Too many open files" in done.stderr


@pytest.mark.nightly
def test_no_temporary_directory_is_one_line(tmp_path):
    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))

    done = run_exit_codes("report", *CASE, "--out", tmp_path, set_up=small)
    assert done.returncode in (ExitCode.BAD_INPUT, ExitCode.REPORT_FAILED)
    assert "Traceback" not in done.stderr and "costmodel: " in done.stderr


@pytest.mark.nightly
@pytest.mark.notebook
def test_a_long_temporary_directory_is_no_hindrance_and_keeps_nothing(tmp_path):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    done = run_exit_codes("report", *CASE, "--out", tmp_path / "out", TMPDIR=str(long))
    assert done.returncode == ExitCode.OK, done.stderr
    assert (tmp_path / "out/plain/epyc-7763-2s.html").is_file()
    assert list(long.iterdir()) == []


@pytest.fixture
def notebooks(tmp_path):
    """The notebooks, the report's one with a cell that `breaks`."""

    def made(source):
        folder = tmp_path / "notebooks"
        shutil.copytree(notebooks_dir(), folder)
        path = folder / "flush_strategy.ipynb"
        book = json.loads(path.read_text())
        book["cells"][-2]["source"] = source
        path.write_text(json.dumps(book))
        return str(folder)

    return made


A_GIBIBYTE_MORE = """
import resource
from pathlib import Path
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 2**30, held + 2**30))
"""
"""A limit of the address space that leaves the kernel room to say that it was reached."""


@pytest.mark.notebook
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("1 / 0", "ZeroDivisionError"),
        pytest.param(
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "the kernel died", marks=pytest.mark.nightly
        ),
        pytest.param(A_GIBIBYTE_MORE + "bytearray(2**34)", "MemoryError", marks=pytest.mark.nightly),
    ],
    ids=["a cell that fails", "a killed kernel", "a memory limit"],
)
def test_a_failed_report_is_3_and_says_why(tmp_path, notebooks, monkeypatch, source, said):
    monkeypatch.setenv("COSTMODEL_NOTEBOOKS", notebooks(source))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    done = shell("report", *CASE, "--out", tmp_path / "out")
    refused(done, said, ExitCode.REPORT_FAILED)
    assert "plain/epyc-7763-2s" in done.stderr
    assert not list((tmp_path / "out").rglob("*.html"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notebooks", "out"], "temporary files are gone"


@pytest.mark.nightly
@pytest.mark.notebook
@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, ExitCode.INTERRUPTED, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, ExitCode.TERMINATED, id="SIGTERM"),
        pytest.param(signal.SIGHUP, ExitCode.HUNG_UP, id="SIGHUP"),
    ],
)
def test_a_signal_ends_a_report_and_has_its_code(tmp_path, notebooks, number, code):
    folder = notebooks(f"open({str(tmp_path / 'begun')!r}, 'w'); import time; time.sleep(600)")
    words = [sys.executable, "-m", "costmodel", "report", *CASE, "--out", str(tmp_path / "out")]
    environment = {**os.environ, "COSTMODEL_NOTEBOOKS": folder, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=heard)
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, text = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun", "notebooks", "out"]


def test_output_that_is_closed_from_the_start_is_no_failure():
    run = f"{sys.executable} -m costmodel list guests >&-"
    done = subprocess.run(["sh", "-c", run], stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_pipe_is_141():
    shell = f"{sys.executable} -m costmodel list triggers --json; echo $? >&2"
    process = subprocess.Popen(["sh", "-c", shell], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read().strip() == str(int(ExitCode.PIPE_CLOSED))
    process.wait()


def test_every_code_is_told_where_a_user_looks():
    import costmodel

    text = (Path(costmodel.__file__).parent.parent / "docs" / "manual.md").read_text()
    for code in ExitCode:
        assert re.search(rf"^\| (?:\d+, )*{int(code)}(?:, \d+)* \|", text, re.MULTILINE), code


@pytest.fixture
def open_to_all():
    """A folder that any user may enter, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def run_without_threads(folder, *words):
    """The limit does not hold for root, so root runs it as nobody."""
    as_nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups") if os.geteuid() == 0 else ()
    if as_nobody and not shutil.which("setpriv"):
        pytest.skip("needs setpriv")
    done = subprocess.run(
        [*as_nobody, sys.executable, "-m", "costmodel", *map(str, words)],
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"} | {"XDG_CACHE_HOME": str(folder)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NPROC, (1, 1)),
        check=False,
    )
    if "ermission denied" in done.stderr or "No module named" in done.stderr:
        pytest.skip("that user cannot read the interpreter or the package")
    return done


@pytest.mark.nightly
def test_linear_algebra_needs_no_further_thread(open_to_all):
    """The library would print four lines and raise SIGINT."""
    done = run_without_threads(open_to_all, "calibrate", "--machine", "epyc-7763-2s", "--json")
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")


@pytest.mark.parametrize("name", sampled(["t.csv", "t.parquet"], 2))
def test_where_no_thread_can_be_started_that_is_said_in_one_line(open_to_all, name):
    pytest.importorskip("pyarrow")
    trace = open_to_all / "t.csv"
    trace.write_text("t_ns,task,start,end\n1,x,0,4096\n")
    assert shell("trace", "import", trace, "--out", open_to_all / "t.parquet").returncode == ExitCode.OK
    words = ("summary",) if name == "t.parquet" else ("import", "--out", open_to_all / "again.parquet")
    refused(run_without_threads(open_to_all, "trace", *words, open_to_all / name), "no further thread or process")
    assert not (open_to_all / "again.parquet").exists()


TDX_ON_AMD = ("--guest", "tdx", "--machine", "epyc-7763-2s")


def test_what_is_not_applicable_is_4():
    """`recommend` answers on standard output; the others refuse in one line."""
    done = run_exit_codes("recommend", *TDX_ON_AMD)
    assert done.returncode == ExitCode.NOT_APPLICABLE and "Not applicable: Intel TDX needs an Intel CPU" in done.stdout
    assert json.loads(shell("recommend", *TDX_ON_AMD, "--json").stdout)["applicable"] is False
    refused(shell("cost", *TDX_ON_AMD), "needs an Intel CPU", ExitCode.NOT_APPLICABLE)
    for words in (
        ("recommend", *CASE, "--vms", "tdx=2"),
        ("contention", *TDX_ON_AMD),
        ("compare", "--kernel", "6.6", "--kernel", "6.17", *TDX_ON_AMD),
        ("block", *TDX_ON_AMD),
    ):
        error = CliRunner().invoke(cli, words).exception
        assert isinstance(error, CostModelError) and error.exit_code == ExitCode.NOT_APPLICABLE, words
        assert "needs an Intel CPU" in str(error)


def test_the_list_in_the_manual_is_that_of_the_program():
    manual = (Path(__file__).parents[2] / "docs" / "manual.md").read_text()
    table = manual.partition("| exit code | meaning |")[2].partition("\n\n")[0]
    listed = {int(code) for line in table.splitlines()[2:] for code in re.findall(r"\d+", line.split("|")[1])}
    assert listed == set(ExitCode)


# What a shell gets for bad words: exit code 2, one line on stderr, nothing on stdout, no traceback.

CASE_ONE_LINE_ERRORS = ("--guest", "sev", "--machine", "epyc-7763-2s")


def refused_one_line_errors(done):
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


@pytest.mark.parametrize(
    ("words", "named"),
    sampled(
        [
            (("recommend", "--guest", "sevv", "--machine", "epyc-7763-2s"), "'sevv'"),
            (("recommend", "--guest", "sev", "--machine", "epyc"), "'epyc'"),
            (("recommend", *CASE_ONE_LINE_ERRORS, "--workload", "nothing"), "'nothing'"),
            (("recommend", *CASE_ONE_LINE_ERRORS, "--kernel", "six"), "'six'"),
            (("recommend", *CASE_ONE_LINE_ERRORS, "--kernel", "4.19"), "4.19"),
            (("cost", *CASE_ONE_LINE_ERRORS, "--trigger", "nothing"), "'nothing'"),
            (("admissible", "--guest", "sev", "--trigger", "ksm"), "'ksm'"),
            (("admissible", "--guest", "sev", "--trigger", "unreg_region", "--assume", "moon=true"), "'moon'"),
            (("breakeven", "--machine", "epyc", "--between", "NO_FLUSH", "WBINVD_ALL", "--over", "cpus"), "'epyc'"),
            (("formula", "a\nb"), r"'a\nb'"),
        ],
        3,
    ),
)
def test_an_unknown_name_is_one_line_that_quotes_it(words, named):
    done = shell(*words)
    refused_one_line_errors(done)
    assert len(done.stderr.splitlines()) == 1
    assert named in done.stderr


USAGE = [
    ("recommend", "--gest", "sev"),
    ("recommend",),
    ("nothing",),
    ("list", "nothing"),
    ("cost", *CASE_ONE_LINE_ERRORS, "--vcpus", "-1"),
    ("admissible", "--batch", "/nonexistent/cells.csv"),
]


@pytest.mark.parametrize("words", USAGE, ids=" ".join)
def test_a_wrong_option_is_refused(words):
    refused_one_line_errors(shell(*words))


@pytest.mark.parametrize("words", USAGE, ids=" ".join)
def test_a_wrong_option_is_one_line(words):
    assert len(shell(*words).stderr.splitlines()) == 1


def test_a_kernel_of_many_digits_is_no_traceback():
    refused_one_line_errors(shell("recommend", *CASE_ONE_LINE_ERRORS, "--kernel", "6." + "9" * 5000))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_help_shows_an_example_that_calls_the_command(name):
    text = CliRunner().invoke(cli, [name, "--help"]).stdout
    assert "Example" in text
    assert f"costmodel {name}" in text.split("Example", 1)[1]


def test_the_help_names_every_command_and_examples():
    text = CliRunner().invoke(cli, ["--help"]).stdout
    assert "Examples" in text
    assert all(f"  {name} " in text for name in COMMANDS)


HEAVY = ("sympy", "scipy", "numpy", "papermill", "nbformat", "matplotlib")


@pytest.mark.parametrize("words", ["--help", *sampled(["list guests", "--version", "admissible --help"], 3)])
def test_a_light_command_imports_no_heavy_library(words):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "costmodel", *words.split()],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "costmodel" in imported and "click" in imported
    assert not imported & set(HEAVY)


# Shell completion through click's own protocol: what bash, zsh and fish ask, and what they get.

START = "import sys; sys.argv[0] = 'costmodel'; from costmodel.cli import main; main()"
"""The installed script: click makes the name of its variable from that of the program."""


def ask(instruction, line="", **more):
    environment = {**os.environ, "_COSTMODEL_COMPLETE": instruction, "COMP_WORDS": line, **more}
    environment.setdefault("COMP_CWORD", str(len(line.split()) - 1 if not line.endswith(" ") else len(line.split())))
    done = subprocess.run(
        [sys.executable, "-c", START],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def offered(line):
    """(type, value) of what bash is offered for the last word of the line."""
    return [tuple(item.split(",", 1)) for item in ask("bash_complete", line).splitlines()]


def names(line):
    return [value for kind, value in offered(line) if kind == "plain"]


@pytest.mark.parametrize(
    ("line", "expected"),
    sampled(
        [
            ("costmodel rec", ["recommend"]),
            ("costmodel recommend --guest sev-s", ["sev-snp", "sev-snp-gmem"]),
            ("costmodel recommend --guest SEV-S", ["sev-snp", "sev-snp-gmem"]),
            ("costmodel recommend --workload ksm", ["ksm-default"]),
            ("costmodel recommend --kernel v7", ["v7.3-rc"]),
            ("costmodel cost --trigger ksm", ["ksm_write_protect", "ksm_replace_page"]),
            ("costmodel formula range", ["range_flush", "range_lines"]),
            ("costmodel recommend --vmm q", ["qemu"]),
            ("costmodel breakeven --between wbno", ["WBNOINVD_ALL", "WBNOINVD_MASK"]),
            ("costmodel list mach", ["machines"]),
        ],
        3,
    ),
)
def test_ids_are_completed_in_any_case(line, expected):
    found = names(line)
    assert set(expected) <= set(found)
    typed = line.split()[-1].casefold()
    assert all(one.casefold().startswith(typed) for one in found)


def test_a_machine_is_a_name_or_a_file():
    found = offered("costmodel recommend --machine epyc-7")
    assert ("file", "epyc-7") in found
    assert {"epyc-7763-2s", "epyc-7742-2s"} <= {value for kind, value in found if kind == "plain"}
    assert "this" in names("costmodel machine show th")


def test_what_was_typed_before_neither_reads_standard_input_nor_fails():
    assert "sev" in names("costmodel recommend --machine - --guest se")
    assert "sev" in names("costmodel recommend --machine no-such-machine --kernel nonsense --guest se")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell):
    script = ask(f"{shell}_source")
    assert re.search(rf"_COSTMODEL_COMPLETE=\\?{shell}_complete", script)


@pytest.mark.parametrize(
    ("program", "line", "more"),
    sampled(
        [
            ("zsh", "costmodel recommend --guest td", {}),
            ("fish", "costmodel recommend --guest td", {"COMP_CWORD": "td"}),
        ],
        2,
    ),
)
def test_zsh_and_fish_are_offered_the_same(program, line, more):
    assert "tdx" in ask(f"{program}_complete", line, **more)
