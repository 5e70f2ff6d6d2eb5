"""costmodel measure: what a run writes, what it refuses before it measures, what it puts back."""

import csv
import importlib.util
import json
import os
import pwd
import signal
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import replace

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.errors import INSTALL, BadInput
from costmodel.measure import hardware, journal, kvm, session, wbinvd
from costmodel.measure.host import describe
from costmodel.measure.journal import SIGNALS, Changes, Signals, System, changing
from costmodel.measure.kvm import Guests
from costmodel.measure.probe import Table
from costmodel.measure.session import Outcome, write
from tests.measure.false_kernel import ordinary_signals
from tests.measure.test_bootlog import BOOT


@pytest.fixture(autouse=True)
def signals_of_a_terminal():
    with ordinary_signals():
        yield


def run(*words):
    return CliRunner().invoke(cli, ["measure", *words])


def shell(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "costmodel", "measure", *map(str, words)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def refused(done, *said):
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and done.stdout == ""
    assert all(text in done.stderr for text in said)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A journal of the test's own, and leave to change what it names."""
    monkeypatch.setenv(journal.OVERRIDE, str(tmp_path / "journal"))
    monkeypatch.setattr(journal, "may_change", lambda: True)
    return tmp_path / "journal"


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(session.PROBES, "refill", interrupted)
    result = run("refill", "--out", str(tmp_path), "--quick")
    assert result.exit_code == 130
    assert list(tmp_path.iterdir()) == []
    assert "nothing was written" in result.output


@pytest.mark.parametrize("library", ["llvmlite", "tomli_w"])
def test_a_missing_library_is_named_before_anything_is_measured(tmp_path, monkeypatch, library):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == library else find(name, *rest))
    result = run("refill", "--out", str(tmp_path), "--quick")
    assert str(result.exception) == f"{library} is not installed: {INSTALL.format('measure')}"
    assert list(tmp_path.iterdir()) == []


def test_a_profile_is_not_overwritten(tmp_path):
    (tmp_path / "mine").mkdir()
    result = run("refill", "--out", str(tmp_path), "--name", "mine", "--quick")
    assert isinstance(result.exception, BadInput)


def test_refill_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "LARGEST_REFILL_BYTES", 2**23)
    result = run("refill", "--out", str(tmp_path), "--name", "mine", "--quick")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((tmp_path / "mine" / "refill.csv").open()))
    cold = {
        (row["pattern"], row["level"]): float(row["measured_cold_line_s"]) for row in rows if row["repetition"] == "3"
    }
    assert cold["dependent", "memory"] > 3 * cold["sequential", "memory"]
    assert "stable" in result.output.lower()


def test_share_shows_every_byte_that_it_packs(tmp_path, monkeypatch):
    table = Table("refill", "measured_cold_line_s", rows=[{"level": "L1", "run": 0, "measured_cold_line_s": 1e-9}])
    folder = write(Outcome(describe(), "costmodel measure refill", {"refill": table}), tmp_path / "small")
    monkeypatch.chdir(tmp_path)
    result = run("--share", str(folder))
    assert result.exit_code == 0, result.output
    with tarfile.open(tmp_path / "small.tar.gz") as archive:
        members = archive.getmembers()
        assert [m.name for m in members] == ["small/host.toml", "small/refill.csv"]
        assert all((m.uid, m.uname, m.mtime) == (0, "", 0) for m in members)
        for member in members:
            assert archive.extractfile(member).read().decode() in result.output


def test_import_prints_csv_and_counts_bad_lines(tmp_path):
    (tmp_path / "trace.txt").write_text("@n[ksmd]: 17\nwhat\n")
    result = run("import", str(tmp_path / "trace.txt"))
    assert result.exit_code == 0
    assert "count,n,ksmd" in result.stdout
    assert "trace.txt:2: not understood" in result.stderr


def test_importing_nothing_is_refused(tmp_path):
    (tmp_path / "trace.txt").write_text("nothing\n")
    assert isinstance(run("import", str(tmp_path / "trace.txt")).exception, BadInput)


@pytest.mark.parametrize("out", ["/dev/null/x", "/proc/x", "{}".format("n" * 300)])
def test_a_place_that_cannot_be_written_is_refused_before_the_first_probe(tmp_path, out):
    done = shell("refill", "--out", out)
    refused(done, out[:100], "cannot be written")


def test_a_read_only_place_is_refused(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root can write anywhere")
    tmp_path.chmod(0o500)
    refused(shell("refill", "--out", tmp_path), "Permission denied")


def test_neither_home_nor_a_name_nor_a_place_for_temporary_files_is_needed(tmp_path, monkeypatch):
    def unknown(_):
        raise KeyError("no such user")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", list)
    monkeypatch.setitem(session.PROBES, "refill", lambda *_: Table("refill", "", rows=[{"level": "L1"}]))
    result = run("refill", "--out", str(tmp_path), "--name", "x")
    assert result.exit_code == 0, result.output


def stopping(number):
    """A probe that a signal meets."""

    def probe(*_):
        os.kill(os.getpid(), number)
        signal.sigtimedwait([], 1)

    return probe


@pytest.mark.parametrize("number", SIGNALS)
def test_every_signal_ends_the_command_in_one_line_with_its_own_exit_code(tmp_path, monkeypatch, number):
    monkeypatch.setitem(session.PROBES, "refill", stopping(number))
    result = run("refill", "--out", str(tmp_path / "new"), "--quick")
    assert result.exit_code == 128 + number
    assert "interrupted: tunables are restored, nothing was written" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_tunables_are_back_before_the_signal_is_told(tmp_path, monkeypatch, place):
    tunable = tmp_path / "run"
    tunable.write_text("0")

    def probe(host, settings, tick, changes):
        changes.set(tunable, "1")
        assert tunable.read_text() == "1"
        stopping(signal.SIGHUP)()

    monkeypatch.setitem(session.PROBES, "invalidations", probe)
    monkeypatch.setattr(kvm, "guests", lambda *_: Guests((), False))
    assert run("invalidations", "--out", str(tmp_path / "out")).exit_code == 129
    assert tunable.read_text() == "0"
    assert [path.name for path in place.iterdir()] == ["lock"]


def killed(place, **tunables):
    """A run that set the tunables and was killed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(journal.OVERRIDE, str(place))
        changes = Changes(journal.made_folder(System()), System(), Signals())
    for name, text in tunables.items():
        path = place.parent / name
        path.write_text("before")
        changes.set(path, text)


def test_restore_says_what_it_put_back_and_what_it_left(tmp_path):
    place = tmp_path / "journal"
    killed(place, run="1", pages="4096")
    (tmp_path / "pages").write_text("200")
    done = shell("restore", COSTMODEL_JOURNAL=str(place))
    assert (done.returncode, done.stderr) == (0, "")
    left, back = done.stdout.splitlines()
    assert left == (
        f"{tmp_path / 'pages'} is left at 200: somebody else has changed it since; before the run it was before"
    )
    assert back == f"{tmp_path / 'run'} is before again (was 1)"
    assert (tmp_path / "run").read_text() == "before" and (tmp_path / "pages").read_text() == "200"


def test_restore_without_anything_to_do_says_so(tmp_path):
    done = shell("restore", COSTMODEL_JOURNAL=str(tmp_path / "journal"))
    assert (done.returncode, done.stdout) == (0, "no run has left anything to be put back\n")


def test_what_cannot_be_put_back_is_named_and_is_exit_code_1(tmp_path):
    place = tmp_path / "journal"
    killed(place, run="1")
    (tmp_path / "run").unlink()
    (tmp_path / "run").mkdir()
    done = shell("restore", COSTMODEL_JOURNAL=str(place))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{tmp_path / 'run'} could not be set back to before: Is a directory\n"
    assert (place / "journal").exists()


def test_restore_while_a_run_is_at_work_is_refused(tmp_path, place):
    with Signals() as signals, changing(signals):
        refused(shell("restore"), f"process {os.getpid()}")


def test_a_damaged_journal_is_one_line(tmp_path):
    place = tmp_path / "journal"
    killed(place, run="1")
    (place / "journal").write_bytes(b"\xff\n")
    refused(shell("restore", COSTMODEL_JOURNAL=str(place)), "journal, row 1")


@pytest.fixture
def guests(monkeypatch, place):
    """A host on which somebody's virtual machine runs, and probes that only say that they ran."""
    ran = []

    def probe(name):
        def measured(*_):
            ran.append(name)
            return Table(name, "", rows=[{"trigger": "x"}])

        return measured

    monkeypatch.setattr(kvm, "guests", lambda *_: Guests((4711,), False))
    monkeypatch.setattr(kvm, "missing", lambda *_: [])
    for name in session.PROBES:
        monkeypatch.setitem(session.PROBES, name, probe(name))
    return ran


@pytest.mark.parametrize("name", ["invalidations", "sev"])
def test_probes_that_guests_would_feel_are_refused_where_guests_run(tmp_path, guests, name):
    result = run(name, "--out", str(tmp_path / "out"))
    assert isinstance(result.exception, BadInput)
    assert "process 4711" in str(result.exception) and "--on-a-host-with-guests" in str(result.exception)
    assert guests == [] and not (tmp_path / "out").exists()


def test_all_skips_them_with_that_reason(tmp_path, guests):
    result = run("all", "--out", str(tmp_path / "out"), "--name", "x")
    assert result.exit_code == 0, result.output
    assert guests == ["flush", "flush_cells", "refill", "neighbour", "bandwidth", "broadcast"]
    for name in ("invalidations", "sev"):
        assert f"{name}: skipped, virtual machines run on this host (held by process 4711)" in result.output


def test_flush_brings_its_cells_along(tmp_path, guests):
    result = run("flush", "--out", str(tmp_path / "out"), "--name", "x")
    assert result.exit_code == 0, result.output
    assert guests == ["flush", "flush_cells"]
    assert (tmp_path / "out/x/flush_cells.csv").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [("sev", "whole-cache flushes"), ("invalidations", "/proc/sys/vm/compact_memory: 1 is written once")],
)
def test_with_leave_they_run_and_first_say_what_they_will_do(tmp_path, guests, name, said):
    result = run(name, "--out", str(tmp_path / "out"), "--name", "x", "--on-a-host-with-guests")
    assert result.exit_code == 0, result.output
    assert guests == [name]
    assert said in result.stderr


def test_what_cannot_be_put_back_after_a_run_is_named_and_the_profile_is_kept(tmp_path, monkeypatch, guests):
    tunable = tmp_path / "run"
    tunable.write_text("0")

    def probe(host, settings, tick, changes):
        changes.set(tunable, "1")
        tunable.unlink()
        tunable.mkdir()
        return Table("invalidations", "", rows=[{"trigger": "x"}])

    monkeypatch.setitem(session.PROBES, "invalidations", probe)
    result = run("invalidations", "--out", str(tmp_path / "out"), "--name", "x", "--on-a-host-with-guests")
    assert result.exit_code == 1
    assert f"{tunable} could not be set back to 0: Is a directory" in result.stderr
    assert (tmp_path / "out/x/invalidations.csv").exists()


def test_a_probe_that_the_system_refuses_is_skipped_and_the_others_go_on(tmp_path, monkeypatch, guests):
    def refusing(*_):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setitem(session.PROBES, "flush", refusing)
    result = run("all", "--out", str(tmp_path / "out"), "--name", "x")
    assert result.exit_code == 0, result.output
    assert "flush: skipped, [Errno 12] Cannot allocate memory" in result.output
    assert "refill" in guests


def test_sharing_a_folder_of_other_bytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/host.toml").write_bytes(b"\xff")
    refused(shell("--share", "bad"), "holds a file that is no text")
    assert not (tmp_path / "bad.tar.gz").exists()


def test_bootlog_prints_the_bound_with_its_lines(tmp_path):
    (tmp_path / "log.txt").write_text(BOOT)
    result = run("bootlog", str(tmp_path / "log.txt"), "--llc-bytes", "33554432", "--l2-bytes", "1048576")
    assert result.exit_code == 0, result.output
    first, *quoted, last = result.output.splitlines()
    assert first.startswith("boot: WBINVD at most 75.8 us in the mean of 32, 0.140 ns per line of capacity")
    assert [line.split("] ")[1][:8] for line in quoted] == ["smpboot:", "devtmpfs", "sched_cl"]
    assert "a flush of a full or dirty one takes longer" in last


def test_bootlog_without_sizes_says_how_to_give_them(tmp_path):
    result = CliRunner().invoke(cli, ["measure", "bootlog", "-"], input=BOOT)
    assert result.exit_code == 0, result.output
    assert "give --llc-bytes and --l2-bytes" in result.output


def test_bootlog_as_json_has_columns_and_bounds(tmp_path):
    result = CliRunner().invoke(cli, ["measure", "bootlog", "-", "--json"], input=BOOT)
    (row,) = json.loads(result.output)["rendezvous"]
    assert row["flushes"] == 32 and row["line_at_most_s"] is None
    assert row["flush_at_most_s"] == pytest.approx(row["longest_s"] / 32)


def test_bootlog_refuses_two_forms_at_once_and_logs_of_virtual_machines(tmp_path):
    both = CliRunner().invoke(cli, ["measure", "bootlog", "-", "--json", "--csv"], input=BOOT)
    assert isinstance(both.exception, BadInput)
    (tmp_path / "vm.txt").write_text(BOOT.replace("tsc:", "Hypervisor detected: KVM"))
    refused(shell("bootlog", tmp_path / "vm.txt"), "virtual machine", "give the log of the host")


def test_wbinvd_on_a_virtual_machine_is_skipped_in_one_line(monkeypatch):
    virtual = replace(describe(), hypervisor="yes")
    monkeypatch.setattr(session, "this_host", lambda: virtual)
    result = run("wbinvd", "--yes")
    assert isinstance(result.exception, BadInput) and "a virtual machine" in str(result.exception)


def test_wbinvd_is_not_part_of_all():
    assert "wbinvd" not in session.PROBES


def test_wbinvd_says_the_plan_first_and_then_the_bound(monkeypatch, place):
    monkeypatch.setattr(wbinvd, "check", lambda *_: None)
    monkeypatch.setattr(wbinvd, "measure", lambda host, changes, cpu, dirty: wbinvd.Result(8, 0.002, 0.001, 0))
    result = run("wbinvd", "--yes")
    assert result.exit_code == 0, result.output
    assert "WBINVD one after the other" in result.stderr
    assert result.stdout.startswith("WBINVD at most 62.5 us in the mean of 16")
    assert json.loads(run("wbinvd", "--yes", "--json").stdout)["flush_at_most_s"] == 0.001 / 16
