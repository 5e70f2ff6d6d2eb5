"""What was and is done about one trigger, row by row: the table of a mail or a commit message."""

from __future__ import annotations

from typing import Literal

from costmodel.decision.model import Frozen, Interval, Needs
from costmodel.decision.versus_model import VersusRow

State = Literal["admissible", "inadmissible", "undecided"]


class ModelRow(Frozen):
    """One alternative of the model. `where` is a kernel range or a list status; `change` compares the CPU time per
    event with the first row; a refused cost is null and `refused` names the gap. `asked`: no kernel row, the user wants
    it beside them; `note` says why it is not safe or not merged, `needs` what it takes to have it.
    """

    guest: str
    guest_title: str
    where: str
    strategy: str
    strategy_title: str
    instruction: str
    scope: str
    cpus: int
    pinned: bool
    asked: bool
    needs: Needs
    state: State
    note: str
    cpu_time_per_event_s: Interval | None
    host_cpus_lost: Interval | None
    latency_s: Interval | None
    change: VersusRow | None
    refused: str | None


class MeasuredValue(Frozen):
    """One measured quantity: median and central 90 % of `n` repetitions in `runs` runs on the host named."""

    what: str
    unit: str
    interval: Interval
    n: int
    runs: int


class MeasuredHost(Frozen):
    """A host profile and the values of it that concern a flush; `limits` is what the profile says it does not show."""

    id: str
    hardware: str
    microcode: str
    kernel: str
    measured_on: str
    values: list[MeasuredValue]
    limits: list[str]


class Upstreamed(Frozen):
    """A decision of upstream between two rows. `before` is what was done until then, empty for a new guest type.

    `change` says it as a verb phrase, to which the guest type and then `more` are added.
    """

    number: int
    version: str
    before: str
    after: str
    guest_title: str
    change: str
    more: str
    commit: str
    date: str


class Alternatives(Frozen):
    """The alternatives at one trigger of one machine under one workload, with limits and provenance.

    `range_note` says so where `range_bytes` is an assumption. `model_lines`: seconds per flushed line (present, absent) that the model has for this machine, where measured ones
    of another host stand in the table.
    """

    schema_version: Literal["1"] = "1"
    costmodel_version: str
    trigger: str
    trigger_title: str
    machine: str
    machine_title: str
    logical_cpus: int
    workload: str
    workload_title: str
    vcpus: int
    resident_bytes: float
    range_bytes: list[float]
    range_note: str
    command: str
    rows: list[ModelRow]
    measured: list[MeasuredHost]
    model_lines: dict[str, Interval]
    upstream: list[Upstreamed]
    draws: int
    extrapolated: bool
    rate_is: str
    priors: list[str]
    not_covered: list[str]
    sources: list[str]
    data_hash: str
    asked_hash: str
