"""Simulation against formulas: one row per formula, one per limit of validity, one over all settings.

A formula agrees with the simulation of a setting if the whole 95 % interval of the relative difference lies within 5 %
either way (two one-sided tests at 2.5 %). The simulator is in tests/simulation/ and imports no formula; what it gave,
and what the formulas say to it, stands in data/validation/, which `make validation-data` renews. A test simulates a
sample anew and evaluates every formula anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy

from costmodel.evidence.store import Evidence
from costmodel.evidence.tables import NotNegative, records
from costmodel.formulas.catalog import FORMULAS
from costmodel.formulas.compiled import fingerprint
from costmodel.validation.row import Row

FILE = Path("validation", "simulation.csv")
EQUIVALENCE = 0.05
"""Largest relative difference that counts as agreement."""
WIDEST = 0.02
"""Largest relative half-width of a simulated value that can decide."""
TARGET_SHARE = 0.95
SOURCE = f"data/{FILE.as_posix()}"


@dataclass(frozen=True)
class Result:
    """One output of one setting: the simulated value with its 95 % interval, and the formula's.

    `output` is the id of the formula; values are in its unit. `asked` is the hash of what the simulator was asked,
    `fingerprint` that of the formula. `limit` is the stated limit of validity beyond which the setting lies, empty
    inside.
    """

    setting: str
    family: str
    output: str
    simulated: NotNegative
    half_width: NotNegative
    formula: NotNegative
    limit: str = ""
    asked: str = ""
    fingerprint: str = ""

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval of the simulated value."""
        return self.simulated - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval of the simulated value."""
        return self.simulated + self.half_width

    @property
    def relative_half_width(self) -> float:
        """Half-width of the interval over the simulated value."""
        return self.half_width / self.simulated

    @property
    def difference(self) -> float:
        """Relative difference of the formula from the simulated value."""
        return self.formula / self.simulated - 1

    @property
    def agrees(self) -> bool:
        """Whether the two are equivalent: precise enough, and the whole interval of the difference within 5 %."""
        if not (self.low > 0 and self.relative_half_width <= WIDEST):
            return False
        return self.formula / self.high - 1 >= -EQUIVALENCE and self.formula / self.low - 1 <= EQUIVALENCE

    @property
    def finding(self) -> Literal["agrees", "beyond", "wrong"]:
        """Whether it agrees; where it does not, whether the setting lies beyond a stated limit of validity."""
        return "agrees" if self.agrees else "beyond" if self.limit else "wrong"


@lru_cache(maxsize=4)
def read(root: Path) -> tuple[Result, ...]:
    """All outputs of all settings, as committed. Raises BadInput."""
    return records(root / FILE, Result, ("setting", "output"))


def rows(evidence: Evidence) -> list[Row]:
    """All rows. A formula that is no longer the one that was compared is not testable until the data are renewed."""
    found = read(evidence.root)
    now = {output: fingerprint(output) for output in {one.output for one in found} if output in FORMULAS}
    changed = {one.output for one in found if now.get(one.output) != one.fingerprint}
    by_output: defaultdict[str, list[Any]] = defaultdict(list)
    by_limit: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
    for result in found:
        if result.output not in changed:
            (by_limit[result.limit, result.output] if result.limit else by_output[result.output]).append(result)
    told = [_changed(output) for output in sorted(changed)]
    told += [_output_row(output, group) for output, group in by_output.items()]
    told += [_limit_row(limit, output, group) for (limit, output), group in by_limit.items()]
    same = [result for result in found if result.output not in changed]
    return [*told, *([overall(same)] if same else [])]


def _changed(output: str) -> Row:
    return Row(
        id=f"simulation-{output}",
        kind="not compared",
        verdict="not testable",
        source=SOURCE,
        because=("changed",),
        names={"output": output, "share": f"{TARGET_SHARE:.0%}"},
    )


def settings_that_agree(found: Iterable[Result]) -> dict[str, bool]:
    """By setting: whether every one of the given outputs agrees."""
    agree: dict[str, bool] = {}
    for result in found:
        agree[result.setting] = agree.get(result.setting, True) and result.agrees
    return agree


def overall(found: Sequence[Result]) -> Row:
    """The share of the settings in which every output agrees: inside the stated limits, and of all."""
    inside = settings_that_agree(result for result in found if not result.limit)
    every = settings_that_agree(found)
    share = _share(inside.values())
    return Row(
        id="simulation-all",
        kind="all compared",
        verdict="pass" if share >= TARGET_SHARE else "fail",
        source=SOURCE,
        value=share,
        unit="1",
        names={
            "inside": f"{sum(inside.values())} of {len(inside)} ({share:.1%})",
            "every": f"{sum(every.values())} of {len(every)} ({_share(every.values()):.1%})",
            "share": f"{TARGET_SHARE:.0%}",
            "equivalence": f"{EQUIVALENCE:.0%}",
            "widest": f"{WIDEST:.0%}",
        },
        details={
            "settings_inside": len(inside),
            "settings_inside_that_agree": sum(inside.values()),
            "settings": len(every),
            "settings_that_agree": sum(every.values()),
            "comparisons": len(found),
            "comparisons_that_agree": sum(result.agrees for result in found),
            "widest_relative_half_width": max(result.relative_half_width for result in found),
        },
    )


def _output_row(output: str, group: list[Result]) -> Row:
    agreed = sum(result.agrees for result in group)
    differences = numpy.abs([result.difference for result in group])
    share = agreed / len(group)
    missed = ", ".join(f"{r.setting} ({r.difference:+.1%})" for r in group if not r.agrees)
    return Row(
        id=f"simulation-{output}",
        kind="compared",
        verdict="pass" if share >= TARGET_SHARE else "fail",
        source=SOURCE,
        value=share,
        unit="1",
        because=("other settings",) if missed else (),
        names={
            "output": output,
            "agreed": f"{agreed} of {len(group)}",
            "median": f"{numpy.median(differences):.1%}",
            "largest": f"{differences.max():.1%}",
            "share": f"{TARGET_SHARE:.0%}",
            "missed": missed,
        },
        details={
            "settings": len(group),
            "settings_that_agree": agreed,
            "median_relative_difference": float(numpy.median(differences)),
            "largest_relative_difference": float(differences.max()),
            "widest_relative_half_width": max(result.relative_half_width for result in group),
        },
    )


def _limit_row(limit: str, output: str, group: list[Result]) -> Row:
    differences = [result.difference for result in group]
    low, high = min(differences), max(differences)
    return Row(
        id=f"simulation-{output}-{group[0].setting}",
        kind="same beyond limit" if low == high else "beyond a limit",
        verdict="pass" if all(result.agrees for result in group) else "disagree-explained",
        source=SOURCE,
        value=max(differences, key=abs),
        low=low,
        high=high,
        unit="1",
        names={"output": output, "low": f"{low:+.0%}", "high": f"{high:+.0%}", "limit": limit},
        details={"settings": len(group), "settings_that_agree": sum(result.agrees for result in group)},
    )


def _share(agree: Iterable[bool]) -> float:
    return float(numpy.mean(list(agree)))
