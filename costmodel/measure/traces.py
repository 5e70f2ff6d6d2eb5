"""Traces that were taken where nothing of ours may run: what `costmodel measure import` reads.

Text of tracefs, `trace-cmd report` and `perf script` for kvm:kvm_unmap_hva_range and for durations of the flush
functions (function_graph); maps and histograms of bpftrace as text or as `-f json`.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from costmodel.errors import BadInput
from costmodel.measure import tracefs

FUNCTIONS = (
    "wbinvd_on_all_cpus",
    "wbnoinvd_on_all_cpus",
    "wbnoinvd_on_cpus_mask",
    "wbinvd_on_cpus_mask",
    "sev_guest_memory_reclaimed",
    "sev_writeback_caches",
    "sev_flush_asids",
    "sev_gmem_invalidate",
    "sev_gmem_make_shared",
)
GRAPH = re.compile(
    r"(?<![\d.])(?P<number>\d{1,15}(?:\.\d{1,9})?)\s+us\s+\|\s+(?:/\* )?(?P<name>\w+)\s*(?:\[\w+\])?\s*(?:\(\);|\*/)?\s*$"
)
TITLE = re.compile(r"^@(?P<name>\w*)(?:\[(?P<key>.*)\])?:\s*(?P<value>-?\d{1,20})?$")
BUCKET = re.compile(
    r"^[\[(](?P<low>-?\d{1,20})(?P<low_scale>[KMGT]?)"
    r"(?:, (?P<high>-?\d{1,20})(?P<high_scale>[KMGT]?)[\])]|\])\s+(?P<count>\d{1,20})\s+\|"
)
SCALE = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
UNITS = {"_us": ("s", 1e-6), "_ns": ("s", 1e-9), "_ms": ("s", 1e-3), "_kib": ("B", 2**10), "_mb": ("B", 2**20)}
LARGEST = 2**64
NOISE = re.compile(r"^\s*(#.*|Attaching \d+ probes?\.*|Attached \d+ probes?|cpus=\d+|version = .*|)$")


@dataclass
class Imported:
    """Rows of one shape, and the lines that were not understood."""

    rows: list[dict[str, object]] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)
    lines: int = 0

    def sentence(self) -> str:
        kinds: dict[str, int] = {}
        for row in self.rows:
            kinds[str(row["kind"])] = kinds.get(str(row["kind"]), 0) + 1
        found = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "nothing"
        return f"{self.lines} lines: {found}; {len(self.bad)} lines not understood"


def read(path: Path) -> Imported:
    """Read a trace file. Lines that are neither known nor comments are kept in `bad`."""
    found = Imported()
    title: re.Match | None = None
    with _opened(path) as stream:
        for number, raw in enumerate(stream, start=1):
            line = raw.rstrip("\n")
            found.lines += 1
            if NOISE.match(line):
                continue
            if line.startswith("{"):
                _json(found, number, line)
            elif heading := TITLE.match(line):
                title = heading
                if heading["value"] is not None:
                    found.rows.append(_row("count", heading["name"], heading["key"], count=int(heading["value"])))
            elif (bucket := BUCKET.match(line)) and title is not None:
                found.rows.append(_bucket(title["name"], title["key"], bucket))
            else:
                _event(found, number, line)
    return found


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """The file as text. Raises BadInput where it cannot be read to its end."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            yield stream
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", file=path, remedy="name a file with a trace") from None


def _row(
    kind: str,
    name: str,
    key: object = "",
    time_s: object = "",
    low: object = "",
    high: object = "",
    unit: str = "",
    count: int = 1,
) -> dict[str, object]:
    return {
        "kind": kind, "name": name, "key": key or "", "time_s": time_s, "low": low, "high": high, "unit": unit, "count": count,
    }  # fmt: skip


def _unit(name: str) -> tuple[str, float]:
    """SI unit and factor from the end of a map's name."""
    return next((found for suffix, found in UNITS.items() if name.endswith(suffix)), ("1", 1.0))


def _bucket(name: str, key: str | None, bucket: re.Match) -> dict[str, object]:
    unit, factor = _unit(name)
    low = int(bucket["low"]) * SCALE[bucket["low_scale"]]
    high = low + 1 if bucket["high"] is None else int(bucket["high"]) * SCALE[bucket["high_scale"]]
    return _row("histogram", name, key, "", low * factor, high * factor, unit, int(bucket["count"]))


def _event(found: Imported, number: int, line: str) -> None:
    event = tracefs.parse(line)
    if event is not None:
        length = event.end - event.start
        found.rows.append(_row("event", tracefs.EVENT, event.comm, event.time_s, length, length, "B"))
        return
    graph = GRAPH.search(line)
    if graph is not None and graph["name"] in FUNCTIONS:
        time_s = float(graph["number"]) * 1e-6
        found.rows.append(_row("duration", graph["name"], "", "", time_s, time_s, "s"))
    elif graph is None:
        found.bad.append((number, line))


def _json(found: Imported, number: int, line: str) -> None:
    """One line of `bpftrace -f json`."""
    try:
        message = json.loads(line)
        kind, data = message["type"], message.get("data", {})
        rows = list(_maps(kind, data)) if kind in ("hist", "lhist", "map") else []
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        found.bad.append((number, line))
        return
    found.rows += rows


def _maps(kind: str, data: dict) -> Iterator[dict[str, object]]:
    for name, content in data.items():
        name = name.removeprefix("@")
        entries = content.items() if isinstance(content, dict) else [("", content)]
        for key, value in entries:
            if kind == "map":
                yield _row("count", name, key, count=_whole(value))
                continue
            unit, factor = _unit(name)
            for bucket in value:
                low = _whole(bucket.get("min", 0))
                high = _whole(bucket.get("max", low))
                yield _row("histogram", name, key, "", low * factor, (high + 1) * factor, unit, _whole(bucket["count"]))


def _whole(number: object) -> int:
    """A count or an edge as the kernel has them. Raises ValueError or TypeError for anything else."""
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not -LARGEST <= number <= LARGEST:
        raise ValueError(f"{number!r} is no number of 64 bits")
    return int(number)
