"""Machines: CPUID dumps, the catalogue of data/machines/, and those that a user added."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from costmodel.errors import BadInput
from costmodel.evidence.paths import own_machines_dir
from costmodel.evidence.records import Machine, Number, Vendor
from costmodel.evidence.tables import Count, CountOrZero, Refused, Table, Text, document, one_of, placed, records, words
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
OPTIONAL = "dram_peak_bytes_per_s_per_socket"
WHOLE = ("sockets", "logical_cpus", "threads_per_core", "cpus_per_domain", "line_bytes")
MULTIPLES = (("logical_cpus", "sockets"), ("logical_cpus", "cpus_per_domain"), ("cpus_per_domain", "threads_per_core"))


@dataclass(frozen=True, kw_only=True)
class Numbers(Table):
    """The sourced numbers of a machine, held against each other."""

    sockets: Number
    logical_cpus: Number
    threads_per_core: Number
    cpus_per_domain: Number
    llc_bytes_per_domain: Number
    l2_bytes_per_core: Number
    line_bytes: Number
    dram_peak_bytes_per_s_per_socket: Number | None = None

    def __post_init__(self) -> None:
        for name in WHOLE:
            if (value := getattr(self, name).si) != int(value):
                raise Refused(f"{value} is not a whole number", "correct it", name)
        for whole, part in MULTIPLES:
            if self.values[whole] % self.values[part]:
                problem = f"{self.values[whole]} is no multiple of {part} = {self.values[part]}"
                raise Refused(problem, "correct the topology", whole)

    @property
    def given(self) -> dict[str, Number]:
        """The numbers that the file gives, by attribute."""
        return {name: number for name, number in vars(self).items() if number is not None}

    @property
    def values(self) -> dict[str, Any]:
        """The numbers in SI units, counts as whole numbers; None where the file gives none."""
        found = {name: number and number.si for name, number in vars(self).items()}
        return found | {name: int(found[name]) for name in WHOLE}


NUMBERS = tuple(field.name for field in fields(Numbers))
OWN_UNITS = {"llc_bytes_per_domain": "B", "l2_bytes_per_core": "B", "line_bytes": "B", OPTIONAL: "GB/s"}
"""Units in which a machine is written; the other numbers are counts."""


@dataclass(frozen=True, kw_only=True)
class MachineFile(Table):
    """What the files of catalogued and of added machines have in common."""

    id: str
    title: Text
    vendor: Vendor
    microarchitecture: Text
    notes: tuple[str, ...] = ()
    numbers: Numbers
    missing: dict[str, Text] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (OPTIONAL in self.numbers.given) == (OPTIONAL in self.missing):
            raise Refused("needs a number or a reason under [missing], not both", "keep one of them", OPTIONAL)

    def machine(self, **more: Any) -> Machine:
        """The machine, of which `more` is what only one kind of files tells."""
        values = self.numbers.values
        told = {
            name: getattr(self, name) for name in ("id", "title", "vendor", "microarchitecture", "missing", "notes")
        }
        return Machine(domains=values["logical_cpus"] // values["cpus_per_domain"], **values, **told, **more)


@dataclass(frozen=True)
class Tdx(Table):
    """A sourced statement on TDX, which no CPUID dump tells of."""

    value: bool
    source_title: Text
    source_locator: Text
    quote: Text


@dataclass(frozen=True, kw_only=True)
class CataloguedMachine(MachineFile):
    """A file of data/machines."""

    signature: str
    dump: str
    tdx: Tdx | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.vendor == "intel" and self.tdx is None and "tdx" not in self.missing:
            raise Refused("needs a sourced statement or a reason under [missing]", "add one of them", "tdx")


def read_numbers(path: Path) -> dict[str, Number]:
    """The sourced numbers of one machine by attribute. Raises BadInput."""
    return document(path, CataloguedMachine).numbers.given


def read_machine(path: Path, dumps: Mapping[str, CpuidRow]) -> Machine:
    """One machine. Raises BadInput."""
    told = document(path, CataloguedMachine)
    with placed(path.name, None):
        one_of(told.dump, dumps, "dump")
        one_of(told.signature, {row.signature for row in dumps.values()}, "signature")
    features, off, shown_by = _features(dumps, told.dump, told.signature)
    tdx = told.tdx
    features["tdx"] = tdx is not None and tdx.value
    shown_by["tdx"] = (f"{tdx.source_title}, {tdx.source_locator}",) if tdx else ()
    return told.machine(
        features=features,
        features_off=off,
        provenance={
            **{name: number.sources for name, number in told.numbers.given.items()},
            **{f"features.{name}": found for name, found in shown_by.items()},
        },
    )


def _features(
    dumps: Mapping[str, CpuidRow], own: str, signature: str
) -> tuple[dict[str, bool], tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Bits of the silicon (1 in any dump of the signature), those off in the own dump, and the dumps that show each."""
    same = [row for row in dumps.values() if row.signature == signature]
    shown = {name: tuple(row.dump for row in same if name in row.bits) for name in FEATURES}
    off = tuple(name for name in FEATURES if shown[name] and name not in dumps[own].bits)
    return {name: bool(found) for name, found in shown.items()}, off, {n: found or (own,) for n, found in shown.items()}


# Machines that a user added (`costmodel machine add`): one TOML file each, with where every number comes from.

SUFFIX = ".toml"
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)


def own_paths() -> list[Path]:
    """The files of the user's machines, sorted by id; none where there is no folder."""
    return sorted(own_machines_dir().glob(f"*{SUFFIX}"))


def own_path(id: str) -> Path | None:
    """The file of the machine `id`, in any case, if the user has it."""
    return next((path for path in own_paths() if path.stem == id.casefold()), None)


@dataclass(frozen=True, kw_only=True)
class AddedMachine(MachineFile):
    """A file of a machine that a user added."""

    features: dict[str, bool]
    features_off: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.features.keys() != {*FEATURES, "tdx"}:
            remedy = f"write true or false for each of {', '.join((*FEATURES, 'tdx'))}"
            raise Refused("is incomplete", remedy, "features")


def read_own(path: Path, *, given: str) -> Machine:
    """The machine of a file that `write` wrote, or that was written like it. Raises BadInput."""
    told = document(path, AddedMachine)
    origins = {name: "; ".join(number.sources) for name, number in told.numbers.given.items()}
    return told.machine(features=told.features, features_off=told.features_off, given=given, origins=origins)


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
    for name in NUMBERS:
        if (value := getattr(machine, name)) is not None:
            unit = OWN_UNITS.get(name, "1")
            value = value / 1e9 if name == OPTIONAL else value
            lines.append(f"{name} = {{ value = {value!r}, unit = {_text(unit)}, source = {_text(origins[name])} }}")
    lines += ["", "[features]", *(f"{name} = {str(has).lower()}" for name, has in machine.features.items())]
    missing = {field: why for field, why in machine.missing.items() if getattr(machine, field, None) is None}
    lines += ["", "[missing]", *(f"{_text(field)} = {_text(why)}" for field, why in missing.items())]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A TOML string; its escapes are those of JSON, with DEL beside."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
