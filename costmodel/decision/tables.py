"""What is found beside the choice: costs, the mask of CPUs, storms, several guests, upstream's choice, rival priors, the
best by other goals, a range flush beside a whole-cache flush. `costmodel.report.tables` has the words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy

from costmodel.calibration.parameters import parameters_of
from costmodel.cost.breakeven import MOST_BYTES, cap_bytes
from costmodel.cost.draws import Case, Draws
from costmodel.cost.scenario import Scenario, scenario
from costmodel.cost.total import Total, event_of, event_rate, is_ceiling, least_rate, total
from costmodel.cost.waits import Part, losses
from costmodel.decision.choice import Candidate, Study, from_kernel, needs
from costmodel.decision.estimates import interval_of
from costmodel.decision.result import CostRow, Interval, StormRow, TogetherRow
from costmodel.decision.waits import compared
from costmodel.errors import BadInput, stated
from costmodel.evidence.store import Evidence
from costmodel.formulas.compiled import value
from costmodel.kvm import kernels
from costmodel.kvm.admissibility import judge
from costmodel.kvm.catalog import STRATEGIES, triggers_of
from costmodel.kvm.kernels import placement_for

# Cost rows: one per strategy that is not ruled out at a trigger, and one for each that the thread argued about.


def cost_rows(study: Study) -> list[CostRow]:
    """Rows of one trigger, cheapest event first, refused totals last."""
    shown = [c for c in study.candidates if c.verdict.label != "no"]
    rows = [_cost_row(study, candidate) for candidate in shown]
    return sorted(
        rows,
        key=lambda r: (
            r.refused is not None,
            r.stolen_cpu_s_per_event.median if r.stolen_cpu_s_per_event else 0.0,
            r.strategy,
        ),
    )


def _cost_row(study: Study, candidate: Candidate) -> CostRow:
    cost = study.cost(candidate.strategy)
    marked, ceiling = cost.extrapolated, cost.at_most
    event = cost.event
    closed = cost.closed or STRATEGIES[candidate.strategy].instruction == "none"
    cpus = study.scenario.machine.logical_cpus
    return CostRow(
        trigger=study.trigger.id,
        strategy=candidate.strategy,
        needs=needs(study.scenario, study.trigger.id, candidate.strategy),
        admissible=candidate.verdict.label,
        state=candidate.verdict.state,
        from_kernel=from_kernel(study.scenario, study.trigger.id, candidate),
        reason=candidate.verdict.reason,
        source=candidate.verdict.source,
        placement=placement_for(study.scenario.guest, study.trigger.id, study.scenario.kernel),
        event_time_s=interval_of(event.time_s if event else None, "s", marked),
        event_p99_s=interval_of(cost.p99_s, "s", marked),
        stolen_cpu_s_per_event=interval_of(event.stolen_s if event else None, "s", marked),
        irq_off_s=interval_of(event.irq_off_s if event else None, "s", marked),
        rate_per_s=interval_of(cost.rate_per_s, "1/s", marked, at_most=ceiling),
        host_cpu_s_per_s=interval_of(cost.host_cpu_s_per_s, "1", marked, cpus, ceiling),
        standstill_fraction=interval_of(
            None if cost.host_cpu_s_per_s is None else cost.host_cpu_s_per_s / cpus, "1", marked, at_most=ceiling
        ),
        guest_stall_fraction=interval_of(cost.guest_stall_fraction, "1", marked, at_most=ceiling),
        in_progress_fraction=interval_of(cost.in_progress_fraction, "1", marked, at_most=ceiling),
        saturation_rate_per_s=None if closed else interval_of(cost.saturation_rate_per_s, "1/s", marked),
        refused=cost.refused,
        extrapolated=marked,
        fires=not cost.never,
        why=cost.never,
        least_rate_per_s=interval_of(cost.least_per_s, "1/s", marked),
        least_host_cpu_s_per_s=interval_of(cost.least_host_cpu_s_per_s, "1", marked, cpus),
    )


SEVERAL_FLUSHES = 10.0
"""An event that takes this many times as long as one flush is several."""


def is_repeated(row: CostRow) -> bool:
    """Whether an event takes a whole-cache flush many times over, as for each page that is freed: nobody would do that,
    and its sum stands beside nothing that it can be compared with.
    """
    event, once = row.event_time_s, row.irq_off_s if STRATEGIES[row.strategy].whole_cache else None
    return once is not None and event is not None and event.median >= SEVERAL_FLUSHES * once.median


# The mask of CPUs that ran the guest: what pinning, spreading and time make of it, and what a flush then costs.

LEFT_OUT = (0.5, 0.1, 0.01)
"""Shares of the CPUs that an unpinned guest has not run on yet."""
PER_FLUSH = (1.0, 100.0)
"""Migrations per flush for the mask that is cleared at each flush: an axis, nobody published a rate."""


@dataclass(frozen=True)
class Mask:
    """A masked flush with the CPUs that ran the guest: pinned vCPUs `packed` into few cache domains or `spread` over
    all, an `unpinned` guest that has not run on a share `untouched` after `migrations`, or a mask that is `cleared` at each
    flush with `migrations` between two. Called as in MaskRow.
    """

    kind: Literal["packed", "spread", "unpinned", "cleared"]
    trigger: str
    strategy: str
    untouched: float
    migrations: float
    cpus: float
    domains: float
    event_time_s: Interval
    stolen_cpu_s_per_event: Interval


def masks(study: Study) -> list[Mask]:
    """From the pinned guest to all CPUs; none where no masked flush is safe and has a number at the trigger."""
    masked = [c for c in compared(study) if STRATEGIES[c.strategy].scope == "mask" and c.safe]
    if not masked:
        return []
    chosen = next((c for c in masked if c.running), masked[-1])
    case, cpus = study.scenario, float(study.scenario.machine.logical_cpus)
    vcpus = min(float(case.vcpus), cpus)
    found = [_mask(study, chosen, "packed", vcpus), _mask(study, chosen, "spread", vcpus)]
    for share in LEFT_OUT:
        if vcpus < cpus * (1 - share):
            moves = float(value("migrations_to_share", allowed_cpus=cpus, vcpus=vcpus, untouched_fraction=share))
            found.append(_mask(study, chosen, "unpinned", cpus * (1 - share), share, moves))
    found.append(_mask(study, chosen, "unpinned", cpus))
    for moves in PER_FLUSH:
        between = float(
            value("mask_between_flushes", allowed_cpus=cpus, vcpus=vcpus, rate_per_s=1.0, migration_rate_per_s=moves)
        )
        found.append(_mask(study, chosen, "cleared", between, migrations=moves))
    return found


def _mask(
    study: Study,
    candidate: Candidate,
    kind: Literal["packed", "spread", "unpinned", "cleared"],
    cpus: float,
    untouched: float = 0.0,
    migrations: float = 0.0,
) -> Mask:
    """A mask with `cpus` CPUs: packed into few cache domains, dealt out, or at random places."""
    case = replace(study.scenario, cpus_that_ran=cpus, packed=kind == "packed")
    cost = total(Case(study.trigger.id, case, study.draws), candidate.strategy)
    return Mask(
        kind=kind,
        trigger=study.trigger.id,
        strategy=candidate.strategy,
        untouched=untouched,
        migrations=migrations,
        cpus=cpus,
        domains=_domains(case, cpus, uniform=kind in ("unpinned", "cleared")),
        event_time_s=interval_of(cost.priced.time_s, "s", cost.extrapolated),
        stolen_cpu_s_per_event=interval_of(cost.priced.stolen_s, "s", cost.extrapolated),
    )


def _domains(case: Scenario, cpus: float, *, uniform: bool) -> float:
    """Cache domains that the CPUs touch: at random places, packed, or dealt out."""
    machine = case.machine
    domains = machine.domains_per_socket * machine.sockets
    if uniform:
        per_domain = float(machine.cpus_per_domain)
        return float(value("domains_touched", domains=domains, cpus_per_domain=per_domain, mask_cpus=cpus))
    return float(numpy.ceil(cpus / machine.cpus_per_domain)) if case.packed else min(cpus, float(domains))


# Teardown, boot and conversion storms: what releasing the whole guest takes, or all events of one boot.

KEY_RELEASES = ("asid", "hkid")
"""Paths on which the guest's key goes, and with it all of its memory."""


def storm_rows(studies: Sequence[Study]) -> list[StormRow]:
    """One row per trigger that releases or converts all memory of the guest, or that the workload pulls a given number
    of times, under what this kernel does there.
    """
    return [row for study in studies if _possible(study) for row in _storm_rows(study)]


def _possible(study: Study) -> bool:
    return study.chosen is not None and study.chosen.flushes and study.firing.fires


def _storm_rows(study: Study) -> list[StormRow]:
    own, shape = study.scenario.workload.load(study.trigger.id), study.scenario.shape(study.trigger.id)
    if own is not None and own.loop == "once" and own.events_per_cycle is not None:
        return [_storm_row(study, own.events_per_cycle.si, None)]
    releases = study.trigger.page_may_leave_vm or study.trigger.path in KEY_RELEASES
    whole = releases and shape is not None and shape.loop == "once" and shape.whole_vm
    if study.trigger.path == "conversion" or whole:
        return [_storm_row(study, 1.0, study.scenario.resident_bytes)]
    return []


def _storm_row(study: Study, events: float, range_bytes: float | None) -> StormRow:
    """`events` events one after another, each over `range_bytes` (None: the trigger's own range)."""
    case = replace(study.scenario, range_bytes=range_bytes)
    cost = total(Case(study.trigger.id, case, study.draws), study.picked.strategy)
    event = cost.event
    return StormRow(
        trigger=study.trigger.id,
        trigger_title=study.trigger.title,
        strategy=study.picked.strategy,
        resident_bytes=study.scenario.resident_bytes,
        events=events,
        duration_s=interval_of(events * event.time_s if event else None, "s", cost.extrapolated),
        stolen_cpu_s=interval_of(events * event.stolen_s if event else None, "s", cost.extrapolated),
        irq_off_s=interval_of(event.irq_off_s if event else None, "s", cost.extrapolated),
        refused=cost.refused,
    )


# Several guests on one host: what each type takes of its CPUs, and all together.

ALL_GUESTS = "all"
MOST_VMS = 2**16
"""More guests than a host has ever run: a slip of the pen."""


def check_vms(vms: Mapping[str, int]) -> None:
    """Raise BadInput for a number of guests that cannot be."""
    for guest, count in vms.items():
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_VMS:
            raise BadInput(
                f"{guest}: {count!r} is no whole number from 1 to {MOST_VMS}",
                field="vms",
                remedy="give the number of guests of each type",
            )


def together_rows(cases: Mapping[str, Scenario], vms: Mapping[str, int], draws: Draws) -> list[TogetherRow]:
    """A row for each guest type and one for all: every trigger of the workload under what the kernel does there."""
    parts = [part for guest, count in vms.items() for part in _together_parts(cases[guest], count, draws)]
    most, ceiling = losses(parts, draws, event_rate), any(is_ceiling(p.scenario, p.trigger) for p in parts)
    least = losses(parts, draws, least_rate) if ceiling else []
    rows = [_together_row(guest, count, parts, most, least, draws) for guest, count in vms.items()]
    return [*rows, _together_row(ALL_GUESTS, sum(vms.values()), parts, most, least, draws)] if len(vms) > 1 else rows


def _together_parts(case: Scenario, count: int, draws: Draws) -> list[Part]:
    found = []
    for trigger in triggers_of(case.guest):
        study = Study(trigger, case, draws)
        if (
            case.pulls(trigger.id)
            and study.chosen
            and study.chosen.flushes
            and not study.cost(study.chosen.strategy).refused
        ):
            found.append(Part(count, case, trigger.id, study.chosen.strategy))
    return found


def _together_row(
    guest: str,
    count: int,
    parts: Sequence[Part],
    most: Sequence[numpy.ndarray],
    least: Sequence[numpy.ndarray],
    draws: Draws,
) -> TogetherRow:
    own = [at for at, part in enumerate(parts) if guest in (ALL_GUESTS, part.scenario.guest)]
    cpus = parts[0].scenario.machine.logical_cpus if parts else None
    ceiling = any(is_ceiling(parts[at].scenario, parts[at].trigger) for at in own)

    def shown(values: Sequence[numpy.ndarray], at_most: bool) -> Interval:
        taken = sum((values[at] for at in own), start=numpy.zeros(draws.n))
        return interval_of(taken, "1", draws.extrapolated, cpus, at_most)

    return TogetherRow(
        guest=guest,
        vms=count,
        host_cpu_s_per_s=shown(most, ceiling),
        least_host_cpu_s_per_s=shown(least, False) if ceiling else None,
    )


# What each kernel range does at each trigger, beside what the model would choose.


@dataclass(frozen=True)
class Upstream:
    """What a kernel range does at a trigger: `unsafe`, `same` as the strategy that the model recommends, `other`, or
    `unknown` where it recommends none.
    """

    study: Study
    kernel: str
    strategies: tuple[str, ...]
    locator: str
    agreement: Literal["unsafe", "same", "other", "unknown"]


def upstream(studies: Sequence[Study]) -> list[Upstream]:
    """One for each trigger and catalogued kernel range that does something there."""
    found = []
    for study in studies:
        for kernel in kernels.KERNELS:
            done = kernels.upstream(study.scenario.guest, study.trigger.id, kernel)
            if done is not None and done.strategies:
                agreement = _agreement(study, kernel, done.strategies)
                found.append(Upstream(study, kernel, tuple(done.strategies), done.locator, agreement))
    return found


def _agreement(study: Study, kernel: str, strategies: Sequence[str]) -> Literal["unsafe", "same", "other", "unknown"]:
    case = study.scenario
    facts = case.on(kernel).known(study.trigger.id)
    states = [judge(case.guest, study.trigger.id, name, facts).state for name in strategies]
    if "admissible" not in states and "inadmissible" in states:
        return "unsafe"
    if study.chosen is None:
        return "unknown"
    return "same" if study.chosen.strategy in strategies else "other"


# What a whole-cache flush costs under rival priors: nobody has timed one on an EPYC, so the headline shows them too.

Prior = Literal["cores_walk_valid", "servers_only", "one_after_another", "dirty_only"]
PRIORS: dict[Prior, dict[str, float | str]] = {
    "cores_walk_valid": {"valid_exponent": 1.0},
    "servers_only": {"line_empty_s": "line_empty_servers_s", "line_valid_s": "line_valid_servers_s"},
    "one_after_another": {"serial_exponent": 1.0},
    "dirty_only": {"line_empty_s": 0.0, "line_valid_s": 0.0},
}
"""What each prior takes for certain: a number, or another parameter; all the rest keep their distributions."""


@dataclass(frozen=True)
class Rival:
    """Host CPUs that are lost if a prior were certain, or where the trigger has no rate the CPU time of one event."""

    prior: Prior
    host_cpu_s_per_s: Interval | None
    stolen_cpu_s_per_event: Interval | None


def rivals(study: Study | None) -> list[Rival]:
    """One for each prior, of the chosen flush at the study's trigger; none where it flushes no whole cache."""
    if study is None or study.chosen is None or not STRATEGIES[study.chosen.strategy].whole_cache:
        return []
    stated = study.cost(study.chosen.strategy)
    if stated.refused or stated.never:
        return []
    return [
        _rival(prior, study, {name: _prior_values(study, instead) for name, instead in taken.items()})
        for prior, taken in PRIORS.items()
        if all(isinstance(instead, float) or instead in study.parameters.parameters for instead in taken.values())
    ]


def _prior_values(study: Study, instead: float | str) -> numpy.ndarray:
    return study.draws[instead] if isinstance(instead, str) else numpy.full(study.draws.n, instead)


def _rival(prior: Prior, study: Study, taken: dict[str, numpy.ndarray]) -> Rival:
    found = total(Case(study.trigger.id, study.scenario, study.draws.with_values(**taken)), study.picked.strategy)
    per_event = found.host_cpu_s_per_s is None
    return Rival(
        prior=prior,
        host_cpu_s_per_s=interval_of(
            found.host_cpu_s_per_s, "1", found.extrapolated, found.logical_cpus, found.at_most
        ),
        stolen_cpu_s_per_event=interval_of(found.priced.stolen_s if per_event else None, "s", found.extrapolated),
    )


# Winners for the three named objectives at a trigger, and the weight at which host time gives way to latency.

Goal = Literal["cpu_time", "event_p99", "guest_time"]
GOALS: dict[Goal, Callable[[Total], numpy.ndarray]] = {
    "cpu_time": lambda cost: cost.priced.stolen_s,
    "event_p99": lambda cost: stated(cost.p99_s, cost.refused or "latency"),
    "guest_time": lambda cost: cost.priced.guest_s,
}


@dataclass(frozen=True)
class Best:
    """The winner by one goal, in seconds. `worth`: CPU-seconds that a second of latency must be worth before the winner
    by latency wins overall, None where that is the same or not to be had.
    """

    goal: Goal
    winner: str
    value: Interval
    runner_up: str | None
    rival: str = ""
    worth: float | None = None


def best(study: Study) -> list[Best]:
    """Winner by each goal among the usable strategies that have a number."""
    names = [c.strategy for c in study.usable if study.cost(c.strategy).refused is None]
    found = []
    for goal, measure in GOALS.items():
        if ranked := _ranked(study, names, measure):
            winner = study.cost(ranked[0])
            seconds = interval_of(measure(winner), "s", winner.extrapolated)
            found.append(Best(goal, ranked[0], seconds, ranked[1] if len(ranked) > 1 else None))
    return [_with_worth(study, found[0], found[1]), *found[1:]] if len(found) > 1 else found


def _ranked(study: Study, names: list[str], measure: Callable[[Total], numpy.ndarray]) -> list[str]:
    """Cheapest first; of equals (to 12 digits) the chosen strategy, then the order of the catalogue."""
    own = study.chosen.strategy if study.chosen else None

    def key(name: str) -> tuple[float, bool, int]:
        return float(f"{numpy.median(measure(study.cost(name))):.12g}"), name != own, names.index(name)

    return sorted(names, key=key)


def _with_worth(study: Study, cpu: Best, latency: Best) -> Best:
    """How dear a second of latency must be before the latency winner wins overall."""
    if cpu.winner == latency.winner:
        return cpu

    def middle(strategy: str, goal: Goal) -> float:
        return float(numpy.median(GOALS[goal](study.cost(strategy))))

    more_cpu = middle(latency.winner, cpu.goal) - middle(cpu.winner, cpu.goal)
    less_wait = middle(cpu.winner, latency.goal) - middle(latency.winner, latency.goal)
    if less_wait <= 0:
        return cpu
    return replace(cpu, rival=latency.winner, worth=more_cpu / less_wait)


# One range flush beside one whole-cache flush: up to which length it takes less CPU time, and what one range takes.


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
