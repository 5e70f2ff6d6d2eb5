"""Machine code for the probes, made by LLVM at run time: no compiler is needed on the host.

All functions take an address and a number of cache lines of 64 bytes and give ticks of the time-stamp counter.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from costmodel.errors import INSTALL, CostModelError

LINE_BYTES = 64
INSTRUCTIONS = ("CLFLUSH", "CLFLUSHOPT", "CLWB")
"""Each is a flag of /proc/cpuinfo in lower case; CLWB writes back and keeps the line."""
STATES = ("dirty", "clean", "absent")
MEMBARRIER_NR = 324
"""System call number of membarrier on x86-64."""

_START = 'call i64 asm sideeffect "mfence; lfence; rdtsc; shlq $$32, %rdx; orq %rdx, %rax", "={rax},~{rdx},~{memory}"()'
_STOP = (
    'call i64 asm sideeffect "mfence; rdtscp; lfence; shlq $$32, %rdx; orq %rdx, %rax", '
    '"={rax},~{rdx},~{rcx},~{memory}"()'
)


class NativeUnavailable(CostModelError):
    """The machine code cannot be made here."""


def _loop(name: str, arguments: str, body: str, *, timed: bool = True, carried: str = "", before: str = "") -> str:
    """A function that does `body` once for each %i below its last argument, and gives the ticks that all of it took.

    `carried` are values that go from one round to the next, `before` what is done ahead of the first; one that is not
    `timed` gives %total, a sum that it carries itself.
    """
    count = arguments.rpartition(" ")[2]
    return f"""
define i64 @{name}({arguments}) {{
entry:
  {before}
  {f"%t0 = {_START}" if timed else ""}
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  {carried}
  {body}
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, {count}
  br i1 %more, label %loop, label %done
done:
  {f"%t1 = {_STOP}" if timed else ""}
  {"%total = sub i64 %t1, %t0" if timed else ""}
  ret i64 %total
}}
"""


def _over_lines(name: str, body: str) -> str:
    """A timed loop over the lines; `body` sees %line."""
    line = "%offset = shl i64 %i, 6\n  %line = getelementptr i8, ptr %start, i64 %offset"
    return _loop(name, "ptr %start, i64 %lines", f"{line}\n  {body}")


def _flush(instruction: str) -> str:
    return f'call void asm sideeffect "{instruction.lower()} ($0)", "r,~{{memory}}"(ptr %line)'


_READ = 'call void asm sideeffect "movq ($0), %rax", "r,~{rax},~{memory}"(ptr %line)'
_DIRTY = 'call void asm sideeffect "incb ($0)", "r,~{memory}"(ptr %line)'
_STREAM = 'call void asm sideeffect "movntiq %rax, ($0); movntiq %rax, 8($0); movntiq %rax, 16($0); movntiq %rax, 24($0); movntiq %rax, 32($0); movntiq %rax, 40($0); movntiq %rax, 48($0); movntiq %rax, 56($0)", "r,~{memory}"(ptr %line)'
_FENCE = 'call void asm sideeffect "mfence", "~{memory}"()'


def _prepare(state: str, lines: str) -> str:
    """Bring `lines` lines into `state`: dirty and clean in the nearest cache that holds them, absent in none."""
    steps = {"dirty": ["dirty"], "clean": ["dirty", "flush_clflush", "read"], "absent": ["dirty", "flush_clflush"]}[
        state
    ]
    return "\n  ".join(f"call i64 @{step}(ptr %start, i64 {lines})" for step in steps)


def _pairs(instruction: str, state: str) -> str:
    """Sum over `count` repetitions of the time of flushing twice the lines minus that of flushing the lines.

    A delay that differs each time spreads the starts over the step of the time-stamp counter (26 ticks on some CPUs).
    """
    flush = f"@flush_{instruction.lower()}"
    body = f"""
  %spread = mul i64 %i, 13
  %delay = and i64 %spread, 31
  {_prepare(state, "%lines")}
  call i64 @compute(ptr null, i64 %delay)
  %one = call i64 {flush}(ptr %start, i64 %lines)
  {_prepare(state, "%double")}
  call i64 @compute(ptr null, i64 %delay)
  %two = call i64 {flush}(ptr %start, i64 %double)
  %more_time = sub i64 %two, %one
  %total = add i64 %sum, %more_time"""
    return _loop(
        f"pairs_{instruction.lower()}_{state}",
        "ptr %start, i64 %lines, i64 %count",
        body,
        timed=False,
        carried="%sum = phi i64 [ 0, %entry ], [ %total, %loop ]",
        before="%double = shl i64 %lines, 1",
    )


def _in_turn(instruction: str) -> str:
    """Time of `count` flushes of `lines` lines in turn (a power of two), without a fence between them."""
    body = f"""
  %turn = and i64 %i, %mask
  %offset = shl i64 %turn, 6
  %line = getelementptr i8, ptr %start, i64 %offset
  {_flush(instruction)}"""
    arguments = "ptr %start, i64 %lines, i64 %count"
    return _loop(f"turn_{instruction.lower()}", arguments, body, before="%mask = sub i64 %lines, 1")


_SOURCE = (
    "".join(_over_lines(f"flush_{name.lower()}", _flush(name)) for name in INSTRUCTIONS)
    + "".join(_over_lines(f"fenced_{name.lower()}", f"{_flush(name)}\n  {_FENCE}") for name in INSTRUCTIONS)
    + "".join(_in_turn(name) for name in INSTRUCTIONS)
    + _over_lines("read", _READ)
    + _over_lines("dirty", _DIRTY)
    + _over_lines("stream", _STREAM)
    + "".join(_pairs(name, state) for name in INSTRUCTIONS for state in STATES)
    + _loop(
        "chase",
        "ptr %start, i64 %steps",
        "%q = load volatile ptr, ptr %p",
        carried="%p = phi ptr [ %start, %entry ], [ %q, %loop ]",
    )
    + _loop("compute", "ptr %unused, i64 %steps", 'call void asm sideeffect "imulq %rax, %rax", "~{rax}"()')
    + f"""
define i64 @until(ptr %stop, i64 %unused) {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  call void asm sideeffect "pause", "~{{memory}}"()
  %next = add i64 %i, 1
  %flag = load volatile i64, ptr %stop
  %more = icmp eq i64 %flag, 0
  br i1 %more, label %loop, label %done
done:
  ret i64 %next
}}

define i64 @membarrier(ptr %command, i64 %times) {{
entry:
  %number = ptrtoint ptr %command to i64
  %t0 = {_START}
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %again ]
  %result = call i64 asm sideeffect "syscall", "={{rax}},0,{{rdi}},{{rsi}},{{rdx}},~{{rcx}},~{{r11}},~{{memory}}"(i64 {MEMBARRIER_NR}, i64 %number, i64 0, i64 0)
  %failed = icmp slt i64 %result, 0
  br i1 %failed, label %error, label %again
again:
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %times
  br i1 %more, label %loop, label %done
done:
  %t1 = {_STOP}
  %ticks = sub i64 %t1, %t0
  ret i64 %ticks
error:
  ret i64 %result
}}

define i64 @ticks(ptr %unused, i64 %none) {{
entry:
  %t0 = {_START}
  ret i64 %t0
}}
"""
)


@cache
def _engine() -> Any:
    try:
        from llvmlite import binding
    except ImportError as error:
        raise NativeUnavailable(f"llvmlite is not installed: {INSTALL.format('measure')}") from error
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    binding.initialize_native_asmparser()
    module = binding.parse_assembly(_SOURCE)
    module.verify()
    machine = binding.Target.from_default_triple().create_target_machine(opt=1)
    engine = binding.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine


@cache
def function(name: str, counts: int = 1) -> Callable[..., int]:
    """The native function `name(address, count)`, or of several counts; ctypes lets other Python threads run
    meanwhile.
    """
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, *[ctypes.c_int64] * counts)
    return kind(_engine().get_function_address(name))


def flush(instruction: str) -> Callable[[int, int], int]:
    """The timed flush loop of `instruction`, one of INSTRUCTIONS, with a fence before and after."""
    return function(f"flush_{instruction.lower()}")


def fenced(instruction: str) -> Callable[[int, int], int]:
    """The timed flush loop of `instruction` with a fence after every line."""
    return function(f"fenced_{instruction.lower()}")


def in_turn(instruction: str) -> Callable[[int, int, int], int]:
    """`in_turn(instruction)(address, lines, count)`: ticks of `count` flushes that go round over `lines` lines, a power
    of two; one fence before the first and one after the last.
    """
    return function(f"turn_{instruction.lower()}", 2)


def pairs(instruction: str, state: str) -> Callable[[int, int, int], int]:
    """`pairs(instruction, state)(address, lines, count)`: ticks that flushing 2 x lines takes more than lines, summed
    over `count` repetitions; the fences and the timer cancel.
    """
    return function(f"pairs_{instruction.lower()}_{state}", 2)


@cache
def tick_s() -> float:
    """Seconds per tick of the time-stamp counter, from 0.2 s against CLOCK_MONOTONIC."""
    ticks = function("ticks")
    first_ns, first = time.monotonic_ns(), ticks(0, 0)
    time.sleep(0.2)
    last_ns, last = time.monotonic_ns(), ticks(0, 0)
    return (last_ns - first_ns) * 1e-9 / (last - first)


# Anonymous memory with a known address, in 4 KiB or transparent huge pages.

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


# Native loops on several CPUs at once: one pinned thread each.


class Worker(threading.Thread):
    """Runs `work()` on `cpu` after the barrier; keeps result, error and the times of begin and end in seconds."""

    def __init__(self, cpu: int, work: Callable[[], object], barrier: threading.Barrier) -> None:
        super().__init__(daemon=True)
        self._cpu, self._work, self._barrier = cpu, work, barrier
        self.result: Any = None
        self.error: BaseException | None = None
        self.began_s = self.ended_s = 0.0

    def run(self) -> None:
        try:
            os.sched_setaffinity(0, {self._cpu})
            self._barrier.wait()
            self.began_s = time.monotonic()
            self.result = self._work()
            self.ended_s = time.monotonic()
        except BaseException as error:
            self.error = error
            self._barrier.abort()


@contextlib.contextmanager
def ended(
    workers: Sequence[Worker], barrier: threading.Barrier, stop: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """No worker outlives the block, whatever ends it: the memory that they work on goes next. `stop` tells them to
    end.
    """
    try:
        yield
    except BaseException:
        barrier.abort()
        raise
    finally:
        stop()
        for worker in workers:
            if worker.ident is not None:
                worker.join()


def together(cpus: Sequence[int], works: Sequence[Callable[[], object]]) -> list[Worker]:
    """Run each work on its CPU, all released at once; raises the first error."""
    barrier = threading.Barrier(len(cpus))
    workers = [Worker(cpu, work, barrier) for cpu, work in zip(cpus, works, strict=True)]
    with ended(workers, barrier):
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    for worker in workers:
        if worker.error is not None and not isinstance(worker.error, threading.BrokenBarrierError):
            raise worker.error
    return workers


@contextlib.contextmanager
def spinning(cpus: Sequence[int]) -> Iterator[None]:
    """One thread of this process runs on each of `cpus` for as long as the block lasts."""
    stop = ctypes.c_int64(0)
    barrier = threading.Barrier(len(cpus) + 1)
    address = ctypes.addressof(stop)
    workers = [Worker(cpu, lambda: function("until")(address, 0), barrier) for cpu in cpus]
    with ended(workers, barrier, lambda: setattr(stop, "value", 1)):
        for worker in workers:
            worker.start()
        barrier.wait()
        yield
