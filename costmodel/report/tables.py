"""Rows of a recommendation in words: the policy, the mask of CPUs, what upstream does, rival priors, winners by other
objectives, what was proposed, and the rows of data/ behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from costmodel.calibration.parameters import ParameterSet
from costmodel.cost.scenario import Scenario
from costmodel.decision.choice import Study, Turn, dominates
from costmodel.decision.proposals import DEFERRED_S, Variant, variants
from costmodel.decision.result import (
    Flip,
    MaskRow,
    Objective,
    PolicyEntry,
    RivalPrior,
    SourceRow,
    UpstreamRow,
    VariantRow,
)
from costmodel.decision.tables import Best, Goal, Mask, Prior, Upstream, best, masks, rivals, upstream
from costmodel.evidence.hosts import FOLDER
from costmodel.evidence.records import RENDEZVOUS as LOGS
from costmodel.evidence.store import Evidence
from costmodel.kvm.kernels import placement_for
from costmodel.numbers import quantity, significant
from costmodel.report.names import AXIS_NAMES, title_on

DROPPED = "tried on the KVM list and dropped: clearing the mask loses a flush unless flushes are serialised"


def mask_rows(study: Study) -> list[MaskRow]:
    """Rows from the pinned guest to all CPUs; empty where no masked flush is safe and has a number at the trigger."""
    return [_mask_row(found) for found in masks(study)]


def _mask_row(found: Mask) -> MaskRow:
    label, note = _mask_words(found)
    return MaskRow(
        trigger=found.trigger,
        strategy=found.strategy,
        label=label,
        cpus=found.cpus,
        domains=found.domains,
        event_time_s=found.event_time_s,
        stolen_cpu_s_per_event=found.stolen_cpu_s_per_event,
        admissible=found.kind != "cleared",
        note=note,
    )


def _mask_words(found: Mask) -> tuple[str, str]:
    """What a mask is called, and what is to be said of it."""
    moves = found.migrations
    if found.kind == "packed":
        return "pinned, packed", "vCPUs fill one cache domain after the other"
    if found.kind == "spread":
        return "pinned, spread", "vCPUs dealt out over all cache domains"
    if found.kind == "cleared":
        return f"cleared at each flush, {moves:g} migration{'' if moves == 1 else 's'} per flush", DROPPED
    if found.untouched == 0:
        return "unpinned, all CPUs", "no better than a flush on all CPUs"
    note = f"after {significant(moves)} migrations: {quantity(moves, 's')} at one per second"
    return f"unpinned, {100 * (1 - found.untouched):g} % of the CPUs", note


def upstream_rows(studies: Sequence[Study]) -> list[UpstreamRow]:
    """One row per trigger and catalogued kernel range; `agrees` compares with the recommended strategy."""
    return [_upstream_row(found) for found in upstream(studies)]


def _upstream_row(found: Upstream) -> UpstreamRow:
    chosen = found.study.chosen
    why = {
        "unsafe": "can lose a flush",
        "unknown": "no safe strategy is known of the kernel asked for",
        "same": "same strategy",
        "other": f"model: {chosen.strategy} ({found.study.basis})" if chosen else "",
    }
    return UpstreamRow(
        trigger=found.study.trigger.id,
        kernel=found.kernel,
        strategy="|".join(found.strategies),
        locator=found.locator,
        agrees="yes" if found.agreement == "same" else "n/a" if found.agreement == "unknown" else "no",
        why=why[found.agreement],
    )


PRIORS: dict[Prior, str] = {
    "cores_walk_valid": "each core of a cache domain walks its valid lines",
    "servers_only": "only the logs of EPYC tell, not those of desktops",
    "one_after_another": "cores of a cache domain flush one after another",
    "dirty_only": "only the write-back of dirty lines takes time",
}


def rival_rows(study: Study | None) -> list[RivalPrior]:
    """What the chosen flush costs under each rival prior."""
    return [
        RivalPrior(
            prior=PRIORS[found.prior],
            host_cpu_s_per_s=found.host_cpu_s_per_s,
            stolen_cpu_s_per_event=found.stolen_cpu_s_per_event,
        )
        for found in rivals(study)
    ]


OBJECTIVES: dict[Goal, str] = {
    "cpu_time": "host CPU-seconds per event",
    "event_p99": "99th percentile event latency",
    "guest_time": "guest time per event",
}


def objectives(study: Study) -> list[Objective]:
    """Winner by each objective among the usable strategies that have a number."""
    return [
        Objective(
            name=OBJECTIVES[found.goal],
            unit="s",
            winner=found.winner,
            value=found.value,
            runner_up=found.runner_up,
            note=_note(found),
        )
        for found in best(study)
    ]


def _note(found: Best) -> str:
    if found.worth is not None:
        worth = significant(found.worth)
        return f"{found.rival} wins overall once 1 s of latency is worth more than {worth} CPU-s"
    floor = "lower bound: the refill after an eviction is only known as a floor"
    return floor if found.goal == "guest_time" else ""


# What was proposed around the flush: what each is, in which quantity, and what is to be said of it.


class ProposalWords(NamedTuple):
    """How a proposal is told; `quantity` and `note` may hold numbers of it."""

    title: str
    quantity: Callable[[Variant], str]
    note: Callable[[Variant], str]
    source: str


def variant_rows(study: Study, evidence: Evidence) -> list[VariantRow]:
    """Rows of one notifier trigger; those that need a rate are left out where nobody published one."""
    return [_variant_row(found) for found in variants(study, evidence)]


def _variant_row(found: Variant) -> VariantRow:
    words = PROPOSALS[found.id]
    return VariantRow(
        id=found.id,
        trigger=found.study.trigger.id,
        strategy=found.strategy,
        title=words.title,
        quantity=words.quantity(found),
        kernel=found.kernel,
        variant=found.variant,
        admissible=found.admissible,
        note=words.note(found),
        source=words.source,
    )


def _host_cpus(found: Variant) -> str:
    return "host CPUs lost"


def _shared(found: Variant) -> str:
    if found.shared is None:
        return "one thread that waits for its own flush never has company; not in the kernel"
    return f"{quantity(found.shared, '1')} events share a flush; not in the kernel"


def _exposed(found: Variant) -> str:
    if not found.study.trigger.page_may_leave_vm:
        return "this trigger releases no page, but the hook is the same for those that do"
    return f"about {quantity(found.exposed_bytes, 'B')} of guest memory could be in use again before its flush"


def _met(found: Variant) -> str:
    return f"{found.share:.0%} of the measured events met a memslot ({found.where}); both kernels of the thread test for it"


PROPOSALS = {
    "coalesced": ProposalWords(
        "concurrent initiators of one VM share a flush",
        _host_cpus,
        _shared,
        "coalesced_batch; no kernel coalesces: each initiator sends its own round (smp.c)",
    ),
    "deferred": ProposalWords(
        f"flushes collected for {quantity(DEFERRED_S, 's')}",
        _host_cpus,
        _exposed,
        "deferred_rate; flush_done_before_invalidate_range_end",
    ),
    "imprecise": ProposalWords(
        "a hook that flushes whether or not a memslot overlapped",
        _host_cpus,
        _met,
        "precise_events; kvm_main.c: `if (locked)` up to v6.7, found_memslot from v6.8",
    ),
    "spte-zaps": ProposalWords(
        "PFNs from SPTEs: every leaf that KVM zaps itself needs a flush, too",
        lambda found: f"KVM's own zaps per notifier event that cost as much as {found.against}",
        lambda found: "rejected on the list; nobody published a rate of KVM's own zaps",
        "spte_events; thread of 2023-08-18",
    ),
    "user-va-missed": ProposalWords(
        "flush through the user address: its mapping may be gone when the flush runs",
        lambda found: "missed flushes per hour",
        lambda found: "a second trigger of the same rate, ranges at uniform places; any number above 0 is inadmissible",
        "missed_flushes; mmu_notifier_invalidate_range_start() calls are not serialised",
    ),
}


# The policy: what to run at each trigger.

NOT_CATALOGUED = "what this kernel does here is not catalogued"


def policy_entry(study: Study) -> PolicyEntry:
    """The policy entry of a trigger."""
    chosen, comparison = study.chosen, study.comparison
    cost = study.cost(chosen.strategy) if chosen else None
    return PolicyEntry(
        trigger=study.trigger.id,
        trigger_title=study.trigger.title,
        strategy=chosen.strategy if chosen else None,
        strategy_title=_policy_title(study),
        basis=study.basis,
        placement=placement_for(study.scenario.guest, study.trigger.id, study.scenario.kernel),
        running=chosen is not None,
        p_best=study.p_best(chosen.strategy) if chosen else None,
        p_best_note=p_best_note(study),
        cheapest=comparison.winner if comparison else None,
        p_best_of_cheapest=study.p_best(comparison.winner) if comparison else None,
        regret=study.regret,
        flips=[flip(turn, study.parameters) for turn in study.flips],
        reason=_policy_reason(study),
        source=chosen.verdict.source if chosen else "; ".join(c.verdict.source for c in study.unsafe_running),
        extrapolated=bool(cost and cost.extrapolated),
        gap=cost.refused if cost else None if study.unsafe_running else f"{study.trigger.title}: {NOT_CATALOGUED}",
        fires=study.firing.fires,
        why=study.firing.why,
    )


def flip(turn: Turn, parameters: ParameterSet) -> Flip:
    """A value at which the choice changes."""
    name = AXIS_NAMES.get(turn.parameter) or parameters[turn.parameter].description
    where = f"{'below' if turn.at < turn.current else 'above'} {name} {quantity(turn.at, turn.unit)}"
    return Flip(
        parameter=turn.parameter,
        unit=turn.unit,
        current=turn.current,
        at=turn.at,
        winner=turn.winner,
        objective="host CPU-seconds per event",
        sentence=f"{turn.winner} is cheaper {where} (now {quantity(turn.current, turn.unit)})",
    )


def _policy_title(study: Study) -> str:
    if study.chosen is not None:
        return title_on(study.chosen.strategy, study.scenario)
    return "no safe strategy in this kernel" if study.unsafe_running else "not catalogued"


def p_best_note(study: Study) -> str:
    """What the probability of the choice means, or why there is none."""
    if study.basis == "cost" and study.comparison is None:
        gaps = sorted({gap for n in study.rivals if (gap := study.cost(n).refused)})
        return "no P(best): " + "; ".join(gaps)
    if study.disagreeing:
        rows = ", ".join(f"{label}: {winner}" for label, winner in sorted(study.disagreeing.items())[:3])
        return f"undecided: another strategy is cheapest {rows}"
    if study.comparison is not None:
        bound = " and its stated prior, never beyond 0.05/0.95" if study.comparison.extrapolated else ""
        return f"lowest host CPU time per event, given the model{bound}"
    return "no probability needed" if study.basis == "dominated" else "no choice" if study.basis else ""


def _policy_reason(study: Study) -> str:
    if study.chosen is None:
        lost = "; ".join(f"{c.strategy}: {c.verdict.reason}" for c in study.unsafe_running)
        return f"this kernel can lose a flush here ({lost})" if lost else NOT_CATALOGUED
    better = [n for n in study.rivals if dominates(n, study.chosen.strategy)]
    text = study.chosen.verdict.reason
    if better:
        text += f"; {better[0]} would be cheaper and is safe, but this kernel does not use it here"
    return text if study.firing.fires else f"cannot happen here: {study.firing.why}; else: {text}"


# Which rows of data/ stand behind an answer.


def source_rows(evidence: Evidence, scenario: Scenario, studies: Iterable[Study]) -> list[SourceRow]:
    """Provenance of every number used, in the order of the row ids; CPUID dumps last."""
    ids: set[str] = set()
    for study in studies:
        for candidate in study.candidates:
            if candidate.verdict.label != "no":
                for name in study.cost(candidate.strategy).parameters:
                    if name in study.parameters.parameters:
                        ids.update(study.parameters[name].sources)
        load = scenario.workload.load(study.trigger.id)
        if load:
            ids.update(load.sources)
            numbers = [load.threads, load.events_per_cycle, load.sleep_s, load.event_fraction, *load.tunables.values()]
            ids.update(row for number in numbers if number is not None for row in number.sources)
    for number in (scenario.workload.vcpus, scenario.workload.resident_bytes):
        ids.update(number.sources)
    for rows in scenario.machine.provenance.values():
        ids.update(rows)
    ids.discard("scenario")
    measured = [source_row(evidence, name) for name in sorted(ids) if name in evidence.measurements]
    logs = [_logs(evidence)] if LOGS in ids else []
    hosts = [_host(evidence, name) for name in sorted(ids) if name.startswith(f"{FOLDER}/")]
    dumps = [
        _file(name, "CPUID dump: features and cache geometry", "InstLatx64 CPUID dumps", "InstLatx64", name, fits=False)
        for name in sorted(ids)
        if name not in evidence.measurements and name != LOGS and not name.startswith(f"{FOLDER}/")
    ]
    return measured + logs + hosts + dumps


def _file(id: str, what: str, title: str, author: str, locator: str, *, date: str = "", fits: bool = True) -> SourceRow:
    """A file of many numbers: measured ones that `fits` use, or what a machine is said to be."""
    kind, use = ("measured", "fit") if fits else ("specified", "machine")
    return SourceRow(
        id=id,
        quantity=what,
        value="",
        unit="",
        kind=kind,
        use=use,
        title=title,
        author=author,
        date=date,
        locator=locator,
    )


def _logs(evidence: Evidence) -> SourceRow:
    what = f"logs of {len(evidence.rendezvous)} boots and resumes, each with its lines, that bound WBINVD"
    return _file(LOGS, what, "kernel logs", "the owners of the machines, as the rows name them", f"data/{LOGS}")


def _host(evidence: Evidence, name: str) -> SourceRow:
    profile = evidence.hosts[name.removeprefix(f"{FOLDER}/")]
    what = "profile of a measured host: every repetition of each probe"
    author = "this project" if evidence.root in profile.folder.parents else "the user of this host"
    return _file(name, what, "costmodel measure", author, f"{name}/host.toml", date=profile.measured_on)


def source_row(evidence: Evidence, name: str) -> SourceRow:
    """Provenance of one row of data/measurements.csv."""
    row = evidence.one(name)
    return SourceRow(
        id=row.id,
        quantity=row.quantity,
        value=f"{row.value:g}",
        unit=row.unit,
        kind=row.kind,
        use=row.use,
        title=row.source_title,
        author=row.source_author,
        date=row.source_date,
        locator=row.source_locator,
    )
