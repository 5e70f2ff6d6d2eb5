"""What is left on the machine when a run ends, is killed, or meets another: nothing, and what is left is named."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from costmodel.errors import BadInput
from costmodel.measure import journal
from costmodel.measure.journal import Changes, Interrupted, Signals, State, changing
from costmodel.measure.probe import Skipped
from tests.measure.false_kernel import FalseSystem, contents, make_a_run, tree
from tests.samples import sampled

PROGRAM = Path(__file__).with_name("false_kernel.py")
REPOSITORY = PROGRAM.parents[2]
KILLS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
RUN = "sys/kernel/mm/ksm/run"


@pytest.fixture
def root(tmp_path):
    return tree(tmp_path / "root")


def start(root, *words):
    return subprocess.Popen(
        [sys.executable, PROGRAM, root, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def operations(root):
    """How many system calls a whole run makes."""
    system = FalseSystem(root)
    make_a_run(system)
    return system.operations


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """System calls of a whole run, by whether tracefs is mounted before it."""
    return {mounted: operations(tree(tmp_path_factory.mktemp("count") / "root", mounted)) for mounted in (True, False)}


def killed_changes(root, *paths):
    """A journal as a killed run leaves it: the paths are set to 7, and nobody puts them back."""
    system = FalseSystem(root)
    changes = Changes(journal.made_folder(system), system, Signals())
    for path in paths:
        changes.set(root / path, "7")


def restored(root, system=None):
    with Signals() as signals:
        return journal.restore(signals, system or FalseSystem(root))


@pytest.mark.parametrize("mounted", [True, False])
def test_a_whole_run_leaves_the_tree_as_it_was(tmp_path, mounted):
    root = tree(tmp_path / "root", mounted)
    before = contents(root)
    assert operations(root) > 30
    assert contents(root) == before


def points():
    """30 kills: when (share of a run's system calls), by which signal, with tracefs mounted before or not."""
    draw = random.Random(20)
    return [(draw.random(), KILLS[n % 4], draw.random() < 0.5) for n in range(30)]


@pytest.mark.parametrize(("share", "number", "mounted"), sampled(points(), 10))
def test_a_killed_run_leaves_nothing(tmp_path, calls, share, number, mounted):
    """After HUP, TERM and INT at once, after KILL once the next run has started."""
    root = tree(tmp_path / "root", mounted)
    before = contents(root)
    child = start(root, int(share * calls[mounted]), int(number))
    _, complaint = child.communicate()
    assert child.returncode == (-9 if number == signal.SIGKILL else 128 + number), complaint
    if number == signal.SIGKILL:
        make_a_run(FalseSystem(root))
    assert contents(root) == before


@pytest.mark.parametrize("number", KILLS)
@pytest.mark.parametrize("wait_s", sampled([0.02, 0.0], 2))
def test_a_kill_from_outside_leaves_nothing(root, number, wait_s):
    before = contents(root)
    child = start(root)
    child.stdout.readline()
    if wait_s:
        child.poll() or signal.sigtimedwait([], wait_s)
    child.send_signal(number)
    child.communicate()
    if number == signal.SIGKILL:
        restored(root)
    assert contents(root) == before


def test_a_kill_in_the_middle_would_leave_much_without_the_next_start(root):
    """The property above is not empty: at some point there are tunables, an instance and swap to be put back."""
    path, undisturbed, seen, changed = root / "run/costmodel/journal", contents(root), set(), 0

    def before(*_):
        nonlocal changed
        if path.exists():
            seen.update(json.loads(line).get("kind") for line in path.open())
            changed += any(
                undisturbed.get(name) != now for name, now in contents(root).items() if "journal" not in name
            )

    system = FalseSystem(root, before)
    make_a_run(system)
    assert {"value", "instance", "swap"} <= seen
    assert changed > system.operations / 2


def test_the_journal_is_on_the_disk_before_the_change_and_of_its_owner_alone(root):
    path = root / "run/costmodel/journal"

    def before(_, words):
        if words[0] == "write" and "ksm" in str(words[1]) and words[2] == "4096":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            assert lines[0] == {"boot_id": FalseSystem(root).boot_id(), "pid": os.getpid()}
            assert {"kind": "value", "path": str(words[1]), "before": "100", "written": "4096"} in lines
            assert path.stat().st_mode & 0o777 == 0o600 and path.stat().st_uid == os.geteuid()
            checked.append(words[1])

    checked = []
    make_a_run(FalseSystem(root, before))
    assert len(checked) == 1
    assert not path.exists()


def test_no_journal_no_change(root, monkeypatch):
    """A full disk: nothing is changed that could not be put back."""
    before = contents(root)
    with Signals() as signals, changing(signals, FalseSystem(root)) as changes:
        monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(Skipped, match="No space left"):
            changes.set(root / RUN, "1")
        monkeypatch.undo()
    assert {k: v for k, v in contents(root).items() if "journal" not in k} == before


def test_what_somebody_else_has_changed_since_is_left_and_named(root):
    killed_changes(root, RUN, "sys/kernel/mm/ksm/pages_to_scan")
    (root / RUN).write_text("2\n")
    found = {finding.state: finding.text for finding in restored(root)}
    assert found.keys() == {State.LEFT, State.PUT_BACK}
    assert RUN in found[State.LEFT] and "left at 2" in found[State.LEFT] and "it was 0" in found[State.LEFT]
    assert (root / RUN).read_text() == "2\n"
    assert (root / "sys/kernel/mm/ksm/pages_to_scan").read_text() == "100\n"
    assert restored(root) == []


class Stubborn(FalseSystem):
    """One file does not take anything."""

    def __init__(self, root, name):
        super().__init__(root)
        self.name = name

    def write(self, path, text):
        if path.name == self.name:
            raise OSError(5, "Input/output error", str(path))
        super().write(path, text)


def test_restoring_goes_on_past_a_failed_write_and_keeps_it_for_the_next_try(root):
    before = contents(root)
    killed_changes(root, RUN, "sys/kernel/mm/ksm/pages_to_scan", "sys/kernel/mm/ksm/smart_scan")
    states = [finding.state for finding in restored(root, Stubborn(root, "pages_to_scan"))]
    assert states == [State.PUT_BACK, State.FAILED, State.PUT_BACK]
    assert (root / RUN).read_text() == "0\n"
    with pytest.raises(BadInput, match="pages_to_scan could not be set back to 100: Input/output error"):
        make_a_run(Stubborn(root, "pages_to_scan"))
    assert [finding.state for finding in restored(root)] == [State.PUT_BACK]
    assert contents(root) == before


def test_a_file_that_is_there_no_longer_holds_nothing_up(root):
    killed_changes(root, RUN, "sys/kernel/mm/ksm/smart_scan")
    (root / "sys/kernel/mm/ksm/smart_scan").unlink()
    assert [finding.state for finding in restored(root)] == [State.LEFT, State.PUT_BACK]


def test_a_choice_in_brackets_is_put_back(root):
    path = root / "sys/kernel/mm/transparent_hugepage/enabled"
    with Signals() as signals, changing(signals, FalseSystem(root)) as changes, changes.restored():
        changes.set(path, "always")
        assert path.read_text() == "always"
    assert path.read_text().strip() in ("madvise", "always [madvise] never")


def test_a_failed_umount_is_never_followed_by_removing_the_tree(tmp_path):
    class Busy(FalseSystem):
        def run(self, *words):
            return "umount: target is busy" if words[0] == "umount" else super().run(*words)

    root = tree(tmp_path / "root", mounted=False)
    before = contents(root)
    with Signals() as signals, changing(signals, Busy(root)) as changes:
        tracing = changes.mount_tracefs()
    assert changes.failed() == [f"tracefs could not be unmounted from {tracing}: umount: target is busy"]
    assert (tracing / "instances/other/trace").read_text() == "somebody's\n"
    assert [finding.state for finding in restored(root)] == [State.PUT_BACK]
    assert contents(root) == before


def test_instances_of_ended_processes_go_and_those_of_living_ones_stay(root):
    system = FalseSystem(root)
    instances = root / "sys/kernel/tracing/instances"
    journal.made_folder(system)
    for pid in (123, 456):
        system.mkdir(instances / f"costmodel-{pid}")
    (root / "proc/456").mkdir()
    assert [finding.text for finding in restored(root)] == [f"tracing instance {instances}/costmodel-123 is removed"]
    assert sorted(path.name for path in instances.iterdir()) == ["costmodel-456", "other"]


def test_an_instance_is_named_after_its_process(root):
    with Signals() as signals, changing(signals, FalseSystem(root)) as changes:
        assert changes.make_instance(root / "sys/kernel/tracing").name == f"costmodel-{os.getpid()}"


def test_a_journal_of_an_earlier_boot_is_ignored(root):
    killed_changes(root, RUN)
    (root / "proc/sys/kernel/random/boot_id").write_text("another\n")
    assert restored(root) == []
    assert (root / RUN).read_text() == "7"
    assert not (root / "run/costmodel/journal").exists()


@pytest.mark.parametrize(
    "line", ["{", "[]", "null", '{"kind": "value"}', '{"kind": "x"}', '{"kind": "instance", "path": 1}']
)
def test_a_damaged_journal_is_named_with_its_row_and_nothing_is_done(root, line):
    killed_changes(root, RUN)
    path = root / "run/costmodel/journal"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(BadInput, match="journal, row 3: is no entry"):
        restored(root)
    assert (root / RUN).read_text() == "7"


def test_half_a_journal_is_never_followed_and_goes(root):
    """A kill while the journal is written: the change that it was for has not been made."""
    killed_changes(root, RUN)
    (root / "run/costmodel/journal.new").write_text('{"boot')
    assert [finding.state for finding in restored(root)] == [State.PUT_BACK]
    assert [path.name for path in (root / "run/costmodel").iterdir()] == ["lock"]


def test_a_journal_that_others_can_write_is_not_followed(root):
    killed_changes(root, RUN)
    (root / "run/costmodel/journal").chmod(0o666)
    with pytest.raises(BadInput, match="does not belong to this user alone"):
        restored(root)
    assert (root / RUN).read_text() == "7"


@pytest.mark.parametrize("kind", ["open to all", "link"])
def test_a_folder_that_others_can_write_holds_no_journal(root, tmp_path, kind):
    folder = root / "run/costmodel"
    if kind == "link":
        folder.symlink_to(tmp_path)
    else:
        folder.mkdir()
        folder.chmod(0o777)
    with pytest.raises(BadInput, match="this user alone"), Signals() as signals, changing(signals, FalseSystem(root)):
        pass


def test_where_run_cannot_be_written_the_journal_lies_in_var_tmp(root):
    (root / "run").rmdir()
    (root / "run").write_text("")
    (root / "var/tmp").mkdir(parents=True)
    assert journal.made_folder(FalseSystem(root)) == root / "var/tmp/costmodel"


def test_nowhere_to_write_is_said(root):
    (root / "run").rmdir()
    with pytest.raises(BadInput, match="nothing is changed without a journal"):
        journal.made_folder(FalseSystem(root))


def test_a_second_run_is_refused_and_names_the_first(root):
    """The second would take the first one's tunables for the old ones."""
    child = start(root, operations(root) // 2, int(signal.SIGSTOP))
    os.waitpid(child.pid, os.WUNTRACED)
    try:
        for attempt in (lambda: make_a_run(FalseSystem(root)), lambda: restored(root)):
            with pytest.raises(BadInput, match=rf"process {child.pid}\)"):
                attempt()
    finally:
        child.send_signal(signal.SIGCONT)
        child.communicate()
    assert child.returncode == 0
    make_a_run(FalseSystem(root))


def test_a_signal_waits_for_the_end_of_a_change(root):
    """It comes between the journal and the write: the write is made, then undone."""
    order = []

    def before(_, words):
        if words[0] == "write":
            order.append(words[2])
            if words[2] == "1":
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted) as caught, Signals() as signals, changing(signals, FalseSystem(root, before)) as c:
        c.set(root / RUN, "1")
        order.append("never reached")
    assert order == ["1", "0"]
    assert caught.value.exit_code == 143


def test_a_run_that_a_signal_ended_changes_nothing_more(root):
    with Signals() as signals, changing(signals, FalseSystem(root)) as changes:
        changes.set(root / RUN, "1")
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGHUP)
            signal.sigtimedwait([], 1)
        assert (root / RUN).read_text() == "0\n"
        with pytest.raises(Interrupted):
            changes.set(root / RUN, "1")
    assert (root / RUN).read_text() == "0\n"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_tunables_are_put_back_whatever_ends_the_block(root, stop):
    with pytest.raises(stop), Signals() as signals, changing(signals, FalseSystem(root)) as changes:
        changes.set(root / RUN, "1")
        changes.set(root / RUN, "3")
        assert (root / RUN).read_text() == "3"
        raise stop
    assert (root / RUN).read_text() == "0\n"


def test_a_tunable_that_may_not_be_written_is_named(root):
    with pytest.raises(Skipped, match="nothing"), Signals() as signals, changing(signals, FalseSystem(root)) as changes:
        changes.set(root / "nothing", "1")


def test_a_program_that_fails_or_is_missing_is_told():
    system = journal.System()
    assert system.run("true") == ""
    assert "1" in system.run("false")
    assert "No such file" in system.run("/nonexistent/umount")


def test_a_file_of_the_kernel_is_never_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        journal.System().write(tmp_path / "run", "1")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_a_blank_is_found_among_the_mounts(root):
    (root / "proc/mounts").write_text("nodev /a\\040b tracefs rw 0 0\n")
    assert journal.mounts(FalseSystem(root)) == {"/a b"}
