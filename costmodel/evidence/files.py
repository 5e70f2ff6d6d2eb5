"""The files of a data package: everything under data/ but its description and read-me."""

from __future__ import annotations

from pathlib import Path

DESCRIPTION = "datapackage.json"
README = "README.md"


def data_files(root: Path) -> list[Path]:
    """Data files under `root`, sorted; hidden files are not data."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.is_file() and path.name not in (DESCRIPTION, README) and not path.name.startswith(".")
    )
