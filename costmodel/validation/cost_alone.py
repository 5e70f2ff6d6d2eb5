"""The four places where cost alone would choose otherwise than the kernel, and why the kernel does not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy

from costmodel.calibration.calibrate import parameters_of
from costmodel.cost.draws import Draws
from costmodel.cost.scenario import scenario
from costmodel.cost.total import total
from costmodel.evidence.store import Evidence
from costmodel.kvm import predicates
from costmodel.kvm.admissibility import judge
from costmodel.kvm.strategies import STRATEGIES
from costmodel.numbers import quantity, significant
from costmodel.validation.row import Row, Verdict

MACHINE = "epyc-7763-2s"


@dataclass(frozen=True)
class Place:
    """A trigger at which `cheaper` takes less CPU time than what the kernel does (`kernel`).

    `first_half` stands for a kernel behaviour without a number: a part of it, so a lower bound.
    """

    id: str
    title: str
    guest: str
    trigger: str
    cheaper: str
    kernel: str
    first_half: str | None = None


PLACES = (
    Place("4-kib-page", "one 4 KiB page of SEV", "sev", "ksm_replace_page", "CLFLUSHOPT_UVA", "WBNOINVD_MASK"),
    Place("event-filter", "NUMA balancing of SEV", "sev", "autonuma_prot_none_scan", "SKIP_EVENT", "WBNOINVD_MASK"),
    Place("region", "region unregistration", "sev", "unreg_region", "NO_FLUSH", "WBNOINVD_MASK"),
    Place("asid", "ASID recycling", "sev", "asid_recycle", "WBNOINVD_MASK", "DF_FLUSH_SEQ", first_half="WBINVD_ALL"),
)


def rows(evidence: Evidence) -> list[Row]:
    """One row per place: how much cheaper, and the reason why it is not done."""
    return [_row(evidence, place) for place in PLACES]


def _row(evidence: Evidence, place: Place) -> Row:
    case = scenario(evidence, place.guest, MACHINE, "autonuma-default")
    case = replace(case, cpus_that_ran=float(case.vcpus))
    draws = Draws(parameters_of(evidence, MACHINE))
    cheap = total(place.trigger, place.cheaper, case, draws).event
    dear = total(place.trigger, place.first_half or place.kernel, case, draws).event
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
    least = "at least " if place.first_half else ""
    cost = "nothing" if not numpy.any(cheap.stolen_s) else quantity(float(numpy.median(cheap.stolen_s)), "s")
    found: Verdict = "disagree-explained" if share > 0.5 else "fail"
    return Row(
        id=f"cost-alone-{place.id}",
        what=f"{place.title}: cost alone chooses {place.cheaper}, the kernel does {place.kernel}",
        figure=f"{cost} against {least}{quantity(float(numpy.median(dear.stolen_s)), 's')} CPU time per event, "
        f"cheaper in {significant(100 * share)} % of the draws; {place.cheaper} is {verdict.state} there",
        target="cheaper, and the reason why it is not done",
        verdict=found,
        source=f"rule {verdict.rule}: {verdict.source}",
        value=share,
        unit="1",
        note=why,
    )
