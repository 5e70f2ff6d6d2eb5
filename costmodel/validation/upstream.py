"""What the kernel decided since 2022, release by release, and the places where cost alone would choose otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy

from costmodel.calibration.parameters import parameters_of
from costmodel.cost.draws import Case, Draws
from costmodel.cost.scenario import Scenario, scenario
from costmodel.cost.total import Total, total
from costmodel.decision.choice import dominates
from costmodel.evidence.paths import data_dir
from costmodel.evidence.store import Evidence
from costmodel.evidence.tables import Table, entries
from costmodel.evidence.workloads import DEFAULT as DEFAULT_WORKLOAD
from costmodel.kvm import kernels, predicates
from costmodel.kvm.admissibility import judge
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS, Catalog
from costmodel.kvm.kernels import UpstreamDecision, decisions
from costmodel.numbers import P_BOUNDS, probability, quantity, significant
from costmodel.validation.row import Row, Verdict

# The model against what the kernel developers decided since 2022, with what was known then.
#
# Each decision put one behaviour in the place of another. Where rules leave only one of the two, agreement is forced
# and no evidence; it is evidence where cost decides, told with the rules switched off. Leaving a flush out is always
# cheaper, so such a prediction is called trivial and is no evidence either.

FIRST_YEAR = "2022"
MACHINES = {"amd": "epyc-7763-2s", "intel": "xeon-8570-2s"}
"""The machine on which each vendor's decisions are looked at: what was sold when the thread was written."""
TAKEN = ("merged", "queued")


@dataclass(frozen=True)
class Disagreement(Table):
    """Why the model would not have made a decision (`id`: its number) at every trigger."""

    id: str
    why: str
    source: str


EXPLAINED: Catalog[Disagreement] = Catalog(
    "decision", lambda: entries(data_dir() / "validation" / "disagreements.toml", "disagreement", Disagreement)
)
Basis = Literal["forced", "cost", "trivial", "undecided"]


@dataclass(frozen=True)
class Judgement:
    """One decision at one trigger: behaviour `before` and `proposed`, what the rules and what cost alone prefer.

    `p_cheaper` is P(proposed takes less), None where a total is refused.
    """

    guest: str
    trigger: str
    before: str | None
    proposed: str
    basis: Basis
    prefers_proposed: bool | None
    p_cheaper: float | None


def rows(evidence: Evidence) -> list[Row]:
    """One row per decision since 2022, and one that counts them."""
    found = []
    counted: list[tuple[UpstreamDecision, list[Judgement]]] = []
    for decision in decisions():
        if decision.date and decision.date < FIRST_YEAR:
            continue
        judgements = judge_decision(evidence, decision)
        counted.append((decision, judgements))
        found.append(_row(decision, judgements))
    return [_count(counted), *found]


def judge_decision(evidence: Evidence, decision: UpstreamDecision) -> list[Judgement]:
    """The decision at each trigger and guest type that it concerns."""
    found = []
    for guest in sorted(decision.guests):
        for trigger in (t for t in TRIGGERS if t in decision.triggers):
            if decision.strategies and TRIGGERS[trigger].occurs_with(GUESTS[guest]):
                case = _case(evidence, guest, decision)
                if _is_meant(decision, case, trigger):
                    found.append(_judgement(evidence, case, decision, trigger))
    return found


def _is_meant(decision: UpstreamDecision, case: Scenario, trigger: str) -> bool:
    """Whether the decision is about this guest at this trigger: not where its own release skips what it flushes."""
    done = kernels.upstream(case.guest, trigger, case.kernel)
    skipped = done is not None and all(STRATEGIES[name].skips for name in done.strategies)
    return not skipped or any(STRATEGIES[name].skips for name in decision.strategies)


def _case(evidence: Evidence, guest: str, decision: UpstreamDecision) -> Scenario:
    """The guest pinned to as many CPUs as it has vCPUs, as the commits that narrow the CPUs assume."""
    machine = MACHINES[GUESTS[guest].vendor or "amd"]
    kernel = decision.ranges[0] if decision.ranges else kernels.newest()
    case = scenario(evidence, guest, machine, DEFAULT_WORKLOAD, kernel)
    return scenario(evidence, guest, machine, DEFAULT_WORKLOAD, kernel, cpus_that_ran=case.vcpus)


def before(decision: UpstreamDecision, guest: str, trigger: str) -> tuple[str, ...]:
    """What the kernel did when the decision was made: the latest earlier merged decision on it, else the oldest range.

    A backport repeats a decision; what it replaces is what that decision replaced.
    """
    earlier = [
        d
        for d in decisions()
        if d.number < decision.number
        and d.status == "merged"
        and d.strategies not in ((), decision.strategies)
        and d.concerns(guest, trigger)
    ]
    if earlier:
        return earlier[-1].strategies
    if not GUESTS[guest].has("upstream"):
        return kernels.OUT_OF_TREE
    for kernel in kernels.KERNELS:
        if done := kernels.upstream(guest, trigger, kernel):
            return () if set(done.strategies) & set(decision.strategies) else done.strategies
    return ()


def _judgement(evidence: Evidence, case: Scenario, decision: UpstreamDecision, trigger: str) -> Judgement:
    facts = predicates.known(case.guest, trigger, case.machine.features, case.kernel)
    draws = Draws(parameters_of(evidence, case.machine.id))
    proposed = _applicable(decision.strategies, case.guest, trigger, facts)
    old = before(decision, case.guest, trigger)
    known = _applicable(old, case.guest, trigger, facts) if old else _rival(case, trigger, proposed, facts, draws)
    new = judge(case.guest, trigger, proposed, facts)
    was = judge(case.guest, trigger, known, facts) if known else None
    p = (
        _p_cheaper(total(Case(trigger, case, draws), proposed), total(Case(trigger, case, draws), known))
        if known
        else None
    )
    basis: Basis
    prefers: bool | None
    if was is None or known is None or (was.state == "inadmissible" and new.state != "inadmissible"):
        basis, prefers = "forced", True
    elif new.state == "inadmissible" and was.state != "inadmissible":
        basis, prefers = "forced", False
    elif p is None:
        basis, prefers = "undecided", None
    else:
        skipped = STRATEGIES[proposed].skips or STRATEGIES[known].skips
        basis, prefers = ("trivial" if skipped else "cost"), p > 0.5 or dominates(proposed, known)
    return Judgement(case.guest, trigger, known, proposed, basis, prefers, p)


def _applicable(names: Sequence[str], guest: str, trigger: str, facts: dict[str, bool]) -> str:
    """Of several (the CPU decides) the first that is not inadmissible here."""
    return next((n for n in names if judge(guest, trigger, n, facts).state != "inadmissible"), names[0])


def _rival(case: Scenario, trigger: str, proposed: str, facts: dict[str, bool], draws: Draws) -> str | None:
    """Where nothing was done before: the cheapest other flush that is admissible and has a number."""
    costs = {
        name: total(Case(trigger, case, draws), name)
        for name in STRATEGIES
        if name != proposed
        and not STRATEGIES[name].skips
        and judge(case.guest, trigger, name, facts).state == "admissible"
    }
    known = {name: cost for name, cost in costs.items() if cost.refused is None}
    return min(known, key=lambda name: float(numpy.median(known[name].priced.stolen_s)), default=None)


def _p_cheaper(new: Total, old: Total) -> float | None:
    """P(less host CPU time per event); where both take the same, P(less guest time)."""
    if new.refused or old.refused:
        return None
    difference = old.priced.stolen_s - new.priced.stolen_s
    if numpy.all(difference == 0):
        difference = old.priced.guest_s - new.priced.guest_s
    share = float(numpy.mean((difference > 0) + 0.5 * (difference == 0)))
    return min(max(share, P_BOUNDS[0]), P_BOUNDS[1]) if new.extrapolated or old.extrapolated else share


def agrees(decision: UpstreamDecision, judgement: Judgement) -> bool | None:
    """Whether the model prefers what the kernel got; None where it cannot tell."""
    if judgement.prefers_proposed is None:
        return None
    return judgement.prefers_proposed == (decision.status in TAKEN)


def _row(decision: UpstreamDecision, judgements: Sequence[Judgement]) -> Row:
    answers = [agrees(decision, j) for j in judgements]
    told = [a for a in answers if a is not None]
    missed: Verdict = "disagree-explained" if str(decision.number) in EXPLAINED else "fail"
    verdict: Verdict = "not testable" if not told else "pass" if all(told) else missed
    bases = sorted({j.basis for j in judgements})
    lead = next((j for j in judgements if agrees(decision, j) is False), judgements[0] if judgements else None)
    note = EXPLAINED[str(decision.number)].why if verdict == "disagree-explained" else decision.note
    return Row(
        id=f"decision-{decision.number}",
        kind="taken" if decision.status in TAKEN else "not taken",
        what=f"{decision.status}: {decision.effect}",
        figure="" if lead is None else _told(lead),
        verdict=verdict,
        source=f"{decision.commit}, {decision.date or 'date not read'}",
        value=None if lead is None else lead.p_cheaper,
        unit="1",
        note=note,
        details={"bases": ", ".join(bases), "cells": len(judgements), "agree": sum(told)},
    )


def _told(judgement: Judgement) -> str:
    text = f"{judgement.proposed} for {judgement.before or 'nothing'} ({judgement.guest}, {judgement.trigger})"
    chance = ""
    if judgement.p_cheaper is not None:
        bounded = judgement.p_cheaper in P_BOUNDS
        chance = f", cost alone: P(cheaper) {probability(judgement.p_cheaper, extrapolated=bounded)}"
    return f"{text}: {judgement.basis}{chance}"


def _leading(bases: set[Basis]) -> Basis:
    """The basis that a decision with several triggers is counted under: cost decides somewhere, else trivially."""
    return next(basis for basis in ("cost", "trivial", "forced", "undecided") if basis in bases)


def _count(counted: Sequence[tuple[UpstreamDecision, Sequence[Judgement]]]) -> Row:
    """Decisions by basis; only those that cost decides, and not trivially, are evidence."""
    told = [
        (decision, [(j, agrees(decision, j)) for j in judgements if agrees(decision, j) is not None])
        for decision, judgements in counted
    ]
    told = [(decision, cells) for decision, cells in told if cells]
    agree = sum(all(yes for _, yes in cells) for _, cells in told)
    leading = [_leading({j.basis for j, _ in cells}) for _, cells in told]
    evidence = [[yes for j, yes in cells if j.basis == "cost"] for _, cells in told]
    evidence = [cells for cells in evidence if cells]
    right = sum(all(cells) for cells in evidence)
    unexplained = [d.number for d, cells in told if not all(yes for _, yes in cells) and str(d.number) not in EXPLAINED]
    return Row(
        id="agreement",
        kind="agreement",
        names={
            "agree": f"{agree} of {len(told)}",
            "forced": str(leading.count("forced")),
            "trivial": str(leading.count("trivial")),
            "right": f"{right} of {len(evidence)}",
            "untold": str(len(counted) - len(told)),
        },
        verdict="fail" if unexplained else "pass",
        source="data/kvm/upstream_decisions.csv",
        value=right / len(evidence) if evidence else None,
        unit="1",
        details={"agree": agree, "decisions": len(told), "evidence": len(evidence), "evidence_agrees": right},
    )


# The four places where cost alone would choose otherwise than the kernel, and why the kernel does not.

COST_ALONE_MACHINE = "epyc-7763-2s"


@dataclass(frozen=True)
class Place:
    """A trigger at which `cheaper` takes less CPU time than what the kernel does (`kernel`).

    `first_half` stands for a kernel behaviour without a number: a part of it, so a lower bound.
    """

    id: str
    guest: str
    trigger: str
    cheaper: str
    kernel: str
    first_half: str | None = None


PLACES = (
    Place("4-kib-page", "sev", "ksm_replace_page", "CLFLUSHOPT_UVA", "WBNOINVD_MASK"),
    Place("event-filter", "sev", "autonuma_prot_none_scan", "SKIP_EVENT", "WBNOINVD_MASK"),
    Place("region", "sev", "unreg_region", "NO_FLUSH", "WBNOINVD_MASK"),
    Place("asid", "sev", "asid_recycle", "WBNOINVD_MASK", "DF_FLUSH_SEQ", first_half="WBINVD_ALL"),
)


def cost_alone_rows(evidence: Evidence) -> list[Row]:
    """One row per place: how much cheaper, and the reason why it is not done."""
    return [_cost_alone_row(evidence, place) for place in PLACES]


def _cost_alone_row(evidence: Evidence, place: Place) -> Row:
    case = scenario(evidence, place.guest, COST_ALONE_MACHINE, DEFAULT_WORKLOAD)
    case = replace(case, cpus_that_ran=float(case.vcpus))
    draws = Draws(parameters_of(evidence, COST_ALONE_MACHINE))
    cheap = total(Case(place.trigger, case, draws), place.cheaper).priced
    dear = total(Case(place.trigger, case, draws), place.first_half or place.kernel).priced
    share = float(numpy.mean(cheap.stolen_s < dear.stolen_s))
    verdict = judge(
        place.guest,
        place.trigger,
        place.cheaper,
        predicates.known(place.guest, place.trigger, case.machine.features, case.kernel),
    )
    why = verdict.reason
    if STRATEGIES[place.cheaper].skips and verdict.state != "inadmissible":
        why = f"{why}; on the list: {STRATEGIES[place.cheaper].list_status}"
    cost = "nothing" if not numpy.any(cheap.stolen_s) else quantity(float(numpy.median(cheap.stolen_s)), "s")
    found: Verdict = "disagree-explained" if share > 0.5 else "fail"
    return Row(
        id=f"cost-alone-{place.id}",
        kind="bounded place" if place.first_half else "place",
        names={
            "place": place.id,
            "cheaper": place.cheaper,
            "kernel": place.kernel,
            "cost": cost,
            "dear": quantity(float(numpy.median(dear.stolen_s)), "s"),
            "share": significant(100 * share),
            "state": verdict.state,
        },
        verdict=found,
        source=f"rule {verdict.rule}: {verdict.source}",
        value=share,
        unit="1",
        note=why,
    )
