"""The scoreboard: every section by name, built in the order in which a reader wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import TypeAdapter

from costmodel import __version__
from costmodel.errors import BadInput, UnknownName
from costmodel.evidence.store import Evidence
from costmodel.validation import observed, simulation, thread, upstream
from costmodel.validation.row import Row, Scoreboard, Section

Progress = Callable[[], None]
COMMITTED = Path("validation")
"""Where in data/ the rows are that tests make: `make validation-data` renews them, and a test makes them anew."""


def committed(evidence: Evidence, name: str) -> list[Row]:
    """Rows of the section as they were made. Raises BadInput."""
    path = evidence.root / COMMITTED / f"{name}.json"
    try:
        return TypeAdapter(list[Row]).validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput("holds no rows of a scoreboard", file=path, remedy="make validation-data") from error


SECTIONS: dict[str, Callable[[Evidence], Iterable[Row]]] = {
    "claims": thread.rows,
    "terms": observed.term_rows,
    "simulation": simulation.rows,
    "retrodiction": observed.rows,
    "upstream": upstream.rows,
    "cost-alone": upstream.cost_alone_rows,
    "measurements": observed.measured,
    "lore": observed.lore,
    "strd": lambda evidence: committed(evidence, "strd"),
    "formulas": lambda evidence: committed(evidence, "formulas"),
}
"""What makes the rows of each section; its title stands in report/scoreboard.py."""


def chosen(sections: Iterable[str]) -> list[str]:
    """The named sections in the order in which they are shown, all if none is named. Raises UnknownName."""
    names = list(sections)
    for name in names:
        if name not in SECTIONS:
            raise UnknownName("section", name, SECTIONS)
    return [name for name in SECTIONS if name in names or not names]


def build(evidence: Evidence, sections: Iterable[str] = (), progress: Progress = lambda: None) -> Scoreboard:
    """The scoreboard of the named sections (all if none is named); `progress` is called after each.

    Raises UnknownName.
    """
    built = []
    for name in chosen(sections):
        built.append(Section(id=name, rows=tuple(SECTIONS[name](evidence))))
        progress()
    return Scoreboard(
        costmodel_version=__version__,
        data_hash=evidence.data_hash,
        sections=tuple(built),
    )
