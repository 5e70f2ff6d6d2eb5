"""Profiles that `costmodel measure` wrote: data/hosts/NAME, and those under COSTMODEL_HOSTS."""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from costmodel.errors import BadInput
from costmodel.evidence.cpuid import FEATURES, CpuidRow
from costmodel.evidence.numbers import read_document, subtable, text
from costmodel.evidence.records import Machine

FOLDER = "hosts"
HOST_FILE = "host.toml"
WORD = re.compile(r"[\w.-]{0,64}")
COLUMNS = {
    "flush": ("instruction", "state", "range_bytes", "page", "run", "measured_line_s", "measured_total_s"),
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


@dataclass(frozen=True, eq=False)
class Profile:
    """One measured host. `table(probe)` gives every repetition, numbers as floats."""

    id: str
    folder: Path
    measured_on: str
    findings: tuple[str, ...]
    l1_bytes: float
    machine: Machine

    @cached_property
    def _tables(self) -> dict[str, list[dict[str, object]]]:
        return {}

    def has(self, probe: str) -> bool:
        return (self.folder / f"{probe}.csv").is_file()

    def table(self, probe: str) -> list[dict[str, object]]:
        """Rows of the probe's CSV, empty where it was not run. Raises BadInput."""
        if probe not in self._tables:
            path = self.folder / f"{probe}.csv"
            self._tables[probe] = _rows(path, COLUMNS[probe]) if path.is_file() else []
        return self._tables[probe]


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, object]]:
    found = []
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream, strict=True)
            if lacking := [name for name in columns if name not in (reader.fieldnames or ())]:
                raise BadInput(f"has no column {', '.join(lacking)}", file=path, row=1, remedy="measure again")
            for number, row in enumerate(reader, start=2):
                values: dict[str, object] = {}
                for name, cell in row.items():
                    measured = isinstance(name, str) and (name.startswith("measured_") or name in COUNTS)
                    values[name] = (_number if measured else _word)(path, number, name, cell)
                found.append(values)
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadInput(f"is no CSV: {error}", file=path, remedy="measure again") from None
    return found


COUNTS = frozenset({"range_bytes", "run", "repetition", "threads", "targets", "cpus"})


def _word(path: Path, row: int, field: str, cell: str | None) -> str:
    if not isinstance(cell, str) or not WORD.fullmatch(cell):
        raise BadInput(f"{str(cell)[:40]!r} is no word", file=path, row=row, field=str(field), remedy="measure again")
    return cell


def _number(path: Path, row: int, field: str, cell: str | None) -> float:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        raise BadInput(f"{cell!r} is no number", file=path, row=row, field=field, remedy="measure again") from None
    if value != value or (value < 0 and not field.endswith("offset_bytes")):
        raise BadInput(f"{cell} is no time or size", file=path, row=row, field=field, remedy="measure again")
    return value


def folders(root: Path) -> list[Path]:
    """Profile folders of the data package `root`, then those under COSTMODEL_HOSTS; sorted by name."""
    places = [root / FOLDER] + ([Path(extra)] if (extra := os.environ.get("COSTMODEL_HOSTS")) else [])
    return sorted((path.parent for place in places for path in place.glob(f"*/{HOST_FILE}")), key=lambda p: p.name)


def read(folder: Path, dumps: Mapping[str, CpuidRow], known: Mapping[str, Machine]) -> Profile:
    """One profile; checksums must fit. Raises BadInput."""
    path = folder / HOST_FILE
    document = read_document(path)
    for file, wanted in subtable(document, "sha256", file=path.name).items():
        if Path(file).name != file or not (folder / file).is_file():
            raise BadInput("is missing", file=folder / Path(file).name, remedy="restore the file or measure again")
        if hashlib.sha256((folder / file).read_bytes()).hexdigest() != wanted:
            raise BadInput("differs from its checksum", file=folder / file, remedy="restore the file or measure again")
    name = text(document, "id", file=path.name)
    if name != folder.name:
        raise BadInput(
            f"{name!r} is not the name of its folder", file=path, field="id", remedy=f"write {folder.name!r}"
        )
    return Profile(
        id=name,
        folder=folder,
        measured_on=text(document, "measured_on", file=path.name),
        findings=tuple(document.get("findings", ())),
        l1_bytes=float(next((c["bytes"] for c in document["host"]["caches"] if c["level"] == 1), 0)),
        machine=_machine(name, subtable(document, "host", file=path.name), dumps, known, path),
    )


def _machine(name: str, host: dict, dumps: Mapping[str, CpuidRow], known: Mapping[str, Machine], path: Path) -> Machine:
    """The host as a machine. Feature bits are those of the silicon; what the host does not show counts as off."""
    try:
        caches = {c["level"]: c for c in host["caches"] if c["kind"] in ("Data", "Unified")}
        llc, l2 = caches[max(caches)], caches.get(2, {"bytes": 0})
        cpus, vendor = int(host["logical_cpus"]), str(host["vendor"])
        signature = _signature(int(host["family"]), int(host["model"]), int(host["stepping"]))
        shown = set(host.get("features", ()))
        sharing = min(cpus, int(llc["shared_cpus"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"lacks or garbles {error}", file=path, field="host", remedy="measure again") from None
    same = [row for row in dumps.values() if row.signature == signature]
    silicon = {name: any(name in row.bits for row in same) for name in FEATURES}
    features = {name: silicon[name] or name in shown for name in FEATURES} | {"tdx": "tdx_host_platform" in shown}
    virtual = host.get("hypervisor", "none") != "none"
    twin = next((m for m in known.values() if vendor == m.vendor and _same_silicon(m, dumps, signature)), None)
    return Machine(
        id=name,
        title=f"{host.get('cpu_model', vendor)} ({signature}), {cpus} CPUs" + (", virtual machine" if virtual else ""),
        vendor=vendor,
        microarchitecture=twin.microarchitecture if twin else "not catalogued",
        sockets=int(host.get("sockets", 1)),
        logical_cpus=cpus,
        threads_per_core=int(host.get("threads_per_core", 1)),
        cpus_per_domain=sharing,
        domains=max(1, cpus // sharing),
        llc_bytes_per_domain=float(llc["bytes"]),
        l2_bytes_per_core=float(l2["bytes"]),
        line_bytes=int(llc.get("line_bytes", 64)),
        dram_peak_bytes_per_s_per_socket=None,
        features=features,
        features_off=tuple(sorted(n for n in ("sev", "sev_es", "sev_snp") if silicon[n] and n not in shown)),
        missing={"dram_peak_bytes_per_s_per_socket": "not known of this host; its bandwidth probe was not run"},
        notes=tuple(
            f"measured host: {note}"
            for note in ("virtual machine: cache sizes as the hypervisor reports them",)
            if virtual
        ),
    )


def _signature(family: int, model: int, stepping: int) -> str:
    """CPUID 1 EAX of family, model and stepping as eight hexadecimal digits."""
    base, extended = min(family, 15), max(0, family - 15)
    return f"{extended << 20 | (model >> 4) << 16 | base << 8 | (model & 15) << 4 | stepping:08X}"


def _same_silicon(machine: Machine, dumps: Mapping[str, CpuidRow], signature: str) -> bool:
    sources = {row for rows in machine.provenance.values() for row in rows}
    return any(row.signature == signature and row.dump in sources for row in dumps.values())
