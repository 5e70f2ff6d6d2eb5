"""The live kernel where it can be asked; what is said where it cannot; what is put back in every case."""

import os
import signal
from pathlib import Path

import pytest

from costmodel.errors import BadInput
from costmodel.measure import invalidations, journal, kvm
from costmodel.measure.host import describe
from costmodel.measure.journal import SIGNALS, Interrupted, Signals, changing
from costmodel.measure.native import Buffer
from costmodel.measure.probe import Settings, Skipped
from costmodel.report import measurement
from tests.measure.false_kernel import FalseSystem, tree

KSM = Path("/", invalidations.KSM)


@pytest.fixture(scope="module")
def table():
    if os.geteuid() != 0 or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.skip("needs root and /dev/kvm")
    if kvm.guests().holders:
        pytest.skip(kvm.guests().sentence())
    before = left_behind()
    try:
        with Signals() as signals, changing(signals) as changes:
            found = invalidations.probe(describe(), Settings(quick=True), lambda: None, changes)
    except (Skipped, BadInput) as reason:
        pytest.skip(str(reason))
    assert left_behind() == before
    return found


def left_behind():
    """What a run could leave: tunables of KSM, tracing instances, mounts, swap."""
    tunables = [KSM / name for name in invalidations.KSM_SETTINGS if (KSM / name).exists()]
    texts = {path: path.read_text() for path in [*tunables, Path("/proc/mounts"), Path("/proc/swaps")]}
    return texts, [path for place in journal.TRACING for path in Path("/", place, "instances").glob("costmodel*")]


def of(table, trigger, thread=None):
    """Range lengths of the events of a trigger that meet the memory slot."""
    return [
        row["measured_range_bytes"]
        for row in table.rows
        if row["trigger"] == trigger and row["measured_overlap_bytes"] > 0 and thread in (None, row["thread"])
    ]


@pytest.mark.nightly
def test_ksm_sends_two_events_of_a_page_per_merged_page(table):
    lengths = of(table, "ksm", "ksmd")
    if not lengths:
        pytest.skip("; ".join(table.notes))
    pages = invalidations.MEMORY_BYTES // 4096
    assert set(lengths) == {4096}
    assert 1.8 * pages <= len(lengths) <= 2.2 * pages


@pytest.mark.nightly
def test_a_collapse_sends_its_two_mebibytes(table):
    lengths = of(table, "thp_collapse")
    if not lengths:
        pytest.skip("; ".join(table.notes))
    assert lengths.count(2**21) == invalidations.MEMORY_BYTES // 2**21


@pytest.mark.nightly
def test_mprotect_sends_one_event_for_the_whole_range_each_time(table):
    assert of(table, "mprotect_or_uffd_wp").count(invalidations.MEMORY_BYTES) == 2
    assert {row["proxy"] for row in table.rows if row["trigger"] == "mprotect_or_uffd_wp"} == {
        "autonuma_prot_none_scan"
    }


@pytest.mark.nightly
def test_a_write_after_fork_sends_one_event_per_page(table):
    assert of(table, "fork_cow").count(4096) == pytest.approx(invalidations.MEMORY_BYTES // 4096, rel=0.02)


@pytest.mark.nightly
def test_discarding_sends_the_range_that_was_discarded(table):
    assert of(table, "munmap_or_discard").count(2**21) == invalidations.MEMORY_BYTES // 2**21


@pytest.mark.nightly
def test_one_numa_node_cannot_show_autonuma(table):
    if describe().numa_nodes == 1:
        assert any("AutoNUMA itself is not measurable" in note for note in table.notes)


def test_without_root_it_says_so(host):
    with pytest.raises(Skipped, match="needs root"):
        invalidations.probe(host, Settings(), lambda: None, None)


@pytest.fixture
def changes(tmp_path):
    with Signals() as signals, changing(signals, FalseSystem(tree(tmp_path / "root"))) as changes:
        yield changes


def cause(trigger):
    return next(cause for cause in invalidations.CAUSES if cause.trigger == trigger)


def test_ksm_that_was_told_to_unmerge_the_host_is_not_started(changes):
    """Putting 2 back would unmerge the pages of every process a second time."""
    run = changes.system.path(invalidations.KSM) / "run"
    run.write_text("2\n")
    with Buffer(2**21) as memory, pytest.raises(Skipped, match="run is 2"):
        cause("ksm").act(memory, changes)
    assert run.read_text() == "2\n"


def test_no_tunable_of_ksm_is_set_to_unmerge_the_host():
    assert invalidations.KSM_SETTINGS["run"] == "1"


def test_what_is_planned_names_every_tunable_that_is_then_written(changes):
    system, written = changes.system, []
    system._before = lambda _, words: written.append(str(words[1])) if words[0] == "write" else None
    planned = " ".join(map(measurement.changed, invalidations.planned(system)))
    for trigger in ("ksm", "swap_reclaim"):
        with Buffer(invalidations.MEMORY_BYTES) as memory, changes.restored():
            cause(trigger).act(memory, changes)
    tunables = {path for path in written if "ksm" in path}
    assert len(tunables) == len(invalidations.KSM_SETTINGS)
    assert all(f"{path}: " in planned for path in tunables)
    assert "dev/zram0: swap" in planned


def test_swap_that_is_in_use_is_used_and_left(changes):
    (changes.system.path("proc/swaps")).write_text("Filename\n/dev/sda2 partition 1 0 -2\n")
    with Buffer(2**21) as memory:
        cause("swap_reclaim").act(memory, changes)
    assert changes.system.path("sys/block/zram0/disksize").read_text() == "0\n"


def test_a_zram_device_of_somebody_else_is_not_touched(changes):
    changes.system.path("sys/block/zram0/disksize").write_text("1048576\n")
    with Buffer(2**21) as memory, pytest.raises(Skipped, match="no free zram"):
        cause("swap_reclaim").act(memory, changes)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_child_of_the_fork_probe_ends_by_a_signal_and_undoes_nothing(changes, monkeypatch, number):
    """The terminal signals the whole group: parent and child."""
    tunable = changes.system.path("sys/kernel/mm/ksm/run")
    real, children = os.fork, []

    def fork():
        children.append(real())
        return children[-1]

    monkeypatch.setattr(os, "fork", fork)
    changes.set(tunable, "1")
    with Buffer(invalidations.MEMORY_BYTES) as memory:
        read = os.read

        def first(file, size):
            found = read(file, size)
            if children[-1]:
                os.kill(children[-1], number)
            return found

        monkeypatch.setattr(os, "read", first)
        cause("fork_cow").act(memory, changes)
    assert tunable.read_text() == "1"
    with pytest.raises(ProcessLookupError):
        os.kill(children[-1], 0)


def test_the_child_of_the_fork_probe_ends_with_its_parent():
    """A killed parent leaves no process behind that holds its virtual machine."""
    told, tell = os.pipe()
    outer = os.fork()
    if outer == 0:
        os.close(told)
        real = os.fork

        def fork():
            child = real()
            if child:
                os.write(tell, f"{child}\n".encode())
                os.kill(os.getpid(), signal.SIGKILL)
            return child

        os.fork = fork
        with Buffer(invalidations.MEMORY_BYTES) as memory:
            invalidations._fork_and_write(memory, None)
    os.close(tell)
    os.waitpid(outer, 0)
    with os.fdopen(told) as stream:
        assert int(stream.readline())
        assert stream.read() == ""  # the child, too, has closed its end: it is gone


def test_an_interrupt_during_ksm_unmerges_nothing_but_our_own(changes):
    run = changes.system.path(invalidations.KSM) / "run"

    def before(_, words):
        if words[0] == "read" and words[1].name == "ksm_merging_pages" and run.read_text() == "1":
            os.kill(os.getpid(), signal.SIGINT)

    changes.system._before = before
    written = []
    real = changes.system.write
    changes.system.write = lambda path, text: (written.append((path.name, text)), real(path, text))
    ksm = cause("ksm")
    with Buffer(invalidations.MEMORY_BYTES) as memory, pytest.raises(Interrupted), changes.restored():
        try:
            ksm.act(memory, changes)
        finally:
            ksm.after(memory, changes)
    assert ("run", "0") in written and ("run", "2") not in written
    assert run.read_text() == "0\n"
