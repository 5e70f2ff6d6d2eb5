"""What the thread of 2023-08-18 claims: each with its term, a number, and the size that the number must have.

The sizes are what the sentences need to be worth saying. A number whose interval lies on both sides of its size decides
nothing, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy

from costmodel.calibration.parameters import parameters_of
from costmodel.cost.scenario import Scenario, scenario
from costmodel.decision.choice import Study
from costmodel.decision.estimates import interval_of
from costmodel.decision.findings import study_all
from costmodel.decision.proposals import Variant, overlap_share, variants
from costmodel.decision.result import BillRow, ContentionRow, Interval
from costmodel.decision.waits import bill_rows, waits_of
from costmodel.errors import stated
from costmodel.evidence.paths import data_dir
from costmodel.evidence.records import HUGE_PAGE_BYTES, PAGE_BYTES
from costmodel.evidence.store import Evidence
from costmodel.evidence.tables import Table, entries
from costmodel.evidence.workloads import DEFAULT as DEFAULT_WORKLOAD
from costmodel.kvm.catalog import PLACEMENTS, Catalog
from costmodel.kvm.kernels import BLASTED
from costmodel.numbers import interval
from costmodel.validation.row import Row, Verdict

MACHINE = "epyc-7763-2s"
THEN = "6.6"
"""The kernel of the thread: WBINVD on all CPUs at each invalidation."""
SETUPS = {"ksm-default": {"vmm": "other", "pinned": False, "mergeable": True}}
"""KSM reaches a guest only under a VMM that marks its memory mergeable and pins nothing."""
SCAN, MERGE, MIGRATE = "autonuma_prot_none_scan", "ksm_replace_page", "numa_or_compaction_migrate"


@dataclass(frozen=True)
class Claim(Table):
    """`quote` is the thread's sentence; `terms` are formula ids; `test` is where the term is tested; `needs` says why
    the sentence is right from a certain size of its number on.
    """

    id: str
    quote: str
    terms: tuple[str, ...]
    test: str
    needs: str
    source: str


CLAIMS: Catalog[Claim] = Catalog("claim", lambda: entries(data_dir() / "validation" / "claims.toml", "claim", Claim))


Figure = tuple[dict[str, str], Interval, bool]
"""What the words of a claim tell, the number that is judged, and whether what is no number holds."""


class Studies:
    """The studies that the claims need, each made once: guest and workload on the machine and kernel of the thread."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.parameters = parameters_of(evidence, MACHINE)
        self._found: dict[tuple[str, str, str, float | None, int | None], dict[str, Study]] = {}

    def case(self, guest: str, workload: str, kernel: str = THEN, cpus_that_ran: int | None = None) -> Scenario:
        setup: dict[str, Any] = SETUPS.get(workload, {})
        return scenario(self.evidence, guest, MACHINE, workload, kernel, cpus_that_ran=cpus_that_ran, **setup)

    def get(
        self,
        guest: str,
        workload: str,
        trigger: str,
        kernel: str = THEN,
        rate_per_s: float | None = None,
        cpus_that_ran: int | None = None,
    ) -> Study:
        key = (guest, workload, kernel, rate_per_s, cpus_that_ran)
        if key not in self._found:
            case = replace(self.case(guest, workload, kernel, cpus_that_ran), rate_per_s=rate_per_s)
            self._found[key] = {s.trigger.id: s for s in study_all(self.evidence, case, self.parameters)}
        return self._found[key][trigger]

    def bill(self, guest: str, workload: str, trigger: str, strategy: str) -> BillRow:
        return _of(bill_rows(self.get(guest, workload, trigger), self.evidence), strategy)

    def variant(self, id: str, workload: str, trigger: str) -> Variant:
        rows = variants(self.get("sev", workload, trigger), self.evidence)
        return next(row for row in rows if row.id == id)

    def waits(self, placement: str, strategy: str = BLASTED) -> ContentionRow:
        rows = waits_of(self.get("sev", DEFAULT_WORKLOAD, SCAN))
        return next(row for row in rows if row.placement == placement and row.strategy == strategy)


def _of(rows: Sequence[BillRow], strategy: str) -> BillRow:
    return next(row for row in rows if row.strategy == strategy)


def _text(found: Interval | None) -> str:
    found = stated(found, "a number of the claim")
    return interval(found.low, found.median, found.high, found.unit, found.most)


def _draws(values: numpy.ndarray, extrapolated: bool = True) -> Interval:
    """A number without a unit, from its draws."""
    return interval_of(values, "1", extrapolated)


def _host_percent(s: Studies) -> float:
    """One CPU in a hundred of the host."""
    return 0.01 * s.case("sev", DEFAULT_WORKLOAD).machine.logical_cpus


def _blast(s: Studies) -> Figure:
    cost = s.get("sev", DEFAULT_WORKLOAD, SCAN).cost(BLASTED)
    few = int(s.evidence.one("E05").si)
    mask = s.get("sev", DEFAULT_WORKLOAD, SCAN, cpus_that_ran=few).cost("WBINVD_MASK")
    both = interval_of(cost.priced.stolen_s, "s", cost.extrapolated)
    ratio = _draws(cost.priced.stolen_s / mask.priced.stolen_s)
    cpus = s.case("sev", DEFAULT_WORKLOAD).machine.logical_cpus
    return {"cpus": str(cpus), "all": _text(both), "ratio": _text(ratio), "few": str(few)}, ratio, True


def _blast_size(s: Studies) -> float:
    return s.evidence.one("E04").si / s.evidence.one("E05").si


def _neighbours(s: Studies) -> Figure:
    row = s.bill("sev", "ksm-default", MERGE, BLASTED)
    names = {"share": f"{100 * row.others_fraction:.0f}", "lost": _text(row.neighbour_fraction)}
    return names, stated(row.neighbour_fraction, "loss of a neighbour"), row.others_fraction > 0.5


def _snp_slower(s: Studies) -> Figure:
    """The guest's own thread pays for the whole range flush and nobody else does; for a blast everybody does.

    The sentence does not say that the guest waits longer than for a blast, so that share is told and decides nothing.
    """
    study = s.get("sev-snp", DEFAULT_WORKLOAD, SCAN)
    ranged, blast = study.cost("CLFLUSHOPT_UVA"), study.cost(BLASTED)
    longer = float(numpy.mean(ranged.priced.time_s > blast.priced.time_s))
    times = [interval_of(cost.priced.time_s, "s", cost.extrapolated) for cost in (ranged, blast)]
    others = s.bill("sev-snp", DEFAULT_WORKLOAD, SCAN, "CLFLUSHOPT_UVA").others_s
    busy = _draws(ranged.rate_per_s * ranged.priced.time_s)
    ranged_s, blast_s = map(_text, times)
    names = {"longer": f"{100 * longer:.0f}", "busy": _text(busy), "others": _text(others)}
    return {"ranged": ranged_s, "blast": blast_s, **names}, busy, others.high == 0


def _user_va(s: Studies) -> Figure:
    row = s.variant("user-va-missed", DEFAULT_WORKLOAD, SCAN)
    return {"missed": _text(row.variant)}, row.variant, not row.admissible


def _spte(s: Studies) -> Figure:
    row = s.variant("spte-zaps", DEFAULT_WORKLOAD, SCAN)
    return {"zaps": _text(row.variant), "blast": BLASTED}, row.variant, not row.admissible


def _gmem(s: Studies) -> Figure:
    study = s.get("sev-snp-gmem", DEFAULT_WORKLOAD, "gmem_punch_hole", kernel="newest")
    hva = s.get("sev-snp-gmem", DEFAULT_WORKLOAD, SCAN, kernel="newest")
    row = _of(bill_rows(study, s.evidence), "CLFLUSHOPT_DM_GMEM")
    page, mask = (study.cost(name).priced.stolen_s for name in ("CLFLUSHOPT_DM_GMEM", "WBNOINVD_MASK"))
    ratio = _draws(mask / page)
    return {"page": _text(row.own_s), "ratio": _text(ratio)}, ratio, hva.chosen is not None and not hva.chosen.flushes


def _placement(s: Studies) -> Figure:
    ranged = "CLFLUSHOPT_UVA"
    under, after = s.waits("under_mmu_lock", ranged), s.waits("after_srcu", ranged)
    waits = {"under": under.fault_wait_mean_s, "after": after.fault_wait_mean_s, "memslot": after.memslot_wait_mean_s}
    ends = [
        getattr(under.fault_wait_mean_s, x) / getattr(after.fault_wait_mean_s, x) for x in ("low", "median", "high")
    ]
    ratio = Interval(low=min(ends), median=ends[1], high=max(ends), unit="1", extrapolated=True)
    return {name: _text(wait) for name, wait in waits.items()}, ratio, not PLACEMENTS["after_range_end"].admissible


def _overlap(s: Studies) -> Figure:
    shares = {t: overlap_share(t, s.evidence) for t in (SCAN, MERGE, "thp_collapse", MIGRATE)}
    seen = ", ".join(f"{t} {where}" for t, (share, where) in shares.items() if share is not None)
    misses = [1.0 - share for share, _ in shares.values() if share is not None]
    least = max(misses, default=0.0)
    found = Interval(low=least, median=least, high=least, unit="1", extrapolated=False)
    return {"seen": seen}, found, bool(seen)


def _triggers(s: Studies) -> Figure:
    scan, merge = (
        interval_of(
            stated(s.get("sev", workload, trigger).cost(BLASTED).host_cpu_s_per_s, f"rate of {trigger}"), "1", True
        )
        for workload, trigger in ((DEFAULT_WORKLOAD, SCAN), ("ksm-default", MERGE))
    )
    return {"scan": _text(scan), "merge": _text(merge)}, scan, merge.low >= _host_percent(s)


@dataclass(frozen=True)
class Answer:
    """`figure` gives the number that is judged, and whether what is no number holds (who pays, what is safe). The
    number is `least` or more if the claim is right; None where no size is published.
    """

    figure: Callable[[Studies], Figure]
    least: Callable[[Studies], float] | None


ANSWERS = {
    "wbinvd-blast": Answer(_blast, _blast_size),
    "noisy-neighbour": Answer(_neighbours, lambda _: 0.01),
    "snp-slower": Answer(_snp_slower, lambda _: 0.01),
    "va-to-pa": Answer(_user_va, lambda _: 1.0),
    "spte-zaps": Answer(_spte, None),
    "gmem-pfn": Answer(_gmem, lambda _: HUGE_PAGE_BYTES / PAGE_BYTES),
    "hook-placement": Answer(_placement, lambda _: 10.0),
    "memslot-overlap": Answer(_overlap, lambda _: 0.5),
    "triggers": Answer(_triggers, _host_percent),
}
"""What the model says to each claim, by its id."""


def rows(evidence: Evidence) -> list[Row]:
    """One row per claim."""
    studies = Studies(evidence)
    return [_row(claim, ANSWERS[claim.id], studies) for claim in CLAIMS.values()]


def _row(claim: Claim, answer: Answer, studies: Studies) -> Row:
    names, found, holds = answer.figure(studies)
    least = answer.least(studies) if answer.least else None
    verdict, because = _verdict(found, least, holds)
    return Row(
        id=claim.id,
        kind=claim.id,
        what=f'"{claim.quote}"',
        names={
            **names,
            "mark": " *" if found.extrapolated else "",
            "size": f"{least:g} at least" if least is not None else "no size",
            "least": f"{least:g}" if least is not None else "",
            "found": _text(found),
            "needs": claim.needs,
            "terms": ", ".join(claim.terms),
            "test": claim.test,
        },
        because=(*because, "terms"),
        verdict=verdict,
        source=claim.source,
        value=found.median,
        low=found.low,
        high=found.high,
        unit=found.unit,
        details={"least": least, "terms": ", ".join(claim.terms), "test": claim.test},
    )


def _verdict(found: Interval, least: float | None, holds: bool) -> tuple[Verdict, tuple[str, ...]]:
    """Whether the number has its size, and why that cannot be told: an interval that lies on both sides of it decides
    nothing.
    """
    if not holds or (least is not None and found.high < least):
        return "fail", ()
    if least is None:
        return "not testable", ("needs",)
    return ("pass", ()) if found.low >= least else ("not testable", ("both sides",))
