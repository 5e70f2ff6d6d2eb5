"""A false /sys, /proc and /dev in a folder, and a run of what root changes there, for tests that kill it.

As a program: `python false_kernel.py ROOT [OPERATION SIGNAL]` makes a run on the tree, with its journal in the tree's
/run, and sends itself SIGNAL before the system call OPERATION, counted from 0.
"""

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path

from costmodel.measure import invalidations
from costmodel.measure.journal import Interrupted, Signals, System, changing
from costmodel.measure.native import Buffer

FILES = {
    "proc/mounts": "proc /proc proc rw 0 0\n",
    "proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n",
    "proc/sys/kernel/random/boot_id": "11111111-2222-3333-4444-555555555555\n",
    "proc/self/ksm_merging_pages": "0\n",
    "proc/self/ksm_stat": "ksm_rmap_items 0\n",
    "sys/kernel/mm/ksm/run": "0\n",
    "sys/kernel/mm/ksm/sleep_millisecs": "20\n",
    "sys/kernel/mm/ksm/pages_to_scan": "100\n",
    "sys/kernel/mm/ksm/smart_scan": "1\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "sys/block/zram0/disksize": "0\n",
    "sys/block/zram0/reset": "",
    "dev/zram0": "",
}
TRACING = {f"events/kvm/{invalidations.EVENT}/enable": "0\n", "instances/other/trace": "somebody's\n"}
INSTANCE = ("buffer_size_kb", "trace_clock", "trace", f"events/kvm/{invalidations.EVENT}/enable")


def fill(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def tree(root: Path, mounted: bool = True) -> Path:
    """A host with KSM, an unused zram device and, where `mounted`, tracefs in its usual place."""
    fill(root, FILES)
    (root / "run").mkdir()
    if mounted:
        fill(root / "sys/kernel/tracing", TRACING)
    return root


def contents(root: Path) -> dict[str, bytes | None]:
    """Every file with its bytes, every folder with None; without the lock, which stays."""
    found = {str(p.relative_to(root)): None if p.is_dir() else p.read_bytes() for p in root.rglob("*")}
    return {name: content for name, content in found.items() if name not in ("run/costmodel", "run/costmodel/lock")}


class FalseSystem(System):
    """Does to the tree what the kernel would do, one operation at a time."""

    def __init__(self, root: Path, before=lambda operation, words: None) -> None:
        super().__init__(root)
        self.operations = 0
        self._before = before

    def _count(self, *words: object) -> None:
        self._before(self.operations, words)
        self.operations += 1

    def _aside(self) -> Path:
        """A place outside the tree: a kernel changes its own all at once, whoever is killed meanwhile."""
        return self.root.parent / f"aside-{os.getpid()}-{self.operations}"

    def read(self, path: Path) -> str:
        self._count("read", path)
        if path.name == "ksm_merging_pages":
            return str(
                invalidations.MEMORY_BYTES // 4096 if super().read(self.path(invalidations.KSM) / "run") == "1" else 0
            )
        return super().read(path)

    def write(self, path: Path, text: str) -> None:
        self._count("write", path, text)
        if path.name == "reset":
            self._store(path.with_name("disksize"), "0\n")
        else:
            self._store(path, text)

    def _store(self, path: Path, text: str) -> None:
        """A kernel takes a value whole or not at all."""
        if not path.exists():
            raise FileNotFoundError(2, "No such file or directory", str(path))
        same = FILES.get(str(path.relative_to(self.root)), "")
        aside = self._aside()
        aside.write_text(same if same.strip() == text else text)
        aside.replace(path)

    def mkdir(self, path: Path) -> None:
        self._count("mkdir", path)
        if path.parent.name == "instances":
            aside = self._aside()
            fill(aside, dict.fromkeys(INSTANCE, ""))
            aside.replace(path)
        else:
            super().mkdir(path)

    def rmdir(self, path: Path) -> None:
        self._count("rmdir", path)
        if path.parent.name == "instances":
            aside = self._aside()
            path.replace(aside)
            shutil.rmtree(aside)
        else:
            super().rmdir(path)

    def run(self, *words: str) -> str:
        self._count("run", *words)
        mounts, swaps = self.path("proc/mounts"), self.path("proc/swaps")
        if words[0] == "mount":
            self._store(mounts, mounts.read_text() + f"nodev {words[-1]} tracefs rw 0 0\n")
            fill(Path(words[-1]), TRACING)
        elif words[0] == "umount":
            for folder in Path(words[-1]).iterdir():
                shutil.rmtree(folder)
            self._store(mounts, FILES["proc/mounts"])
        elif words[0] == "swapon":
            self._store(swaps, swaps.read_text() + f"{words[-1]} partition 65532 0 -2\n")
        elif words[0] == "swapoff":
            self._store(swaps, FILES["proc/swaps"])
        return ""


@contextlib.contextmanager
def ordinary_signals():
    """SIGHUP, SIGINT and SIGTERM as in a terminal, also where the tests were started with nohup or in the
    background.
    """
    handlers = {
        signal.SIGHUP: signal.SIG_DFL,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGINT: signal.default_int_handler,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def make_a_run(system: FalseSystem) -> None:
    """What `measure invalidations` does as root, without a virtual machine."""
    with Signals() as signals, changing(signals, system) as changes, changes.restored():
        trace = invalidations.Trace(invalidations.tracing_folder(changes), changes)
        for cause in invalidations.CAUSES:
            if cause.trigger in ("fork_cow", "ksm", "swap_reclaim"):
                with Buffer(invalidations.MEMORY_BYTES) as memory:
                    invalidations.observed(cause, memory, trace, changes)


def main(root: str, operation: str = "-1", number: str = "0") -> None:
    def before(count: int, _: object) -> None:
        if count == int(operation):
            os.kill(os.getpid(), int(number))

    system = FalseSystem(Path(root), before)
    print("ready", flush=True)
    try:
        make_a_run(system)
    except Interrupted as error:
        sys.exit(error.exit_code)
    print(system.operations)


if __name__ == "__main__":
    with ordinary_signals():
        main(*sys.argv[1:])
