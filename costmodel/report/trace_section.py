"""A replayed trace as a page, a text block and JSON, beside the report of the same guest and machine."""

from __future__ import annotations

import json
from pathlib import Path

from costmodel.numbers import shortened
from costmodel.report import page, trace_text
from costmodel.report.blocks import fragment
from costmodel.traces.model import Replay
from costmodel.traces.summary import lost

MOST_TASKS = 100


def html(found: Replay) -> str:
    """The sections of a replay; every text from the trace is escaped."""
    shown = found.tasks[:MOST_TASKS]
    words = {"count": trace_text.count, "plural": trace_text.plural, "lost": lost}
    return fragment("trace", r=found, tasks=shown, more=len(found.tasks) - len(shown), **words)


def as_json(found: Replay) -> str:
    """The replay as JSON, keys sorted, 6 significant digits."""
    return json.dumps(shortened(found.model_dump(mode="json")), indent=2, sort_keys=True, allow_nan=False) + "\n"


def stem(found: Replay) -> str:
    """guest/machine.trace, with the name of the trace's file so that several stand side by side."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in Path(found.file).stem)
    return f"{found.guest}/{found.machine}.trace-{kept[:60] or 'trace'}"


def files(found: Replay) -> dict[str, str]:
    """Contents by path relative to the directory of the reports."""
    name = stem(found)
    title = f"{found.guest} on {found.machine}: trace {found.file}"
    return {
        f"{name}.html": page.page(title, html(found), "../index.html"),
        f"{name}.txt": trace_text.replay(found),
        f"{name}.json": as_json(found),
    }
