"""Runs the readers on hostile files and keeps what none of them may do: a traceback, a hang, a gigabyte."""

from __future__ import annotations

import contextlib
import random
import resource
import signal
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from costmodel.errors import CostModelError
from tests.fuzz.readers import readers

HANG_S = 5.0
MOST_BYTES = 2**30
KEPT = 5
"""Inputs that are kept of each kind of finding."""


class Hang(BaseException):
    """A reader took longer than HANG_S. No handler of the reader catches it."""


@dataclass
class Report:
    """What a run found: inputs and refusals by reader, findings by place, and the first inputs of each."""

    inputs: Counter = field(default_factory=Counter)
    refused: Counter = field(default_factory=Counter)
    findings: Counter = field(default_factory=Counter)
    kept: dict[str, list[bytes]] = field(default_factory=dict)
    peak_bytes: int = 0

    @property
    def bad(self) -> bool:
        return bool(self.findings) or self.peak_bytes > MOST_BYTES

    def keep(self, finding: str, content: bytes) -> None:
        self.findings[finding] += 1
        kept = self.kept.setdefault(finding, [])
        if len(kept) < KEPT:
            kept.append(content)

    def text(self) -> str:
        lines = [f"{'reader':<26}{'inputs':>9}{'refused':>9}"]
        lines += [f"{name:<26}{self.inputs[name]:>9}{self.refused[name]:>9}" for name in sorted(self.inputs)]
        lines += [f"{'all':<26}{self.inputs.total():>9}{self.refused.total():>9}"]
        lines += [f"{count} x {finding}" for finding, count in self.findings.most_common()]
        hangs = sum(count for finding, count in self.findings.items() if ": Hang" in finding)
        tracebacks = self.findings.total() - hangs
        lines.append(
            f"{tracebacks} tracebacks, {hangs} hangs over {HANG_S:g} s, more memory {self.peak_bytes / 2**20:.0f} MiB"
        )
        return "\n".join(lines)


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises Hang in the block after `seconds`, whatever a library makes of the interruption."""
    rung = []

    def ring(*_: object) -> None:
        rung.append(True)
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except Exception as error:
        if rung:
            raise Hang from error
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def place_of(error: BaseException) -> str:
    """Kind and innermost line of the project (tests left out) that an exception came through."""
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if "costmodel/" in f.filename and "/tests/" not in f.filename
    ]
    where = f"{frames[-1].filename.rpartition('costmodel/')[2]}:{frames[-1].lineno}" if frames else "outside"
    return f"{where}: {type(error).__name__}"


def run(number: int, seed: int = 1, only: str | None = None, folder: Path | None = None) -> Report:
    """`number` inputs; the same seed gives the same ones. Ctrl-C ends the run, not its report.

    The input that is being read lies in `folder` while it is.
    """
    before_bytes = _most_bytes()
    rng = random.Random(seed)
    report = Report()
    chosen = [one for one in readers() if only in (None, one.name)]
    seeds = {one.name: one.seeds() for one in chosen}
    for one in chosen:
        for content in seeds[one.name]:
            _try(one, content, report, folder, good=True)
    with contextlib.suppress(KeyboardInterrupt):
        for _ in range(number):
            [one] = rng.choices(chosen, [reader.weight for reader in chosen])
            _try(one, one.change(rng, rng.choice(seeds[one.name])), report, folder)
            report.inputs[one.name] += 1
    report.peak_bytes = max(0, _most_bytes() - before_bytes)
    return report


def _most_bytes() -> int:
    """The most memory that this process has had; what it had before the run is no reader's."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _read(reader, path: Path, seconds: float) -> None:
    """Read the file. Raises Hang where that takes too long twice: once may be the load of the machine."""
    try:
        with limited(seconds):
            reader.read(path)
    except Hang:
        with limited(seconds):
            reader.read(path)


def _try(reader, content: bytes, report: Report, folder: Path | None, *, good: bool = False) -> None:
    """One input; a seed (`good`) must be read, and may take the time that libraries need to be loaded."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="input-") as place:
        path = Path(place) / reader.name
        path.write_bytes(content)
        try:
            _read(reader, path, 60 if good else HANG_S)
        except (CostModelError, click.ClickException) as error:
            if good:
                report.keep(f"{reader.name}: the seed is refused: {error}", content)
            if not str(error).isprintable() or len(str(error)) > 2000:
                report.keep(f"{reader.name}: a message that is no line", content)
            report.refused[reader.name] += not good
        except (Exception, Hang) as error:
            report.keep(f"{reader.name}: {place_of(error)}", content)
