"""Records of every answer, in SI units: the recommendation, the comparison of two sides, the alternatives by kernel."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from costmodel.evidence.hosts import Limit

# The result of a decision: what `recommend --json` prints and what a report shows.
#
# All quantities are in SI units with the unit in the name; an interval is a central 90 % prediction interval.

RATE_OF, COUNT_OF, SECONDS_OF = "rate_per_s ", "events ", "seconds "
"""Prefixes of the keys of `scenario` that hold a rate which the user set, or the count behind it; the trigger
follows.
"""
Basis = Literal["forced", "dominated", "cost"]
Needs = Literal["nothing", "upgrade", "patch", "unknown"]
"""What it takes to have a strategy at a trigger: this kernel does it, a newer one does, no catalogued one does; or what
this kernel does there is not catalogued.
"""


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Interval(Frozen):
    """Median and central 90 % interval of a quantity; `extrapolated` if any prior by rule went into it. `most` is the
    largest value that the quantity can have, where it has one: no rounding goes beyond it. `at_most`: it rests on the
    most that the kernel's tunables allow, so that it is a ceiling and no expectation.
    """

    low: float
    median: float
    high: float
    unit: str
    extrapolated: bool
    most: float | None = None
    at_most: bool = False


class Flip(Frozen):
    """Where the choice changes: `parameter` at `at` (SI `unit`); beyond it `winner` is cheapest."""

    parameter: str
    unit: str
    current: float
    at: float
    winner: str
    objective: str
    sentence: str


class CostRow(Frozen):
    """Cost of one strategy at one trigger. A quantity that is refused is null and `refused` names the gap.

    Not `fires`: the guest's setup rules the trigger out, `why` says how, and its rate is 0; what one event would take
    stands all the same. `least_rate_per_s` and `least_host_cpu_s_per_s` are the floors of what is a ceiling.
    `from_kernel` is the first later kernel range with what an inadmissible strategy lacks here; null where none has it.
    `needs` tells a strategy that this kernel does here from one that takes another kernel.
    """

    trigger: str
    strategy: str
    needs: Needs
    admissible: Literal["yes", "conditional", "no"]
    state: Literal["admissible", "inadmissible", "undecided"]
    reason: str
    source: str
    placement: str
    event_time_s: Interval | None
    event_p99_s: Interval | None
    stolen_cpu_s_per_event: Interval | None
    irq_off_s: Interval | None
    rate_per_s: Interval | None
    host_cpu_s_per_s: Interval | None
    standstill_fraction: Interval | None
    guest_stall_fraction: Interval | None
    in_progress_fraction: Interval | None
    saturation_rate_per_s: Interval | None
    refused: str | None
    extrapolated: bool
    fires: bool
    why: str
    least_rate_per_s: Interval | None
    least_host_cpu_s_per_s: Interval | None
    from_kernel: str | None = None


class Regret(Frozen):
    """What the strategy costs more than the cheapest usable one, in CPU-seconds per event: expected over the draws, and
    at the worst corner of the prior.
    """

    expected_cpu_s_per_event: float
    worst_cpu_s_per_event: float | None
    worst_corner: str


class ContentionRow(Frozen):
    """What waits if the hook of a strategy runs at a placement. Only what the flush adds is counted; a wait without a
    bound is null and `note` says how often. `here` marks what the kernel does. `faults_that_retry_fraction` counts
    faults that meet a window which covers their gfn, `retry_mean_s` is how long such a fault goes round: over the time
    of one guest entry and exit, which no source gives, it is the number of retries.
    """

    trigger: str
    strategy: str
    state: Literal["admissible", "inadmissible", "undecided"]
    placement: str
    placement_title: str
    placement_admissible: bool
    here: bool
    verdict: str
    lock_busy_fraction: Interval | None
    in_progress_fraction: Interval | None
    standstill_fraction: Interval | None
    fault_wait_mean_s: Interval | None
    fault_wait_p99_s: Interval | None
    faults_that_retry_fraction: Interval | None
    retry_mean_s: Interval | None
    memslot_wait_mean_s: Interval | None
    saturation_rate_per_s: Interval | None
    note: str
    without_bound: float = Field(default=0.0, exclude=True)
    """Share of the draws in which a wait has no bound."""


class LimitReach(Frozen):
    """A lock-up detector, how many flushes in line trip it, and the share of the draws in which the host has as many
    CPUs that can each wait for one.
    """

    id: str
    limit: str
    limit_s: float
    initiators: Interval
    reach_fraction: float


class BillRow(Frozen):
    """Who pays for one event of a strategy, and what one tenant can force.

    `neighbour_fraction`: share of time that a CPU of another guest stands still or refills, if it is among those that
    flush (a lower bound). `forced_cpus`: what one attacking thread takes at most, where the VMM makes the event at
    will. `vms_at_one_percent` and `_ten_percent`: VMs that lose that share of the host. `late_answer_s`: mean delay of
    the CPUs' answers at which waiting for the slowest takes as long as the flush; no source gives that delay.
    """

    trigger: str
    strategy: str
    state: Literal["admissible", "inadmissible", "undecided"]
    own_s: Interval
    others_s: Interval
    others_fraction: float
    neighbour_fraction: Interval | None
    forced_cpus: Interval | None
    vms_at_one_percent: Interval | None
    vms_at_ten_percent: Interval | None
    late_answer_s: Interval | None
    limits: list[LimitReach]


class HybridRow(Frozen):
    """HYBRID(cap): a range flush up to a cap, a whole-cache flush beyond; `cap_bytes` is where both take the same CPU
    time, `latency_cap_bytes` where one event takes as long, found draw by draw.
    """

    trigger: str
    ranged: str
    whole: str
    state: Literal["admissible", "inadmissible", "undecided"]
    cap_bytes: Interval
    latency_cap_bytes: Interval
    note: str


class MaskRow(Frozen):
    """A flush on the CPUs that ran the guest, by how these lie and how many they have become. Not `admissible`: a mask
    that forgets CPUs, which the list tried and dropped.
    """

    trigger: str
    strategy: str
    label: str
    cpus: float
    domains: float
    event_time_s: Interval
    stolen_cpu_s_per_event: Interval
    admissible: bool
    note: str


class VariantRow(Frozen):
    """A proposal around the flush: `quantity` as the kernel is (`kernel`, null where it has none) and with the
    proposal (`variant`).
    """

    id: str
    trigger: str
    strategy: str
    title: str
    quantity: str
    kernel: Interval | None
    variant: Interval
    admissible: bool
    note: str
    source: str


class StormRow(Frozen):
    """Releasing or converting all memory of the guest, or the `events` of one boot, one after another. Refused
    quantities are null and `refused` names the gap.
    """

    trigger: str
    trigger_title: str
    strategy: str
    resident_bytes: float
    events: float
    duration_s: Interval | None
    stolen_cpu_s: Interval | None
    irq_off_s: Interval | None
    refused: str | None


class TogetherRow(Frozen):
    """What `vms` guests of one type (`all`: of every type that was asked for) take of one host that they share, while
    the others run there too.
    """

    guest: str
    vms: int
    host_cpu_s_per_s: Interval
    least_host_cpu_s_per_s: Interval | None


class PolicyEntry(Frozen):
    """What to run at one trigger, on the kernel in question, and why.

    `cheapest` is the strategy with the lowest median CPU time where cost is the basis: another than `strategy` where
    the kernel offers it elsewhere but does not run it at this trigger. Not `fires`: the guest's setup rules the trigger
    out, as `why` says.
    """

    trigger: str
    trigger_title: str
    strategy: str | None
    strategy_title: str
    basis: Basis | None
    placement: str
    running: bool
    p_best: float | None
    p_best_note: str
    cheapest: str | None
    p_best_of_cheapest: float | None
    regret: Regret | None
    flips: list[Flip]
    reason: str
    source: str
    extrapolated: bool
    gap: str | None
    fires: bool
    why: str

    @property
    def undecided(self) -> bool:
        """Whether costs were compared and another strategy is cheapest without one source of data: no P(best) is
        given.
        """
        return self.regret is not None and self.p_best is None


class Advice(Frozen):
    """One DO NOW or WORTH PATCHING item. `saves_cpu_s_per_s` is what it takes off the host's loss, `left_cpu_s_per_s`
    what the triggers with a rate still take after a remedy.
    """

    id: str
    kind: Literal["kernel", "remedy", "patch", "upgrade", "guest"]
    title: str
    triggers: list[str]
    saves_cpu_s_per_s: Interval | None
    left_cpu_s_per_s: Interval | None = None
    saves_fraction: float | None
    caveat: str
    status: str
    source: str


class Sensitivity(Frozen):
    """First-order Sobol index of a parameter for the headline cost, and its elasticity."""

    parameter: str
    description: str
    sobol_first: float
    sobol_total: float
    elasticity: float
    prior: str


class Objective(Frozen):
    """The winner for one named objective at the costliest flush."""

    name: str
    unit: str
    winner: str
    value: Interval | None
    runner_up: str | None
    note: str


class RivalPrior(Frozen):
    """Cost of the headline's whole-cache flush if `prior` were certain: the host CPUs lost, or where the trigger has no
    rate the CPU time of one event.
    """

    prior: str
    host_cpu_s_per_s: Interval | None
    stolen_cpu_s_per_event: Interval | None


class Corner(Frozen):
    """The cheapest strategy at one corner of the stated prior."""

    corner: str
    winner: str
    regret_cpu_s_per_event: float


class UpstreamRow(Frozen):
    """What a kernel range does at a trigger, beside what the model recommends."""

    trigger: str
    kernel: str
    strategy: str
    locator: str
    agrees: Literal["yes", "no", "n/a"]
    why: str


class MeasuredRow(Frozen):
    """One line of what was measured on the host itself."""

    what: str
    value: str
    detail: str


class SourceRow(Frozen):
    """Provenance of one number used."""

    id: str
    quantity: str
    value: str
    unit: str
    kind: str
    use: str
    title: str
    author: str
    date: str
    locator: str


class Recommendation(Frozen):
    """The answer for one guest type on one machine under one workload and kernel: `kernel` is the catalogued range,
    `kernel_version` the version that was asked for, or the range again. `all_events_at` is the trigger at which every
    event at the hook that was counted stands, whatever caused it; null where no such count was given.
    """

    schema_version: Literal["2"] = "2"
    costmodel_version: str
    guest: str
    guest_title: str
    machine: str
    machine_title: str
    workload: str
    workload_title: str
    kernel: str
    kernel_version: str
    scenario: dict[str, float | bool | str]
    command: str
    applicable: bool
    not_applicable_reason: str | None
    headline: str
    headline_trigger: str | None
    headline_strategy: str | None
    all_events_at: str | None
    costliest_trigger: str | None
    costliest_strategy: str | None
    headline_cost: str
    measure_rate: str
    confidence: str
    size_confidence: str
    rival_priors: list[RivalPrior]
    policy: list[PolicyEntry]
    do_now: list[Advice]
    worth_patching: list[Advice]
    saturation: list[str] = []
    remedies: list[Advice]
    costs: list[CostRow]
    contention: list[ContentionRow]
    bills: list[BillRow]
    abuse: list[BillRow]
    hybrids: list[HybridRow]
    masks: list[MaskRow]
    variants: list[VariantRow]
    storms: list[StormRow]
    together: list[TogetherRow] = []
    objectives: list[Objective]
    corners: list[Corner]
    sensitivities: list[Sensitivity]
    measure_next: list[str]
    assumptions: list[str]
    warnings: list[str]
    gaps: list[str]
    extrapolated: bool
    upstream: list[UpstreamRow]
    measured: list[MeasuredRow]
    sources: list[SourceRow]
    data_hash: str
    asked_hash: str

    def costs_at(self, trigger: str | None) -> list[CostRow]:
        """Rows of one trigger, none for None."""
        return [row for row in self.costs if row.trigger == trigger]


# The result of a paired comparison: what `compare --json` prints and what its table shows.
#
# Quantities are in SI units. `ratio` is new over base, formed draw by draw; an interval is a central 90 % interval.

SideState = Literal["admissible", "inadmissible", "undecided", "not catalogued"]
Kind = Literal["kernels", "strategies"]
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
    state: SideState
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
    """A step between two catalogued kernel ranges: what is done from `kernel` on, where that was read, and all
    decisions behind it, oldest first; none where the list holds none.
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
    kind: Kind
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


# What was and is done about one trigger, row by row: the table of a mail or a commit message.

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
    limits: list[Annotated[Limit, PlainSerializer(lambda one: one.text, return_type=str)]]


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

    `range_note` says so where `range_bytes` is an assumption. `model_lines`: seconds per flushed line (present, absent)
    that the model has for this machine, where measured ones of another host stand in the table.
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
