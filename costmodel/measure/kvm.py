"""A virtual machine with one memory slot and no vCPU: enough for the mmu notifier to fire."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from costmodel.measure.buffer import Buffer
from costmodel.measure.probe import Skipped

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


class Vm:
    """A VM whose guest memory is `memory`. Raises Skipped where KVM cannot be used."""

    def __init__(self, memory: Buffer, device: Path = Path("/dev/kvm")) -> None:
        self._files: list[int] = []
        try:
            self._files.append(os.open(device, os.O_RDWR | os.O_CLOEXEC))
            if fcntl.ioctl(self._files[0], KVM_GET_API_VERSION, 0) != API_VERSION:
                raise Skipped(f"{device}: not the KVM interface of version {API_VERSION}")
            self._files.append(fcntl.ioctl(self._files[0], KVM_CREATE_VM, 0))
            region = struct.pack("IIQQQ", 0, 0, 0, memory.bytes, memory.address)
            fcntl.ioctl(self._files[1], KVM_SET_USER_MEMORY_REGION, region)
        except OSError as error:
            self.close()
            raise Skipped(f"{device}: {error.strerror}") from None

    def close(self) -> None:
        while self._files:
            os.close(self._files.pop())

    def __enter__(self) -> Vm:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
