"""The command line as a shell sees it, in this process: no new interpreter that imports everything first.

What only a process of its own shows (signals, limits, a closed pipe, what is imported) stays with the tests that start
one.
"""

import io
import os
import signal
import subprocess
import sys
import warnings
from unittest.mock import patch

from costmodel.cli import main


def shell(*words, text=""):
    """Exit code, standard output and standard error of `costmodel WORDS` with `text` on standard input."""
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for name in ("stdout", "stderr")}
    given = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
    terminate = signal.getsignal(signal.SIGTERM)
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
        signal.signal(signal.SIGTERM, terminate)
    printed = {}
    for name, stream in streams.items():
        stream.flush()
        printed[name] = stream.buffer.getvalue().decode()
    return subprocess.CompletedProcess(words, int(code), **printed)
