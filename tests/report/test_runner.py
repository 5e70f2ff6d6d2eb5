"""A report counts only if every cell ran: whatever else happens is ReportFailed and leaves no file."""

import importlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from multiprocessing.connection import Connection
from pathlib import Path

import nbformat
import pytest

from costmodel.errors import BadInput, UnknownName
from costmodel.report import runner, warm
from costmodel.report.runner import ProcessDied, in_processes
from tests.samples import sampled

pytestmark = pytest.mark.notebook
PRINT_SENTINEL = f"print({runner.SENTINEL!r})"


@pytest.fixture
def make(tmp_path):
    """Write a notebook of the given code cells; the last one is tagged unless `tag` is empty."""

    def write(*sources, tag="sentinel", name="tiny.ipynb"):
        book = nbformat.v4.new_notebook()
        book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        book.cells = [nbformat.v4.new_code_cell(source) for source in sources]
        if sources and sources[0].startswith("n: int"):
            book.cells[0].metadata["tags"] = ["parameters"]
        if tag:
            book.cells[-1].metadata["tags"] = [tag]
        path = tmp_path / name
        nbformat.write(book, path)
        return path

    return write


@pytest.fixture
def outputs(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture(params=["warm", pytest.param("kernel", marks=pytest.mark.nightly)])
def engine(request):
    runner.prepare(request.param)
    return request.param


def fails(notebook, outputs, engine, **options):
    """Run, expect ReportFailed, no file, no change of the environment, no process; return the error."""
    before = dict(os.environ)
    with pytest.raises(runner.ReportFailed) as caught:
        runner.run(notebook, {}, outputs / "result.ipynb", engine=engine, **options)
    assert list(outputs.iterdir()) == []
    assert dict(os.environ) == before
    assert caught.value.notebook == notebook.name
    return caught.value


def test_a_cell_that_raises(make, outputs, engine):
    error = fails(make("1", "raise ValueError('broken on purpose')", PRINT_SENTINEL), outputs, engine)
    assert error.cell == 2
    assert "broken on purpose" in str(error)


def test_a_killed_kernel(make, outputs, engine):
    error = fails(make("1", "import os\nos.kill(os.getpid(), 9)", PRINT_SENTINEL), outputs, engine)
    assert error.cell in (2, None)
    assert "died" in str(error)


def test_a_cell_over_the_time_limit(make, outputs, engine):
    error = fails(make("1", "import time\ntime.sleep(60)", PRINT_SENTINEL), outputs, engine, timeout_s=2)
    assert error.cell in (2, None)
    assert "2 s" in str(error)


def test_an_early_exit_is_no_success(make, outputs, engine):
    error = fails(make("1", "import sys\nsys.exit(0)", PRINT_SENTINEL), outputs, engine)
    assert error.cell == 2


@pytest.mark.parametrize(
    ("sources", "tag"),
    [
        pytest.param(("1", PRINT_SENTINEL), "", id="no tag"),
        pytest.param(("1", "print('done')"), "sentinel", id="other text"),
        pytest.param((f"{runner.SENTINEL!r}",), "sentinel", id="a value, not printed"),
    ],
)
def test_a_missing_sentinel(make, outputs, engine, sources, tag):
    fails(make(*sources, tag=tag), outputs, engine)


def test_a_kernel_that_ends_without_a_word(make, outputs, engine):
    error = fails(make("1", "import os\nos._exit(3)", PRINT_SENTINEL), outputs, engine)
    assert "died" in str(error)


FAITHFUL = (
    "n: int = 1",
    "import sys\n(__name__, sys.argv[0].rsplit('/', 1)[-1], len(sys.argv), sys.stdin.read())",
    "import os\nos.getpid() == os.getsid(0) == os.getpgid(0)",
    "os.write(1, b'raw');\nimport subprocess\nsubprocess.run(['echo', 'from a child'])",
    "import logging, warnings\nlogging.warning('told')\nwarnings.warn('careful', stacklevel=1)\nprint('and', file=sys.stderr)",
    "get_ipython(), _, len(Out)",
    "%matplotlib inline\nimport matplotlib\nfrom matplotlib import pyplot\npyplot.plot([1, n]);",
    "pyplot.subplots()[1].set_title('two')\nmatplotlib.get_backend()",
    "import seaborn\nseaborn.set_theme()\nseaborn.lineplot(x=[1, 2], y=[3, n])",
    "import sympy\nsympy.init_printing()\nsympy.Symbol('x') ** n",
    "import asyncio\nawait asyncio.sleep(0, 'awaited')",
    "import threading\nfound = []\none = threading.Thread(target=found.append, args=(n,))\none.start(), one.join(), found",
    "sorted(name for name in dir() if not name.startswith('_'))",
    PRINT_SENTINEL,
)


@pytest.mark.nightly
def test_a_forked_kernel_is_a_kernel(make, outputs):
    """Everything that a cell can see is as in a kernel that papermill starts; only addresses in memory differ."""
    notebook = make(*FAITHFUL)
    runner.prepare("warm")
    shown = {}
    for engine in ("kernel", "warm"):
        runner.run(notebook, {"n": 3}, outputs / engine, engine=engine)
        text = re.sub(r"/ipykernel_\d+/\d+\.py|0x[0-9a-f]+", "", (outputs / engine).read_text())
        shown[engine] = json.loads(text)["cells"]
    for one, other in zip(shown["kernel"], shown["warm"], strict=True):
        assert streams(one) == streams(other)
        one["outputs"], other["outputs"] = displays(one), displays(other)
        assert one == other
    kinds = [kind for cell in shown["warm"] for output in displays(cell) for kind in output["data"]]
    assert kinds.count("image/png") == 4, "three plots and a formula"
    assert kinds.count("text/latex") == 1


def displays(cell):
    return [output for output in cell["outputs"] if output["output_type"] != "stream"]


def streams(cell):
    """What the cell wrote, whole: it arrives in as many pieces as it took time."""
    shown = [output for output in cell["outputs"] if output["output_type"] == "stream"]
    names = {output["name"] for output in shown}
    return {name: "".join(line for o in shown if o["name"] == name for line in o["text"]) for name in names}


def test_a_warm_run_leaves_nothing_for_the_next(make, outputs):
    """Neither names nor modules nor settings of one notebook are there in another."""
    runner.prepare("warm")
    change = "left = 1\nimport sys, types, os\nsys.modules['left'] = types\nos.environ['LEFT'] = '1'\nos.chdir('/')"
    runner.run(make(change, PRINT_SENTINEL, name="first.ipynb"), {}, outputs / "first", engine="warm")
    look = (
        "import os, sys\nassert 'left' not in globals() and 'left' not in sys.modules\nassert 'LEFT' not in os.environ"
    )
    runner.run(make(look, "assert os.getcwd() != '/'", PRINT_SENTINEL), {}, outputs / "second", engine="warm")
    assert "LEFT" not in os.environ and "left" not in sys.modules


STARTS_CHILDREN = """
import os, subprocess, sys
from pathlib import Path
child = subprocess.Popen(['sleep', '600'])
fork = os.fork()
if not fork:
    os.execvp('sleep', ['sleep', '600'])
Path({where!r}).write_text(f'{{child.pid}} {{fork}} {{os.getpid()}}')
"""


@pytest.mark.parametrize(
    "end",
    ["", "1 / 0", "os._exit(1)", "os.kill(os.getpid(), 9)", "import time\ntime.sleep(60)"],
    ids=["well", "raises", "exits", "killed", "too long"],
)
def test_what_a_notebook_starts_ends_with_it(make, outputs, tmp_path, end):
    runner.prepare("warm")
    noted = tmp_path / "pids"
    notebook = make(STARTS_CHILDREN.format(where=str(noted)), end or "1", PRINT_SENTINEL)
    if end:
        fails(notebook, outputs, "warm", timeout_s=3)
    else:
        runner.run(notebook, {}, outputs / "result.ipynb", engine="warm")
    gone(noted)


def gone(noted):
    """None of the processes whose numbers are in the file lives any more."""
    for pid in map(int, noted.read_text().split()):
        deadline = time.monotonic() + 60
        while Path(f"/proc/{pid}").exists() and "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
            assert time.monotonic() < deadline, f"process {pid} is left"
            time.sleep(0.05)


def test_a_forked_kernel_ends_with_the_process_that_runs_it(make, outputs, tmp_path):
    """Also where that is killed without a chance to clean up."""
    runner.prepare("warm")
    noted = tmp_path / "pids"
    notebook = make(STARTS_CHILDREN.format(where=str(noted)), "os.kill(os.getppid(), 9)", PRINT_SENTINEL)

    def act(job):
        runner.run(notebook, {}, outputs / "result.ipynb", engine="warm")

    ((_, found),) = in_processes(act, [1], 1)
    assert isinstance(found, ProcessDied) and "SIGKILL" in str(found)
    gone(noted)


def test_a_forked_kernel_has_its_sockets_before_anybody_connects(make, outputs, monkeypatch):
    """Whoever connects before that tries again a fifth of a second later."""
    runner.prepare("warm")
    launch, there = warm.ForkProvisioner.launch_kernel, []

    async def launched(self, cmd, **more):
        told = await launch(self, cmd, **more)
        places = [f"{told['ip']}-{told[f'{name}_port']}" for name in ("shell", "iopub", "stdin", "control", "hb")]
        there.extend(Path(place).is_socket() for place in places)
        return told

    monkeypatch.setattr(warm.ForkProvisioner, "launch_kernel", launched)
    runner.run(make(PRINT_SENTINEL), {}, outputs / "result.ipynb", engine="warm")
    assert there == [True] * 5


@pytest.mark.parametrize(
    "settings", [{"MPLBACKEND": "TkAgg"}, {"MPLBACKEND": "nonsense"}, {"MATPLOTLIBRC": "matplotlibrc"}]
)
def test_what_a_user_set_for_matplotlib_is_not_asked(make, outputs, tmp_path, monkeypatch, settings):
    (tmp_path / "matplotlibrc").write_text("figure.facecolor: red\n")
    monkeypatch.chdir(tmp_path)
    runner.prepare("warm")
    drawn = "from costmodel.report import drawing\nfigure, _ = drawing.new_figure(2.0, 2.0)\nprint(drawing.svg(figure, 'x'))"
    notebook = make(
        f"from costmodel.report.drawing import own_style\nwith own_style():\n    {drawn.replace(chr(10), chr(10) + '    ')}",
        PRINT_SENTINEL,
    )
    runner.run(notebook, {}, outputs / "usual.ipynb", engine="kernel")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    for engine in ("warm", "kernel"):
        runner.run(notebook, {}, outputs / f"{engine}.ipynb", engine=engine)
        assert (outputs / f"{engine}.ipynb").read_bytes() == (outputs / "usual.ipynb").read_bytes()


def test_papermill_knows_the_engine_by_name(make, outputs):
    import papermill

    runner.prepare("warm")
    done = papermill.execute_notebook(
        str(make("n: int = 1", "n + 1", PRINT_SENTINEL)),
        str(outputs / "out.ipynb"),
        parameters={"n": 4},
        engine_name=warm.register(),
        progress_bar=False,
    )
    assert done.cells[2].outputs[0].data["text/plain"] == "5"
    entry = tomllib.loads((Path(runner.__file__).parents[2] / "pyproject.toml").read_text())
    module, _, name = entry["project"]["entry-points"]["papermill.engine"][warm.NAME].partition(":")
    assert getattr(importlib.import_module(module), name) is warm.WarmEngine


@pytest.mark.parametrize("first", sampled(["costmodel.report.warm", "papermill"], 2))
def test_the_engine_is_found_whichever_module_is_imported_first(first):
    """papermill loads every entry point while it is half imported itself."""
    grammars = "import sys; sys.modules['rfc3987_syntax'] = None"  # as in tests/conftest.py: they take seconds
    script = (
        f"{grammars}; import {first}; from papermill.engines import papermill_engines; "
        "papermill_engines.get_engine('costmodel')"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_two_runs_give_the_same_bytes(make, outputs):
    notebook = make(
        "n: int = 1", "from IPython.display import HTML, display\ndisplay(HTML(f'<p>{n}</p>'))", PRINT_SENTINEL
    )
    source = notebook.read_bytes()
    one, two = outputs / "one.ipynb", outputs / "two.ipynb"
    executed = runner.run(notebook, {"n": 7}, one)
    runner.run(notebook, {"n": 7}, two)
    assert one.read_bytes() == two.read_bytes()
    assert sorted(path.name for path in outputs.iterdir()) == ["one.ipynb", "two.ipynb"]
    assert notebook.read_bytes() == source
    text = one.read_text()
    assert str(notebook.parent) not in text
    assert "start_time" not in text
    nbformat.validate(nbformat.reads(text, as_version=4))
    shown = [
        output.data["text/html"] for cell in executed.cells for output in cell.get("outputs", []) if "data" in output
    ]
    assert shown == ["<p>7</p>"]


def test_a_failure_keeps_the_older_report(make, outputs):
    old = outputs / "result.ipynb"
    old.write_text("the report of yesterday")
    with pytest.raises(runner.ReportFailed):
        runner.run(make("1 / 0", PRINT_SENTINEL), {}, old)
    assert old.read_text() == "the report of yesterday"
    assert [path.name for path in outputs.iterdir()] == ["result.ipynb"]


def test_a_notebook_without_code_is_no_report():
    empty = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("nothing")])
    with pytest.raises(runner.ReportFailed):
        runner._verify("empty.ipynb", empty, None)
    with pytest.raises(runner.ReportFailed):
        runner._verify("none.ipynb", None, None)


def test_a_cell_that_was_skipped_is_no_success():
    """All that papermill says is well, and the sentinel is printed, but a cell has no execution count."""
    printed = nbformat.v4.new_output("stream", name="stdout", text=runner.SENTINEL + "\n")
    last = nbformat.v4.new_code_cell(
        PRINT_SENTINEL, outputs=[printed], execution_count=2, metadata={"tags": ["sentinel"]}
    )
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", execution_count=1), last])
    runner._verify("book.ipynb", book, None)
    book.cells[0].execution_count = None
    with pytest.raises(runner.ReportFailed) as caught:
        runner._verify("book.ipynb", book, None)
    assert caught.value.cell == 1


def test_normalise_drops_times_and_random_ids():
    books = []
    for second in ("2024-01-01T00:00:01", "2024-01-01T00:00:02"):
        cell = nbformat.v4.new_code_cell("1", metadata={"execution": {"iopub.execute_input": second}})
        cell.metadata["papermill"] = {"start_time": second}
        book = nbformat.v4.new_notebook(cells=[cell], metadata={"papermill": {"end_time": second}})
        runner.normalise(book)
        books.append(nbformat.writes(book))
    assert books[0] == books[1]
    assert "2024" not in books[0]


# Jobs in processes of their own: one that dies says why, Ctrl-C ends all, nothing is left.


def act(job):
    if job == "bad":
        raise BadInput("is bad", file="x.csv", row=3)
    if job == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "exits":
        os._exit(7)
    if job == "breaks":
        raise ValueError("what nobody expected")
    if job == "of no process":
        return lambda: job
    if job == "eats":
        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
        bytearray(2**33)
    Path(tempfile.mkdtemp(), "left").write_text("left behind")
    return job * 2**18


def test_each_job_answers_for_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    jobs = ["good", "bad", "killed", "exits", "breaks", "eats", "of no process", "good too"]
    found = dict(in_processes(act, jobs, 2))
    assert found["good"] == "good" * 2**18 and found["good too"] == "good too" * 2**18
    assert str(found["bad"]) == "x.csv, row 3: is bad" and found["bad"].row == 3
    assert isinstance(found["killed"], ProcessDied) and "SIGKILL" in str(found["killed"])
    assert str(found["exits"]) == "its process ended with code 7"
    assert "ValueError: what nobody expected" in str(found["breaks"])
    assert "MemoryError" in str(found["eats"])
    assert "pickle" in str(found["of no process"])
    assert list(tmp_path.iterdir()) == [], "temporary files go with the run"


def test_a_process_that_is_killed_while_it_answers_harms_no_other(monkeypatch):
    """Its pipe then ends in the middle of an answer."""

    def half(job):
        if job == "whole":
            return job
        monkeypatch.setattr(Connection, "send_bytes", lambda own, answer: (own._send(answer[:9]), os._exit(9)))
        return job

    found = dict(in_processes(half, ["half", "whole"], 1))
    assert isinstance(found["half"], ProcessDied) and found["whole"] == "whole"


def test_a_process_does_one_job_after_the_other_until_one_fails():
    def by(job):
        if job == "bad":
            raise BadInput("is bad")
        return os.getpid()

    found = dict(in_processes(by, ["first", "second", "bad", "third"], 1))
    assert found["first"] == found["second"] != found["third"]
    assert str(found["bad"]) == "is bad"


ORPHANS = """
import os, signal, sys
from costmodel.report.runner import in_processes
found = in_processes(lambda job: os.getpid(), range(9), 2)
print(*{next(found)[1] for _ in range(6)}, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_end_when_nobody_can_give_them_a_job(tmp_path):
    """They hold no ends of each other's pipes."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, text=True, env=environment)
    assert done.returncode == -signal.SIGKILL and len(done.stdout.split()) >= 1
    noted = tmp_path / "pids"
    noted.write_text(done.stdout)
    gone(noted)


SCRIPT = """
import sys, time
from costmodel.report.runner import in_processes
def act(job):
    print("started", flush=True)
    time.sleep(600)
try:
    list(in_processes(act, [1, 2, 3], 2))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_an_interrupt_ends_all_and_leaves_nothing(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    run = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True, env=environment)
    assert [run.stdout.readline() for _ in range(2)] == ["started\n"] * 2
    run.send_signal(signal.SIGINT)
    assert run.stdout.readline() == "interrupted\n"
    assert run.wait(timeout=60) == 0
    assert list(tmp_path.iterdir()) == []
    deadline = time.monotonic() + 60
    while subprocess.run(["pgrep", "-f", "in_processes(act, \\[1, 2, 3\\]"], capture_output=True).stdout:
        assert time.monotonic() < deadline, "a process is left"


def test_an_answer_is_found_beside_other_work(tmp_path):
    met = tmp_path / "met"

    def wait_for_the_other(name):
        while not met.exists():
            time.sleep(0.01)
        return f"{name} by {os.getpid()}"

    found, other = runner.beside(wait_for_the_other, "x", lambda: met.write_text("met"))
    assert other == 3
    assert found.startswith("x by ") and not found.endswith(str(os.getpid()))


def test_an_error_beside_other_work_is_the_answer():
    def fail(name):
        raise UnknownName("guest type", name, ["sev"])

    found, _ = runner.beside(fail, "tdy", lambda: None)
    assert isinstance(found, UnknownName) and "tdy" in str(found)


def test_what_runs_beside_work_that_fails_is_ended(tmp_path):
    began = tmp_path / "pid"

    def stay(job):
        began.write_text(str(os.getpid()))
        time.sleep(60)

    def fail():
        while not began.exists() or not began.read_text():
            time.sleep(0.01)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.beside(stay, 1, fail)
    with pytest.raises(ProcessLookupError):
        os.kill(int(began.read_text()), 0)
