"""The live kernel where it can be asked; what is said where it cannot; what is put back in every case."""

import os
import signal

import pytest

from costmodel.measure import invalidations, tracefs
from costmodel.measure.buffer import Buffer
from costmodel.measure.host import describe
from costmodel.measure.kvm import Vm
from costmodel.measure.probe import Settings, Skipped
from costmodel.measure.tunables import restored


@pytest.fixture(scope="module")
def table():
    if os.geteuid() != 0 or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.skip("needs root and /dev/kvm")
    before = {path: path.read_text() for path in invalidations.KSM.glob("*") if path.name in ("run", "pages_to_scan")}
    try:
        found = invalidations.probe(describe(), Settings(quick=True), lambda: None)
    except Skipped as reason:
        pytest.skip(str(reason))
    assert {path: path.read_text() for path in before} == before
    return found


def of(table, trigger, thread=None):
    """Range lengths of the events of a trigger that meet the memory slot."""
    return [
        row["measured_range_bytes"]
        for row in table.rows
        if row["trigger"] == trigger and row["measured_overlap_bytes"] > 0 and thread in (None, row["thread"])
    ]


def test_ksm_sends_two_events_of_a_page_per_merged_page(table):
    lengths = of(table, "ksm", "ksmd")
    if not lengths:
        pytest.skip("; ".join(table.notes))
    pages = invalidations.MEMORY_BYTES // 4096
    assert set(lengths) == {4096}
    assert 1.8 * pages <= len(lengths) <= 2.2 * pages


def test_a_collapse_sends_its_two_mebibytes(table):
    lengths = of(table, "thp_collapse")
    if not lengths:
        pytest.skip("; ".join(table.notes))
    assert lengths.count(2**21) == invalidations.MEMORY_BYTES // 2**21


def test_mprotect_sends_one_event_for_the_whole_range_each_time(table):
    assert of(table, "mprotect_or_uffd_wp").count(invalidations.MEMORY_BYTES) == 2
    assert {row["proxy"] for row in table.rows if row["trigger"] == "mprotect_or_uffd_wp"} == {
        "autonuma_prot_none_scan"
    }


def test_a_write_after_fork_sends_one_event_per_page(table):
    assert of(table, "fork_cow").count(4096) == pytest.approx(invalidations.MEMORY_BYTES // 4096, rel=0.02)


def test_discarding_sends_the_range_that_was_discarded(table):
    assert of(table, "munmap_or_discard").count(2**21) == invalidations.MEMORY_BYTES // 2**21


def test_the_instance_is_gone_afterwards(table):
    for place in tracefs.MOUNTS:
        assert not (place / "instances" / tracefs.INSTANCE).exists()


def test_one_numa_node_cannot_show_autonuma(table):
    if describe().numa_nodes == 1:
        assert any("AutoNUMA itself is not measurable" in note for note in table.notes)


def test_without_root_it_says_so(host, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Skipped, match="needs root"):
        invalidations.probe(host, Settings(), lambda: None)


def test_without_the_tracepoint_it_says_so(tmp_path):
    (tmp_path / "instances").mkdir()
    with pytest.raises(Skipped, match="kvm_unmap_hva_range"):
        tracefs.Trace(tmp_path)


def test_without_tracefs_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "mount").write_text("#!/bin/sh\necho 'mount: permission denied' >&2\nexit 32\n")
    (tmp_path / "mount").chmod(0o755)
    with pytest.raises(Skipped, match="permission denied"), tracefs.mounted((tmp_path / "none",)):
        pass


@pytest.mark.parametrize("device", ["none", "plain"])
def test_without_kvm_it_says_so(tmp_path, device):
    (tmp_path / "plain").write_text("")
    with Buffer(2**21) as memory, pytest.raises(Skipped, match=device):
        Vm(memory, tmp_path / device)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_tunables_are_put_back_whatever_ends_the_block(tmp_path, stop):
    run, choice = tmp_path / "run", tmp_path / "enabled"
    run.write_text("0\n")
    choice.write_text("always [madvise] never\n")
    with pytest.raises(stop), restored() as tunables:
        tunables.set(run, "1")
        tunables.set(run, "2")
        tunables.set(choice, "always")
        assert run.read_text() == "2"
        raise stop
    assert run.read_text() == "0"
    assert choice.read_text() == "madvise"


def test_a_termination_signal_puts_tunables_back(tmp_path):
    run = tmp_path / "run"
    run.write_text("0")
    with pytest.raises(KeyboardInterrupt), restored() as tunables:
        tunables.set(run, "1")
        os.kill(os.getpid(), signal.SIGTERM)
        signal.sigtimedwait([], 1)
    assert run.read_text() == "0"


def test_a_tunable_that_may_not_be_written_is_named(tmp_path):
    with pytest.raises(Skipped, match="nothing"), restored() as tunables:
        tunables.set(tmp_path / "nothing", "1")
