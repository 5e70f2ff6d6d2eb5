"""Machines that a user added (`costmodel machine add`): one TOML file each, with where every number comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from costmodel.errors import BadInput
from costmodel.evidence import machines
from costmodel.evidence.cpuid import FEATURES
from costmodel.evidence.described import VENDORS
from costmodel.evidence.numbers import checked_id, read_document, subtable, text, texts
from costmodel.evidence.paths import own_machines_dir
from costmodel.evidence.records import Machine
from costmodel.hashing import write_beside

SUFFIX = ".toml"
NUMBERS = (*machines.REQUIRED, machines.OPTIONAL)
KEYS = {"id", "title", "vendor", "microarchitecture", "numbers", "features", "features_off", "missing", "notes"}
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)


def paths() -> list[Path]:
    """The files of the user's machines, sorted by id; none where there is no folder."""
    return sorted(own_machines_dir().glob(f"*{SUFFIX}"))


def path_of(id: str) -> Path | None:
    """The file of the machine `id`, in any case, if the user has it."""
    return next((path for path in paths() if path.stem == id.casefold()), None)


def read(path: Path, *, given: str) -> Machine:
    """The machine of a file that `write` wrote, or that was written like it. Raises BadInput."""
    document, file = read_document(path), path.name
    for field in document.keys() - KEYS:
        raise BadInput("is unknown", file=file, field=field, remedy="remove it, or write `costmodel machine add` anew")
    values, sources = machines.checked_numbers(document, file)
    features = subtable(document, "features", file=file)
    if features.keys() != {*FEATURES, "tdx"} or not all(isinstance(has, bool) for has in features.values()):
        remedy = f"write true or false for each of {', '.join((*FEATURES, 'tdx'))}"
        raise BadInput("is incomplete", file=file, field="features", remedy=remedy)
    stated = subtable(document, "missing", file=file)
    return Machine(
        id=checked_id(document, path.stem, path, "name of its file"),
        title=text(document, "title", file=file),
        vendor=text(document, "vendor", file=file, allowed=set(VENDORS.values())),
        microarchitecture=text(document, "microarchitecture", file=file),
        domains=values["logical_cpus"] // values["cpus_per_domain"],
        features=features,
        features_off=texts(document, "features_off", file=file),
        missing={field: text(stated, field, file=file, row="missing") for field in stated},
        notes=texts(document, "notes", file=file),
        given=given,
        origins=sources,
        **{field: values.get(field) for field in NUMBERS},
    )


def write(machine: Machine, origins: Mapping[str, str], id: str) -> Path:
    """Write the machine as `id` into the user's folder and return the file. Raises BadInput where the id is taken or none."""
    path = own_machines_dir() / f"{id}{SUFFIX}"
    if not _ID.fullmatch(id):
        raise BadInput(f"{id[:40]!r} is no id", field="--name", remedy="use small letters, digits and hyphens")
    if path.exists():
        raise BadInput("is there already", file=path, remedy="remove the file, or give another --name")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_beside(path, render(machine, origins, id))
    return path


def render(machine: Machine, origins: Mapping[str, str], id: str) -> str:
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
            unit = "GB/s" if field == machines.OPTIONAL else "B" if "bytes" in field else "1"
            value = value / 1e9 if field == machines.OPTIONAL else value
            lines.append(f"{field} = {{ value = {value!r}, unit = {_text(unit)}, source = {_text(origins[field])} }}")
    lines += ["", "[features]", *(f"{name} = {str(has).lower()}" for name, has in machine.features.items())]
    missing = {field: why for field, why in machine.missing.items() if getattr(machine, field, None) is None}
    lines += ["", "[missing]", *(f"{_text(field)} = {_text(why)}" for field, why in missing.items())]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A TOML string; its escapes are those of JSON, with DEL beside."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
