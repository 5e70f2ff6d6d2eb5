"""What the thread of 2023-08-18 claims: each claim with its term, its number, and the test that holds the term."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy

from costmodel.calibration.cached import parameters_of
from costmodel.cost.scenario import Scenario, scenario
from costmodel.decision.contention import bill_rows, contention_rows
from costmodel.decision.intervals import interval_of
from costmodel.decision.model import BillRow, ContentionRow, Interval, VariantRow
from costmodel.decision.policy import Study
from costmodel.decision.recommend import study_all
from costmodel.decision.variants import overlap_share, variant_rows
from costmodel.evidence.store import Evidence
from costmodel.kvm.placements import PLACEMENTS
from costmodel.numbers import interval
from costmodel.validation.row import Row, Verdict

MACHINE = "epyc-7763-2s"
THEN = "6.6"
"""The kernel of the thread: WBINVD on all CPUs at each invalidation."""
SETUPS = {"ksm-default": {"vmm": "other", "pinned": False, "mergeable": True}}
"""KSM reaches a guest only under a VMM that marks its memory mergeable and pins nothing."""
SCAN, MERGE, MIGRATE = "autonuma_prot_none_scan", "ksm_replace_page", "numa_or_compaction_migrate"
BLAST = "WBINVD_ALL"


@dataclass(frozen=True)
class Claim:
    """`quote` is the thread's sentence; `terms` are formula ids; `test` is where the term is tested."""

    id: str
    quote: str
    terms: tuple[str, ...]
    test: str
    figure: Callable[[Studies], tuple[str, Interval | None, bool]]


class Studies:
    """The studies that the claims need, each made once: guest and workload on the machine and kernel of the thread."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.parameters = parameters_of(evidence, MACHINE)
        self._found: dict[tuple[str, str, str, float | None], dict[str, Study]] = {}

    def case(self, guest: str, workload: str, kernel: str = THEN) -> Scenario:
        return scenario(self.evidence, guest, MACHINE, workload, kernel, **SETUPS.get(workload, {}))

    def get(
        self, guest: str, workload: str, trigger: str, kernel: str = THEN, rate_per_s: float | None = None
    ) -> Study:
        key = (guest, workload, kernel, rate_per_s)
        if key not in self._found:
            case = replace(self.case(guest, workload, kernel), rate_per_s=rate_per_s)
            self._found[key] = {s.trigger.id: s for s in study_all(self.evidence, case, self.parameters)}
        return self._found[key][trigger]

    def bill(self, guest: str, workload: str, trigger: str, strategy: str) -> BillRow:
        return _of(bill_rows(self.get(guest, workload, trigger), self.evidence), strategy)

    def variant(self, id: str, workload: str, trigger: str) -> VariantRow:
        rows = variant_rows(self.get("sev", workload, trigger), self.evidence)
        return next(row for row in rows if row.id == id)

    def waits(self, placement: str, strategy: str = BLAST) -> ContentionRow:
        rows = contention_rows(self.get("sev", "autonuma-default", SCAN))
        return next(row for row in rows if row.placement == placement and row.strategy == strategy)


def _of(rows: Sequence[BillRow], strategy: str) -> BillRow:
    return next(row for row in rows if row.strategy == strategy)


def _text(found: Interval) -> str:
    return interval(found.low, found.median, found.high, found.unit, found.most)


def _blast(s: Studies) -> tuple[str, Interval, bool]:
    row = s.bill("sev", "autonuma-default", SCAN, BLAST)
    both = Interval(
        **{end: getattr(row.own_s, end) + getattr(row.others_s, end) for end in ("low", "median", "high")},
        unit="s",
        extrapolated=row.others_s.extrapolated,
    )
    cpus = s.case("sev", "autonuma-default").machine.logical_cpus
    return f"one WBINVD on all {cpus} CPUs takes {_text(both)} of CPU time", both, both.low > 0


def _neighbours(s: Studies) -> tuple[str, Interval, bool]:
    row = s.bill("sev", "ksm-default", MERGE, BLAST)
    share = f"{100 * row.others_fraction:.0f} % of the bill of WBINVD is paid by CPUs that do not run the guest"
    return (
        f"{share}; under KSM each loses up to {_text(row.neighbour_fraction)} of its time",
        row.neighbour_fraction,
        (row.others_fraction > 0.5),
    )


def _snp_slower(s: Studies) -> tuple[str, Interval, bool]:
    """The guest's own thread pays for the whole range flush and nobody else does; for a blast everybody does.

    The sentence does not say that the guest waits longer than for a blast, so that share is told and decides nothing.
    """
    study = s.get("sev-snp", "autonuma-default", SCAN)
    ranged, blast = study.cost("CLFLUSHOPT_UVA"), study.cost(BLAST)
    longer = float(numpy.mean(ranged.event.time_s > blast.event.time_s))
    times = [interval_of(cost.event.time_s, "s", cost.extrapolated) for cost in (ranged, blast)]
    others = s.bill("sev-snp", "autonuma-default", SCAN, "CLFLUSHOPT_UVA").others_s
    text = (
        f"the guest's thread waits {_text(times[0])} for CLFLUSHOPT over a NUMA balancing range, {_text(times[1])} for "
        f"WBINVD: longer in {100 * longer:.0f} % of the draws; everyone else pays {_text(others)}"
    )
    return text, times[0], times[0].low > 0 and others.high == 0


def _user_va(s: Studies) -> tuple[str, Interval, bool]:
    row = s.variant("user-va-missed", "autonuma-default", SCAN)
    return (
        f"{_text(row.variant)} flushes per hour meet no mapping, at a second trigger of the same rate",
        (row.variant),
        row.variant.low > 0 and not row.admissible,
    )


def _spte(s: Studies) -> tuple[str, Interval, bool]:
    row = s.variant("spte-zaps", "autonuma-default", SCAN)
    return (
        f"{_text(row.variant)} zaps of KVM's own per notifier event cost as much as {BLAST}",
        (row.variant),
        row.variant.low > 0 and not row.admissible,
    )


def _gmem(s: Studies) -> tuple[str, Interval, bool]:
    study = s.get("sev-snp-gmem", "autonuma-default", "gmem_punch_hole", kernel="newest")
    hva = s.get("sev-snp-gmem", "autonuma-default", SCAN, kernel="newest")
    row = _of(bill_rows(study, s.evidence), "CLFLUSHOPT_DM_GMEM")
    skipped = hva.chosen is not None and not hva.chosen.flushes
    return (
        f"no flush at user addresses; {_text(row.own_s)} per 4 KiB page when guest_memfd frees it",
        row.own_s,
        skipped,
    )


def _placement(s: Studies) -> tuple[str, Interval, bool]:
    ranged = "CLFLUSHOPT_UVA"
    under, after = s.waits("under_mmu_lock", ranged), s.waits("after_srcu", ranged)
    text = (
        f"a range flush of the scan under mmu_lock makes a fault wait {_text(under.fault_wait_mean_s)} on average, after "
        f"SRCU {_text(after.fault_wait_mean_s)}; memslot updates wait {_text(after.memslot_wait_mean_s)} in both"
    )
    ends = PLACEMENTS["after_range_end"]
    return (
        text,
        after.fault_wait_mean_s,
        (under.fault_wait_mean_s.median > after.fault_wait_mean_s.median and not ends.admissible),
    )


def _overlap(s: Studies) -> tuple[str, None, bool]:
    shares = {t: overlap_share(t, s.evidence) for t in (SCAN, MERGE, "thp_collapse", MIGRATE)}
    seen = ", ".join(f"{t} {where}" for t, (share, where) in shares.items() if share is not None)
    return f"events that met a memslot: {seen}", None, bool(seen)


def _triggers(s: Studies) -> tuple[str, Interval, bool]:
    scan = s.get("sev", "autonuma-default", SCAN).cost(BLAST)
    merge = s.get("sev", "ksm-default", MERGE).cost(BLAST)
    lost = [numpy.quantile(cost.host_cpu_s_per_s, (0.05, 0.5, 0.95)) for cost in (scan, merge)]
    texts = [interval(*(float(x) for x in values), "1") for values in lost]
    found = Interval(
        low=float(lost[0][0]), median=float(lost[0][1]), high=float(lost[0][2]), unit="1", extrapolated=True
    )
    text = f"host CPUs lost to WBINVD at most: {texts[0]} under NUMA balancing, {texts[1]} under KSM merges of a guest "
    text += "that is mergeable and not pinned"
    return f"{text}; numad's rate is not published: an axis", found, float(lost[0][0]) > 0


CLAIMS = (
    Claim(
        "wbinvd-blast",
        "right now it blasts WBINVD",
        ("whole_cache_flush", "stolen_whole_cache"),
        "tests/cost/test_flush.py",
        _blast,
    ),
    Claim(
        "noisy-neighbour",
        "it should eliminate the noisy neighbor problems",
        ("others_pay", "refill_floor"),
        "tests/cost/test_tenants.py",
        _neighbours,
    ),
    Claim(
        "snp-slower",
        "That will slow down the SNP guest itself",
        ("range_flush",),
        "tests/cost/test_tenants.py",
        _snp_slower,
    ),
    Claim(
        "va-to-pa",
        "the kernel needs a valid VA=>PA mapping ... calls aren't fully serialized",
        ("missed_flushes",),
        "tests/decision/test_variants.py",
        _user_va,
    ),
    Claim(
        "spte-zaps",
        "KVM to flush whenever a leaf SPTE were zapped, i.e. even when _KVM_ initiates the zap",
        ("spte_events",),
        "tests/decision/test_variants.py",
        _spte,
    ),
    Claim(
        "gmem-pfn",
        "the notifier should be able to provide the PFN(s) being unmapped and the use the direct map to flush",
        ("gmem_release",),
        "tests/formulas/test_terms.py",
        _gmem,
    ),
    Claim(
        "hook-placement",
        "It can run after SRCU is dropped",
        ("lock_wait", "fault_stall", "window_stall"),
        "tests/cost/test_contention.py",
        _placement,
    ),
    Claim(
        "memslot-overlap",
        "it just wants to know if there was an overlapping memslot",
        ("precise_events",),
        "tests/decision/test_variants.py",
        _overlap,
    ),
    Claim(
        "triggers",
        "triggered via AutoNUMA/numad/KSM",
        ("numa_rate", "closed_rate", "host_loss"),
        "tests/cost/test_totals.py",
        _triggers,
    ),
)


def rows(evidence: Evidence) -> list[Row]:
    """One row per claim."""
    studies = Studies(evidence)
    return [_row(claim, studies) for claim in CLAIMS]


def _row(claim: Claim, studies: Studies) -> Row:
    figure, found, holds = claim.figure(studies)
    verdict: Verdict = "pass" if holds else "fail"
    return Row(
        id=claim.id,
        what=f'"{claim.quote}"',
        figure=figure + (" *" if found is not None and found.extrapolated else ""),
        target="a term, a number, a test; the number has the sign that the claim says",
        verdict=verdict,
        source="thread of 2023-08-18",
        value=found.median if found else None,
        low=found.low if found else None,
        high=found.high if found else None,
        unit=found.unit if found else "",
        note=f"terms {', '.join(claim.terms)}; tests in {claim.test}",
        details={"terms": ", ".join(claim.terms), "test": claim.test},
    )
