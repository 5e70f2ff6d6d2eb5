"""The ioctl sequence of the SEV probe against a recorded kernel interface: no SEV hardware is at hand."""

import struct

import pytest

from costmodel.measure import kvm
from costmodel.measure.host import usable_cpus
from costmodel.measure.native import Buffer
from costmodel.measure.probe import Settings, Skipped
from costmodel.report import measurement

NAMES = {
    kvm.KVM_CREATE_VM: "create_vm",
    kvm.KVM_CREATE_VCPU: "create_vcpu",
    kvm.KVM_GET_VCPU_MMAP_SIZE: "mmap_size",
    kvm.KVM_SET_USER_MEMORY_REGION: "memory_slot",
    kvm.KVM_RUN: "run",
    kvm.KVM_MEMORY_ENCRYPT_OP: "encrypt_op",
    kvm.KVM_MEMORY_ENCRYPT_REG_REGION: "register",
    kvm.KVM_MEMORY_ENCRYPT_UNREG_REGION: "unregister",
}


class Recorded(kvm.Kernel):
    """Hands out file numbers, keeps what it was asked, and fails where it is told to."""

    def __init__(self, symbols="", fails=()):
        self.calls, self.open_files, self._symbols, self._fails, self._next = [], set(), symbols, fails, 100

    def _file(self):
        self._next += 1
        self.open_files.add(self._next)
        return self._next

    def open(self, path):
        self.calls.append(("open", path))
        return self._file()

    def close(self, file):
        self.open_files.remove(file)

    def ioctl(self, file, request, argument=0):
        name = NAMES[request]
        assert file in self.open_files
        if name == "encrypt_op":
            name = f"sev_{struct.unpack_from('I', argument)[0]}"
        self.calls.append((name, argument))
        if name in self._fails:
            raise OSError(22, "Invalid argument")
        return self._file() if name in ("create_vm", "create_vcpu") else 4096

    def map_vcpu(self, file, size):
        return object()

    def symbols(self):
        return self._symbols


@pytest.fixture
def root(tmp_path):
    for name, text in {
        "proc/cpuinfo": "flags : fpu sev sev_es\n",
        "dev/kvm": "",
        "dev/sev": "",
        "sys/module/kvm_amd/parameters/sev": "Y\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_sequence_is_that_of_the_kernel_interface():
    kernel = Recorded()
    with Buffer(4096) as memory, kvm.SevVm(memory, kernel) as vm:
        vm.enter(usable_cpus()[:1])
        assert vm.flush_s() > 0
    assert [name for name, _ in kernel.calls] == [
        "open",
        "open",
        "create_vm",
        f"sev_{kvm.KVM_SEV_INIT}",
        "memory_slot",
        "create_vcpu",
        "mmap_size",
        f"sev_{kvm.KVM_SEV_LAUNCH_START}",
        "run",
        "register",
        "unregister",
    ]
    assert not kernel.open_files


def test_the_region_that_is_unregistered_is_the_one_that_was_registered():
    kernel = Recorded()
    with Buffer(4096) as memory, kvm.SevVm(memory, kernel) as vm:
        vm.flush_s()
        regions = [struct.unpack("QQ", argument) for name, argument in kernel.calls if name.endswith("register")]
        assert regions == [(memory.address, 4096)] * 2


def test_the_numbers_of_the_ioctls_follow_from_their_layout():
    """_IOC(direction, 0xAE, number, size) of linux/kvm.h."""

    def ioc(direction, number, size):
        return direction << 30 | size << 16 | 0xAE << 8 | number

    assert ioc(3, 0xBA, 8) == kvm.KVM_MEMORY_ENCRYPT_OP
    assert ioc(2, 0xBB, 16) == kvm.KVM_MEMORY_ENCRYPT_REG_REGION
    assert ioc(2, 0xBC, 16) == kvm.KVM_MEMORY_ENCRYPT_UNREG_REGION
    assert ioc(1, 0x46, struct.calcsize("IIQQQ")) == kvm.KVM_SET_USER_MEMORY_REGION


def test_an_entry_that_the_guest_ends_at_once_still_counts():
    kernel = Recorded(fails=("run",))
    with Buffer(4096) as memory, kvm.SevVm(memory, kernel) as vm:
        vm.enter(usable_cpus()[:1])
    assert ("run", 0) in kernel.calls


def test_a_vcpu_that_cannot_enter_is_said(host, root):
    table = kvm.probe(host, Settings(quick=True), lambda: None, Recorded(kvm.MASK_SYMBOL, fails=("run",)), root)
    assert any("may not have entered" in note and "CPU" in note for note in table.notes)


@pytest.mark.parametrize("step", ["create_vm", "sev_0", "memory_slot", "create_vcpu", "sev_2"])
def test_a_refusal_closes_every_file(step):
    kernel = Recorded(fails=(step,))
    with Buffer(4096) as memory, pytest.raises(Skipped, match="Invalid argument"):
        kvm.SevVm(memory, kernel)
    assert not kernel.open_files


@pytest.mark.parametrize(("symbols", "mask"), [("0 T wbinvd_on_all_cpus\n", False), (f"0 T {kvm.MASK_SYMBOL}\n", True)])
def test_the_mask_is_told_by_the_function_that_the_kernel_has(host, root, symbols, mask):
    kernel = Recorded(symbols)
    table = kvm.probe(host, Settings(quick=True), lambda: None, kernel, root)
    assert {row["masked"] for row in table.rows} == {mask}
    counts = {row["cpus"] for row in table.rows}
    assert counts == ({1, 2, len(usable_cpus()) // 2, len(usable_cpus())} - {0} if mask else {len(usable_cpus())})
    assert {row["dirty_share"] for row in table.rows} == set(kvm.DIRTY_SHARES)
    entered = [name for name, _ in kernel.calls].count("run")
    flushes = [name for name, _ in kernel.calls].count("unregister")
    assert entered >= flushes


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("dev/sev", "/dev/sev"),
        ("dev/kvm", "/dev/kvm"),
        ("sys/module/kvm_amd/parameters/sev", "kvm_amd"),
        ("proc/cpuinfo", "flag sev"),
    ],
)
def test_what_is_missing_is_said_exactly(host, root, gone, said):
    if gone == "proc/cpuinfo":
        (root / gone).write_text("flags : fpu\n")
    else:
        (root / gone).unlink()
    with pytest.raises(Skipped, match=said):
        kvm.probe(host, Settings(quick=True), lambda: None, Recorded(), root)


@pytest.mark.parametrize(("symbols", "mask"), [("", False), (kvm.MASK_SYMBOL, True)])
def test_the_number_of_flushes_is_told_before_they_are_made(host, root, symbols, mask):
    """One unregistration per virtual machine, and what the kernel flushes when the machine goes."""
    kernel, settings = Recorded(symbols), Settings(quick=True)
    kvm.probe(host, settings, lambda: None, kernel, root)
    unregistered = [name for name, _ in kernel.calls].count("unregister")
    assert f"sev: {unregistered * kvm.FLUSHES_PER_VM[mask]} whole-cache flushes" in measurement.whole_cache_plan(
        kvm.planned(settings, Recorded(symbols))
    )
