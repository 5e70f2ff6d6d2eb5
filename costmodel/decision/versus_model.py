"""The result of a paired comparison: what `compare --json` prints and what its table shows.

Quantities are in SI units. `ratio` is new over base, formed draw by draw; an interval is a central 90 % interval.
"""

from __future__ import annotations

from typing import Literal

from costmodel.decision.model import Frozen, Interval, Needs, SourceRow

Verdict = Literal["lower", "higher", "equal", "undecided", "refused"]


class VersusRow(Frozen):
    """One quantity on both sides: `id` names it in frames, `quantity` is its title.

    `verdict`: lower or higher where the interval of the ratio lies on one side of 1, equal where both sides agree in
    every draw, undecided where the interval covers 1, refused where a side has no number (`refused` names the gap).
    `ratio` is null where the base is zero.
    """

    id: str
    quantity: str
    unit: str
    base: Interval | None
    new: Interval | None
    ratio: Interval | None
    verdict: Verdict
    refused: str | None


class VersusSide(Frozen):
    """What one side does at a trigger; `state` tells whether that is safe, `strategy` is null where nothing is known.
    `from_kernel` is the first later kernel that has what the strategy lacks, `needs` what it takes to have it here.
    """

    strategy: str | None
    state: Literal["admissible", "inadmissible", "undecided", "not catalogued"]
    placement: str
    note: str
    from_kernel: str | None = None
    needs: Needs = "nothing"


class VersusDecision(Frozen):
    """A decision of upstream (data/kvm/upstream_decisions.csv); `title` is its effect where no title was read."""

    number: int
    commits: list[str]
    title: str
    source: str


class VersusChange(Frozen):
    """A step between two catalogued kernel ranges: what is done from `kernel` on, where that was read, and all decisions
    behind it, oldest first; none where the list holds none.
    """

    kernel: str
    strategy: str
    placement: str
    decisions: list[VersusDecision]
    source: str


class VersusTrigger(Frozen):
    """One trigger: both sides, the steps between them (kernels only) and the quantities.

    `range_note` says so where the range that the costs are for is an assumption.
    """

    trigger: str
    title: str
    in_workload: bool
    base: VersusSide
    new: VersusSide
    changes: list[VersusChange]
    rows: list[VersusRow]
    extrapolated: bool
    range_note: str = ""


class Versus(Frozen):
    """Two kernels or two strategies side by side for one guest type on one machine under one workload."""

    schema_version: Literal["1"] = "1"
    costmodel_version: str
    kind: Literal["kernels", "strategies"]
    base: str
    new: str
    guest: str
    guest_title: str
    machine: str
    machine_title: str
    workload: str
    workload_title: str
    scenario: dict[str, float]
    command: str
    triggers: list[VersusTrigger]
    total: VersusRow
    draws: int
    extrapolated: bool
    warnings: list[str]
    priors: list[str]
    sources: list[SourceRow]
    data_hash: str
    asked_hash: str
