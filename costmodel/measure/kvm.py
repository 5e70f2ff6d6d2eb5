"""A virtual machine with one memory slot and no vCPU: enough for the mmu notifier to fire."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self, cast

from costmodel.measure import native
from costmodel.measure.host import Host, usable_cpus
from costmodel.measure.native import Buffer, together
from costmodel.measure.probe import Cell, Settings, Skipped, Table, Tick, pinned, repeat, rounds

KVM_GET_API_VERSION = 0xAE00
KVM_CREATE_VM = 0xAE01
KVM_SET_USER_MEMORY_REGION = 0x4020AE46
API_VERSION = 12
HELD = ("anon_inode:kvm-vm", "anon_inode:kvm-vcpu")
"""What /proc/PID/fd shows of a process that holds a virtual machine or one of its vCPUs."""


@dataclass(frozen=True)
class Guests:
    """Processes other than this one that hold a virtual machine; `hidden` where some could not be looked into."""

    holders: tuple[int, ...]
    hidden: bool

    def sentence(self) -> str:
        """Why not to disturb this host; empty where there is no reason."""
        if self.holders:
            shown = ", ".join(str(pid) for pid in self.holders[:5]) + (", ..." if len(self.holders) > 5 else "")
            return f"virtual machines run on this host (held by process {shown})"
        return "whether virtual machines run on this host only root can tell" if self.hidden else ""


def guests(proc: Path = Path("/proc")) -> Guests:
    """Look for virtual machines of KVM that are not ours."""
    holders, hidden = [], False
    for folder in proc.glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        try:
            files = list((folder / "fd").iterdir())
        except PermissionError:
            hidden = True
            continue
        except OSError:  # ended meanwhile
            continue
        for file in files:
            with contextlib.suppress(OSError):
                if str(file.readlink()).startswith(HELD):
                    holders.append(int(folder.name))
                    break
    return Guests(tuple(sorted(holders)), hidden)


class Kernel:
    """The system calls that the probes make; a test puts a recorded one in its place."""

    def open(self, path: str) -> int:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def close(self, file: int) -> None:
        os.close(file)

    def ioctl(self, file: int, request: int, argument: int | bytes | bytearray = 0) -> int:
        return cast(int, fcntl.ioctl(file, request, argument))

    def map_vcpu(self, file: int, size: int) -> object:
        return mmap.mmap(file, size)

    def symbols(self) -> str:
        return Path("/proc/kallsyms").read_text()


class _Files:
    """What consists of open files of KVM, which are closed in the reverse order."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._files: list[int] = []

    def _open(self, file: int) -> int:
        self._files.append(file)
        return file

    def close(self) -> None:
        while self._files:
            self._kernel.close(self._files.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Vm(_Files):
    """A VM whose guest memory is `memory`. Raises Skipped where KVM cannot be used."""

    def __init__(self, memory: Buffer, device: Path = Path("/dev/kvm")) -> None:
        super().__init__(Kernel())
        try:
            system = self._open(self._kernel.open(str(device)))
            if self._kernel.ioctl(system, KVM_GET_API_VERSION) != API_VERSION:
                raise Skipped(f"{device}: not the KVM interface of version {API_VERSION}")
            vm = self._open(self._kernel.ioctl(system, KVM_CREATE_VM))
            region = struct.pack("IIQQQ", 0, 0, 0, memory.bytes, memory.address)
            self._kernel.ioctl(vm, KVM_SET_USER_MEMORY_REGION, region)
        except OSError as error:
            self.close()
            raise Skipped(f"{device}: {error.strerror}") from None


# The kernel's own whole-cache flush, timed from user space: KVM_MEMORY_ENCRYPT_UNREG_REGION of an SEV VM.
#
# That ioctl flushes the caches on all CPUs with WBINVD up to v6.16, and from v6.17 on with WBNOINVD on the CPUs that
# ran the VM. There the mask is empty until a vCPU has entered the guest, so a vCPU enters once on each chosen CPU
# first.
#
# The sequence of system calls is tested against a recorded kernel interface; it has not yet run on SEV hardware.

KVM_CREATE_VCPU = 0xAE41
KVM_GET_VCPU_MMAP_SIZE = 0xAE04
KVM_RUN = 0xAE80
KVM_MEMORY_ENCRYPT_OP = 0xC008AEBA
KVM_MEMORY_ENCRYPT_REG_REGION = 0x8010AEBB
KVM_MEMORY_ENCRYPT_UNREG_REGION = 0x8010AEBC
KVM_SEV_INIT = 0
KVM_SEV_LAUNCH_START = 2
REGION_BYTES = 4096
MASK_SYMBOL = "wbnoinvd_on_cpus_mask"
DIRTY_SHARES = (0.0, 0.5, 1.0)
FLUSHES_PER_VM = {False: 3, True: 2}
"""By `masked`: the unregistration and the release of the address space flush; up to v6.16 sev_vm_destroy() does,
too.
"""


def missing(root: Path = Path("/")) -> list[str]:
    """What this host lacks for an SEV VM, each in words; empty where everything is there."""
    found = []
    cpuinfo = (root / "proc/cpuinfo").read_text()
    if " sev" not in cpuinfo:
        found.append("/proc/cpuinfo shows no flag sev (no such CPU, BIOS off, or a virtual machine)")
    if not (root / "dev/kvm").exists():
        found.append("/dev/kvm is missing")
    if not (root / "dev/sev").exists():
        found.append("/dev/sev is missing (module ccp)")
    parameter = root / "sys/module/kvm_amd/parameters/sev"
    if not parameter.exists():
        found.append("module kvm_amd is not loaded")
    elif parameter.read_text().strip() not in ("Y", "1"):
        found.append("kvm_amd.sev is off")
    return found


class SevVm(_Files):
    """An initialised SEV VM with one 4 KiB memory slot and one vCPU."""

    def __init__(self, memory: Buffer, kernel: Kernel) -> None:
        super().__init__(kernel)
        self._memory = memory
        try:
            system = self._open(kernel.open("/dev/kvm"))
            firmware = self._open(kernel.open("/dev/sev"))
            self.vm = self._open(kernel.ioctl(system, KVM_CREATE_VM, 0))
            self._command(KVM_SEV_INIT, firmware)
            region = struct.pack("IIQQQ", 0, 0, 0, REGION_BYTES, memory.address)
            kernel.ioctl(self.vm, KVM_SET_USER_MEMORY_REGION, region)
            self.vcpu = self._open(kernel.ioctl(self.vm, KVM_CREATE_VCPU, 0))
            self._shared = kernel.map_vcpu(self.vcpu, kernel.ioctl(system, KVM_GET_VCPU_MMAP_SIZE, 0))
            start = bytearray(struct.pack("IIQIIQI4x", 0, 0, 0, 0, 0, 0, 0))
            self._command(KVM_SEV_LAUNCH_START, firmware, start)
        except OSError as error:
            self.close()
            raise Skipped(f"sev: {error.strerror}") from None

    def _command(self, number: int, firmware: int, data: bytearray | None = None) -> None:
        import ctypes

        address = ctypes.addressof(ctypes.c_char.from_buffer(data)) if data is not None else 0
        self._kernel.ioctl(
            self.vm, KVM_MEMORY_ENCRYPT_OP, bytearray(struct.pack("I4xQII", number, address, 0, firmware))
        )

    def enter(self, cpus: Sequence[int]) -> list[str]:
        """Let the vCPU enter the guest once on each CPU; the guest has no code, so every entry ends at once.

        Gives the refusals of KVM_RUN: a CPU that it names may be missing from the mask of CPUs that ran the VM.
        """
        refused = []
        for cpu in cpus:
            with pinned(cpu):
                try:
                    self._kernel.ioctl(self.vcpu, KVM_RUN, 0)
                except OSError as error:
                    refused.append(f"KVM_RUN on CPU {cpu}: {error.strerror}")
        return refused

    def flush_s(self) -> float:
        """Time of one unregistration, in seconds."""
        region = struct.pack("QQ", self._memory.address, REGION_BYTES)
        self._kernel.ioctl(self.vm, KVM_MEMORY_ENCRYPT_REG_REGION, region)
        began = time.perf_counter_ns()
        self._kernel.ioctl(self.vm, KVM_MEMORY_ENCRYPT_UNREG_REGION, region)
        return (time.perf_counter_ns() - began) * 1e-9


def masked(kernel: Kernel) -> bool:
    """Whether the kernel flushes only the CPUs that ran the VM: it has the function, upstream or by backport."""
    return MASK_SYMBOL in kernel.symbols()


def cells(mask: bool, cpus: Sequence[int]) -> list[Cell]:
    """CPUs that ran the VM x dirty share of the last-level cache."""
    counts = sorted({1, 2, len(cpus) // 2, len(cpus)} - {0}) if mask else [len(cpus)]
    return [{"cpus": count, "dirty_share": share, "masked": mask} for count in counts for share in DIRTY_SHARES]


@dataclass(frozen=True)
class WholeCachePlan:
    """What the probe will do to the other users of this host: `masked` flushes reach only the CPUs that ran the VM."""

    flushes: int
    masked: bool


def planned(settings: Settings, kernel: Kernel | None = None) -> WholeCachePlan:
    """How many whole-cache flushes the probe will cause at least, and where."""
    mask = masked(kernel or Kernel())
    vms = len(cells(mask, usable_cpus())) * rounds(settings)
    return WholeCachePlan(vms * FLUSHES_PER_VM[mask], mask)


def probe(host: Host, settings: Settings, tick: Tick, kernel: Kernel | None = None, root: Path = Path("/")) -> Table:
    """Column measured_flush_s against CPUs that ran the VM and the dirty share of the last-level cache."""
    lacks = missing(root)
    if lacks:
        raise Skipped("sev: " + "; ".join(lacks))
    kernel = kernel or Kernel()
    cpus = usable_cpus()
    mask = masked(kernel)
    llc = host.llc.bytes if host.llc else 0
    table = Table("sev", "measured_flush_s")
    table.notes.append(
        "WBNOINVD on the CPUs that ran the VM (v6.17 or a backport)" if mask else "WBINVD on all CPUs (up to v6.16)"
    )
    refused: set[str] = set()
    with Buffer(REGION_BYTES) as memory, Buffer(max(llc, native.LINE_BYTES)) as dirt:
        for run in range(settings.runs):

            def measure(cell) -> dict[str, float]:
                with SevVm(memory, kernel) as vm:
                    refused.update(vm.enter(cpus[: cell["cpus"]]))
                    _dirty(dirt, cell["dirty_share"], cpus)
                    return {"flush_s": vm.flush_s(), "dirty_bytes": cell["dirty_share"] * dirt.bytes}

            repeat(table, cells(mask, cpus), settings, run, measure, tick)
    if mask:
        table.notes += [
            f"{text}: the vCPU may not have entered there, and the flush may not have reached it"
            for text in sorted(refused)
        ]
    return table


def _dirty(dirt: Buffer, share: float, cpus: Sequence[int]) -> None:
    """Each CPU dirties its part of `share` of the buffer."""
    lines = int(dirt.bytes * share) // native.LINE_BYTES // len(cpus)
    if lines:
        dirty = native.function("dirty")
        step = lines * native.LINE_BYTES
        together(cpus, [partial(dirty, dirt.address + i * step, lines) for i in range(len(cpus))])
