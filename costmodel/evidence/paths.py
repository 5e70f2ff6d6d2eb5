"""Where data/ and notebooks/ lie, in a checkout beside the package and in a wheel inside it, and which files data/
consists of.
"""

from __future__ import annotations

import os
from pathlib import Path

from costmodel.hashing import files_hash, value_hash

PACKAGE = Path(__file__).resolve().parent.parent
DATA_VARIABLE = "COSTMODEL_DATA"
"""The environment variable that names another data package."""


def _beside_or_inside(name: str, variable: str) -> Path:
    if override := os.environ.get(variable):
        return Path(override)
    checkout = PACKAGE.parent / name
    return checkout if checkout.is_dir() else PACKAGE / f"_{name}"


def data_dir() -> Path:
    """The data package; COSTMODEL_DATA overrides it."""
    return _beside_or_inside("data", DATA_VARIABLE)


def own_machines_dir() -> Path:
    """Where the user's own machines lie: COSTMODEL_MACHINES, else costmodel/machines under XDG_DATA_HOME or
    ~/.local/share.
    """
    if override := os.environ.get("COSTMODEL_MACHINES"):
        return Path(override)
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "costmodel" / "machines"


def notebooks_dir() -> Path:
    """The source notebooks; COSTMODEL_NOTEBOOKS overrides it."""
    return _beside_or_inside("notebooks", "COSTMODEL_NOTEBOOKS")


DESCRIPTION = "datapackage.json"
README = "README.md"


def data_files(root: Path) -> list[Path]:
    """Data files under `root`, sorted; hidden files are not data."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.is_file() and path.name not in (DESCRIPTION, README) and not path.name.startswith(".")
    )


def evidence_hash() -> str:
    """Hash of all files that evidence is read from: data/, the user's own machines, and the profiles of COSTMODEL_HOSTS."""
    root = data_dir()
    others = [own_machines_dir(), *map(Path, filter(None, [os.environ.get("COSTMODEL_HOSTS")]))]
    own = [files_hash((path for path in folder.rglob("*") if path.is_file()), folder) for folder in others]
    return value_hash([files_hash(data_files(root), root), *own])
