"""Parameters that make no report are refused by name, before any kernel starts."""

import json
import math
import os
import signal

import nbformat
import pytest

from costmodel.cli import main
from costmodel.errors import BadInput, CostModelError, ExitCode, UnknownName
from costmodel.evidence.store import load
from costmodel.kvm.catalog import GUESTS
from costmodel.report import build, runner, sections, unchanged
from costmodel.report.record import recommend
from tests.report.html import Reader
from tests.test_cluster import cluster  # noqa: F401  (a fixture)

GOOD = {"guest": "sev", "machine": "epyc-7763-2s", "workload": "autonuma-default", "kernel": "newest"}


@pytest.fixture
def no_kernel(monkeypatch):
    """Any attempt to run a notebook, here or in a worker, fails the test."""
    import papermill

    def refuse(*_, **__):
        pytest.fail("a notebook was started")

    monkeypatch.setattr(papermill, "execute_notebook", refuse)
    monkeypatch.setattr(build, "build_all", refuse)


@pytest.mark.usefixtures("no_kernel")
def test_a_good_set_passes_and_what_is_not_given_is_none():
    arguments = build.arguments(build.check_parameters(GOOD))
    assert {name: arguments[name] for name in GOOD} == GOOD
    assert arguments["vcpus"] is None
    assert arguments["cpus_that_ran"] is None
    assert arguments["event_fraction"] is None


@pytest.mark.usefixtures("no_kernel")
def test_given_numbers_reach_the_model():
    arguments = build.arguments(build.check_parameters({**GOOD, "vcpus": 4, "cpus_that_ran": 8, "event_fraction": 0.0}))
    assert (arguments["vcpus"], arguments["cpus_that_ran"], arguments["event_fraction"]) == (4, 8, 0.0)


@pytest.mark.usefixtures("no_kernel")
def test_unknown_parameter_is_named_with_the_near_one():
    with pytest.raises(UnknownName) as caught:
        build.check_parameters({**GOOD, "vcpu": 4})
    assert "vcpu" in str(caught.value)
    assert "'vcpus'" in str(caught.value)


@pytest.mark.usefixtures("no_kernel")
def test_the_hash_of_the_data_is_for_the_run_of_the_notebook_alone():
    """Nobody is told to give it, and whoever gives it is told that there is none."""
    with pytest.raises(UnknownName) as caught:
        build.check_parameters({**GOOD, "foo": 1})
    assert "cpus_that_ran" in str(caught.value) and "data_hash" not in str(caught.value)
    hashed = {**GOOD, "data_hash": load().data_hash}
    assert build.check_run(hashed).data_hash == load().data_hash
    with pytest.raises(UnknownName, match="unknown report parameter 'data_hash'"):
        build.check_parameters(hashed)


@pytest.mark.usefixtures("no_kernel")
@pytest.mark.parametrize("name", ["guest", "machine", "workload"])
@pytest.mark.parametrize("value", ["no-such-thing", "", "SEV ", "../../etc/passwd"])
def test_unknown_ids(name, value):
    with pytest.raises(CostModelError):
        build.check_parameters({**GOOD, name: value})


@pytest.mark.usefixtures("no_kernel")
@pytest.mark.parametrize("value", ["", "6", "six", "5.3", "9.1", "6.6; rm -rf /", "6.6\n"])
def test_unknown_kernels(value):
    with pytest.raises(CostModelError):
        build.check_parameters({**GOOD, "kernel": value})


@pytest.mark.usefixtures("no_kernel")
@pytest.mark.parametrize("name", list(GOOD))
def test_a_missing_name_is_refused(name):
    with pytest.raises(BadInput) as caught:
        build.check_parameters({key: value for key, value in GOOD.items() if key != name})
    assert caught.value.field == name


WRONG = [
    ("guest", 1),
    ("guest", None),
    ("machine", ["epyc-7763-2s"]),
    ("kernel", 6.6),
    ("vcpus", "8"),
    ("vcpus", 8.5),
    ("vcpus", True),
    ("vcpus", 0),
    ("vcpus", -1),
    ("vcpus", math.nan),
    ("vcpus", 10**400),
    ("cpus_that_ran", -1),
    ("cpus_that_ran", 0),
    ("cpus_that_ran", 257),
    ("cpus_that_ran", 10**12),
    ("cpus_that_ran", "all"),
    ("event_fraction", "0.5"),
    ("event_fraction", 2),
    ("event_fraction", 1.0000001),
    ("event_fraction", -0.5),
    ("event_fraction", -1.0),
    ("event_fraction", -2.0),
    ("event_fraction", math.nan),
    ("event_fraction", math.inf),
    ("event_fraction", -math.inf),
]


@pytest.mark.usefixtures("no_kernel")
@pytest.mark.parametrize(("name", "value"), WRONG, ids=lambda v: str(v)[:20])
def test_wrong_types_and_impossible_values(name, value):
    with pytest.raises(BadInput) as caught:
        build.check_parameters({**GOOD, name: value})
    assert caught.value.field == name


@pytest.mark.usefixtures("no_kernel")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--guest", "sve"],
        ["--machine", "epyc-1"],
        ["--workload", "none"],
        ["--kernel", "2.6"],
        ["-p", "vcpu=4"],
        ["-p", "vcpus=-1"],
        ["-p", "vcpus=many"],
        ["-p", "vcpus=nan"],
        ["-p", "event_fraction=2"],
        ["-p", "event_fraction=nan"],
        ["-p", "event_fraction"],
        ["-p", "=4"],
        ["--guest", "sev", "--machine", "epyc-7763-2s", "-p", "guest=nonsense"],
        ["--guest", "sev", "--machine", "epyc-7763-2s", "-p", "machine=nonsense"],
        ["--guest", "sev", "-p", "cpus_that_ran=200"],
    ],
    ids=" ".join,
)
def test_the_command_refuses_and_writes_nothing(arguments, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    monkeypatch.setattr("sys.argv", ["costmodel", "report", "--out", str(out), *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not out.exists()


# Building writes what `--check` compares: nothing differs right after, every changed byte is found.

PARAMETERS = {"workload": "autonuma-default", "kernel": "newest"}


@pytest.fixture(scope="module")
def jobs():
    return build.matrix(["sev"], ["epyc-7763-2s"], PARAMETERS)


@pytest.fixture(scope="module")
def files(jobs):
    ticks = []
    made = build.artefacts(jobs, lambda: ticks.append(1))
    assert len(ticks) == len(jobs)
    return made


@pytest.fixture
def written(files, tmp_path):
    build.write(files, tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def built(jobs, tmp_path_factory):
    """The page of one report, built into a directory."""
    place, ticks = tmp_path_factory.mktemp("one"), []
    build.build_all(jobs, place, 1, lambda: ticks.append(1))
    assert len(ticks) == 1
    return place


@pytest.fixture(scope="module")
def warm(jobs, tmp_path_factory):
    """The same report by forked kernels, and how often its answer was worked out."""
    from costmodel.report import record

    assemble, place = record._assemble, tmp_path_factory.mktemp("warm")
    counted = place.parent / "counted"

    def count(*arguments):
        with counted.open("a") as file:
            file.write("x")
        return assemble(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))  # draws its own figures
        patch.setattr(record, "_assemble", count)
        patch.setattr(record, "_last", [])
        build.build_all(jobs, place, 1, lambda: None, "warm")
    return place, len(counted.read_text())


def test_matrix_is_every_combination():
    everything = build.matrix([], [], PARAMETERS)
    assert len(everything) == len(GUESTS) * len(load().machines)
    assert len({build.stem(job) for job in everything}) == len(everything)
    assert len(build.matrix(["sev", "tdx"], [], PARAMETERS)) == 2 * len(load().machines)
    (one,) = build.matrix(["sev"], ["epyc-7763-2s"], {**PARAMETERS, "vcpus": 4})
    assert (one.guest, one.machine, one.vcpus) == ("sev", "epyc-7763-2s", 4)


def test_another_workload_has_its_own_names(jobs):
    (other,) = build.matrix(["sev"], ["epyc-7763-2s"], {**PARAMETERS, "workload": "ksm-default"})
    assert build.stem(other) != build.stem(jobs[0])
    assert "ksm-default" in build.stem(other)


def test_files_of_one_report(files):
    assert {"sev/epyc-7763-2s.txt", "sev/epyc-7763-2s.json", "schema/recommendation.schema.json"} <= set(files)
    assert any(name.startswith("svg/") for name in files)
    assert all(content for content in files.values())
    assert not [name for name in files if name.startswith("index")], "an overview needs the whole matrix"
    assert json.loads(files["sev/epyc-7763-2s.json"])["guest"] == "sev"


@pytest.mark.nightly
def test_same_inputs_same_files(jobs, files):
    assert build.artefacts(jobs) == files


def test_written_as_given(files, written):
    assert {p.relative_to(written).as_posix() for p in written.rglob("*") if p.is_file()} == set(files)
    for name, content in files.items():
        assert (written / name).read_bytes() == content.encode()


def test_nothing_differs_right_after(files, written):
    assert build.differences(files, written, build.COMMITTED) == []


def test_one_changed_byte_is_found(files, written):
    for name in files:
        path = written / name
        good = path.read_bytes()
        middle = len(good) // 2
        path.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])
        (found,) = build.differences(files, written, build.COMMITTED)
        assert name in found
        path.write_bytes(good)
    assert build.differences(files, written, build.COMMITTED) == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda b: b + b"\n", id="a line more"),
        pytest.param(lambda b: b[:-1], id="no final newline"),
        pytest.param(lambda b: b"", id="empty"),
        pytest.param(lambda b: b.replace(b"\n", b"\r\n"), id="other line ends"),
        pytest.param(lambda b: b[:100] + b"\xff" + b[100:], id="not UTF-8"),
    ],
)
def test_other_changes_are_found(files, written, change):
    path = written / "sev/epyc-7763-2s.txt"
    path.write_bytes(change(path.read_bytes()))
    (found,) = build.differences(files, written, build.COMMITTED)
    assert "sev/epyc-7763-2s.txt" in found


def test_missing_files_are_found(files, written):
    (written / "sev/epyc-7763-2s.json").unlink()
    (found,) = build.differences(files, written, build.COMMITTED)
    assert "sev/epyc-7763-2s.json" in found
    assert len(build.differences(files, written / "nowhere", build.COMMITTED)) == len(files)


def test_pages_are_not_kept():
    assert build.committed({"a.txt": "", "index.html": "", "sev/b.html": "", "svg/c.svg": ""}).keys() == {
        "a.txt",
        "svg/c.svg",
    }


@pytest.mark.notebook
@pytest.mark.nightly
def test_two_builds_give_the_same_bytes(built, jobs, tmp_path):
    one, two = built, tmp_path
    build.build_all(jobs, two, 1, lambda: None)
    names = sorted(p.relative_to(one).as_posix() for p in one.rglob("*") if p.is_file())
    assert {"sev/epyc-7763-2s.html", "sev/epyc-7763-2s.ipynb", "sev/epyc-7763-2s.json"} <= set(names)
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


@pytest.mark.notebook
def test_the_page_shows_what_the_model_says(built, jobs):
    result = recommend(**build.arguments(jobs[0]))
    shown = (built / "sev/epyc-7763-2s.html").read_text()
    reader = Reader(shown)
    assert reader.faults == []
    assert result.headline in reader.all("main")[0].text
    for fragment in (
        sections.answer(result),
        sections.policy(result),
        sections.costs(result),
        sections.upstream(result),
    ):
        assert fragment in shown, "the kernel and this process give the same"
    shown = {e.get("id") for e in reader.all("section") if e.get("id")}
    assert {"answer", "policy", "costs", "uncertainty", "admissibility", "upstream", "formulas", "provenance"} <= shown


@pytest.mark.notebook
def test_the_page_of_a_guest_that_cannot_run_there_says_so(tmp_path):
    build.build_all(build.matrix(["tdx"], ["epyc-7763-2s"], PARAMETERS), tmp_path, 1, lambda: None, "warm")
    reader = Reader((tmp_path / "tdx/epyc-7763-2s.html").read_text())
    assert reader.faults == []
    assert "Intel TDX needs an Intel CPU" in reader.all("main")[0].text
    assert json.loads((tmp_path / "tdx/epyc-7763-2s.json").read_text())["applicable"] is False


@pytest.mark.notebook
def test_the_executed_notebook_is_whole(built, jobs):
    book = nbformat.read(built / "sev/epyc-7763-2s.ipynb", as_version=4)
    nbformat.validate(book)
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any("injected-parameters" in cell.metadata.get("tags", []) for cell in cells)
    text = (built / "sev/epyc-7763-2s.ipynb").read_text()
    assert str(built) not in text
    assert jobs[0].machine in text


def test_a_notebook_that_fails_leaves_no_page(tmp_path, monkeypatch, jobs):
    def fail(notebook, *_, engine):
        raise runner.ReportFailed(notebook.name, 1, "broken on purpose")

    monkeypatch.setattr(runner, "run", fail)
    with pytest.raises(CostModelError):
        build.build_page(jobs[0], tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_page_that_fails_fails_alone_and_says_why(tmp_path, monkeypatch):
    """One notebook breaks, one kernel is killed: the third report is there, and the two reasons are told."""
    jobs = build.matrix(["sev", "plain", "tdx"], ["epyc-7763-2s"], PARAMETERS)
    monkeypatch.setattr(build, "is_whole", lambda jobs: True)
    monkeypatch.setattr(build, "shared_files", lambda jobs, results: {"index.txt": f"of {len(results)} reports"})
    told = []

    def page(job, out, engine, result):
        if job.guest == "sev":
            raise runner.ReportFailed("flush_strategy.ipynb", 2, "NameError: x")
        if job.guest == "plain":
            os.kill(os.getpid(), signal.SIGKILL)
        build.write({f"{build.stem(job)}.html": job.data_hash}, out)
        return out / f"{build.stem(job)}.html"

    monkeypatch.setattr(build, "build_page", page)
    with pytest.raises(runner.ReportsFailed) as caught:
        build.build_all(jobs, tmp_path, 2, lambda: None, done=lambda job, names: told.append((job.guest, set(names))))
    assert set(caught.value.reasons) == {"sev/epyc-7763-2s", "plain/epyc-7763-2s"}
    assert "cell 2: NameError: x" in str(caught.value) and "was killed by SIGKILL" in str(caught.value)
    assert caught.value.exit_code == ExitCode.REPORT_FAILED
    there = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    own = {f"tdx/epyc-7763-2s.{suffix}" for suffix in ("html", "json", "txt")}
    assert there == own | {"index.txt"}, "nothing beside a failed page"
    assert told == [("tdx", own | {"tdx/epyc-7763-2s.ipynb"})]
    assert (tmp_path / "tdx/epyc-7763-2s.html").read_text() == load().data_hash
    assert (tmp_path / "index.txt").read_text() == "of 3 reports"


BOTH = [
    ("sev", "epyc-7763-2s"),
    *(
        pytest.param(guest, machine, marks=pytest.mark.nightly)
        for guest in GUESTS
        for machine in load().machines
        if (guest, machine) != ("sev", "epyc-7763-2s")
    ),
]


@pytest.mark.notebook
@pytest.mark.parametrize(("guest", "machine"), BOTH)
def test_both_engines_give_the_same_bytes(guest, machine, built, warm, jobs, tmp_path, monkeypatch):
    asked = build.matrix([guest], [machine], PARAMETERS)
    places = {"kernel": built, "warm": warm[0]}
    if asked != jobs:
        places = {engine: tmp_path / engine for engine in places}
        for engine, place in places.items():
            monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache-{engine}"))  # each draws its own figures
            build.build_all(asked, place, 1, lambda: None, engine)
    made = {
        engine: {p.relative_to(place): p.read_bytes() for p in place.rglob("*") if p.is_file()}
        for engine, place in places.items()
    }
    assert made["kernel"].keys() == made["warm"].keys() and len(made["warm"]) >= 5
    assert [name for name, content in made["kernel"].items() if made["warm"][name] != content] == []
    assert [name for name, content in made["warm"].items() if name.suffix == ".html" and len(content) >= 500_000] == []


@pytest.mark.nightly
@pytest.mark.notebook
def test_the_workers_of_a_scheduler_write_the_same_reports(tmp_path, cluster):  # noqa: F811
    jobs = build.matrix(["sev", "plain"], ["epyc-7763-2s"], PARAMETERS)
    for place, scheduler in (("here", None), ("there", cluster)):
        build.build_all(jobs, tmp_path / place, 1, lambda: None, "kernel", scheduler=scheduler)
    here = {p.relative_to(tmp_path / "here"): p.read_bytes() for p in (tmp_path / "here").rglob("*") if p.is_file()}
    assert len(here) >= 9 and here == {name: (tmp_path / "there" / name).read_bytes() for name in here}


def test_a_worker_with_other_data_builds_nothing(tmp_path, jobs):
    other = jobs[0].model_copy(update={"data_hash": "0" * 16})
    assert "the data changed" in str(build.attempted(other, tmp_path, "kernel"))
    assert list(tmp_path.iterdir()) == []


def test_what_is_computed_for_the_text_is_not_computed_for_the_page(warm):
    """The kernel, forked from the process of its report, finds the answer there."""
    assert warm[1] == 1


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_costed(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file/under"):
        with pytest.raises(BadInput, match="cannot be written"):
            build.make_writable(place)
    build.make_writable(tmp_path / "new/deep")
    assert list((tmp_path / "new/deep").iterdir()) == []


@pytest.mark.notebook
def test_data_that_change_while_a_report_is_built_are_refused(jobs, tmp_path):
    other = jobs[0].model_copy(update={"data_hash": "0" * 16})
    with pytest.raises(runner.ReportFailed, match="the data changed while the report was built"):
        build.build_page(other, tmp_path, "warm")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    from pathlib import Path

    build.write({"a/b.txt": "old"}, tmp_path)

    def refuse(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(BadInput, match="disk full"):
        build.write({"a/b.txt": "new"}, tmp_path)
    assert (tmp_path / "a/b.txt").read_text() == "old"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b.txt"]


# A committed file is current if its numbers agree to 1e-7 and everything else to the letter; else it says where.

SUFFIXES = (".txt", ".json", ".svg")
ANSWER = {"strategy": "WBINVD_ALL", "median": 1.23456, "rows": [{"extrapolated": True, "low": 0.0}], "n": 3}


def found(present, wanted, tmp_path, name="a.json"):
    (tmp_path / name).write_text(present if isinstance(present, str) else json.dumps(present))
    return build.differences({name: wanted if isinstance(wanted, str) else json.dumps(wanted)}, tmp_path, SUFFIXES)


@pytest.mark.parametrize("factor", [1 + 9e-8, 1 - 9e-8, 1.0])
def test_the_last_digits_of_a_number_do_not_count(tmp_path, factor):
    assert found({**ANSWER, "median": 1.23456 * factor}, ANSWER, tmp_path) == []
    assert found(f"costs {1.23456 * factor:.12f} s", "costs 1.23456 s", tmp_path, "a.txt") == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"median": 1.23456 * (1 + 2e-7)}, "median is 1.23456"),
        ({"median": 2.46912}, "+1e+02 %"),
        ({"median": "1.23456"}, "median is '1.23456'"),
        ({"strategy": "WBNOINVD_ALL"}, "strategy is 'WBNOINVD_ALL', the inputs give 'WBINVD_ALL'"),
        ({"rows": [{"extrapolated": False, "low": 0.0}]}, "rows[0].extrapolated is False"),
        ({"rows": [{"extrapolated": 1, "low": 0.0}]}, "rows[0].extrapolated is 1"),
        ({"rows": [{"extrapolated": True, "low": 1e-300}]}, "the inputs give zero"),
        ({"rows": []}, "rows has 0 entries, the inputs give 1"),
        ({"rows": [{"low": 0.0}]}, "rows[0].extrapolated is missing"),
        ({"more": None}, "more is there, the inputs give none"),
        ({"n": None}, "n is None"),
    ],
)
def test_everything_else_is_found_and_named(tmp_path, change, said):
    (line,) = found({**ANSWER, **change}, ANSWER, tmp_path)
    assert line.startswith("a.json: ") and said in line


def test_a_changed_word_of_a_text_is_found(tmp_path):
    (line,) = found("cost 30 [6, 60] CPUs\nat most", "cost 30 [6, 60] CPUs\nat least", tmp_path, "a.txt")
    assert line == "a.txt: line 2 is 'at most', the inputs give 'at least'"


def test_a_changed_number_of_a_text_is_found_with_its_size(tmp_path):
    (line,) = found("cost 30 [6, 60] CPUs", "cost 30 [7, 60] CPUs", tmp_path, "a.txt")
    assert line == "a.txt: line 1 has 6, the inputs give 7 (-14 %)"


def test_digits_of_a_hash_or_a_name_are_text(tmp_path):
    """12345678901 and 12345678902 are equal to 1e-7; as parts of a hash they are not."""
    assert found("data 12345678901a", "data 12345678902a", tmp_path, "a.txt")
    assert found("epyc-7763.12345678901x", "epyc-7763.12345678902x", tmp_path, "a.txt")


def test_a_file_that_nothing_builds_is_found_where_all_are_built(tmp_path):
    (tmp_path / "old.txt").write_text("")
    (tmp_path / "old.html").write_text("")
    (tmp_path / unchanged.FILE).write_text("what a build notes for itself is no report")
    (tmp_path / "index.json").write_text("{}")
    assert build.differences({"index.json": "{}"}, tmp_path, SUFFIXES) == ["old.txt: is built from no input"]


def test_what_is_no_json_is_said(tmp_path):
    (line,) = found("{", "{}", tmp_path)
    assert "is no JSON" in line
