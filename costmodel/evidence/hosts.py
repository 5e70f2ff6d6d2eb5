"""Profiles that `costmodel measure` wrote: data/hosts/NAME, and those under COSTMODEL_HOSTS."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from costmodel import cache
from costmodel.errors import BadInput
from costmodel.evidence.described import CACHE_BOUNDS, HOST_BOUNDS
from costmodel.evidence.machines import FEATURES, CpuidRow
from costmodel.evidence.records import Machine, Vendor
from costmodel.evidence.tables import checked_id, read_document, shown, subtable, text, texts
from costmodel.hashing import file_digest, value_hash

FOLDER = "hosts"
HOST_FILE = "host.toml"
WORD = re.compile(r"[\w.-]{0,64}")
COLUMNS = {
    "flush": ("instruction", "state", "range_bytes", "page", "run", "measured_line_s", "measured_total_s"),
    "flush_cells": ("instruction", "cell", "lines", "state", "run", "measured_line_s"),
    "refill": ("pattern", "level", "run", "measured_cold_line_s"),
    "neighbour": ("victim", "range_bytes", "wanted_per_s", "run", "measured_slowdown"),
    "bandwidth": ("kind", "threads", "run", "measured_bytes_per_s"),
    "broadcast": ("targets", "run", "measured_call_s"),
    "invalidations": (
        "trigger",
        "proxy",
        "measured_range_bytes",
        "measured_overlap_bytes",
        "measured_memslot_bytes",
    ),
    "sev": ("cpus", "run", "measured_flush_s"),
}
"""Columns that the model reads, by probe."""


COUNTS = {
    "range_bytes": 2**50,
    "lines": 2**40,
    "run": 2**20,
    "repetition": 2**30,
    "threads": 2**16,
    "targets": 2**16,
    "cpus": 2**16,
}
"""Whole numbers of a probe's table, each with the largest that can be."""
MEASURED = "measured_"
MEASURED_MAX = 1e18
SIGNED = ("measured_line_s",)
"""Differences of two times: noise can make one repetition negative, and a median of what is cut off at zero is
biased.
"""
ROWS_MAX = 2**20

CACHE_KINDS = ("Data", "Instruction", "Unified")
ROUND_PROXY = "proxy: membarrier (private expedited), an empty handler"
"""What the broadcast probe times in place of the kernel's own interrupt round."""
HIDDEN_IN_A_GUEST = (
    "virtual machine: the size of the last-level cache is what the hypervisor reports",
    "virtual machine: which CPUs share a core or a cache is not identified",
    "virtual machine: the step from last-level cache to memory is not identified",
)
"""What a host that is itself a guest cannot tell of its hardware."""


@dataclass(frozen=True, eq=False)
class Profile:
    """One measured host. `table(probe)` gives every repetition, numbers as floats."""

    id: str
    folder: Path
    measured_on: str
    findings: tuple[str, ...]
    l1_bytes: float
    machine: Machine
    parsed: Mapping[str, bytes] = field(repr=False)
    """The columns of each probe's table as JSON: they are checked when the profile is read, and taken from the user's
    cache and decoded where they are asked for.
    """
    virtual: bool = False
    """Whether it ran under a hypervisor."""
    digest: str = ""
    """Hash of the checksums of its files."""

    @property
    def limits(self) -> list[str]:
        """What limits the times of flushes and interrupt rounds that were measured there."""
        return [
            *([f"broadcast: {ROUND_PROXY}"] if self.has("broadcast") else []),
            *(HIDDEN_IN_A_GUEST if self.virtual else []),
        ]

    def has(self, probe: str) -> bool:
        return probe in self.parsed

    @cached_property
    def _tables(self) -> dict[str, list[dict[str, Any]]]:
        return {}

    def table(self, probe: str) -> list[dict[str, Any]]:
        """Rows of the probe's CSV, empty where it was not run."""
        if probe not in self._tables:
            found = json.loads(self.parsed.get(probe, b"{}"))
            rows = zip(*found.values(), strict=True)
            self._tables[probe] = [dict(zip(found, row, strict=True)) for row in rows]
        return self._tables[probe]

    def overlaps(self, trigger: str) -> tuple[int, int]:
        """Notifier events seen of `trigger`, or of the trigger that it stands for, and how many of them met a
        memslot.
        """

        def as_json() -> bytes:
            rows = [row for row in self.table("invalidations") if trigger in (row["trigger"], row["proxy"])]
            return json.dumps([len(rows), sum(row["measured_overlap_bytes"] > 0 for row in rows)]).encode()

        if not self.has("invalidations"):
            return 0, 0
        events, met = json.loads(cache.recall("overlaps", cache.key_of([self.digest, trigger], ["evidence"]), as_json))
        return events, met


def _checksum(path: Path) -> str:
    """sha256 of a file. Raises BadInput where it cannot be read."""
    try:
        return file_digest(path).hex()
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", file=path, remedy="restore the file") from None


class _Columns(Mapping[str, bytes]):
    """The columns of the CSV of each probe as JSON, parsed once per state of the file, which its checksum tells."""

    def __init__(self, files: Mapping[str, tuple[Path, str]]) -> None:
        """By probe its file and the checksum of that; every file is parsed that was not before. Raises BadInput."""
        self._files = files
        self._read: dict[str, bytes] = {}
        for probe in files:
            if not cache.holds("table", self._key(probe)):
                self._read[probe] = self[probe]

    def _key(self, probe: str) -> str:
        return cache.key_of([self._files[probe][1], COLUMNS[probe]], ["evidence"])

    def __getitem__(self, probe: str) -> bytes:
        if probe in self._read:
            return self._read[probe]
        path, _ = self._files[probe]
        return cache.recall("table", self._key(probe), lambda: json.dumps(_parsed(path, COLUMNS[probe])).encode())

    def __contains__(self, probe: object) -> bool:
        return probe in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def _parsed(path: Path, needed: tuple[str, ...]) -> dict[str, Sequence[object]]:
    """The columns of a probe's CSV: words, and numbers where the name says so. Raises BadInput."""
    remedy = "measure again"
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            header, *rows = csv.reader(stream, strict=True)
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", file=path, remedy="restore the file") from None
    except (csv.Error, ValueError) as error:
        raise BadInput(f"is no CSV: {error}", file=path, remedy=remedy) from None
    if lacking := [name for name in needed if name not in header]:
        raise BadInput(f"has no column {', '.join(lacking)}", file=path, row=1, remedy=remedy)
    for name in header:
        if not WORD.fullmatch(name) or header.count(name) > 1:
            raise BadInput(f"{name[:40]!r} is no name of a column, or there twice", file=path, row=1, remedy=remedy)
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise BadInput(f"has {len(row)} cells, the header {len(header)}", file=path, row=number, remedy=remedy)
    if not 0 < len(rows) <= ROWS_MAX:
        raise BadInput(f"has {len(rows)} rows", file=path, remedy=f"give 1 to {ROWS_MAX} repetitions")
    cells = zip(*rows, strict=True)
    return {name: _column(path, name, list(column)) for name, column in zip(header, cells, strict=True)}


def _column(path: Path, name: str, cells: list[str]) -> Sequence[object]:
    """The cells of one column, converted. Raises BadInput with the first row that cannot be used."""
    if name not in COUNTS and not name.startswith(MEASURED):
        if all(map(WORD.fullmatch, set(cells))):
            return cells
        cell, problem = next(cell for cell in cells if not WORD.fullmatch(cell)), "is no word"
    else:
        low = -MEASURED_MAX if name in SIGNED or name.endswith("offset_bytes") else 0
        if len(good := _numbers(cells, low, COUNTS.get(name, MEASURED_MAX), whole=name in COUNTS)) == len(cells):
            return good
        cell, problem = cells[len(good)], "is no number that was counted or measured"
    row = cells.index(cell) + 2
    raise BadInput(f"{cell[:40]!r} {problem}", file=path, row=row, field=name, remedy="measure again")


def _numbers(cells: list[str], low: float, high: float, *, whole: bool) -> list[object]:
    """The numbers of the cells up to the first that is none, or lies outside `low` to `high`."""
    found: list[object] = []
    for cell in cells:
        try:
            value = float(cell)
        except ValueError:
            break
        if not low <= value <= high or (whole and value != int(value)):
            break
        found.append(value)
    return found


def folders(root: Path) -> list[Path]:
    """Profile folders of the data package `root`, then those under COSTMODEL_HOSTS; sorted by name."""
    places = [root / FOLDER] + ([Path(extra)] if (extra := os.environ.get("COSTMODEL_HOSTS")) else [])
    return sorted((path.parent for place in places for path in place.glob(f"*/{HOST_FILE}")), key=lambda p: p.name)


def read(folder: Path, dumps: Mapping[str, CpuidRow], known: Mapping[str, Machine]) -> Profile:
    """One profile, every table of it; checksums must fit. Raises BadInput."""
    path = folder / HOST_FILE
    document = read_document(path)
    checksums = subtable(document, "sha256", file=path.name)
    for file, wanted in checksums.items():
        if "\0" in file or Path(file).name != file or not (folder / file).is_file():
            raise BadInput("is missing", file=folder / Path(file).name, remedy="restore the file or measure again")
        if _checksum(folder / file) != wanted:
            raise BadInput("differs from its checksum", file=folder / file, remedy="restore the file or measure again")
    name = checked_id(document, folder.name, path, "name of its folder")
    if name in known:
        raise BadInput("is the id of a catalogued machine", file=folder, remedy="rename the profile")
    host = subtable(document, "host", file=path.name)
    caches = _caches(host, path)
    probes = {probe: folder / f"{probe}.csv" for probe in COLUMNS}
    return Profile(
        id=name,
        folder=folder,
        measured_on=text(document, "measured_on", file=path.name),
        findings=texts(document, "findings", file=path.name),
        l1_bytes=float(next((c["bytes"] for c in caches if c["level"] == 1), 0)),
        machine=_machine(name, host, caches, dumps, known, path),
        virtual=_virtual(host),
        parsed=_Columns(
            {
                probe: (file, checksums.get(file.name) or _checksum(file))
                for probe, file in probes.items()
                if file.is_file()
            }
        ),
        digest=value_hash([name, sorted(checksums.items())]),
    )


def _whole(
    table: dict[str, Any], field: str, low: int, high: int, path: Path, row: str, default: int | None = None
) -> int:
    """A whole number of the table within its bounds. Raises BadInput."""
    value = table.get(field, default)
    if type(value) is not int or not low <= value <= high:
        problem = f"{shown(value)} is no whole number from {low} to {high}"
        raise BadInput(problem, file=path, row=row, field=field, remedy="measure again")
    return value


def _caches(host: dict[str, Any], path: Path) -> list[dict[str, int]]:
    """The caches that hold data, each number checked. Raises BadInput where there is none, or two of a level."""
    listed = host.get("caches", [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise BadInput("is no list of tables", file=path, row="host", field="caches", remedy="measure again")
    found: list[dict[str, int]] = []
    for number, one in enumerate(listed):
        row = f"caches[{number}]"
        kind = text(one, "kind", file=path.name, row=row, allowed=CACHE_KINDS)
        default = {"line_bytes": 64}
        sizes = {f: _whole(one, f, *ends, path, row, default.get(f)) for f, ends in CACHE_BOUNDS.items()}
        if kind != "Instruction":
            found.append(sizes)
    levels = [one["level"] for one in found]
    if not found or len(set(levels)) < len(levels):
        problem = "names no data cache, or two of one level"
        raise BadInput(problem, file=path, row="host", field="caches", remedy="measure again")
    return found


def _virtual(host: dict[str, Any]) -> bool:
    return bool(host.get("hypervisor", "none") != "none")


def _machine(
    name: str,
    host: dict[str, Any],
    caches: list[dict[str, int]],
    dumps: Mapping[str, CpuidRow],
    known: Mapping[str, Machine],
    path: Path,
) -> Machine:
    """The host as a machine. Feature bits are those of the silicon; what the host does not show counts as off."""
    defaults = {"sockets": 1, "threads_per_core": 1}
    numbers = {f: _whole(host, f, *ends, path, "host", defaults.get(f)) for f, ends in HOST_BOUNDS.items()}
    words = {field: text(host, field, file=path.name, row="host") for field in ("vendor", "cpu_model") if field in host}
    if "vendor" not in words:
        raise BadInput("is missing", file=path, row="host", field="vendor", remedy="measure again")
    vendor, cpus = words["vendor"], numbers["logical_cpus"]
    by_level = {one["level"]: one for one in caches}
    llc, l2 = by_level[max(by_level)], by_level.get(2, {"bytes": 0})
    signature = signature_of(numbers["family"], numbers["model"], numbers["stepping"])
    shown_features = set(texts(host, "features", file=path.name, row="host"))
    sharing = min(cpus, llc["shared_cpus"])
    same = [row for row in dumps.values() if row.signature == signature]
    silicon = {name: any(name in row.bits for row in same) for name in FEATURES}
    features = {name: silicon[name] or name in shown_features for name in FEATURES}
    features["tdx"] = "tdx_host_platform" in shown_features
    virtual = _virtual(host)
    twin = next((m for m in known.values() if vendor == m.vendor and _same_silicon(m, dumps, signature)), None)
    title = f"{words.get('cpu_model', vendor)} ({signature}), {cpus} CPUs"
    return Machine(
        id=name,
        title=title + (", virtual machine" if virtual else ""),
        vendor=cast(Vendor, vendor),
        microarchitecture=twin.microarchitecture if twin else "not catalogued",
        sockets=numbers["sockets"],
        logical_cpus=cpus,
        threads_per_core=numbers["threads_per_core"],
        cpus_per_domain=sharing,
        domains=max(1, cpus // sharing),
        llc_bytes_per_domain=float(llc["bytes"]),
        l2_bytes_per_core=float(l2["bytes"]),
        line_bytes=llc["line_bytes"],
        dram_peak_bytes_per_s_per_socket=None,
        features=features,
        features_off=tuple(sorted(n for n in ("sev", "sev_es", "sev_snp") if silicon[n] and n not in shown_features)),
        missing={"dram_peak_bytes_per_s_per_socket": "not known of this host; its bandwidth probe was not run"},
        notes=("measured host: virtual machine: cache sizes as the hypervisor reports them",) if virtual else (),
    )


def signature_of(family: int, model: int, stepping: int) -> str:
    """CPUID 1 EAX of family, model and stepping as eight hexadecimal digits."""
    base, extended = min(family, 15), max(0, family - 15)
    return f"{extended << 20 | (model >> 4) << 16 | base << 8 | (model & 15) << 4 | stepping:08X}"


def _same_silicon(machine: Machine, dumps: Mapping[str, CpuidRow], signature: str) -> bool:
    sources = {row for rows in machine.provenance.values() for row in rows}
    return any(row.signature == signature and row.dump in sources for row in dumps.values())
