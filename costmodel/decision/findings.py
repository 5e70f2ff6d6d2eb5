"""What is found about one guest type on one machine: whether it can run there, what each trigger costs, which trigger
leads the answer, what would help. Facts only; `costmodel.report.record` says them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

import numpy

from costmodel.calibration.parameters import ParameterSet, parameters_of, variations
from costmodel.cost.draws import Draws
from costmodel.cost.scenario import Scenario, not_applicable, scenario
from costmodel.decision.advice import Remedied, Step, best_step, remedied
from costmodel.decision.choice import Study
from costmodel.decision.result import COUNT_OF, RATE_OF, SECONDS_OF, CostRow, TogetherRow
from costmodel.decision.tables import check_vms, cost_rows, together_rows
from costmodel.errors import NotApplicable, UnknownName
from costmodel.evidence.records import PAGE_BYTES
from costmodel.evidence.store import Evidence, load
from costmodel.evidence.workloads import DEFAULT as DEFAULT_WORKLOAD
from costmodel.kvm.catalog import GUESTS, triggers_of


def study_all(evidence: Evidence, case: Scenario, parameters: ParameterSet) -> list[Study]:
    """One study per trigger that the guest type has."""
    draws = Draws(parameters)
    varied = variations(evidence, case.machine.id)
    return [Study(trigger, case, draws, varied) for trigger in triggers_of(case.guest)]


def headline_study(studies: Sequence[Study]) -> Study | None:
    """The trigger that costs most: by host time lost per second where there is a rate, else by one event."""
    return max(studies, key=_weight, default=None)


def _weight(study: Study) -> tuple[int, float]:
    """Rank of a trigger and its cost: a lost flush that the workload provokes, a loss per second, one event that the
    workload makes, an unknown total of it, no cost, then the same for triggers outside the workload.
    """
    pulled = study.scenario.pulls(study.trigger.id)
    if study.chosen is None:
        return (7, 0.0) if study.unsafe_running and pulled else (-1, 0.0)
    cost = study.cost(study.chosen.strategy)
    if cost.never:
        return (3 if pulled else -2, 0.0)
    if cost.refused:
        return (4 if pulled else 1, 0.0)
    lost = float(numpy.median(cost.host_cpu_s_per_s)) if cost.host_cpu_s_per_s is not None else 0.0
    if lost > 0:
        return 6, lost
    stolen = float(numpy.median(cost.priced.stolen_s))
    if stolen > 0:
        return (5 if pulled else 2, stolen)
    return (3 if pulled else 0, 0.0)


def costliest_study(studies: Sequence[Study]) -> Study | None:
    """The flush that the cost sections show: the headline's, or where that needs none the costliest of all triggers."""
    flushing = [s for s in studies if s.unsafe_running or (s.chosen and s.chosen.flushes)]
    return headline_study([s for s in flushing if s.firing.fires] or flushing)


def picked(studies: Sequence[Study], guest: str, trigger: str | None) -> Study | None:
    """The study of `trigger`, by default that of the costliest flush; None where nothing flushes. Raises UnknownName."""
    by_id = {study.trigger.id: study for study in studies}
    if trigger is not None and trigger not in by_id:
        raise UnknownName(f"trigger of {guest}", trigger, by_id)
    return costliest_study(studies) if trigger is None else by_id[trigger]


Kind = Literal[
    "not applicable",
    "no trigger",
    "can lose",
    "unencrypted",
    "no flush",
    "cannot happen",
    "none counted",
    "outside workload",
    "between guests",
    "flush",
]
"""What an answer comes to, the first that holds: the guest cannot run there; no trigger of it needs a flush; its costliest
event can lose one; nothing is flushed, as nothing is encrypted or for another reason; that event cannot happen, was
counted and never came, or flushes nothing under the workload; only what serves several guests at once is flushed for;
or a flush that costs something.
"""
ENOUGH = 0.9
"""A step that saves this share of the loss needs no remedy beside it in the plan."""


@dataclass(frozen=True)
class Plan:
    """What to do first, or why nothing is: the `step` to another kernel or guest type, which may be `enough`, or else
    the `remedy` beside it, where there is one that pays. Never an unmerged patch.
    """

    kind: Kind
    step: Step | None = None
    remedy: Remedied | None = None
    enough: bool = False


def plan(reason: str | None, lead: Study | None, step: Step | None, remedies: Sequence[Remedied]) -> Plan:
    """What follows for the trigger that leads the answer; `reason` says why there is none."""
    if reason:
        return Plan("not applicable")
    if lead is None:
        return Plan("no trigger")
    if lead.chosen is None:
        return Plan("can lose", step)
    case = lead.scenario
    if not lead.chosen.flushes:
        return Plan("no flush" if GUESTS[case.guest].has("encrypted") else "unencrypted")
    if not lead.firing.fires:
        return Plan("cannot happen")
    if (counted := case.count(lead.trigger.id)) is not None and counted[0] == 0:
        return Plan("none counted")
    if not case.pulls(lead.trigger.id):
        return Plan("outside workload")
    if between_guests(lead):
        return Plan("between guests")
    if step is not None and (step.gain.share or 0) > ENOUGH:
        return Plan("flush", step, enough=True)
    return Plan("flush", step, next((one for one in remedies if one.gain.pays_at(lead)), None))


Opening = Literal["causes", "rate"]


def open_rate(lead: Study | None) -> Opening | None:
    """What is left to be measured about the events of the leading trigger: the causes of those that were counted, or a
    rate that is known by its two ends only; None where neither is open.
    """
    if lead is None or lead.chosen is None:
        return None
    if lead.scenario.stands_for_all(lead.trigger.id):
        return "causes" if lead.scenario.rate(lead.trigger.id) else None
    flushed = lead.trigger.in_window and lead.chosen.flushes
    return "rate" if flushed and lead.cost(lead.chosen.strategy).at_most else None


def between_guests(lead: Study) -> bool:
    """Whether the costliest event of the workload is one that serves several guests at once, where nothing else is safe
    and no total is known: all that this guest's own events do costs nothing then.
    """
    return lead.trigger.batched and lead.basis == "forced" and lead.cost(lead.picked.strategy).refused is not None


@dataclass(frozen=True, eq=False)
class Findings:
    """What is found out about a case, each part when it is first asked for: one screen needs few, a whole record
    all.

    `reason` says why there is no answer, None where there is one; `vms` are the guests that share the host: of each
    type its case and how many. The parts are called as in Recommendation.
    """

    evidence: Evidence
    case: Scenario
    reason: str | None
    vms: Mapping[str, tuple[Scenario, int]]

    @classmethod
    def of(
        cls,
        guest: str,
        machine: str,
        workload: str = DEFAULT_WORKLOAD,
        kernel: str = "newest",
        *,
        evidence: Evidence | None = None,
        vms: Mapping[str, int] | None = None,
        **numbers: Any,
    ) -> Self:
        """The findings of a question, nothing of them worked out yet.

        `kernel` is a version or `newest`; `numbers` are those of `scenario`: vcpus, resident_bytes, cpus_that_ran
        (default: all, the fate of an unpinned guest), event_fraction, rates (events per second, or a count and its
        seconds, by trigger), and the setup of the guest's memory: vmm, pinned, backing, mempolicy, mergeable. `vms` is
        how many guests of each type share the host, for the rows `together`. Raises UnknownName or BadInput.
        """
        evidence = evidence or load()
        case = scenario(evidence, guest, machine, workload, kernel, **numbers)
        reason = not_applicable(case)
        if not vms or reason:
            return cls(evidence, case, reason, {})
        vms = {GUESTS[name].id: count for name, count in vms.items()}
        check_vms(vms)
        cases = {name: scenario(evidence, name, machine, workload, kernel, **numbers) for name in vms}
        for other in cases.values():
            if why := not_applicable(other):
                raise NotApplicable(f"{other.guest}: {why}", remedy="leave this guest type out of --vms")
        return cls(evidence, case, None, {name: (cases[name], count) for name, count in vms.items()})

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
        return headline_study(self.studies)

    @cached_property
    def flush(self) -> Study | None:
        """The flush that the sections on costs show."""
        return costliest_study(self.studies)

    @cached_property
    def remedied(self) -> list[Remedied]:
        return remedied(self.studies)

    @cached_property
    def step(self) -> Step | None:
        """The move to another kernel or guest type that helps most."""
        return best_step(self.studies)

    @cached_property
    def plan(self) -> Plan:
        """What to do first."""
        return plan(self.reason, self.lead, self.step, self.remedied)

    @cached_property
    def open_rate(self) -> Opening | None:
        return open_rate(self.lead)

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
    def _costs(self) -> dict[str, list[CostRow]]:
        return {}

    def costs_at(self, trigger: str | None) -> list[CostRow]:
        """Rows of one trigger, none for None."""
        if trigger is not None and trigger not in self._costs:
            self._costs[trigger] = [row for s in self.studies if s.trigger.id == trigger for row in cost_rows(s)]
        return self._costs[trigger] if trigger is not None else []

    @cached_property
    def together(self) -> list[TogetherRow]:
        if not self.vms:
            return []
        cases = {name: case for name, (case, _) in self.vms.items()}
        return together_rows(cases, {name: count for name, (_, count) in self.vms.items()}, Draws(self.parameters))
