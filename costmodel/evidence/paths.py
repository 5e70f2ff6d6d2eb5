"""Where data/ and notebooks/ lie, in a checkout beside the package and in a wheel inside it, and which files data/
consists of.
"""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def _beside_or_inside(name: str, variable: str) -> Path:
    if override := os.environ.get(variable):
        return Path(override)
    checkout = PACKAGE.parent / name
    return checkout if checkout.is_dir() else PACKAGE / f"_{name}"


def data_dir() -> Path:
    """The data package; COSTMODEL_DATA overrides it."""
    return _beside_or_inside("data", "COSTMODEL_DATA")


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
