"""Exit codes are those of ExitCode, and whatever the system refuses is one line on standard error."""

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

from costmodel.errors import ExitCode
from costmodel.evidence.paths import notebooks_dir

CASE = ("--guest", "plain", "--machine", "epyc-7763-2s")


def run(*words, set_up=None, **environment):
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
    assert run("list", "guests").returncode == ExitCode.OK


def test_a_failed_check_is_1(tmp_path):
    assert run("report", "--check", *CASE, "--out", tmp_path).returncode == ExitCode.CHECK_FAILED


def test_a_place_that_is_no_directory_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("report", *CASE, "--out", tmp_path / "file/under")
    refused(done, "cannot be written")
    assert "costs" not in done.stderr, "nothing was costed"
    refused(run("report", *CASE, "--out", "/proc/nowhere"), "cannot be written")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [("list", "triggers"), ("formula", "range_flush"), ("--help",)], ids=" ".join)
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
        done = run("list", "machines", set_up=lambda: os.setuid(54321), HOME=None, XDG_CACHE_HOME=None)
    except PermissionError:
        pytest.skip("that user cannot read the interpreter")
    assert done.returncode == ExitCode.OK and "epyc-7763-2s" in done.stdout


def test_too_few_file_descriptors_are_one_line(tmp_path):
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (14, 14))

    done = run("report", *CASE, "--out", tmp_path, set_up=few)
    assert done.returncode in (ExitCode.BAD_INPUT, ExitCode.REPORT_FAILED)
    assert "Traceback" not in done.stderr and "Too many open files" in done.stderr


def test_no_temporary_directory_is_one_line(tmp_path):
    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))

    done = run("report", *CASE, "--out", tmp_path, set_up=small)
    assert done.returncode in (ExitCode.BAD_INPUT, ExitCode.REPORT_FAILED)
    assert "Traceback" not in done.stderr and "costmodel: " in done.stderr


@pytest.mark.nightly
@pytest.mark.notebook
def test_a_long_temporary_directory_is_no_hindrance_and_keeps_nothing(tmp_path):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    done = run("report", *CASE, "--out", tmp_path / "out", TMPDIR=str(long))
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


@pytest.mark.notebook
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("1 / 0", "ZeroDivisionError"),
        pytest.param(
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "the kernel died", marks=pytest.mark.nightly
        ),
        pytest.param(
            "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)); bytearray(2**34)",
            "MemoryError",
            marks=pytest.mark.nightly,
        ),
    ],
    ids=["a cell that fails", "a killed kernel", "a memory limit"],
)
def test_a_failed_report_is_3_and_says_why(tmp_path, notebooks, source, said):
    done = run("report", *CASE, "--out", tmp_path / "out", COSTMODEL_NOTEBOOKS=notebooks(source), TMPDIR=str(tmp_path))
    refused(done, said, ExitCode.REPORT_FAILED)
    assert "plain/epyc-7763-2s" in done.stderr
    assert not list((tmp_path / "out").rglob("*.html"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notebooks", "out"], "temporary files are gone"


@pytest.mark.notebook
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)],
    ids=["Ctrl-C", "SIGTERM"],
)
def test_a_signal_ends_a_report_and_has_its_code(tmp_path, notebooks, number, code):
    folder = notebooks(f"open({str(tmp_path / 'begun')!r}, 'w'); import time; time.sleep(600)")
    words = [sys.executable, "-m", "costmodel", "report", *CASE, "--out", str(tmp_path / "out")]
    environment = {**os.environ, "COSTMODEL_NOTEBOOKS": folder, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment)
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, text = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun", "notebooks", "out"]


def test_a_closed_pipe_is_141():
    shell = f"{sys.executable} -m costmodel list triggers --json; echo $? >&2"
    process = subprocess.Popen(["sh", "-c", shell], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read().strip() == str(int(ExitCode.PIPE_CLOSED))
    process.wait()


def test_every_code_is_told_where_a_user_looks():
    import costmodel

    readme = Path(costmodel.__file__).parent.parent / "README.md"
    text = readme.read_text()
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


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_where_no_thread_can_be_started_that_is_said_in_one_line(open_to_all, name):
    pytest.importorskip("pyarrow")
    trace = open_to_all / "t.csv"
    trace.write_text("t_ns,task,start,end\n1,x,0,4096\n")
    assert run("trace", "import", trace, "--out", open_to_all / "t.parquet").returncode == ExitCode.OK
    words = ("summary",) if name == "t.parquet" else ("import", "--out", open_to_all / "again.parquet")
    refused(run_without_threads(open_to_all, "trace", *words, open_to_all / name), "no further thread or process")
    assert not (open_to_all / "again.parquet").exists()


TDX_ON_AMD = ("--guest", "tdx", "--machine", "epyc-7763-2s")


def test_what_is_not_applicable_is_4():
    """`recommend` answers on standard output; the others refuse in one line."""
    done = run("recommend", *TDX_ON_AMD)
    assert done.returncode == ExitCode.NOT_APPLICABLE and "Not applicable: Intel TDX needs an Intel CPU" in done.stdout
    assert json.loads(run("recommend", *TDX_ON_AMD, "--json").stdout)["applicable"] is False
    for words in (
        ("recommend", *CASE, "--vms", "tdx=2"),
        ("cost", *TDX_ON_AMD),
        ("contention", *TDX_ON_AMD),
        ("compare", "--kernel", "6.6", "--kernel", "6.17", *TDX_ON_AMD),
        ("block", *TDX_ON_AMD),
    ):
        refused(run(*words), "needs an Intel CPU", ExitCode.NOT_APPLICABLE)


def test_the_list_in_the_readme_is_that_of_the_program():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    table = readme.partition("| exit code | meaning |")[2].partition("\n\n")[0]
    listed = {int(code) for line in table.splitlines()[2:] for code in re.findall(r"\d+", line.split("|")[1])}
    assert listed == set(ExitCode)
