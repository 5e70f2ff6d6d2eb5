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


def _section(id: str, title: str, rows: Iterable) -> Section:
    return Section(id=id, title=title, rows=tuple(rows))


SECTIONS: dict[str, Callable[[Evidence], Section]] = {
    "claims": lambda e: _section("claims", "What the thread of 2023-08-18 claims", thread.rows(e)),
    "terms": lambda e: _section("terms", "Held-out error, bias and coverage of each term", observed.term_rows(e)),
    "simulation": simulation.section,
    "retrodiction": lambda e: _section("retrodiction", "What was seen on real hosts", observed.rows(e)),
    "upstream": lambda e: _section("upstream", "What the kernel decided since 2022", upstream.rows(e)),
    "cost-alone": lambda e: _section(
        "cost-alone", "Where cost alone would choose otherwise", upstream.cost_alone_rows(e)
    ),
    "measurements": lambda e: _section(
        "measurements", "Published measurements that were not fitted", observed.measured(e)
    ),
    "lore": lambda e: _section("lore", "Rules of thumb and thresholds beside the model", observed.lore(e)),
    "strd": lambda e: _section("strd", "NIST certified regressions through the same calibrator", committed(e, "strd")),
    "formulas": lambda e: _section("formulas", "Dimensions of the formulas", committed(e, "formulas")),
}


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
        built.append(SECTIONS[name](evidence))
        progress()
    return Scoreboard(
        costmodel_version=__version__,
        data_hash=evidence.data_hash,
        sections=tuple(built),
    )
