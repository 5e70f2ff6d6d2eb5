"""data/datapackage.json: the Data Package description of data/, generated from the files.

Run `python -m costmodel.evidence.package [DATA]` after a change of data/.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from costmodel.errors import BadInput
from costmodel.evidence import paths
from costmodel.evidence.paths import DESCRIPTION, data_files
from costmodel.hashing import write_beside

MEDIA_TYPES = {"csv": "text/csv", "toml": "application/toml", "json": "application/json"}
UNIT_BY_SUFFIX = {"_kib": "KiB", "_bytes": "B", "_s": "s", "_per_s": "1/s"}
UNIT_IN_ROW = frozenset({"value", "low", "high", "uncertainty"})
OWN_SOURCES = [{"title": "the rows, dumps and documents that the file names beside each number"}]
LICENSE = {
    "name": "Apache-2.0",
    "title": "selection and arrangement; quotes stay with their authors, see README.md",
    "path": "https://www.apache.org/licenses/LICENSE-2.0",
}


def describe(root: Path) -> dict[str, object]:
    """The description of all data files under `root`; the same files give the same description."""
    return {
        "profile": "data-package",
        "name": "costmodel-evidence",
        "title": "Published numbers about x86 cache flushes, and the hosts and loads they are applied to",
        "licenses": [LICENSE],
        "resources": [_resource(path, root) for path in data_files(root)],
    }


def _resource(path: Path, root: Path) -> dict[str, object]:
    return dict(_described(path.relative_to(root).as_posix(), path.read_bytes()))


@lru_cache(maxsize=256)
def _described(relative: str, content: bytes) -> dict[str, object]:
    """The entry of one file, made once for what it holds."""
    kind = Path(relative).suffix.removeprefix(".")
    resource: dict[str, object] = {
        "name": relative.lower().replace("/", "-").replace(".", "-").replace("_", "-"),
        "path": relative,
        "format": kind,
        "mediatype": MEDIA_TYPES.get(kind, "text/plain"),
        "encoding": "utf-8",
        "bytes": len(content),
        "hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "sources": OWN_SOURCES,
    }
    if kind == "csv":
        header, *rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""))
        resource["profile"] = "tabular-data-resource"
        columns = dict(zip(header, zip_longest(*rows, fillvalue=""), strict=False)) if rows else {}
        resource["schema"] = {"fields": [_field(name, list(cells)) for name, cells in columns.items()]}
        titles = sorted(set(columns.get("source_title", ())) - {""})
        resource["sources"] = [{"title": title} for title in titles] or OWN_SOURCES
    return resource


def _field(name: str, cells: list[str]) -> dict[str, str]:
    field = {"name": name, "type": _type([cell for cell in cells if cell])}
    unit = next(
        (
            unit
            for suffix, unit in sorted(UNIT_BY_SUFFIX.items(), key=lambda pair: -len(pair[0]))
            if name.endswith(suffix)
        ),
        "",
    )
    if name in UNIT_IN_ROW and field["type"] != "string":
        unit = "as the column unit says"
    return {**field, "unit": unit} if unit and field["type"] != "string" else field


def _type(cells: list[str]) -> str:
    for kind, convert in (("integer", int), ("number", float)):
        try:
            for cell in cells:
                convert(cell)
        except ValueError:
            continue
        return kind if cells else "string"
    return "string"


def render(root: Path) -> str:
    """The description as the text of datapackage.json."""
    return json.dumps(describe(root), indent=1, ensure_ascii=False) + "\n"


Difference = Literal["no description", "missing", "unlisted", "changed", "old description"]
"""How a file can be other than datapackage.json says."""


def differences(root: Path) -> list[tuple[str, Difference]]:
    """(path, what differs) for each file that is not as datapackage.json says."""
    try:
        stated = json.loads((root / DESCRIPTION).read_text(encoding="utf-8"))
        listed = {resource["path"]: resource["hash"] for resource in stated["resources"]}
    except (OSError, ValueError, KeyError, TypeError):
        return [(DESCRIPTION, "no description")]
    present = {
        path.relative_to(root).as_posix(): f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in data_files(root)
    }
    found: list[tuple[str, Difference]] = [(path, "missing") for path in sorted(listed.keys() - present.keys())]
    found += [(path, "unlisted") for path in sorted(present.keys() - listed.keys())]
    found += [(path, "changed") for path in sorted(listed.keys() & present.keys()) if listed[path] != present[path]]
    if not found and stated != json.loads(render(root)):
        found.append((DESCRIPTION, "old description"))
    return found


def main(arguments: list[str]) -> None:
    """Write datapackage.json for the directory given, or for the package's own data/."""
    root = Path(arguments[0]) if arguments else paths.data_dir()
    if not root.is_dir():
        raise BadInput("is no directory", file=root, remedy="give the data directory")
    write_beside(root / DESCRIPTION, render(root))


if __name__ == "__main__":
    main(sys.argv[1:])
