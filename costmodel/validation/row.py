"""Typed rows of the scoreboard."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Verdict = Literal["pass", "fail", "disagree-explained", "not testable"]
VERDICTS: tuple[Verdict, ...] = ("pass", "fail", "disagree-explained", "not testable")


def _finite(value: float | None) -> float | None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("is not finite")
    return value


Finite = Annotated[float | None, AfterValidator(_finite)]
Detail = Annotated[bool | int | float | str | None, AfterValidator(_finite)]


class Row(BaseModel):
    """One line of the scoreboard.

    `value`, `low` and `high` are its number in SI `unit` where it is one; `source` says where the target comes from,
    `details` are further numbers by name (for JSON). `kind` and `because` are ids of words in report/scoreboard.py, and
    `names` what those tell; from them come the texts: `what`, `figure` as it is printed, `target`, which would be
    right, and `note`, why it is missed or untestable. A text that is given stays.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    what: str = ""
    figure: str = ""
    target: str = ""
    verdict: Verdict
    source: str
    value: Finite = None
    low: Finite = None
    high: Finite = None
    unit: str = ""
    note: str = ""
    details: dict[str, Detail] = {}
    kind: str = Field(default="", exclude=True)
    names: dict[str, str] = Field(default={}, exclude=True)
    because: tuple[str, ...] = Field(default=(), exclude=True)


class Section(BaseModel):
    """Rows of one kind, in the order in which they are shown. The title comes from report/scoreboard.py."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    title: str = ""
    rows: tuple[Row, ...]

    def count(self, verdict: Verdict) -> int:
        """Number of rows with the verdict."""
        return sum(row.verdict == verdict for row in self.rows)

    @property
    def failed(self) -> bool:
        """Whether a row fails without an explanation."""
        return self.count("fail") > 0


class Scoreboard(BaseModel):
    """All sections, and what they were made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    costmodel_version: str
    data_hash: str
    sections: tuple[Section, ...]

    @property
    def failed(self) -> bool:
        """Whether any section has an unexplained failure."""
        return any(section.failed for section in self.sections)
