"""Virtual machines: ours, and those of others that a probe must not disturb."""

import os

import pytest

from costmodel.measure import kvm
from costmodel.measure.kvm import Vm
from costmodel.measure.native import Buffer
from costmodel.measure.probe import Skipped


@pytest.mark.parametrize("device", ["none", "plain"])
def test_without_kvm_it_says_so(tmp_path, device):
    (tmp_path / "plain").write_text("")
    with Buffer(2**21) as memory, pytest.raises(Skipped, match=device):
        Vm(memory, tmp_path / device)


def process(proc, pid, *files):
    folder = proc / str(pid) / "fd"
    folder.mkdir(parents=True)
    for number, target in enumerate(files):
        (folder / str(number)).symlink_to(target)


def test_holders_of_a_virtual_machine_are_found(tmp_path):
    process(tmp_path, 10, "/dev/null", "/dev/kvm")
    process(tmp_path, 20, "/dev/null", "/dev/kvm", "anon_inode:kvm-vm", "anon_inode:kvm-vcpu:0")
    process(tmp_path, 30, "anon_inode:kvm-vcpu:3")
    process(tmp_path, 40, "anon_inode:[eventfd]", "socket:[1]")
    process(tmp_path, os.getpid(), "anon_inode:kvm-vm")
    (tmp_path / "50").mkdir()
    (tmp_path / "self").symlink_to("50")
    found = kvm.guests(tmp_path)
    assert found.holders == (20, 30) and not found.hidden
    assert "process 20, 30" in found.sentence()


def test_a_host_without_guests_is_no_reason(tmp_path):
    process(tmp_path, 10, "/dev/kvm")
    assert kvm.guests(tmp_path).sentence() == ""


def test_processes_that_cannot_be_looked_into_may_hold_one(tmp_path, monkeypatch):
    process(tmp_path, 10)
    monkeypatch.setattr(
        type(tmp_path), "iterdir", lambda path: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
    )
    assert "only root" in kvm.guests(tmp_path).sentence()


def test_many_holders_are_named_in_part():
    assert kvm.Guests(tuple(range(1, 100)), False).sentence().endswith("process 1, 2, 3, 4, 5, ...)")


def test_our_own_virtual_machine_is_none_of_theirs():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.skip("needs /dev/kvm")
    before = set(kvm.guests().holders)
    try:
        with Buffer(2**21) as memory, Vm(memory):
            assert os.getpid() not in kvm.guests().holders
            child = os.fork()
            if child == 0:
                os.read(os.pipe()[0], 1)
            try:
                assert child in set(kvm.guests().holders) - before
            finally:
                os.kill(child, 9)
                os.waitpid(child, 0)
    except Skipped as reason:
        pytest.skip(str(reason))
