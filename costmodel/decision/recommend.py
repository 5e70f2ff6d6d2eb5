"""The recommendation for one guest type on one machine: admissible first, then cost, confidence and what to do."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from costmodel import __version__
from costmodel.calibration.calibrate import parameters_of, variations
from costmodel.calibration.parameters import ParameterSet
from costmodel.cost.draws import Case, Draws, medians
from costmodel.cost.event import left_out
from costmodel.cost.scenario import Scenario, scenario
from costmodel.decision import headline, waits
from costmodel.decision.advice import measure_next, patch_advice, pinned_scan_advice, remedy_advice, upgrade_advice
from costmodel.decision.choice import Study
from costmodel.decision.proposals import variant_rows
from costmodel.decision.result import COUNT_OF, RATE_OF, SECONDS_OF, Recommendation, Sensitivity
from costmodel.decision.sensitivity import sensitivities
from costmodel.decision.sources import bound, measured_rows, source_rows
from costmodel.decision.tables import (
    check_vms,
    cost_rows,
    mask_rows,
    objectives,
    rival_rows,
    storm_rows,
    together_rows,
    upstream_rows,
)
from costmodel.errors import NotApplicable
from costmodel.evidence.records import PAGE_BYTES
from costmodel.evidence.store import Evidence, load
from costmodel.evidence.workloads import DEFAULT as DEFAULT_WORKLOAD
from costmodel.hashing import value_hash
from costmodel.kvm import kernels
from costmodel.kvm.catalog import GUESTS, Guest, triggers_of
from costmodel.kvm.decisions import kernel_notes
from costmodel.kvm.kernels import LOOK, LOOKED, Candidate, SeveralKernels


def recommend(
    guest: str,
    machine: str,
    workload: str = DEFAULT_WORKLOAD,
    kernel: str = "newest",
    *,
    evidence: Evidence | None = None,
    vms: Mapping[str, int] | None = None,
    **numbers: Any,
) -> Recommendation:
    """Recommend a flush strategy for each trigger of `guest` on `machine` under `workload` and `kernel`.

    `kernel` is a version or `newest`; `numbers` are those of `scenario`: vcpus, resident_bytes, cpus_that_ran (default:
    all, the fate of an unpinned guest), event_fraction, rates (events per second, or a count and its seconds, by
    trigger), and the setup of the guest's memory: vmm, pinned, backing, mempolicy, mergeable. `vms` is how many guests
    of each type share the host, for the rows `together`. Raises UnknownName or BadInput.
    """
    evidence = evidence or load()
    case = scenario(evidence, guest, machine, workload, kernel, **numbers)
    result = _answer(evidence, case)
    if not vms or not result.applicable:
        return result
    vms = {GUESTS[name].id: count for name, count in vms.items()}
    check_vms(vms)
    cases = {name: scenario(evidence, name, machine, workload, kernel, **numbers) for name in vms}
    for other in cases.values():
        if why := not_applicable(other, GUESTS[other.guest]):
            raise NotApplicable(f"{other.guest}: {why}", remedy="leave this guest type out of --vms")
    words = " ".join(f"--vms {name}={count}" for name, count in vms.items())
    rows = together_rows(cases, vms, Draws(parameters_of(evidence, case.machine.id)))
    return result.model_copy(update={"together": rows, "command": f"{result.command} {words}"})


_last: list[tuple[Evidence, Scenario, Recommendation]] = []


def _answer(evidence: Evidence, case: Scenario) -> Recommendation:
    """The answer for `case`. The last one is kept: a report asks for its text and, in a forked kernel, for its page."""
    for known_evidence, known_case, known in _last:
        if known_evidence is evidence and known_case == case:
            return known
    parameters = parameters_of(evidence, case.machine.id)
    reason = not_applicable(case, GUESTS[case.guest])
    studies = [] if reason else study_all(evidence, case, parameters)
    result = _assemble(evidence, case, parameters, studies, reason)
    _last[:] = [(evidence, case, result)]
    return result


def study_all(evidence: Evidence, case: Scenario, parameters: ParameterSet) -> list[Study]:
    """One study per trigger that the guest type has."""
    draws = Draws(parameters)
    varied = variations(evidence, case.machine.id)
    return [Study(trigger, case, draws, varied) for trigger in triggers_of(case.guest)]


def _command(case: Scenario) -> str:
    """The command line that gives this answer again."""
    words = ["costmodel recommend", f"--guest {case.guest}", f"--machine {shlex.quote(case.machine.word)}"]
    words += [f"--workload {case.workload.id}", f"--kernel {case.version}"]
    return " ".join([*words, *case.number_words])


VENDORS = {"amd": "an AMD", "intel": "an Intel"}


def not_applicable(case: Scenario, guest: Guest) -> str | None:
    """Why machine or kernel cannot host the guest type, or None."""
    if guest.vendor and guest.vendor != case.machine.vendor:
        return f"{guest.title} needs {VENDORS[guest.vendor]} CPU"
    for feature in guest.requires:
        if not case.machine.features.get(feature, False):
            why = case.machine.missing.get(f"features.{feature}", case.machine.missing.get(feature, ""))
            return f"the CPU has no {feature.replace('_', '-')}" + (f" ({why})" if why else "")
    if lacking := kernels.not_hosted(guest.id, case.version):
        return lacking
    if not kernels.hosts(guest.id, case.kernel):
        first = next(kernel for kernel in kernels.KERNELS if kernels.hosts(guest.id, kernel))
        return f"kernel {case.version} does not run {guest.title}; the first catalogued one that does is {first}"
    if guest.has("keyid_keyed") and case.release < kernels.release(kernels.TDX_FIRST):
        return f"kernel {case.version} does not run {guest.title}; the first that does is {kernels.TDX_FIRST}"
    return None


def _assemble(
    evidence: Evidence, case: Scenario, parameters: ParameterSet, studies: list[Study], reason: str | None
) -> Recommendation:
    command = _command(case)
    lead = headline.headline_study(studies)
    flush = headline.costliest_study(studies)
    ranked = _sensitivities(flush, parameters)
    remedies = remedy_advice(studies)
    upgrades = upgrade_advice(studies)
    now = [*headline.kernel_advice(lead), *upgrades, *remedies]
    policy = [s.entry() for s in studies]
    gaps = sorted(
        {g for entry in policy if (g := entry.gap)}
        | {g for s in studies for g in headline.open_rates(s)}
        | {g for s in studies if (g := left_out(s.trigger.id, case))}
        | {f"{s.trigger.title}: {b}" for s in studies if (b := bound(s, evidence))}
    )
    return Recommendation(
        costmodel_version=__version__,
        guest=case.guest,
        guest_title=GUESTS[case.guest].title,
        machine=case.machine.id,
        machine_title=case.machine.title,
        workload=case.workload.id,
        workload_title=case.workload.title,
        kernel=case.kernel,
        kernel_version=case.version,
        scenario={
            "vcpus": float(case.vcpus),
            "resident_bytes": case.resident_bytes,
            "cpus_that_ran": case.cpus_that_ran,
            "logical_cpus": float(case.machine.logical_cpus),
        }
        | ({"event_fraction": case.event_fraction} if case.event_fraction is not None else {})
        | ({"folio_bytes": case.folio_bytes} if case.folio_bytes != PAGE_BYTES else {})
        | ({"noncoherent_dma": True} if case.noncoherent_dma else {})
        | {f"{RATE_OF}{trigger}": rate for trigger, rate in case.rates}
        | {f"{COUNT_OF}{trigger}": count for trigger, count, _ in case.counts}
        | {f"{SECONDS_OF}{trigger}": seconds for trigger, _, seconds in case.counts}
        | case.setup.values,
        command=command,
        applicable=reason is None,
        not_applicable_reason=reason,
        headline=headline.sentence(case, lead, remedies, upgrades, reason),
        headline_trigger=lead.trigger.id if lead else None,
        headline_strategy=lead.chosen.strategy if lead and lead.chosen else None,
        all_events_at=next((s.trigger.id for s in studies if case.stands_for_all(s.trigger.id)), None),
        costliest_trigger=flush.trigger.id if flush else None,
        costliest_strategy=flush.chosen.strategy if flush and flush.chosen else None,
        headline_cost="; ".join(
            filter(None, (headline.cost_text(lead, studies), bound(lead, evidence) if lead else None))
        ),
        measure_rate=headline.measure_rate(lead),
        confidence=headline.confidence(lead),
        size_confidence=headline.size_confidence(lead),
        rival_priors=rival_rows(lead),
        policy=policy,
        do_now=now,
        worth_patching=[*patch_advice(studies), *pinned_scan_advice(studies)],
        remedies=remedies,
        saturation=[text for s in studies for text in headline.saturation(s)],
        costs=[row for s in studies for row in cost_rows(s)],
        contention=waits.contention_rows(flush) if flush else [],
        bills=waits.bill_rows(flush, evidence) if flush else [],
        abuse=waits.abuse_rows(studies, evidence),
        hybrids=waits.hybrid_rows(studies),
        masks=mask_rows(flush) if flush else [],
        variants=variant_rows(flush, evidence) if flush else [],
        storms=storm_rows(studies),
        objectives=objectives(flush) if flush else [],
        corners=flush.corners if flush else [],
        sensitivities=ranked,
        measure_next=measure_next(flush, parameters, ranked),
        assumptions=[*headline.assumptions(case, studies), *headline.irq_off_lines(evidence, flush)],
        warnings=[
            *headline.warnings(case, studies, evidence),
            *(kernel_notes(case.guest, case.kernel, case.release, case.version) if studies else []),
        ],
        gaps=gaps,
        extrapolated=any(entry.extrapolated for entry in policy),
        upstream=upstream_rows(studies),
        measured=measured_rows(evidence, case.machine.id),
        sources=source_rows(evidence, case, studies) if studies else [],
        data_hash=evidence.data_hash,
        asked_hash=value_hash(command),
    )


def _sensitivities(lead: Study | None, parameters: ParameterSet) -> list[Sensitivity]:
    if lead is None or lead.chosen is None:
        return []
    return sensitivities(Case(lead.trigger.id, lead.scenario, medians(parameters)), lead.chosen.strategy)


# Recommendations for a kernel of which no source tells what was backported to it: one for each that it may behave as.


@dataclass(frozen=True)
class ByKernel:
    """The answers for the `kernel` that was asked for, oldest behaviour first: one, or several where `why` says why."""

    kernel: str
    answers: tuple[tuple[Candidate, Recommendation], ...]
    why: str = ""

    @property
    def several(self) -> bool:
        return bool(self.why)

    def as_json(self) -> dict[str, object]:
        """The recommendation itself, or all of them with what tells the kernels apart."""
        shown: list[dict[str, Any]] = [
            {"kernel": one.kernel, "if": one.why, "recommendation": answer.model_dump(mode="json")}
            for one, answer in self.answers
        ]
        if not self.several:
            alone: dict[str, object] = shown[0]["recommendation"]
            return alone
        return {"kernel": self.kernel, "why_several": self.why, "tell_apart": f"{LOOK}: {LOOKED}", "answers": shown}


def recommend_by_kernel(guest: str, machine: str, workload: str, kernel: str, **numbers: Any) -> ByKernel:
    """What `recommend` gives, for each kernel that `kernel` may behave as. Raises as `recommend` does."""
    try:
        return ByKernel(kernel, ((Candidate(kernel), recommend(guest, machine, workload, kernel, **numbers)),))
    except SeveralKernels as several:
        answers = [(one, recommend(guest, machine, workload, one.kernel, **numbers)) for one in several.candidates]
        return ByKernel(kernel, tuple(answers), several.problem)
