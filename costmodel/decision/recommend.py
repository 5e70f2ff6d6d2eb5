"""The recommendation for one guest type on one machine: admissible first, then cost, confidence and what to do."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from costmodel import __version__
from costmodel.calibration.parameters import ParameterSet, parameters_of, variations
from costmodel.cost.draws import Case, Draws, medians
from costmodel.cost.event import left_out
from costmodel.cost.scenario import Scenario, scenario
from costmodel.decision import headline, waits
from costmodel.decision.advice import measure_next, patch_advice, pinned_scan_advice, remedy_advice, upgrade_advice
from costmodel.decision.choice import Study
from costmodel.decision.proposals import variant_rows
from costmodel.decision.result import (
    COUNT_OF,
    RATE_OF,
    SECONDS_OF,
    Advice,
    CostRow,
    PolicyEntry,
    Recommendation,
    Sensitivity,
    TogetherRow,
)
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
    found = findings(guest, machine, workload, kernel, evidence=evidence, vms=vms, **numbers)
    if found.vms:
        return found.whole
    for known_evidence, known_case, known in _last:
        if known_evidence is found.evidence and known_case == found.case:
            return known
    _last[:] = [(found.evidence, found.case, found.whole)]
    return found.whole


_last: list[tuple[Evidence, Scenario, Recommendation]] = []
"""The last answer: a report asks for its text and, in a forked kernel, for its page."""


def findings(
    guest: str,
    machine: str,
    workload: str = DEFAULT_WORKLOAD,
    kernel: str = "newest",
    *,
    evidence: Evidence | None = None,
    vms: Mapping[str, int] | None = None,
    **numbers: Any,
) -> Findings:
    """What `recommend` says, nothing of it worked out yet. Raises as `recommend` does."""
    evidence = evidence or load()
    case = scenario(evidence, guest, machine, workload, kernel, **numbers)
    reason = not_applicable(case, GUESTS[case.guest])
    if not vms or reason:
        return Findings(evidence, case, reason, {})
    vms = {GUESTS[name].id: count for name, count in vms.items()}
    check_vms(vms)
    cases = {name: scenario(evidence, name, machine, workload, kernel, **numbers) for name in vms}
    for other in cases.values():
        if why := not_applicable(other, GUESTS[other.guest]):
            raise NotApplicable(f"{other.guest}: {why}", remedy="leave this guest type out of --vms")
    return Findings(evidence, case, None, {name: (cases[name], count) for name, count in vms.items()})


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


@dataclass(frozen=True, eq=False)
class Findings:
    """What is found out about a case, each part when it is first asked for: one screen needs few of them, `whole` all.

    `reason` says why there is no answer, None where there is one; `vms` are the guests that share the host: of each
    type its case and how many. The parts are called as in Recommendation.
    """

    evidence: Evidence
    case: Scenario
    reason: str | None
    vms: Mapping[str, tuple[Scenario, int]]

    @property
    def applicable(self) -> bool:
        return self.reason is None

    @property
    def guest_title(self) -> str:
        return GUESTS[self.case.guest].title

    @property
    def machine_title(self) -> str:
        return self.case.machine.title

    @property
    def workload_title(self) -> str:
        return self.case.workload.title

    @property
    def kernel(self) -> str:
        return self.case.kernel

    @property
    def kernel_version(self) -> str:
        return self.case.version

    @cached_property
    def scenario(self) -> dict[str, float | bool | str]:
        case = self.case
        found: dict[str, float | bool | str] = {
            "vcpus": float(case.vcpus),
            "resident_bytes": case.resident_bytes,
            "cpus_that_ran": case.cpus_that_ran,
            "logical_cpus": float(case.machine.logical_cpus),
        }
        return (
            found
            | ({"event_fraction": case.event_fraction} if case.event_fraction is not None else {})
            | ({"folio_bytes": case.folio_bytes} if case.folio_bytes != PAGE_BYTES else {})
            | ({"noncoherent_dma": True} if case.noncoherent_dma else {})
            | {f"{RATE_OF}{trigger}": rate for trigger, rate in case.rates}
            | {f"{COUNT_OF}{trigger}": count for trigger, count, _ in case.counts}
            | {f"{SECONDS_OF}{trigger}": seconds for trigger, _, seconds in case.counts}
            | case.setup.values
        )

    @cached_property
    def parameters(self) -> ParameterSet:
        return parameters_of(self.evidence, self.case.machine.id)

    @cached_property
    def studies(self) -> list[Study]:
        """One for each trigger of the guest type; none where there is no answer."""
        return study_all(self.evidence, self.case, self.parameters) if self.applicable else []

    @cached_property
    def lead(self) -> Study | None:
        """The trigger of the headline."""
        return headline.headline_study(self.studies)

    @cached_property
    def flush(self) -> Study | None:
        """The flush that the sections on costs show."""
        return headline.costliest_study(self.studies)

    @cached_property
    def remedies(self) -> list[Advice]:
        return remedy_advice(self.studies)

    @cached_property
    def upgrades(self) -> list[Advice]:
        return upgrade_advice(self.studies)

    @cached_property
    def do_now(self) -> list[Advice]:
        return [*headline.kernel_advice(self.lead), *self.upgrades, *self.remedies]

    @cached_property
    def headline(self) -> str:
        return headline.sentence(self.case, self.lead, self.remedies, self.upgrades, self.reason)

    @cached_property
    def headline_cost(self) -> str:
        limit = bound(self.lead, self.evidence) if self.lead else None
        return "; ".join(filter(None, (headline.cost_text(self.lead, self.studies), limit)))

    @property
    def headline_trigger(self) -> str | None:
        return self.lead.trigger.id if self.lead else None

    @property
    def headline_strategy(self) -> str | None:
        return self.lead.chosen.strategy if self.lead and self.lead.chosen else None

    @property
    def costliest_trigger(self) -> str | None:
        return self.flush.trigger.id if self.flush else None

    @property
    def costliest_strategy(self) -> str | None:
        return self.flush.chosen.strategy if self.flush and self.flush.chosen else None

    @cached_property
    def confidence(self) -> str:
        return headline.confidence(self.lead)

    @cached_property
    def size_confidence(self) -> str:
        return headline.size_confidence(self.lead)

    @cached_property
    def measure_rate(self) -> str:
        return headline.measure_rate(self.lead)

    @cached_property
    def policy(self) -> list[PolicyEntry]:
        return [study.entry() for study in self.studies]

    @cached_property
    def _costs(self) -> dict[str, list[CostRow]]:
        return {}

    def costs_at(self, trigger: str | None) -> list[CostRow]:
        """Rows of one trigger, none for None."""
        if trigger is not None and trigger not in self._costs:
            self._costs[trigger] = [row for s in self.studies if s.trigger.id == trigger for row in cost_rows(s)]
        return self._costs[trigger] if trigger is not None else []

    @cached_property
    def warnings(self) -> list[str]:
        case = self.case
        kernel = kernel_notes(case.guest, case.kernel, case.release, case.version) if self.studies else []
        return [*headline.warnings(case, self.studies, self.evidence), *kernel]

    @cached_property
    def together(self) -> list[TogetherRow]:
        if not self.vms:
            return []
        cases = {name: case for name, (case, _) in self.vms.items()}
        return together_rows(cases, {name: count for name, (_, count) in self.vms.items()}, Draws(self.parameters))

    @cached_property
    def whole(self) -> Recommendation:
        """All of it as a record."""
        return _assemble(self)


def _assemble(found: Findings) -> Recommendation:
    evidence, case, parameters, studies = found.evidence, found.case, found.parameters, found.studies
    lead, flush = found.lead, found.flush
    command = _command(case)
    ranked = _sensitivities(flush, parameters)
    gaps = sorted(
        {g for entry in found.policy if (g := entry.gap)}
        | {g for s in studies for g in headline.open_rates(s)}
        | {g for s in studies if (g := left_out(s.trigger.id, case))}
        | {f"{s.trigger.title}: {b}" for s in studies if (b := bound(s, evidence))}
    )
    return Recommendation(
        costmodel_version=__version__,
        guest=case.guest,
        guest_title=found.guest_title,
        machine=case.machine.id,
        machine_title=found.machine_title,
        workload=case.workload.id,
        workload_title=found.workload_title,
        kernel=found.kernel,
        kernel_version=found.kernel_version,
        scenario=found.scenario,
        command=" ".join([command, *(f"--vms {name}={count}" for name, (_, count) in found.vms.items())]),
        applicable=found.applicable,
        not_applicable_reason=found.reason,
        headline=found.headline,
        headline_trigger=found.headline_trigger,
        headline_strategy=found.headline_strategy,
        all_events_at=next((s.trigger.id for s in studies if case.stands_for_all(s.trigger.id)), None),
        costliest_trigger=found.costliest_trigger,
        costliest_strategy=found.costliest_strategy,
        headline_cost=found.headline_cost,
        measure_rate=found.measure_rate,
        confidence=found.confidence,
        size_confidence=found.size_confidence,
        rival_priors=rival_rows(lead),
        policy=found.policy,
        do_now=found.do_now,
        worth_patching=[*patch_advice(studies), *pinned_scan_advice(studies)],
        remedies=found.remedies,
        saturation=[text for s in studies for text in headline.saturation(s)],
        costs=[row for s in studies for row in found.costs_at(s.trigger.id)],
        contention=waits.contention_rows(flush) if flush else [],
        bills=waits.bill_rows(flush, evidence) if flush else [],
        abuse=waits.abuse_rows(studies, evidence),
        hybrids=waits.hybrid_rows(studies),
        masks=mask_rows(flush) if flush else [],
        variants=variant_rows(flush, evidence) if flush else [],
        storms=storm_rows(studies),
        together=found.together,
        objectives=objectives(flush) if flush else [],
        corners=flush.corners if flush else [],
        sensitivities=ranked,
        measure_next=measure_next(flush, parameters, ranked),
        assumptions=[*headline.assumptions(case, studies), *headline.irq_off_lines(evidence, flush)],
        warnings=found.warnings,
        gaps=gaps,
        extrapolated=any(entry.extrapolated for entry in found.policy),
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
    """What is found for the `kernel` that was asked for, oldest behaviour first: one, or several where `why` says
    why.
    """

    kernel: str
    found: tuple[tuple[Candidate, Findings], ...]
    why: str = ""

    @property
    def several(self) -> bool:
        return bool(self.why)

    @property
    def answers(self) -> tuple[tuple[Candidate, Recommendation], ...]:
        """The whole of each."""
        return tuple((one, findings.whole) for one, findings in self.found)

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
        return ByKernel(kernel, ((Candidate(kernel), findings(guest, machine, workload, kernel, **numbers)),))
    except SeveralKernels as several:
        found = [(one, findings(guest, machine, workload, one.kernel, **numbers)) for one in several.candidates]
        return ByKernel(kernel, tuple(found), several.problem)
