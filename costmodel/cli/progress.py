"""Signs of work on standard error for what takes longer than two seconds: a bar on a terminal, a line a minute on a
pipe. What is done sooner shows nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import click

QUIET_S = 2.0
"""What takes no longer than this needs no sign of work."""
LINE_EVERY_S = 60.0


@contextmanager
def progress(
    length: int | None, what: str, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[], None]]:
    """Gives a function to be called after each of `length` steps; None: nobody knows how many there are, and a terminal
    gets the lines of a pipe.
    """
    began = said = clock()
    done = 0
    bar = None
    with ExitStack() as shown:

        def step() -> None:
            nonlocal done, said, bar
            done += 1
            now = clock()
            if length is not None and sys.stderr.isatty():
                if bar is None and now - began > QUIET_S:
                    bar = shown.enter_context(click.progressbar(length=length, label=f"{what:<9}", file=sys.stderr))
                    bar.update(done - 1)
                if bar is not None:
                    bar.update(1)
            elif now - said >= LINE_EVERY_S:
                said = now
                of = "" if length is None else f" of {length}"
                click.echo(f"{what}: {done}{of} after {round((now - began) / 60)} min", err=True)

        yield step
