"""A virtual machine with one memory slot and no vCPU: enough for the mmu notifier to fire."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

from costmodel.measure.buffer import Buffer
from costmodel.measure.probe import Skipped

KVM_GET_API_VERSION = 0xAE00
KVM_CREATE_VM = 0xAE01
KVM_SET_USER_MEMORY_REGION = 0x4020AE46
API_VERSION = 12


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
