"""Simulation against formulas: one row per formula, one per limit of validity, one over all settings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy

from costmodel.simulation.engine import SimulationUnavailable
from costmodel.validation.row import Row, Section
from costmodel.validation.simulated_results import EQUIVALENCE, WIDEST, Result, results

TARGET_SHARE = 0.95
SOURCE = "costmodel.simulation: discrete events after the kernel's functions (KERNEL B.4, C.1 to C.5, D)"
TITLE = "Simulation against formulas"
RULE = f"95 % interval of the difference within {EQUIVALENCE:.0%}, half-width at most {WIDEST:.0%}"


def section(progress: Callable[[], None] = lambda: None) -> Section:
    """All rows; `progress` is called once per setting simulated. One row, not testable, where SimPy is missing."""
    try:
        found = results(progress=progress)
    except SimulationUnavailable as error:
        return Section(id="simulation", title=TITLE, rows=(_untestable(str(error)),))
    by_output, by_limit = defaultdict(list), defaultdict(list)
    for result in found:
        (by_limit[result.limit, result.output] if result.limit else by_output[result.output]).append(result)
    rows = [_output_row(output, group) for output, group in by_output.items()]
    rows += [_limit_row(limit, output, group) for (limit, output), group in by_limit.items()]
    return Section(id="simulation", title=TITLE, rows=(*rows, overall(found)))


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
        what="settings in which every formula agrees with the simulation",
        figure=f"{sum(inside.values())} of {len(inside)} ({share:.1%}) inside the limits, "
        f"{sum(every.values())} of {len(every)} ({_share(every.values()):.1%}) with those beyond",
        target=f">= {TARGET_SHARE:.0%} of settings",
        verdict="pass" if share >= TARGET_SHARE else "fail",
        source=SOURCE,
        value=share,
        unit="1",
        note=RULE,
        details={
            "settings_inside": len(inside),
            "settings_inside_that_agree": sum(inside.values()),
            "settings": len(every),
            "settings_that_agree": sum(every.values()),
            "comparisons": len(found),
            "comparisons_that_agree": sum(result.agrees for result in found),
            "widest_relative_half_width": max(result.half_width for result in found),
        },
    )


def _output_row(output: str, group: list[Result]) -> Row:
    agreed = sum(result.agrees for result in group)
    differences = numpy.abs([result.difference for result in group])
    share = agreed / len(group)
    missed = ", ".join(f"{r.setting} ({r.difference:+.1%})" for r in group if not r.agrees)
    return Row(
        id=f"simulation-{output}",
        what=f"{output}: formula against simulation",
        figure=f"{agreed} of {len(group)} settings; difference {numpy.median(differences):.1%} in the median, "
        f"{differences.max():.1%} at most",
        target=f">= {TARGET_SHARE:.0%} of settings",
        verdict="pass" if share >= TARGET_SHARE else "fail",
        source=SOURCE,
        value=share,
        unit="1",
        note=f"not: {missed}" if missed else "",
        details={
            "settings": len(group),
            "settings_that_agree": agreed,
            "median_relative_difference": float(numpy.median(differences)),
            "largest_relative_difference": float(differences.max()),
            "widest_relative_half_width": max(result.half_width for result in group),
        },
    )


def _limit_row(limit: str, output: str, group: list[Result]) -> Row:
    differences = [result.difference for result in group]
    low, high = min(differences), max(differences)
    return Row(
        id=f"simulation-{output}-{group[0].setting}",
        what=f"{output} beyond its limit",
        figure=f"formula {low:+.0%}" if low == high else f"formula {low:+.0%} to {high:+.0%}",
        target="stated as a limit of validity",
        verdict="pass" if all(result.agrees for result in group) else "disagree-explained",
        source=SOURCE,
        value=max(differences, key=abs),
        low=low,
        high=high,
        unit="1",
        note=f"limit: {limit}",
        details={"settings": len(group), "settings_that_agree": sum(result.agrees for result in group)},
    )


def _untestable(problem: str) -> Row:
    return Row(
        id="simulation-all",
        what="settings in which every formula agrees with the simulation",
        figure="not run",
        target=f">= {TARGET_SHARE:.0%} of settings",
        verdict="not testable",
        source=SOURCE,
        note=problem,
    )


def _share(agree: Iterable[bool]) -> float:
    return float(numpy.mean(list(agree)))
