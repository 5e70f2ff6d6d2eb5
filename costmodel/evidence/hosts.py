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
from typing import Annotated, Any, Literal, cast

from costmodel import cache
from costmodel.errors import BadInput
from costmodel.evidence.described import CACHE_BOUNDS, HOST_BOUNDS, signature_of
from costmodel.evidence.machines import FEATURES, CpuidRow
from costmodel.evidence.records import Machine, Vendor
from costmodel.evidence.tables import Refused, Text, Within, document
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
SIGNED = ("measured_line_s", "measured_start_offset_bytes")
"""Differences: noise can make one of two times negative, and a median of what is cut off at zero is biased; a range can
start before the memory that it is told from.
"""
ROWS_MAX = 2**20


@dataclass(frozen=True)
class Limit:
    """What limits the times of a host: `about` which probe or trait of it, what is `said`, and more in an `aside`."""

    about: str
    said: str
    aside: str = ""

    @property
    def text(self) -> str:
        """All of it, as a profile has it among its findings."""
        return f"{self.about}: {self.said}{self.aside}"


PROXY = Limit("broadcast", "proxy: membarrier", " (private expedited), an empty handler")
ROUND_PROXY = f"{PROXY.said}{PROXY.aside}"
"""What the broadcast probe times in place of the kernel's own interrupt round."""
HIDDEN = (
    Limit("virtual machine", "the size of the last-level cache is what the hypervisor reports"),
    Limit("virtual machine", "which CPUs share a core or a cache is not identified"),
    Limit("virtual machine", "the step from last-level cache to memory is not identified"),
)
HIDDEN_IN_A_GUEST = tuple(one.text for one in HIDDEN)
"""What a host that is itself a guest cannot tell of its hardware."""


def _from_to(bounds: tuple[int, int]) -> Within:
    low, high = bounds
    return Within(f"a whole number from {low} to {high}", low, high + 1, or_equal=True)


@dataclass(frozen=True, kw_only=True)
class HostCache:
    """One level of the caches of a host."""

    level: Annotated[int, _from_to(CACHE_BOUNDS["level"])]
    kind: Literal["Data", "Instruction", "Unified"]
    bytes: Annotated[int, _from_to(CACHE_BOUNDS["bytes"])]
    line_bytes: Annotated[int, _from_to(CACHE_BOUNDS["line_bytes"])] = 64
    shared_cpus: Annotated[int, _from_to(CACHE_BOUNDS["shared_cpus"])]


@dataclass(frozen=True, kw_only=True)
class Host:
    """What `measure` saw of the host; of what it notes besides, the model needs nothing."""

    vendor: Text
    cpu_model: Text = ""
    family: Annotated[int, _from_to(HOST_BOUNDS["family"])]
    model: Annotated[int, _from_to(HOST_BOUNDS["model"])]
    stepping: Annotated[int, _from_to(HOST_BOUNDS["stepping"])]
    logical_cpus: Annotated[int, _from_to(HOST_BOUNDS["logical_cpus"])]
    sockets: Annotated[int, _from_to(HOST_BOUNDS["sockets"])] = 1
    threads_per_core: Annotated[int, _from_to(HOST_BOUNDS["threads_per_core"])] = 1
    features: tuple[str, ...] = ()
    caches: tuple[HostCache, ...] = ()
    hypervisor: str = "none"

    def __post_init__(self) -> None:
        levels = [one.level for one in self.data_caches]
        if not levels or len(set(levels)) < len(levels):
            raise Refused("names no data cache, or two of one level", "measure again", "caches")

    @property
    def data_caches(self) -> list[HostCache]:
        """The caches that hold data."""
        return [one for one in self.caches if one.kind != "Instruction"]

    @property
    def virtual(self) -> bool:
        """Whether it ran under a hypervisor."""
        return self.hypervisor != "none"


@dataclass(frozen=True, kw_only=True)
class HostFile:
    """host.toml of a profile, with the checksums of its tables."""

    id: str
    measured_on: Text
    findings: tuple[str, ...] = ()
    host: Host
    sha256: dict[str, str] = field(default_factory=dict)


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
    """Hash of its description, its machine and its tables, as they are."""

    @property
    def limits(self) -> list[Limit]:
        """What limits the times of flushes and interrupt rounds that were measured there."""
        return [*([PROXY] if self.has("broadcast") else []), *(HIDDEN if self.virtual else [])]

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
        wrong = {cell for cell in set(cells) if not WORD.fullmatch(cell)}
        if not wrong:
            return cells
        at, problem = next(at for at, cell in enumerate(cells) if cell in wrong), "is no word"
    else:
        from pydantic_core import SchemaValidator, ValidationError, core_schema

        low = -MEASURED_MAX if name in SIGNED else 0
        high, step = (COUNTS[name], 1.0) if name in COUNTS else (MEASURED_MAX, None)
        number = core_schema.float_schema(ge=low, le=high, multiple_of=step, allow_inf_nan=False)
        try:
            found: list[object] = SchemaValidator(core_schema.list_schema(number)).validate_python(cells)
            return found
        except ValidationError as error:
            at, problem = int(error.errors()[0]["loc"][0]), "is no number that was counted or measured"
    raise BadInput(f"{cells[at][:40]!r} {problem}", file=path, row=at + 2, field=name, remedy="measure again")


def folders(root: Path) -> list[Path]:
    """Profile folders of the data package `root`, then those under COSTMODEL_HOSTS; sorted by name."""
    places = [root / FOLDER] + ([Path(extra)] if (extra := os.environ.get("COSTMODEL_HOSTS")) else [])
    return sorted((path.parent for place in places for path in place.glob(f"*/{HOST_FILE}")), key=lambda p: p.name)


def read(folder: Path, dumps: Mapping[str, CpuidRow], known: Mapping[str, Machine]) -> Profile:
    """One profile, every table of it; checksums must fit. Raises BadInput."""
    path = folder / HOST_FILE
    told = document(path, HostFile, folder.name)
    checksums = told.sha256
    for file, wanted in checksums.items():
        if "\0" in file or Path(file).name != file or not (folder / file).is_file():
            raise BadInput("is missing", file=folder / Path(file).name, remedy="restore the file or measure again")
        if _checksum(folder / file) != wanted:
            raise BadInput("differs from its checksum", file=folder / file, remedy="restore the file or measure again")
    if told.id in known:
        raise BadInput("is the id of a catalogued machine", file=folder, remedy="rename the profile")
    probes = {probe: folder / f"{probe}.csv" for probe in COLUMNS}
    files = {
        probe: (file, checksums.get(file.name) or _checksum(file)) for probe, file in probes.items() if file.is_file()
    }
    machine = _machine(told.id, told.host, dumps, known)
    return Profile(
        id=told.id,
        folder=folder,
        measured_on=told.measured_on,
        findings=told.findings,
        l1_bytes=float(next((cache.bytes for cache in told.host.data_caches if cache.level == 1), 0)),
        machine=machine,
        virtual=told.host.virtual,
        parsed=_Columns(files),
        digest=value_hash([_checksum(path), repr(machine), sorted((probe, own) for probe, (_, own) in files.items())]),
    )


def _machine(name: str, host: Host, dumps: Mapping[str, CpuidRow], known: Mapping[str, Machine]) -> Machine:
    """The host as a machine. Feature bits are those of the silicon; what the host does not show counts as off."""
    cpus, by_level = host.logical_cpus, {one.level: one for one in host.data_caches}
    llc = by_level[max(by_level)]
    signature = signature_of(host.family, host.model, host.stepping)
    shown_features = set(host.features)
    sharing = min(cpus, llc.shared_cpus)
    same = [row for row in dumps.values() if row.signature == signature]
    silicon = {name: any(name in row.bits for row in same) for name in FEATURES}
    features = {name: silicon[name] or name in shown_features for name in FEATURES}
    features["tdx"] = "tdx_host_platform" in shown_features
    virtual = host.virtual
    twin = next((m for m in known.values() if host.vendor == m.vendor and _same_silicon(m, dumps, signature)), None)
    title = f"{host.cpu_model or host.vendor} ({signature}), {cpus} CPUs"
    return Machine(
        id=name,
        title=title + (", virtual machine" if virtual else ""),
        vendor=cast(Vendor, host.vendor),
        microarchitecture=twin.microarchitecture if twin else "not catalogued",
        sockets=host.sockets,
        logical_cpus=cpus,
        threads_per_core=host.threads_per_core,
        cpus_per_domain=sharing,
        domains=max(1, cpus // sharing),
        llc_bytes_per_domain=float(llc.bytes),
        l2_bytes_per_core=float(by_level[2].bytes if 2 in by_level else 0),
        line_bytes=llc.line_bytes,
        dram_peak_bytes_per_s_per_socket=None,
        features=features,
        features_off=tuple(sorted(n for n in ("sev", "sev_es", "sev_snp") if silicon[n] and n not in shown_features)),
        missing={"dram_peak_bytes_per_s_per_socket": "not known of this host; its bandwidth probe was not run"},
        notes=("measured host: virtual machine: cache sizes as the hypervisor reports them",) if virtual else (),
    )


def _same_silicon(machine: Machine, dumps: Mapping[str, CpuidRow], signature: str) -> bool:
    sources = {row for rows in machine.provenance.values() for row in rows}
    return any(row.signature == signature and row.dump in sources for row in dumps.values())
