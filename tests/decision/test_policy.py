"""Same text, same inputs: what differs shows."""

import pytest

from costmodel.cost.scenario import scenario
from costmodel.decision.advice import patch_advice
from costmodel.decision.dominance import dominates
from costmodel.decision.recommend import not_applicable
from costmodel.evidence.store import load
from costmodel.kvm.guests import GUESTS
from costmodel.kvm.triggers import TRIGGERS
from costmodel.numbers import P_BOUNDS, probability
from costmodel.report import text

EVIDENCE = load()


def runs(guest, machine):
    return not not_applicable(scenario(EVIDENCE, guest, machine, "teardown"), GUESTS[guest])


def body(result):
    """The text without the names of the case and the hashes."""
    lines = text.render(result).splitlines()
    return "\n".join(lines[2 : next(i for i, line in enumerate(lines) if line.startswith(("Sources", "Again")))])


@pytest.mark.parametrize("guest", ["sev", "sev-snp-gmem"])
def test_two_machines_with_the_same_text_have_the_same_caches(answer, guest):
    seen = {}
    for machine in EVIDENCE.machines.values():
        if runs(guest, machine.id):
            text_of = body(answer(guest, machine.id, workload="teardown"))
            other = seen.setdefault(text_of, machine)
            assert (machine.llc_bytes_per_domain, machine.logical_cpus) == (
                other.llc_bytes_per_domain,
                other.logical_cpus,
            )
    assert len(seen) > 2


def test_two_guests_with_the_same_policy_meet_the_same_rules(answer):
    """SEV and SEV-ES differ in the VMSA; nothing else may hide behind the same text."""
    seen = {}
    for guest in GUESTS.values():
        if runs(guest.id, "epyc-7763-2s"):
            other = seen.setdefault(body(answer(guest.id, workload="teardown")), guest)
            assert other.properties == guest.properties


def test_every_trigger_of_the_guest_type_has_an_entry(answer):
    for guest in ("sev", "sev-es", "sev-snp-gmem"):
        expected = {t.id for t in TRIGGERS.values() if t.occurs_with(GUESTS[guest])}
        assert {e.trigger for e in answer(guest).policy} == expected


def test_a_basis_needs_what_it_says(answer):
    for guest in ("sev", "sev-es", "sev-snp", "sev-snp-gmem"):
        for entry in answer(guest, workload="teardown").policy:
            if entry.basis != "cost":
                assert entry.p_best is None and entry.cheapest is None and not entry.flips
            elif entry.p_best is not None:
                assert entry.p_best_of_cheapest >= entry.p_best
                assert entry.regret.expected_cpu_s_per_event >= 0
                assert entry.regret.worst_cpu_s_per_event >= 0


def test_the_cheapest_is_named_where_the_kernel_runs_another(answer):
    entry = next(
        e for e in answer("sev-snp-gmem", workload="teardown").policy if e.trigger == "gmem_free_folio_teardown"
    )
    assert (entry.strategy, entry.cheapest) == ("CLFLUSHOPT_DM_GMEM", "WBNOINVD_ALL")
    assert entry.p_best + entry.p_best_of_cheapest == pytest.approx(1.0)


def test_bounds_are_printed_as_bounds_where_a_prior_decides():
    low, high = P_BOUNDS
    assert probability(low, extrapolated=True).startswith("<=")
    assert probability(high, extrapolated=True).startswith(">=")
    assert probability(0.5, extrapolated=True) == probability(0.5, extrapolated=False) == "0.50"


def test_nothing_dominated_is_worth_patching(answer):
    for guest in ("sev", "sev-snp-gmem"):
        for workload in ("teardown", "ksm-default"):
            result = answer(guest, workload=workload, kernel="6.6" if guest == "sev" else "newest")
            patches = [a.id for a in result.worth_patching]
            for trigger in {t for a in result.worth_patching for t in a.triggers}:
                at = [a.id for a in result.worth_patching if trigger in a.triggers]
                assert not any(dominates(a, b) for a in at for b in at if not b.startswith("SKIP") and a[:4] == b[:4])
            assert len(patches) == len(set(patches))


def test_patches_without_studies_are_none():
    assert patch_advice([]) == []
