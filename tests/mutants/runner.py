"""Runs mutants: each in a process of its own, forked from one that has the libraries in memory, on a copy of the
package.

The copies share files by hard links with one snapshot of the checkout; only the changed file is their own. Numeric
forms of the formulas and fitted parameters are kept under a hash of the sources that they come from; a copy starts with
those of the unchanged sources, and what its change touches is made anew in its own cache.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.mutants.modules import GROUPS, ROOT, group_of, judges_of, own_test
from tests.mutants.mutations import Mutant

LIBRARIES = (
    "hypothesis.strategies",
    "numpy",
    "numpy.testing",
    "pint",
    "pydantic",
    "pytest",
    "scipy.optimize",
    "scipy.special",
    "scipy.stats",
    "sympy",
    "sympy.printing.numpy",
)
COPIED = ("costmodel", "data", "notebooks", "tests", "pyproject.toml", "README.md")
LEAST_LIMIT_S = 60.0
"""A mutant whose tests take longer than this, and TIMES_LONGER than those of the original, hangs."""
TIMES_LONGER = 5.0
SLOWEST_S = 3.0
"""A test that takes longer than this on the unchanged sources is no judge: a mutant run has to stay cheap."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class NotGreen(Exception):
    """The tests of a group fail without any fault, so that nothing could be told from a mutant."""


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: killed by the test `by` (its node id, or why no test ran), or not (`by` is empty)."""

    mutant: Mutant
    by: str
    took_s: float

    @property
    def killed(self) -> bool:
        return bool(self.by)


@dataclass
class Bench:
    """A snapshot of the checkout with the durations of its tests, from which mutants are copied."""

    home: Path
    durations: dict[str, dict[str, float]] = field(default_factory=dict)
    """By group: seconds of each test (node id) on the unchanged sources."""

    @property
    def snapshot(self) -> Path:
        return self.home / "snapshot"

    @property
    def cache(self) -> Path:
        return self.home / "cache"

    def copy(self, name: str, mutant: Mutant | None) -> Path:
        """A tree of hard links in which the file of the mutant is changed."""
        place = self.home / name
        for part in COPIED:
            source = self.snapshot / part
            if source.is_dir():
                shutil.copytree(source, place / part, copy_function=os.link)
            elif source.exists():
                (place / part).hardlink_to(source)
        shutil.copytree(self.cache, place / "cache", copy_function=os.link)
        if mutant is not None:
            path = place / mutant.path
            changed = mutant.text(path.read_bytes())
            path.unlink()
            path.write_bytes(changed)
            for stale in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
                stale.unlink()
        return place


class _Recorder:
    """A pytest plugin: leaves the slow tests out and puts the fast ones first by what each took before (`known`), notes
    how long each takes and which one fails first.
    """

    def __init__(self, known: dict[str, float]) -> None:
        self.known, self.durations, self.failed = known, {}, ""

    def pytest_collection_modifyitems(self, items: list) -> None:
        items[:] = [item for item in items if self.known.get(item.nodeid, 0.0) <= SLOWEST_S]
        items.sort(key=lambda item: self.known.get(item.nodeid, 0.0))

    def pytest_runtest_logreport(self, report) -> None:
        self.durations[report.nodeid] = self.durations.get(report.nodeid, 0.0) + report.duration
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report) -> None:
        if report.failed and not self.failed:
            self.failed = f"collection of {report.nodeid}"


def _enter(place: Path) -> None:
    """Make this process use the package, the tests, the data and the cache of `place`."""
    os.chdir(place)
    for name in [n for n in sys.modules if n.partition(".")[0] in ("costmodel", "tests")]:
        del sys.modules[name]
    sys.path[:] = [str(place), *(p for p in sys.path if p not in ("", str(ROOT)))]
    os.environ |= {"PYTHONPATH": str(place), "XDG_CACHE_HOME": str(place / "cache")}
    os.environ.pop("COSTMODEL_DATA", None)
    importlib.invalidate_caches()


def _pytest(place: Path, files: Sequence[str], recorder: _Recorder, *options: str) -> None:
    import pytest

    fixed = [
        "-q",
        "--hypothesis-profile=full",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "--rootdir",
        str(place),
        "--tb=short",
    ]
    code = pytest.main([*fixed, *options, *files], plugins=[recorder])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) and not recorder.failed:
        recorder.failed = f"pytest ended with {code!s}"


def _judge(place: Path, mutant: Mutant, durations: dict[str, float], answer: Path) -> None:
    """In the forked process: run the tests of the mirrored file, then the others of the group, the fast ones first."""
    _enter(place)
    sys.dont_write_bytecode = True
    group = GROUPS[group_of(mutant.path)]
    recorder = _Recorder(durations)
    own = own_test(mutant.path)
    files = judges_of(group, place)
    for part in ([file for file in files if file == own], [file for file in files if file != own]):
        if part and not recorder.failed:
            _pytest(place, part, recorder, "-x")
    answer.write_text(json.dumps({"failed": recorder.failed}))


def _time(place: Path, name: str, answer: Path) -> None:
    """In the forked process: run all tests of the group and note how long each takes."""
    _enter(place)
    recorder = _Recorder({})
    _pytest(place, judges_of(GROUPS[name], place), recorder)
    answer.write_text(json.dumps({"failed": recorder.failed, "durations": recorder.durations}))


def _fork(work: Callable[[], None], log: Path) -> int:
    """Run `work` in a process group of its own, its output in `log`; gives the process id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        work()
        status = 0
    finally:
        os._exit(status)


@contextmanager
def _killed_at_the_end(children: Collection[int]) -> Iterator[Collection[int]]:
    """Kills the process groups that are still among `children` when the block is left, by an error too."""
    try:
        yield children
    finally:
        for pid in children:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _wait(children: dict[int, float]) -> tuple[int, bool]:
    """The next child that ends (by itself or killed at its limit) of {pid: time limit}; whether it was killed."""
    while True:
        for pid, limit in children.items():
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                return pid, False
            if time.monotonic() > limit:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return pid, True
        time.sleep(0.01)


@contextmanager
def prepared(groups: Iterable[str], root: Path = ROOT) -> Iterator[Bench]:
    """A bench on which the tests of the groups have run once; all that was written goes away with it.

    Raises NotGreen where a test fails without a fault.
    """
    with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as home:
        bench = Bench(Path(home))
        _fill(bench, root)
        for name in groups:
            _measure(bench, name)
        gc.freeze()
        yield bench


def _fill(bench: Bench, root: Path) -> None:
    """Copy the checkout and import the libraries."""
    os.environ |= dict.fromkeys(THREADS, "1")
    for part in COPIED:
        source = root / part
        if source.is_dir():
            shutil.copytree(source, bench.snapshot / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            (bench.snapshot / part).write_bytes(source.read_bytes())
    bench.cache.mkdir()
    for name in LIBRARIES:
        importlib.import_module(name)


def _measure(bench: Bench, name: str) -> None:
    answer, log = bench.home / "answer.json", bench.home / "log"
    shutil.copytree(bench.cache, bench.snapshot / "cache", dirs_exist_ok=True)
    child = _fork(lambda: _time(bench.snapshot, name, answer), log)
    with _killed_at_the_end({child}) as children:
        _wait({child: float("inf")})
        children.clear()
    found = json.loads(answer.read_text()) if answer.exists() else {"failed": "no answer"}
    if found["failed"]:
        raise NotGreen(f"{name}: {found['failed']} fails without a fault\n{log.read_text()[-2000:]}")
    bench.durations[name] = found["durations"]
    shutil.copytree(bench.snapshot / "cache", bench.cache, dirs_exist_ok=True)
    shutil.rmtree(bench.snapshot / "cache")
    answer.unlink()


def run(bench: Bench, mutants: Sequence[Mutant], jobs: int, report: Callable[[Outcome], None]) -> list[Outcome]:
    """Run every mutant against the tests of its group, `jobs` at a time; `report` is told of each as it ends."""
    waiting, running, outcomes = deque(enumerate(mutants)), {}, {}
    with _killed_at_the_end(running):
        while waiting or running:
            while waiting and len(running) < jobs:
                index, mutant = waiting.popleft()
                running |= _start(bench, index, mutant)
            pid, hung = _wait({pid: limit for pid, (_, _, limit, _) in running.items()})
            index, place, _, begun = running.pop(pid)
            outcomes[index] = Outcome(mutants[index], _verdict(place, hung), time.monotonic() - begun)
            shutil.rmtree(place)
            report(outcomes[index])
    return [outcomes[index] for index in range(len(mutants))]


def _start(bench: Bench, index: int, mutant: Mutant) -> dict[int, tuple[int, Path, float, float]]:
    durations = bench.durations[group_of(mutant.path)]
    place = bench.copy(f"mutant-{index}", mutant)
    begun = time.monotonic()
    child = _fork(lambda: _judge(place, mutant, durations, place / "answer.json"), place / "log")
    limit = begun + max(LEAST_LIMIT_S, TIMES_LONGER * sum(durations.values()))
    return {child: (index, place, limit, begun)}


def _verdict(place: Path, hung: bool) -> str:
    """What killed the mutant, or nothing."""
    if hung:
        return "time limit"
    answer = place / "answer.json"
    return json.loads(answer.read_text())["failed"] if answer.exists() else "the interpreter ended"
