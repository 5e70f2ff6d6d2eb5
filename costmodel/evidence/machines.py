"""data/machines/*.toml: catalogued hosts; feature bits come from the CPUID dumps of the same signature."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from costmodel.errors import BadInput
from costmodel.evidence.cpuid import FEATURES, CpuidRow
from costmodel.evidence.numbers import Number, parse, read_toml, subtable, text, texts
from costmodel.evidence.records import Machine

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
WHOLE = ("sockets", "logical_cpus", "threads_per_core", "cpus_per_domain", "line_bytes")
KEYS = {"id", "title", "vendor", "microarchitecture", "signature", "dump", "notes", "numbers", "missing", "tdx"}


def read_numbers(path: Path) -> dict[str, Number]:
    """The sourced numbers of one machine by attribute. Raises BadInput."""
    return _numbers(read_toml(path), path.name)


def _numbers(document: dict[str, object], file: str) -> dict[str, Number]:
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


def read(path: Path, dumps: Mapping[str, CpuidRow]) -> Machine:
    """One machine. Raises BadInput."""
    document, file = read_toml(path), path.name
    for field in document.keys() - KEYS:
        raise BadInput("is unknown", file=file, field=field, remedy="remove it")
    numbers = _numbers(document, file)
    values = _checked(numbers, file)
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
        vendor=vendor,
        microarchitecture=text(document, "microarchitecture", file=file),
        domains=values["logical_cpus"] // values["cpus_per_domain"],
        features=features,
        features_off=off,
        provenance={
            **{field: number.sources for field, number in numbers.items()},
            **{f"features.{name}": found for name, found in sources.items()},
        },
        missing=missing,
        notes=texts(document, "notes", file=file),
        **{field: values.get(field) for field in (*REQUIRED, OPTIONAL)},
    )


def checked_numbers(document: dict[str, object], file: str) -> tuple[dict[str, float], dict[str, str]]:
    """The numbers of a document by attribute, in SI units and held against each other, and the source of each.

    Raises BadInput.
    """
    numbers = _numbers(document, file)
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


def _features(dumps: Mapping[str, CpuidRow], own: str, signature: str) -> tuple[dict, tuple, dict]:
    """Bits of the silicon (1 in any dump of the signature), those off in the own dump, and the dumps that show each."""
    same = [row for row in dumps.values() if row.signature == signature]
    shown = {name: tuple(row.dump for row in same if name in row.bits) for name in FEATURES}
    off = tuple(name for name in FEATURES if shown[name] and name not in dumps[own].bits)
    return {name: bool(found) for name, found in shown.items()}, off, {n: found or (own,) for n, found in shown.items()}


def _tdx(document: dict, vendor: str, missing: dict[str, str], file: str) -> tuple[bool, tuple[str, ...]]:
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
