"""The command line as a shell sees it, in this process: no new interpreter that imports everything first.

What only a process of its own shows (signals, limits, a closed pipe, what is imported) stays with the tests that start
one.
"""

import gc
import io
import os
import signal
import subprocess
import sys
import warnings
from unittest.mock import patch

from costmodel.cli import main

ENDS = (signal.SIGTERM, signal.SIGHUP)
"""Signals that the command line has a handler for."""


def shell(*words, text=""):
    """Exit code, standard output and standard error of `costmodel WORDS` with `text` on standard input."""
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for name in ("stdout", "stderr")}
    given = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
    handlers = {number: signal.getsignal(number) for number in ENDS}
    threshold = gc.get_threshold()
    try:
        with (
            patch.multiple(sys, argv=["costmodel", *map(str, words)], stdin=given, **streams),
            patch.object(warnings, "showwarning"),
            patch.dict(os.environ),
        ):
            main()
    except SystemExit as left:
        code = left.code
    finally:
        gc.set_threshold(*threshold)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    printed = {}
    for name, stream in streams.items():
        stream.flush()
        printed[name] = stream.buffer.getvalue().decode()
    return subprocess.CompletedProcess(words, int(code), **printed)


def heard():
    """Listen to signals as in a terminal, also where the tests were started with nohup or in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in ENDS:
        signal.signal(number, signal.SIG_DFL)
