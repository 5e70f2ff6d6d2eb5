"""Traces that were taken where nothing of ours may run: what `costmodel measure import` reads.

Text of tracefs, `trace-cmd report` and `perf script` for kvm:kvm_unmap_hva_range and for durations of the flush
functions (function_graph); maps and histograms of bpftrace as text or as `-f json`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

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
TITLE = re.compile(r"^@(?P<name>\w*)(?:\[(?P<key>.*)\])?:\s*(?P<value>-?\d{1,19})?$", re.ASCII)
BUCKET = re.compile(
    r"^[\[(](?P<low>-?\d{1,19})(?P<low_scale>[KMGT]?)(?:, (?P<high>-?\d{1,19})(?P<high_scale>[KMGT]?)[\])]|\])"
    r"\s+(?P<count>\d{1,19})\s+\|",
    re.ASCII,
)
LOST = re.compile(
    r"CPU:\d+ \[(?:LOST (?P<ftrace>\d{1,19} )?EVENTS|(?P<trace_cmd>\d{1,19} )?EVENTS DROPPED)\]"
    r"|(?:\x1b\[[\d;]{0,9}m)?LOST (?P<perf_trace>\d{1,19}) events!"
    r"|.{0,200}PERF_RECORD_LOST(?:_SAMPLES)? lost (?P<perf_script>\d{1,19})"
    r"|# entries-in-buffer/entries-written: (?P<kept>\d{1,19})/(?P<written>\d{1,19})\s",
    re.ASCII,
)
"""How ftrace (trace and trace_pipe), trace-cmd report, perf trace and perf script say that events are missing."""
LINE_MAX = 2048
"""No tool prints a longer line, but for one of `bpftrace -f json`."""
JSON_MAX = 2**22
BIGGEST = 2**64
PID_LIMIT = 2**22
"""PID_MAX_LIMIT of the kernel."""
TIME_LIMIT_S = 2**62 / 1e9
SCALE = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
UNITS = {"_us": ("s", 1e-6), "_ns": ("s", 1e-9), "_ms": ("s", 1e-3), "_kib": ("B", 2**10), "_mb": ("B", 2**20)}
NOISE = re.compile(r"^\s*(#.*|Attaching \d+ probes?\.*|Attached \d+ probes?|cpus=\d+|version = .*|)$")


@dataclass
class Imported:
    """Rows of one shape, the lines that were not understood, and how many events the recording says it lost."""

    rows: list[dict[str, object]] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)
    lines: int = 0
    lost: int = 0

    def sentence(self) -> str:
        kinds: dict[str, int] = {}
        for row in self.rows:
            kinds[str(row["kind"])] = kinds.get(str(row["kind"]), 0) + 1
        found = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "nothing"
        lost = f"; at least {self.lost} events were lost while recording" if self.lost else ""
        return f"{self.lines} lines: {found}; {len(self.bad)} lines not understood{lost}"


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line, whatever ends it; one beyond JSON_MAX characters is cut, and so never understood."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        number = 0
        while raw := stream.readline(JSON_MAX):
            number += 1
            yield number, raw.rstrip("\n")
            while raw and not raw.endswith("\n"):
                raw = stream.readline(JSON_MAX)


def event_of(line: str) -> tracefs.Invalidation | None:
    """The event of a line, None where it is none or holds a number that no kernel prints."""
    found = tracefs.parse(line) if len(line) <= LINE_MAX else None
    if found is None or found.pid >= PID_LIMIT or found.end > BIGGEST or not found.time_s < TIME_LIMIT_S:
        return None
    return found


def lost_events(line: str) -> int | None:
    """How many events a line says are lost, 1 where it gives no number; None where it speaks of none.

    >>> lost_events("CPU:3 [LOST 12 EVENTS]"), lost_events("CPU:3 [EVENTS DROPPED]"), lost_events("# tracer: nop")
    (12, 1, None)
    """
    if not any(word in line for word in ("LOST", "DROPPED", "entries-written")):
        return None
    found = LOST.match(line[:LINE_MAX])
    if found is None:
        return None
    if found["written"]:
        return max(0, int(found["written"]) - int(found["kept"]))
    return int(next(filter(None, found.groups()), 1))


def read(path: Path) -> Imported:
    """Read a trace file. Lines that are neither known nor comments are kept in `bad`."""
    found = Imported()
    title: re.Match | None = None
    for number, line in lines(path):
        found.lines += 1
        if (lost := lost_events(line)) is not None:
            found.lost += lost
        elif line.startswith("{"):
            _json(found, number, line)
        elif len(line) > LINE_MAX:
            found.bad.append((number, line[:LINE_MAX]))
        elif NOISE.match(line):
            continue
        elif heading := TITLE.match(line):
            title = heading
            if heading["value"] is not None:
                found.rows.append(_row("count", heading["name"], heading["key"], count=int(heading["value"])))
        elif (bucket := BUCKET.match(line)) and title is not None:
            found.rows.append(_bucket(title["name"], title["key"], bucket))
        else:
            _event(found, number, line)
    return found


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
    event = event_of(line)
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
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        found.bad.append((number, line[:LINE_MAX]))
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
                high = _whole(bucket.get("max", low)) + 1
                yield _row("histogram", name, key, "", low * factor, high * factor, unit, _whole(bucket["count"]))


def _whole(value: object) -> int:
    """A number of a map. Raises ValueError where it is beyond what a kernel counts in."""
    number = int(value)
    if not -BIGGEST <= number <= BIGGEST:
        raise ValueError(f"{value} is beyond 64 bits")
    return number
