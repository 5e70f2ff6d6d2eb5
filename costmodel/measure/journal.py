"""What a probe changes on the machine is written down first, so that it is put back whatever ends the run.

A change (a tunable, a tracing instance, a mount of tracefs, a zram swap, a memory type range) is one entry of the
journal, which is on the disk before the change is made. The entries are undone at the end of the block, by SIGHUP,
SIGTERM and SIGINT, and, after SIGKILL, by the next run or by `costmodel measure restore`. A value is put back only
where it is still the one that we wrote. The journal lies in a folder of root's own, with a lock: two runs at once
cannot happen.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

from costmodel.errors import BadInput
from costmodel.measure.host import selected
from costmodel.measure.probe import Skipped, allowed

PLACES = ("run/costmodel", "var/tmp/costmodel")
"""Where the journal lies: the first of these that can be made. What is in /run is gone after a reboot, like the
changes.
"""
OVERRIDE = "COSTMODEL_JOURNAL"
"""Environment variable that names another folder for the journal."""
TRACING = ("sys/kernel/tracing", "sys/kernel/debug/tracing")
INSTANCE = re.compile(r"costmodel-(\d+)")


# SIGHUP, SIGINT and SIGTERM end a run in good order: first everything is put back, then an exception is raised.

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal ended the run. Everything was put back before this is raised."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        return 128 + self.number


class Signals:
    """SIGHUP, SIGINT and SIGTERM while the block lasts: what `on_signal` says is done, then Interrupted is raised.

    Inside `held()` a signal waits: a change and its undoing are never cut in two. A signal that was ignored before the
    block (nohup) stays ignored.
    """

    def __init__(self) -> None:
        self.on_signal: Callable[[], object] = lambda: None
        self.ended_by = 0
        self._depth = 0
        self._waiting = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        for number in SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                with contextlib.suppress(ValueError):  # not in the main thread: nothing to be caught here
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self._depth:
            self._waiting = number
            return
        self._waiting, self.ended_by = 0, number
        self.on_signal()
        raise Interrupted(number)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._waiting and not self._depth:
                self._handle(self._waiting, None)


# Changes of the machine, each with how it is undone.


class System:
    """Files, folders and programs as root changes them, below `root`; a test puts a false one in its place."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        return self.root / name

    def read(self, path: Path) -> str:
        return path.read_text()

    def write(self, path: Path, text: str) -> None:
        """Write into a file that is there: a file of the kernel is never made."""
        file = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)

    def mkdir(self, path: Path) -> None:
        path.mkdir(mode=0o700)

    def rmdir(self, path: Path) -> None:
        """Remove an empty folder, or an instance of tracefs with the files that the kernel keeps in it."""
        path.rmdir()

    def run(self, *words: str) -> str:
        """Run a program; what it complained about, empty where it succeeded."""
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        except OSError as error:
            return f"{words[0]}: {error.strerror}"
        return "" if done.returncode == 0 else done.stderr.strip() or f"{words[0]} ended with {done.returncode}"

    def boot_id(self) -> str:
        """Differs after each reboot; empty where the kernel does not tell it."""
        try:
            return self.read(self.path("proc/sys/kernel/random/boot_id")).strip()
        except OSError:
            return ""

    def alive(self, pid: int) -> bool:
        return self.path(f"proc/{pid}").exists()


class State(Enum):
    """How the undoing of a change ended."""

    AS_BEFORE = "was as before"
    PUT_BACK = "put back"
    LEFT = "left"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One change after its undoing, with the sentence that the user reads."""

    state: State
    text: str


@dataclass(frozen=True)
class Value:
    """A tunable: its text before, and what we wrote."""

    path: str
    before: str
    written: str
    failure: ClassVar[str] = "{path} could not be set back to {before}"

    def undo(self, system: System) -> Finding:
        path = Path(self.path)
        present = selected(system.read(path))
        if present == self.before:
            return Finding(State.AS_BEFORE, f"{path} is {self.before} as before")
        if present != self.written:
            return Finding(
                State.LEFT,
                f"{path} is left at {present}: somebody else has changed it since; before the run it was {self.before}",
            )
        system.write(path, self.before)
        return Finding(State.PUT_BACK, f"{path} is {self.before} again (was {self.written})")


@dataclass(frozen=True)
class Instance:
    """A tracing instance of ours."""

    path: str
    failure: ClassVar[str] = "tracing instance {path} could not be removed"

    def undo(self, system: System) -> Finding:
        path = Path(self.path)
        if not path.exists():
            return Finding(State.AS_BEFORE, f"{path} is gone already")
        system.rmdir(path)
        return Finding(State.PUT_BACK, f"tracing instance {path} is removed")


@dataclass(frozen=True)
class Mount:
    """tracefs, mounted by us. The folder is removed only when nothing is mounted on it."""

    path: str
    failure: ClassVar[str] = "tracefs could not be unmounted from {path}"

    def undo(self, system: System) -> Finding:
        path = Path(self.path)
        on = self.path in mounts(system)
        if on and (problem := system.run("umount", self.path)):
            return Finding(State.FAILED, f"{failed(self)}: {problem}")
        if path.exists():
            system.rmdir(path)
        return Finding(State.PUT_BACK if on else State.AS_BEFORE, f"tracefs is no longer mounted on {path}")


@dataclass(frozen=True)
class Swap:
    """A zram device that nobody used, set up by us with `disksize` bytes as swap on `device`."""

    folder: str
    device: str
    disksize: str
    failure: ClassVar[str] = "{device} could not be taken out of use"

    def undo(self, system: System) -> Finding:
        present = system.read(Path(self.folder, "disksize")).strip()
        if present == "0":
            return Finding(State.AS_BEFORE, f"{self.device} is unused as before")
        if present != self.disksize:
            return Finding(State.LEFT, f"{self.device} is left: somebody else has set it up anew with {present} bytes")
        if self.device in swaps(system) and (problem := system.run("swapoff", self.device)):
            return Finding(State.FAILED, f"{failed(self)}: {problem}")
        system.write(Path(self.folder, "reset"), "1")
        return Finding(State.PUT_BACK, f"{self.device} is unused again")


@dataclass(frozen=True)
class Mtrr:
    """A memory type range that we added to `path` (/proc/mtrr); `base` and `size` in hexadecimal."""

    path: str
    base: str
    size: str
    type: str
    failure: ClassVar[str] = "the memory type range at {base} could not be removed from {path}"

    def undo(self, system: System) -> Finding:
        name = f"the memory type range at {self.base}"
        ours = [one for one in memory_ranges(system.read(Path(self.path))) if self.named_by(one)]
        if not ours:
            return Finding(State.AS_BEFORE, f"{name} is not in {self.path}, as before")
        if ours[0].type != self.type or ours[0].users != 1:
            now = f"{ours[0].type}, used {ours[0].users} times"
            return Finding(State.LEFT, f"{name} is left in {self.path}: somebody else has changed it since ({now})")
        system.write(Path(self.path), f"disable={ours[0].register}\n")
        return Finding(State.PUT_BACK, f"{name} is removed from {self.path}")

    def named_by(self, one: MemoryRange) -> bool:
        return (one.base, one.size) == (int(self.base, 16), int(self.size, 16))


Entry = Value | Instance | Mount | Swap | Mtrr
KINDS: dict[str, type[Entry]] = {"value": Value, "instance": Instance, "mount": Mount, "swap": Swap, "mtrr": Mtrr}


@dataclass(frozen=True)
class MemoryRange:
    """One variable memory type range register that is in use; `users` as the kernel counts them."""

    register: int
    base: int
    size: int
    users: int
    type: str


MEMORY_RANGE = re.compile(r"reg(\d+): base=0x([0-9a-f]+) \( *\d+MB\), size= *(\d+)([KM])B, count=(-?\d+): (\S+)", re.I)


def memory_ranges(text: str) -> list[MemoryRange]:
    """The registers that /proc/mtrr lists."""
    found = map(MEMORY_RANGE.match, text.splitlines())
    scale = {"K": 2**10, "M": 2**20}
    return [
        MemoryRange(int(one[1]), int(one[2], 16), int(one[3]) * scale[one[4]], int(one[5]), one[6])
        for one in found
        if one
    ]


def mounts(system: System) -> set[str]:
    """Folders on which something is mounted."""
    fields = (line.split() for line in system.read(system.path("proc/mounts")).splitlines())
    return {re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), words[1]) for words in fields if len(words) > 1}


def swaps(system: System) -> list[str]:
    """Files and devices that are swapped to."""
    return [line.split()[0] for line in system.read(system.path("proc/swaps")).splitlines()[1:] if line.strip()]


class Changes:
    """What this run has changed, in order. Every change goes through here, so that it is in the journal first."""

    def __init__(self, folder: Path, system: System, signals: Signals) -> None:
        self.folder, self.system = folder, system
        self._signals = signals
        self._entries: list[Entry] = []
        self.findings: list[Finding] = []

    def set(self, path: Path, text: str) -> None:
        """Write `text` into a tunable. Raises Skipped where that is not allowed."""
        with allowed(path):
            before = selected(self.system.read(path))
            with self._noted(Value(str(path), before, text)):
                self.system.write(path, text)

    def make_instance(self, tracing: Path) -> Path:
        """A tracing instance that is named after this process. Raises Skipped."""
        path = tracing / "instances" / f"costmodel-{os.getpid()}"
        with allowed(path), self._noted(Instance(str(path))):
            self.system.mkdir(path)
        return path

    def mount_tracefs(self) -> Path:
        """tracefs on a folder beside the journal. Raises Skipped."""
        path = self.folder / "tracing"
        with self._noted(Mount(str(path))):
            if not path.exists():
                self.system.mkdir(path)
            problem = self.system.run("mount", "-t", "tracefs", "nodev", str(path))
        if problem:
            raise Skipped(f"tracefs cannot be mounted: {problem}")
        return path

    def swap_on(self, name: str, size: int) -> None:
        """An unused zram device (`name` as in /dev) as swap of `size` bytes. Raises Skipped."""
        folder, device = self.system.path(f"sys/block/{name}"), str(self.system.path(f"dev/{name}"))
        disksize = folder / "disksize"
        if not disksize.exists() or self.system.read(disksize).strip() != "0":
            raise Skipped("no swap is active and no free zram device is there")
        with allowed(disksize), self._noted(Swap(str(folder), device, str(size))):
            self.system.write(disksize, str(size))
            problem = self.system.run("mkswap", device) or self.system.run("swapon", device)
        if problem:
            raise Skipped(problem)

    def add_memory_range(self, entry: Mtrr) -> float:
        """Add the range; seconds that the kernel took for it. Raises OSError, and then nothing is added."""
        with self._noted(entry):
            return self._timed_write(Path(entry.path), f"base={entry.base} size={entry.size} type={entry.type}\n")

    def delete_memory_range(self, entry: Mtrr) -> float:
        """Delete the range that was added last; seconds that the kernel took for it. Raises OSError, Skipped."""
        with self._signals.held():
            ours = [one for one in memory_ranges(self.system.read(Path(entry.path))) if entry.named_by(one)]
            if not ours:
                raise Skipped(f"the memory type range at {entry.base} is gone from {entry.path}")
            took_s = self._timed_write(Path(entry.path), f"disable={ours[0].register}\n")
            self._entries.remove(entry)
            with contextlib.suppress(OSError):  # one that is named although it is gone is found to be as before
                self._save()
            return took_s

    def _timed_write(self, path: Path, text: str) -> float:
        began = time.perf_counter()
        self.system.write(path, text)
        return time.perf_counter() - began

    @contextlib.contextmanager
    def _noted(self, entry: Entry) -> Iterator[None]:
        """The block makes the change that `entry` describes; the journal holds it before the block begins."""
        with self._signals.held():
            if self._signals.ended_by:  # an exception that a destructor swallowed does not revive the run
                raise Interrupted(self._signals.ended_by)
            self._entries.append(entry)
            try:
                self._save()
            except OSError as error:
                self._entries.pop()
                raise Skipped(
                    f"the journal in {self.folder} cannot be written ({error.strerror}), so nothing is changed"
                ) from None
            yield

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """What the block changes is put back at its end."""
        kept = len(self._entries)
        try:
            yield
        finally:
            self.put_back(kept)

    def put_back(self, kept: int = 0) -> None:
        """Undo all changes but the first `kept`, the last one first. One that fails is kept and does not stop the
        rest.
        """
        with self._signals.held():
            failed: list[Entry] = []
            self.findings = [finding for finding in self.findings if finding.state is not State.FAILED]
            while len(self._entries) > kept:
                entry = self._entries.pop()
                self.findings.append(finding := undone(entry, self.system))
                if finding.state is State.FAILED:
                    failed.append(entry)
            self._entries += reversed(failed)
            # A journal that cannot be renewed names too many changes, and those are found to be as before.
            with contextlib.suppress(OSError):
                self._save()

    def recover(self) -> None:
        """Undo what an ended run left: its journal, if it is of this boot, and instances of processes that are gone."""
        named = read(self.folder / "journal", self.system)
        self._entries = [*_stale_instances(self.system, named), *named]
        self.put_back()

    def failed(self) -> list[str]:
        """Sentences about what could not be put back."""
        return [finding.text for finding in self.findings if finding.state is State.FAILED]

    def _save(self) -> None:
        """The journal on the disk, whole: a kill leaves the old one or the new one."""
        journal, aside = self.folder / "journal", self.folder / "journal.new"
        if not self._entries:
            for path in (aside, journal):
                path.unlink(missing_ok=True)
            return
        head = {"boot_id": self.system.boot_id(), "pid": os.getpid()}
        kinds = {kind: name for name, kind in KINDS.items()}
        lines = [head, *({"kind": kinds[type(entry)], **asdict(entry)} for entry in self._entries)]
        file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "w") as stream:
            stream.writelines(json.dumps(line) + "\n" for line in lines)
            stream.flush()
            os.fsync(file)
        aside.replace(journal)
        _sync_folder(self.folder)


def failed(entry: Entry) -> str:
    """What to say where a change could not be undone."""
    return entry.failure.format(**vars(entry))


def undone(entry: Entry, system: System) -> Finding:
    """Undo one change. An error becomes a finding."""
    try:
        return entry.undo(system)
    except FileNotFoundError as error:
        return Finding(State.LEFT, f"{error.filename} is there no longer: nothing to put back")
    except OSError as error:
        return Finding(State.FAILED, f"{failed(entry)}: {error.strerror}")


def _stale_instances(system: System, known: list[Entry]) -> list[Instance]:
    """Tracing instances of costmodel whose process is gone and that the journal does not name."""
    named = {entry.path for entry in known if isinstance(entry, Instance)}
    found: dict[tuple[int, int], Instance] = {}
    for place in TRACING:
        with contextlib.suppress(OSError):
            for path in system.path(place).joinpath("instances").iterdir():
                match = INSTANCE.fullmatch(path.name)
                if match and not system.alive(int(match[1])) and str(path) not in named:
                    status = path.stat()  # the same tracefs may be mounted in both places
                    found.setdefault((status.st_dev, status.st_ino), Instance(str(path)))
    return list(found.values())


def read(journal: Path, system: System) -> list[Entry]:
    """Entries of a journal; none where there is no journal or where it is of an earlier boot. Raises BadInput."""
    remedy = "it was not written by costmodel: look at it, put back by hand what it names, and remove it"
    try:
        file = os.open(journal, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", file=journal, remedy=remedy) from None
    with os.fdopen(file, errors="replace") as stream:
        status = os.fstat(file)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise BadInput("does not belong to this user alone", file=journal, remedy=remedy)
        lines = stream.read().splitlines()
    found: list[Entry] = []
    for row, line in enumerate(lines, start=1):
        try:
            fields = json.loads(line)
            if row == 1:
                if fields["boot_id"] != system.boot_id():
                    return []
                continue
            found.append(KINDS[fields.pop("kind")](**fields))
            if not all(isinstance(value, str) for value in fields.values()):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise BadInput("is no entry of a journal", file=journal, row=row, remedy=remedy) from None
    return found


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def may_change() -> bool:
    """Whether this user may change tunables at all: root."""
    return os.geteuid() == 0


def places(system: System) -> list[Path]:
    """Folders in which the journal may lie, the preferred one first."""
    override = os.environ.get(OVERRIDE)
    return [Path(override).absolute()] if override else [system.path(place) for place in PLACES]


def made_folder(system: System) -> Path:
    """The folder of the journal, made if need be. Raises BadInput."""
    candidates = places(system)
    for folder in candidates:
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            return _own(folder)
    raise BadInput(
        "cannot be made, and nothing is changed without a journal",
        file=candidates[0],
        remedy=f"name another folder in {OVERRIDE}",
    )


def _own(folder: Path) -> Path:
    """`folder`, if nobody else can write there. Raises BadInput."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
        raise BadInput(
            "is not a folder that this user alone can write",
            file=folder,
            remedy=f"the journal of changed tunables needs one: run as root, remove it, or name another in {OVERRIDE}",
        )
    return folder


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """This process alone works with the journal. Raises BadInput that names the other process.

    The lock is one of POSIX: a child does not hold it, and it is gone with the process.
    """
    path = folder / "lock"
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadInput(f"cannot be opened: {error.strerror}", file=path, remedy="run as root") from None
    try:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(file, 32).decode(errors="replace").strip() or "unknown"
            raise BadInput(
                f"another run of costmodel measure is at work (process {holder})",
                file=folder,
                remedy="wait until it has ended; two at once would take each other's tunables for the old ones",
            ) from None
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(file)


@contextlib.contextmanager
def changing(signals: Signals, system: System | None = None) -> Iterator[Changes]:
    """Leave to change the machine: locked, what an ended run left is put back, and at the end all that this run
    changed.

    Raises BadInput where another run is at work or where what an earlier one left cannot be put back.
    """
    system = system or System()
    folder = made_folder(system)
    with _locked(folder):
        changes = Changes(folder, system, signals)
        signals.on_signal = changes.put_back
        try:
            changes.recover()
            if changes.failed():
                raise BadInput(
                    "an earlier run left what cannot be put back: " + "; ".join(changes.failed()),
                    file=folder / "journal",
                    remedy="put it back by hand, then `costmodel measure restore`",
                )
            yield changes
        finally:
            changes.put_back()


def restore(signals: Signals, system: System | None = None) -> list[Finding]:
    """Put back what ended runs left; what was found, change by change. Raises BadInput where a run is at work."""
    system = system or System()
    found: list[Finding] = []
    for folder in places(system):
        if folder.is_dir():
            with _locked(_own(folder)):
                changes = Changes(folder, system, signals)
                changes.recover()
                found += changes.findings
    return found
