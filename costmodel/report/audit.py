"""Findings of the audit as lines of text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from costmodel.validation.audit import Finding, Kind, Problem

AGAIN = "run python -m costmodel.evidence.package"
WORDS: dict[Kind, str] = {
    "no description": f"is missing or cannot be read; {AGAIN}",
    "missing": "is listed in datapackage.json but missing",
    "unlisted": "is not listed in datapackage.json",
    "changed": "checksum differs from datapackage.json",
    "old description": f"differs from what the files say; {AGAIN}",
    "unread": "{error}",
    "no row": "row {name} does not exist",
    "no note": "a choice of the user needs a note",
    "no source": "{name} is neither a row nor a CPUID dump",
    "other kind": "unit {unit} is not of the kind of {right} in row {row}",
    "differs from row": "{found} differs from row {row}: {right}",
    "no cell": "column {column} of {dump} holds no number",
    "differs from dump": "{found} differs from {column} = {right} in {dump}",
    "no provenance": "provenance is missing",
    "no reason": "use {use} has no reason",
    "not to fit": "kind {evidence} may not be fitted",
    "not fitted": "is marked fit, and no fit, parameter, machine or workload takes it; mark it check or exclude",
    "no unit": "{name} does not parse: {error}",
    "other factor": "{name} has factor {found}, pint says {right}",
    "not given": "names {field}, which the row does not give",
    "not quoted": "{value} does not stand in the quote",
    "strange numbers": "arithmetic uses {numbers}, which the quote lacks",
    "other result": "arithmetic gives {found}, not {right}",
    "unused": "nothing uses this number",
}
"""By the kind of a problem, with the names that it tells in braces."""


def said(problem: Problem) -> str:
    """The problem in words."""
    return WORDS[problem.kind].format(**problem.names)


def line(finding: Finding) -> str:
    """File, row and field, where they apply, and the problem."""
    return ": ".join(part for part in (finding.file, finding.row, finding.field, said(finding.problem)) if part)


def as_json(numbers: int, findings: Sequence[Finding]) -> str:
    """How many numbers were looked at, and every finding."""
    told = [{**finding._asdict(), "problem": said(finding.problem)} for finding in findings]
    return json.dumps({"numbers": numbers, "findings": told}, indent=1)
