"""Anonymous memory with a known address, in 4 KiB or transparent huge pages."""

from __future__ import annotations

import contextlib
import ctypes
import mmap

PAGES = ("4KiB", "2MiB")
MADVISE = {"4KiB": mmap.MADV_NOHUGEPAGE, "2MiB": mmap.MADV_HUGEPAGE}
HUGE_BYTES = 2**21


class Buffer:
    """`bytes` of zeroed, present memory, aligned to 2 MiB. Use as a context manager."""

    def __init__(self, size: int, page: str = "4KiB") -> None:
        self.bytes = size
        self._map = mmap.mmap(-1, size + HUGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._map.madvise(MADVISE[page])
        view = (ctypes.c_char * (size + HUGE_BYTES)).from_buffer(self._map)
        base = ctypes.addressof(view)
        self.address = -(-base // HUGE_BYTES) * HUGE_BYTES
        self.offset = self.address - base
        self._view = view
        ctypes.memset(self.address, 1, size)

    def array(self, dtype: str = "uint64"):
        """The memory as a numpy array."""
        import numpy

        return numpy.frombuffer(self._map, dtype="uint8")[self.offset : self.offset + self.bytes].view(dtype)

    def madvise(self, advice: int, start: int = 0, size: int | None = None) -> None:
        """madvise over a part of the memory."""
        self._map.madvise(advice, self.offset + start, self.bytes - start if size is None else size)

    def close(self) -> None:
        del self._view
        with contextlib.suppress(BufferError):  # a numpy view is still alive: the memory goes with it
            self._map.close()

    def __enter__(self) -> Buffer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
