"""The recommendation as a record: what was found about a case and the sentences about it, as `recommend --json` prints
it; for a kernel that may behave as one of several, one for each.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from costmodel import __version__
from costmodel.calibration.parameters import ParameterSet
from costmodel.cost.draws import Case, medians
from costmodel.cost.event import left_out
from costmodel.cost.scenario import Scenario
from costmodel.decision import waits
from costmodel.decision.advice import patches, pinned_scans, worth_measuring
from costmodel.decision.choice import Study
from costmodel.decision.findings import Findings
from costmodel.decision.result import Advice, PolicyEntry, Recommendation, Sensitivity
from costmodel.decision.sensitivity import sensitivities
from costmodel.decision.tables import storm_rows
from costmodel.evidence.store import Evidence
from costmodel.evidence.workloads import DEFAULT as DEFAULT_WORKLOAD
from costmodel.hashing import value_hash
from costmodel.kvm.kernels import LOOK, Candidate, SeveralKernels
from costmodel.report import advice, sentences
from costmodel.report.measured import measured_rows
from costmodel.report.names import kernel_ground, kernel_notes
from costmodel.report.tables import (
    mask_rows,
    objectives,
    policy_entry,
    rival_rows,
    source_rows,
    upstream_rows,
    variant_rows,
)
from costmodel.report.waits import contention_rows


def recommend(
    guest: str, machine: str, workload: str = DEFAULT_WORKLOAD, kernel: str = "newest", **asked: Any
) -> Recommendation:
    """Recommend a flush strategy for each trigger of `guest` on `machine` under `workload` and `kernel`; the arguments
    are those of `Findings.of`. Raises UnknownName or BadInput.
    """
    found = Answer.of(guest, machine, workload, kernel, **asked)
    if found.vms:
        return found.whole
    for known_evidence, known_case, known in _last:
        if known_evidence is found.evidence and known_case == found.case:
            return known
    _last[:] = [(found.evidence, found.case, found.whole)]
    return found.whole


def keep(answer: Recommendation, **asked: Any) -> None:
    """Let `recommend` return `answer`, which another process found for the same arguments and data."""
    found = Answer.of(**asked)
    _last[:] = [(found.evidence, found.case, answer)]


_last: list[tuple[Evidence, Scenario, Recommendation]] = []
"""The last answer: a report asks for its text and, in a forked kernel, for its page."""


def _command(case: Scenario) -> str:
    """The command line that gives this answer again."""
    words = ["costmodel recommend", f"--guest {case.guest}", f"--machine {shlex.quote(case.machine.word)}"]
    words += [f"--workload {case.workload.id}", f"--kernel {case.version}"]
    return " ".join([*words, *case.number_words])


class Answer(Findings):
    """What is found, and the sentences about it; each part, as in Recommendation, when it is first asked for."""

    @cached_property
    def remedies(self) -> list[Advice]:
        return [advice.remedy(one) for one in self.remedied]

    @cached_property
    def upgrades(self) -> list[Advice]:
        return advice.step(self.step)

    @cached_property
    def do_now(self) -> list[Advice]:
        return [*advice.kernel(self.lead), *self.upgrades, *self.remedies]

    @cached_property
    def headline(self) -> str:
        return sentences.headline(self.plan, self.case, self.lead, self.reason)

    @cached_property
    def headline_cost(self) -> str:
        limit = sentences.bound(self.lead, self.evidence) if self.lead else None
        return "; ".join(filter(None, (sentences.cost_text(self.lead, self.studies), limit)))

    @cached_property
    def confidence(self) -> str:
        return sentences.confidence(self.lead)

    @cached_property
    def size_confidence(self) -> str:
        return sentences.size_confidence(self.lead)

    @cached_property
    def measure_rate(self) -> str:
        return sentences.MEASURE_RATE[self.open_rate] if self.open_rate else ""

    @cached_property
    def policy(self) -> list[PolicyEntry]:
        return [policy_entry(study) for study in self.studies]

    @cached_property
    def warnings(self) -> list[str]:
        case = self.case
        kernel = kernel_notes(case.guest, case.kernel, case.release, case.version) if self.studies else []
        return [*sentences.warnings(case, self.studies, self.evidence), *kernel]

    @cached_property
    def whole(self) -> Recommendation:
        """All of it as a record."""
        return _assemble(self)


def _assemble(found: Answer) -> Recommendation:
    evidence, case, parameters, studies = found.evidence, found.case, found.parameters, found.studies
    lead, flush = found.lead, found.flush
    command = _command(case)
    ranked = _sensitivities(flush, parameters)
    gaps = sorted(
        {g for entry in found.policy if (g := entry.gap)}
        | {g for s in studies for g in sentences.open_rates(s)}
        | {g for s in studies if (g := left_out(s.trigger.id, case))}
        | {f"{s.trigger.title}: {b}" for s in studies if (b := sentences.bound(s, evidence))}
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
        worth_patching=[*map(advice.patch, patches(studies)), *advice.pinned_scans(pinned_scans(studies))],
        remedies=found.remedies,
        saturation=[text for s in studies for text in sentences.saturation(s)],
        costs=[row for s in studies for row in found.costs_at(s.trigger.id)],
        contention=contention_rows(flush) if flush else [],
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
        measure_next=_measure_next(flush, parameters, ranked),
        assumptions=[*sentences.assumptions(case, studies), *sentences.irq_off_lines(evidence, flush)],
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


def _measure_next(flush: Study | None, parameters: ParameterSet, ranked: Sequence[Sensitivity]) -> list[str]:
    marked = flush is not None and flush.comparison is not None and flush.comparison.extrapolated
    return advice.measurements(worth_measuring(flush, parameters, ranked), extrapolated=marked)


# Recommendations for a kernel of which no source tells what was backported to it: one for each that it may behave as.


@dataclass(frozen=True)
class ByKernel:
    """What is found for the `kernel` that was asked for, oldest behaviour first: one, or several where `why` says why
    and `looked` what the output of LOOK stands for.
    """

    kernel: str
    found: tuple[tuple[Candidate, Answer], ...]
    why: str = ""
    looked: str = ""

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
            {"kernel": one.kernel, "if": kernel_ground(one), "recommendation": answer.model_dump(mode="json")}
            for one, answer in self.answers
        ]
        if not self.several:
            alone: dict[str, object] = shown[0]["recommendation"]
            return alone
        return {
            "kernel": self.kernel,
            "why_several": self.why,
            "tell_apart": f"{LOOK}: {self.looked}",
            "answers": shown,
        }


def recommend_by_kernel(guest: str, machine: str, workload: str, kernel: str, **numbers: Any) -> ByKernel:
    """What `recommend` gives, for each kernel that `kernel` may behave as. Raises as `recommend` does."""
    try:
        return ByKernel(kernel, ((Candidate(kernel), Answer.of(guest, machine, workload, kernel, **numbers)),))
    except SeveralKernels as several:
        found = [(one, Answer.of(guest, machine, workload, one.kernel, **numbers)) for one in several.candidates]
        return ByKernel(kernel, tuple(found), several.problem, several.looked)
