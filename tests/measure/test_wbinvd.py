"""WBINVD through /proc/mtrr against a simulation of the kernel's mtrr_write(): no machine is stopped here."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from costmodel.cli.measure import measure_command
from costmodel.errors import BadInput
from costmodel.measure import journal, kvm, session, wbinvd
from costmodel.measure.host import describe
from costmodel.measure.journal import Interrupted, Signals, State, changing, memory_ranges
from costmodel.measure.kvm import Guests
from costmodel.measure.probe import Skipped
from costmodel.report import measurement
from tests.measure.false_kernel import FalseSystem, fill, ordinary_signals
from tests.samples import sampled

PROGRAM = Path(__file__)
REPOSITORY = PROGRAM.parents[2]
FIRMWARE = """\
reg00: base=0x000000000 (    0MB), size= 2048MB, count=1: write-back
reg01: base=0x0ff000000 ( 4080MB), size=   16MB, count=1: write-protect
reg03: base=0x00fff8000 (  255MB), size=   32KB, count=1: uncachable
"""
REGISTERS = 5
FILES = {
    "proc/mtrr": FIRMWARE,
    "proc/cpuinfo": "flags : fpu mtrr wbnoinvd\naddress sizes : 36 bits physical, 48 bits virtual\n",
    "proc/iomem": "00000000-7fffffff : System RAM\n  fed00000-fed003ff : HPET\nfff000000-fffffffff : Reserved\n",
    "proc/sys/kernel/random/boot_id": "11111111-2222-3333-4444-555555555555\n",
}


def tree(root):
    fill(root, FILES)
    (root / "run").mkdir()
    return root


class FalseMtrr(FalseSystem):
    """Takes the lines that mtrr_write() takes, and refuses those that it refuses, with its numbers."""

    def write(self, path, text):
        if path.name != "mtrr":
            return super().write(path, text)
        self._count("write", path, text)
        line = text[:-1]  # the kernel never looks at the last character
        ranges = memory_ranges(path.read_text())
        if line.startswith("disable="):
            number = int(line[8:])
            if number not in [one.register for one in ranges]:
                raise OSError(22, os.strerror(22))
            kept = [one if one.register != number else replace(one, users=one.users - 1) for one in ranges]
            return self._list(path, [one for one in kept if one.users > 0])
        words = dict(word.split("=") for word in line.split(" "))
        base, size = int(words["base"], 0), int(words["size"], 0)
        if base % size or base % 4096 or words["type"] not in ("uncachable", "write-back"):
            raise OSError(22, os.strerror(22))
        free = sorted(set(range(REGISTERS)) - {one.register for one in ranges})
        if not free:
            raise OSError(28, os.strerror(28))
        new = journal.MemoryRange(free[0], base, size, 1, words["type"])
        return self._list(path, sorted([*ranges, new], key=lambda one: one.register))

    def _list(self, path, ranges):
        def line(one):
            size = f"{one.size >> 20:5}M" if one.size >= 2**20 else f"{one.size >> 10:5}K"
            head = f"reg{one.register:02}: base=0x{one.base:09x} ({one.base >> 20:5}MB), size={size}B"
            return f"{head}, count={one.users}: {one.type}\n"

        self._store(path, "".join(map(line, ranges)))


@pytest.fixture
def root(tmp_path):
    return tree(tmp_path / "root")


@pytest.fixture
def no_guests(monkeypatch):
    monkeypatch.setattr(kvm, "guests", lambda *_: Guests((), False))


def measured(host, system, dirty=False):
    with Signals() as signals, changing(signals, system) as changes:
        return wbinvd.measure(host, changes, max(os.sched_getaffinity(0)), dirty)


def test_the_simulation_lists_what_it_was_told():
    assert [one.size for one in memory_ranges(FIRMWARE)] == [2**31, 2**24, 2**15]
    assert memory_ranges("reg00: disabled\n\nnonsense") == []


def test_one_add_and_one_delete_leave_everything_as_it_was(root, host):
    written = []
    system = FalseMtrr(root, lambda _, words: written.append(words[1:]) if words[0] == "write" else None)
    result = measured(host, system)
    assert (root / "proc/mtrr").read_text() == FIRMWARE
    assert not (root / "run/costmodel/journal").exists()
    (_, added), (_, deleted) = written
    assert added.startswith("base=0x") and added.endswith("type=uncachable\n") and deleted == "disable=2\n"
    assert result.flushes_per_stop == 2 * host.logical_cpus and result.dirty_bytes == 0
    assert result.flush_at_most_s == pytest.approx(min(result.add_s, result.delete_s) / (2 * host.logical_cpus))
    assert "WBINVD at most" in measurement.stops(result)[0]


def test_the_journal_names_the_range_before_it_is_there(root, host):
    seen = []

    def before(_, words):
        if words[0] == "write":
            seen.append(((root / "run/costmodel/journal").read_text(), (root / "proc/mtrr").read_text()))

    measured(host, FalseMtrr(root, before))
    first, _ = seen
    assert '"kind": "mtrr"' in first[0] and first[1] == FIRMWARE


def test_the_range_lies_where_nothing_is(root):
    entry = wbinvd.free_range(FalseMtrr(root))
    base, size = int(entry.base, 16), int(entry.size, 16)
    assert base + size == 0xFFF000000 and base % size == 0
    (root / "proc/iomem").write_text("000000000-fffffffff : System RAM\n")
    with pytest.raises(Skipped, match="no unused range"):
        wbinvd.free_range(FalseMtrr(root))


def test_with_dirty_caches_the_second_stop_is_compared(root, host):
    small = replace(host, caches=host.caches[:2])
    result = measured(small, FalseMtrr(root), dirty=True)
    assert result.dirty_bytes == 2**20
    assert "1.00 MiB dirty" in measurement.stops(result)[-1]
    assert "5.00 ms longer" in measurement.stops(wbinvd.Result(4, 0.001, 0.006, 2**20))[-1]
    assert "no longer" in measurement.stops(wbinvd.Result(4, 0.006, 0.001, 2**20))[-1]


class Refusing(FalseMtrr):
    """Refuses the writes that `of` picks, by number from 0, with `number`."""

    def __init__(self, root, number, of):
        super().__init__(root)
        self.number, self.of, self.writes = number, of, 0

    def write(self, path, text):
        self.writes += 1
        if self.of(self.writes - 1):
            raise OSError(self.number, os.strerror(self.number))
        return super().write(path, text)


@pytest.mark.parametrize(
    ("number", "said"), [(1, "outside of a container"), (22, "see dmesg"), (28, "no register"), (5, "see dmesg")]
)
def test_an_add_that_is_refused_is_one_line_and_changes_nothing(root, host, number, said):
    with pytest.raises(BadInput) as refused:
        measured(host, Refusing(root, number, lambda n: n == 0))
    assert str(refused.value).startswith("/proc/mtrr: refused the write") and said in str(refused.value)
    assert (root / "proc/mtrr").read_text() == FIRMWARE
    assert not (root / "run/costmodel/journal").exists()


def test_registers_that_are_all_used_are_told(root, host):
    full = FIRMWARE + "".join(
        f"reg0{n}: base=0x{n}00000000 (    1MB), size=    1MB, count=1: uncachable\n" for n in (2, 4)
    )
    (root / "proc/mtrr").write_text(full)
    with pytest.raises(BadInput, match="no register for memory type ranges is free"):
        measured(host, FalseMtrr(root))
    assert (root / "proc/mtrr").read_text() == full


def test_a_delete_that_is_refused_once_is_made_at_the_end(root, host):
    with pytest.raises(BadInput, match="refused the write"):
        measured(host, Refusing(root, 5, lambda n: n == 1))
    assert (root / "proc/mtrr").read_text() == FIRMWARE


def test_a_delete_that_stays_refused_is_named_and_restored_later(root, host):
    with pytest.raises(BadInput):
        measured(host, Refusing(root, 5, lambda n: n >= 1))
    assert len(memory_ranges((root / "proc/mtrr").read_text())) == 4
    with Signals() as signals:
        (finding,) = journal.restore(signals, FalseMtrr(root))
    assert finding.state is State.PUT_BACK and "is removed from" in finding.text
    assert (root / "proc/mtrr").read_text() == FIRMWARE


@pytest.mark.parametrize("change", [("count=1: uncachable", "count=2: uncachable"), ("uncachable", "write-through")])
def test_a_range_that_somebody_else_uses_by_then_is_left(root, host, change):
    with pytest.raises(BadInput):
        measured(host, Refusing(root, 5, lambda n: n >= 1))
    lines = (root / "proc/mtrr").read_text().splitlines(keepends=True)
    text = "".join(line.replace(*change) if line.startswith("reg02") else line for line in lines)
    (root / "proc/mtrr").write_text(text)
    with Signals() as signals:
        (finding,) = journal.restore(signals, FalseMtrr(root))
    assert finding.state is State.LEFT and "somebody else has changed it" in finding.text
    assert (root / "proc/mtrr").read_text() == text


def operations(host, root):
    system = FalseMtrr(root)
    measured(host, system)
    return system.operations


@pytest.mark.parametrize("number", sampled([signal.SIGKILL, signal.SIGTERM, signal.SIGHUP], 3))
def test_a_kill_at_any_operation_leaves_nothing_behind(tmp_path, host, number):
    """After SIGKILL once `measure restore` has run; the others at once."""
    total = operations(host, tree(tmp_path / "count"))
    left = 0
    for operation in range(total):
        root = tree(tmp_path / f"root-{operation}")
        child = subprocess.run(
            [sys.executable, PROGRAM, root, str(operation), str(int(number))],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert child.returncode == (-9 if number == signal.SIGKILL else 128 + number), child.stderr
        left += len(memory_ranges((root / "proc/mtrr").read_text())) > 3
        if number == signal.SIGKILL:
            with Signals() as signals:
                journal.restore(signals, FalseMtrr(root))
        assert (root / "proc/mtrr").read_text() == FIRMWARE
        assert not (root / "run/costmodel/journal").exists()
    assert (left > 0) == (number == signal.SIGKILL)


def test_where_it_cannot_run_each_reason_is_said(root, host):
    assert wbinvd.missing(host, root, euid=0) == []
    (root / "proc/mtrr").unlink()
    (root / "proc/cpuinfo").write_text("flags : fpu ss\n")
    reasons = " ".join(wbinvd.missing(replace(host, hypervisor="yes"), root, euid=1000))
    assert all(text in reasons for text in ("virtual machine", "flag ss", "/proc/mtrr is missing", "needs root"))


def refused_without_agreement(root, host, monkeypatch):
    """What `costmodel measure wbinvd` says on such a host to a user who may do it and has not said --yes."""
    check = wbinvd.check
    with monkeypatch.context() as patched:
        patched.setattr(session, "this_host", lambda: host)
        patched.setattr(wbinvd, "check", lambda host: check(host, root, euid=0))
        refused = CliRunner().invoke(measure_command, ["wbinvd"]).exception
    assert isinstance(refused, BadInput)
    return str(refused)


def test_without_agreement_the_plan_is_the_answer(root, host, no_guests, monkeypatch):
    said = refused_without_agreement(root, host, monkeypatch)
    assert "all 4 CPUs stop 2 times" in said and "for 16 WBINVD" in said and "estimated" in said and "--yes" in said
    wbinvd.check(host, root, euid=0)


def test_the_estimate_grows_with_the_cpus(host):
    """From the logs of other machines: 16 times the CPUs, 16 times the pause."""

    def seconds(text):
        ends = text.split(" in all")[0].removeprefix("estimated ").split(" to ")
        return [float(number) * {"s": 1, "ms": 1e-3}[unit] for number, unit in map(str.split, ends)]

    few, many = (seconds(measurement.stop_plan(wbinvd.planned(replace(host, logical_cpus=n)))[1]) for n in (16, 256))
    assert few[0] < few[1] and [m / f for m, f in zip(many, few, strict=True)] == pytest.approx([16, 16], rel=0.1)


@pytest.mark.parametrize("found", [Guests((4711,), False), Guests((), True)])
def test_where_guests_run_or_may_run_it_is_refused_even_with_agreement(root, host, monkeypatch, found):
    monkeypatch.setattr(kvm, "guests", lambda *_: found)
    with pytest.raises(BadInput, match="is refused") as refused:
        wbinvd.check(host, root, euid=0)
    assert "no way around" in str(refused.value) and "--on-a-host-with-guests" not in str(refused.value)


def main(root, operation, number):
    """A run that sends itself a signal before one of its operations."""

    def before(count, _):
        if count == int(operation):
            os.kill(os.getpid(), int(number))

    try:
        measured(describe(), FalseMtrr(Path(root), before))
    except Interrupted as error:
        sys.exit(error.exit_code)


if __name__ == "__main__":
    with ordinary_signals():
        main(*sys.argv[1:])


def test_what_is_refused_begins_with_the_name_of_the_probe(root, host, no_guests, monkeypatch):
    assert re.search("^wbinvd: .*--yes", refused_without_agreement(root, host, monkeypatch))
    monkeypatch.setattr(kvm, "guests", lambda *_: Guests((4711,), False))
    with pytest.raises(BadInput, match="^wbinvd is refused: "):
        wbinvd.check(host, root, euid=0)
    with pytest.raises(BadInput, match="^wbinvd is skipped: .*needs root"):
        wbinvd.check(host, root, euid=1000)
