"""Checks of one measurement: provenance, unit, use, and that its numbers follow from its quote."""

from __future__ import annotations

import math

from costmodel.errors import BadInput
from costmodel.evidence.arithmetic import CONSTANTS, evaluate, literals, numbers_in, same
from costmodel.evidence.finding import Finding
from costmodel.evidence.measurements import FILE
from costmodel.evidence.records import Measurement
from costmodel.evidence.units import UNITS, pint_factor

PROVENANCE = ("source_title", "source_author", "source_date", "source_locator", "quote", "trust")
FITTED_KINDS = ("measured", "specified")


def check(row: Measurement) -> list[Finding]:
    """Findings about `row`."""

    def finding(field: str, problem: str) -> Finding:
        return Finding(FILE, row.id, field, problem)

    found = [finding(field, "provenance is missing") for field in PROVENANCE if not getattr(row, field)]
    if not row.reason:
        found.append(finding("reason", f"use {row.use!r} has no reason"))
    if row.use == "fit" and row.kind not in FITTED_KINDS:
        found.append(finding("use", f"kind {row.kind!r} may not be fitted"))
    return found + unit_findings(row.unit, FILE, row.id) + _quoted(row)


def unit_findings(name: str, file: str, row: str) -> list[Finding]:
    """A finding where the factor of the unit is not what pint computes."""
    import pint

    try:
        factor = pint_factor(UNITS[name])
    except (KeyError, pint.errors.PintError, AssertionError, AttributeError) as error:
        return [Finding(file, row, "unit", f"{name!r} does not parse: {error}")]
    if not math.isclose(factor, UNITS[name].factor, rel_tol=1e-12):
        return [Finding(file, row, "unit", f"{name!r} has factor {UNITS[name].factor}, pint says {factor}")]
    return []


def expressions(arithmetic: str) -> dict[str, str]:
    """`value` (the default) and other fields with the expression that gives them: `1+2; high: 3*4`."""
    found = {}
    for part in filter(None, (part.strip() for part in arithmetic.split(";"))):
        field, separator, expression = part.rpartition(":")
        found[field.strip() if separator else "value"] = expression.strip()
    return found


def _quoted(row: Measurement) -> list[Finding]:
    """Each number as the source wrote it stands in the quote, or follows by arithmetic from numbers that do."""
    factor = UNITS[row.unit].factor
    written = {
        "value": row.value,
        **{
            field: value / factor
            for field, value in (("low", row.low_si), ("high", row.high_si), ("uncertainty", row.uncertainty_si))
            if value is not None
        },
    }
    quoted = numbers_in(row.quote)
    given = expressions(row.arithmetic)
    found = [
        Finding(FILE, row.id, "arithmetic", f"names {field!r}, which the row does not give")
        for field in given.keys() - written.keys()
    ]
    for field, value in written.items():
        if field in given:
            problem = follows(given[field], value, quoted)
        else:
            problem = "" if any(same(value, number) for number in quoted) else f"{value:g} does not stand in the quote"
        if problem:
            found.append(Finding(FILE, row.id, field, problem))
    return found


def follows(expression: str, value: float, quoted: frozenset[float]) -> str:
    """Empty where `expression` uses only quoted numbers and constants and gives `value`; else the problem."""
    try:
        strange = literals(expression) - quoted - CONSTANTS
        result = evaluate(expression)
    except BadInput as error:
        return error.problem
    if strange:
        return f"arithmetic uses {', '.join(f'{number:g}' for number in sorted(strange))}, which the quote lacks"
    return "" if same(result, value) else f"arithmetic gives {result:g}, not {value:g}"
