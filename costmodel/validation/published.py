"""The model beside what others say: rules of thumb and thresholds (lore), and published measurements."""

from __future__ import annotations

import math

from costmodel.calibration.parameters import Calibration
from costmodel.calibration.published import Check, checks
from costmodel.evidence.store import Evidence
from costmodel.numbers import interval, quantity
from costmodel.validation.row import Row, Verdict

WIDEST = 100.0
"""A model interval whose ends lie further apart than this factor decides nothing."""
TOO_WIDE = f"the interval spans more than a factor of {WIDEST:.0f}: not decisive"
SIGNS = {"exact": "", "lower": ">= ", "upper": "<= "}
LORE_KINDS = ("claimed", "threshold")


def lore(evidence: Evidence) -> list[Row]:
    """Claimed figures and thresholds of other software beside the model's interval."""
    return [_row(evidence, check) for check in checks(Calibration(evidence)) if check.kind in LORE_KINDS]


def measured(evidence: Evidence) -> list[Row]:
    """Published measurements that were not fitted, beside the model's interval."""
    kept = [c for c in checks(Calibration(evidence)) if c.kind not in LORE_KINDS and c.use != "fit"]
    return [_row(evidence, check) for check in kept if check.kind == "measured"]


def _row(evidence: Evidence, check: Check) -> Row:
    verdicts: dict[str, Verdict] = {"met": "pass", "cannot check": "not testable", "missed": "fail"}
    verdict, note = verdicts[check.verdict], check.note
    source = evidence.measurements[check.id]
    model = "no number"
    if check.low is not None:
        middle = math.sqrt(check.low * check.high) if check.low > 0 else check.high / 2
        model = f"model {interval(check.low, middle, check.high, check.unit)}"
    if verdict == "pass" and check.high > WIDEST * check.low:
        verdict, note = "not testable", TOO_WIDE if check.low > 0 else check.note
    reached = "the published figure lies in the model's interval"
    return Row(
        id=check.id,
        what=check.quantity,
        figure=f"{SIGNS[source.bound]}{quantity(check.published, check.unit)} published, {model}",
        target=reached if source.bound == "exact" else "the model's interval reaches the published bound",
        verdict=verdict,
        source=f"{source.source_author}, {source.source_date}: {source.source_title}",
        value=check.published,
        low=check.low,
        high=check.high,
        unit=check.unit,
        note=note,
        details={"kind": check.kind, "use": check.use},
    )
