"""Rows of a recommendation in words: the mask of CPUs, what upstream does, rival priors, winners by other objectives."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.decision.choice import Study
from costmodel.decision.result import MaskRow, Objective, RivalPrior, UpstreamRow
from costmodel.decision.tables import Best, Goal, Mask, Prior, Upstream, best, masks, rivals, upstream
from costmodel.numbers import quantity, significant

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
