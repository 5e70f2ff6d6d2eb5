"""Machines: CPUID dumps, the catalogue of data/machines/, and those that a user added."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, cast

from costmodel.errors import BadInput
from costmodel.evidence.described import VENDORS
from costmodel.evidence.paths import own_machines_dir
from costmodel.evidence.records import Machine, Number, Vendor, parse
from costmodel.evidence.tables import (
    Count,
    CountOrZero,
    checked_id,
    read_document,
    read_toml,
    records,
    subtable,
    text,
    texts,
    words,
)
from costmodel.hashing import write_beside

# data/cpuid_features.csv: feature bits and cache geometry as CPUID dumps give them.

FILE = "cpuid_features.csv"
FEATURES = (
    "clflushopt",
    "clwb",
    "wbnoinvd",
    "int_wbinvd",
    "sme",
    "sev",
    "vm_page_flush",
    "sev_es",
    "sev_snp",
    "sme_coherent",
    "coherency_sfw_no",
)
KIB = 1024.0
Bit = Annotated[bool, words({"0": False, "1": True})]


@dataclass(frozen=True, kw_only=True)
class CpuidRow:
    """One dump. A bit is None where the vendor's CPUs do not have it."""

    model: str
    signature: str
    logical_cpus_in_dump: CountOrZero = 0
    clflush_line_bytes: Count
    clflushopt: Bit | None = None
    clwb: Bit | None = None
    wbnoinvd: Bit | None = None
    int_wbinvd: Bit | None = None
    sme: Bit | None = None
    sev: Bit | None = None
    vm_page_flush: Bit | None = None
    sev_es: Bit | None = None
    sev_snp: Bit | None = None
    sme_coherent: Bit | None = None
    coherency_sfw_no: Bit | None = None
    l1d_kib: Count
    l1d_shared_by_max_logical_cpus: Count
    l1d_wbinvd_not_guaranteed_for_sharers: Bit
    l2_kib: Count
    l2_shared_by_max_logical_cpus: Count
    l2_wbinvd_not_guaranteed_for_sharers: Bit
    l3_kib: Count
    l3_shared_by_max_logical_cpus: Count
    l3_wbinvd_not_guaranteed_for_sharers: Bit
    threads_per_core: CountOrZero
    logical_cpus_per_package: CountOrZero
    source: str

    @property
    def dump(self) -> str:
        """The name of the file with the dump."""
        return self.source.rpartition("/")[2]

    @property
    def l2_bytes(self) -> float:
        return self.l2_kib * KIB

    @property
    def l3_bytes(self) -> float:
        return self.l3_kib * KIB

    @cached_property
    def bits(self) -> frozenset[str]:
        """The features whose bit is 1."""
        return frozenset(name for name in FEATURES if getattr(self, name))

    @cached_property
    def cells(self) -> dict[str, str]:
        """The row as it stands in the file; what is not told is empty."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: str(int(v)) if isinstance(v, int) else v or "" for name, v in values.items()}


def read_dumps(path: Path) -> dict[str, CpuidRow]:
    """All dumps by file name of the dump. Raises BadInput."""
    rows: dict[str, CpuidRow] = {}
    for row in records(path, CpuidRow, ("source",)):
        if row.dump in rows:
            problem, remedy = "names a dump that another row names", "keep one row per dump"
            raise BadInput(problem, file=path.name, row=row.dump, field="source", remedy=remedy)
        rows[row.dump] = row
    return rows


# data/machines/*.toml: catalogued hosts; feature bits come from the CPUID dumps of the same signature.

FOLDER = "machines"
REQUIRED = (
    "sockets",
    "logical_cpus",
    "threads_per_core",
    "cpus_per_domain",
    "llc_bytes_per_domain",
    "l2_bytes_per_core",
    "line_bytes",
)
OPTIONAL = "dram_peak_bytes_per_s_per_socket"
NUMBERS = (*REQUIRED, OPTIONAL)
WHOLE = ("sockets", "logical_cpus", "threads_per_core", "cpus_per_domain", "line_bytes")
KEYS = {"id", "title", "vendor", "microarchitecture", "signature", "dump", "notes", "numbers", "missing", "tdx"}


def read_numbers(path: Path) -> dict[str, Number]:
    """The sourced numbers of one machine by attribute. Raises BadInput."""
    return _machine_numbers(read_toml(path), path.name)


def _machine_numbers(document: dict[str, Any], file: str) -> dict[str, Number]:
    tables = subtable(document, "numbers", file=file)
    missing = subtable(document, "missing", file=file)
    for field in tables:
        if field not in REQUIRED and field != OPTIONAL:
            raise BadInput("is unknown", file=file, field=field, remedy="remove it")
    for field in REQUIRED:
        if field not in tables:
            raise BadInput("is missing", file=file, field=field, remedy="give the number with its source")
    if (OPTIONAL in tables) == (OPTIONAL in missing):
        raise BadInput(
            "needs a number or a reason under [missing], not both",
            file=file,
            field=OPTIONAL,
            remedy="keep one of them",
        )
    return {field: parse(value, file=file, field=field) for field, value in tables.items()}


def read_machine(path: Path, dumps: Mapping[str, CpuidRow]) -> Machine:
    """One machine. Raises BadInput."""
    document, file = read_toml(path), path.name
    for field in document.keys() - KEYS:
        raise BadInput("is unknown", file=file, field=field, remedy="remove it")
    numbers = _machine_numbers(document, file)
    values = _checked(numbers, file)
    own: dict[str, Any] = {field: values.get(field) for field in NUMBERS}
    dump = text(document, "dump", file=file, allowed=dumps)
    signature = text(document, "signature", file=file, allowed={row.signature for row in dumps.values()})
    vendor = text(document, "vendor", file=file, allowed={"amd", "intel"})
    stated = subtable(document, "missing", file=file)
    missing = {field: text(stated, field, file=file, row="missing") for field in stated}
    features, off, sources = _features(dumps, dump, signature)
    features["tdx"], sources["tdx"] = _tdx(document, vendor, missing, file)
    return Machine(
        id=document["id"],
        title=text(document, "title", file=file),
        vendor=cast(Vendor, vendor),
        microarchitecture=text(document, "microarchitecture", file=file),
        domains=int(values["logical_cpus"] // values["cpus_per_domain"]),
        features=features,
        features_off=off,
        provenance={
            **{field: number.sources for field, number in numbers.items()},
            **{f"features.{name}": found for name, found in sources.items()},
        },
        missing=missing,
        notes=texts(document, "notes", file=file),
        **own,
    )


def checked_numbers(document: dict[str, Any], file: str) -> tuple[dict[str, float], dict[str, str]]:
    """The numbers of a document by attribute, in SI units and held against each other, and the source of each.

    Raises BadInput.
    """
    numbers = _machine_numbers(document, file)
    return _checked(numbers, file), {field: "; ".join(number.sources) for field, number in numbers.items()}


def _checked(numbers: dict[str, Number], file: str) -> dict[str, float]:
    values: dict[str, float] = {}
    for field, number in numbers.items():
        values[field] = number.si
        if field in WHOLE:
            if number.si != int(number.si):
                raise BadInput(f"{number.si} is not a whole number", file=file, field=field, remedy="correct it")
            values[field] = int(number.si)
    for whole, part in (
        ("logical_cpus", "sockets"),
        ("logical_cpus", "cpus_per_domain"),
        ("cpus_per_domain", "threads_per_core"),
    ):
        if values[whole] % values[part]:
            raise BadInput(
                f"{values[whole]} is no multiple of {part} = {values[part]}",
                file=file,
                field=whole,
                remedy="correct the topology",
            )
    return values


def _features(
    dumps: Mapping[str, CpuidRow], own: str, signature: str
) -> tuple[dict[str, bool], tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Bits of the silicon (1 in any dump of the signature), those off in the own dump, and the dumps that show each."""
    same = [row for row in dumps.values() if row.signature == signature]
    shown = {name: tuple(row.dump for row in same if name in row.bits) for name in FEATURES}
    off = tuple(name for name in FEATURES if shown[name] and name not in dumps[own].bits)
    return {name: bool(found) for name, found in shown.items()}, off, {n: found or (own,) for n, found in shown.items()}


def _tdx(document: dict[str, Any], vendor: str, missing: dict[str, str], file: str) -> tuple[bool, tuple[str, ...]]:
    """TDX does not stand in the dumps: a sourced statement, or a reason why it is taken as absent."""
    if "tdx" not in document:
        if vendor == "intel" and "tdx" not in missing:
            raise BadInput(
                "needs a sourced statement or a reason under [missing]",
                file=file,
                field="tdx",
                remedy="add one of them",
            )
        return False, ()
    stated = subtable(document, "tdx", file=file)
    for field in ("source_title", "source_locator", "quote"):
        text(stated, field, file=file, row="tdx")
    if not isinstance(stated.get("value"), bool):
        raise BadInput("is no truth value", file=file, row="tdx", field="value", remedy="write true or false")
    return stated["value"], (f"{stated['source_title']}, {stated['source_locator']}",)


# Machines that a user added (`costmodel machine add`): one TOML file each, with where every number comes from.

SUFFIX = ".toml"
OWN_KEYS = {"id", "title", "vendor", "microarchitecture", "numbers", "features", "features_off", "missing", "notes"}
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)


def own_paths() -> list[Path]:
    """The files of the user's machines, sorted by id; none where there is no folder."""
    return sorted(own_machines_dir().glob(f"*{SUFFIX}"))


def own_path(id: str) -> Path | None:
    """The file of the machine `id`, in any case, if the user has it."""
    return next((path for path in own_paths() if path.stem == id.casefold()), None)


def read_own(path: Path, *, given: str) -> Machine:
    """The machine of a file that `write` wrote, or that was written like it. Raises BadInput."""
    document, file = read_document(path), path.name
    for field in document.keys() - OWN_KEYS:
        raise BadInput("is unknown", file=file, field=field, remedy="remove it, or write `costmodel machine add` anew")
    values, sources = checked_numbers(document, file)
    own: dict[str, Any] = {field: values.get(field) for field in NUMBERS}
    features = subtable(document, "features", file=file)
    if features.keys() != {*FEATURES, "tdx"} or not all(isinstance(has, bool) for has in features.values()):
        remedy = f"write true or false for each of {', '.join((*FEATURES, 'tdx'))}"
        raise BadInput("is incomplete", file=file, field="features", remedy=remedy)
    stated = subtable(document, "missing", file=file)
    return Machine(
        id=checked_id(document, path.stem, path, "name of its file"),
        title=text(document, "title", file=file),
        vendor=cast(Vendor, text(document, "vendor", file=file, allowed=set(VENDORS.values()))),
        microarchitecture=text(document, "microarchitecture", file=file),
        domains=int(values["logical_cpus"] // values["cpus_per_domain"]),
        features=features,
        features_off=texts(document, "features_off", file=file),
        missing={field: text(stated, field, file=file, row="missing") for field in stated},
        notes=texts(document, "notes", file=file),
        given=given,
        origins=sources,
        **own,
    )


def write_own(machine: Machine, origins: Mapping[str, str], id: str) -> Path:
    """Write the machine as `id` into the user's folder and return the file. Raises BadInput where the id is taken or
    none.
    """
    path = own_machines_dir() / f"{id}{SUFFIX}"
    if not _ID.fullmatch(id):
        raise BadInput(f"{id[:40]!r} is no id", field="--name", remedy="use small letters, digits and hyphens")
    if path.exists():
        raise BadInput("is there already", file=path, remedy="remove the file, or give another --name")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_beside(path, render_own(machine, origins, id))
    return path


def render_own(machine: Machine, origins: Mapping[str, str], id: str) -> str:
    """The file as text."""
    lines = [
        "# A machine of `costmodel machine add`: each number with where it comes from. Correct what you know better.",
        f"id = {_text(id)}",
        f"title = {_text(machine.title)}",
        f"vendor = {_text(machine.vendor)}",
        f"microarchitecture = {_text(machine.microarchitecture)}",
        f"notes = [{', '.join(map(_text, machine.notes))}]",
        f"features_off = [{', '.join(map(_text, machine.features_off))}]",
        "",
        "[numbers]",
    ]
    for field in NUMBERS:
        if (value := getattr(machine, field)) is not None:
            unit = "GB/s" if field == OPTIONAL else "B" if "bytes" in field else "1"
            value = value / 1e9 if field == OPTIONAL else value
            lines.append(f"{field} = {{ value = {value!r}, unit = {_text(unit)}, source = {_text(origins[field])} }}")
    lines += ["", "[features]", *(f"{name} = {str(has).lower()}" for name, has in machine.features.items())]
    missing = {field: why for field, why in machine.missing.items() if getattr(machine, field, None) is None}
    lines += ["", "[missing]", *(f"{_text(field)} = {_text(why)}" for field, why in missing.items())]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A TOML string; its escapes are those of JSON, with DEL beside."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
