"""One range flush beside one whole-cache flush: up to which length it takes less CPU time, and what one range of a
given length takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from costmodel.calibration.parameters import parameters_of
from costmodel.cost.breakeven import MOST_BYTES, cap_bytes
from costmodel.cost.draws import Case, Draws
from costmodel.cost.scenario import scenario
from costmodel.cost.total import event_of
from costmodel.decision.estimates import interval_of
from costmodel.decision.result import Interval
from costmodel.evidence.store import Evidence
from costmodel.kvm.admissibility import judge
from costmodel.kvm.catalog import STRATEGIES


@dataclass(frozen=True)
class RangeLimit:
    """`limit_bytes`: the longest range that `ranged` flushes for no more CPU time than `whole`, `beyond` where that is
    as long as any that was tried; the times are those of one range of `size_bytes` and of one `whole`.
    """

    ranged: str
    whole: str
    size_bytes: float
    limit_bytes: Interval
    beyond: bool
    ranged_s: Interval
    whole_s: Interval
    state: str
    why: str


def range_limit(
    evidence: Evidence,
    guest: str,
    machine: str,
    workload: str,
    trigger: str,
    ranged: str,
    whole: str,
    size_bytes: float,
    **numbers: Any,
) -> RangeLimit:
    """The comparison at `trigger`. Raises MissingNumber where a term is unknown."""
    asked = scenario(evidence, guest, machine, workload, "newest", **numbers)
    case = Case(trigger, asked, Draws(parameters_of(evidence, machine)))
    limits = cap_bytes(case, ranged, whole)
    priced, _, _ = event_of(case.where(range_bytes=size_bytes), STRATEGIES[ranged])
    against, _, _ = event_of(case, STRATEGIES[whole])
    verdict = judge(guest, trigger, ranged, asked.known(trigger))
    extrapolated = case.draws.extrapolated
    found = interval_of(limits, "B", extrapolated)
    return RangeLimit(
        ranged=ranged,
        whole=whole,
        size_bytes=size_bytes,
        limit_bytes=found,
        beyond=found.high >= MOST_BYTES,
        ranged_s=interval_of(priced.stolen_s, "s", extrapolated),
        whole_s=interval_of(against.stolen_s, "s", extrapolated),
        state=verdict.state,
        why=verdict.why,
    )
